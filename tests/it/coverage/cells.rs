//! Every documented field of every operation on registries, whether the operator sends or reads it, and the test that
//! shows it. Must not know how the page looks.

/// The operations, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Create,
    List,
    Show,
    Update,
    Delete,
}

use Operation::{Create, Delete, List, Show, Update};

pub(super) const ALL: [Operation; 5] = [Create, List, Show, Update, Delete];

impl Operation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Create => "create",
            List => "list",
            Show => "show",
            Update => "update",
            Delete => "delete",
        }
    }
}

/// What the operator does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Sends,
    Reads,
    /// Documented, and left alone on purpose.
    Not,
}

use Use::{Not, Reads, Sends};

impl Use {
    pub(super) fn word(self) -> &'static str {
        match self {
            Sends => "sent",
            Reads => "read",
            Not => "not used",
        }
    }
}

/// One or more cells of the table that one test shows.
pub(super) struct Cell {
    /// Where it stands and what it is called: `body name`.
    pub(super) field: &'static str,
    pub(super) operations: &'static [Operation],
    pub(super) does: Use,
    /// How, or why not.
    pub(super) how: &'static str,
    /// Empty where nothing could be shown.
    pub(super) test: &'static str,
}

const fn cell(
    field: &'static str,
    operations: &'static [Operation],
    does: Use,
    how: &'static str,
    test: &'static str,
) -> Cell {
    Cell {
        field,
        operations,
        does,
        how,
        test,
    }
}

const WRITES: &[Operation] = &[Create, Update];
const WITH_ID: &[Operation] = &[Show, Update, Delete];

const WHERE: &str = "a_request_says_where_by_its_path_and_is_signed_with_its_headers";
const LIFE: &str = "each_type_is_created_changed_field_by_field_and_deleted_with_one_request_each";
const UNLISTED: &str = "a_changed_field_that_swr_does_not_list_is_sent_all_the_same";
const HARBOR_DRIFT: &str = "an_edited_field_of_a_harbor_is_put_back_by_one_request";
const ENTERPRISE_DRIFT: &str = "an_edited_field_of_an_enterprise_target_is_put_back_by_one_request";
const WHOLE: &str = "a_registry_is_looked_at_as_a_whole_before_it_is_written";
const STATUS: &str = "what_swr_tells_of_a_registry_reaches_the_status";
const PAGES: &str = "a_list_asks_for_whole_pages_in_the_order_of_creation";
const ERRORS: &str = "every_shape_of_an_error_is_read_in_every_operation";
const ANSWERS: &str = "a_life_goes_as_it_should_under_each_answer_that_swr_may_give";
const CLASSES: &str = "status_decides_first_and_code_second";
const IN_USE: &str = "a_registry_that_a_policy_uses";

const LISTED_DRIFT: &str = "compared with the spec at every poll; what differs is put back";
const SHOWN_DRIFT: &str = "compared with the spec once more before each update";

