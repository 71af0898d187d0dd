//! ACL as Debian's redis-server answers it, word for word where it can be; and on the sentinel port.

use super::flat;
use crate::support::{Process, Wire, eventually};
use std::process::Command;
use vedette::resp::Reply;

/// What both must answer alike, and then keep true: rules, refusals, texts.
const SAME: &[&str] = &[
    "ACL WHOAMI",
    "ACL USERS",
    "ACL LIST",
    "ACL GETUSER default",
    "ACL GETUSER nobody",
    "ACL CAT nothing",
    "ACL CAT",
    "ACL SETUSER a on >secret ~x:* %R~r:* %W~w:* &news:* +@read +set +config|get",
    "ACL SETUSER a +nothing",
    "ACL SETUSER a +@nothing",
    "ACL SETUSER a zz",
    "ACL SETUSER a #abc",
    "ACL SETUSER a !abc",
    "ACL SETUSER a %X~a",
    "ACL SETUSER a (+get",
    "ACL SETUSER a +config|nothing",
    "ACL SETUSER d allkeys ~x",
    "ACL SETUSER d allchannels &x",
    "ACL SETUSER",
    "ACL DELUSER default",
    "ACL DELUSER nobody",
    "ACL DRYRUN a GET x:1",
    "ACL DRYRUN a GET y:1",
    "ACL DRYRUN a GET r:1",
    "ACL DRYRUN a SET r:1 v",
    "ACL DRYRUN a SET x:1 v",
    "ACL DRYRUN a SET w:1 v",
    "ACL DRYRUN a GET w:1",
    "ACL DRYRUN a DEL x:1",
    "ACL DRYRUN a CONFIG GET x",
    "ACL DRYRUN a CONFIG SET x y",
    "ACL DRYRUN a PUBLISH news:1 x",
    "ACL DRYRUN a NOTHING",
    "ACL DRYRUN a GET",
    "ACL DRYRUN nobody GET x",
    "ACL SETUSER b on nopass +@all -@dangerous ~* &*",
    "ACL GETUSER b",
    "ACL DRYRUN b FLUSHALL",
    "ACL DRYRUN b SUBSCRIBE x",
    "ACL SETUSER c on nopass resetkeys ~src +copy +mget (~dst %R~other +get +copy)",
    "ACL GETUSER c",
    "ACL DRYRUN c COPY src dst",
    "ACL DRYRUN c GET dst",
    "ACL DRYRUN c GET src",
    "ACL DRYRUN c MGET src other",
    "ACL SETUSER e on nopass -@all +select|0 +subscribe +psubscribe &ch:*",
    "ACL DRYRUN e SELECT 0",
    "ACL DRYRUN e SELECT 1",
    "ACL DRYRUN e SUBSCRIBE ch:1",
    "ACL DRYRUN e SUBSCRIBE other",
    "ACL DRYRUN e PSUBSCRIBE ch:*",
    "ACL DRYRUN e PSUBSCRIBE ch:1*",
    "ACL SETUSER f on >one >two <one skip-sanitize-payload",
    "ACL GETUSER f",
    "ACL SETUSER f reset",
    "ACL GETUSER f",
    "ACL GENPASS 0",
    "ACL GENPASS 5000",
    "ACL LOAD",
    "ACL SAVE",
    "ACL NOTHING",
    "ACL WHOAMI x",
    "ACL LOG nothing",
    "ACL LOG RESET",
    "AUTH a wrong",
    "AUTH a secret",
    "ACL WHOAMI",
    "GET y:1",
    "GET x:1",
    "SET x:1 v",
    "SET r:1 v",
    "DEL x:1",
    "CONFIG SET a b",
    "AUTH default x",
    "CLIENT KILL USER nobody",
    "AUTH e x",
    "SUBSCRIBE other",
    "GET x",
    "RESET",
    "ACL SETUSER a off",
    "AUTH a secret",
    "ACL DELUSER a b c d e f",
    "ACL USERS",
];

