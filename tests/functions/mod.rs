//! FUNCTION, FCALL and the libraries of scripts, at the ports of real processes: the bundled server
//! and Debian's redis-server are asked the same and say the same, and functions go from each to the
//! other by every way that data goes.

mod generated;
mod travel;

use super::support::{Process, Wire};
use vedette::resp::Reply;

/// A library as a test writes it: lines by `|`.
pub fn library(text: &str) -> String {
    text.replace('|', "\n")
}

/// All words of a reply.
pub fn all_text(reply: &Reply) -> String {
    match reply.as_array() {
        Some(items) => items.iter().map(|item| all_text(item) + " ").collect(),
        None => reply.as_str().unwrap_or_default().to_owned(),
    }
}

/// Asks both the same, and says where they differ.
pub fn alike(ours: &mut Wire, theirs: &mut Wire, words: &[&str], different: &mut Vec<String>) {
    let (us, them) = (ours.ask(words), theirs.ask(words));
    if us != them {
        different.push(format!("{words:?}\n  Redis   {them:?}\n  Vedette {us:?}"));
    }
}

/// Each of these is loaded; the reply is what is compared. `FLUSH` stands between groups.
const LIBRARIES: &[&str] = &[
    "return 1",
    "#!lua|return 1",
    "#!lua name=a",
    "#!lua name=a|local x=1",
    "#!js name=a|return 1",
    "#!lua name=a name=b|return 1",
    "#!lua foo=b|return 1",
    "#!lua name=a-b|return 1",
    "#!lua name=|return 1",
    "#!lua name=\"a b\"|return 1",
    "#!lua name=a foo|return 1",
    "#!lua name='a' \"|return 1",
    "#!lua name=a|xx yy",
    "#!lua name=a|error('boo')",
    "#!lua name=a|redis.call('set','a','b')",
    "#!lua name=a|x=1",
    "#!lua name=a|redis.xx=1",
    "#!lua name=a|redis.setresp(3)",
    "#!lua name=a|local y = zz",
    "#!lua name=a|local y = nil .. 'a'",
    "#!lua name=a|redis.log(redis.LOG_NOTICE)",
    "#!lua name=a|redis.log('x', 'y')",
    "#!lua name=a|redis.log(7, 'y')",
    "#!lua name=a|redis.register_function()",
    "#!lua name=a|redis.register_function(1)",
    "#!lua name=a|redis.register_function({})",
    "#!lua name=a|redis.register_function({},function() end)",
    "#!lua name=a|redis.register_function('a')",
    "#!lua name=a|redis.register_function('a',1)",
    "#!lua name=a|redis.register_function('a b',function() end)",
    "#!lua name=a|redis.register_function('',function() end)",
    "#!lua name=a|redis.register_function('a',function() end,3)",
    "#!lua name=a|redis.register_function('a',function() end) redis.register_function('a',function() end)",
    "#!lua name=a|redis.register_function{function_name='a'}",
    "#!lua name=a|redis.register_function{callback=function() end}",
    "#!lua name=a|redis.register_function{function_name={},callback=function() end}",
    "#!lua name=a|redis.register_function{function_name='q',callback=1}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,flags='x'}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,flags={'x'}}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,flags={{}}}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,zz=1}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,description={}}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,[1]=1}",
    "#!lua name=a|redis.register_function{function_name='q',callback=function() end,[true]=1}",
    "#!lua name=n1|redis.register_function(12,function() return 'twelve' end)",
    "#!lua name=n2|redis.log(redis.LOG_NOTICE,'x', redis.REDIS_VERSION) redis.register_function('v',function() return 'v' end)",
    "#!lua name=n1|redis.register_function('other',function() end)",
    "#!lua name=n3|redis.register_function('V',function() end)",
    "#!lua name=n4|local t = redis.register_function|t('late',function() return t('c',function() end) end)|local r = redis|t('narrow',function() return r.call('ping') end)",
    "#!lua name=n5|local seen = {}|redis.register_function('kept',function(k, a) seen[#seen + 1] = a[1] return seen end)",
    "#!lua name=n6|redis.register_function{function_name='flags',flags={'no-writes','ALLOW-STALE','allow-oom','no-cluster'},callback=function() return redis.call('get','x') end,description='what it does'}",
    "#!lua name=e|redis.register_function('e1',function(k,a) return redis.call('set',k[1],a[1]) end)|redis.register_function{function_name='e2',callback=function(k) return redis.call('get',k[1]) end,flags={'no-writes'}}",
    "#!lua name=f|redis.register_function('f1',function() error('boo') end)|redis.register_function('f2',function() return redis.call('nope') end)|redis.register_function('f3',function() return redis.error_reply('xx') end)|redis.register_function('f4',function() local x = undefd end)|redis.register_function('f5',function() gg = 1 end)",
    "#!lua name=g|redis.register_function{function_name='g1',flags={'no-writes'},callback=function() return redis.call('set','a','b') end}|redis.register_function('g2',function(k,a) return {#k,#a,k[1],a[1],KEYS == nil} end)|redis.register_function('g3',function(k,a) return {#k,#a,k[1],a[1]} end)",
    "#!lua name=h|redis.register_function('h1',function() return cjson.encode({1,2,cmsgpack.unpack(cmsgpack.pack('x'))}) end)|redis.register_function('h2',function() return {pcall(function() return redis.call('incr', 'text') end)} end)|redis.register_function('h3',function() redis.setresp(3) return redis.call('hgetall','hash') end)|redis.register_function('h4',function() return redis.register_function end)|redis.register_function('h5', function() return {redis.pcall('set'), {double=1.5}, {map={a=1}}, true, false} end)",
];

