//! From what rustls and the socket say to a typed fault.

use crate::model::TlsFault;
use rustls::{AlertDescription, CertificateError, Error};
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}")]
    Fault(TlsFault),
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match fault_of(&error) {
            Some(fault) => TlsError::Fault(fault),
            None => TlsError::Io(error),
        }
    }
}

/// The fault inside an error of a TLS stream; `None`: the connection itself failed. Also an error of
/// a later read: with TLS 1.3 a server's word on our certificate comes after the handshake.
pub fn fault_of(error: &io::Error) -> Option<TlsFault> {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return Some(fault(error));
    }
    (error.kind() == io::ErrorKind::InvalidData).then_some(TlsFault::Broken)
}

fn fault(error: &Error) -> TlsFault {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            _ => TlsFault::BadCertificate,
        },
        // As a server: the other side showed none.
        Error::NoCertificatesPresented => TlsFault::WantsCertificate,
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => TlsFault::WantsCertificate,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => TlsFault::OursRefused,
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
                TlsFault::NothingInCommon
            }
            _ => TlsFault::Broken,
        },
        Error::PeerIncompatible(_) => TlsFault::NothingInCommon,
        Error::InvalidMessage(_) => TlsFault::NotTls,
        _ => TlsFault::Broken,
    }
}
