//! Whole servers beside each other: what is no data command alone (transactions, scripts, functions,
//! CLIENT, ACL, CONFIG...), mixed with the data commands, over the wire.
//!
//! And the list of what is left out, with the reason: a command that is in neither fails the test.

use super::compare::{self, Mode};
use super::generator::Generator;
use super::stock::Stock;
use super::{BATCH, show};
use crate::support::Process;
use std::collections::{BTreeSet, VecDeque};
use vedette::resp::reply::parse;
use vedette::resp::{Protocol, Reply};
use vedette::stdx::Rng;

/// `;` ends a command; what follows comes right after it. `@` is any command of the data.
pub const TEMPLATES: &[&str] = &[
    // transactions
    "MULTI ; @ ; @ ; @ ; EXEC",
    "MULTI ; @ ; @ ; DISCARD",
    "WATCH *({k}) ; @ ; MULTI ; @ ; EXEC",
    "WATCH {k} ; GET {k} ; UNWATCH ; MULTI ; INCR {s} ; EXEC",
    "MULTI ; NOSUCH {k} ; @ ; EXEC",
    "MULTI ; MULTI ; WATCH {k} ; @ ; EXEC",
    "MULTI ; (SELECT {db}|SWAPDB 0 {db}) ; SET {s} {v} ; EXEC ; SELECT 0",
    "MULTI ; BLPOP {l} {l} 0 ; BRPOP {l} 0 ; BLMOVE {l} {l} LEFT RIGHT 0 ; BZPOPMIN {z} 0 ; EXEC",
    "MULTI ; EVAL {lua} 1 {s} {v} ; @ ; EXEC",
    "EXEC",
    "DISCARD",
    "WATCH",
    // waiting, where it is served at once or given up soon
    "BLPOP *({l}) (0.001|abc|-1)",
    "BRPOP {k} {l} (0.001|0.002|nan)",
    "BLMOVE {l} {l} (LEFT|RIGHT) (LEFT|RIGHT|foo) 0.001",
    "BLMPOP 0.001 {c} *({l}) (LEFT|RIGHT) [COUNT {c}]",
    "BRPOPLPUSH {l} {k} 0.001",
    "BZPOPMIN *({z}) 0.001",
    "BZPOPMAX {z} {k} 0.001",
    "BZMPOP 0.001 {c} *({z}) (MIN|MAX) [COUNT {c}]",
    "WAIT (0|1|-1|abc) (1|-1|abc)",
    // scripts
    "EVAL {lua} 1 {s} {v}",
    "EVAL {lua} 1 {k} {v}",
    "EVAL {lua} 1 {l} {m} {m}",
    "EVAL {lua} 1 {h} {f}",
    "EVAL {lua} 1 {z} {d}",
    "EVAL {lua} (0|2|-1|abc|9999999999) {k}",
    "EVAL_RO {lua} 1 {k} {v}",
    "SCRIPT LOAD {lua}",
    "SCRIPT LOAD {lua}",
    "SCRIPT EXISTS {sha} {v} {sha}",
    "SCRIPT FLUSH [(SYNC|ASYNC|foo)]",
    "SCRIPT (KILL|HELP|foo)",
    "EVALSHA {sha} 1 {k} {v}",
    "EVALSHA {sha} {c} {k}",
    "EVALSHA_RO {sha} 1 {s} {v}",
    // functions
    "FUNCTION LOAD [REPLACE] {lib}",
    "FUNCTION LOAD REPLACE {lib}",
    "FUNCTION DELETE {libname}",
    "FUNCTION LIST [LIBRARYNAME (own*|{libname})] [WITHCODE]",
    "FUNCTION (STATS|HELP|KILL|foo)",
    "FUNCTION FLUSH [(SYNC|ASYNC|foo)]",
    "FUNCTION DUMP",
    "FUNCTION RESTORE {v} [(FLUSH|APPEND|REPLACE|foo)]",
    "FCALL {fn} 1 {s} {v}",
    "FCALL {fn} 1 {k} {v}",
    "FCALL {fn} {c} {k}",
    "FCALL_RO {fn} 1 {k} {v}",
    // the connection
    "PING [{v}]",
    "ECHO {v}",
    "SELECT (0|0|0|99|abc|-1)",
    "AUTH [nobody] {v}",
    "HELLO (1|4|abc)",
    "CLIENT (GETNAME|ID|INFO|GETREDIR|HELP|UNPAUSE|TRACKINGINFO|foo)",
    "CLIENT SETNAME (me|a\u{1}b) ; CLIENT GETNAME",
    "CLIENT LIST [TYPE (normal|foo)]",
    "CLIENT LIST ID 99999",
    "CLIENT KILL (ID 99999|TYPE foo|127.0.0.1:1|ADDR 127.0.0.1:1|SKIPME maybe|ID abc)",
    "CLIENT NO-EVICT (ON|OFF|foo)",
    "CLIENT (PAUSE|REPLY) (abc|foo)",
    "CLIENT PAUSE (0|1) [(WRITE|ALL|foo)] ; CLIENT UNPAUSE",
    "CLIENT REPLY ON",
    "CLIENT TRACKING (OFF|foo|ON foo|ON PREFIX a) ; CLIENT TRACKING OFF",
    "CLIENT CACHING (YES|NO|foo)",
    "CLIENT UNBLOCK (99999|abc) [(TIMEOUT|ERROR|foo)]",
    "RESET ; #hello",
    "READONLY",
    "READWRITE",
    "ASKING",
    // messages
    "SUBSCRIBE c1 ; PUBSUB CHANNELS ; PING ; PING {v} ; GET {s} ; UNSUBSCRIBE c1",
    "PSUBSCRIBE c* ; PUNSUBSCRIBE c* ; PUBSUB NUMPAT",
    "SSUBSCRIBE s1 ; SUNSUBSCRIBE s1",
    "UNSUBSCRIBE [c2]",
    "PUNSUBSCRIBE [c2]",
    "SUNSUBSCRIBE [c2]",
    "PUBLISH {s} {v}",
    "SPUBLISH {s} {v}",
    "PUBSUB (CHANNELS|NUMSUB|SHARDCHANNELS|SHARDNUMSUB) [{p}]",
    "PUBSUB (NUMPAT|HELP|foo)",
    // users
    "ACL SETUSER {user} {rule} {rule}",
    "ACL SETUSER {user} {rule}",
    "ACL SETUSER {user} reset",
    "ACL GETUSER {user}",
    "ACL (LIST|USERS|WHOAMI|HELP|LOAD|SAVE|foo)",
    "ACL DELUSER {user}",
    "ACL DRYRUN {user} @",
    "ACL DRYRUN {user} GET {s}",
    "ACL CAT [(foo|bitmap|hyperloglog|geo)]",
    "ACL GENPASS [(8|0|abc|5000)]",
    "ACL LOG RESET",
    "ACL LOG (0|abc)",
    // the server
    "COMMAND GETKEYS @",
    "COMMAND GETKEYSANDFLAGS @",
    "COMMAND GETKEYS EVAL x (0|1|2) {s} {s}",
    "COMMAND (GETKEYS|GETKEYSANDFLAGS) (OBJECT|XINFO|MEMORY|XGROUP) (HELP|FREQ|STREAM|USAGE|foo) [{k}]",
    "COMMAND (GETKEYS|GETKEYSANDFLAGS) (ZUNION|LMPOP|EVAL x) (0|1|9) {k} {k}",
    "COMMAND LIST FILTERBY PATTERN (x*|getr*|zran*)",
    "COMMAND LIST FILTERBY (ACLCAT|MODULE|foo) (hyperloglog|foo)",
    "COMMAND INFO nosuch",
    "COMMAND DOCS nosuch",
    "COMMAND (HELP|foo)",
    "CONFIG GET (hash-max-listpack-entries|maxmemory|nosuch|set-max-*|save|appendonly|timeout)",
    "CONFIG SET hash-max-listpack-entries (128|64|abc|-1)",
    "CONFIG SET maxmemory (0|1gb)",
    "CONFIG SET nosuch 1",
    "CONFIG SET timeout 0 [hash-max-listpack-value 64] [timeout 0]",
    "CONFIG (RESETSTAT|HELP|foo)",
    "DBSIZE",
    "LASTSAVE",
    "LATENCY (LATEST|RESET|HELP|foo)",
    "LATENCY (HISTORY|GRAPH) nosuch",
    "LATENCY HISTOGRAM nosuch",
    "LOLWUT VERSION 1",
    "MEMORY USAGE {k} [SAMPLES {c}]",
    "MEMORY (DOCTOR|HELP|PURGE|foo)",
    "MODULE (LIST|HELP|foo)",
    "OBJECT REFCOUNT {l}",
    "REPLICAOF NO ONE",
    "SLAVEOF NO ONE",
    "ROLE",
    "SLOWLOG RESET",
    "SLOWLOG LEN",
    "SLOWLOG (HELP|foo)",
    "SLOWLOG GET (0|abc|-2)",
    "TIME",
    "CLUSTER (INFO|MYID|NODES|SLOTS|SHARDS|LINKS|RESET|FLUSHSLOTS|BUMPEPOCH|SAVECONFIG|FAILOVER)",
    "CLUSTER (KEYSLOT|FORGET|REPLICATE|REPLICAS|SLAVES|COUNT-FAILURE-REPORTS|SET-CONFIG-EPOCH) {v}",
    "CLUSTER (ADDSLOTS|DELSLOTS|COUNTKEYSINSLOT) 1",
    "CLUSTER (ADDSLOTSRANGE|DELSLOTSRANGE|GETKEYSINSLOT|MEET|SETSLOT) 1 2",
    "FAILOVER (ABORT|TIMEOUT 0|foo)",
];

