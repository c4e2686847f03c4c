//! Name and value -> how SWR behaves where its documents are silent. Must not know what the behaviours do.
//!
//! Rows of the table in the contract (reference `swr-api.md`, 8.2) are named by their number. A value is one of the
//! words listed for its type, or a number; `Switches::default()` is what the simulator does out of the box. Rows 1, 4,
//! 42 and 50 have no other answer; row 51 (HTTP/2, gzip) is left out.

use std::fmt;

use serde_json::{Map, Value, json};

/// A behaviour that can be chosen by a word.
trait Setting: Sized {
    fn allowed() -> String;
    fn parse(word: &str) -> Option<Self>;
    fn show(&self) -> Value;
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$note])* $variant,)+ }

        impl $name {
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Setting for $name {
            fn allowed() -> String {
                [$($word),+].join(", ")
            }

            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }

            fn show(&self) -> Value {
                Value::from(self.word())
            }
        }
    )+};
}

/// A time in milliseconds, from 0 to ten minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub u32);

impl Millis {
    // Longer lags would need the history of a registry to be kept longer; nothing real takes ten minutes.
    const MAX: u32 = 600_000;
}

impl Setting for Millis {
    fn allowed() -> String {
        format!("a number of milliseconds from 0 to {}", Self::MAX)
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse()
            .ok()
            .filter(|millis| *millis <= Self::MAX)
            .map(Self)
    }

    fn show(&self) -> Value {
        Value::from(self.0)
    }
}

/// A time in seconds; 0 leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u32);

impl Setting for Seconds {
    fn allowed() -> String {
        format!("a number of seconds from 1 to {}, or 0", u32::MAX)
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok().map(Self)
    }

    fn show(&self) -> Value {
        Value::from(self.0)
    }
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

impl Setting for Count {
    fn allowed() -> String {
        format!("a whole number from 0 to {}", u32::MAX)
    }

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok().map(Self)
    }

    fn show(&self) -> Value {
        Value::from(self.0)
    }
}

