//! The SENTINEL subcommands that read. The table at the foot is all the rest knows of them: names,
//! arity (counting SENTINEL and the subcommand), help.

use super::facts::{Facts, GroupFacts};
use super::{
    Outcome, change, debug, drill, failover, instance, peers, policy, quoted, settings, vouch, webhooks,
};
use crate::config::sentinel::Mode;
use crate::model::Address;
use crate::resp::Writer;
use crate::resp::spec::Arity::{self, AtLeast, Exactly};

/// One call: what is known, what was said, where the answer goes.
pub(super) struct Call<'a, 'w> {
    pub facts: &'a Facts,
    pub argv: &'a [&'a [u8]],
    pub reply: &'a mut Writer<'w>,
}

type Run = fn(&mut Call<'_, '_>) -> Outcome;

struct Row {
    /// The first is the one that help and errors use; the others are as good.
    names: &'static [&'static str],
    arity: Arity,
    run: Run,
    help: &'static [&'static str],
}

pub fn execute(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let Some(&name) = argv.get(1) else {
        reply.error("ERR wrong number of arguments for 'sentinel' command");
        return Outcome::Replied;
    };
    let Some(row) =
        TABLE.iter().find(|row| row.names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes())))
    else {
        reply.error(&format!("ERR unknown subcommand '{}'. Try SENTINEL HELP.", quoted(name)));
        return Outcome::Replied;
    };
    if !row.arity.accepts(argv.len()) {
        let name = quoted(name).to_ascii_lowercase();
        reply.error(&format!("ERR wrong number of arguments for 'sentinel|{name}' command"));
        return Outcome::Replied;
    }
    (row.run)(&mut Call { facts, argv, reply })
}

impl Call<'_, '_> {
    /// The named group, or the error is written.
    pub(super) fn known_group(&mut self) -> Option<usize> {
        let found = self.facts.groups.iter().position(|group| group.name.as_bytes() == self.argv[2]);
        if found.is_none() {
            self.error("ERR No such master with that name");
        }
        found
    }

    /// The named group when it may be shown.
    pub(super) fn shown_group(&mut self) -> Option<usize> {
        let index = self.known_group()?;
        if withheld(self.facts, &self.facts.groups[index]) {
            self.error("NOQUORUM This sentinel is out of touch with the majority, ask another one");
            return None;
        }
        Some(index)
    }

    pub(super) fn error(&mut self, text: &str) -> Outcome {
        self.reply.error(text);
        Outcome::Replied
    }
}

/// Fresh or silent (P7): in safe mode nothing is said of a group by a sentinel that may be wrong.
fn withheld(facts: &Facts, group: &GroupFacts) -> bool {
    facts.left || (!facts.fresh && group.mode == Mode::Safe)
}

fn masters(call: &mut Call<'_, '_>) -> Outcome {
    let facts = call.facts;
    let shown = || facts.groups.iter().filter(|group| !withheld(facts, group));
    call.reply.array(shown().count());
    for group in shown() {
        instance::master(facts, group, call.reply);
    }
    Outcome::Replied
}

fn master(call: &mut Call<'_, '_>) -> Outcome {
    let facts = call.facts;
    if let Some(index) = call.shown_group() {
        instance::master(facts, &facts.groups[index], call.reply);
    }
    Outcome::Replied
}

fn replicas(call: &mut Call<'_, '_>) -> Outcome {
    let facts = call.facts;
    if let Some(index) = call.shown_group() {
        let group = &facts.groups[index];
        call.reply.array(group.replicas.len());
        for replica in &group.replicas {
            instance::replica(group, replica, call.reply);
        }
    }
    Outcome::Replied
}

fn sentinels(call: &mut Call<'_, '_>) -> Outcome {
    let facts = call.facts;
    if let Some(index) = call.known_group() {
        call.reply.array(facts.peers.len());
        for peer in &facts.peers {
            instance::sentinel(&facts.groups[index], facts, peer, call.reply);
        }
    }
    Outcome::Replied
}

fn master_address(call: &mut Call<'_, '_>) -> Outcome {
    match call.facts.group(call.argv[2]).filter(|group| !withheld(call.facts, group)) {
        None => write_address(None, call.reply),
        Some(group) => write_address(Some(&group.master.address), call.reply),
    }
    Outcome::Replied
}

