//! K01 to K44: what Kubernetes does to the operator.

use super::{Scenario, case, shown, test};

pub(super) const SCENARIOS: [Scenario; 44] = [
    shown(
        "K01",
        "A watch breaks off after any of its events, between two lines or within one: the operator goes on from the last one that it has read, or from a list, and misses none.",
        &[
            test("a_connection_that_breaks_at_any_event_loses_nothing"),
            test("events_go_on_across_the_regular_end_of_a_watch_without_a_list"),
        ],
    ),
    shown(
        "K02",
        "A watch tells that its place in history is gone: the list that follows shows which objects went meanwhile.",
        &[
            test("a_connection_that_breaks_at_any_event_loses_nothing"),
            test("what_a_complete_list_does_not_show_is_gone"),
        ],
    ),
    shown(
        "K03",
        "A watch is refused at its start because its place in history is gone: it begins anew with a list, at growing distances of up to a minute.",
        &[test(
            "a_watch_whose_place_in_history_is_gone_begins_anew_with_a_list",
        )],
    ),
    shown(
        "K04",
        "etcd is restored from a backup, so revisions go back: what was made meanwhile is found all the same.",
        &[
            test("an_etcd_that_is_restored_makes_no_second_registry_and_hides_no_object"),
            test("what_a_silent_watch_lost_is_found_within_its_bounded_age"),
        ],
    ),
    shown(
        "K05",
        "A list or a watch never answers, or its body stalls: it is given up and asked for again within minutes.",
        &[
            test("a_server_that_never_answers_is_asked_again"),
            test("a_list_that_stalls_within_its_body_is_asked_for_again"),
        ],
    ),
    shown(
        "K06",
        "The place between two pages of a list expires: the list begins anew, and nothing counts as gone before one is complete.",
        &[test(
            "a_list_whose_second_page_has_expired_begins_anew_and_shows_nothing_as_gone",
        )],
    ),
    shown(
        "K07",
        "A watch shows objects as they were some time ago: a write that was decided upon the past fails, or a read comes before it.",
        &[
            test(
                "what_the_watch_shows_is_created_without_another_read_and_its_writes_fail_if_it_is_old",
            ),
            test("an_update_is_preceded_by_a_read_and_not_sent_for_what_is_old"),
            case("the_protocol_holds_within_its_bounds", "watch, edit"),
        ],
    ),
    shown(
        "K08",
        "A restored etcd brings objects back without their status, or loses them: registries are found by their tag, and what has no object is counted and never deleted.",
        &[
            test("an_etcd_that_is_restored_makes_no_second_registry_and_hides_no_object"),
            test("a_restored_object_takes_its_registry_back_only_if_it_says_so"),
            case(
                "every_fault_at_every_request_of_every_life_ends_well",
                "a status with an older id is restored",
            ),
        ],
    ),
    shown(
        "K09",
        "A write of the finalizer, the intent or the status meets a conflict: the object is read anew, and no creation is sent without an intent that is stored.",
        &[
            test("no_post_without_a_recorded_intent"),
            case(
                "any_answer_to_any_request_to_kubernetes_leaves_one_registry_and_the_right_state",
                "Trouble::Status(409)",
            ),
            case("the_protocol_holds_within_its_bounds", "2 controllers"),
        ],
    ),
    shown(
        "K10",
        "A write is answered with an error and stored all the same: the next read shows it, and nothing is created twice.",
        &[
            case(
                "any_answer_to_any_request_to_kubernetes_leaves_one_registry_and_the_right_state",
                "Phase::After",
            ),
            case("the_protocol_holds_within_its_bounds", "fault"),
        ],
    ),
    shown(
        "K11",
        "The CRD has no status subresource: nothing is written to SWR without a stored intent.",
        &[
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "has_no_status",
            ),
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "has_no_intent",
            ),
            test("no_post_for_an_intent_that_the_api_server_does_not_keep"),
        ],
    ),
    shown(
        "K12",
        "The CRD is missing at the start: the operator waits, and begins once it is there.",
        &[case(
            "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
            "is_missing",
        )],
    ),
    shown(
        "K13",
        "The CRD is deleted while the operator runs: the mass-deletion guard pauses what that deletes.",
        &[case(
            "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
            "is_removed",
        )],
    ),
    shown(
        "K14",
        "An object is deleted while any request of its reconcile is under way: its registry is deleted once, and the finalizer goes last.",
        &[
            case("the_protocol_holds_within_its_bounds", "fault, delete"),
            case(
                "a_deletion_takes_the_registry_along_unless_something_holds_it",
                "deleted_while_its_creation_is_unknown_leaves_nothing_behind",
            ),
        ],
    ),
    shown(
        "K15",
        "An object is deleted and made anew under its name while the old one is remembered: nothing is done for the old one, and the new one has a registry of its own.",
        &[
            case(
                "edits_end_where_the_last_one_points",
                "an_object_made_anew_under_its_name_has_a_registry_of_its_own",
            ),
            test("a_namesake_is_not_the_object_that_was_queued"),
            test("a_namesake_starts_afresh_and_the_old_reconcile_does_not_touch_it"),
            case(
                "the_protocol_holds_within_its_bounds",
                "delete, create anew",
            ),
        ],
    ),
    shown(
        "K16",
        "Somebody takes the finalizer off by hand and the object goes: its registry stays in SWR, and is counted as one without an object.",
        &[test(
            "registries_without_an_object_are_counted_and_what_nobody_uses_is_forgotten",
        )],
    ),
    shown(
        "K17",
        "Others add and remove finalizers of theirs at the same time: ours is added once and removed alone, and theirs stay.",
        &[
            case(
                "edits_end_where_the_last_one_points",
                "finalizers_of_others_come_and_go_beside_ours",
            ),
            test("a_patch_says_just_what_changes"),
        ],
    ),
    shown(
        "K18",
        "An object is being deleted without our finalizer, because somebody else's holds it: nothing is done for it.",
        &[
            test("an_object_that_goes_without_our_finalizer_costs_nothing"),
            case(
                "edits_end_where_the_last_one_points",
                "finalizers_of_others_come_and_go_beside_ours",
            ),
        ],
    ),
    shown(
        "K19",
        "The Secret is missing: the object says so, nothing is written, and it goes on soon after the Secret is there.",
        &[case(
            "an_unusable_secret_is_named_with_key_and_rule_and_nothing_is_written_until_it_is_mended",
            "missing",
        )],
    ),
    shown(
        "K20",
        "The Secret comes or changes between its read and the write: the old or the new one is sent as a whole, and in the end the new one.",
        &[
            case("the_protocol_holds_within_its_bounds", "Secret rotates"),
            test("a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state"),
        ],
    ),
    shown(
        "K21",
        "The Secret is rotated: each registry that it serves gets one update, within a poll or within seconds where Secrets are watched.",
        &[
            case(
                "a_secret_is_read_as_its_type_or_the_object_says",
                "objects_that_share_a_secret_are_all_sent_anew",
            ),
            test("a_credential_that_changes_in_a_watched_secret_is_sent_within_seconds"),
        ],
    ),
    shown(
        "K22",
        "The Secret has another key, or a value that is empty, too long, no text, or has line breaks, NUL or a byte order mark: the object names key and rule, never the value.",
        &[
            test(
                "an_unusable_secret_is_named_with_key_and_rule_and_nothing_is_written_until_it_is_mended",
            ),
            test("a_value_that_breaks_a_rule_is_named_by_key_and_rule"),
            test("one_trailing_line_break_is_no_part_of_a_value"),
        ],
    ),
    shown(
        "K23",
        "The Secret has another type, or is immutable and made anew: what it holds is read by rule, and the new one is picked up.",
        &[
            case(
                "a_secret_is_read_as_its_type_or_the_object_says",
                "an_immutable_secret_of_a_foreign_type_is_read_and_so_is_its_successor",
            ),
            test("keys_follow_the_type_of_the_secret_unless_the_object_names_them"),
        ],
    ),
    shown(
        "K24",
        "A namespace goes, its Secrets before its objects: the registries are deleted without them, and the namespace does not hang.",
        &[test(
            "a_namespace_goes_with_its_objects_and_their_registries",
        )],
    ),
    shown(
        "K25",
        "The right to read Secrets is taken back while the operator runs: the objects concerned say so, and nobody else is held up.",
        &[
            case(
                "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
                "refuses_secrets",
            ),
            test("a_watch_of_secrets_that_is_refused_holds_up_no_object"),
        ],
    ),
    shown(
        "K26",
        "The right to write the status is taken back: nothing is created, because no intent can be stored; what is there is kept equal, and sent again at growing distances, because nothing can note that it was.",
        &[case(
            "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
            "refuses_statuses",
        )],
    ),
    shown(
        "K27",
        "The right to watch objects is taken back and given again: the operator recovers without a restart.",
        &[
            case(
                "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
                "refuses_lists",
            ),
            test("a_server_that_refuses_is_listed_at_most_130_times_an_hour"),
        ],
    ),
    shown(
        "K28",
        "The token of the service account is rotated, or missing for a moment: requests go on with the old one until the new one is read, which is within a minute.",
        &[test(
            "a_token_and_an_authority_that_are_replaced_need_no_restart",
        )],
    ),
    shown(
        "K29",
        "The authority of the API server is replaced: new connections are verified with the new one within a minute, and never with none.",
        &[test(
            "a_token_and_an_authority_that_are_replaced_need_no_restart",
        )],
    ),
    shown(
        "K30",
        "The API server is down at the start or for an hour: the process stays, asks at growing distances, and ends on SIGTERM.",
        &[case(
            "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
            "is_gone",
        )],
    ),
    shown(
        "K31",
        "The API server is restarted under the operator: no call hangs for more than 15 s.",
        &[
            case(
                "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
                "stands_still",
            ),
            case(
                "an_api_server_in_trouble_costs_neither_a_write_without_proof_nor_a_restart",
                "is_gone",
            ),
            test("each_request_is_sent_once_whatever_it_does"),
        ],
    ),
    shown(
        "K32",
        "The API server answers 429 for minutes, after requests have waited for their turn: each object is asked for at growing distances, nothing is written to SWR, and the lease is renewed all the same.",
        &[test(
            "a_leader_that_is_throttled_keeps_its_lease_and_asks_less_and_less",
        )],
    ),
    shown(
        "K33",
        "The API server, or something in between, answers with 500, 503, 429, a Status in a 200, a web page, half of an object or a reset: it passes, the end is right, and no log line shows a body.",
        &[
            test("any_answer_to_any_request_to_kubernetes_leaves_one_registry_and_the_right_state"),
            test("a_failing_request_is_sent_once_and_its_outcome_is_told_by_class"),
            test("a_path_that_is_not_served_says_nothing_about_the_object"),
        ],
    ),
    shown(
        "K34",
        "An admission webhook on our kind is down, or a policy refuses our writes: no creation is sent without a stored intent, and all goes on once they are out of the way.",
        &[test(
            "whoever_keeps_the_operator_from_writing_an_object_keeps_it_from_writing_to_swr",
        )],
    ),
    shown(
        "K35",
        "A leader loses its lease before, during or after a write: no write begins without enough of the lease left, and the next leader goes on from what it finds.",
        &[
            test("whatever_is_late_lost_or_stopped_no_two_processes_write_at_once"),
            test("no_write_begins_after_any_of_the_bounds"),
            test("sigterm_during_a_write_hands_over_when_the_write_has_ended"),
            case("the_protocol_holds_within_its_bounds", "lease lost, fault"),
        ],
    ),
    shown(
        "K36",
        "Two processes act at once: still one registry for each object, and an end that is right.",
        &[
            case("the_protocol_holds_within_its_bounds", "2 controllers"),
            test("two_operators_at_once_make_one_registry_for_each_object"),
        ],
    ),
    shown(
        "K37",
        "The clocks of two replicas differ: nobody takes over early, because a lease expires a duration after this process saw it change.",
        &[
            test("another_lease_expires_a_duration_after_this_process_saw_it_change"),
            test("whatever_is_late_lost_or_stopped_no_two_processes_write_at_once"),
        ],
    ),
    shown(
        "K38",
        "Somebody deletes or empties the lease, or writes a hostile duration into it: it is made anew, and the wait is neither shorter nor longer than the bounds.",
        &[
            test("a_hostile_duration_neither_shortens_nor_stretches_the_wait"),
            test("a_lease_that_a_person_emptied_or_deleted_is_waited_for_like_a_held_one"),
            test("a_holder_takes_a_lease_back_that_a_person_emptied_or_deleted"),
            test("sigterm_hands_over_within_five_seconds"),
        ],
    ),
    shown(
        "K39",
        "Events come twice, late, in another order, or ten thousand at once: one reconcile per object at a time, and one after the last event.",
        &[
            test("ten_thousand_events_in_any_order_end_with_a_reconcile_of_each_object"),
            test("an_object_has_one_reconcile_at_a_time_and_another_if_it_changed_meanwhile"),
        ],
    ),
    shown(
        "K40",
        "A stored object does not fit the CRD of this version: the others go on, and it is told of.",
        &[
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "is_newer",
            ),
            test("one_object_that_does_not_fit_stops_no_other"),
        ],
    ),
    shown(
        "K41",
        "Ten thousand objects in ten namespaces are listed at once: a namespace with few waits for no other, and what waits takes a bounded amount of memory.",
        &[
            test("a_namespace_with_few_objects_has_its_turn_among_ten_thousand"),
            test("what_waits_takes_so_much_memory_at_most"),
            test("the_memory_limit_is_above_what_ten_thousand_objects_took"),
            test("a_namespace_with_hundreds_of_objects_holds_up_no_object_of_another"),
        ],
    ),
    shown(
        "K42",
        "An object carries 256 KiB of annotations and ten thousand entries of managed fields: neither is kept while it waits.",
        &[
            test("a_giant_of_annotations_and_managers_is_kept_small"),
            test("who_manages_which_field_is_not_kept"),
        ],
    ),
    shown(
        "K43",
        "Objects cannot be listed because their conversion fails: the operator is not ready, writes nothing to SWR, and begins when they can.",
        &[test(
            "an_operator_whose_first_list_fails_is_not_ready_and_writes_nothing",
        )],
    ),
    shown(
        "K44",
        "Events cannot be written: no reconcile fails for it, and a note is cut at 1,024 bytes on the border of a character.",
        &[
            case(
                "any_answer_to_any_request_to_kubernetes_leaves_one_registry_and_the_right_state",
                "POST events",
            ),
            test("a_note_is_cut_at_1024_bytes_and_never_inside_a_character"),
        ],
    ),
];
