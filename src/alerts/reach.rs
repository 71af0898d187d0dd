//! Which addresses a webhook may be sent to. The URL is the operator's own, but a *name* in it is
//! answered by whoever answers DNS, so a name must not lead into the inside of the network unless
//! the operator said so; and nothing leads to link-local addresses, where clouds keep their
//! metadata. The rule is about addresses, never about how a name looks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URL, as its owner meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Literal(IpAddr),
    Localhost,
    Name(String),
}

impl Host {
    pub(super) fn parse(host: &str, bracketed: bool) -> Result<Host, &'static str> {
        if bracketed {
            let ip: Ipv6Addr = host.parse().map_err(|_| "not an IPv6 address between the brackets")?;
            return Host::literal(IpAddr::V6(ip));
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Host::literal(IpAddr::V4(ip));
        }
        let host = host.to_ascii_lowercase();
        let labels = host.strip_suffix('.').unwrap_or(&host);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if labels.is_empty() || labels.len() > 253 || !labels.bytes().all(plain) {
            return Err("expected a host name or an IP address after ://");
        }
        // URL parsers read 0x7f.1 and 2130706433 as addresses; people write dots.
        let last = labels.rsplit('.').next().unwrap_or_default();
        if last.is_empty() || last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()) {
            return Err("an IPv4 address is written as four decimal numbers");
        }
        if labels == "localhost" { Ok(Host::Localhost) } else { Ok(Host::Name(labels.to_owned())) }
    }

    fn literal(ip: IpAddr) -> Result<Host, &'static str> {
        if never(unwrap(ip)) {
            return Err("link-local, multicast and unspecified addresses receive no webhooks");
        }
        Ok(Host::Literal(ip))
    }

    /// Whether `ip`, to which this host was resolved, may be connected to.
    pub fn admits(&self, ip: IpAddr, allow_private: bool) -> Result<(), &'static str> {
        let ip = unwrap(ip);
        if never(ip) {
            return Err("it resolves to a link-local, multicast or unspecified address");
        }
        match self {
            Host::Literal(_) => Ok(()),
            Host::Localhost if ip.is_loopback() => Ok(()),
            Host::Localhost => Err("localhost resolves to an address that is not loopback"),
            Host::Name(_) if allow_private || !inside(ip) => Ok(()),
            Host::Name(_) => Err("it resolves to a private address; set allow-private: yes if that is meant"),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, NAT64 or 6to4.
fn unwrap(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => ip,
    }
}

fn never(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.octets()[0] == 0 || ip.is_link_local() || ip.is_multicast() || ip.octets()[0] >= 240
        }
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local(),
    }
}

fn inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}