pub(super) const CELLS: &[Cell] = &[
    cell(
        "path project_id",
        &ALL,
        Sends,
        "project of the account, never that of the target",
        WHERE,
    ),
    cell(
        "path instance_id",
        &ALL,
        Sends,
        "`spec.instanceId`, never that of the target; what could lead elsewhere is not sent",
        WHERE,
    ),
    cell(
        "path registry_id",
        WITH_ID,
        Sends,
        "digits of a 64-bit number, also above 2^31",
        WHERE,
    ),
    cell(
        "header X-Auth-Token",
        &ALL,
        Sends,
        "in place of a signature, if the account has `passwordSecretRef`, `tokenSecretRef` or `oidc.identityProviderId`",
        "every_source_of_a_credential_lives_through_expiry_and_revocation",
    ),
    cell(
        "header Authorization",
        &ALL,
        Sends,
        "SDK-HMAC-SHA256 over `content-type;host;x-project-id;x-sdk-date`; the simulator computes it anew",
        WHERE,
    ),
    cell(
        "header X-Project-Id",
        &ALL,
        Sends,
        "signed; the simulator refuses another project than that of the path",
        WHERE,
    ),
    cell(
        "header X-Sdk-Date",
        &ALL,
        Sends,
        "signed; the simulator refuses more than 15 minutes of difference",
        WHERE,
    ),
    cell(
        "header Content-Type",
        &ALL,
        Sends,
        "signed, also without a body, as the SDKs do",
        WHERE,
    ),
    cell(
        "header X-Security-Token",
        &ALL,
        Sends,
        "signed, when the account's Secret has a `securityToken`",
        "a_temporary_key_sends_its_token_with_every_request",
    ),
    cell(
        "query order_column",
        &[List],
        Sends,
        "`created_at` where all are listed: a creation then moves nothing from page to page; `updated_at` where a look reads only what was written last; `name` is not used",
        PAGES,
    ),
    cell(
        "query order_type",
        &[List],
        Sends,
        "`asc` by `created_at`, `desc` by `updated_at`, always together with the column",
        PAGES,
    ),
    cell(
        "query name",
        &[List],
        Not,
        "fuzzy, and a registry of ours is known by its tag, whatever its name: one list of all serves all objects",
        PAGES,
    ),
    cell(
        "query type",
        &[List],
        Not,
        "a name is taken whatever the type of the registry that has it",
        PAGES,
    ),
    cell(
        "query offset",
        &[List],
        Sends,
        "with `limit`, a multiple of it",
        PAGES,
    ),
    cell(
        "query limit",
        &[List],
        Sends,
        "100; once 1, to learn what `total` counts",
        PAGES,
    ),
    cell(
        "body name",
        WRITES,
        Sends,
        "`spec.name` or the name of the object; 1 to 64 characters, Han included",
        "names_and_descriptions_are_sent_as_they_are_written",
    ),
    cell("body name", &[List], Reads, LISTED_DRIFT, HARBOR_DRIFT),
    cell("body name", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body description",
        WRITES,
        Sends,
        "with the ownership tag at its end, so never empty; unset and empty are the same",
        "names_and_descriptions_are_sent_as_they_are_written",
    ),
    cell(
        "body description",
        &[List],
        Reads,
        LISTED_DRIFT,
        HARBOR_DRIFT,
    ),
    cell(
        "body description",
        &[Show],
        Reads,
        "text and tag: without our tag there is no update and no deletion",
        WHOLE,
    ),
    cell("body type", WRITES, Sends, "one of the three types", LIFE),
    cell(
        "body type",
        &[List],
        Reads,
        LISTED_DRIFT,
        "a_type_that_somebody_changed",
    ),
    cell("body type", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body project_id",
        WRITES,
        Sends,
        "`spec.target.projectId`, for swr-pro-internal alone",
        UNLISTED,
    ),
    cell(
        "body project_id",
        &[List],
        Reads,
        "if SWR lists it; absent is no difference",
        ENTERPRISE_DRIFT,
    ),
    cell("body project_id", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body region_id",
        WRITES,
        Sends,
        "`spec.target.regionId`, for swr-pro-internal alone",
        LIFE,
    ),
    cell(
        "body region_id",
        &[List],
        Reads,
        LISTED_DRIFT,
        ENTERPRISE_DRIFT,
    ),
    cell("body region_id", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body instance_id",
        WRITES,
        Sends,
        "`spec.target.instanceId`, for swr-pro-internal alone",
        LIFE,
    ),
    cell(
        "body instance_id",
        &[List],
        Reads,
        LISTED_DRIFT,
        ENTERPRISE_DRIFT,
    ),
    cell("body instance_id", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell("body url", WRITES, Sends, "`spec.url`", LIFE),
    cell(
        "body url",
        &[List],
        Reads,
        "compared without trailing slashes, scheme and host in any case",
        ANSWERS,
    ),
    cell("body url", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body credential.type",
        WRITES,
        Sends,
        "always `basic`",
        LIFE,
    ),
    cell(
        "body credential.type",
        &[List, Show],
        Not,
        "there is only one, and every update sends it",
        "",
    ),
    cell(
        "body credential.access_key",
        WRITES,
        Sends,
        "from the Secret",
        LIFE,
    ),
    cell(
        "body credential.access_key",
        &[List],
        Reads,
        "as a fingerprint; another key is put back",
        HARBOR_DRIFT,
    ),
    cell(
        "body credential.access_key",
        &[Show],
        Reads,
        SHOWN_DRIFT,
        WHOLE,
    ),
    cell(
        "body credential.access_secret",
        WRITES,
        Sends,
        "from the Secret, with every update",
        LIFE,
    ),
    cell(
        "body credential.access_secret",
        &[List, Show],
        Not,
        "skipped unread, whether SWR gives a mask, nothing or the secret; it is never sent back nor logged",
        ANSWERS,
    ),
    cell(
        "body dns_conf.hosts",
        WRITES,
        Sends,
        "for swr-pro, if there are any; leaving it out takes all away",
        UNLISTED,
    ),
    cell(
        "body dns_conf.hosts",
        &[List],
        Reads,
        "if SWR lists it; absent is no difference, nor is another order",
        HARBOR_DRIFT,
    ),
    cell("body dns_conf.hosts", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body insecure",
        WRITES,
        Sends,
        "true and false, always",
        LIFE,
    ),
    cell("body insecure", &[List], Reads, LISTED_DRIFT, HARBOR_DRIFT),
    cell("body insecure", &[Show], Reads, SHOWN_DRIFT, WHOLE),
    cell(
        "body id",
        &[Create],
        Reads,
        "into `status.registryId`; a number or text; without it the tag finds the registry",
        ANSWERS,
    ),
    cell(
        "body id",
        &[List, Show],
        Reads,
        "says which registry it is; a SHOW of another id is no answer",
        "a_full_record_is_read_and_its_secret_is_not",
    ),
    cell(
        "body status",
        &[List],
        Reads,
        "`healthy`, `unhealthy`, absent, or a word that nobody knows",
        STATUS,
    ),
    cell(
        "body status",
        &[Show],
        Reads,
        "the same",
        "a_full_record_is_read_and_its_secret_is_not",
    ),
    cell(
        "body created_at",
        &[List, Show],
        Not,
        "skipped unread; `status.createdAt` is the time of the answer to the create",
        "",
    ),
    cell(
        "body updated_at",
        &[List],
        Reads,
        "as text of any format, into `status.observed.updatedAt`; after a change that nothing else explains everything is sent again",
        STATUS,
    ),
    cell(
        "body updated_at",
        &[Show],
        Reads,
        "the same",
        "a_full_record_is_read_and_its_secret_is_not",
    ),
    cell(
        "answer registries",
        &[List],
        Reads,
        "null is none; what has no such field is no list",
        "a_list_of_nothing_is_told_in_several_ways",
    ),
    cell(
        "answer total",
        &[List],
        Reads,
        "may be missing, or count one page; more than was given is no whole list",
        ANSWERS,
    ),
    cell(
        "error error_code",
        &ALL,
        Reads,
        "in all five shapes of an error, into the condition's message",
        ERRORS,
    ),
    cell(
        "error error_msg",
        &ALL,
        Reads,
        "into the log, cut and without secrets; tells apart what status and code leave open",
        ERRORS,
    ),
    cell(
        "error encoded_authorization_message",
        &ALL,
        Not,
        "skipped unread: it tells an administrator nothing without IAM; it comes neither to status nor to log",
        ERRORS,
    ),
    cell(
        "header X-Request-Id",
        &ALL,
        Reads,
        "into the log, never into the status",
        ERRORS,
    ),
    cell(
        "status 200",
        &ALL,
        Reads,
        "done; an empty body is as good as `{}` for update and delete",
        ANSWERS,
    ),
    cell("status 201", &[Create], Reads, "created", LIFE),
    cell("status 202", &[Create], Reads, "the same as 201", ANSWERS),
    cell("status 204", &[Update, Delete], Reads, "done", ANSWERS),
    cell(
        "status 400",
        &ALL,
        Reads,
        "by its text: name taken, quota, target, in use, not running; else the spec is wrong",
        CLASSES,
    ),
    cell(
        "status 401",
        &[Create],
        Reads,
        "the key is refused",
        "a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end",
    ),
    cell(
        "status 401",
        &[List],
        Reads,
        "the key is refused",
        "a_list_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 401",
        &[Show],
        Reads,
        "the key is refused",
        "a_show_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 401",
        &[Update],
        Reads,
        "the key is refused",
        "an_update_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 401",
        &[Delete],
        Reads,
        "the key is refused",
        "a_delete_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 403",
        &ALL,
        Reads,
        "the message names the permission that is missing",
        ERRORS,
    ),
    cell(
        "status 404",
        &[Create, List],
        Reads,
        "of the instance or the API, never of a registry",
        "no_answer_to_a_list_or_a_create_says_that_a_registry_is_gone",
    ),
    cell(
        "status 404",
        WITH_ID,
        Reads,
        "gone, if the code is SWR's and a later list confirms it",
        "a_registry_that_somebody_deleted",
    ),
    cell(
        "status 409",
        &[Create],
        Reads,
        "the name is taken",
        "one_that_only_the_create_meets_is_a_conflict",
    ),
    cell(
        "status 409",
        &[Update],
        Reads,
        "the name is taken",
        "a_rename_to_a_taken_name_is_a_conflict",
    ),
    cell(
        "status 409",
        &[Delete],
        Reads,
        "something uses the registry",
        IN_USE,
    ),
    cell(
        "status 412",
        &[Delete],
        Reads,
        "something uses the registry",
        IN_USE,
    ),
    cell(
        "status 429",
        &[Create],
        Reads,
        "the account slows down; `Retry-After` counts, up to 15 minutes",
        "a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end",
    ),
    cell(
        "status 429",
        &[List],
        Reads,
        "the same",
        "a_list_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 429",
        &[Show],
        Reads,
        "the same",
        "a_show_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 429",
        &[Update],
        Reads,
        "the same",
        "an_update_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 429",
        &[Delete],
        Reads,
        "the same",
        "a_delete_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 500, 502, 503",
        &[Create],
        Reads,
        "nobody can tell whether it was created: settle, list, and only then create",
        "a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end",
    ),
    cell(
        "status 500, 502, 503",
        &[List],
        Reads,
        "tried again later",
        "a_list_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 500, 502, 503",
        &[Show],
        Reads,
        "tried again later",
        "a_show_in_trouble_is_reported_and_nothing_is_written",
    ),
    cell(
        "status 500, 502, 503",
        &[Update],
        Reads,
        "read before it is sent again",
        "an_update_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 500, 502, 503",
        &[Delete],
        Reads,
        "read before it is sent again",
        "a_delete_in_trouble_is_reported_and_made_in_the_end",
    ),
    cell(
        "status 504",
        &[Create, Update, Delete],
        Reads,
        "as 500: it may have been carried out",
        ANSWERS,
    ),
    cell(
        "status 504",
        &[List, Show],
        Reads,
        "tried again later",
        CLASSES,
    ),
];
