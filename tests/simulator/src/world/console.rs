//! What happens beside the API: the cloud's console, its health checks, its operators. Must not refuse on rules that
//! only the API has, and must not hide what is true.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{INSTANCE_STATUSES, Instance, World};
use crate::body::Draft;
use crate::registry::{Health, Registry};
use crate::switches::UpdatedAt;

/// An edit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    NoInstance(String),
    NoRegistry(i64),
    Invalid(String),
}

impl World {
    fn instance(&self, id: &str) -> Result<&Instance, Mistake> {
        self.instances
            .get(id)
            .ok_or_else(|| Mistake::NoInstance(id.to_owned()))
    }

    fn instance_mut(&mut self, id: &str) -> Result<&mut Instance, Mistake> {
        self.instances
            .get_mut(id)
            .ok_or_else(|| Mistake::NoInstance(id.to_owned()))
    }

    /// All registries of an instance in the order of ids, real secrets included.
    pub fn truth(&self, instance: &str, now: Timestamp) -> Result<Vec<Value>, Mistake> {
        let instance = self.instance(instance)?;
        Ok(instance
            .registries()
            .map(|registry| registry.truth(now))
            .collect())
    }

    /// Someone makes a registry in the console.
    pub fn console_create(
        &mut self,
        instance_id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<i64, Mistake> {
        let instance = self.instance(instance_id)?;
        let draft = Draft::parse(body, &self.switches).map_err(Mistake::Invalid)?;
        let id = instance.next_id(self.switches.id_style);
        let health = Health::of_new(&self.switches, now);
        self.insert(instance_id, Registry::new(id, draft, health, now));
        Ok(id)
    }

    /// Someone edits a registry in the console; any field may change.
    pub fn console_update(
        &mut self,
        instance_id: &str,
        id: i64,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Mistake> {
        let old = self
            .instance(instance_id)?
            .registry(id)
            .ok_or(Mistake::NoRegistry(id))?;
        let draft = Draft::parse(body, &self.switches).map_err(Mistake::Invalid)?;
        let mut new = old.with_body(draft);
        new.updated_at = now;
        self.set(instance_id, id, Some(new), now);
        Ok(())
    }

    /// Someone deletes a registry in the console, policies or not.
    pub fn console_delete(
        &mut self,
        instance_id: &str,
        id: i64,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        self.instance(instance_id)?
            .registry(id)
            .ok_or(Mistake::NoRegistry(id))?;
        self.set(instance_id, id, None, now);
        Ok(())
    }

    /// The background check finds this health, any word; it stays until the next call.
    pub fn set_health(
        &mut self,
        instance_id: &str,
        id: i64,
        status: Option<String>,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        let moves = self.switches.updated_at == UpdatedAt::Health;
        let registry = self
            .instance_mut(instance_id)?
            .records
            .get_mut(&id)
            .and_then(|record| record.current_mut())
            .ok_or(Mistake::NoRegistry(id))?;
        if moves && registry.health.at(now) != status.as_deref() {
            registry.updated_at = now;
        }
        registry.health = status.map_or(Health::Absent, Health::Fixed);
        Ok(())
    }

    /// The registries that replication policies of the instance refer to.
    pub fn set_policies(
        &mut self,
        instance_id: &str,
        registries: BTreeSet<i64>,
    ) -> Result<(), Mistake> {
        self.instance_mut(instance_id)?.used_by_policies = registries;
        Ok(())
    }

    /// Puts an instance into a state; one that is not there comes into being, empty.
    pub fn set_instance_status(
        &mut self,
        id: &str,
        status: &str,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        if !INSTANCE_STATUSES.contains(&status) {
            return Err(Mistake::Invalid(format!(
                "there is no status {status:?}; an instance is {}",
                INSTANCE_STATUSES.join(", ")
            )));
        }
        let instance = self
            .instances
            .entry(id.to_owned())
            .or_insert_with(|| Instance::new(now));
        status.clone_into(&mut instance.status);
        Ok(())
    }

    /// The instance is gone with all it held.
    pub fn remove_instance(&mut self, id: &str) -> Result<(), Mistake> {
        self.instances
            .remove(id)
            .map(|_| ())
            .ok_or_else(|| Mistake::NoInstance(id.to_owned()))
    }
}
