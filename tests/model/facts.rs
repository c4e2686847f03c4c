//! The small facts of an object that the checker looks at, and what the world holds besides.

use swr_operator_api::ConditionStatus;
use swr_operator_core::answer::Account;
use swr_operator_core::credential::{Credential, Sensitive};
use swr_operator_core::desired::{ProjectId, Region};
use swr_operator_core::failure::Failure;
use swr_operator_core::object::Object;

use crate::ask::Answer;
use crate::core::{NAMESPACE, tick, uid_of, url_of, url_text};
use crate::world::Tick;

/// The small facts of an object that the checker looks at.
pub(crate) trait Facts {
    fn uid_number(&self) -> u8;
    fn url_number(&self) -> u8;
    fn intent_at(&self) -> Option<Tick>;
    fn known(&self) -> Option<u8>;
    fn condition(&self, type_: &str) -> Option<(ConditionStatus, String)>;
    fn set_url(&mut self, url: u8);
}

impl Facts for Object {
    fn uid_number(&self) -> u8 {
        uid_of(&self.uid)
    }

    fn url_number(&self) -> u8 {
        match &self.desired {
            Ok(desired) => url_of(&desired.registry.url),
            Err(_) => 0,
        }
    }

    fn intent_at(&self) -> Option<Tick> {
        let intent = self.status.create_intent.as_ref()?;
        Some(tick(intent.started_at))
    }

    fn known(&self) -> Option<u8> {
        let id = self.status.registry_id?;
        Some(u8::try_from(id).expect("few"))
    }

    fn condition(&self, type_: &str) -> Option<(ConditionStatus, String)> {
        let mut all = self.status.conditions.iter();
        let found = all.find(|condition| condition.type_ == type_)?;
        Some((found.status, found.reason.clone()))
    }

    fn set_url(&mut self, url: u8) {
        if let Ok(desired) = &mut self.desired {
            desired.registry.url = url_text(url);
        }
    }
}

/// A version of the Secret.
pub(crate) fn credential(version: u8) -> Credential {
    Credential {
        access_key: Sensitive::new(format!("ak{version}")),
        access_secret: Sensitive::new(format!("as{version}")),
    }
}

/// The account of every object.
pub(crate) fn account() -> Account {
    let all = |text: &str| vec![text.to_owned()];
    Account {
        region: Region::new("region-1"),
        project: ProjectId::new("project-1"),
        namespace_labels: swr_operator_core::answer::Labels::new(),
        grants: vec![swr_operator_api::account::Grant {
            namespaces: all(NAMESPACE),
            namespace_selector: None,
            instances: all("source-1"),
            targets: swr_operator_api::account::Targets {
                hosts: all("*.example.com"),
                ..Default::default()
            },
        }],
    }
}

/// The answer to a write that gives nothing back.
pub(crate) fn done(answer: Answer) -> Result<(), Failure> {
    if answer == Answer::Done {
        return Ok(());
    }
    let Answer::Cloud(class, cause) = answer else {
        panic!("{answer:?} is no answer to a write to SWR");
    };
    Err(Failure::new(class, cause))
}
