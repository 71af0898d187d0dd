//! While a data set is read the port answers. The data file is a pipe here, so the test decides how
//! long reading takes.

use crate::support::{DEADLINE, Process, Wire, eventually, free_port};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that reads from the pipe `dump.rdb` of `dir`, and a connection to it.
fn start(dir: &Path, more: &[&str]) -> (Server, u16) {
    for _ in 0..5 {
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args(["server", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Server(child);
        let began = Instant::now();
        while began.elapsed() < DEADLINE && server.0.try_wait().is_ok_and(|status| status.is_none()) {
            if Wire::try_connect(port).is_some_and(|mut wire| wire.try_ask(&["PING"]).is_some()) {
                return (server, port);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    panic!("the server did not start");
}

fn pipe(dir: &Path) {
    let made = Command::new("mkfifo").arg(dir.join("dump.rdb")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo must be installed: apt-get install coreutils");
}

#[track_caller]
fn is_loading(wire: &mut Wire, line: &str) {
    let reply = wire.line(line);
    let refused = reply.error().is_some_and(|why| why == "LOADING Redis is loading the dataset in memory");
    assert!(refused, "{line}: {reply:?}");
}

#[test]
fn while_the_data_set_is_read_clients_are_told_so() {
    let source = Process::vedette(&[]);
    let mut wire = source.connect();
    wire.line("SET a 1");
    assert!(wire.line("SAVE").is_ok());
    let image = std::fs::read(source.path("dump.rdb")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    pipe(dir.path());
    let (_server, port) = start(dir.path(), &["--save", "1", "1"]);
    let mut wire = Wire::connect(port);
    for line in ["PING", "GET a", "SET a 2", "SAVE", "REPLICAOF NO ONE", "DBSIZE"] {
        is_loading(&mut wire, line);
    }
    let info = |wire: &mut Wire| wire.line("INFO persistence").as_str().unwrap_or_default().to_owned();
    let text = info(&mut wire);
    for field in [
        "loading:1",
        "loading_start_time:",
        "loading_total_bytes:",
        "loading_loaded_perc:",
        "loading_eta_seconds:",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
    assert!(wire.line("CONFIG SET maxclients 100").is_ok(), "what needs no data is answered");
    let mut pipe = std::fs::File::options().write(true).open(dir.path().join("dump.rdb")).unwrap();
    pipe.write_all(&image[..image.len() / 2]).unwrap();
    eventually("it tells how far it is", || {
        info(&mut wire).contains(&format!("loading_loaded_bytes:{}\r\n", image.len() / 2))
    });
    is_loading(&mut wire, "GET a");
    pipe.write_all(&image[image.len() / 2..]).unwrap();
    drop(pipe);
    eventually("it serves", || wire.line("PING").error().is_none());
    assert_eq!(wire.line("GET a").as_str(), Some("1"));
    assert!(info(&mut wire).contains("loading:0"));
}

#[test]
fn sigterm_ends_it_while_it_loads_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    pipe(dir.path());
    let (mut server, port) = start(dir.path(), &["--save", "1", "1"]);
    is_loading(&mut Wire::connect(port), "PING");
    let _ = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status();
    eventually("it ended", || server.0.try_wait().unwrap().is_some());
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["dump.rdb"], "half a data set is not written");
}

#[test]
fn a_damaged_data_file_ends_it_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    pipe(dir.path());
    let (mut server, _) = start(dir.path(), &[]);
    std::fs::write(dir.path().join("dump.rdb"), b"REDIS0010 and then something else").unwrap();
    eventually("it ended", || server.0.try_wait().unwrap().is_some());
    assert_eq!(server.0.wait().unwrap().code(), Some(1));
}