const REQUESTS: &[&str] = &[
    "FCALL 12 0",
    "FCALL v 0",
    "FCALL V 0",
    "FCALL late 0",
    "FCALL narrow 0",
    "FCALL kept 0 one",
    "FCALL kept 0 two",
    "FCALL flags 0",
    "FCALL_RO flags 0",
    "FCALL e1 1 key value",
    "FCALL e2 1 key",
    "FCALL_RO e1 1 key value",
    "FCALL_RO e2 1 key",
    "FCALL f1 0",
    "FCALL f2 0",
    "FCALL f3 0",
    "FCALL f4 0",
    "FCALL f5 0",
    "FCALL g1 0",
    "FCALL g2 0",
    "FCALL g3 1 x y z",
    "FCALL g3 0",
    "FCALL g3 5",
    "FCALL g3 -1",
    "FCALL g3 x",
    "FCALL nosuch 0",
    "FCALL g3",
    "SET text abc",
    "HSET hash a 1",
    "FCALL h1 0",
    "FCALL h2 0",
    "FCALL h3 0",
    "FCALL h4 0",
    "FCALL h5 0",
    "FUNCTION LIST LIBRARYNAME n1",
    "FUNCTION LIST WITHCODE LIBRARYNAME N6",
    "FUNCTION LIST LIBRARYNAME nope*",
    "FUNCTION LIST LIBRARYNAME a LIBRARYNAME b",
    "FUNCTION LIST WITHCODE WITHCODE",
    "FUNCTION LIST foo",
    "FUNCTION LIST LIBRARYNAME",
    "FUNCTION STATS",
    "FUNCTION STATS x",
    "FUNCTION DELETE nope",
    "FUNCTION DELETE a b",
    "FUNCTION DELETE e",
    "FCALL e1 1 a b",
    "FUNCTION FLUSH foo",
    "FUNCTION FLUSH sync async",
    "FUNCTION LOAD",
    "FUNCTION LOAD foo bar",
    "FUNCTION LOAD REPLACE",
    "FUNCTION LOAD REPLACE x",
    "FUNCTION foo",
    "FUNCTION HELP",
    "FUNCTION KILL",
    "FUNCTION RESTORE x",
    "FUNCTION RESTORE x FOO",
    "FUNCTION RESTORE x FLUSH y",
    "FUNCTION",
    "FUNCTION DUMP x",
    "EVAL \"return redis.call('fcall','v',0)\" 0",
    "EVAL \"return redis.call('function','list')\" 0",
    "MULTI",
    "FCALL v 0",
    "FUNCTION DELETE n2",
    "EXEC",
    "FUNCTION STATS",
    "COMMAND GETKEYS FCALL x 2 a b c",
    "FLUSHALL",
    "FCALL g3 0",
    "FUNCTION FLUSH ASYNC",
    "FUNCTION LIST",
    "FUNCTION DUMP",
    "FUNCTION STATS",
];