/// The answer to GET-MASTER-ADDR-BY-NAME.
pub fn write_address(master: Option<&Address>, reply: &mut Writer<'_>) {
    let Some(master) = master else { return reply.null_array() };
    reply.array(2);
    reply.bulk(master.host.as_bytes());
    reply.bulk_integer(i64::from(master.port));
}

/// Asked by sentinels of other makes. It tells what we see and never lends them our vote: who leads
/// here is decided by the log.
fn is_master_down(call: &mut Call<'_, '_>) -> Outcome {
    let number = |word: &[u8]| std::str::from_utf8(word).ok().and_then(|text| text.parse::<i64>().ok());
    let (Some(port), Some(_)) = (number(call.argv[3]), number(call.argv[4])) else {
        return call.error("ERR value is not an integer or out of range");
    };
    let down = call.facts.fresh
        && call.facts.groups.iter().any(|group| {
            let master = &group.master;
            master.address.host.as_bytes() == call.argv[2]
                && i64::from(master.address.port) == port
                && master.s_down_ms.is_some()
        });
    call.reply.array(3);
    call.reply.integer(i64::from(down));
    call.reply.bulk(b"*");
    call.reply.integer(0);
    Outcome::Replied
}

fn ckquorum(call: &mut Call<'_, '_>) -> Outcome {
    let Some(index) = call.known_group() else { return Outcome::Replied };
    let (usable, quorum) = (call.facts.usable(), call.facts.groups[index].quorum);
    let no_quorum = usable < quorum;
    let no_majority = usable < call.facts.voters() / 2 + 1;
    if !no_quorum && !no_majority {
        call.reply.simple(&format!(
            "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
        ));
        return Outcome::Replied;
    }
    let mut reasons = Vec::new();
    if no_quorum {
        reasons.push("Not enough available Sentinels to reach the specified quorum for this master");
    }
    if no_majority {
        reasons.push("Not enough available Sentinels to reach the majority and authorize a failover");
    }
    call.error(&format!("NOQUORUM {usable} usable Sentinels. {}", reasons.join(". ")))
}

fn info_cache(call: &mut Call<'_, '_>) -> Outcome {
    let names = &call.argv[2..];
    let wanted = |group: &&GroupFacts| names.is_empty() || names.contains(&group.name.as_bytes());
    let groups: Vec<&GroupFacts> = call.facts.groups.iter().filter(wanted).collect();
    call.reply.array(groups.len() * 2);
    for group in groups {
        call.reply.bulk(group.name.as_bytes());
        call.reply.array(group.replicas.len() + 1);
        let replicas = group.replicas.iter().map(|replica| &replica.instance);
        for instance in std::iter::once(&group.master).chain(replicas) {
            call.reply.array(2);
            call.reply.integer(instance.info_age_ms.unwrap_or(0) as i64);
            match &instance.info {
                Some(text) => call.reply.bulk(text.as_bytes()),
                None => call.reply.null(),
            }
        }
    }
    Outcome::Replied
}

fn pending_scripts(call: &mut Call<'_, '_>) -> Outcome {
    let scripts = &call.facts.scripts;
    call.reply.array(scripts.len());
    for script in scripts {
        call.reply.map(5);
        call.reply.bulk(b"argv");
        call.reply.array(script.argv.len());
        script.argv.iter().for_each(|word| call.reply.bulk(word.as_bytes()));
        call.reply.bulk(b"flags");
        call.reply.bulk(if script.running() { b"running" } else { b"scheduled" });
        call.reply.bulk(b"pid");
        call.reply.bulk_integer(script.pid.map_or(0, i64::from));
        call.reply.bulk(if script.running() { b"run-time" } else { b"run-delay" });
        call.reply.bulk_integer(script.time_ms as i64);
        call.reply.bulk(b"retry-num");
        call.reply.bulk_integer(i64::from(script.retries));
    }
    Outcome::Replied
}

fn my_id(call: &mut Call<'_, '_>) -> Outcome {
    call.reply.bulk(call.facts.my_id.as_bytes());
    Outcome::Replied
}

fn flush_config(call: &mut Call<'_, '_>) -> Outcome {
    // All that is agreed is on disk before it is answered; no configuration file is ever rewritten.
    call.reply.ok();
    Outcome::Replied
}

