//! The five stories of an object that a fault may interrupt, and how each must end whatever interrupted it: one registry,
//! as the spec and the Secret ask, or none after a deletion. Knows no fault.

use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::canary::Login;
use crate::manifest::{body, split_tag};
use crate::site::Site;

/// A story ends within a poll (2 s) of what it waits for; a machine under load needs more.
const END: Duration = Duration::from_secs(60);

/// What is under way when something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Story {
    Create,
    Update,
    Rotate,
    Adopt,
    Delete,
}

pub(crate) const STORIES: [Story; 5] = [
    Story::Create,
    Story::Update,
    Story::Rotate,
    Story::Adopt,
    Story::Delete,
];

/// An object in a story, and what its Secret holds.
pub(crate) struct Scene {
    story: Story,
    pub(crate) name: String,
    login: Login,
}

impl Scene {
    /// Brings the world to where the story begins, but for the end of what is under way ([`Scene::begin`]).
    pub(crate) fn prepare(site: &Site, story: Story, name: &str, login: &Login) -> Self {
        let object = site.registry(name, "swr-pro");
        site.put_login(name, login);
        match story {
            Story::Create => {}
            Story::Update | Story::Rotate | Story::Delete => {
                site.create(&object);
            }
            Story::Adopt => {
                let named = object["spec"]["name"].as_str().expect("a name");
                site.foreign(named, "by hand");
            }
        }
        Self {
            story,
            name: name.to_owned(),
            login: login.clone(),
        }
    }

    /// Waits until the story may begin.
    pub(crate) fn begin(&self, site: &Site) {
        match self.story {
            Story::Create | Story::Adopt => {}
            Story::Update | Story::Rotate | Story::Delete => {
                site.await_ready(&self.name);
            }
        }
    }

    /// What a person does; `login` is the next one.
    pub(crate) fn act(&mut self, site: &Site, login: &Login) {
        match self.story {
            Story::Create => {
                site.create(&site.registry(&self.name, "swr-pro"));
            }
            Story::Update => {
                let spec = json!({"url": "https://changed.example.com", "description": "changed"});
                site.patch(&self.name, &json!({"spec": spec}));
            }
            Story::Rotate => {
                self.login = login.clone();
                site.put_login(&self.name, login);
            }
            Story::Adopt => {
                let mut object = site.registry(&self.name, "swr-pro");
                object["spec"]["adoption"] = json!({"policy": "IfUnowned"});
                site.create(&object);
            }
            Story::Delete => site.delete(&self.name),
        }
    }

    /// Waits for the end, and checks that it is the right one.
    pub(crate) fn settle(&self, site: &Site) {
        if self.story == Story::Delete {
            site.await_gone(&self.name);
            assert_eq!(self.held(site), Vec::<Value>::new());
            return;
        }
        let what = format!("the registry of {} as spec and Secret ask", self.name);
        // Ready of an earlier generation or with an earlier credential is not the end.
        eventually_blocking(END, &what, || {
            let object = site.try_object(&self.name).ok_or("no object")?;
            let observed = &object["status"]["observedGeneration"];
            if *observed != object["metadata"]["generation"] {
                return Err(format!("observed generation {observed}"));
            }
            let mut held = self.held(site);
            let tagged = |registry: &Value| registry.to_string().contains("[swr-operator:");
            if held.len() != 1 || !tagged(&held[0]) {
                return Err(format!("held: {held:#?}"));
            }
            split_tag(&mut held[0]);
            let mut wanted = body(&object, &self.login);
            wanted["id"] = object["status"]["registryId"].clone();
            for (field, value) in wanted.as_object().into_iter().flatten() {
                if held[0][field] != *value {
                    return Err(format!("{field} is {}", held[0][field]));
                }
            }
            Ok(())
        });
        site.await_ready(&self.name);
    }

    /// What SWR holds under the name that the object asks for.
    fn held(&self, site: &Site) -> Vec<Value> {
        let name = &site.registry(&self.name, "swr-pro")["spec"]["name"];
        let mut held = site.cloud.registries(&site.cloud.instances[0]);
        held.retain(|registry| registry["name"] == *name);
        held
    }
}

/// SWR holds the registries of so many objects and the foreign one, which is as it was; and it made so many since `mark`.
pub(crate) fn assert_held(
    site: &Site,
    foreign: &(i64, Value),
    held: usize,
    made: usize,
    mark: u64,
) {
    let (id, before) = foreign;
    site.assert_untouched(*id, before);
    let all = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(all.len(), held + 1, "{all:#?}");
    let creates = site.cloud.asked(mark, "CreateInstanceRegistry").into_iter();
    let created = creates.filter(|entry| entry.status.is_some_and(|status| status < 300));
    assert!(created.count() <= made, "{}", site.cloud.shown());
}
