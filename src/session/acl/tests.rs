//! Rules as people write them, judged and read back.

use super::*;

fn user(rules: &str) -> User {
    let mut acl = Acl::default();
    acl.define([format!("u {rules}").as_str()]).unwrap();
    acl.user("u").unwrap().clone()
}

/// `None`: allowed. Keys are all words behind the first.
fn denied(user: &User, line: &str) -> Option<Denied> {
    let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let keys: Vec<usize> = match argv[0] {
        b"get" | b"set" | b"incr" | b"lpush" => vec![1],
        b"copy" | b"sinterstore" | b"mget" => (1..argv.len()).collect(),
        _ => Vec::new(),
    };
    user.denies(catalogue::of_request(&argv), &argv, &keys)
}

#[test]
fn commands_are_allowed_by_name_category_and_subcommand() {
    let one = user("on nopass ~* -@all +@read -mget +config|get +select|0 +client");
    for allowed in ["get a", "config get x", "select 0", "client kill x", "client id"] {
        assert_eq!(denied(&one, allowed), None, "{allowed}");
    }
    for refused in ["set a 1", "mget a", "config set x 1", "select 1", "config", "acl list", "nothing"] {
        assert_eq!(denied(&one, refused), Some(Denied::Command), "{refused}");
    }
    let all = user("~* +@all -@dangerous +info");
    assert_eq!(denied(&all, "info"), None);
    assert_eq!(denied(&all, "keys *"), Some(Denied::Command));
}

#[test]
fn keys_are_read_or_written_by_pattern_and_selectors_stand_beside() {
    let one = user("+@all %R~in:* %W~out:* ~both:* (+get ~extra)");
    for allowed in [
        "get in:1",
        "lpush out:1 x",
        "set out:1 x",
        "set both:1 x get",
        "copy in:1 out:1",
        "sinterstore out:1 in:1 in:2",
        "get extra",
    ] {
        assert_eq!(denied(&one, allowed), None, "{allowed}");
    }
    for (refused, at) in [
        ("lpush in:1 x", 1),
        ("get out:1", 1),
        ("copy in:1 in:2", 2),
        ("sinterstore out:1 in:1 out:2", 3),
        ("set extra 1", 1),
        ("set out:1 x get", 1),
    ] {
        assert_eq!(denied(&one, refused), Some(Denied::Key(at)), "{refused}");
    }
}

#[test]
fn channels_match_and_a_pattern_must_be_ours_word_for_word() {
    let one = user("+@all &news:* &exact");
    assert_eq!(denied(&one, "subscribe news:1 exact"), None);
    assert_eq!(denied(&one, "subscribe news:1 other"), Some(Denied::Channel(2)));
    assert_eq!(denied(&one, "psubscribe news:*"), None);
    assert_eq!(denied(&one, "psubscribe news:1*"), Some(Denied::Channel(1)));
    assert_eq!(denied(&one, "publish other x"), Some(Denied::Channel(1)));
}

#[test]
fn what_is_written_reads_back_the_same() {
    for rules in [
        "off resetchannels -@all",
        "on nopass ~* &* +@all",
        "on ~a %R~b %W~c resetchannels &d -@all +@read +config|get -mget (~x resetchannels -@all +set)",
        "off skip-sanitize-payload resetchannels +@all -@dangerous -config",
    ] {
        assert_eq!(user(rules).text(), format!("user u {rules}"));
    }
    let one = user("on >secret");
    assert!(one.accepts(b"secret") && !one.accepts(b"Secret"));
    assert_eq!(user(one.text().strip_prefix("user u ").unwrap()), one, "hashes are enough");
    assert!(!format!("{one:?}").contains("secret"));
    assert!(!user("off >secret").accepts(b"secret"), "off");
    assert!(!user("on").accepts(b""), "no password is not nopass");
}

#[test]
fn an_acl_file_is_taken_whole_or_not_at_all() {
    let mut acl = Acl::default();
    acl.load("# team\nuser default off\nuser ann on >a ~* +@all\n", "users.acl").unwrap();
    assert!(acl.default_needs_password());
    let text = acl.text();
    for (bad, says) in [
        ("user x +nothing", "users.acl:1: user 'x': Error in rule '+nothing': Unknown command"),
        ("user a on\nuser a off", "users.acl:2: duplicate user 'a'"),
        ("ann on", "users.acl:1: line should start with user"),
        ("user x on >hunter2 ~a (+get", "Unmatched parenthesis"),
        ("user x <hunter2", "does not exist"),
    ] {
        let error = acl.load(bad, "users.acl").unwrap_err();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        assert_eq!(acl.text(), text, "nothing changed");
    }
    let mut again = Acl::default();
    again.load(&text, "f").unwrap();
    assert_eq!(again.text(), text);
}