/// Not asked here, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("acl", "its subcommands are asked"),
    ("bgrewriteaof", "tests/aof: it writes a file"),
    ("bgsave", "tests/server: it writes a file"),
    ("client", "its subcommands are asked"),
    ("cluster", "its subcommands are asked"),
    ("cluster|help", "Redis refuses it without a cluster in other words on other ways of building"),
    ("command", "all commands: there are newer ones than Redis 7.0 has"),
    ("command|count", "likewise"),
    ("config|rewrite", "tests/server: Vedette rewrites no file and says so"),
    ("config", "its subcommands are asked"),
    ("debug", "Redis forbids it by default, and no client leans on it"),
    ("function", "its subcommands are asked"),
    ("info", "figures of this process; tests/server reads them"),
    ("latency", "its subcommands are asked"),
    ("latency|doctor", "an essay of Redis"),
    ("memory", "its subcommands are asked"),
    ("memory|malloc-stats", "another allocator"),
    ("memory|stats", "figures of this process"),
    ("migrate", "moves keys to a third server; tests/replication"),
    ("module", "its subcommands are asked"),
    ("module|load", "no modules are loaded: refused with the reason"),
    ("module|loadex", "likewise"),
    ("module|unload", "likewise"),
    ("monitor", "does not end; tests/programs watches it"),
    ("object", "its subcommands are asked"),
    ("pfselftest", "takes seconds"),
    ("psync", "makes the connection a replica's; tests/replication"),
    ("pubsub", "its subcommands are asked"),
    ("quit", "ends the connection; tests/server"),
    ("replconf", "says what a replica is; tests/replication"),
    ("restore-asking", "RESTORE, for clusters"),
    ("save", "writes a file; tests/server"),
    ("script", "its subcommands are asked"),
    ("script|debug", "Vedette has no debugger and says so"),
    ("shutdown", "ends the server; tests/server"),
    ("slowlog", "its subcommands are asked"),
    ("sync", "makes the connection a replica's; tests/programs asks it with redis-cli --rdb"),
    ("vedette", "Vedette's own"),
    ("waitaof", "newer than Redis 7.0; tests/aof"),
    ("xgroup", "its subcommands are asked"),
    ("xinfo", "its subcommands are asked"),
];

