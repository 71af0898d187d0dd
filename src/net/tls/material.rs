//! Certificates, keys and roots from PEM text to what rustls works with. Every mistake is a sentence.

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// Whether clients must show a certificate, as Redis' `tls-auth-clients`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    Required,
    Optional,
    Off,
}

/// What a server side is made of: PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerPems {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    /// Those whose signature a client's certificate must bear.
    pub ca: Option<Vec<u8>>,
    pub clients: ClientAuth,
    /// Spoken inside, as HTTP's `http/1.1`.
    pub alpn: Option<&'static str>,
}

/// What a client side is made of: PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientPems {
    pub ca: Vec<u8>,
    /// Our own certificate and its key, for servers that want one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    pub versions: Versions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    All,
    /// Between our own kind.
    Newest,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    #[error("the key file holds no PEM private key (one with a passphrase is not read: store it without)")]
    NoKey,
    #[error("the CA file holds no PEM certificate")]
    NoCa,
    #[error("tls-auth-clients needs a CA to judge clients by; set tls-ca-cert-file")]
    ClientsWithoutCa,
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("'{0}' is no name that a certificate can bear")]
    Name(String),
    #[error("the certificate, key or CA cannot be used: {0}")]
    Unusable(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Versions {
    fn list(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Versions::All => vec![&rustls::version::TLS13, &rustls::version::TLS12],
            Versions::Newest => vec![&rustls::version::TLS13],
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> MaterialError {
    MaterialError::Unusable(error.to_string())
}

fn mismatch_or(error: rustls::Error) -> MaterialError {
    match error {
        rustls::Error::InconsistentKeys(_) => MaterialError::Mismatch,
        error => unusable(error),
    }
}

/// All certificates of a PEM text.
pub(super) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    list.ok().filter(|list| !list.is_empty())
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, MaterialError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| MaterialError::NoKey)
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, MaterialError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem).ok_or(MaterialError::NoCa)? {
        store.add(certificate).map_err(unusable)?;
    }
    Ok(Arc::new(store))
}

pub(super) fn server_name(text: &str) -> Result<ServerName<'static>, MaterialError> {
    ServerName::try_from(text.to_owned()).map_err(|_| MaterialError::Name(text.to_owned()))
}

pub(super) fn server(pems: &ServerPems) -> Result<Arc<ServerConfig>, MaterialError> {
    let chain = certificates(&pems.certificate).ok_or(MaterialError::NoCertificate)?;
    let key = key(&pems.key)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&Versions::All.list())
        .map_err(unusable)?;
    let builder = match (pems.clients, &pems.ca) {
        (ClientAuth::Off, _) => builder.with_no_client_auth(),
        (_, None) => return Err(MaterialError::ClientsWithoutCa),
        (clients, Some(ca)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider());
            let verifier = match clients {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(mismatch_or)?;
    config.alpn_protocols.extend(pems.alpn.map(|name| name.as_bytes().to_vec()));
    Ok(Arc::new(config))
}

pub(super) fn client(pems: &ClientPems) -> Result<Arc<ClientConfig>, MaterialError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(&pems.ca)?, provider());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&pems.versions.list())
        .map_err(unusable)?
        .with_webpki_verifier(verifier.build().map_err(unusable)?);
    let config = match &pems.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, private)) => {
            let chain = certificates(certificate).ok_or(MaterialError::NoCertificate)?;
            builder.with_client_auth_cert(chain, key(private)?).map_err(mismatch_or)?
        }
    };
    Ok(Arc::new(config))
}
