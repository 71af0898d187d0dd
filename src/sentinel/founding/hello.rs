//! The line of `__sentinel__:hello`, as Redis Sentinel writes it: where a sentinel is, which life of
//! it, and what it thinks of the master.

use super::Founder;
use crate::model::Address;

/// What a sentinel publishes that knows of no epoch yet.
pub fn line(own: &Founder, group: &str, master: &Address) -> String {
    let Founder { run_id, address } = own;
    format!("{},{},{run_id},0,{group},{},{},0", address.host, address.port, master.host, master.port)
}

/// Where the sentinel is that wrote this line; anybody may have.
pub fn address(line: &str) -> Option<Address> {
    const LINE_BYTES_MAX: usize = 1024;
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let words: Vec<&str> = line.split(',').collect();
    let [host, port, _, _, _, _, _, _] = words.as_slice() else { return None };
    let host_like = (1..=255).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    host_like.then(|| Address::new(*host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_its_writer_is() {
        let own = Founder { run_id: "ab".repeat(20), address: Address::new("10.0.0.7", 26379) };
        let text = line(&own, "mymaster", &Address::new("10.0.0.1", 6379));
        assert_eq!(address(&text), Some(own.address));
        let redis = "::1,26380,d290fc2d5f90e73dd5fe6d4ab4b5b9d4d7a97a2b,12,mymaster,::1,6379,12";
        assert_eq!(address(redis), Some(Address::new("::1", 26380)));
        for bad in
            ["", "hi", "a,b,c,d,e,f,g,h", "10.0.0.7,0,x,0,m,h,1,0", "x y,1,x,0,m,h,1,0", "h,1,x,0,m,h,1"]
        {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
