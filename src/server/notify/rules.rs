//! Which events a command that changed something makes, in the order in which Redis 7.0 tells them: found
//! from the request, what was propagated for it, and which of its keys are still there.

use crate::commands::effects::Note;
use crate::commands::{Effects, Propagate};
use crate::config::server::notify::{Classes, GENERIC, HASH, LIST, SET, STREAM, STRING, ZSET};
use crate::stdx::number::parse_i64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// 0: the key changed, and Redis has no name for it.
    pub class: Classes,
    pub name: &'static str,
    pub db: usize,
    pub key: &'a [u8],
}

/// A command that changed something.
pub struct Happened<'a> {
    /// In lower case, as the table has it.
    pub name: &'static str,
    pub db: usize,
    pub argv: &'a [&'a [u8]],
    pub effects: &'a Effects,
}

/// Commands that tell one event of their first key, and `del` besides when they left it empty.
const ONE_KEY: &[(&str, Classes, &str)] = &[
    ("append", STRING, "append"),
    ("bitfield", STRING, "setbit"),
    ("decr", STRING, "incrby"),
    ("decrby", STRING, "incrby"),
    ("geoadd", ZSET, "zadd"),
    ("getset", STRING, "set"),
    ("hdel", HASH, "hdel"),
    ("hincrby", HASH, "hincrby"),
    ("hincrbyfloat", HASH, "hincrbyfloat"),
    ("hmset", HASH, "hset"),
    ("hset", HASH, "hset"),
    ("hsetnx", HASH, "hset"),
    ("incr", STRING, "incrby"),
    ("incrby", STRING, "incrby"),
    ("incrbyfloat", STRING, "incrbyfloat"),
    ("linsert", LIST, "linsert"),
    ("lpop", LIST, "lpop"),
    ("lpush", LIST, "lpush"),
    ("lpushx", LIST, "lpush"),
    ("lrem", LIST, "lrem"),
    ("lset", LIST, "lset"),
    ("ltrim", LIST, "ltrim"),
    ("persist", GENERIC, "persist"),
    ("pfadd", STRING, "pfadd"),
    ("pfmerge", STRING, "pfadd"),
    ("rpop", LIST, "rpop"),
    ("rpush", LIST, "rpush"),
    ("rpushx", LIST, "rpush"),
    ("sadd", SET, "sadd"),
    ("setbit", STRING, "setbit"),
    ("setnx", STRING, "set"),
    ("setrange", STRING, "setrange"),
    ("spop", SET, "spop"),
    ("srem", SET, "srem"),
    ("xdel", STREAM, "xdel"),
    ("xsetid", STREAM, "xsetid"),
    ("xtrim", STREAM, "xtrim"),
    ("zincrby", ZSET, "zincr"),
    ("zpopmax", ZSET, "zpopmax"),
    ("zpopmin", ZSET, "zpopmin"),
    ("zrem", ZSET, "zrem"),
    ("zremrangebylex", ZSET, "zremrangebylex"),
    ("zremrangebyrank", ZSET, "zremrangebyrank"),
    ("zremrangebyscore", ZSET, "zremrangebyscore"),
];

/// Commands that put a result where the number says, and tell it if there is one.
const RESULTS: &[(&str, usize, Classes, &str)] = &[
    ("bitop", 2, STRING, "set"),
    ("geosearchstore", 1, ZSET, "geosearchstore"),
    ("restore", 1, GENERIC, "restore"),
    ("sdiffstore", 1, SET, "sdiffstore"),
    ("sinterstore", 1, SET, "sinterstore"),
    ("sunionstore", 1, SET, "sunionstore"),
    ("zdiffstore", 1, ZSET, "zdiffstore"),
    ("zinterstore", 1, ZSET, "zinterstore"),
    ("zrangestore", 1, ZSET, "zrangestore"),
    ("zunionstore", 1, ZSET, "zunionstore"),
];

const XGROUP: &[(&str, &str)] = &[
    ("create", "xgroup-create"),
    ("createconsumer", "xgroup-createconsumer"),
    ("delconsumer", "xgroup-delconsumer"),
    ("destroy", "xgroup-destroy"),
    ("setid", "xgroup-setid"),
];

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