pub const SCRIPTS: &[&str] = &[
    "return redis.call('GET',KEYS[1])",
    "return {KEYS[1],ARGV[1],#ARGV}",
    "return redis.pcall('INCR',KEYS[1])",
    "return redis.call('INCR',KEYS[1])",
    "return {1,2,{3,'x'},false,nil,4}",
    "return {1,'a',true,{ok='fine'},{err='OWN inner'}}",
    "return 3.99",
    "return -3.99",
    "return true",
    "return {err='OWN why'}",
    "return {ok='fine'}",
    "return redis.status_reply('S')",
    "return redis.error_reply('My err')",
    "return redis.error_reply('Why')",
    "return redis.error_reply('-MY err')",
    "return redis.error_reply('-Why')",
    "return redis.call('SET',KEYS[1],ARGV[1])",
    "return redis.call('SET',KEYS[1],ARGV[1],'GET')",
    "local t = redis.call('LRANGE',KEYS[1],0,-1) table.sort(t) return t",
    "redis.setresp(3) local t = redis.call('HGETALL',KEYS[1]) return t.map and 1 or 0",
    "redis.setresp(3) return redis.call('ZSCORE',KEYS[1],'m1')",
    "return redis.call('ZSCORE',KEYS[1],'m1')",
    "return redis.call('ZADD',KEYS[1],ARGV[1],'m1')",
    "return redis.call('LPUSH',KEYS[1],unpack(ARGV))",
    "for i = 1, 3 do redis.call('APPEND',KEYS[1],i) end return redis.call('STRLEN',KEYS[1])",
    "return redis.call('NOSUCH')",
    "return redis.call('GET')",
    "return redis.pcall('LPUSH',KEYS[1])",
    "return redis.call()",
    "return redis.call('SUBSCRIBE','c')",
    "return redis.call('MULTI')",
    "x = 1",
    "return nosuch",
    "syntax error here(",
    "error('oops')",
    "error({err='MY E'})",
    "local ok, e = pcall(redis.call,'INCRBY',KEYS[1],'a') return {ok, e.err}",
    "return cjson.encode({ARGV[1], 1, 1.5, true, {a='x'}})",
    "return cjson.decode('[1,2.5,\"x\",null,{\"a\":[]}]')",
    "return cjson.decode(ARGV[1])",
    "return cmsgpack.unpack(cmsgpack.pack({1,'a',{5,6}}))",
    "return cmsgpack.pack(ARGV[1], 1, -1, 1.5, true, {1,2})",
    "return struct.pack('>I2hs',1,-2,ARGV[1] or '')",
    "return {struct.unpack('<i4B',struct.pack('<i4B',-7,200))}",
    "return bit.tohex(bit.bxor(tonumber(ARGV[1]) or 1, 255))",
    "return {bit.lshift(1,31), bit.rol(3,30), bit.bnot(5), bit.arshift(-8,1)}",
    "return redis.sha1hex(ARGV[1] or '')",
    "return tonumber(ARGV[1])",
    "return #KEYS + #ARGV",
    "return {map={a=1}}",
    "return {double=1.5}",
    "return {big_number='123'}",
    "return {verbatim_string={format='txt',string='hi'}}",
    "return string.format('%5.2f|%d|%q|%s', 1.5, 3, 'a\"b', tostring(nil))",
    "return string.rep(ARGV[1] or 'x', 3)",
    "return {string.find('hello','l+'), string.gsub('abc','%w','%0%0')}",
    "return tostring(1e15) .. ' ' .. tostring(2^53) .. ' ' .. tostring(0.1) .. ' ' .. 10/2",
    "return redis.call('TYPE',KEYS[1])",
    "return type(redis.call('EXISTS',KEYS[1]))",
    "return redis.REDIS_VERSION ~= nil and redis.LOG_WARNING",
    "#!lua flags=no-writes\nreturn redis.call('SET',KEYS[1],'1')",
    "#!lua\nreturn redis.call('DEL',KEYS[1])",
    "#!lua flags=foo\nreturn 1",
    "#!python\nreturn 1",
    "return redis.acl_check_cmd('GET',KEYS[1])",
    "return redis.set_repl(redis.REPL_ALL)",
    "return setmetatable({},{__index=function() return 1 end})[1]",
    "return pairs(_G) ~= nil and os.time == nil",
    "return {os.clock ~= nil, loadstring('return 7')()}",
    "rawset(_G,'y',1) return y",
];

