//! Certificates, keys and CAs from their files to what `net::tls` serves and dials with, again when
//! they change. Has never heard of ports.

use crate::config::tls::{AuthClients, ClientFiles, ServerFiles};
use crate::net::tls::{Acceptor, ClientAuth, ClientPems, Connector, ServerPems, Versions, dates};
use slog::{Logger, error, info, warn};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bundle of all public CAs fits several times.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// An end that is nearer than this is told at every start and reload.
const END_NEAR_MS: u64 = 30 * 24 * 3600 * 1000;

/// The text of one PEM file.
pub fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{key}: cannot read {shown}: {error}");
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{key}: {shown} is longer than {FILE_BYTES_MAX} bytes; is it the right file?"));
    }
    Ok(bytes)
}

fn server_pems(
    files: &ServerFiles,
    clients: AuthClients,
    alpn: Option<&'static str>,
) -> Result<ServerPems, String> {
    Ok(ServerPems {
        certificate: read("tls-cert-file", &files.certificate)?,
        key: read("tls-key-file", &files.key)?,
        ca: files.ca.as_deref().map(|path| read("tls-ca-cert-file", path)).transpose()?,
        clients: match clients {
            AuthClients::Yes => ClientAuth::Required,
            AuthClients::Optional => ClientAuth::Optional,
            AuthClients::No => ClientAuth::Off,
        },
        alpn,
    })
}

fn client_pems(files: &ClientFiles, versions: Versions) -> Result<ClientPems, String> {
    let identity = match &files.identity {
        None => None,
        Some((certificate, key)) => Some((read("tls-cert-file", certificate)?, read("tls-key-file", key)?)),
    };
    Ok(ClientPems { ca: read("tls-ca-cert-file", &files.ca)?, identity, versions })
}

/// A serving side bound to its files.
pub struct Serving {
    pub acceptor: Arc<Acceptor>,
    files: ServerFiles,
    clients: AuthClients,
    alpn: Option<&'static str>,
    current: ServerPems,
}

impl Serving {
    pub fn start(
        files: ServerFiles,
        clients: AuthClients,
        alpn: Option<&'static str>,
        logger: &Logger,
    ) -> Result<Self, String> {
        let current = server_pems(&files, clients, alpn)?;
        let acceptor = Acceptor::new(&current).map_err(|error| named(&files.certificate, &error))?;
        warn_of_mode(&files.key, logger);
        warn_of_end(&files.certificate, &current.certificate, logger);
        Ok(Serving { acceptor: Arc::new(acceptor), files, clients, alpn, current })
    }

    /// Whether the files hold something new, which then counts for connections from now on.
    pub fn reload(&mut self, logger: &Logger) -> Result<bool, String> {
        let pems = server_pems(&self.files, self.clients, self.alpn)?;
        warn_of_end(&self.files.certificate, &pems.certificate, logger);
        if pems == self.current {
            return Ok(false);
        }
        self.acceptor.replace(&pems).map_err(|error| named(&self.files.certificate, &error))?;
        self.current = pems;
        Ok(true)
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        let files = &self.files;
        [Some(&files.certificate), Some(&files.key), files.ca.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// A dialling side bound to its files.
pub struct Dialling {
    pub connector: Arc<Connector>,
    pub files: ClientFiles,
    versions: Versions,
    current: ClientPems,
}

impl Dialling {
    pub fn start(files: ClientFiles, versions: Versions, logger: &Logger) -> Result<Self, String> {
        let current = client_pems(&files, versions)?;
        let connector = Connector::new(&current, files.server_name.clone())
            .map_err(|error| named(files.identity.as_ref().map_or(&files.ca, |(own, _)| own), &error))?;
        if let (Some((path, key)), Some((pem, _))) = (&files.identity, &current.identity) {
            warn_of_mode(key, logger);
            warn_of_end(path, pem, logger);
        }
        Ok(Dialling { connector: Arc::new(connector), files, versions, current })
    }

    pub fn reload(&mut self) -> Result<bool, String> {
        let pems = client_pems(&self.files, self.versions)?;
        if pems == self.current {
            return Ok(false);
        }
        let at = self.files.identity.as_ref().map_or(&self.files.ca, |(own, _)| own);
        self.connector.replace(&pems).map_err(|error| named(at, &error))?;
        self.current = pems;
        Ok(true)
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        let (own, key) = self.files.identity.clone().unzip();
        [Some(self.files.ca.clone()), own, key].into_iter().flatten().collect()
    }
}

/// What became of reading all files again, each thing once: several sides may share a file.
pub fn tell_of_reload(results: Vec<Result<bool, String>>, logger: &Logger) {
    let mut bad: Vec<String> = Vec::new();
    let mut changed = false;
    for result in results {
        match result {
            Ok(news) => changed |= news,
            Err(why) if bad.contains(&why) => {}
            Err(why) => {
                error!(logger, "{}; the certificates read before stay in force", why);
                bad.push(why);
            }
        }
    }
    if changed {
        info!(logger, "new certificates are in force for connections from now on");
    }
}

fn named(path: &Path, error: &crate::net::tls::MaterialError) -> String {
    format!("TLS with {}: {error}", path.display())
}

fn warn_of_mode(path: &Path, logger: &Logger) {
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        warn!(
            logger,
            "{} holds a private key and can be read by others (mode {:o}); make it 0600",
            path.display(),
            mode & 0o777
        );
    }
}

fn warn_of_end(path: &Path, pem: &[u8], logger: &Logger) {
    let Some(end_ms) = dates::first_end_ms(pem) else { return };
    let left_ms = end_ms.saturating_sub(super::clock::now().wall.as_millis());
    if left_ms == 0 {
        warn!(logger, "the certificate in {} has expired; renew it", path.display());
    } else if left_ms < END_NEAR_MS {
        let days = left_ms / (24 * 3600 * 1000);
        warn!(logger, "the certificate in {} ends in {days} days; renew it", path.display());
    }
}
