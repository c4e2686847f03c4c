//! A folder with manifests, and a cloud that they are planned against.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use swr_operator_core::tag::{Installation, Owner};
use swr_simulator::Keys;

use super::{Ran, typed};
use crate::canary::{Canary, Login};
use crate::cloud::Cloud;
use crate::manifest;

pub(super) const INSTANCE: &str = "5f1c8a0e-1111-2222-3333-444455556666";

pub(super) struct Place {
    pub(super) cloud: Cloud,
    keys: Keys,
    canaries: Vec<Canary>,
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let canary = Canary::hatch();
        let keys = Keys {
            access_key: canary.key(),
            secret_key: canary.secret(),
            security_token: None,
        };
        let instances = [INSTANCE.to_owned(), "another".to_owned()];
        Place {
            cloud: Cloud::start("region-1", "project-1", instances, keys.clone()),
            keys,
            canaries: vec![canary],
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn at(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, file: &str, objects: &[Value]) {
        let documents: Vec<String> = objects
            .iter()
            .map(|object| serde_saphyr::to_string(object).expect("YAML"))
            .collect();
        fs::write(self.at().join(file), documents.join("---\n")).expect("written");
    }

    pub(super) fn login(&mut self) -> Login {
        let (user, secret) = (Canary::hatch(), Canary::hatch());
        let login = Login {
            access_key: user.user(),
            access_secret: secret.secret(),
        };
        self.canaries.extend([user, secret]);
        login
    }

    /// A registry as an operator left it for the object.
    pub(super) fn left(&self, object: &Value, login: &Login) -> i64 {
        let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let installation = Installation::from_configured("ours");
        let uid = "00000000-1111-2222-3333-444455556666";
        let owner = Owner::new(&installation, uid, meta("namespace"), meta("name"));
        let mut body = manifest::body(object, login);
        let text = body["description"].as_str().unwrap_or_default();
        body["description"] = json!(text.replace("[tag]", owner.tag()));
        self.cloud.console_create(INSTANCE, &body)
    }

    /// `swr-operator plan --no-cluster ...` with everything that leads to the simulator.
    pub(super) fn plan(&self, args: &[&str]) -> Ran {
        let ran = self.typed(args).run();
        self.assert_keeps_secrets(&ran);
        ran
    }

    pub(super) fn typed(&self, args: &[&str]) -> super::Typed {
        let url = self.cloud.url();
        let place = [
            "plan",
            "--no-cluster",
            "--region",
            "region-1",
            "--project-id",
            "project-1",
            "--swr-endpoint",
            &url,
        ];
        typed([&place, args].concat())
            .keys(&self.keys)
            .at(self.at())
    }

    pub(super) fn assert_keeps_secrets(&self, ran: &Ran) {
        for canary in &self.canaries {
            let shown = canary.shows_in(&ran.shown());
            assert_eq!(shown, None, "{}", ran.shown());
        }
    }
}

pub(super) fn object(name: &str) -> Value {
    manifest::registry("images", "default", INSTANCE, name, "swr-pro")
}
