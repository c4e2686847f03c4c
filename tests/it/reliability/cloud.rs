//! C01 to C46: what SWR, IAM and the way to them do to the operator.

use super::{Scenario, case, shown, test};

pub(super) const SCENARIOS: [Scenario; 46] = [
    shown(
        "C01",
        "SWR refuses a create or an update as invalid: the object says so with SWR's code, and it is tried again for a change, or once an hour.",
        &[
            case(
                "what_swr_does_not_keep_is_reported_and_not_repeated",
                "a_description_that_is_refused_is_reported",
            ),
            test("status_decides_first_and_code_second"),
            test(
                "a_permanent_failure_costs_at_most_15_attempts_in_the_first_hour_and_7_in_each_later_one",
            ),
        ],
    ),
    shown(
        "C02",
        "A credential has expired: it is renewed once for all who wait, a read is sent again and a write is not, and a refused key is left alone after five attempts.",
        &[
            test(
                "a_credential_that_is_revoked_under_fifty_requests_is_renewed_once_and_none_of_them_fails",
            ),
            test("a_write_whose_credential_was_revoked_is_left_to_whoever_asked_for_it"),
            test("a_wrong_key_is_tried_five_times_and_then_not_at_all"),
        ],
    ),
    shown(
        "C03",
        "The account lacks any of the 32 subsets of the five permissions: the missing one is named, and what may not be seen is not taken for absent.",
        &[test(
            "with_any_subset_of_the_permissions_the_missing_one_is_named_and_nothing_is_guessed",
        )],
    ),
    shown(
        "C04",
        "A refusal carries an encoded cause of ten thousand characters, another one in each answer: none of it is kept, so the status does not change with it.",
        &[test(
            "a_long_encoded_cause_that_differs_each_time_leaves_no_trace",
        )],
    ),
    shown(
        "C05",
        "A 404 is about the instance, the project or the path, not about the registry: they are told apart, and nothing is created.",
        &[
            test("a_404_of_the_gateway_or_of_the_instance_never_means_gone"),
            test("no_answer_to_a_list_or_a_create_says_that_a_registry_is_gone"),
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "an_instance_that_does_not_run_is_reported",
            ),
        ],
    ),
    shown(
        "C06",
        "A registry is not found right after it was created: that is not believed before the settle time is over.",
        &[
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_list_lags_behind_the_create",
            ),
            test("a_registry_that_is_gone_is_made_anew_only_when_that_is_certain"),
            case("the_protocol_holds_within_its_bounds", "lag"),
        ],
    ),
    shown(
        "C07",
        "A create meets a registry of that name: one with our tag is taken over, any other is a conflict and never written.",
        &[
            case(
                "a_foreign_registry_of_the_same_name_is_never_written",
                "one_that_only_the_create_meets_is_a_conflict",
            ),
            test("a_registry_whose_id_was_lost_is_found_by_its_tag_at_once"),
        ],
    ),
    shown(
        "C08",
        "SWR does not delete a registry that a replication policy uses: the finalizer stays, the object says why and how to go on.",
        &[
            case(
                "a_deletion_takes_the_registry_along_unless_something_holds_it",
                "a_registry_in_use_blocks_until_it_is_free",
            ),
            case(
                "what_only_some_lives_meet_is_told_as_it_is",
                "a_registry_that_a_policy_uses",
            ),
        ],
    ),
    shown(
        "C09",
        "SWR limits the rate, with any Retry-After or none: the account slows down within bounds, and no other account does.",
        &[
            test("retry_after_is_clamped_and_garbage_is_ignored"),
            test("retry_after_pauses_the_whole_account"),
            test("a_429_halves_the_rate_and_success_restores_what_swr_took"),
            test("an_account_whose_key_is_refused_holds_up_no_object_of_another"),
        ],
    ),
    shown(
        "C10",
        "Any of the five operations is answered with 500, 502, 503 or 504: a create is looked for before it is repeated, an update and a deletion are preceded by a read.",
        &[
            test("a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end"),
            test("an_update_in_trouble_is_reported_and_made_in_the_end"),
            test("a_delete_in_trouble_is_reported_and_made_in_the_end"),
            test("a_list_in_trouble_is_reported_and_nothing_is_written"),
            test("a_show_in_trouble_is_reported_and_nothing_is_written"),
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_gateway_gives_up_after_the_create",
            ),
        ],
    ),
    shown(
        "C11",
        "A success holds an error, no body or no id: it is an error, or the registry is found by its tag.",
        &[
            test("a_success_that_holds_an_error_is_none"),
            test("a_create_without_an_id_has_landed"),
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_answer_has_no_id",
            ),
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_answer_is_empty",
            ),
        ],
    ),
    shown(
        "C12",
        "SWR redirects elsewhere: it is not followed, and no byte goes there.",
        &[
            test("a_redirect_is_not_followed"),
            case(
                "a_list_in_trouble_is_reported_and_nothing_is_written",
                "redirect",
            ),
        ],
    ),
    shown(
        "C13",
        "DNS knows no such name, does not answer, or points it at an address that it may not have: it is told, within 5 s, and nothing is sent.",
        &[
            test("a_name_that_dns_does_not_know_is_told_from_a_server_that_is_down"),
            test("a_name_that_is_pointed_elsewhere_later_leads_nowhere"),
            test("each_connection_asks_again_and_none_goes_where_the_name_may_not_lead"),
            case(
                "what_stalls_before_a_request_is_sent_is_given_up_after_five_seconds",
                "dns",
            ),
        ],
    ),
    shown(
        "C14",
        "A connection is refused, or nothing answers it: it is given up within 5 s, and it is certain that nothing was sent.",
        &[
            test("without_a_connection_nothing_was_written"),
            case(
                "what_stalls_before_a_request_is_sent_is_given_up_after_five_seconds",
                "connect",
            ),
        ],
    ),
    shown(
        "C15",
        "TLS stalls, or the certificate is of another host, expired, of an unknown authority, or the server is too old: no request is sent.",
        &[
            test("a_server_is_asked_only_behind_tls_that_proves_who_it_is"),
            case(
                "what_stalls_before_a_request_is_sent_is_given_up_after_five_seconds",
                "tls",
            ),
        ],
    ),
    shown(
        "C16",
        "Head or body come byte by byte, or not at all: one deadline ends the whole exchange.",
        &[
            test("a_deadline_ends_every_exchange"),
            test("a_byte_now_and_then_buys_an_answer_no_time"),
        ],
    ),
    shown(
        "C17",
        "The connection breaks before a request is read, or after it was carried out: one registry, and nothing is repeated before it was looked at.",
        &[
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_connection_closes_after_the_create",
            ),
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "an_update_whose_answer_is_lost_is_looked_at_again",
            ),
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "a_delete_whose_answer_is_lost_is_looked_at_again",
            ),
            case(
                "a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end",
                "reset",
            ),
            test("a_write_whose_answer_is_lost_is_unknown_and_sent_once"),
        ],
    ),
    shown(
        "C18",
        "A request is carried out after its sender gave it up, also after a later one or a deletion: no second registry, and the end is right.",
        &[
            case(
                "a_create_whose_answer_is_lost_makes_one_registry",
                "the_create_is_carried_out_late",
            ),
            case(
                "a_deletion_takes_the_registry_along_unless_something_holds_it",
                "deleted_while_its_creation_is_unknown_leaves_nothing_behind",
            ),
            case("the_protocol_holds_within_its_bounds", "fault"),
        ],
    ),
    shown(
        "C19",
        "An answer is cut off, longer or shorter than it says, or two come for one request: nothing of it is decoded in part, and what is left over answers nothing else.",
        &[
            test("an_answer_that_is_too_long_or_cut_off_is_not_decoded"),
            test("no_answer_ends_the_client_and_none_is_an_empty_instance_unless_it_says_so"),
            test("what_follows_an_answer_is_not_the_answer_to_the_next_request"),
        ],
    ),
    shown(
        "C20",
        "A body is a web page, no UTF-8, deeply nested, or has fields of any type, missing or unknown: an error or what the rules say, and never a panic.",
        &[
            test("no_body_panics_and_none_is_an_empty_page_unless_it_says_so"),
            test("an_answer_that_is_none_is_never_taken_for_an_empty_instance"),
        ],
    ),
    shown(
        "C21",
        "A body is gigantic, endless or compressed to a thousandth: 4 MiB are read and none is unpacked.",
        &[
            test("an_answer_that_is_too_long_or_cut_off_is_not_decoded"),
            test("a_request_carries_what_is_signed_and_asks_for_no_compression"),
            case(
                "what_the_head_says_of_a_body_neither_unpacks_nor_spoils_it",
                "gzip",
            ),
            case(
                "a_list_in_trouble_is_reported_and_nothing_is_written",
                "giant",
            ),
        ],
    ),
    shown(
        "C22",
        "An answer has no Content-Type, another charset, or is compressed unasked: JSON is read whatever its type says, and nothing is unpacked.",
        &[test(
            "what_the_head_says_of_a_body_neither_unpacks_nor_spoils_it",
        )],
    ),
    shown(
        "C23",
        "A credential ends between its use and the arrival, or between two pages of a list: it is renewed once, and the list is whole.",
        &[
            test("a_credential_that_ends_between_two_pages_costs_no_registry"),
            test("every_source_of_a_credential_lives_through_expiry_and_revocation"),
        ],
    ),
    shown(
        "C24",
        "What issues credentials is down, slow, or issues none or one of 20 KiB: the one at hand serves until shortly before its end, and one request renews it for all.",
        &[
            test("a_source_that_fails_is_asked_once_for_all_who_wait"),
            test("a_credential_is_renewed_early_and_not_used_to_its_last_moment"),
            test("a_token_that_is_missing_or_gigantic_is_an_error_or_a_token"),
            test("a_source_that_gives_no_credential_is_named_and_used_once_it_does"),
        ],
    ),
    shown(
        "C25",
        "The clock of the node is off by more than SWR takes: the object and the account say by how many minutes, and it is not tried on and on.",
        &[
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "a_clock_that_is_off_is_told_with_its_minutes",
            ),
            test("the_difference_of_the_clocks_is_measured_on_a_401"),
        ],
    ),
    shown(
        "C26",
        "The key of an account is replaced in its Secret and the old one revoked: the new one is in use within a minute or two, and the old one is refused a few times at most.",
        &[
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "a_rotated_key_is_used_within_a_minute",
            ),
            test("two_accounts_with_one_key_try_a_wrong_one_no_more_often_than_one_would"),
        ],
    ),
    shown(
        "C27",
        "A read shows the value before an update: the update is not sent again before the settle time is over.",
        &[
            test(
                "an_update_that_is_not_visible_is_not_sent_again_before_the_settle_time_and_twice_at_most",
            ),
            case(
                "a_life_goes_as_it_should_under_each_answer_that_swr_may_give",
                "show_lag_after_update_millis=1500",
            ),
            case("the_protocol_holds_within_its_bounds", "lag"),
        ],
    ),
    shown(
        "C28",
        "A list lags, leaves out, repeats or reorders registries, or its total is wrong: nothing counts as absent because of it.",
        &[
            test("a_list_that_gives_less_than_it_tells_is_not_whole"),
            test(
                "a_list_with_a_gap_proves_neither_that_a_registry_is_gone_nor_that_a_request_was_lost",
            ),
            case(
                "what_swr_does_not_keep_is_reported_and_not_repeated",
                "an_empty_list_that_lies_makes_no_second_registry",
            ),
            case(
                "a_life_goes_as_it_should_under_each_answer_that_swr_may_give",
                "list_order=unstable",
            ),
        ],
    ),
    shown(
        "C29",
        "Others create and delete between two pages: what exists all the while is found, and a list without end is given up.",
        &[
            test("what_exists_all_the_while_is_found_whatever_happens_in_between"),
            test("a_deletion_and_a_creation_between_two_pages_hide_nothing"),
            test("a_list_without_end_is_given_up"),
        ],
    ),
    shown(
        "C30",
        "Registries have names that SWR's filter would match, or another case: only the exact name is the one.",
        &[case(
            "a_foreign_registry_of_the_same_name_is_never_written",
            "a_similar_name_is_none",
        )],
    ),
    shown(
        "C31",
        "Two registries carry our tag: the one that the status names is ours, the copy is named and left alone, and without a known one neither is written.",
        &[
            test("a_copy_of_a_registry_is_named_and_never_taken_for_the_registry"),
            test("of_two_registries_with_our_tag_and_no_id_none_is_written_to_or_deleted"),
        ],
    ),
    shown(
        "C32",
        "Somebody edits a registry in the console: each field that the spec says is put back by one update, which is told as an event, and everything else stays as it was.",
        &[
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "an_edited_field_of_a_harbor_is_put_back_by_one_request",
            ),
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "an_edited_field_of_an_enterprise_target_is_put_back_by_one_request",
            ),
            case(
                "what_happens_is_told_in_events",
                "a_life_is_told_deed_by_deed",
            ),
        ],
    ),
    shown(
        "C33",
        "Somebody deletes a registry in the console: it is created once more, and the status has its new id.",
        &[
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "a_deleted_registry_is_created_once_more",
            ),
            case("the_protocol_holds_within_its_bounds", "console"),
        ],
    ),
    shown(
        "C34",
        "Somebody takes our tag off or changes it: the registry counts as somebody else's and is not written.",
        &[
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "a_registry_without_its_tag_is_left_alone_until_the_tag_is_back",
            ),
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "a_registry_with_a_strangers_tag_is_left_alone",
            ),
        ],
    ),
    shown(
        "C35",
        "The id in the status is that of somebody else's registry: the tag, seen right before each write, keeps it from being written.",
        &[
            test("an_id_in_the_status_opens_no_registry_but_ones_own"),
            test("a_registry_without_our_tag_is_never_written_to"),
        ],
    ),
    shown(
        "C36",
        "Something else changes a registry back again and again: after three corrections in half an hour the object says so and leaves it.",
        &[
            case(
                "what_happens_in_the_console_is_put_back_or_reported",
                "a_third_correction_is_the_last_of_half_an_hour",
            ),
            test("who_takes_the_tag_off_again_and_again_is_fought_three_times"),
        ],
    ),
    shown(
        "C37",
        "The quota of registries is used up: the object says so, and it is tried again once an hour or on demand.",
        &[
            case(
                "what_swr_does_not_keep_is_reported_and_not_repeated",
                "a_full_instance_is_reported",
            ),
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "a_full_instance_is_known_before_a_registry_is_made",
            ),
        ],
    ),
    shown(
        "C38",
        "SWR accepts an update and keeps the old value: it is sent twice, and then the object says so.",
        &[case(
            "what_swr_does_not_keep_is_reported_and_not_repeated",
            "an_update_that_is_accepted_and_not_made_is_reported_after_two",
        )],
    ),
    shown(
        "C39",
        "SWR shows a secret masked, empty, plain or not at all: it is never compared and never logged; a fingerprint tells whether it changed.",
        &[
            case(
                "a_life_goes_as_it_should_under_each_answer_that_swr_may_give",
                "secret_echo=plain",
            ),
            case(
                "a_life_goes_as_it_should_under_each_answer_that_swr_may_give",
                "secret_echo=absent",
            ),
            test("a_credential_differs_when_it_is_new_rotated_or_due"),
        ],
    ),
    shown(
        "C40",
        "SWR finds a target unhealthy: the object is not Ready, and nothing is written.",
        &[case(
            "what_happens_in_the_console_is_put_back_or_reported",
            "an_ill_target_is_reported_and_nothing_is_written",
        )],
    ),
    shown(
        "C41",
        "The proxy refuses a connection or the password, or is not there: it is said which, exemptions are kept, and the password stands nowhere.",
        &[test(
            "a_proxy_gets_every_request_to_the_cloud_but_those_that_are_exempt",
        )],
    ),
    shown(
        "C42",
        "There is only IPv6, or a name has an IPv6 address that is dead and an IPv4 address that is not: a connection comes about within a second.",
        &[
            test("an_operator_lives_with_ipv6_alone"),
            test("a_dead_ipv6_address_costs_a_connection_less_than_a_second"),
        ],
    ),
    shown(
        "C43",
        "A region is unknown, or an endpoint is hostile: only https and allowed addresses are asked, whatever the name says.",
        &[
            test("an_endpoint_is_https_or_loopback_and_nothing_but_a_host"),
            test("a_name_may_not_stand_for_a_special_address"),
            test("hosts_follow_the_region"),
        ],
    ),
    shown(
        "C44",
        "The server closes an idle connection: a request is sent once more only if nothing of it was written.",
        &[
            test("a_connection_that_was_closed_while_idle_fails_no_request"),
            test("a_write_whose_answer_is_lost_is_unknown_and_sent_once"),
        ],
    ),
    shown(
        "C45",
        "SWR has new types and fields: reads take them, and a write that lacks a new mandatory field is refused as in C01.",
        &[
            test("a_record_of_tomorrow_is_read"),
            case(
                "a_life_goes_as_it_should_under_each_answer_that_swr_may_give",
                "missing_dns_conf=refused",
            ),
        ],
    ),
    shown(
        "C46",
        "The region is away for six hours and comes back: few requests meanwhile, and a thousand objects are in sync within half an hour.",
        &[test(
            "after_six_hours_without_swr_all_is_right_as_quickly_as_the_rate_allows",
        )],
    ),
];
