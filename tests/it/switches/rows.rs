//! One row per value of a switch: how a life goes under it. Must not know how a life is lived.

use serde_json::{Value, json};

use super::life::{AVAILABLE, Case, Cure, Refusal, Wish};
use crate::manifest::TYPES;

/// 200 characters, which with the tag are more than 255.
pub(super) fn long_text() -> String {
    "long ".repeat(40)
}

fn case(set: &str) -> Case {
    case_with(set, &json!({}))
}

/// All three types, each with this merged into its spec.
fn case_with(set: &str, spec: &Value) -> Case {
    Case {
        set: set.split(' ').map(pair).collect(),
        objects: TYPES
            .iter()
            .map(|kind| Wish {
                kind,
                spec: spec.clone(),
                rests: vec![AVAILABLE],
            })
            .collect(),
        ..Case::default()
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').expect("NAME=VALUE");
    (name.to_owned(), value.to_owned())
}

impl Case {
    fn rests(mut self, states: &[&'static str]) -> Self {
        for wish in &mut self.objects {
            wish.rests = states.to_vec();
        }
        self
    }

    fn only(mut self, kind: &str) -> Self {
        self.objects.retain(|wish| wish.kind == kind);
        self
    }

    fn among(mut self, n_others: usize) -> Self {
        self.n_others = n_others;
        self
    }

    fn create_says(mut self, state: &'static str, says: &'static str, cure: Cure) -> Self {
        self.create = Some(Refusal { state, says, cure });
        self
    }

    fn update_says(mut self, state: &'static str, says: &'static str) -> Self {
        let cure = Cure::Defaults;
        self.update = Some(Refusal { state, says, cure });
        self
    }

    fn delete_says(mut self, state: &'static str, says: &'static str) -> Self {
        let cure = Cure::Defaults;
        self.delete = Some(Refusal { state, says, cure });
        self
    }
}

/// Values under which every life goes as usual.
const AS_USUAL: [&str; 59] = [
    "create_status=200",
    "create_status=202",
    "create_reply=without_id",
    "create_reply=empty",
    "write_reply=object",
    "write_reply=204",
    "secret_echo=other_mask",
    "secret_echo=plain",
    "secret_echo=empty",
    "secret_echo=absent",
    "project_id_echo=show_and_list",
    "project_id_echo=absent",
    "dns_conf_echo=show_and_list",
    "dns_conf_echo=empty_hosts",
    "dns_conf_echo=null",
    "dns_conf_echo=absent",
    "empty_description=null",
    "empty_description=absent",
    "empty_target_ids=empty",
    "empty_target_ids=null",
    "duplicate_name=400",
    "duplicate_name=500",
    "duplicate_name=allowed",
    // Within the deadline of a write, which is 3 s here and 20 s as shipped, where SWR takes 10 s.
    "connection_test=slow connection_test_millis=1500",
    "new_status=absent",
    "put_semantics=merge",
    "mask_in_put=refused",
    "mask_in_put=kept",
    "type_change=accepted",
    "type_change=ignored",
    "null_fields=refused",
    "unknown_fields=refused",
    "enforce_internal_ids=off",
    "insecure_false_internal=accepted",
    "insecure_false_internal=coerced",
    "foreign_dns_conf=refused",
    "foreign_dns_conf=stored",
    "unknown_id=400",
    "unknown_id_on_delete=400",
    "unknown_id_on_delete=200",
    "name_filter=contains_ignoring_case",
    "paging_errors=clamped",
    "paging_errors=ignored",
    "list_order=unstable",
    "lone_order_type=ignored",
    "list_total=page",
    "show_lag_after_create_millis=1500",
    "show_lag_after_update_millis=1500",
    "list_lag_millis=1500",
    "list_lag_after_delete_millis=1500",
    "time_format=no_zone",
    "time_format=epoch",
    "updated_at=health",
    "id_style=large",
    "id_style=string",
    "project_mismatch=ignored",
    "request_id_header=absent",
    "path_slashes=accepted",
    "wrong_path=html",
];

/// Every case in which one switch differs, with those of its companions that it needs.
pub(super) fn rows() -> Vec<Case> {
    let mut rows: Vec<Case> = AS_USUAL.iter().map(|set| case(set)).collect();
    rows.extend(shaped());
    rows.extend(blocked_by());
    rows.extend(denied());
    rows
}

/// Other texts, other states at rest.
fn shaped() -> Vec<Case> {
    let odd_url = json!({"url": "https://{name}.DR.example.com:8443/v2/"});
    let long = json!({"description": long_text()});
    let short = json!({"description": "short"});
    let lines = json!({"description": "one\ntwo  \n three"});
    let many_han = "镜".repeat(30);
    vec![
        case_with("url_rule=as_sent", &odd_url),
        case_with("url_rule=scheme_required", &odd_url),
        case_with("url_rule=lower_host", &odd_url),
        case_with("description_newlines=space", &lines),
        case_with("description_blanks=trimmed", &json!({"description": null})),
        case("name_rule=ascii").create_says(
            "False InvalidSpec",
            "cannot create the registry: SWR refuses the request as invalid",
            Cure::Spec(json!({"name": null})),
        ),
        case_with(
            "name_rule=han_bytes",
            &json!({"name": format!("{{name}}{many_han}")}),
        )
        .create_says(
            "False InvalidSpec",
            "cannot create the registry: SWR refuses the request as invalid",
            Cure::Spec(json!({"name": "{name}短"})),
        ),
        case_with("description_limit=refused", &long).create_says(
            "False InvalidSpec",
            "cannot create the registry: SWR refuses the request as invalid",
            Cure::Spec(short.clone()),
        ),
        case_with("description_limit=truncated", &long).create_says(
            "False TagNotKept",
            "SWR did not keep the ownership tag",
            Cure::Spec(json!({"description": "short", "adoption": {"policy": "IfUnowned"}})),
        ),
        // Nobody cures it: the object goes by way of Orphan, and what SWR has mutilated stays.
        case_with("description_limit=truncated", &long).rests(&["False TagNotKept"]),
        case("description_brackets=refused").create_says(
            "False InvalidSpec",
            "cannot create the registry: SWR refuses the request as invalid",
            Cure::Defaults,
        ),
        case("missing_dns_conf=refused"),
        case_with("missing_dns_conf=refused", &json!({"dnsConf": null}))
            .only("swr-pro")
            .create_says(
                "False InvalidSpec",
                "cannot create the registry: SWR refuses spec.dnsConf, or requires it",
                Cure::Spec(json!({"dnsConf": {"hosts": {"a.example.com": "192.0.2.77"}}})),
            ),
        case("connection_test=mark_unhealthy").rests(&["False TargetUnhealthy"]),
        case("new_status=unhealthy_first status_millis=4000"),
        Case {
            restless: true,
            ..case("new_status=flipping status_millis=1500").rests(&[
                AVAILABLE,
                "False TargetUnhealthy",
                "Unknown Verifying",
            ])
        },
    ]
}

/// What passes, and what a person must see to.
fn blocked_by() -> Vec<Case> {
    let throttled = "throttle_requests=4 throttle_window_millis=3000";
    vec![
        case("connection_test=refuse").create_says(
            "False TargetUnhealthy",
            "SWR could not connect to the target with this url and credential",
            Cure::Defaults,
        ),
        // No answer to a write ever comes, so nobody can tell which credential SWR holds.
        case("lost_reply=close").create_says(
            "False ApiUnavailable",
            "SWR cannot be reached",
            Cure::Defaults,
        ),
        case("lost_reply=504").create_says(
            "False ApiUnavailable",
            "SWR answered with an internal error",
            Cure::Defaults,
        ),
        case("lost_reply=hang").create_says(
            "False ApiUnavailable",
            "SWR did not answer in time",
            Cure::Defaults,
        ),
        // Two are there already.
        case("registry_quota=2").create_says("False QuotaExceeded", "quota", Cure::Defaults),
        // Where the statistics may not be read, SWR says it to the POST.
        case("deny=instance registry_quota=2").create_says(
            "False QuotaExceeded",
            "quota",
            Cure::Defaults,
        ),
        case("deny=instance quota_reply=403 registry_quota=2").create_says(
            "False QuotaExceeded",
            "quota",
            Cure::Defaults,
        ),
        case("deny=instance quota_reply=429 registry_quota=2").create_says(
            "False Throttled",
            "SWR limits the rate of requests",
            Cure::Defaults,
        ),
        case("quota_reply=off registry_quota=2"),
        case(&format!("throttle=writes {throttled}")),
        case("throttle=all throttle_requests=20 throttle_window_millis=3000"),
        case(&format!("retry_after=present throttle=writes {throttled}")),
        case(&format!(
            "throttled_requests=counted throttle=writes {throttled}"
        )),
        // Two pages: the total tells that no look shows all of them.
        case("list_order=unstable")
            .among(120)
            .create_says(
                "False ApiUnavailable",
                "cannot list the instance's registries: SWR gave an answer that is not understood",
                Cure::Defaults,
            )
            .delete_says(
                "False Deleting",
                "SWR gave an answer that is not understood",
            ),
        case("list_total=page").among(120),
    ]
}

/// 44: each permission alone, and each way to say that it is missing.
fn denied() -> Vec<Case> {
    const FORBIDDEN: &str = "False Forbidden";
    const BLOCKED: &str = "False DeletionBlocked";
    const CREATE: &str = "cannot create the registry: the account lacks the permission";
    const CREATE_ACTION: &str = "the account needs swr:instance:createRegistry";
    const LIST_ACTION: &str = "the account needs swr:instance:listRegistries";
    const SHOW_ACTION: &str = "the account needs swr:instance:getRegistry";
    const UPDATE_ACTION: &str = "the account needs swr:instance:updateRegistry";
    const DELETE_ACTION: &str = "the account needs swr:instance:deleteRegistry";
    vec![
        case("deny=create").create_says(FORBIDDEN, CREATE_ACTION, Cure::Defaults),
        case("denied_reply=gateway deny=create").create_says(FORBIDDEN, CREATE, Cure::Defaults),
        case("denied_reply=array deny=create").create_says(FORBIDDEN, CREATE, Cure::Defaults),
        case("deny=list")
            .create_says(FORBIDDEN, LIST_ACTION, Cure::Defaults)
            .delete_says(BLOCKED, LIST_ACTION),
        case("deny=show")
            .update_says(FORBIDDEN, SHOW_ACTION)
            .delete_says(BLOCKED, SHOW_ACTION),
        case("deny=update").update_says(FORBIDDEN, UPDATE_ACTION),
        case("deny=delete").delete_says(BLOCKED, DELETE_ACTION),
        case("deny=writes")
            .create_says(FORBIDDEN, CREATE_ACTION, Cure::Defaults)
            .delete_says(BLOCKED, DELETE_ACTION),
        case("deny=all")
            .create_says(FORBIDDEN, LIST_ACTION, Cure::Defaults)
            .delete_says(BLOCKED, SHOW_ACTION),
    ]
}

/// Values that no registry meets, and the test that meets them.
pub(super) const ELSEWHERE: [(&str, &str); 13] = [
    (
        "projects=none",
        "the_project_of_a_region_is_one_or_none_or_several",
    ),
    (
        "projects=two",
        "the_project_of_a_region_is_one_or_none_or_several",
    ),
    (
        "enterprise_edition=not_offered",
        "a_region_without_the_enterprise_edition_says_so",
    ),
    (
        "clock_ahead_minutes=",
        "a_clock_that_is_off_is_told_with_its_minutes",
    ),
    // Requests are signed; tokens are not used yet.
    (
        "token_error=service",
        "a_token_lets_requests_pass_until_it_expires",
    ),
    (
        "credential_ttl_seconds=",
        "a_switch_shortens_the_life_of_whatever_is_issued",
    ),
    // Sources of credentials that stand on the node.
    (
        "metadata_token=404",
        "an_old_metadata_service_knows_no_tokens",
    ),
    (
        "metadata_token=405",
        "an_old_metadata_service_knows_no_tokens",
    ),
    (
        "metadata_token=503",
        "an_old_metadata_service_knows_no_tokens",
    ),
    (
        "ecs_agency=absent",
        "the_metadata_service_asks_for_a_token_that_it_gave",
    ),
    (
        "pod_identity_reply=credentials",
        "pod_identity_answers_in_each_spelling_that_is_known",
    ),
    (
        "pod_identity_reply=flat",
        "pod_identity_answers_in_each_spelling_that_is_known",
    ),
    // Five refusals stop the operator, the sixth would lock the key.
    (
        "access_key_lock=on",
        "a_wrong_key_is_tried_five_times_and_then_not_at_all",
    ),
];
