//! Images by buildah, without a daemon and in a storage of our own. Knows no program of this project.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{output_of, tethered};
use crate::{Error, environment};

pub(crate) struct Buildah {
    program: PathBuf,
    /// Of the storage, and of what it writes.
    folder: PathBuf,
}

/// What an image is made of.
pub(crate) struct Recipe<'a> {
    pub(crate) name: &'a str,
    /// In the checkout.
    pub(crate) containerfile: &'a Path,
    /// The folder that stands for the first stage.
    pub(crate) stage: &'a Path,
    /// Seconds since 1970 that the image carries.
    pub(crate) epoch: &'a str,
    pub(crate) revision: &'a str,
}

pub(crate) struct Image {
    pub(crate) id: String,
}

/// Where [`Buildah::push`] puts the archive of an image.
pub(crate) fn archive(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.tar"))
}

impl Buildah {
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        Some(Self {
            program: environment::find_program("buildah")?,
            folder: folder.to_path_buf(),
        })
    }

    fn command(&self) -> Command {
        let mut command = tethered(&self.program);
        command
            .current_dir(environment::checkout())
            .arg("--root")
            .arg(self.folder.join("storage"))
            .arg("--runroot")
            .arg(self.folder.join("storage-run"))
            .args(["--storage-driver", "vfs"]);
        command
    }

    fn asked(&self, args: &[&str]) -> Result<String, Error> {
        let mut command = self.command();
        command.args(args);
        Ok(text(&output_of(&mut command)?))
    }

    pub(crate) fn build(&self, recipe: &Recipe<'_>) -> Result<Image, Error> {
        let id_file = self.folder.join("image-id");
        let mut command = self.command();
        command
            .args(["build", "--isolation", "chroot", "--quiet", "--file"])
            .arg(recipe.containerfile)
            .args(["--build-arg", &format!("REVISION={}", recipe.revision)])
            .args(["--timestamp", recipe.epoch])
            .arg(format!("--build-context=build={}", recipe.stage.display()))
            .arg(format!("--iidfile={}", id_file.display()))
            .args(["--tag", recipe.name, "."]);
        output_of(&mut command)?;
        let id = fs::read(&id_file).map_err(Error::io(format!("read {}", id_file.display())))?;
        Ok(Image { id: text(&id) })
    }

    /// What the program prints in a container of the image.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        image: &Image,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String, Error> {
        let container = self.asked(&["from", "--pull-never", &image.id])?;
        let mut command = self.command();
        command
            .args(["run", "--isolation", "chroot", &container, "--", program])
            .args(args);
        let answer = output_of(&mut command)?;
        self.asked(&["rm", &container])?;
        Ok(text(&answer))
    }

    /// Writes the image into an archive.
    pub(crate) fn push(&self, image: &Image, name: &str, tag: &str) -> Result<PathBuf, Error> {
        let archive = archive(&self.folder, name);
        let to = format!("oci-archive:{}:{tag}", archive.display());
        self.asked(&["push", &image.id, &to])?;
        Ok(archive)
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}
