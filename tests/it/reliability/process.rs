//! P01 to P18: what befalls the process.

use super::{Scenario, case, shown, test};

pub(super) const SCENARIOS: [Scenario; 18] = [
    shown(
        "P01",
        "The process is killed before and after every request: the next one ends where it would have ended.",
        &[
            test("a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state"),
            test("a_kill_between_a_write_and_its_answer_costs_nothing"),
            case("the_protocol_holds_within_its_bounds", "crash"),
        ],
    ),
    shown(
        "P02",
        "The process is killed twice, at any two points: the same.",
        &[case("the_protocol_holds_within_its_bounds", "2 crashes")],
    ),
    shown(
        "P03",
        "Memory runs out while ten thousand objects are listed: the limit that ships is above what they took, and a killed process begins anew.",
        &[
            test("the_memory_limit_is_above_what_ten_thousand_objects_took"),
            test("a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state"),
        ],
    ),
    shown(
        "P04",
        "SIGTERM while a request to Kubernetes or SWR hangs: the process ends in order within 25 s, and the next one ends where it would have ended.",
        &[
            case(
                "a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state",
                "End::Terminate",
            ),
            test("sigterm_during_a_write_ends_in_time_and_loses_nothing"),
            test("sigterm_does_not_wait_for_a_read_that_hangs"),
            test("sigterm_hands_over_within_five_seconds"),
        ],
    ),
    shown(
        "P05",
        "SIGTERM while a create is under way: its answer is waited for until its deadline, and the id is stored.",
        &[test(
            "sigterm_during_a_write_ends_in_time_and_loses_nothing",
        )],
    ),
    shown(
        "P06",
        "A reconcile, a decoder or a destructor panics: it costs one attempt of one object, and the process goes on.",
        &[test("a_panic_costs_one_attempt_of_one_object_and_is_told")],
    ),
    shown(
        "P07",
        "The process aborts, or its stack or memory overflows: it ends as by a kill, and deeply nested input does not get it there.",
        &[
            test("a_kill_before_or_after_any_request_leaves_one_registry_and_the_right_state"),
            test("no_body_panics_and_none_is_an_empty_page_unless_it_says_so"),
        ],
    ),
    shown(
        "P08",
        "The disk is full or read-only: the operator writes no file.",
        &[case(
            "an_operator_lives_within_the_limits_of_its_process",
            "writes_no_file",
        )],
    ),
    shown(
        "P09",
        "The process may open 64 files: forty objects become Ready all the same, and the files do not become more.",
        &[case(
            "an_operator_lives_within_the_limits_of_its_process",
            "few_files",
        )],
    ),
    shown(
        "P10",
        "The process stands still for longer than its lease: when it goes on, it writes nothing and ends.",
        &[
            test("a_stopped_leader_writes_nothing_when_it_wakes_up"),
            test("what_wakes_up_after_its_deadline_does_nothing_more"),
        ],
    ),
    shown(
        "P11",
        "The wall clock jumps, or a status holds any date: decisions use a clock that only goes forward, and no date makes them panic.",
        &[
            test("the_clock_never_goes_back"),
            test("what_passes_asleep_counts_like_what_passes_awake"),
            test("an_instant_past_the_end_is_the_end"),
            test("a_crafted_status_ends_no_process_and_holds_up_nobody"),
            test("the_clock_of_another_process_decides_nothing"),
        ],
    ),
    shown(
        "P12",
        "The operator is upgraded and downgraded with objects in every phase: nothing is written to SWR for it, and no field of a status is lost.",
        &[
            test("what_earlier_operators_left_is_taken_over_without_a_needless_write"),
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "is_newer",
            ),
        ],
    ),
    shown(
        "P13",
        "The CRD is upgraded before or after the operator: both orders work.",
        &[
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "has_no_fingerprint",
            ),
            case(
                "a_definition_that_is_missing_older_newer_or_removed_costs_no_registry_and_no_restart",
                "is_newer",
            ),
        ],
    ),
    shown(
        "P14",
        "Two operators without a common lease serve the same objects: one registry for each object.",
        &[test(
            "two_operators_at_once_make_one_registry_for_each_object",
        )],
    ),
    shown(
        "P15",
        "Scrapes hang on all connections, or the loop stands still: probes are answered, and they tell it.",
        &[
            test("a_probe_is_answered_while_the_port_for_metrics_is_full"),
            test("a_slow_client_loses_its_place"),
            test("a_loop_that_stands_still_for_a_minute_is_not_alive"),
        ],
    ),
    shown(
        "P16",
        "Nobody reads the log any more: no write to SWR goes without its line, so the operator stands still, which its probe tells, and goes on where it stood once the log is read.",
        &[case(
            "an_operator_lives_within_the_limits_of_its_process",
            "unread_log",
        )],
    ),
    shown(
        "P17",
        "The configuration changes while the operator runs, which is an account, and becomes invalid: the account says so, and counts again when it is right.",
        &[
            test("an_account_that_does_not_fit_is_no_account_until_it_fits_again"),
            test("a_key_that_cannot_be_read_again_goes_on_only_for_the_spec_that_it_was_read_for"),
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "a_secret_of_an_account_is_named_with_key_and_rule",
            ),
        ],
    ),
    shown(
        "P18",
        "A process is copied with its state, or has no entropy of its own: every random byte comes from the operating system, in one place.",
        &[test(
            "randomness_comes_from_the_operating_system_in_one_place",
        )],
    ),
];