/// The snapshot behind the page and the metrics, for `vedette status` and other tools.
fn status(_: &mut Call<'_, '_>) -> Outcome {
    Outcome::Status
}

fn incidents(call: &mut Call<'_, '_>) -> Outcome {
    match call.argv.get(2..) {
        Some([]) | None => Outcome::Incidents { group: None },
        Some([_]) => match call.known_group() {
            Some(index) => Outcome::Incidents { group: Some(call.facts.groups[index].name.clone()) },
            None => Outcome::Replied,
        },
        Some(_) => call.error("ERR wrong number of arguments for 'sentinel|incidents' command"),
    }
}

fn incident(call: &mut Call<'_, '_>) -> Outcome {
    Outcome::Incident { id: quoted(call.argv[2]) }
}

fn help(call: &mut Call<'_, '_>) -> Outcome {
    let lines: Vec<&str> = TABLE.iter().flat_map(|row| row.help).copied().collect();
    call.reply.array(lines.len() + 1);
    call.reply.simple("SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for line in lines {
        call.reply.simple(line);
    }
    Outcome::Replied
}

/// Every name with its arity and the first line of its help, for COMMAND.
pub(super) fn rows() -> impl Iterator<Item = (&'static str, Arity, &'static str)> {
    TABLE.iter().flat_map(|row| {
        let summary = row.help.get(1).copied().unwrap_or_default().trim_start();
        row.names.iter().map(move |name| (*name, row.arity, summary))
    })
}

const fn row(names: &'static [&'static str], arity: Arity, run: Run, help: &'static [&'static str]) -> Row {
    Row { names, arity, run, help }
}

