//! Scripts on a server that has no socket: what they may not do, what they leave behind, and what
//! becomes of those that take too long.

use super::*;
use crate::config::server::ServerConfig;
use crate::resp::{Batch, Limits, Parser, encode};
use crate::server::{Action, Input};
use crate::session::{SessionId, Stop};
use crate::stdx::time::{Duration, Now};

struct Bench {
    server: Server,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let config = ServerConfig::default();
        let now = Now::at_millis(1_000_000);
        Bench { server: Server::new(config, 1, now), now }
    }

    fn connect(&mut self) -> SessionId {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5));
        self.server.open(self.now, address, address, Arc::new(Outbox::default())).unwrap().0
    }

    fn send(&mut self, id: SessionId, words: &[&[u8]]) -> (String, Stop) {
        let mut request = Vec::new();
        encode::command(&mut request, words);
        let mut batch = Batch::default();
        batch.fill(&mut Parser::default(), &request, &Limits::AFTER_AUTH, usize::MAX).unwrap();
        let mut out = Vec::new();
        let now = self.now;
        let turn = self.server.execute_batch(now, id, &batch, &request, &|| now.mono, &mut out);
        (String::from_utf8_lossy(&out).into_owned(), turn.stop)
    }

    fn eval(&mut self, id: SessionId, script: &str) -> String {
        self.send(id, &[b"EVAL", script.as_bytes(), b"0"]).0
    }

    fn tick(&mut self) -> Vec<Action> {
        self.now.mono = self.now.mono + Duration::from_millis(1);
        let mut actions = Vec::new();
        self.server.handle(self.now, Input::Tick, &mut actions);
        actions
    }

    /// What waits for a session.
    fn received(&mut self, id: SessionId) -> String {
        let mut out = Vec::new();
        self.server.hub.session(id).unwrap().outbox.clone().drain(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[test]
fn nothing_reaches_out_of_the_sandbox_and_nothing_stays_changed() {
    let mut bench = Bench::new();
    let id = bench.connect();
    for (script, want) in [
        // CVE-2022-0543: the package library leads to the system.
        ("return package.loadlib('x', 'y')", "nonexistent global variable 'package'"),
        ("return os.execute('true')", "nonexistent global variable 'os'"),
        ("return io.popen('true')", "nonexistent global variable 'io'"),
        ("return debug.getinfo(1)", "nonexistent global variable 'debug'"),
        ("return require('x')", "nonexistent global variable 'require'"),
        ("return dofile('/etc/passwd')", "nonexistent global variable 'dofile'"),
        ("return loadfile('/etc/passwd')", "nonexistent global variable 'loadfile'"),
        ("return getfenv(0)", "nonexistent global variable 'getfenv'"),
        ("return setfenv(1, {})", "nonexistent global variable 'setfenv'"),
        ("return newproxy(true)", "nonexistent global variable 'newproxy'"),
        ("return print(1)", "nonexistent global variable 'print'"),
        // CVE-2022-24735 and CVE-2025-46818: what all scripts share cannot be replaced by one.
        ("getmetatable('').__index = function() return 1 end", "readonly table"),
        ("setmetatable(_G, {})", "readonly table"),
        ("rawset(_G, 'a', 1)", "readonly table"),
        ("rawset(redis, 'call', 1)", "readonly table"),
        ("_G.tostring = 1", "readonly table"),
        ("string.format = nil", "readonly table"),
        ("table.insert(string, 1)", "readonly table"),
        ("table.remove(redis)", "readonly table"),
        ("table.sort(math)", "readonly table"),
        ("getmetatable(_G).__index = nil", "readonly table"),
        ("for k, v in pairs(redis) do redis[k] = nil end", "readonly table"),
        ("a = 1", "readonly table"),
        ("loadstring('a = 1')()", "readonly table"),
        ("setmetatable('', {})", "bad argument #1 to 'setmetatable'"),
        // Bytecode is text, and no good one.
        ("return loadstring(string.dump(function() return 1 end))()", "attempt to call a nil value"),
        (
            "local f = string.dump(function() return 1 end) local n = 0 return load(function() n = n + 1 if n <= #f then return f:sub(n, n) end end)()",
            "attempt to call a nil value",
        ),
        // CVE-2025-46817: the number of results is not computed past the end of an int.
        ("return {unpack({}, -2147483648, 2147483647)}", "too many results to unpack"),
        ("return {unpack({1}, 1, 2147483647)}", "too many results to unpack"),
        ("return {unpack({1}, 0, 9007199254740992)}", ""),
        ("return ('x'):rep(2000000000)", "not enough memory"),
        // Of different bytes: Lua hashes a few of a long string, and compares it with all that share them.
        ("local t = {} for i = 1, 1e9 do t[i] = (i .. ','):rep(200000) end", "not enough memory"),
        ("local function f() return f() + 1 end return f()", "stack overflow"),
    ] {
        let reply = bench.eval(id, script);
        assert!(reply.contains(want), "{script}: {reply}");
    }
    // Everything is as before.
    for (script, want) in [
        ("return type(redis.call)", "$8\r\nfunction\r\n"),
        ("return ('a'):upper() .. string.format('%d', 3) .. tostring(1)", "$3\r\nA31\r\n"),
        ("return loadstring('return 1 + 1')()", ":2\r\n"),
        ("return load(function() return nil end) and 1", ":1\r\n"),
        (
            "local n = 0 for k in pairs(redis) do n = n + 1 end return n > 10 and rawget(redis, 'call') ~= nil and next(math) ~= nil",
            ":1\r\n",
        ),
        ("return #{unpack({1, 2, 3})}", ":3\r\n"),
    ] {
        assert_eq!(bench.eval(id, script), want, "{script}");
    }
}

/// CVE-2025-49844 and CVE-2024-46981: the collector at work while the parser is, and made to be.
#[test]
fn the_collector_may_be_pushed_at_any_moment() {
    let mut bench = Bench::new();
    let id = bench.connect();
    let script = "
        collectgarbage('stop') collectgarbage('setpause', 1) collectgarbage('setstepmul', 1000000)
        local made = {}
        for i = 1, 300 do
            local name = 'chunk' .. i .. ('x'):rep(5000)
            made[i] = loadstring('local a = {' .. ('{1, \"' .. i .. '\"},'):rep(500) .. '} return #a', name)
            if i % 10 == 0 then collectgarbage() end
            if i % 50 == 0 then made = {} end
        end
        local co = coroutine.wrap(function() while true do coroutine.yield(collectgarbage('count') > 0) end end)
        for i = 1, 100 do co() end
        return loadstring('return 7')()";
    assert_eq!(bench.eval(id, script), ":7\r\n");
    for _ in 0..50 {
        bench.send(id, &[b"SCRIPT", b"FLUSH"]);
        assert_eq!(bench.eval(id, "return #('x'):rep(100000)"), ":100000\r\n");
    }
}

#[test]
fn a_long_script_is_left_standing_and_others_are_told_busy() {
    let mut bench = Bench::new();
    bench.server.config.scripts.busy_reply_threshold_ms = 5;
    let (caller, other) = (bench.connect(), bench.connect());
    let script = b"local n = 0 while true do pcall(function() n = n + 1 end) end";
    let (reply, stop) = bench.send(caller, &[b"EVAL", script, b"0"]);
    assert_eq!((reply.as_str(), stop), ("", Stop::Blocked));
    let (reply, _) = bench.send(other, &[b"GET", b"a"]);
    assert_eq!(
        reply,
        "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
    );
    assert!(bench.send(other, &[b"PING"]).0.starts_with("-BUSY"));
    assert!(bench.send(other, &[b"EVAL", b"return 1", b"0"]).0.starts_with("-BUSY"));
    bench.tick();
    assert!(bench.server.scripting.is_busy());
    assert_eq!(bench.send(other, &[b"SCRIPT", b"KILL"]).0, "+OK\r\n");
    bench.tick();
    assert!(!bench.server.scripting.is_busy(), "no pcall survives it");
    let end = bench.received(caller);
    assert!(end.starts_with("-ERR Script killed by user with SCRIPT KILL. script: "), "{end}");
    assert_eq!(bench.eval(other, "return 1"), ":1\r\n");
    assert_eq!(bench.send(other, &[b"SCRIPT", b"KILL"]).0, "-NOTBUSY No scripts in execution right now.\r\n");
}

#[test]
fn a_script_that_wrote_is_not_killed_and_its_end_is_answered() {
    let mut bench = Bench::new();
    bench.server.config.scripts.busy_reply_threshold_ms = 5;
    let (caller, other) = (bench.connect(), bench.connect());
    let script = b"redis.call('set', 'a', 1) for i = 1, 3e6 do end redis.call('incr', 'a') return 'done'";
    assert_eq!(bench.send(caller, &[b"EVAL", script, b"0"]).1, Stop::Blocked);
    assert!(bench.send(other, &[b"SCRIPT", b"KILL"]).0.starts_with("-UNKILLABLE"));
    assert_eq!(bench.server.propagation.writes, 1);
    for _ in 0..1000 {
        if !bench.server.scripting.is_busy() {
            break;
        }
        bench.tick();
    }
    assert_eq!(bench.received(caller), "$4\r\ndone\r\n");
    assert_eq!(bench.send(other, &[b"GET", b"a"]).0, "$1\r\n2\r\n");
}

#[test]
fn errors_name_script_and_line() {
    let mut bench = Bench::new();
    let id = bench.connect();
    let digest = crate::stdx::sha1::hex(b"\n\nreturn redis.call('nope')");
    assert_eq!(
        bench.eval(id, "\n\nreturn redis.call('nope')"),
        format!("-ERR Unknown Redis command called from script script: {digest}, on @user_script:3.\r\n")
    );
    let reply = bench.eval(id, "local a = nil\nreturn a.b");
    assert!(reply.starts_with("-ERR user_script:2: attempt to index local 'a' (a nil value)"), "{reply}");
    assert!(reply.ends_with("on @user_script:2.\r\n"), "{reply}");
}
