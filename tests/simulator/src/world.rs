//! Request and time -> reply: the state of the cloud. Must not know sockets, clocks, faults or the journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::body::Draft;
use crate::iam::{Iam, Trust, User, without_secrets};
use crate::listing::{Listing, Page};
use crate::message::{Delivery, Reply, Request};
use crate::refusal::Refusal;
use crate::registry::{Health, Record, Registry, View, format_time, id_value, mask};
use crate::route::{Call, UNKNOWN_OPERATION};
use crate::sign::{Keys, hex_sha256};
use crate::switches::{
    ConnectionTest, Counting, CreateReply, CreateStatus, DeleteInUse, Deny, DuplicateName,
    EnterpriseEdition, IdStyle, InstanceNotRunning, ListTotal, LostReply, MaskInPut, Presence,
    ProjectMismatch, PutSemantics, QuotaReply, Switches, Throttle, TypeChange, UnknownId,
    UnknownIdOnDelete, UnknownInstance, UpdatedAt, WriteReply, WrongPath,
};

pub mod console;

pub const RUNNING: &str = "Running";
/// The states that an instance can be in.
pub const INSTANCE_STATUSES: [&str; 4] = ["Initial", "Creating", RUNNING, "Unavailable"];

// An id that a 32-bit number cannot hold.
const LARGE_ID: i64 = 3_000_000_000;

/// What an instance of SWR Enterprise holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Instance {
    pub status: String,
    /// Registries that replication policies refer to.
    pub used_by_policies: BTreeSet<i64>,
    created_at: Timestamp,
    records: BTreeMap<i64, Record>,
    last_id: i64,
}

impl Instance {
    fn new(now: Timestamp) -> Self {
        Self {
            status: RUNNING.to_owned(),
            used_by_policies: BTreeSet::new(),
            created_at: now,
            records: BTreeMap::new(),
            last_id: 0,
        }
    }

    fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.records.values().filter_map(Record::current)
    }

    fn registry(&self, id: i64) -> Option<&Registry> {
        self.records.get(&id)?.current()
    }

    fn next_id(&self, style: IdStyle) -> i64 {
        match style {
            IdStyle::Small | IdStyle::Text => self.last_id + 1,
            IdStyle::Large => self.last_id.max(LARGE_ID) + 1,
        }
    }

    fn insert(&mut self, registry: Registry) {
        self.last_id = registry.id;
        self.records.insert(registry.id, Record::new(registry));
    }

    /// `None` deletes.
    fn set(&mut self, id: i64, registry: Option<Registry>, switches: &Switches, now: Timestamp) {
        let deletes = registry.is_none();
        if let Some(record) = self.records.get_mut(&id) {
            record.set(registry, now);
            record.forget(switches, now);
        }
        if deletes {
            self.records
                .retain(|_, record| record.forget(switches, now));
        }
    }
}

/// Everything the simulator knows. It is a value: cloning it forks the cloud.
#[derive(Clone, PartialEq, Eq)]
pub struct World {
    pub switches: Switches,
    pub iam: Iam,
    region: String,
    project: String,
    instances: BTreeMap<String, Instance>,
    /// Requests answered so far.
    turn: u64,
    /// Times of requests that count against the limit.
    counted: VecDeque<Timestamp>,
}

/// What the account looks like at the start.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub region: String,
    pub project: String,
    pub instances: Vec<String>,
    pub keys: Keys,
    pub user: Option<User>,
    pub trust: Trust,
}

impl World {
    pub fn new(account: Account, switches: Switches, now: Timestamp) -> Self {
        let Account {
            region,
            project,
            instances,
            keys,
            user,
            trust,
        } = account;
        Self {
            switches,
            iam: Iam::new(keys, user, trust, region.clone(), project.clone()),
            region,
            project,
            instances: instances
                .into_iter()
                .map(|id| (id, Instance::new(now)))
                .collect(),
            turn: 0,
            counted: VecDeque::new(),
        }
    }

