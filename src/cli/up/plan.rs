//! What a local fleet consists of: directory, ports, one command line per process.
//!
//! The plan is written to `fleet.json` in the fleet's directory, so that the same directory gives the
//! same fleet again. Starts nothing.

use crate::cli::Failure;
use serde::{Deserialize, Serialize};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub(in crate::cli) const GROUP: &str = "mymaster";
const HOST: &str = "127.0.0.1";
/// From a data port to the first sentinel's: 6379 and 26379.
const SENTINEL_OFFSET: u16 = 20_000;
/// Sentinels stand this far apart; each one's status page is the port after its own.
const SENTINEL_STEP: u16 = 100;
const FILE: &str = "fleet.json";

#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Wish {
    pub(in crate::cli) port_base: u16,
    pub(in crate::cli) replicas: usize,
    pub(in crate::cli) sentinels: usize,
    pub(in crate::cli) down_after_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Plan {
    /// The first one is the master when the fleet starts for the first time.
    pub(in crate::cli) data: Vec<u16>,
    pub(in crate::cli) sentinels: Vec<SentinelPorts>,
    down_after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct SentinelPorts {
    pub(in crate::cli) port: u16,
    pub(in crate::cli) http: u16,
}

/// One process of the fleet.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Node {
    /// Also names its log file.
    pub(in crate::cli) name: String,
    pub(in crate::cli) port: u16,
    pub(in crate::cli) argv: Vec<String>,
}

impl Plan {
    /// The ports wished for, each moved up to the next free one when somebody holds it; with a
    /// sentence for every port that moved.
    pub(in crate::cli) fn choose(
        wish: Wish,
        is_free: impl Fn(u16) -> bool,
    ) -> Result<(Self, Vec<String>), Failure> {
        let mut taken = Vec::new();
        let mut moved = Vec::new();
        let mut pick = |what: String, wanted: u32| -> Result<u16, Failure> {
            let found = (wanted..=u32::from(u16::MAX))
                .filter_map(|port| u16::try_from(port).ok())
                .find(|port| *port != 0 && !taken.contains(port) && is_free(*port))
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "no free port from {wanted} on for {what}; give a lower --port-base"
                    ))
                })?;
            taken.push(found);
            if u32::from(found) != wanted {
                moved.push(format!("port {wanted} is taken, so {what} listens on {found}"));
            }
            Ok(found)
        };
        let base = u32::from(wish.port_base);
        let mut data = Vec::new();
        for index in 0..=wish.replicas {
            data.push(pick(format!("server {}", index + 1), base + index as u32)?);
        }
        let mut sentinels = Vec::new();
        for index in 0..wish.sentinels {
            let wanted = base + u32::from(SENTINEL_OFFSET) + index as u32 * u32::from(SENTINEL_STEP);
            let port = pick(format!("sentinel {}", index + 1), wanted)?;
            let http = pick(format!("the status page of sentinel {}", index + 1), u32::from(port) + 1)?;
            sentinels.push(SentinelPorts { port, http });
        }
        Ok((Plan { data, sentinels, down_after_ms: wish.down_after_ms }, moved))
    }

    /// The plan that an earlier run left in `dir`, if any.
    pub(in crate::cli) fn load(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::usage(format!(
                "{} does not describe a fleet ({error}); start in an empty directory",
                path.display()
            ))
        })
    }

    /// Writes `fleet.json` and the sentinels' configurations, and makes each process' directory.
    pub(in crate::cli) fn lay_out(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir.join("log"))?;
        for index in 0..self.data.len() {
            std::fs::create_dir_all(home(dir, "server", index))?;
        }
        for index in 0..self.sentinels.len() {
            std::fs::create_dir_all(home(dir, "sentinel", index))?;
            std::fs::write(self.config_path(dir, index), self.sentinel_yaml(dir, index))?;
        }
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        std::fs::write(dir.join(FILE), text + "\n")
    }

    pub(in crate::cli) fn nodes(&self, dir: &Path) -> Vec<Node> {
        let servers = self.data.iter().enumerate().map(|(index, &port)| {
            let mut argv = words(&["server", "--bind", HOST, "--save", "", "--appendonly", "no"]);
            argv.extend(words(&[
                "--port",
                &port.to_string(),
                "--dir",
                &home(dir, "server", index).to_string_lossy(),
            ]));
            if index > 0 {
                argv.extend(words(&["--replicaof", &format!("{HOST} {}", self.data[0])]));
            }
            Node { name: format!("server-{}", index + 1), port, argv }
        });
        let sentinels = self.sentinels.iter().enumerate().map(|(index, ports)| Node {
            name: format!("sentinel-{}", index + 1),
            port: ports.port,
            argv: words(&["sentinel", "--config", &self.config_path(dir, index).to_string_lossy()]),
        });
        servers.chain(sentinels).collect()
    }

    pub(in crate::cli) fn quorum(&self) -> usize {
        self.sentinels.len() / 2 + 1
    }

    /// Every port, for the check that an earlier fleet's ports are still free.
    pub(in crate::cli) fn ports(&self) -> impl Iterator<Item = u16> {
        self.data.iter().copied().chain(self.sentinels.iter().flat_map(|ports| [ports.port, ports.http]))
    }

    fn config_path(&self, dir: &Path, index: usize) -> PathBuf {
        dir.join(format!("sentinel-{}.yaml", index + 1))
    }

    fn sentinel_yaml(&self, dir: &Path, index: usize) -> String {
        let own = self.sentinels[index];
        let mut yaml = format!(
            "# Written by `vedette up`; read by sentinel {id}.\nid: {id}\nbind: {HOST}\nport: {port}\n\
             http: {HOST}:{http}\ndir: {dir}\npeers:\n",
            id = index + 1,
            port = own.port,
            http = own.http,
            dir = quoted(&home(dir, "sentinel", index)),
        );
        for (other, ports) in self.sentinels.iter().enumerate() {
            yaml.push_str(&format!("  - {{ id: {}, address: \"{HOST}:{}\" }}\n", other + 1, ports.port));
        }
        // Masters are killed here for practice, as often as anybody likes.
        yaml.push_str(&format!(
            "masters:\n  - name: {GROUP}\n    address: {HOST}:{}\n    quorum: {}\n    down-after-milliseconds: {}\n    failovers-max: 0\n",
            self.data[0],
            self.quorum(),
            self.down_after_ms
        ));
        yaml
    }
}

