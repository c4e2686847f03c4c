//! U01 to U20: what people and their tools do to the operator.

use super::{Scenario, case, shown, test};

pub(super) const SCENARIOS: [Scenario; 20] = [
    shown(
        "U01",
        "An object is invalid: it is refused at admission with the field and a sentence, and the operator would say the same.",
        &[
            test("an_invalid_object_is_refused_with_the_field_and_a_sentence"),
            test("admission_and_operator_agree_on_every_url_and_say_the_same"),
            test("every_finding_comes_with_its_field_and_all_come_at_once"),
        ],
    ),
    shown(
        "U02",
        "Instance, project or region of an object changes: it is refused at admission, and where it came through, nothing is written.",
        &[
            test("what_cannot_change_is_refused_and_what_can_is_taken"),
            test("an_object_that_leads_to_another_instance_than_its_registry_stops"),
            case(
                "an_account_is_used_when_it_is_whole_and_grants_what_is_asked",
                "another_project_is_not_followed",
            ),
        ],
    ),
    shown(
        "U03",
        "Two objects ask for one registry: the first has it, the other one is in conflict and does not learn whose it is.",
        &[
            case(
                "a_foreign_registry_of_the_same_name_is_never_written",
                "a_second_object_waits_until_the_first_has_gone",
            ),
            case(
                "a_foreign_registry_of_the_same_name_is_never_written",
                "one_with_a_strangers_tag_is_a_conflict",
            ),
        ],
    ),
    shown(
        "U04",
        "An object gets another name, and its successor is created first: it waits in conflict, and takes its turn when the first is gone.",
        &[case(
            "a_foreign_registry_of_the_same_name_is_never_written",
            "a_second_object_waits_until_the_first_has_gone",
        )],
    ),
    shown(
        "U05",
        "A registry that is there is adopted: only if the object says so, and never one with somebody else's tag.",
        &[test(
            "a_registry_is_adopted_only_if_nobody_owns_it_and_the_object_says_so",
        )],
    ),
    shown(
        "U06",
        "An object with `deletionPolicy: Orphan` is deleted: the tag is taken off, and the registry stays.",
        &[
            case(
                "a_deletion_takes_the_registry_along_unless_something_holds_it",
                "orphan_takes_the_tag_off_and_leaves_the_registry",
            ),
            test("orphan_takes_the_tag_off_in_the_end"),
        ],
    ),
    shown(
        "U07",
        "An object is deleted that never had a registry, or whose creation nobody knows of: it goes, and leaves nothing behind.",
        &[
            case(
                "a_deletion_takes_the_registry_along_unless_something_holds_it",
                "an_object_that_never_had_a_registry_just_goes",
            ),
            test("a_deletion_with_an_open_intent_waits_for_the_settle_time"),
        ],
    ),
    shown(
        "U08",
        "A hundred edits come within ten seconds: three updates at most, and the last edit counts.",
        &[
            case(
                "edits_end_where_the_last_one_points",
                "a_hundred_edits_in_ten_seconds_cost_three_requests",
            ),
            test("a_storm_of_changes_gets_three_looks_in_ten_seconds_and_the_last_one_counts"),
        ],
    ),
    shown(
        "U09",
        "An edit is taken back at once: two updates or none, and the end is the beginning.",
        &[case(
            "edits_end_where_the_last_one_points",
            "there_and_back_again_costs_two_requests_or_none",
        )],
    ),
    shown(
        "U10",
        "Many objects are deleted at once by mistake: the deletions are paused until an administrator lets them through.",
        &[
            test("thirty_of_forty_deletions_wait_for_an_administrator_and_five_do_not"),
            test("more_than_five_and_more_than_a_fifth_are_too_many"),
        ],
    ),
    shown(
        "U11",
        "An object is suspended and then deleted: nothing is written, and the object says what it waits for.",
        &[case(
            "a_deletion_takes_the_registry_along_unless_something_holds_it",
            "suspend_holds_until_it_is_taken_off",
        )],
    ),
    shown(
        "U12",
        "Somebody writes the id of another registry into a status: that registry is neither changed nor deleted.",
        &[
            test("an_id_in_the_status_opens_no_registry_but_ones_own"),
            test("nobody_with_a_role_for_people_writes_a_status_or_an_account"),
        ],
    ),
    shown(
        "U13",
        "Labels and annotations are edited a hundred times: no update, and no reconcile for each.",
        &[case(
            "edits_end_where_the_last_one_points",
            "a_hundred_labels_and_annotations_cost_nothing",
        )],
    ),
    shown(
        "U14",
        "A description has any characters, is too long, or imitates our tag: what SWR takes is sent as it is, the rest is refused at admission.",
        &[
            case(
                "an_invalid_object_is_refused_with_the_field_and_a_sentence",
                "description with a tag",
            ),
            case("what_swr_allows_is_accepted", "long description"),
            test("what_is_not_exactly_a_tag_is_text"),
            test("a_description_splits_into_what_it_was_made_of"),
        ],
    ),
    shown(
        "U15",
        "A Secret that five hundred objects share is rotated: one update each, at the rate of the account.",
        &[
            test("a_thousand_objects_cost_what_was_promised"),
            test("a_burst_goes_at_once_and_the_rest_at_the_rate"),
        ],
    ),
    shown(
        "U16",
        "An account and a registry use the same login: their fingerprints differ, and so do those of two objects.",
        &[test(
            "fingerprints_differ_by_key_object_and_value_and_by_nothing_else",
        )],
    ),
    shown(
        "U17",
        "An object is in a namespace that no grant covers: it says so, and neither its Secret nor SWR is asked.",
        &[
            test("what_each_namespace_may_do_with_each_instance_and_target_is_what_the_grants_say"),
            case(
                "what_no_grant_covers_is_denied_before_swr_is_asked",
                "a_namespace_without_a_grant",
            ),
        ],
    ),
    shown(
        "U18",
        "An object is created or applied with a status: the status is not taken.",
        &[test("a_status_that_comes_with_an_object_is_not_taken")],
    ),
    shown(
        "U19",
        "A GitOps tool takes our finalizer away again and again: it is put back each time, and SWR is not written.",
        &[test("managers_of_one_object_do_not_disturb_each_other")],
    ),
    shown(
        "U20",
        "The chart is uninstalled: the kinds and their objects stay.",
        &[
            test("a_release_comes_changes_goes_and_comes_back"),
            test("the_definitions_are_those_of_the_binary_with_what_helm_needs"),
        ],
    ),
];
