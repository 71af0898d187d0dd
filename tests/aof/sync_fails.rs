//! A disk that fails to sync: a library loaded in front of the C library answers EIO for the log's
//! files while a file of a certain name is there.

use super::{check_aof, info};
use crate::support::{Process, Wire, eventually};
use std::path::{Path, PathBuf};
use std::process::Command;
use vedette::resp::Reply;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    char link[64], path[4096];
    const char *trigger = getenv("SYNC_FAILS_WHILE");
    if (!trigger || access(trigger, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "appendonly.aof") != NULL;
}

int fdatasync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"#;

fn shim(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("cc must be installed for this test: apt-get install gcc");
    assert!(built.success());
    library
}

fn a_sync_that_fails(fsync: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (library, trigger) = (shim(dir.path()), dir.path().join("fail"));
    let mut server = Process::vedette_with(
        &["--appendonly", "yes", "--appendfsync", fsync],
        &[("LD_PRELOAD", library.to_str().unwrap()), ("SYNC_FAILS_WHILE", trigger.to_str().unwrap())],
    );
    let port = server.port;
    let filler = std::thread::spawn(move || {
        let mut wire = Wire::connect(port);
        let mut acknowledged = 0;
        loop {
            match wire.try_ask(&["SET", &format!("key:{acknowledged}"), "value"]) {
                Some(reply) if reply.is_ok() => acknowledged += 1,
                // Refused: the same again, until the crash takes the connection.
                Some(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
                None => return acknowledged,
            }
        }
    });
    let mut wire = server.connect();
    eventually("some are acknowledged", || wire.line("EXISTS key:50") == Reply::Integer(1));
    std::fs::write(&trigger, "").unwrap();
    eventually("writing fails", || info(&mut wire, "aof_last_write_status") == "err");
    let refused = format!("{:?}", wire.line("SET other 1"));
    assert!(refused.contains("MISCONF Errors writing to the AOF file"), "{refused}");
    assert!(wire.line("GET other").error().is_none(), "reads go on");
    std::fs::remove_file(&trigger).unwrap();
    eventually("a new base is on the disk and writes are taken", || wire.line("SET other 1").is_ok());
    let keys = wire.line("DBSIZE").as_integer().unwrap();
    eventually("more are acknowledged", || wire.line("DBSIZE").as_integer() > Some(keys + 50));
    server.kill();
    let acknowledged: i64 = filler.join().unwrap();
    server.restart();
    let mut wire = server.connect();
    for number in 0..acknowledged {
        assert_eq!(wire.line(&format!("EXISTS key:{number}")), Reply::Integer(1), "key:{number}");
    }
    assert_eq!(wire.line("GET other").as_str(), Some("1"));
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
}

#[test]
fn a_sync_that_fails_with_always_refuses_writes_loses_nothing_and_recovers() {
    a_sync_that_fails("always");
}

#[test]
fn a_sync_that_fails_with_everysec_refuses_writes_loses_nothing_and_recovers() {
    a_sync_that_fails("everysec");
}
