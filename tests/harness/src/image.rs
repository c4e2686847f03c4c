//! `cargo dev image`: what the images of operator and simulator hold, and the images themselves where buildah is; or the
//! operator's twice, for the same bytes. The rules of the build stand in `release/` and the Containerfiles; nothing here
//! repeats them.

pub(crate) mod buildah;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use buildah::{Buildah, Image, Recipe};

use crate::process::{Process, output_of, printed_by, seconds_since, shown, tail, tethered};
use crate::progress::say;
use crate::{Error, cargo, environment};

/// Where `release/root` lays out the image's files below the folder that stands for the Containerfile's first stage.
const ROOT: &str = "out/root";
/// The tag that every image of this version carries.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is in an image.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    containerfile: &'static str,
    /// What it can be asked with nothing around it; the first is asked in the image, too.
    asked: &'static [&'static str],
}

pub(crate) const OPERATOR: Program = Program {
    name: "swr-operator",
    containerfile: "Containerfile",
    asked: &["version", "crd"],
};
pub(crate) const SIMULATOR: Program = Program {
    name: "swr-simulator",
    containerfile: "tests/simulator/Containerfile",
    asked: &["--help"],
};

impl Program {
    /// In the image.
    fn path(&self) -> String {
        format!("usr/local/bin/{}", self.name)
    }

    fn binary(&self, stage: &Path) -> PathBuf {
        stage.join(ROOT).join(self.path())
    }

    /// Where this program's image is made.
    fn folder(&self) -> PathBuf {
        let folder = environment::dev_folder().join("image");
        if self.name == OPERATOR.name {
            folder
        } else {
            folder.join(self.name)
        }
    }

    /// Where [`archive`] puts its image.
    pub(crate) fn archive(&self) -> PathBuf {
        buildah::archive(&self.folder(), self.name)
    }

    /// Builds it as it ships and looks at what its image will hold. Returns the folder that stands for the first stage.
    fn stage(&self, build: &Build) -> Result<PathBuf, Error> {
        let here = self.folder().join("here");
        build.here(self, &environment::checkout(), &here)?;
        let binary = self.binary(&here);
        assert_static(&read(&binary)?, &binary)?;
        runs_alone(self, &here.join(ROOT))?;
        Ok(here)
    }
}
/// Where the second build takes place.
const AGAIN: &str = "again";
/// Longer than the second build takes once the first is done, on any machine.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Builds both; with `twice` the operator alone, also from a copy of the checkout in another folder, with another target
/// folder and another home of cargo. Those two at once: each ends with minutes on one processor.
pub fn run(twice: bool) -> Result<(), Error> {
    let folder = OPERATOR.folder();
    let how = Build::new(twice)?;
    let second = if twice {
        Some(Second::start(&how, &folder)?)
    } else {
        None
    };
    let here = OPERATOR.stage(&how)?;
    let image = build(&OPERATOR, &how, &here)?;
    let Some(second) = second else {
        return archive(&SIMULATOR);
    };
    let there = second.finish()?;
    assert_equal(&OPERATOR.binary(&here), &OPERATOR.binary(&there))?;
    if let Some(image) = image {
        assert_same(&image, build(&OPERATOR, &how, &there)?.as_ref())?;
    }
    remove(&folder.join(AGAIN))
}

/// Builds a program's image and its archive, in which the version is the image's tag.
pub(crate) fn archive(program: &Program) -> Result<(), Error> {
    let how = Build::new(false)?;
    let stage = program.stage(&how)?;
    build(program, &how, &stage).map(drop)
}

/// The one that this machine can run.
pub fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Builds the operator as it ships, for this machine, and returns its path.
pub(crate) fn operator() -> Result<PathBuf, Error> {
    let mut command = tethered(environment::checkout().join("release/binary"));
    command.arg(target()).current_dir(environment::checkout());
    Ok(PathBuf::from(printed_by(command)?.trim_end()))
}

struct Build {
    target: String,
    /// Seconds since 1970 that files and image carry: those of the commit, whenever it is built.
    epoch: String,
    /// The commit that the image names: asked once, so that both images of one run are of the same.
    revision: String,
    /// How much each build does at once; all that the machine can if it does not say.
    jobs: Option<usize>,
}