pub const LIBRARIES: &[&str] = &[
    "#!lua name=own1\nredis.register_function('f1', function(keys, args) return {keys[1], args[1], #args} end)",
    "#!lua name=own2\nredis.register_function{function_name='f2', callback=function(keys, args) return redis.call('GET', keys[1]) end, flags={'no-writes'}, description='reads'}",
    "#!lua name=own3\nlocal function w(keys, args) return redis.call('SET', keys[1], args[1] or 'x') end\nredis.register_function('f3', w)\nredis.register_function('f4', function() return redis.pcall('NOSUCH') end)",
    "#!lua name=own4\nredis.register_function('f1', function() return 1 end)",
    "#!lua name=own1\nreturn 1",
    "#!lua name=own5\nredis.call('GET','x')",
    "#!lua name=own6\nsyntax(",
    "#!lua name=bad-name\nredis.register_function('f', function() end)",
    "#!lua\nredis.register_function('f', function() end)",
    "redis.register_function('f', function() end)",
    "#!js name=x\nfoo",
];

const RULES: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    ">secret",
    "#abc",
    "~*",
    "~a*",
    "%R~b*",
    "%W~c*",
    "allkeys",
    "resetkeys",
    "&*",
    "&c*",
    "resetchannels",
    "+@all",
    "-@all",
    "+get",
    "-get",
    "+@read",
    "-@dangerous",
    "+config|get",
    "-config|set",
    "+nosuch",
    "foo",
    "(+set ~d*)",
    "clearselectors",
    "reset",
    "+select|0",
];

