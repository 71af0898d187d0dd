//! The socket in the file system: redis-cli comes over it as it does to redis-server, and its file comes
//! and goes with the server.

use crate::support::{Process, eventually};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn cli(socket: &Path, words: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .arg("-s")
        .arg(socket)
        .args(words)
        .output()
        .expect("redis-cli must be installed for this test: apt-get install redis-tools");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn start(kind: fn(&[&str]) -> Process, dir: &Path, more: &[&str]) -> (Process, PathBuf) {
    let socket = dir.join("data.sock");
    let path = socket.display().to_string();
    let mut directives = vec!["--unixsocket", &path, "--unixsocketperm", "750"];
    directives.extend(more);
    (kind(&directives), socket)
}

/// Fields of a CLIENT line that both say.
fn who(line: &str, socket: &Path) -> String {
    let line = line.replace(&*socket.to_string_lossy(), "SOCKET");
    let kept = |word: &&str| ["addr=", "laddr=", "flags=", "user="].iter().any(|name| word.starts_with(name));
    line.split(' ').filter(kept).collect::<Vec<_>>().join(" ")
}

#[test]
fn whoever_comes_over_the_socket_is_shown_as_redis_shows_him() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = start(Process::vedette, here.path(), &[]);
    let theirs = start(Process::redis, there.path(), &[]);
    let said = |(_process, socket): &(Process, PathBuf)| {
        let file = std::fs::symlink_metadata(socket).unwrap();
        let mut said =
            vec![format!("{} {:o}", file.file_type().is_socket(), file.permissions().mode() & 0o777)];
        said.push(who(&cli(socket, &["CLIENT", "INFO"]), socket));
        said.push(who(&cli(socket, &["CLIENT", "LIST"]), socket));
        let path = format!("{}:0", socket.display());
        said.push(cli(socket, &["CLIENT", "KILL", "ADDR", &path]));
        said.push(cli(socket, &["CLIENT", "KILL", "ADDR", &path, "SKIPME", "no"]));
        said.push(cli(socket, &["CONFIG", "GET", "unixsocketperm"]));
        said.push(cli(socket, &["CONFIG", "SET", "unixsocket", "/elsewhere"]));
        said.push(cli(socket, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]));
        said.push(cli(socket, &["SLOWLOG", "GET", "1"]).contains(&path).to_string());
        // A large reply, and one that comes late.
        cli(socket, &["SETRANGE", "long", "3000000", "x"]);
        said.push(cli(socket, &["GETRANGE", "long", "2999998", "-1"]).len().to_string());
        said.push(cli(socket, &["GET", "long"]).len().to_string());
        said.push(cli(socket, &["BLPOP", "list", "0.05"]));
        said.push(cli(socket, &["DEBUG", "JMAP"]).chars().take(3).collect());
        said
    };
    assert_eq!(said(&ours), said(&theirs));

    // Whom MONITOR names.
    let mut watcher = ours.0.connect();
    watcher.line("MONITOR");
    cli(&ours.1, &["GET", "seen"]);
    let path = ours.1.display().to_string();
    eventually("MONITOR shows it", || {
        let line = watcher.next().expect("a line");
        line.as_str().is_some_and(|line| line.contains(&format!("[0 unix:{path}] \"GET\" \"seen\"")))
    });
}

#[test]
fn the_file_goes_with_the_server_and_what_a_killed_one_left_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, socket) = start(Process::vedette, dir.path(), &["--requirepass", "secret"]);
    assert!(cli(&socket, &["PING"]).starts_with("NOAUTH"), "a password counts here too");
    assert_eq!(cli(&socket, &["--no-auth-warning", "-a", "secret", "PING"]), "PONG");
    server.kill();
    assert!(socket.exists(), "SIGKILL leaves it");
    server.restart();
    assert_eq!(cli(&socket, &["--no-auth-warning", "-a", "secret", "PING"]), "PONG");
    assert_eq!(server.terminate(), Some(0));
    assert!(!socket.exists());

    // Port 0 beside it: nobody comes over the network.
    let home = dir.path().display().to_string();
    let path = socket.display().to_string();
    let mut alone = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["server", "--port", "0", "--unixsocket", &path, "--save", "", "--dir", &home])
        .spawn()
        .unwrap();
    eventually("it answers", || cli(&socket, &["PING"]) == "PONG");
    assert!(cli(&socket, &["INFO", "server"]).contains("tcp_port:0"));
    let second = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["server", "--port", "0", "--unixsocket", &path, "--dir", &home])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("another process listens there"), "{said}");
    cli(&socket, &["SHUTDOWN", "NOSAVE"]);
    assert!(alone.wait().unwrap().success());
    assert!(!socket.exists());
}
