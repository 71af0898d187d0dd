//! A CA of a test's own, and certificates by the handful, as PEM files.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub ca: PathBuf,
    dir: PathBuf,
}

/// A certificate and its key on disk.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL finds an issuer by its name.
        parameters.distinguished_name.push(DnType::CommonName, format!("CA {name}"));
        let key = KeyPair::generate().unwrap();
        let ca = dir.join(format!("{name}-ca.crt"));
        fs::write(&ca, parameters.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(parameters, key), ca, dir: dir.to_owned() }
    }

    /// For 127.0.0.1 and `localhost`, good for long.
    pub fn issue(&self, name: &str) -> Pair {
        self.issue_for(name, &["127.0.0.1", "localhost"], 2090)
    }

    /// For these names, until the start of this year. A file of that name is replaced.
    pub fn issue_for(&self, name: &str, names: &[&str], end: i32) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.dir.join(format!("{name}.{end}"));
        let pair = Pair { certificate: file("crt"), key: file("key") };
        write_private(&pair.key, &key.serialize_pem());
        write_private(&pair.certificate, &certificate.pem());
        pair
    }

    /// redis-cli's flags, with a certificate of its own.
    pub fn cli(&self, own: Option<&Pair>) -> Vec<String> {
        let mut flags = vec!["--tls".to_owned(), "--cacert".to_owned(), self.ca.display().to_string()];
        if let Some(own) = own {
            flags.extend(["--cert".to_owned(), own.certificate.display().to_string()]);
            flags.extend(["--key".to_owned(), own.key.display().to_string()]);
        }
        flags
    }

    /// A server's directives, as Redis and we name them.
    pub fn directives(&self, own: &Pair, tls_port: u16) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", text(&own.certificate)),
            ("--tls-key-file", text(&own.key)),
            ("--tls-ca-cert-file", text(&self.ca)),
            ("--tls-replication", "yes".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }
}

/// Mode 0600, replaced in one step as careful tools do.
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&fresh, path).unwrap();
}