impl<'a> Happened<'a> {
    /// Whether there is a rule for this command. Keys that were noted as made or deleted are not told here.
    pub fn events(&self, exists: &dyn Fn(usize, &[u8]) -> bool, tell: &mut dyn FnMut(Event<'a>)) -> bool {
        let (argv, db) = (self.argv, self.db);
        let Some(&first) = argv.get(1) else { return false };
        let mut say = |class, name, key: &'a [u8]| tell(Event { class, name, db, key });
        if let Some((_, class, event)) = ONE_KEY.iter().find(|(name, ..)| *name == self.name) {
            say(*class, event, first);
            if !exists(db, first) {
                say(GENERIC, "del", first);
            }
            return true;
        }
        if let Some((_, at, class, event)) = RESULTS.iter().find(|(name, ..)| *name == self.name) {
            if exists(db, argv[*at]) {
                say(*class, event, argv[*at]);
            }
            return true;
        }
        match self.name {
            "set" | "setex" | "psetex" => {
                say(STRING, "set", first);
                let timed = |word: &&[u8]| ["ex", "px", "exat", "pxat"].iter().any(|name| is(word, name));
                if self.name != "set" || argv[3..].iter().any(timed) {
                    say(GENERIC, "expire", first);
                }
            }
            "mset" | "msetnx" => argv[1..].iter().step_by(2).for_each(|key| say(STRING, "set", key)),
            "getdel" => say(GENERIC, "del", first),
            "expire" | "pexpire" | "expireat" | "pexpireat" | "getex" => {
                let event = match self.effects.propagate {
                    Propagate::Rewritten(ref as_told) if is(&as_told[0][0], "del") => "del",
                    Propagate::Rewritten(ref as_told) if is(&as_told[0][0], "persist") => "persist",
                    _ => "expire",
                };
                say(GENERIC, event, first);
            }
            // Each key that was there is noted.
            "del" | "unlink" => {}
            // A better way to keep its count, known to Redis under no name.
            "pfcount" => argv[1..].iter().for_each(|key| say(0, "", key)),
            "zadd" => {
                let option =
                    |word: &&&[u8]| ["nx", "xx", "gt", "lt", "ch", "incr"].iter().any(|name| is(word, name));
                let adds_up = argv[2..].iter().take_while(option).any(|word| is(word, "incr"));
                say(ZSET, if adds_up { "zincr" } else { "zadd" }, first);
            }
            "xadd" => {
                say(STREAM, "xadd", first);
                if self.effects.notes.iter().any(|note| matches!(note, Note::Trimmed(_))) {
                    say(STREAM, "xtrim", first);
                }
            }
            "lmove" | "rpoplpush" if argv.len() > 2 => {
                let side = |at: usize, default| argv.get(at).map_or(default, |word| is(word, "left"));
                let (from_left, to_left) = (side(3, false), side(4, true));
                say(LIST, if to_left { "lpush" } else { "rpush" }, argv[2]);
                say(LIST, if from_left { "lpop" } else { "rpop" }, first);
                if !exists(db, first) {
                    say(GENERIC, "del", first);
                }
            }
            "lmpop" | "zmpop" => return self.taken_from_the_first(exists, tell),
            "smove" if argv.len() > 2 => {
                say(SET, "srem", first);
                if !exists(db, first) {
                    say(GENERIC, "del", first);
                }
                if self.effects.dirty > 1 {
                    say(SET, "sadd", argv[2]);
                }
            }
            "rename" | "renamenx" if argv.len() > 2 => {
                say(GENERIC, "rename_from", first);
                say(GENERIC, "rename_to", argv[2]);
            }
            "move" | "copy" => return self.other_database(tell),
            "sort" | "georadius" | "georadiusbymember" => {
                if let Some(target) = crate::server::admin::keys::stored(self.name, argv)
                    && exists(db, argv[target])
                {
                    let (class, event) =
                        if self.name == "sort" { (LIST, "sortstore") } else { (ZSET, "georadiusstore") };
                    say(class, event, argv[target]);
                }
            }
            "xgroup" if argv.len() > 2 => {
                if let Some((_, event)) = XGROUP.iter().find(|(name, _)| is(first, name)) {
                    say(STREAM, event, argv[2]);
                }
            }
            // What they do to a group is no change of the key, except that it knows a consumer more.
            "xreadgroup" | "xclaim" | "xautoclaim" => self.met(tell),
            "xack" => {}
            _ => return false,
        }
        true
    }

    /// LMPOP and ZMPOP: which key it was stands in what was propagated.
    fn taken_from_the_first(
        &self,
        exists: &dyn Fn(usize, &[u8]) -> bool,
        tell: &mut dyn FnMut(Event<'a>),
    ) -> bool {
        let Propagate::Rewritten(as_told) = &self.effects.propagate else { return false };
        let Some([command, key, ..]) = as_told.first().map(Vec::as_slice) else { return false };
        let rule = ONE_KEY.iter().find(|(name, ..)| is(command, name));
        let Some((_, class, event)) = rule else { return false };
        tell(Event { class: *class, name: event, db: self.db, key });
        if !exists(self.db, key) {
            tell(Event { class: GENERIC, name: "del", db: self.db, key });
        }
        true
    }

    fn other_database(&self, tell: &mut dyn FnMut(Event<'a>)) -> bool {
        let [_, key, target, ..] = *self.argv else { return false };
        let number = |word: &[u8]| parse_i64(word).and_then(|db| usize::try_from(db).ok());
        if self.name == "move" {
            let Some(db) = number(target) else { return false };
            tell(Event { class: GENERIC, name: "move_from", db: self.db, key });
            tell(Event { class: GENERIC, name: "move_to", db, key });
        } else {
            let named = self.argv[3..].iter().position(|word| is(word, "db"));
            let db = named.and_then(|at| self.argv.get(at + 4)).and_then(|word| number(word));
            tell(Event { class: GENERIC, name: "copy_to", db: db.unwrap_or(self.db), key: target });
        }
        true
    }

    fn met(&self, tell: &mut dyn FnMut(Event<'a>)) {
        let Propagate::Rewritten(as_told) = &self.effects.propagate else { return };
        for command in as_told {
            if let [command, word, key, ..] = command.as_slice()
                && is(command, "xgroup")
                && is(word, "createconsumer")
            {
                let name = "xgroup-createconsumer";
                tell(Event { class: STREAM, name, db: self.db, key });
            }
        }
    }
}
