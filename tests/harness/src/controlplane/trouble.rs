//! What befalls a control plane: an API server that stands still or is gone, an etcd that is restored. Only the process
//! that started it can do any of this.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{ControlPlane, Running};
use crate::Error;
use crate::http::Http;

/// What etcd held at one moment.
#[derive(Debug)]
pub struct Snapshot(PathBuf);

impl ControlPlane {
    fn own(&self) -> Result<std::sync::MutexGuard<'_, Running>, Error> {
        self.running().ok_or_else(|| {
            Error::unmet(
                "a control plane of this process",
                "another process runs this one",
                "start a control plane of your own",
            )
        })
    }

    /// Kills kube-apiserver.
    pub fn kill_apiserver(&self) -> Result<(), Error> {
        self.own()?.apiserver.kill_9().map(drop)
    }

    /// Starts kube-apiserver again, where it was, and waits until it is ready.
    pub fn start_apiserver(&self) -> Result<(), Error> {
        let mut running = self.own()?;
        running.apiserver = running.premises.start_apiserver(&self.facts)?;
        self.await_ready(&mut [&mut running.apiserver])
    }

    /// As [`Self::start_apiserver`], with another key that signs tokens: it takes none that was issued before.
    pub fn start_apiserver_with_another_key(&self) -> Result<(), Error> {
        self.own()?.premises.keys.renew_service_account_key()?;
        self.start_apiserver()
    }

    /// kube-apiserver stands still as it is: connections stay open, and nothing is answered.
    pub fn suspend_apiserver(&self) -> Result<(), Error> {
        self.own()?.apiserver.suspend()
    }

    /// It goes on where it stood.
    pub fn resume_apiserver(&self) -> Result<(), Error> {
        self.own()?.apiserver.resume()
    }

    /// A copy of everything etcd holds, made while it stands still.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut running = self.own()?;
        let copy = running.premises.folder.join("snapshot");
        running.etcd.suspend()?;
        let copied = copy_folder(&running.premises.etcd_folder(), &copy);
        running.etcd.resume()?;
        copied.map(|()| Snapshot(copy))
    }

    /// Puts everything back as it was, as the handbook says: all components are ended, and started on what was saved.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut running = self.own()?;
        let running = &mut *running;
        if let Some(controller_manager) = &mut running.controller_manager {
            controller_manager.kill_9()?;
        }
        running.apiserver.kill_9()?;
        running.etcd.kill_9()?;
        let premises = &running.premises;
        let folder = premises.etcd_folder();
        fs::remove_dir_all(&folder).map_err(Error::io(format!("remove {}", folder.display())))?;
        copy_folder(&snapshot.0, &folder)?;
        running.etcd = premises.start_etcd(&self.facts.assets)?;
        running.apiserver = premises.start_apiserver(&self.facts)?;
        self.await_ready(&mut [&mut running.etcd, &mut running.apiserver])?;
        running.controller_manager = premises.start_controller_manager(&self.facts)?;
        Ok(())
    }

    /// Puts a value below a key of etcd, as a restore of a part does: kube-apiserver has no say in it.
    pub fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        let url = format!("{}/v3/kv/put", self.own()?.premises.etcd_url());
        let [key, value] = [key, value].map(|text| STANDARD.encode(text));
        Http::default().post_json(&url, &json!({"key": key, "value": value}))?;
        Ok(())
    }
}

impl Running {
    pub(super) fn end(&mut self) {
        let Self {
            controller_manager,
            apiserver,
            etcd,
            ..
        } = self;
        for process in controller_manager.iter_mut().chain([apiserver, etcd]) {
            // What cannot be killed now ends with this process.
            let _ = process.kill_9();
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |path: &Path| Error::io(format!("copy {}", path.display()));
    fs::create_dir_all(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(failed(&from))?.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(failed(&from))?;
        }
    }
    Ok(())
}
