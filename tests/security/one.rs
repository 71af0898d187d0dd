//! One sentinel of a test's own making: the file, the process, and short questions to it.

use crate::processes::fleet::{Process, vedette};
use crate::support::{Wire, eventually, eventually_telling};
use std::fs;
use std::path::{Path, PathBuf};
use vedette::resp::Reply;

pub struct One {
    pub process: Process,
    pub port: u16,
    pub home: PathBuf,
}

/// Sentinel `id` of a fleet on these ports; `text` is what the file says besides.
pub fn sentinel(dir: &Path, id: usize, ports: &[u16], text: &str) -> One {
    let (program, args) = (vedette(), Vec::new());
    sentinel_by(dir, id, ports, text, program, args)
}

/// The same, started by another program that becomes it: `args` come before its own.
pub fn sentinel_by(
    dir: &Path,
    id: usize,
    ports: &[u16],
    text: &str,
    program: PathBuf,
    args: Vec<String>,
) -> One {
    let name = format!("sentinel-{id}");
    let (home, port) = (dir.join(&name), ports[id - 1]);
    let peers: String = ports
        .iter()
        .enumerate()
        .map(|(index, port)| format!("  - {{ id: {}, address: \"127.0.0.1:{port}\" }}\n", index + 1))
        .collect();
    let config = dir.join(format!("{name}.yaml"));
    fs::write(&config, format!("id: {id}\nport: {port}\ndir: {}\npeers:\n{peers}{text}", home.display()))
        .unwrap();
    let own = ["sentinel".to_owned(), "--config".to_owned(), config.display().to_string()];
    let args = args.into_iter().chain(own).collect();
    let mut process = Process::new(name.clone(), port, program, args, dir.join(format!("{name}.log")));
    process.start();
    One { process, port, home }
}

impl One {
    /// `None` while it does not answer.
    pub fn ask(&self, words: &[&str]) -> Option<Reply> {
        Wire::try_connect(self.port)?.try_ask(words)
    }

    pub fn status(&self) -> String {
        let reply = self.ask(&["SENTINEL", "STATUS"]);
        reply.as_ref().and_then(Reply::as_str).unwrap_or_default().to_owned()
    }

    pub fn await_status(&self, part: &str) {
        let what = format!("{part} in the status of {}", self.process.name);
        eventually_telling(&what, || self.process.log(), || self.status().contains(part));
    }

    pub fn await_log(&self, part: &str) {
        eventually(&format!("{part} in the log of {}", self.process.name), || {
            self.process.log().contains(part)
        });
    }
}