impl Build {
    fn new(twice: bool) -> Result<Self, Error> {
        Ok(Self {
            target: target(),
            epoch: epoch()?,
            revision: revision()?,
            jobs: twice
                .then(|| thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2))),
        })
    }

    fn command(&self, program: &Program, checkout: &Path, into: &Path) -> Command {
        let mut command = tethered(checkout.join("release/root"));
        command
            .arg(&self.target)
            .arg(into.join(ROOT))
            .arg(program.name)
            .current_dir(checkout)
            .env("SOURCE_DATE_EPOCH", &self.epoch);
        if let Some(jobs) = self.jobs {
            command.env("CARGO_BUILD_JOBS", jobs.to_string());
        }
        command
    }

    fn here(&self, program: &Program, checkout: &Path, into: &Path) -> Result<(), Error> {
        let started = environment::now();
        cargo::stream(self.command(program, checkout, into))?;
        told(&program.binary(into), started)
    }
}

/// Says what was built.
fn told(binary: &Path, started: Instant) -> Result<(), Error> {
    say(&format!(
        "{} in {}: {} bytes",
        binary.display(),
        seconds_since(started),
        read(binary)?.len()
    ));
    Ok(())
}

/// The same build elsewhere, which goes on beside ours and ends with it when ours fails.
struct Second {
    process: Process,
    shown: String,
    started: Instant,
    there: PathBuf,
}

impl Second {
    fn start(build: &Build, folder: &Path) -> Result<Self, Error> {
        // What both need is fetched before, because only one at a time may write where both look for it.
        let mut fetch = tethered(environment::checkout().join("release/fetch"));
        fetch.arg(&build.target);
        cargo::stream(fetch)?;
        let again = folder.join(AGAIN);
        remove(&again)?;
        // Longer than ours by a folder, so that no path has the other's length by accident.
        let copy = again.join("another/checkout");
        copy_checkout(&copy)?;
        let there = folder.join("there");
        let mut command = build.command(&OPERATOR, &copy, &there);
        command
            .env("CARGO_HOME", second_home(&again.join("cargo"))?)
            .env_remove("CARGO_TARGET_DIR");
        let shown = shown(&command);
        let log = folder.join("again.log");
        say(&format!("the second build tells {}", log.display()));
        Ok(Self {
            process: Process::spawn("the second build", command, &log)?,
            shown,
            started: environment::now(),
            there,
        })
    }

    /// Where it lies, once it is built.
    fn finish(mut self) -> Result<PathBuf, Error> {
        let status = self.process.wait(DEADLINE)?;
        if !status.success() {
            return Err(Error::Command {
                command: self.shown,
                status,
                output: tail(&self.process.log(), 100),
            });
        }
        told(&OPERATOR.binary(&self.there), self.started)?;
        Ok(self.there)
    }
}

/// The time of the last commit.
pub(crate) fn epoch() -> Result<String, Error> {
    let mut command = git();
    command.args(["log", "-1", "--format=%ct"]);
    Ok(text(output_of(&mut command)?))
}

fn revision() -> Result<String, Error> {
    let mut command = git();
    command.args(["rev-parse", "HEAD"]);
    Ok(text(output_of(&mut command)?))
}

fn git() -> Command {
    let mut command = tethered("git");
    command.current_dir(environment::checkout());
    command
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::io(format!("read {}", path.display())))
}

pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io(format!("remove {}", folder.display())))?;
    }
    Ok(())
}

/// What git knows or would know, as it lies here.
pub(crate) fn copy_checkout(into: &Path) -> Result<(), Error> {
    let mut command = git();
    command.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = output_of(&mut command)?;
    for name in String::from_utf8_lossy(&listed)
        .split('\0')
        .filter(|name| !name.is_empty())
    {
        let (from, to) = (environment::checkout().join(name), into.join(name));
        // Listed, and removed without a commit yet.
        if !from.is_file() {
            continue;
        }
        let parent = to.parent().unwrap_or(into);
        fs::create_dir_all(parent).map_err(Error::io(format!("create {}", parent.display())))?;
        fs::copy(&from, &to).map_err(Error::io(format!("copy {name}")))?;
    }
    Ok(())
}

/// A home of cargo under another path, with the same crates and the same settings.
fn second_home(folder: &Path) -> Result<PathBuf, Error> {
    let home = environment::variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| environment::variable("HOME").map(|home| PathBuf::from(home).join(".cargo")))
        .ok_or_else(|| {
            Error::unmet(
                "cargo's home",
                "neither CARGO_HOME nor HOME is set",
                "set one of them",
            )
        })?;
    fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
    for name in ["registry", "config.toml"] {
        let original = home.join(name);
        if original.exists() {
            symlink(&original, folder.join(name))
                .map_err(Error::io(format!("link {}", original.display())))?;
        }
    }
    Ok(folder.to_path_buf())
}

