//! Credentials of a Terraform state -> Secrets in files that only their owner reads. The one place of this crate that
//! makes a secret text.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::found::Found;
use crate::exit::Failure;

/// Writes a Secret for each object whose credential is known, and says how many. A file that is there is not touched.
pub(super) fn write(
    folder: &Path,
    namespace: &str,
    objects: &[(Value, &Found)],
) -> Result<usize, Failure> {
    let cannot = |path: &Path, error: std::io::Error| {
        Failure::new(format!("failed to write {}: {error}", path.display()))
            .hint("name an empty folder, or one that does not exist yet")
    };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.map_err(|error| cannot(folder, error))?;
    let mut n_written = 0;
    for (object, found) in objects {
        let Some(credential) = &found.credential else {
            continue;
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "Opaque",
            "stringData": {
                "accessKey": credential.access_key.expose(),
                "accessSecret": credential.access_secret.expose(),
            },
        });
        let text = Zeroizing::new(serde_saphyr::to_string(&secret).map_err(Failure::new)?);
        let path = folder.join(format!("{name}.yaml"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| cannot(&path, error))?;
        n_written += 1;
    }
    Ok(n_written)
}