/// Words of these templates.
pub fn word(kind: &str, rng: &mut Rng) -> Option<String> {
    let mut pick = |from: &[&str]| Some(from[rng.usize(..from.len())].to_owned());
    match kind {
        "lua" => pick(SCRIPTS),
        "sha" => pick(&[
            "620cd258c2c9c88c9d10db67812ccf663d96bdc6",
            "e0e0af92b3c8c78c00e5b9fec2d2271c1346afc5",
            "0000000000000000000000000000000000000000",
            "abc",
        ]),
        "lib" => pick(LIBRARIES),
        "libname" => pick(&["own1", "own2", "own3", "nosuch"]),
        "fn" => pick(&["f1", "f2", "f3", "f4", "nosuch"]),
        "user" => pick(&["u1", "u2", "u3"]),
        "rule" => pick(RULES),
        _ => None,
    }
}

/// What templates change of the configuration, as both begin.
const LISTPACKS: &str = "CONFIG SET hash-max-listpack-entries 128 maxmemory 0\r\n";

struct Asker {
    served: Generator,
    data: Generator,
    rng: Rng,
    pending: VecDeque<Vec<Vec<u8>>>,
    hello: &'static str,
}

impl Asker {
    fn new(seed: u64, protocol: Protocol) -> Asker {
        Asker {
            served: Generator::served(seed),
            data: Generator::new(seed ^ 0x5eed),
            rng: Rng::with_seed(seed),
            pending: VecDeque::new(),
            hello: if protocol == Protocol::Resp3 { "3" } else { "2" },
        }
    }

    /// One whose outcome is not left to chance, nor the clock's.
    fn data(&mut self) -> Vec<Vec<u8>> {
        loop {
            let argv = self.data.next();
            let mode = compare::mode_of(&argv);
            let name = argv[0].to_ascii_lowercase();
            let odd = matches!(name.as_slice(), b"swapdb" | b"flushall" | b"flushdb" | b"keys" | b"scan");
            if matches!(mode, Mode::Exact | Mode::AnyOrder) && !(odd && argv.len() < 4) {
                return argv;
            }
        }
    }

    fn next(&mut self) -> Vec<Vec<u8>> {
        if let Some(next) = self.pending.pop_front() {
            return next;
        }
        if self.rng.u32(..3) == 0 {
            return self.data();
        }
        let words = self.served.next();
        for command in words.split(|word| word == b";").filter(|command| !command.is_empty()) {
            let mut argv = Vec::new();
            for word in command {
                match word.as_slice() {
                    b"@" => argv.extend(self.data()),
                    b"#hello" => argv.extend([b"HELLO".to_vec(), self.hello.into()]),
                    _ => argv.push(word.clone()),
                }
            }
            self.pending.push_back(argv);
        }
        self.next()
    }
}

fn mode_of(argv: &[Vec<u8>]) -> Mode {
    let word = |at: usize| argv.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (word(0).as_slice(), word(1).as_slice()) {
        (b"exec" | b"eval" | b"evalsha" | b"fcall" | b"eval_ro" | b"fcall_ro" | b"evalsha_ro", _) => {
            Mode::AnyOrder
        }
        (b"function", b"list") | (b"config", b"get") | (b"command", b"list" | b"docs") => Mode::AnyOrder,
        // Vedette keeps rules as they were said, Redis as it understood them.
        (b"acl", b"getuser" | b"list") => Mode::Errors,
        (b"acl", b"cat" | b"users") => Mode::AnyOrder,
        // Pictures are everyone's own.
        (b"hello" | b"lolwut", _) => Mode::Errors,
        (b"acl", b"genpass")
        | (b"client", b"id" | b"list" | b"info")
        | (b"time" | b"lastsave" | b"role", _) => Mode::Shape,
        // Redis shares small numbers, but not those that COPY or RESTORE made; Vedette has none to share.
        (b"object", b"refcount") => Mode::Shape,
        (b"function", b"dump") | (b"memory", b"usage" | b"doctor") | (b"slowlog", b"len") => Mode::Shape,
        // Commands and words of help that Redis 7.0 has, Vedette has in 7.2's words.
        (_, b"help") => Mode::Errors,
        _ => compare::mode_of(argv),
    }
}