#[test]
fn both_servers_say_the_same_of_libraries_and_functions() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let mut different = Vec::new();
    for protocol in ["2", "3"] {
        let (mut us, mut them) = (ours.connect(), theirs.connect());
        us.ask(&["HELLO", protocol]);
        them.ask(&["HELLO", protocol]);
        for text in LIBRARIES {
            alike(&mut us, &mut them, &["FUNCTION", "LOAD", &library(text)], &mut different);
        }
        let text = library("#!lua name=n2|redis.register_function('v2',function() return 'v2' end)");
        alike(&mut us, &mut them, &["FUNCTION", "LOAD", &text], &mut different);
        let clash = library("#!lua name=n2|redis.register_function('E1',function() return 'v2' end)");
        alike(&mut us, &mut them, &["FUNCTION", "LOAD", "REPLACE", &clash], &mut different);
        alike(&mut us, &mut them, &["FCALL", "v", "0"], &mut different);
        alike(&mut us, &mut them, &["FUNCTION", "LOAD", "REPLACE", &text], &mut different);
        alike(&mut us, &mut them, &["FCALL", "v", "0"], &mut different);
        alike(&mut us, &mut them, &["FCALL", "v2", "0"], &mut different);
        for line in REQUESTS {
            let words = vedette::resp::decode::split_words(line.as_bytes()).expect("balanced quotes");
            let words: Vec<&str> =
                words.iter().map(|word| std::str::from_utf8(word).expect("text")).collect();
            alike(&mut us, &mut them, &words, &mut different);
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn a_library_that_never_ends_is_given_up_and_a_function_that_never_ends_is_killed() {
    let server = Process::vedette(&["--busy-reply-threshold", "50"]);
    let mut wire = server.connect();
    let reply = wire.ask(&["FUNCTION", "LOAD", &library("#!lua name=a|while true do end")]);
    assert_eq!(
        reply.error(),
        Some("ERR Error registering functions: ERR FUNCTION LOAD timeout"),
        "{reply:?}"
    );
    let text = "#!lua name=a|redis.register_function('spin', function() while true do end end)";
    assert_eq!(wire.ask(&["FUNCTION", "LOAD", &library(text)]).as_str(), Some("a"));
    wire.send(&["FCALL", "spin", "1", "key"]).expect("a connection");
    let mut other = server.connect();
    super::support::eventually("others are told BUSY", || {
        other.ask(&["GET", "x"]).error().is_some_and(|error| {
            error.starts_with("BUSY Redis is busy running a script. You can only call FUNCTION KILL")
        })
    });
    let stats = all_text(&other.ask(&["FUNCTION", "STATS"]));
    assert!(stats.contains("spin") && stats.contains("duration_ms"), "{stats}");
    assert!(other.ask(&["SCRIPT", "KILL"]).error().is_some_and(|error| error.starts_with("BUSY")));
    assert!(other.ask(&["FUNCTION", "KILL"]).is_ok());
    let reply = wire.next().expect("the end of the function");
    assert!(reply.error().is_some_and(|error| error.contains("killed by user")), "{reply:?}");
    assert_eq!(other.ask(&["GET", "x"]), Reply::Null);
    assert_eq!(other.ask(&["FUNCTION", "DELETE", "a"]), Reply::Simple("OK".into()));
}