words! {
    CreateStatus { Ok = "200", Created = "201", Accepted = "202", }
    CreateReply {
        Id = "id",
        /// `{}`: the client has to look the registry up by name.
        WithoutId = "without_id",
        Empty = "empty",
    }
    WriteReply {
        /// 200 with `Content-Length: 0`.
        Empty = "empty",
        /// 200 with `{}`.
        Object = "object",
        NoContent = "204",
    }
    SecretEcho {
        /// `*****`
        Mask = "mask",
        /// `******`
        OtherMask = "other_mask",
        Plain = "plain",
        Empty = "empty",
        Absent = "absent",
    }
    ProjectIdEcho { Show = "show", ShowAndList = "show_and_list", Absent = "absent", }
    DnsConfEcho {
        Show = "show",
        ShowAndList = "show_and_list",
        /// `{"hosts":{}}` whatever is stored.
        EmptyHosts = "empty_hosts",
        Null = "null",
        Absent = "absent",
    }
    /// How a text that is not set comes back.
    Unset { Empty = "empty", Null = "null", Absent = "absent", }
    DuplicateName {
        Conflict = "409",
        /// 400 `SVCSTG.SWR.4000014` with a text that says so.
        BadRequest = "400",
        ServerError = "500",
        Allowed = "allowed",
    }
    ConnectionTest {
        Off = "off",
        /// 400 "the registry is unhealthy", nothing stored.
        Refuse = "refuse",
        /// Passes, after `connection_test_millis`.
        Slow = "slow",
        /// Stored, with `status` `unhealthy`.
        MarkUnhealthy = "mark_unhealthy",
    }
    NewStatus {
        Healthy = "healthy",
        /// Unhealthy for `status_millis`, then healthy.
        UnhealthyFirst = "unhealthy_first",
        /// Changes each `status_millis`, beginning with healthy.
        Flipping = "flipping",
        Absent = "absent",
    }
    PutSemantics {
        /// An optional field that is absent is cleared.
        Replace = "replace",
        /// It is kept.
        Merge = "merge",
    }
    MaskInPut {
        /// The mask becomes the secret: replication breaks.
        Stored = "stored",
        Refused = "refused",
        Kept = "kept",
    }
    TypeChange { Refused = "refused", Accepted = "accepted", Ignored = "ignored", }
    Verdict { Accepted = "accepted", Refused = "refused", }
    Strictness { Ignored = "ignored", Refused = "refused", }
    OnOff { On = "on", Off = "off", }
    InsecureFalse {
        Refused = "refused",
        Accepted = "accepted",
        /// Stored as true: a difference that no PUT can mend.
        Coerced = "coerced",
    }
    ForeignDnsConf { Ignored = "ignored", Refused = "refused", Stored = "stored", }
    NameRule {
        /// Han characters, ASCII letters, digits, `_`, `-`; 1 to 64 characters.
        Han = "han",
        /// The same without Han characters.
        Ascii = "ascii",
        /// As `han`, but at most 64 bytes.
        HanBytes = "han_bytes",
    }
    UrlRule {
        /// Trailing slashes go; `http://` is put in front when there is no scheme.
        TrimSlash = "trim_slash",
        AsSent = "as_sent",
        /// As `trim_slash`, but 400 without a scheme.
        SchemeRequired = "scheme_required",
        /// As `trim_slash`, and the host becomes lower case.
        LowerHost = "lower_host",
    }
    UnknownId {
        NotFound = "404",
        /// `SWR.400003`
        BadRequest = "400",
    }
    UnknownIdOnDelete { NotFound = "404", BadRequest = "400", Ok = "200", }
    DeleteInUse {
        PreconditionFailed = "412",
        BadRequest = "400",
        Conflict = "409",
        Forbidden = "403",
        ServerError = "500",
        /// Deleted; the policy is left dangling.
        Allowed = "allowed",
    }
    UnknownInstance {
        NotFound = "404",
        /// Hides whether it exists.
        Forbidden = "403",
    }
    InstanceNotRunning {
        BadRequest = "400",
        ServerError = "500",
        Unavailable = "503",
        Works = "works",
    }
    NameFilter { Contains = "contains", ContainsIgnoringCase = "contains_ignoring_case", }
    PagingErrors {
        Refused = "refused",
        /// To the nearest thing allowed: limit 100, offset down to a multiple, the default for a missing one.
        Clamped = "clamped",
        /// Both parameters are dropped: offset 0, limit 10.
        Ignored = "ignored",
    }
    ListOrder {
        Stable = "stable",
        /// Registries of one second come in another order with each request: pages drift.
        Unstable = "unstable",
    }
    ListTotal {
        All = "all",
        /// The count of this page only.
        Page = "page",
    }
    LostReply {
        None = "none",
        /// A write is stored, then the connection closes.
        Close = "close",
        /// A write is stored, then 504 `APIGW.0201`.
        GatewayTimeout = "504",
        /// A write is stored, then nothing comes.
        Hang = "hang",
    }
    TimeFormat {
        /// `2025-11-04T08:00:00.000Z`
        Rfc3339 = "rfc3339",
        /// `2025-11-04 08:00:00`
        NoZone = "no_zone",
        /// `1762243200`, as a string.
        Epoch = "epoch",
    }
    UpdatedAt {
        /// Each PUT moves it, a change of health does not.
        Put = "put",
        /// A change of health moves it, a PUT that changes nothing does not.
        Health = "health",
    }
    IdStyle {
        /// 1, 2, 3...
        Small = "small",
        /// Above 2^31.
        Large = "large",
        /// As a JSON string.
        Text = "string",
    }
    QuotaReply { BadRequest = "400", Forbidden = "403", Throttled = "429", Off = "off", }
    GatewayPrefix { Apigw = "APIGW", Apig = "APIG", }
    TokenError {
        /// 401 `APIGW.0307`
        Gateway = "gateway",
        /// 401 `SVCSTG.SWR.4010000`
        Service = "service",
    }
    MetadataToken {
        Issued = "issued",
        NotFound = "404",
        NotAllowed = "405",
        Unavailable = "503",
    }
    /// Every spelling that Huawei's SDK reads.
    PodIdentityReply {
        /// `{"credential":{"access":...}}`, as of old IAM.
        Credential = "credential",
        /// `{"credentials":{"access_key_id":...}}`, as of STS.
        Credentials = "credentials",
        /// `{"accessKeyId":...}`
        Flat = "flat",
    }
    Deny {
        None = "none",
        Create = "create",
        List = "list",
        Show = "show",
        Update = "update",
        Delete = "delete",
        /// State and statistics of an instance, not its registries.
        Instance = "instance",
        /// Everything that changes a registry.
        Writes = "writes",
        All = "all",
    }
    DeniedReply {
        /// The documented body with `encoded_authorization_message`.
        Full = "full",
        /// `APIGW.0302`
        Gateway = "gateway",
        /// The bare array of the old SWR.
        Array = "array",
    }
    EnterpriseEdition {
        Offered = "offered",
        /// The feature gate is off, and every other API refuses.
        NotOffered = "not_offered",
    }
    ProjectMismatch { Forbidden = "403", Ignored = "ignored", }
    Throttle { Off = "off", Writes = "writes", All = "all", }
    Presence { Present = "present", Absent = "absent", }
    Counting { Counted = "counted", NotCounted = "not_counted", }
    PathSlashes { Refused = "refused", Accepted = "accepted", }
    WrongPath {
        /// 404 `APIGW.0101`
        Gateway = "gateway",
        Html = "html",
    }
    DescriptionLimit {
        None = "none",
        /// 400 above 255 characters.
        Refused = "refused",
        /// Cut to 255 characters.
        Truncated = "truncated",
    }
    DescriptionNewlines {
        Kept = "kept",
        /// Each becomes a space.
        Space = "space",
    }
    DescriptionBlanks {
        Kept = "kept",
        /// Those at the end go.
        Trimmed = "trimmed",
    }
    Projects {
        One = "one",
        /// The region has no project.
        None = "none",
        /// Two projects answer to the name.
        Two = "two",
    }
}