fn ask_both(seed: u64, commands: usize, ours: &mut Stock, theirs: &mut Stock) -> Result<usize, String> {
    let protocol = if seed.is_multiple_of(2) { Protocol::Resp3 } else { Protocol::Resp2 };
    for server in [&mut *ours, &mut *theirs] {
        server.reset(protocol);
        for line in ["SCRIPT FLUSH\r\n", "FUNCTION FLUSH\r\n", "ACL DELUSER u1 u2 u3\r\n", LISTPACKS] {
            server.send(line.as_bytes());
            server.receive();
        }
    }
    let mut asker = Asker::new(seed, protocol);
    let mut done = 0;
    let mut before: VecDeque<Vec<Vec<u8>>> = VecDeque::new();
    while done < commands {
        let mut batch: Vec<Vec<Vec<u8>>> = (0..BATCH).map(|_| asker.next()).collect();
        batch.extend(asker.pending.drain(..));
        let mut out = Vec::new();
        batch.iter().for_each(|argv| vedette::resp::encode::command(&mut out, argv));
        ours.send(&out);
        theirs.send(&out);
        for argv in batch {
            let (own, other) = (ours.receive(), theirs.receive());
            if let Err(why) = compare::compare(mode_of(&argv), &own, &other) {
                let history: Vec<String> = before.iter().rev().take(14).map(|argv| show(argv)).collect();
                return Err(format!(
                    "seed {seed} {protocol:?}, command {done}: {}\n  ours:  {}\n  redis: {}\n  {why}\n  before it, newest first:\n    {}",
                    show(&argv),
                    own.escape_ascii(),
                    other.escape_ascii(),
                    history.join("\n    ")
                ));
            }
            before.push_back(argv);
            if before.len() > 20 {
                before.pop_front();
            }
            done += 1;
        }
    }
    Ok(done)
}

#[test]
fn whole_servers_answer_alike() {
    let number = |name: &str, usual| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (first, seeds) = (number("VEDETTE_DIFFERENTIAL_FIRST", 1), number("VEDETTE_DIFFERENTIAL_SEEDS", 4));
    let own = Process::vedette(&[]);
    let (mut ours, mut theirs) = (Stock::of(own.port), Stock::start());
    let (mut compared, mut differences) = (0, Vec::new());
    for seed in first..first + seeds {
        match ask_both(seed, 3000, &mut ours, &mut theirs) {
            Ok(count) => compared += count,
            Err(difference) => {
                differences.push(difference);
                // What is on its way belongs to this seed.
                (ours, theirs) = (Stock::of(own.port), Stock::start());
            }
        }
    }
    assert!(differences.is_empty(), "{} seeds differ\n{}", differences.len(), differences.join("\n\n"));
    println!("{compared} commands without a difference");
}

fn names(reply: &[u8]) -> BTreeSet<String> {
    let (reply, _) = parse(reply, 1 << 26).expect("a reply").expect("a whole one");
    let words = reply.as_array().unwrap_or(&[]).iter().filter_map(Reply::as_str);
    words.map(str::to_owned).collect()
}

#[test]
fn every_command_is_compared_or_left_out_for_a_reason() {
    let own = Process::vedette(&[]);
    let mut lists = [Stock::of(own.port), Stock::start()].map(|mut server| {
        server.send(b"COMMAND LIST\r\n");
        names(&server.receive())
    });
    let [ours, theirs] = &mut lists;
    let (mut data, mut streams) = (Generator::new(1), Generator::streams(1));
    let mut asker = Asker::new(1, Protocol::Resp2);
    let mut asked = BTreeSet::new();
    for _ in 0..20_000 {
        for argv in [data.next(), streams.next(), asker.next()] {
            let name = String::from_utf8_lossy(&argv[0]).to_ascii_lowercase();
            if let Some(sub) = argv.get(1) {
                asked.insert(format!("{name}|{}", String::from_utf8_lossy(sub).to_ascii_lowercase()));
            }
            asked.insert(name);
        }
    }
    let left_out: BTreeSet<String> = LEFT_OUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    let forgotten: Vec<&String> =
        ours.iter().filter(|name| !asked.contains(*name) && !left_out.contains(*name)).collect();
    assert!(forgotten.is_empty(), "no template asks, and no reason is given for: {forgotten:?}");
    let lacking: Vec<&String> = theirs.difference(ours).filter(|name| *name != "migrate").collect();
    assert!(lacking.is_empty(), "redis-server knows them, Vedette does not: {lacking:?}");
}
