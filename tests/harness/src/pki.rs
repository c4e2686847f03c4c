//! The keys of one control plane: an authority, the server's certificate, an administrator's, and the key that signs
//! ServiceAccount tokens. Made afresh at every start and readable by their owner alone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::Error;

/// The address of the Service `kubernetes`, by which a pod asks: the first of the range of Services.
pub(crate) const IN_PODS: &str = "10.0.0.1";

/// Paths of PEM files.
#[derive(Debug)]
pub struct Keys {
    pub authority: PathBuf,
    pub server_certificate: PathBuf,
    pub server_key: PathBuf,
    pub admin_certificate: PathBuf,
    pub admin_key: PathBuf,
    pub service_account_key: PathBuf,
    /// The other half, by which tokens are checked.
    pub service_account_public_key: PathBuf,
}

impl Keys {
    pub fn create(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let write = |name: &str, pem: &str| write_private(&folder.join(name), pem.as_bytes());

        let mut params = named("swr-operator test control plane", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let server_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(
            ["127.0.0.1", "localhost", "kubernetes.default.svc", IN_PODS]
                .map(str::to_owned)
                .to_vec(),
        )?;
        params.distinguished_name = name("kube-apiserver", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = params.signed_by(&server_key, &authority)?;

        let admin_key = KeyPair::generate()?;
        let mut params = named("admin", Some("system:masters"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let admin = params.signed_by(&admin_key, &authority)?;

        let [service_account_key, service_account_public_key] = write_service_account_key(folder)?;

        Ok(Self {
            authority: write("authority.crt", &authority.pem())?,
            server_certificate: write("server.crt", &server.pem())?,
            server_key: write("server.key", &server_key.serialize_pem())?,
            admin_certificate: write("admin.crt", &admin.pem())?,
            admin_key: write("admin.key", &admin_key.serialize_pem())?,
            service_account_key,
            service_account_public_key,
        })
    }

    /// Puts another key in the place of the one that signs tokens.
    pub(crate) fn renew_service_account_key(&self) -> Result<(), Error> {
        let folder = self.service_account_key.parent().unwrap_or(Path::new("."));
        write_service_account_key(folder).map(drop)
    }
}

fn write_service_account_key(folder: &Path) -> Result<[PathBuf; 2], Error> {
    let key = KeyPair::generate()?;
    let write = |name: &str, pem: String| write_private(&folder.join(name), pem.as_bytes());
    Ok([
        write("service-account.key", key.serialize_pem())?,
        write("service-account.pub", key.public_key_pem())?,
    ])
}

fn name(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, user);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name
}

fn named(user: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(user, group);
    params
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path.to_path_buf())
}