fn assert_equal(one: &Path, other: &Path) -> Result<(), Error> {
    let (first, second) = (read(one)?, read(other)?);
    let differs = first
        .iter()
        .zip(&second)
        .position(|(first, second)| first != second);
    if differs.is_none() && first.len() == second.len() {
        say("the second build has the same bytes");
        return Ok(());
    }
    Err(Error::Unexpected {
        expected: format!("{} and {} to be equal", one.display(), other.display()),
        seen: format!(
            "{} and {} bytes, different from byte {} on",
            first.len(),
            second.len(),
            differs.unwrap_or_else(|| first.len().min(second.len()))
        ),
    })
}

fn assert_same(image: &Image, other: Option<&Image>) -> Result<(), Error> {
    match other {
        Some(other) if other.id == image.id => {
            say("the second image has the same id");
            Ok(())
        }
        other => Err(Error::Unexpected {
            expected: format!("image {}", image.id),
            seen: other.map_or_else(|| "none".to_owned(), |other| other.id.clone()),
        }),
    }
}

/// A program that asks for a dynamic loader does not start in an empty image.
fn assert_static(bytes: &[u8], path: &Path) -> Result<(), Error> {
    match asks_for_a_loader(bytes) {
        Some(false) => Ok(()),
        Some(true) => Err(Error::Unexpected {
            expected: format!("{} to be static", path.display()),
            seen: "a program that asks for a dynamic loader".to_owned(),
        }),
        None => Err(Error::Unexpected {
            expected: format!("{} to be a 64-bit ELF program", path.display()),
            seen: "something else".to_owned(),
        }),
    }
}

/// Reads the program headers of a little-endian 64-bit ELF file.
fn asks_for_a_loader(bytes: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    let half = |at: usize| -> Option<usize> {
        let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes).into())
    };
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
    let (size, n_headers) = (half(54)?, half(56)?);
    let mut found = false;
    for index in 0..n_headers {
        let at = usize::try_from(table).ok()? + index * size;
        let kind = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        found |= kind == INTERPRETER;
    }
    Some(found)
}

/// With nothing around it but what the image has.
fn runs_alone(program: &Program, root: &Path) -> Result<(), Error> {
    let chroot = ["/usr/sbin/chroot", "/usr/bin/chroot"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.is_file());
    let Some(chroot) = chroot.filter(|_| geteuid().is_root()) else {
        say("skipped: the binary in a root of its own (chroot needs root)");
        return Ok(());
    };
    for word in program.asked {
        let mut command = tethered(chroot);
        command
            .env_clear()
            .arg("--userspec=65532:65532")
            .arg(root)
            .arg(format!("/{}", program.path()))
            .arg(word);
        output_of(&mut command)?;
    }
    say(&format!(
        "{} runs with nothing around it but the image's files",
        program.name
    ));
    Ok(())
}

/// Makes the image. None without buildah, which no machine must have to build and test the operator.
fn build(program: &Program, build: &Build, stage: &Path) -> Result<Option<Image>, Error> {
    let folder = program.folder();
    let Some(buildah) = Buildah::find(&folder) else {
        say("skipped: the image itself (buildah is absent)");
        return Ok(None);
    };
    let image = buildah.build(&Recipe {
        name: program.name,
        containerfile: Path::new(program.containerfile),
        stage,
        epoch: &build.epoch,
        revision: &build.revision,
    })?;
    let asked = program.asked.first();
    let answer = buildah.run(&image, &format!("/{}", program.path()), asked)?;
    let archive = buildah.push(&image, program.name, VERSION)?;
    say(&format!(
        "{} is image {}: {}",
        archive.display(),
        image.id,
        answer.lines().next().unwrap_or_default()
    ));
    Ok(Some(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dynamic_program_asks_for_a_loader() {
        let header = |kinds: &[u8]| {
            let mut bytes = vec![0; 64 + 56 * kinds.len()];
            bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            bytes[32] = 64;
            bytes[54] = 56;
            bytes[56] = u8::try_from(kinds.len()).expect("few headers");
            for (index, kind) in kinds.iter().enumerate() {
                bytes[64 + 56 * index] = *kind;
            }
            bytes
        };
        assert_eq!(asks_for_a_loader(&header(&[6, 3, 1])), Some(true));
        assert_eq!(asks_for_a_loader(&header(&[1, 2])), Some(false));
        assert_eq!(asks_for_a_loader(&header(&[1, 2])[..100]), None);
        assert_eq!(asks_for_a_loader(b"#!/bin/sh\n"), None);
    }
}