/// Redis 7.0 writes single commands in the order of a hash table with a random seed.
fn sorted(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.into_iter().map(sorted).collect()),
        Reply::Bulk(bytes) if bytes.starts_with(b"-@all ") || bytes.starts_with(b"+@all ") => {
            let mut words: Vec<&[u8]> = bytes.split(|byte| *byte == b' ').collect();
            words.sort_unstable();
            Reply::Bulk(words.join(&b' '))
        }
        other => other,
    }
}

#[test]
fn it_answers_as_stock_redis_does() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let (mut our_wire, mut their_wire) = (ours.connect(), theirs.connect());
    for line in SAME {
        let (ours, theirs) = (our_wire.line(line), their_wire.line(line));
        assert_eq!(sorted(ours), sorted(theirs), "{line}");
    }
    // A password is not repeated, not even to the one who typed it.
    let refusal = our_wire.line("ACL SETUSER default <wrong");
    assert!(refusal.error().is_some_and(|text| text.contains("does not exist") && !text.contains("wrong")));
    // Both name the same commands in each category, where both have them.
    let words = |reply: Reply| -> Vec<String> {
        reply.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let known = words(our_wire.line("COMMAND LIST"));
    for category in words(our_wire.line("ACL CAT")) {
        let mut ours = words(our_wire.line(&format!("ACL CAT {category}")));
        let mut theirs = words(their_wire.line(&format!("ACL CAT {category}")));
        let here = |name: &String| known.contains(&name.split('|').next().unwrap().to_owned());
        theirs.retain(here);
        // Of Redis 7.2 and later.
        let newer = ["waitaof", "client|no-touch", "client|setinfo", "client|maint_notifications"];
        ours.retain(|name| !name.starts_with("vedette") && !newer.contains(&name.as_str()));
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{category}");
    }
    let password = our_wire.line("ACL GENPASS");
    assert!(password.as_str().is_some_and(|text| text.len() == 64), "{password:?}");
    assert_ne!(password, our_wire.line("ACL GENPASS"));
}

#[test]
fn refusals_are_logged_and_users_leave_with_their_connections() {
    let server = Process::vedette(&[]);
    let mut admin = server.connect();
    admin.line("ACL SETUSER app on >s3cret ~app:* &app +@all -@admin");
    let mut app = server.connect();
    assert_eq!(app.line("AUTH app s3cret"), Reply::Simple("OK".into()));
    assert!(app.line("GET other").error().unwrap().starts_with("NOPERM"));
    assert!(app.line("GET other").error().unwrap().starts_with("NOPERM"));
    assert!(app.line("AUTH app wrong").error().unwrap().starts_with("WRONGPASS"));
    let log = flat(&admin.line("ACL LOG"));
    for part in ["other", "auth", "app", "key", "toplevel"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!log.contains("s3cret") && !log.contains("wrong"), "{log}");
    // What was queued is judged again when it runs.
    app.line("MULTI");
    app.line("SET app:1 v");
    admin.line("ACL SETUSER app resetkeys ~none");
    assert!(flat(&app.line("EXEC")).contains("NOPERM"));
    admin.line("ACL SETUSER app allkeys");
    assert_eq!(app.line("SUBSCRIBE app").as_array().map(<[Reply]>::len), Some(3));
    admin.line("ACL SETUSER app resetchannels");
    eventually("who may not listen any more is cut off", || app.try_ask(&["PING"]).is_none());
    let mut app = server.connect();
    app.line("AUTH app s3cret");
    assert_eq!(admin.line("ACL DELUSER app"), Reply::Integer(1));
    eventually("a deleted user's connection ends", || app.try_ask(&["PING"]).is_none());
}

