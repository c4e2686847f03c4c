//! What the user does to one object, and what RAW does after it. One request after the other on one connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use super::client::{Client, User};
use super::objects::Place;
use super::raw;
use crate::{Error, environment};

/// The user, and RAW where it takes the operator's part. Both use the same connection: RAW has eight and no more.
#[derive(Clone)]
pub(crate) struct Actors {
    user: User,
    raw: Option<User>,
    place: Place,
    /// When the user asked, by object.
    begun: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Actors {
    pub(crate) fn at(place: Place, user: User, raw: Option<User>) -> Self {
        Self {
            user,
            raw,
            place,
            begun: Arc::default(),
        }
    }

    /// When the user asked for what, so far.
    pub(crate) fn begun(&self) -> Vec<(String, Instant)> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.clone()
    }

    fn begin(&self, name: &str) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push((name.to_owned(), environment::now()));
    }

    pub(crate) async fn create(&self, client: &Client, name: &str) -> Result<(), Error> {
        let (place, object) = (&self.place, self.place.object(name));
        self.begin(name);
        let new = client.create(&self.user, &place.path(), &object).await?;
        match &self.raw {
            Some(raw) => raw::create(client, raw, place, &new).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn edit(&self, client: &Client, name: &str) -> Result<(), Error> {
        let patch = json!({"spec": {"description": format!("Edited copy of {name}")}});
        self.begin(name);
        let path = self.place.path_of(name);
        client.merge(&self.user, &path, &patch).await?;
        self.update(client, name).await
    }

    pub(crate) async fn update(&self, client: &Client, name: &str) -> Result<(), Error> {
        match &self.raw {
            Some(raw) => raw::update(client, raw, &self.place, name).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn delete(&self, client: &Client, name: &str) -> Result<(), Error> {
        let path = self.place.path_of(name);
        client.delete(&self.user, &path).await?;
        match &self.raw {
            Some(raw) => raw::delete(client, raw, &self.place, name).await,
            None => Ok(()),
        }
    }
}