/// Whether nobody listens there now. Somebody may take it a moment later; the process that then
/// cannot listen says so.
pub(in crate::cli) fn is_free(port: u16) -> bool {
    TcpListener::bind((HOST, port)).is_ok()
}

fn home(dir: &Path, kind: &str, index: usize) -> PathBuf {
    dir.join(format!("{kind}-{}", index + 1))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// JSON's quoting is YAML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::String(path.to_string_lossy().into_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sentinel;

    const WISH: Wish = Wish { port_base: 6379, replicas: 2, sentinels: 3, down_after_ms: 1000 };

    #[test]
    fn the_usual_ports_are_taken_when_they_are_free() {
        let (plan, moved) = Plan::choose(WISH, |_| true).unwrap();
        assert_eq!(plan.data, [6379, 6380, 6381]);
        assert_eq!(plan.sentinels.iter().map(|ports| ports.port).collect::<Vec<_>>(), [26379, 26479, 26579]);
        assert_eq!(plan.sentinels[0].http, 26380);
        assert!(moved.is_empty());
    }

    #[test]
    fn a_port_that_is_held_moves_and_is_named() {
        let (plan, moved) = Plan::choose(WISH, |port| ![6379, 26380].contains(&port)).unwrap();
        assert_eq!(plan.data, [6380, 6381, 6382]);
        assert_eq!(plan.sentinels[0].http, 26381);
        assert!(moved[0].contains("6379 is taken, so server 1 listens on 6380"), "{moved:?}");
    }

    #[test]
    fn too_high_a_base_is_an_error_with_a_remedy() {
        let wish = Wish { port_base: 60_000, ..WISH };
        assert!(Plan::choose(wish, |_| true).unwrap_err().message.contains("--port-base"));
    }

    #[test]
    fn what_it_writes_is_read_by_the_sentinel_and_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a \"quoted\" name");
        let (plan, _) = Plan::choose(WISH, |_| true).unwrap();
        plan.lay_out(&odd).unwrap();
        for index in 0..3 {
            let text = std::fs::read_to_string(plan.config_path(&odd, index)).unwrap();
            let config = sentinel::parse(&text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
            assert_eq!(config.id, index as u64 + 1);
            assert_eq!(config.dir, home(&odd, "sentinel", index));
            assert_eq!(config.masters[0].quorum, 2);
        }
        assert_eq!(Plan::load(&odd).unwrap(), Some(plan));
        assert_eq!(Plan::load(dir.path()).unwrap(), None);
    }
}