    /// The operation and the instance that a request is for, whether or not it will be let through.
    pub fn destination(&self, request: &Request) -> (&'static str, Option<String>) {
        match Call::from_request(request, self.switches.path_slashes) {
            Some(call) => (call.operation(), call.instance().map(str::to_owned)),
            None => (UNKNOWN_OPERATION, None),
        }
    }

    /// The request as the journal may show it: who proves who he is does not find the proof there.
    pub fn noted(&self, request: &Request) -> Request {
        let mut noted = request.clone();
        if let Some(Call::Identity(_)) = Call::from_request(request, self.switches.path_slashes) {
            noted.body = without_secrets(&request.body);
        }
        noted
    }

    /// Gateway and service in one: checks who asks, then does what is asked.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Reply {
        let ahead = SignedDuration::from_mins(i64::from(self.switches.clock_ahead_minutes.0));
        let now = now.saturating_add(ahead).unwrap_or(now);
        let mut reply = self.reply(|world, now| world.pass_gateway(request, now), now);
        if !ahead.is_zero()
            && let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
        {
            reply = reply.with_header("date", &date);
        }
        if ["/v3/", "/v3.0/"]
            .iter()
            .any(|its| request.path.starts_with(its))
        {
            // IAM names its requests by a header of its own.
            let trace = hex_sha256(format!("trace {}", self.turn).as_bytes());
            return reply.with_header("x-iam-trace-id", &trace[..32]);
        }
        reply
    }

    /// The service alone, for callers that model requests and not signatures.
    pub fn serve(&mut self, call: &Call, request: &Request, now: Timestamp) -> Reply {
        self.reply(|world, now| world.dispatch(call, request, now), now)
    }

    /// A refusal that no request of the world led to, such as a scripted fault.
    pub fn refuse(&mut self, refusal: Refusal, now: Timestamp) -> Reply {
        self.reply(|_, _| Err(refusal), now)
    }

    fn reply(
        &mut self,
        answer: impl FnOnce(&mut Self, Timestamp) -> Result<Reply, Refusal>,
        now: Timestamp,
    ) -> Reply {
        self.turn += 1;
        let request_id = hex_sha256(format!("request {}", self.turn).as_bytes())[..32].to_owned();
        // Times are stored as they are shown, in milliseconds.
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        let reply = answer(self, now).unwrap_or_else(|refusal| {
            refusal.render(
                &request_id,
                self.switches.gateway_prefix,
                self.switches.denied_reply,
            )
        });
        match self.switches.request_id_header {
            Presence::Present => reply.with_header("x-request-id", &request_id),
            Presence::Absent => reply,
        }
    }

    fn pass_gateway(&mut self, request: &Request, now: Timestamp) -> Result<Reply, Refusal> {
        let Some(call) = Call::from_request(request, self.switches.path_slashes) else {
            return Err(match self.switches.wrong_path {
                WrongPath::Gateway => Refusal::no_such_api(),
                WrongPath::Html => Refusal::Html { status: 404 },
            });
        };
        if call.is_authenticated() {
            self.iam.authenticate(request, &self.switches, now)?;
        }
        if let Some(project) = call.project() {
            self.throttle(&call, now)?;
            let named = request.header("x-project-id");
            let mismatch = named.is_some_and(|named| named != project);
            if mismatch && self.switches.project_mismatch == ProjectMismatch::Forbidden {
                return Err(Refusal::gateway(
                    403,
                    "0302",
                    "The project of X-Project-Id is not the project of the request",
                ));
            }
            if project != self.project {
                return Err(Refusal::gateway(403, "0310", "The project is unavailable"));
            }
        }
        if let Some(action) = call.action()
            && self.denies(&call)
        {
            return Err(Refusal::Denied { action });
        }
        self.dispatch(&call, request, now)
    }

    fn throttle(&mut self, call: &Call, now: Timestamp) -> Result<(), Refusal> {
        let limited = match self.switches.throttle {
            Throttle::Off => false,
            Throttle::Writes => call.is_write(),
            Throttle::All => true,
        };
        if !limited {
            return Ok(());
        }
        let window_millis = i64::from(self.switches.throttle_window_millis.0);
        while self
            .counted
            .front()
            .is_some_and(|time| now.as_millisecond() - time.as_millisecond() >= window_millis)
        {
            self.counted.pop_front();
        }
        let limit = self.switches.throttle_requests.0;
        if self.counted.len() < limit as usize {
            self.counted.push_back(now);
            return Ok(());
        }
        let first = self.counted.front().copied().unwrap_or(now);
        if self.switches.throttled_requests == Counting::Counted {
            // The oldest goes, so that the window stays bounded and yet never empties under constant pressure.
            self.counted.pop_front();
            self.counted.push_back(now);
        }
        let free_in = first.as_millisecond() + window_millis - now.as_millisecond();
        Err(Refusal::Throttled {
            limit,
            retry_after_secs: match self.switches.retry_after {
                Presence::Present => Some(free_in.unsigned_abs().div_ceil(1000).max(1)),
                Presence::Absent => None,
            },
        })
    }

    fn denies(&self, call: &Call) -> bool {
        if self.switches.enterprise_edition == EnterpriseEdition::NotOffered {
            return true;
        }
        match self.switches.deny {
            Deny::None => false,
            Deny::Create => matches!(call, Call::CreateRegistry { .. }),
            Deny::List => matches!(call, Call::ListRegistries { .. }),
            Deny::Show => matches!(call, Call::ShowRegistry { .. }),
            Deny::Update => matches!(call, Call::UpdateRegistry { .. }),
            Deny::Delete => matches!(call, Call::DeleteRegistry { .. }),
            Deny::Writes => call.is_write(),
            Deny::Instance => {
                matches!(call, Call::ShowInstance { .. } | Call::Statistics { .. })
            }
            Deny::All => true,
        }
    }

    fn dispatch(
        &mut self,
        call: &Call,
        request: &Request,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let reply = match call {
            Call::Identity(call) => self.iam.answer(*call, request, &self.switches, now),
            Call::ListInstances { .. } => self.list_instances(request),
            Call::ShowInstance { instance, .. } => self.show_instance(instance),
            Call::Statistics { instance, .. } => self.statistics(instance),
            Call::FeatureGates { .. } => Ok(self.feature_gates()),
            Call::CreateRegistry { instance, .. } => self.create(instance, request, now),
            Call::ListRegistries { instance, .. } => self.list(instance, request, now),
            Call::ShowRegistry { instance, id, .. } => self.show(instance, id, now),
            Call::UpdateRegistry { instance, id, .. } => self.update(instance, id, request, now),
            Call::DeleteRegistry { instance, id, .. } => self.delete(instance, id, now),
        }?;
        if call.is_write() {
            self.lose(reply)
        } else {
            Ok(reply)
        }
    }

    /// A write that succeeded, whose reply may not reach the client.
    fn lose(&self, reply: Reply) -> Result<Reply, Refusal> {
        match self.switches.lost_reply {
            LostReply::None => Ok(reply),
            LostReply::Close => Ok(Reply {
                delivery: Delivery::Close,
                ..reply
            }),
            LostReply::GatewayTimeout => Err(Refusal::gateway(504, "0201", "Backend timeout")),
            LostReply::Hang => Ok(Reply {
                delivery: Delivery::Hang,
                ..reply
            }),
        }
    }

    fn list_instances(&self, request: &Request) -> Result<Reply, Refusal> {
        let page =
            Page::of_instances(request, self.switches.paging_errors).map_err(Refusal::invalid)?;
        let status = request.parameter("status");
        let enterprise_project = request.parameter("enterprise_project_id");
        let instances: Vec<Value> = self
            .instances
            .iter()
            .filter(|(_, instance)| {
                status
                    .as_ref()
                    .is_none_or(|status| instance.status == *status)
            })
            .filter(|_| enterprise_project.as_ref().is_none_or(|id| id == "0"))
            .map(|(id, instance)| self.instance_seen(id, instance))
            .collect();
        let total = instances.len();
        Ok(Reply::json(
            200,
            &json!({"instances": page.cut(instances), "total": total}),
        ))
    }

    fn show_instance(&self, id: &str) -> Result<Reply, Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| self.no_such_instance(id))?;
        Ok(Reply::json(200, &self.instance_seen(id, instance)))
    }

    fn instance_seen(&self, id: &str, instance: &Instance) -> Value {
        let name = format!("registry-{}", id.get(..8).unwrap_or(id));
        let time = format_time(instance.created_at, self.switches.time_format);
        json!({
            "id": id,
            "name": name,
            "description": "",
            "spec": "swr.ee.professional",
            "version": "2.0",
            "charge_mode": "postPaid",
            "access_address": format!("{name}.swr-pro.{}.example.com", self.region),
            "created_at": time,
            "updated_at": time,
            "status": instance.status,
            "project_id": self.project,
            "enterprise_project_id": "0",
        })
    }

    fn statistics(&self, id: &str) -> Result<Reply, Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| self.no_such_instance(id))?;
        // As Harbor says that there is none.
        let quota = match self.switches.quota_reply {
            QuotaReply::Off => -1,
            QuotaReply::BadRequest | QuotaReply::Forbidden | QuotaReply::Throttled => {
                i64::from(self.switches.registry_quota.0)
            }
        };
        Ok(Reply::json(
            200,
            &json!({
                "replica_registry_quota": quota,
                "replica_registry_count": instance.registries().count(),
                "replica_policy_quota": 500,
                "replica_policy_count": instance.used_by_policies.len(),
            }),
        ))
    }

    fn feature_gates(&self) -> Reply {
        let is_offered = self.switches.enterprise_edition == EnterpriseEdition::Offered;
        let gates = json!({
            "enable_enterprise": is_offered,
            "cer_available": false,
            "enable_user_def_obs": true,
        });
        Reply::json(200, &gates)
    }

    fn no_such_instance(&self, id: &str) -> Refusal {
        match self.switches.unknown_instance {
            UnknownInstance::NotFound => {
                Refusal::service(404, "SWR.404000", format!("instance {id} not found"))
            }
            UnknownInstance::Forbidden => {
                Refusal::service(403, "SVCSTG.SWR.4030170", "Insufficient permissions")
            }
        }
    }

    /// The instance, when its registries can be used.
    fn running(&self, id: &str) -> Result<&Instance, Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| self.no_such_instance(id))?;
        let status = match self.switches.instance_not_running {
            _ if instance.status == RUNNING => return Ok(instance),
            InstanceNotRunning::Works => return Ok(instance),
            InstanceNotRunning::BadRequest => 400,
            InstanceNotRunning::ServerError => 500,
            InstanceNotRunning::Unavailable => 503,
        };
        let message = format!("instance {id} is {}", instance.status);
        Err(Refusal::service(status, "SWR.400100", message))
    }

    fn create(
        &mut self,
        instance_id: &str,
        request: &Request,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let instance = self.running(instance_id)?;
        let mut draft = Draft::parse(&request.body, &self.switches).map_err(Refusal::invalid)?;
        draft.settle(&self.switches).map_err(Refusal::invalid)?;
        self.check_unique(instance, &draft.name, None)?;
        self.check_quota(instance)?;
        let (thinks, health) = self.test_connection()?;
        let health = health.unwrap_or_else(|| Health::of_new(&self.switches, now));
        let id = instance.next_id(self.switches.id_style);
        self.insert(instance_id, Registry::new(id, draft, health, now));
        let status = match self.switches.create_status {
            CreateStatus::Ok => 200,
            CreateStatus::Created => 201,
            CreateStatus::Accepted => 202,
        };
        let reply = match self.switches.create_reply {
            CreateReply::Id => {
                Reply::json(status, &json!({"id": id_value(id, self.switches.id_style)}))
            }
            CreateReply::WithoutId => Reply::json(status, &json!({})),
            CreateReply::Empty => Reply::empty(status),
        };
        Ok(Reply { thinks, ..reply })
    }

    fn check_unique(
        &self,
        instance: &Instance,
        name: &str,
        own: Option<i64>,
    ) -> Result<(), Refusal> {
        let taken = || {
            instance
                .registries()
                .any(|its| its.name == name && Some(its.id) != own)
        };
        let (status, code) = match self.switches.duplicate_name {
            DuplicateName::Allowed => return Ok(()),
            DuplicateName::Conflict => (409, "SWR.409001"),
            DuplicateName::BadRequest => (400, "SVCSTG.SWR.4000014"),
            DuplicateName::ServerError => (500, "SVCSTG.SWR.5000001"),
        };
        if taken() {
            return Err(Refusal::service(
                status,
                code,
                format!("registry {name} already exists"),
            ));
        }
        Ok(())
    }

    fn check_quota(&self, instance: &Instance) -> Result<(), Refusal> {
        let status = match self.switches.quota_reply {
            QuotaReply::Off => return Ok(()),
            QuotaReply::BadRequest => 400,
            QuotaReply::Forbidden => 403,
            QuotaReply::Throttled => 429,
        };
        if instance.registries().count() < self.switches.registry_quota.0 as usize {
            return Ok(());
        }
        Err(Refusal::service(status, "SWR.400097", "quota exceeded"))
    }

    /// How long the test takes, and the health it leaves behind when it decides on one.
    fn test_connection(&self) -> Result<(Duration, Option<Health>), Refusal> {
        match self.switches.connection_test {
            ConnectionTest::Off => Ok((Duration::ZERO, None)),
            ConnectionTest::Refuse => Err(Refusal::service(
                400,
                "SWR.400101",
                "the registry is unhealthy",
            )),
            ConnectionTest::Slow => Ok((
                Duration::from_millis(u64::from(self.switches.connection_test_millis.0)),
                None,
            )),
            ConnectionTest::MarkUnhealthy => Ok((Duration::ZERO, Some(Health::unhealthy()))),
        }
    }

    fn list(&self, instance_id: &str, request: &Request, now: Timestamp) -> Result<Reply, Refusal> {
        let instance = self.running(instance_id)?;
        let listing = Listing::from_request(request, &self.switches).map_err(Refusal::invalid)?;
        let mut registries: Vec<&Registry> = instance
            .records
            .values()
            .filter_map(|record| record.listed(&self.switches, now))
            .filter(|registry| listing.matches(registry, self.switches.name_filter))
            .collect();
        listing.sort(&mut registries, &self.switches, now, self.turn);
        let all = registries.len();
        let page: Vec<Value> = listing
            .page
            .cut(registries)
            .into_iter()
            .map(|registry| registry.seen(View::List, &self.switches, now))
            .collect();
        let total = match self.switches.list_total {
            ListTotal::All => all,
            ListTotal::Page => page.len(),
        };
        Ok(Reply::json(
            200,
            &json!({"registries": page, "total": total}),
        ))
    }

    fn show(&self, instance_id: &str, id: &str, now: Timestamp) -> Result<Reply, Refusal> {
        let instance = self.running(instance_id)?;
        let id = parse_id(id)?;
        let registry = instance
            .records
            .get(&id)
            .and_then(|record| record.shown(&self.switches, now))
            .ok_or_else(|| self.no_such_registry(id))?;
        Ok(Reply::json(
            200,
            &registry.seen(View::Show, &self.switches, now),
        ))
    }

    fn no_such_registry(&self, id: i64) -> Refusal {
        match self.switches.unknown_id {
            UnknownId::NotFound => not_found(404, "SWR.404001", id),
            UnknownId::BadRequest => not_found(400, "SWR.400003", id),
        }
    }

    fn update(
        &mut self,
        instance_id: &str,
        id: &str,
        request: &Request,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let instance = self.running(instance_id)?;
        let id = parse_id(id)?;
        let old = instance
            .registry(id)
            .ok_or_else(|| self.no_such_registry(id))?;
        let mut draft = Draft::parse(&request.body, &self.switches).map_err(Refusal::invalid)?;
        if draft.kind != old.kind {
            match self.switches.type_change {
                TypeChange::Refused => return Err(Refusal::invalid("type cannot be changed")),
                TypeChange::Accepted => {}
                TypeChange::Ignored => draft.kind.clone_from(&old.kind),
            }
        }
        if self.switches.put_semantics == PutSemantics::Merge {
            keep_absent(&mut draft, old);
        }
        if mask(self.switches.secret_echo) == Some(draft.credential.access_secret.as_str()) {
            match self.switches.mask_in_put {
                MaskInPut::Stored => {}
                MaskInPut::Refused => {
                    return Err(Refusal::invalid("credential.access_secret is invalid"));
                }
                MaskInPut::Kept => draft
                    .credential
                    .access_secret
                    .clone_from(&old.credential.access_secret),
            }
        }
        draft.settle(&self.switches).map_err(Refusal::invalid)?;
        self.check_unique(instance, &draft.name, Some(id))?;
        let (thinks, health) = self.test_connection()?;
        let mut new = old.with_body(draft);
        let changed = new != *old;
        new.health = health.unwrap_or(new.health);
        match self.switches.updated_at {
            UpdatedAt::Health if !changed => {}
            UpdatedAt::Put | UpdatedAt::Health => new.updated_at = now,
        }
        self.set(instance_id, id, Some(new), now);
        Ok(Reply {
            thinks,
            ..self.written()
        })
    }

    fn delete(&mut self, instance_id: &str, id: &str, now: Timestamp) -> Result<Reply, Refusal> {
        let instance = self.running(instance_id)?;
        let id = parse_id(id)?;
        if instance.registry(id).is_none() {
            return match self.switches.unknown_id_on_delete {
                UnknownIdOnDelete::NotFound => Err(not_found(404, "SWR.404001", id)),
                UnknownIdOnDelete::BadRequest => Err(not_found(400, "SWR.400003", id)),
                UnknownIdOnDelete::Ok => Ok(self.written()),
            };
        }
        let in_use = match self.switches.delete_in_use {
            _ if !instance.used_by_policies.contains(&id) => None,
            DeleteInUse::Allowed => None,
            DeleteInUse::PreconditionFailed => Some((412, "SWR.412001")),
            DeleteInUse::BadRequest => Some((400, "SWR.400102")),
            DeleteInUse::Conflict => Some((409, "SWR.409002")),
            DeleteInUse::Forbidden => Some((403, "SWR.403001")),
            DeleteInUse::ServerError => Some((500, "SVCSTG.SWR.5000002")),
        };
        if let Some((status, code)) = in_use {
            let message = format!(
                "the registry {id} is referenced by replication policies, cannot delete it"
            );
            return Err(Refusal::service(status, code, message));
        }
        self.set(instance_id, id, None, now);
        Ok(self.written())
    }

    fn written(&self) -> Reply {
        match self.switches.write_reply {
            WriteReply::Empty => Reply::empty(200),
            WriteReply::Object => Reply::json(200, &json!({})),
            WriteReply::NoContent => Reply::empty(204),
        }
    }

    fn insert(&mut self, instance_id: &str, registry: Registry) {
        if let Some(instance) = self.instances.get_mut(instance_id) {
            instance.insert(registry);
        }
    }

    fn set(&mut self, instance_id: &str, id: i64, registry: Option<Registry>, now: Timestamp) {
        if let Some(instance) = self.instances.get_mut(instance_id) {
            instance.set(id, registry, &self.switches, now);
        }
    }
}

fn parse_id(text: &str) -> Result<i64, Refusal> {
    text.parse()
        .map_err(|_| Refusal::invalid("registry_id must be an integer"))
}

fn not_found(status: u16, code: &'static str, id: i64) -> Refusal {
    Refusal::service(status, code, format!("registry {id} not found"))
}

/// Fills the optional fields that the body left out with what is stored.
fn keep_absent(draft: &mut Draft, old: &Registry) {
    let keep = |field: &mut Option<String>, old: &Option<String>| {
        if field.is_none() {
            field.clone_from(old);
        }
    };
    keep(&mut draft.description, &Some(old.description.clone()));
    keep(&mut draft.project_id, &old.project_id);
    keep(&mut draft.region_id, &old.region_id);
    keep(&mut draft.instance_id, &old.instance_id);
    if draft.dns_hosts.is_none() {
        draft.dns_hosts.clone_from(&old.dns_hosts);
    }
}

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