macro_rules! switches {
    ($($(#[doc = $about:literal])+ $name:ident: $kind:ident = $default:expr,)+) => {
        /// Every choice, each with its own type.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Switches { $($(#[doc = $about])+ pub $name: $kind,)+ }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Switches {
            /// One row per switch: name, what it decides, the values it takes.
            pub fn table() -> Vec<Row> {
                vec![$(Row {
                    name: stringify!($name),
                    about: concat!($($about),+).trim(),
                    allowed: <$kind as Setting>::allowed(),
                },)+]
            }

            /// Sets one switch from words, as in `--switch NAME=VALUE`.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), UnknownSwitch> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$kind as Setting>::parse(value).ok_or_else(|| UnknownSwitch::Value {
                            name: stringify!($name),
                            value: value.to_owned(),
                            allowed: <$kind as Setting>::allowed(),
                        })?;
                    })+
                    _ => return Err(UnknownSwitch::Name(name.to_owned())),
                }
                Ok(())
            }

            /// All switches with their values.
            pub fn to_json(&self) -> Value {
                let mut all = Map::new();
                $(all.insert(stringify!($name).to_owned(), self.$name.show());)+
                Value::Object(all)
            }
        }
    };
}

switches! {
    /// 2: status of a create that succeeds.
    create_status: CreateStatus = CreateStatus::Created,
    /// 2: body of that reply.
    create_reply: CreateReply = CreateReply::Id,
    /// 3: reply of an update or delete that succeeds.
    write_reply: WriteReply = WriteReply::Empty,
    /// 5: `access_secret` on GET and list.
    secret_echo: SecretEcho = SecretEcho::Mask,
    /// 6: where the target's `project_id` comes back.
    project_id_echo: ProjectIdEcho = ProjectIdEcho::Show,
    /// 7: where and how `dns_conf` comes back.
    dns_conf_echo: DnsConfEcho = DnsConfEcho::Show,
    /// 8: an empty description.
    empty_description: Unset = Unset::Empty,
    /// 9: `region_id` and `instance_id` of a registry that has none.
    empty_target_ids: Unset = Unset::Absent,
    /// 10, 11: a name that the instance already has, on create and on rename.
    duplicate_name: DuplicateName = DuplicateName::Conflict,
    /// 12: connection test at create and update.
    connection_test: ConnectionTest = ConnectionTest::Off,
    /// 12: how long a slow test takes.
    connection_test_millis: Millis = Millis(10_000),
    /// 13: `status` of a new registry.
    new_status: NewStatus = NewStatus::Healthy,
    /// 13: after how long it changes.
    status_millis: Millis = Millis(5_000),
    /// 14: what an absent optional field of a PUT means.
    put_semantics: PutSemantics = PutSemantics::Replace,
    /// 15: a PUT whose `access_secret` is the mask.
    mask_in_put: MaskInPut = MaskInPut::Stored,
    /// 16: a PUT with another `type`.
    type_change: TypeChange = TypeChange::Refused,
    /// 17: JSON null for an optional field; accepted means absent.
    null_fields: Verdict = Verdict::Accepted,
    /// 18: fields that no document knows.
    unknown_fields: Strictness = Strictness::Ignored,
    /// 19: whether swr-pro-internal must name project, region and instance of the target.
    enforce_internal_ids: OnOff = OnOff::On,
    /// 20: `insecure: false` for swr-pro-internal.
    insecure_false_internal: InsecureFalse = InsecureFalse::Refused,
    /// 21: no `dns_conf` for swr-pro.
    missing_dns_conf: Verdict = Verdict::Accepted,
    /// 22: `dns_conf` for another type.
    foreign_dns_conf: ForeignDnsConf = ForeignDnsConf::Ignored,
    /// 23: what a name may be.
    name_rule: NameRule = NameRule::Han,
    /// 24: what becomes of the url.
    url_rule: UrlRule = UrlRule::TrimSlash,
    /// 25: GET or PUT of a registry that is not there.
    unknown_id: UnknownId = UnknownId::NotFound,
    /// 26: DELETE of a registry that is not there.
    unknown_id_on_delete: UnknownIdOnDelete = UnknownIdOnDelete::NotFound,
    /// 27: DELETE of a registry that a replication policy uses.
    delete_in_use: DeleteInUse = DeleteInUse::PreconditionFailed,
    /// 28: an instance that is not there.
    unknown_instance: UnknownInstance = UnknownInstance::NotFound,
    /// 29: registries of an instance that is not `Running`.
    instance_not_running: InstanceNotRunning = InstanceNotRunning::BadRequest,
    /// 30: the name filter of a list.
    name_filter: NameFilter = NameFilter::Contains,
    /// 31: offset and limit that break the documented rules.
    paging_errors: PagingErrors = PagingErrors::Refused,
    /// 32: order of registries made at the same time.
    list_order: ListOrder = ListOrder::Stable,
    /// 33: `order_type` without `order_column`.
    lone_order_type: Strictness = Strictness::Refused,
    /// 34: what `total` counts.
    list_total: ListTotal = ListTotal::All,
    /// 35: how long a GET answers 404 after a create.
    show_lag_after_create_millis: Millis = Millis(0),
    /// 35: how long a GET answers the old body after a PUT.
    show_lag_after_update_millis: Millis = Millis(0),
    /// 35: how far a list lags behind creates and updates.
    list_lag_millis: Millis = Millis(0),
    /// 35: how long a list still shows what was deleted.
    list_lag_after_delete_millis: Millis = Millis(0),
    /// 36: the reply of a write that succeeds is lost.
    lost_reply: LostReply = LostReply::None,
    /// 37: format of times.
    time_format: TimeFormat = TimeFormat::Rfc3339,
    /// 38: what moves `updated_at`.
    updated_at: UpdatedAt = UpdatedAt::Put,
    /// 39: ids of registries.
    id_style: IdStyle = IdStyle::Small,
    /// 40: a create above the quota.
    quota_reply: QuotaReply = QuotaReply::BadRequest,
    /// 40: registries that an instance may have.
    registry_quota: Count = Count(1_000),
    /// 41: prefix of the gateway's codes.
    gateway_prefix: GatewayPrefix = GatewayPrefix::Apigw,
    /// 41: five failures in a row lock the access key for five minutes (documented for the gateway).
    access_key_lock: OnOff = OnOff::Off,
    /// 42: how far the cloud's clock is ahead of this machine's.
    clock_ahead_minutes: Count = Count(0),
    /// 43: an expired token.
    token_error: TokenError = TokenError::Gateway,
    /// 43: how long everything issued from now on is valid: tokens, temporary keys, tokens of the metadata service. 0:
    /// as documented, or as asked for.
    credential_ttl_seconds: Seconds = Seconds(0),
    /// The metadata service's answer to a request for a token; all but `issued` are the old service, which knows none.
    metadata_token: MetadataToken = MetadataToken::Issued,
    /// Whether the ECS has an agency.
    ecs_agency: Presence = Presence::Present,
    /// The form of temporary keys of Pod Identity.
    pod_identity_reply: PodIdentityReply = PodIdentityReply::Credential,
    /// Whether the region offers instances to the project.
    enterprise_edition: EnterpriseEdition = EnterpriseEdition::Offered,
    /// 44: operations the caller has no permission for.
    deny: Deny = Deny::None,
    /// 44: how that is said.
    denied_reply: DeniedReply = DeniedReply::Full,
    /// 45: `X-Project-Id` differs from the project in the path.
    project_mismatch: ProjectMismatch = ProjectMismatch::Forbidden,
    /// 46: which requests are throttled.
    throttle: Throttle = Throttle::Off,
    /// 46: how many requests pass within the window.
    throttle_requests: Count = Count(10),
    /// 46: the window.
    throttle_window_millis: Millis = Millis(60_000),
    /// 46: Retry-After on a 429.
    retry_after: Presence = Presence::Absent,
    /// 46: whether a request that got a 429 counts against the limit.
    throttled_requests: Counting = Counting::NotCounted,
    /// 47: the header X-Request-Id.
    request_id_header: Presence = Presence::Present,
    /// 48: a trailing or doubled slash in the path.
    path_slashes: PathSlashes = PathSlashes::Refused,
    /// 49: a path that no API is published for.
    wrong_path: WrongPath = WrongPath::Gateway,
    /// Longest description.
    description_limit: DescriptionLimit = DescriptionLimit::None,
    /// Newlines in a description.
    description_newlines: DescriptionNewlines = DescriptionNewlines::Kept,
    /// Blanks at the end of a description.
    description_blanks: DescriptionBlanks = DescriptionBlanks::Kept,
    /// `[` or `]` in a description.
    description_brackets: Verdict = Verdict::Accepted,
    /// Projects that IAM finds by the region's name.
    projects: Projects = Projects::One,
}

