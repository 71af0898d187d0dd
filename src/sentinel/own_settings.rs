//! What concerns one sentinel alone and is changed while it runs: SENTINEL CONFIG SET of its announced
//! address, of names against addresses, and of the login that it uses as a client of sentinels. Agreed
//! like everything else: it lies in every log, so it outlives the process, and the others learn where
//! they are to find it. A password is among it only sealed (`vault`).

use super::Auth;
use super::command::Command;
use super::credentials::NO_KEY;
use super::fleet_settings::yes_no;
use super::node::Sentinel;
use super::vault;
use crate::model::Address;
use serde::{Deserialize, Serialize};

/// Unset: as this sentinel's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnSettings {
    pub announce_ip: Option<String>,
    pub announce_port: Option<u16>,
    pub announce_hostnames: Option<bool>,
    pub sentinel_user: Option<String>,
    /// Sealed by the vault: never in clear.
    pub sealed_pass: Option<String>,
}

/// Its name for the vault: no group is called so.
const SEALED_FOR: &str = " sentinel-pass";

impl OwnSettings {
    /// Changes one of them by its name; `None` when the name or the value is none.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "announce-ip" => {
                let fits = value.is_empty() || is_host(value);
                self.announce_ip = fits.then(|| text(value))?;
            }
            "announce-port" => {
                let port: u16 = if value.is_empty() { 0 } else { value.parse().ok()? };
                self.announce_port = (port != 0).then_some(port);
            }
            "announce-hostnames" => self.announce_hostnames = Some(yes_no(value)?),
            "sentinel-user" => {
                let fits = value.len() <= 128 && value.bytes().all(|b| b.is_ascii_graphic());
                self.sentinel_user = fits.then(|| text(value))?;
            }
            "sentinel-pass" => {
                let fits = value.is_empty() || vault::is_sealed(value);
                self.sealed_pass = fits.then(|| text(value))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// It says where the sentinel is: what its process says of itself is older.
    pub fn announces(&self) -> bool {
        self.announce_ip.is_some() || self.announce_port.is_some()
    }

    /// `base` with what was set in its place.
    fn over(&self, base: Address) -> Address {
        let host = self.announce_ip.clone().unwrap_or(base.host);
        Address::new(host, self.announce_port.unwrap_or(base.port))
    }
}

/// Whether a value is one, before it is sealed.
pub fn fits(name: &str, value: &str) -> bool {
    match name {
        "sentinel-pass" => value.len() <= vault::BYTES_MAX,
        _ => OwnSettings::default().set(name, value).is_some(),
    }
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn is_host(value: &str) -> bool {
    let whole = if value.contains(':') { format!("[{value}]:1") } else { format!("{value}:1") };
    value.len() <= 255 && whole.parse::<Address>().is_ok()
}

impl Sentinel {
    fn own(&self) -> Option<&OwnSettings> {
        self.ledger.own.get(&self.config.id)
    }

    /// Clients are told addresses, not the names that lead to them.
    pub fn hides_hostnames(&self) -> bool {
        let shows = self.own().and_then(|own| own.announce_hostnames);
        !shows.unwrap_or(self.config.announce_hostnames)
    }

    /// The user, and whether there is a password, of the login at other sentinels.
    pub(super) fn sentinel_login(&self) -> (String, bool) {
        let own = self.own();
        let user =
            own.and_then(|own| own.sentinel_user.clone()).or_else(|| self.config.sentinel_user.clone());
        let password = own.is_some_and(|own| own.sealed_pass.is_some())
            || self.config.sentinel_pass_file.is_some()
            || self.config.inline.sentinel_pass.is_some();
        (user.unwrap_or_default(), password)
    }

    /// With what this sentinel logs in as a client of sentinels; `by_file`: the password of its files.
    pub fn sentinel_auth(&self, by_file: Option<&str>) -> Option<Auth> {
        let sealed = self.own().and_then(|own| own.sealed_pass.as_deref());
        let password = sealed.and_then(|sealed| self.open(SEALED_FOR, sealed));
        let password = password.or_else(|| by_file.map(str::to_owned))?;
        let (user, _) = self.sentinel_login();
        Some(Auth { user: text(&user), password, command: None })
    }

    /// Options as they may leave this process, and where it is to be found with them.
    pub(super) fn own_command(&self, options: &[(String, String)]) -> Result<Command, &'static str> {
        let mut options = options.to_vec();
        let mut trial = self.own().cloned().unwrap_or_default();
        for (name, value) in &mut options {
            if name == "sentinel-pass" && !value.is_empty() && !vault::is_sealed(value) {
                *value = self.seal(SEALED_FOR, value).ok_or(NO_KEY)?;
            }
            trial.set(name, value).ok_or("ERR Invalid value to SENTINEL CONFIG SET")?;
        }
        let moves = options.iter().any(|(name, _)| name == "announce-ip" || name == "announce-port");
        let base = self.config.announced().unwrap_or_else(|| self.address.clone());
        let address = moves.then(|| trial.over(base));
        Ok(Command::Own { node: self.config.id, options, address })
    }

    /// Where the log says that a sentinel is, if somebody told it to be elsewhere than its file says.
    pub(super) fn moved_to(&self, id: crate::model::NodeId) -> Option<Address> {
        self.ledger.own.get(&id).filter(|own| own.announces())?;
        self.ledger.voters.get(&id)?.address.clone()
    }

    /// After every change of the members, and of this.
    pub(super) fn settle_own_address(&mut self) {
        let base = self.config.announced();
        if let Some(own) = self.own() {
            let base = base.unwrap_or_else(|| self.address.clone());
            self.address = own.over(base);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_lies_over_the_file_and_empty_takes_it_away() {
        let base = || Address::new("10.0.0.1", 26379);
        let mut own = OwnSettings::default();
        assert!(!own.announces() && own.over(base()) == base());
        own.set("announce-ip", "203.0.113.5").unwrap();
        own.set("announce-port", "7000").unwrap();
        assert_eq!(own.over(base()), Address::new("203.0.113.5", 7000));
        own.set("announce-ip", "").unwrap();
        own.set("announce-port", "0").unwrap();
        assert_eq!((own.over(base()), own.announces()), (base(), false));
        for (name, value) in [
            ("announce-ip", "a b"),
            ("announce-port", "70000"),
            ("announce-hostnames", "maybe"),
            ("sentinel-user", "a b"),
            ("sentinel-pass", "not sealed"),
            ("colour", "red"),
        ] {
            assert_eq!(own.set(name, value), None, "{name} {value}");
        }
        // A log of before has none of it.
        assert_eq!(serde_json::from_str::<OwnSettings>("{}").unwrap(), OwnSettings::default());
    }
}
