//! Go modules whose `tool` lines name what the tests need: built once by the machine's Go, then cached under the hash of
//! go.mod, go.sum and what sources lie beside them. Knows no tool.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::process::{shown, tail, tethered};
use crate::progress::{Progress, say};
use crate::{Error, environment};

/// A module of this checkout, or one that was written for an earlier version of what one builds.
pub(crate) struct GoModule {
    name: String,
    folder: PathBuf,
    /// The text of go.mod.
    module: String,
    hash: String,
}

/// How its binaries are made.
pub(crate) struct Recipe<'a> {
    /// What a person calls them.
    pub(crate) what: &'a str,
    /// What to do when there is no Go.
    pub(crate) advice: &'a str,
    pub(crate) packages: &'a [&'a str],
    /// Build tags; empty for none.
    pub(crate) tags: &'a str,
    /// How go treats go.mod: `readonly`, or `mod` for one that does not name every dependency.
    pub(crate) mode: &'a str,
    /// Beside those that leave out symbols.
    pub(crate) ldflags: &'a str,
}

impl GoModule {
    /// The module in `tests/<name>`. `sources` are its own packages, each a folder with a `main.go`.
    pub(crate) fn read(name: &str, sources: &[&str]) -> Result<Self, Error> {
        let folder = environment::checkout().join("tests").join(name);
        let read = |file: &str| {
            let path = folder.join(file);
            fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
        };
        let module = read("go.mod")?;
        let mut texts = vec![module.clone(), read("go.sum")?];
        for source in sources {
            texts.push(read(&format!("{source}/main.go"))?);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let hash = hash(&texts);
        Ok(Self {
            name: name.to_owned(),
            folder,
            module,
            hash,
        })
    }

    /// A module whose go.mod has this text. go completes it, and checks what it fetches by the checksum database.
    pub(crate) fn write(name: &str, module: &str) -> Result<Self, Error> {
        let hash = hash(&[module]);
        let folder = environment::cache_folder()?.join(name);
        let folder = folder.join(format!("{hash}.module"));
        fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let path = folder.join("go.mod");
        if !path.is_file() {
            fs::write(&path, module).map_err(Error::io(format!("write {}", path.display())))?;
        }
        Ok(Self {
            name: name.to_owned(),
            folder,
            module: module.to_owned(),
            hash,
        })
    }

    /// The version of a module that go.mod requires, as in `v1.36.3`.
    pub(crate) fn version_of(&self, required: &str) -> Result<&str, Error> {
        required_version(&self.module, required).ok_or_else(|| {
            Error::unmet(
                format!("a version of {required} in go.mod"),
                "what is built from it must know its own version",
                format!("run `go mod tidy` in tests/{}", self.name),
            )
        })
    }

    /// The folder of the binaries. A build takes minutes and shows progress on stderr.
    pub(crate) fn provide(&self, recipe: &Recipe<'_>) -> Result<PathBuf, Error> {
        let built = environment::cache_folder()?
            .join(&self.name)
            .join(&self.hash);
        if !built.is_dir() {
            self.build(recipe, &built)?;
        }
        Ok(built)
    }

    /// Builds into a folder beside `built` and renames: others see all binaries or none.
    fn build(&self, recipe: &Recipe<'_>, built: &Path) -> Result<(), Error> {
        let parent = built.parent().unwrap_or(built);
        fs::create_dir_all(parent).map_err(Error::io(format!("create {}", parent.display())))?;
        let path = built.with_extension("lock");
        let lock = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        if lock.try_lock().is_err() {
            say(&format!(
                "another process is building {}; waiting for it",
                recipe.what
            ));
            // A second build would only halve the speed of the first.
            lock.lock()
                .map_err(Error::io(format!("lock {}", path.display())))?;
        }
        if built.is_dir() {
            return Ok(());
        }
        let go = go(recipe)?;
        // The lock makes it ours; what lies there was left by a build that was killed.
        let partial = built.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .map_err(Error::io(format!("remove {}", partial.display())))?;
        }
        fs::create_dir(&partial).map_err(Error::io(format!("create {}", partial.display())))?;
        self.go_build(&go, recipe, &partial)?;
        fs::rename(&partial, built).map_err(Error::io(format!(
            "move the binaries to {}",
            built.display()
        )))
    }

    fn go_build(&self, go: &Path, recipe: &Recipe<'_>, into: &Path) -> Result<(), Error> {
        let mut output = into.as_os_str().to_owned();
        // With a trailing slash go takes it as a folder for all binaries.
        output.push("/");
        let mut command = tethered(go);
        command
            .current_dir(&self.folder)
            .args(["build", "-v", "-trimpath", "-mod", recipe.mode])
            .args(["-tags", recipe.tags, "-ldflags"])
            .arg(format!("-s -w {}", recipe.ldflags))
            .arg("-o")
            .arg(output)
            .args(recipe.packages)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let words = shown(&command);
        let progress = Progress::start(format!("building {} (once)", recipe.what));
        let child = command.spawn().map_err(Error::io("start go"))?;
        follow(child, &words, progress)
    }
}

/// The machine's Go.
pub(crate) fn go(recipe: &Recipe<'_>) -> Result<PathBuf, Error> {
    environment::find_program("go").ok_or_else(|| {
        Error::unmet(
            "Go",
            format!("{} is built from source once and then cached", recipe.what),
            recipe.advice,
        )
    })
}

/// Shows what go says until it ends.
fn follow(mut child: Child, words: &str, mut progress: Progress) -> Result<(), Error> {
    let said = Arc::new(Mutex::new(Vec::<String>::new()));
    let reader = child.stderr.take().map(|stderr| {
        let said = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        })
    });
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for go"))? {
            break status;
        }
        {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            let last = said.last().map_or("starting", String::as_str);
            progress.tick(&format!("{} steps, {last}", said.len()));
        }
        environment::pause(Duration::from_millis(100));
    };
    if let Some(reader) = reader {
        // It ends with go's stderr; a panic in it would only have cost us progress lines.
        let _ = reader.join();
    }
    if status.success() {
        progress.finish("done");
        return Ok(());
    }
    progress.finish("failed");
    let said = said
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .join("\n");
    Err(Error::Command {
        command: words.to_owned(),
        status,
        output: tail(&said, 40),
    })
}

/// The version in the `require` line of a module.
fn required_version<'a>(module: &'a str, required: &str) -> Option<&'a str> {
    module.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some(required))
            .then(|| words.next())
            .flatten()
    })
}

/// 16 hex digits: enough to tell the few modules apart that one machine will ever see.
pub(crate) fn hash(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        // The length keeps two texts from flowing into each other.
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest
        .finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_require_line() {
        let module = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n";
        let version = |module| required_version(module, "k8s.io/kubernetes");
        assert_eq!(version(module), Some("v1.36.3"));
        assert_eq!(version("require k8s.io/kubernetes v1.2.3"), Some("v1.2.3"));
        assert_eq!(version("require k8s.io/api v1.2.3"), None);
    }

    #[test]
    fn the_hash_depends_on_every_text_and_its_borders() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_eq!(hash(&["ab", "c"]).len(), 16);
    }
}