#[test]
fn users_live_in_a_file_that_is_taken_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.acl");
    std::fs::write(&path, "user default on nopass ~* &* +@all\nuser ann on >first ~* &* +@all\n").unwrap();
    let file = path.display().to_string();
    let mut server = Process::vedette(&["--aclfile", &file]);
    let mut wire = server.connect();
    assert_eq!(wire.line("AUTH ann first"), Reply::Simple("OK".into()));
    std::fs::write(&path, "user default on nopass ~* &* +@all\nuser ann on >second +@nothing\n").unwrap();
    let refusal = wire.line("ACL LOAD");
    assert!(
        refusal.error().is_some_and(|text| text.contains(":2:") && !text.contains("second")),
        "{refusal:?}"
    );
    assert_eq!(wire.line("ACL SETUSER bob on >b ~b:* +get"), Reply::Simple("OK".into()));
    assert_eq!(wire.line("ACL SAVE"), Reply::Simple("OK".into()));
    let saved = std::fs::read_to_string(&path).unwrap();
    assert!(saved.contains("user bob on #") && !saved.contains(">b"), "{saved}");
    assert_eq!(wire.line("ACL LOAD"), Reply::Simple("OK".into()));
    server.kill();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("AUTH bob b"), Reply::Simple("OK".into()));
    // What Debian's redis-server reads of ours, it understands.
    let theirs = Process::redis(&["--aclfile", &file]);
    assert_eq!(theirs.connect().line("AUTH bob b"), Reply::Simple("OK".into()));
}

#[test]
fn the_sentinel_port_knows_users_too_and_a_changed_file_counts_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.acl");
    let admin = "user admin on >admin-pass ~* &* +@all\n";
    let app = "user app on >app-pass resetchannels &* +@connection +sentinel|get-master-addr-by-name +ping\n";
    std::fs::write(&path, format!("user default off\n{admin}{app}")).unwrap();
    let port = crate::processes::fleet::free_ports(1)[0];
    let config = dir.path().join("sentinel.yaml");
    let text = format!(
        "id: 1\nport: {port}\ndir: {}\naclfile: {}\npeers:\n  - {{ id: 1, address: \"127.0.0.1:{port}\" }}\n",
        dir.path().join("data").display(),
        path.display()
    );
    std::fs::write(&config, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
    let log = dir.path().join("log");
    let vedette = crate::processes::fleet::vedette();
    let mut sentinel = crate::processes::fleet::Process::new("s".into(), port, vedette.clone(), args, log);
    sentinel.start();
    eventually("it answers", || {
        Wire::try_connect(port).is_some_and(|mut wire| wire.try_ask(&["PING"]).is_some())
    });
    let mut wire = Wire::connect(port);
    assert!(wire.line("SENTINEL MASTERS").error().unwrap().starts_with("NOAUTH"));
    assert_eq!(wire.line("AUTH app app-pass"), Reply::Simple("OK".into()));
    assert_eq!(wire.line("SENTINEL GET-MASTER-ADDR-BY-NAME none").error(), None);
    let refusal = wire.line("SENTINEL MONITOR m 127.0.0.1 1 1");
    assert_eq!(
        refusal.error(),
        Some("NOPERM this user has no permissions to run the 'sentinel|monitor' command")
    );
    let password = dir.path().join("password");
    std::fs::write(&password, "admin-pass\n").unwrap();
    let status = Command::new(&vedette)
        .args(["status", "--sentinel", &format!("127.0.0.1:{port}"), "--user", "admin", "--password-file"])
        .arg(&password)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&status.stderr).is_empty(), "{status:?}");

    std::fs::write(&path, format!("user default off\n{admin}user new on >n ~* &* +@all\n")).unwrap();
    eventually("the changed file is taken up", || {
        Wire::connect(port).line("AUTH new n") == Reply::Simple("OK".into())
    });
    assert!(Wire::connect(port).line("AUTH app app-pass").error().is_some());
    let log = sentinel.log();
    assert!(!log.contains("app-pass") && !log.contains("admin-pass"), "{log}");
}
