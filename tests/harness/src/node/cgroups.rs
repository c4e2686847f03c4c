//! The cgroup below which every pod runs. A cgroup outlasts its processes, so somebody outside must remove it: this
//! process, or its janitor when it is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::gomodule::hash;
use crate::process::Janitor;
use crate::wait::until;

/// Where a distribution mounts them: one tree, or with version 1 a tree for each controller.
const ROOT: &str = "/sys/fs/cgroup";

/// From the end of the last process to that of its cgroup.
const REMOVED: Duration = Duration::from_secs(20);

pub(super) struct Cgroups {
    name: String,
    folders: Vec<PathBuf>,
    _janitor: Janitor,
}

impl Cgroups {
    /// One of the same name was left by a run that was killed together with its janitor.
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let name = format!("swr-operator-node-{}", hash(&[&folder.to_string_lossy()]));
        let folders: Vec<_> = trees()?.iter().map(|tree| tree.join(&name)).collect();
        remove(&folders)?;
        let janitor = Janitor::of_cgroups(&folders)?;
        for folder in &folders {
            fs::create_dir(folder).map_err(Error::io(format!("create {}", folder.display())))?;
        }
        Ok(Self {
            name,
            folders,
            _janitor: janitor,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        remove(&self.folders)
    }
}

fn trees() -> Result<Vec<PathBuf>, Error> {
    let root = Path::new(ROOT);
    if root.join("cgroup.procs").is_file() {
        return Ok(vec![root.to_path_buf()]);
    }
    let entries = fs::read_dir(root).map_err(Error::io(format!("list {ROOT}")))?;
    let trees = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // `cpu` may be a link to `cpu,cpuacct`.
    Ok(trees
        .filter(|tree| !tree.is_symlink() && tree.join("cgroup.procs").is_file())
        .collect())
}

/// Children before their parent.
fn below(folder: &Path, act: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), act);
        }
    }
    act(folder);
}

fn remove(folders: &[PathBuf]) -> Result<(), Error> {
    until(REMOVED, "the end of the node's cgroups", || {
        for folder in folders {
            // What a process is still in stays, and is seen below.
            below(folder, &mut |folder| drop(fs::remove_dir(folder)));
        }
        match folders.iter().find(|folder| folder.exists()) {
            None => Ok(()),
            Some(left) => Err(format!("{} is still there", left.display())),
        }
    })
}
