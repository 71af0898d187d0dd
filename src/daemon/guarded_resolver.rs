//! Names of HTTP receivers, resolved once and checked.
//!
//! Promise: a connection goes only to addresses that were checked (`alerts::reach`); there is no second
//! look-up that could answer otherwise. Has never heard of what is sent, or why.

use crate::alerts::reach::Host;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

pub(super) struct GuardedResolver {
    pub host: Host,
    pub allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, allow_private) = (self.host.clone(), self.allow_private);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                host.admits(address.ip(), allow_private)
                    .map_err(|why| format!("{}: {why}", name.as_str()))?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
