//! What is wrong between two ends that were to speak TLS: the typed evidence for logs and situations.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFault {
    /// Their certificate is signed by nobody whom our CA file names.
    UnknownCa,
    Expired,
    NotYetValid,
    /// Their certificate is for another name or address.
    WrongName,
    /// Their certificate is bad in another way.
    BadCertificate,
    /// They want a certificate and we have none.
    WantsCertificate,
    /// They do not accept ours.
    OursRefused,
    /// No version or cipher in common.
    NothingInCommon,
    /// What answers there does not speak TLS.
    NotTls,
    /// They closed or garbled the handshake.
    Broken,
}

impl TlsFault {
    pub fn name(self) -> &'static str {
        match self {
            TlsFault::UnknownCa => "unknown-ca",
            TlsFault::Expired => "expired",
            TlsFault::NotYetValid => "not-yet-valid",
            TlsFault::WrongName => "wrong-name",
            TlsFault::BadCertificate => "bad-certificate",
            TlsFault::WantsCertificate => "wants-certificate",
            TlsFault::OursRefused => "ours-refused",
            TlsFault::NothingInCommon => "nothing-in-common",
            TlsFault::NotTls => "not-tls",
            TlsFault::Broken => "broken",
        }
    }

    /// What is wrong, and the remedy; "it" is the other side.
    pub fn sentence(self) -> &'static str {
        match self {
            TlsFault::UnknownCa => {
                "its certificate is not signed by a CA of ours; name its CA in tls-ca-cert-file, or give it a certificate of that CA"
            }
            TlsFault::Expired => "its certificate has expired; renew it",
            TlsFault::NotYetValid => "its certificate is not valid yet; compare the clocks of both machines",
            TlsFault::WrongName => {
                "its certificate is for another name; issue one for the name or address that is dialled, or set tls-server-name to the name it has"
            }
            TlsFault::BadCertificate => "its certificate is damaged, revoked, or not made for this use",
            TlsFault::WantsCertificate => {
                "it wants a client certificate and none is set; give tls-cert-file and tls-key-file"
            }
            TlsFault::OursRefused => {
                "it does not accept our certificate; it must be signed by a CA that it knows, and be in date"
            }
            TlsFault::NothingInCommon => "it offers no version or cipher of TLS that we accept (1.2 or 1.3)",
            TlsFault::NotTls => {
                "what answers there does not speak TLS; give the port that does, or turn TLS off for it"
            }
            TlsFault::Broken => {
                "it ended the TLS handshake without a word; does it speak TLS, and does it want a client certificate?"
            }
        }
    }
}

impl std::fmt::Display for TlsFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}
