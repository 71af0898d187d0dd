//! A disk without space, as a small tmpfs in a mount namespace of its own.

use super::info;
use crate::support::{DEADLINE, Wire, eventually, free_port};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use vedette::resp::Reply;

/// A tmpfs that nobody else sees; it goes with its holder.
struct Disk {
    holder: Child,
    dir: tempfile::TempDir,
}

impl Disk {
    fn new(size: &str) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let script =
            format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && touch \"$0/mounted\" && exec sleep 600");
        let own_user = (!rustix::process::geteuid().is_root()).then_some("--map-root-user");
        let holder = Command::new("unshare")
            .args(own_user)
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .arg(dir.path())
            .spawn()
            .expect("unshare must be installed for this test: apt-get install util-linux");
        let mut disk = Disk { holder, dir };
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if disk.path("mounted").exists() {
                return disk;
            }
            let ended = disk.holder.try_wait().expect("a child can be waited for");
            assert_eq!(
                ended, None,
                "this test mounts a tmpfs in a namespace of its own, which must be permitted"
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the tmpfs was never mounted");
    }

    /// A file in it, seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.dir.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    fn server(&self, fsync: &str) -> (Child, u16) {
        for _ in 0..5 {
            let port = free_port();
            let mut child = Command::new("nsenter")
                .args(["--mount", "--target", &self.holder.id().to_string(), env!("CARGO_BIN_EXE_vedette")])
                .args(["server", "--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args(["--appendonly", "yes", "--appendfsync", fsync, "--dir"])
                .arg(self.dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nsenter must be installed for this test: apt-get install util-linux");
            let start = Instant::now();
            while start.elapsed() < DEADLINE && child.try_wait().is_ok_and(|status| status.is_none()) {
                if Wire::try_connect(port).is_some_and(|mut wire| wire.try_ask(&["PING"]).is_some()) {
                    return (child, port);
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("the server did not start on the small disk");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_refuses_writes_loses_nothing_and_recovers() {
    a_full_disk("always");
}

#[test]
fn a_full_disk_refuses_writes_loses_nothing_and_recovers_when_synced_each_second() {
    a_full_disk("everysec");
}

fn a_full_disk(fsync: &str) {
    let disk = Disk::new("16m");
    let (mut child, port) = disk.server(fsync);
    std::fs::write(disk.path("ballast"), vec![0; 15 << 20]).unwrap();
    // One connection waits for an acknowledgement that does not come while the disk is full.
    let filler = std::thread::spawn(move || {
        let mut wire = Wire::connect(port);
        let value = "x".repeat(10_000);
        let mut acknowledged = 0;
        loop {
            match wire.try_ask(&["SET", &format!("key:{acknowledged}"), &value]) {
                Some(reply) if reply.is_ok() => acknowledged += 1,
                // Refused: the same again, until the crash takes the connection.
                Some(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
                None => return acknowledged,
            }
        }
    });
    let mut wire = Wire::connect(port);
    eventually("writing fails", || info(&mut wire, "aof_last_write_status") == "err");
    let refused = format!("{:?}", wire.line("SET other 1"));
    assert!(refused.contains("MISCONF Errors writing to the AOF file"), "{refused}");
    assert!(wire.line("GET other").error().is_none(), "reads go on");
    // By this sentinels learn that it serves no write, and replace it.
    let pinged = format!("{:?}", wire.line("PING"));
    assert!(pinged.contains("MISCONF"), "{pinged}");
    std::fs::remove_file(disk.path("ballast")).unwrap();
    eventually("writing works again", || wire.line("SET other 1").is_ok());
    eventually("and says so", || info(&mut wire, "aof_last_write_status") == "ok");
    // The filler goes on until there is no space again.
    eventually("the disk is full once more", || info(&mut wire, "aof_last_write_status") == "err");
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = filler.join().unwrap();
    assert!(acknowledged > 10, "{acknowledged}");
    let (mut child, port) = disk.server(fsync);
    let mut wire = Wire::connect(port);
    for number in 0..acknowledged {
        assert_eq!(wire.line(&format!("STRLEN key:{number}")), Reply::Integer(10_000), "key:{number}");
    }
    assert_eq!(wire.line("GET other").as_str(), Some("1"));
    child.kill().unwrap();
    child.wait().unwrap();
}
