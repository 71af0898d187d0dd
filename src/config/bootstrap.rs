//! `bootstrap-expect`: what it needs and what it excludes.

use super::ConfigError;
use super::sentinel::SentinelConfig;

/// More founders than that are no fleet of voters.
const EXPECT_MAX: usize = 32;

impl SentinelConfig {
    /// The fleet is founded by those that see each other; `peers` and `id` follow from that.
    pub fn founds(&self) -> bool {
        self.bootstrap_expect.is_some() && !self.joins()
    }
}

pub(super) fn validate(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    let Some(expect) = config.bootstrap_expect.filter(|_| config.founds()) else { return };
    let mut refuse = |message: String| errors.push(ConfigError::key("bootstrap-expect", message));
    if !(2..=EXPECT_MAX).contains(&expect) {
        refuse(format!(
            "{expect} sentinels found no fleet; give the number of all its sentinels, 2 to {EXPECT_MAX} (three are usual)"
        ));
    }
    if !config.peers.is_empty() {
        refuse("`peers` names the founders already; give one of the two".to_owned());
    } else if config.id != 0 {
        refuse("the id follows from the founding; remove `id`, or give `join` beside it to enter a fleet that stands".to_owned());
    }
    if config.masters.is_empty() {
        refuse(
            "sentinels find each other at their masters, and there are none; add `masters`, or give `peers`"
                .to_owned(),
        );
    }
    if config.cluster_secret_file.is_none()
        && let Some(far) = config.masters.iter().find(|master| !master.address.is_loopback())
    {
        errors.push(ConfigError::key(
            "cluster-secret-file",
            format!(
                "the master {} is not on loopback, so the sentinels may be anywhere and must prove who they are; name a file with the same secret on every sentinel",
                far.address
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::sentinel::parse;

    fn complaints(text: &str) -> String {
        let errors = parse(text).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_takes_the_place_of_id_and_peers_and_of_nothing_else() {
        let masters = "masters: [{ name: m, address: \"127.0.0.1:6379\" }]\n";
        let config = parse(&format!("dir: /x\nbootstrap-expect: 3\n{masters}")).unwrap();
        assert!(config.founds() && config.id == 0);
        for (text, words) in [
            ("bootstrap-expect: 1\n", "1 sentinels found no fleet"),
            ("bootstrap-expect: 3\nid: 2\n", "remove `id`"),
            ("bootstrap-expect: 3\npeers: [{ id: 1, address: \"127.0.0.1:1\" }]\n", "one of the two"),
        ] {
            let said = complaints(&format!("dir: /x\n{text}{masters}"));
            assert!(said.contains(words), "{text}: {said}");
        }
        assert!(complaints("dir: /x\nbootstrap-expect: 3\n").contains("find each other at their masters"));
        let far = masters.replace("127.0.0.1", "10.0.0.1");
        assert!(complaints(&format!("dir: /x\nbootstrap-expect: 3\n{far}")).contains("cluster-secret-file"));
        let quorum = masters.replace("m,", "m, quorum: 4,");
        assert!(complaints(&format!("dir: /x\nbootstrap-expect: 3\n{quorum}")).contains("never be reached"));
        let joins =
            parse(&format!("id: 4\ndir: /x\nbootstrap-expect: 3\njoin: [\"127.0.0.1:1\"]\n{masters}"));
        assert!(!joins.unwrap().founds(), "a late one joins by the same file");
    }
}