const TABLE: &[Row] = &[
    row(
        &["ACKNOWLEDGE"],
        Exactly(3),
        policy::command,
        &[
            "ACKNOWLEDGE <master-name> | *",
            "    The failovers of a group (or, with *, the hold over the fleet) are known: go on.",
        ],
    ),
    row(
        &["CKQUORUM"],
        Exactly(3),
        ckquorum,
        &[
            "CKQUORUM <master-name>",
            "    Check if the current Sentinel configuration is able to reach the quorum",
            "    needed to failover a master and the majority needed to authorize the",
            "    failover.",
        ],
    ),
    row(
        &["CONFIG"],
        AtLeast(4),
        settings::config,
        &[
            "CONFIG SET <param> <value> [<param> <value> ...]",
            "    Set global Sentinel configuration parameters.",
            "CONFIG GET <param> [<param> ...]",
            "    Get global Sentinel configuration parameters.",
        ],
    ),
    row(
        &["DEBUG"],
        AtLeast(2),
        debug::debug,
        &[
            "DEBUG [<param> <value> ...]",
            "    Show a list of configurable time parameters and their values (milliseconds).",
            "    Or update current configurable parameters values (one or more), for the fleet.",
        ],
    ),
    row(&["DRILL"], AtLeast(3), drill::drill, drill::HELP),
    row(
        &["GET-MASTER-ADDR-BY-NAME", "GET-PRIMARY-ADDR-BY-NAME", "GET-MASTER-ADDR", "GET-PRIMARY-ADDR"],
        Exactly(3),
        master_address,
        &[
            "GET-MASTER-ADDR-BY-NAME <master-name>",
            "    Return the ip and port number of the master with that name.",
        ],
    ),
    row(
        &["EXPLAIN"],
        Exactly(3),
        policy::explain,
        &[
            "EXPLAIN <master-name>",
            "    Who would be promoted now, why nobody else, and what would hold it back; JSON.",
        ],
    ),
    row(&["FAILOVER"], AtLeast(3), failover::failover, failover::HELP),
    row(&["FLUSHCONFIG"], Exactly(2), flush_config, &["FLUSHCONFIG", "    Nothing to do: all is on disk."]),
    row(
        &["INCIDENTS"],
        AtLeast(2),
        incidents,
        &[
            "INCIDENTS [<master-name>]",
            "    Return the records of the last failovers, newest first, as JSON; every sentinel says the same.",
        ],
    ),
    row(
        &["INCIDENT"],
        Exactly(3),
        incident,
        &["INCIDENT <id>", "    Return one record as JSON: steps, evidence, offsets, what was lost."],
    ),
    row(
        &["INFO-CACHE"],
        AtLeast(3),
        info_cache,
        &[
            "INFO-CACHE <master-name> [<master-name> ...]",
            "    Return last cached INFO output from masters and all its replicas.",
        ],
    ),
    row(
        &["IS-MASTER-DOWN-BY-ADDR", "IS-PRIMARY-DOWN-BY-ADDR"],
        Exactly(6),
        is_master_down,
        &[
            "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
            "    Check if the master specified by ip:port is down from current Sentinel's",
            "    point of view.",
        ],
    ),
    row(
        &["MASTER", "PRIMARY"],
        Exactly(3),
        master,
        &["MASTER <master-name>", "    Show the state and info of the specified master."],
    ),
    row(
        &["MASTERS", "PRIMARIES"],
        Exactly(2),
        masters,
        &["MASTERS", "    Show a list of monitored masters and their state."],
    ),
    row(
        &["MONITOR"],
        Exactly(6),
        change::monitor,
        &[
            "MONITOR <name> <ip> <port> <quorum>",
            "    Start monitoring a new master with the specified name, ip, port and quorum.",
            "    Repeating it changes nothing.",
        ],
    ),
    row(&["MYID"], Exactly(2), my_id, &["MYID", "    Return the ID of the Sentinel instance."]),
    row(
        &["PENDING-SCRIPTS"],
        Exactly(2),
        pending_scripts,
        &[
            "PENDING-SCRIPTS",
            "    Get pending scripts information: of the leader those it runs, of others what the fleet has pending.",
        ],
    ),
    row(
        &["REMOVE"],
        Exactly(3),
        change::remove,
        &["REMOVE <master-name>", "    Remove master from Sentinel's monitor list."],
    ),
    row(
        &["PAUSE"],
        AtLeast(3),
        policy::command,
        &[
            "PAUSE <master-name> [INSTANCE <host:port>] [FOR <seconds>] [OWNER <who>] [REASON <text>]",
            "    Maintenance: no automatic failover, nothing is re-pointed.",
        ],
    ),
    row(
        &["PEER"],
        AtLeast(4),
        peers::change,
        &[
            "PEER ADD <id> <host:port>",
            "    Add a sentinel: it gets its vote when it is up to date.",
            "PEER REMOVE <id>",
            "    Remove a sentinel for good.",
            "PEER REPLACE <old-id> <new-id> <host:port>",
            "    Let a new sentinel take the place of another.",
        ],
    ),
    row(&["PEERS"], Exactly(2), peers::list, &["PEERS", "    Show all sentinels of the fleet, as agreed."]),
    row(
        &["REPLICAS", "SLAVES"],
        Exactly(3),
        replicas,
        &["REPLICAS <master-name>", "    Show a list of replicas for this master and their state."],
    ),
    row(
        &["RESET"],
        Exactly(3),
        change::reset,
        &["RESET <pattern>", "    Forget replicas that are gone, in groups whose name matches."],
    ),
    row(
        &["RESUME"],
        AtLeast(3),
        policy::command,
        &["RESUME <master-name> [INSTANCE <host:port>]", "    End maintenance."],
    ),
    row(
        &["SENTINELS"],
        Exactly(3),
        sentinels,
        &[
            "SENTINELS <master-name>",
            "    Show a list of Sentinel instances for this master and their state.",
        ],
    ),
    row(
        &["SET"],
        AtLeast(5),
        change::set,
        &[
            "SET <master-name> <option> <value> [<option> <value> ...]",
            "    Set configuration parameters for certain masters.",
        ],
    ),
    row(
        &["SIMULATE-FAILURE"],
        AtLeast(3),
        debug::simulate_failure,
        &[
            "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
            "    Simulate a Sentinel crash.",
        ],
    ),
    row(&["VOUCH"], Exactly(5), vouch::vouch, vouch::HELP),
    row(&["STATUS"], Exactly(2), status, &["STATUS", "    Return all that this sentinel knows, as JSON."]),
    row(
        &["WEBHOOKS"],
        AtLeast(4),
        webhooks::wish,
        &[
            "WEBHOOKS TEST|ENABLE|REPLAY <name> [FROM <event-id>]",
            "    Tell a webhook something, enable one that was gone, or send again what was given up.",
        ],
    ),
    row(&["HELP"], Exactly(2), help, &["HELP", "    Prints this help."]),
];