/// One switch, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub allowed: String,
}

/// A switch or a value that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownSwitch {
    Name(String),
    Value {
        name: &'static str,
        value: String,
        allowed: String,
    },
    /// Not of the form NAME=VALUE, or no JSON object of words and numbers.
    Form(String),
}

impl fmt::Display for UnknownSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                let names: Vec<_> = Switches::table().iter().map(|row| row.name).collect();
                write!(
                    f,
                    "there is no switch {name:?}; the switches are {}",
                    names.join(", ")
                )
            }
            Self::Value {
                name,
                value,
                allowed,
            } => write!(
                f,
                "switch {name} does not take {value:?}; it takes {allowed}"
            ),
            Self::Form(found) => write!(
                f,
                "a switch is given as NAME=VALUE or {{\"NAME\": VALUE}}, not {found}"
            ),
        }
    }
}

impl std::error::Error for UnknownSwitch {}

impl Switches {
    /// Sets one switch from `NAME=VALUE`.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), UnknownSwitch> {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| UnknownSwitch::Form(format!("{pair:?}")))?;
        self.set(name, value)
    }

    /// Sets the switches that the JSON object names and leaves the others; nothing is set when one of them is unknown.
    pub fn set_json(&mut self, named: &Value) -> Result<(), UnknownSwitch> {
        let mut next = self.clone();
        let named = named
            .as_object()
            .ok_or_else(|| UnknownSwitch::Form(named.to_string()))?;
        for (name, value) in named {
            let word = match value {
                Value::String(word) => word.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(UnknownSwitch::Form(json!({name: value}).to_string()));
                }
            };
            next.set(name, &word)?;
        }
        *self = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of the switch can be set and is what `to_json` then shows.
    #[test]
    fn every_word_of_every_switch_is_taken_and_shown() {
        for row in Switches::table() {
            let words: Vec<&str> = if row.allowed.starts_with("a ") {
                vec!["0", "7", "600000"]
            } else {
                row.allowed.split(", ").collect()
            };
            for word in words {
                let mut switches = Switches::default();
                switches.set_pair(&format!("{}={word}", row.name)).unwrap();
                let shown = &switches.to_json()[row.name];
                let shown = shown
                    .as_str()
                    .map_or_else(|| shown.to_string(), str::to_owned);
                assert_eq!(shown, word, "{}", row.name);
            }
        }
    }

    #[test]
    fn json_of_the_defaults_sets_the_defaults() {
        let mut switches = Switches::default();
        switches.set("create_status", "202").unwrap();
        switches.set_json(&Switches::default().to_json()).unwrap();
        assert_eq!(switches, Switches::default());
    }

    fn check(named: &Value, complaint: &str) {
        let mut switches = Switches::default();
        assert_eq!(switches.set_json(named).unwrap_err().to_string(), complaint);
        assert_eq!(switches, Switches::default(), "nothing is set by halves");
    }

    #[test]
    fn unknown_values_are_refused_with_the_words_allowed() {
        check(
            &json!({"create_status": "202", "write_reply": "none"}),
            "switch write_reply does not take \"none\"; it takes empty, object, 204",
        );
        check(
            &json!({"list_lag_millis": 600_001}),
            "switch list_lag_millis does not take \"600001\"; it takes a number of milliseconds from 0 to 600000",
        );
        check(
            &json!({"create_status": true}),
            "a switch is given as NAME=VALUE or {\"NAME\": VALUE}, not {\"create_status\":true}",
        );
    }

    #[test]
    fn unknown_names_are_refused_with_the_names_that_exist() {
        let complaint = Switches::default()
            .set_pair("colour=red")
            .unwrap_err()
            .to_string();
        assert!(
            complaint.starts_with(
                "there is no switch \"colour\"; the switches are create_status, create_reply, "
            ),
            "{complaint}"
        );
    }
}
