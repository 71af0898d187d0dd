//! From an address as it is known to a connection: mapped (NAT), resolved, dialled, and dressed in
//! TLS where that is wanted. Never in plain text where it is.

use super::names::Names;
use super::stream::Stream;
use super::tls::{Connector, TlsError};
use crate::model::{Address, TlsFault};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;

/// What all outgoing connections share.
#[derive(Clone, Debug)]
pub struct Ways {
    pub names: Arc<Names>,
    /// Address as announced to the address to dial; a whole host maps to a host.
    pub nat: Arc<NatMap>,
}

/// Where to dial instead of what was announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatMap {
    pub addresses: BTreeMap<Address, Address>,
    pub hosts: BTreeMap<String, String>,
}

impl NatMap {
    /// The one of the address wins over the one of its host.
    pub fn map(&self, address: &Address) -> Address {
        if let Some(to) = self.addresses.get(address) {
            return to.clone();
        }
        match self.hosts.get(&address.host) {
            Some(host) => Address::new(host.as_str(), address.port),
            None => address.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the name {host} leads nowhere ({error})")]
    Name { host: String, error: io::Error },
    #[error(transparent)]
    Io(io::Error),
    #[error("the caller does not want this address")]
    NotAllowed,
    #[error("{0}")]
    Tls(TlsFault),
}

impl Ways {
    /// Straight to what was announced, with the system's resolver.
    pub fn plain() -> Self {
        Ways { names: Names::of_system(Box::new(|_, _, _| {})), nat: Arc::default() }
    }

    /// Connects to `address`.
    pub async fn dial(&self, address: &Address, tls: Option<&Connector>) -> Result<Stream, DialError> {
        self.dial_if(address, tls, |_| true).await
    }

    /// The same, but only to addresses that `allow` takes.
    pub async fn dial_if(
        &self,
        address: &Address,
        tls: Option<&Connector>,
        allow: impl Fn(IpAddr) -> bool,
    ) -> Result<Stream, DialError> {
        let target = self.nat.map(address);
        let found = self.names.find(&target.host).await;
        let found = found.map_err(|error| DialError::Name { host: target.host.clone(), error })?;
        if !found.iter().all(|ip| allow(*ip)) {
            return Err(DialError::NotAllowed);
        }
        let stream = first_open(&found, target.port).await.map_err(DialError::Io)?;
        // Only costs latency when refused; the connection works all the same.
        let _ = stream.set_nodelay(true);
        match tls {
            None => Ok(stream.into()),
            // The certificate is for what was announced, however it is reached.
            Some(connector) => connector.connect(stream, &address.host).await.map_err(|error| match error {
                TlsError::Fault(fault) => DialError::Tls(fault),
                TlsError::Io(error) => DialError::Io(error),
            }),
        }
    }
}

/// The first that takes the connection; the last error if none does.
async fn first_open(found: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for ip in found {
        match TcpStream::connect(SocketAddr::new(*ip, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_mapped_before_its_host_is() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        let nat = NatMap {
            addresses: BTreeMap::from([(address("10.0.0.1:6379"), address("203.0.113.7:7001"))]),
            hosts: BTreeMap::from([("10.0.0.1".into(), "203.0.113.8".into())]),
        };
        assert_eq!(nat.map(&address("10.0.0.1:6379")), address("203.0.113.7:7001"));
        assert_eq!(nat.map(&address("10.0.0.1:6380")), address("203.0.113.8:6380"));
        assert_eq!(nat.map(&address("10.0.0.2:6379")), address("10.0.0.2:6379"));
    }
}
