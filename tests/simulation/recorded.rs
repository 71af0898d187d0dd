//! The modelled data node against real servers: recorded scripts are played on the model, on Debian's
//! redis-server and on `vedette server`, and what all of them answer must be the same. A wrong model would
//! prove nothing, however many seeds it ran.
//!
//! One step a line. `a WORDS` sends a command (`@b`: host and port of b as two words, `=b`: as one); `a set`
//! writes, `a set 1` with WAIT 1; `lease a 3 1 2 =b` grants a lease twice, so that the second echoes the first
//! one's stamp (epoch, n, version, members); `until b follows a`; `until b is awaiting`; `later 500`; `kill a`; `start a`;
//! `look` compares what INFO and DBSIZE show of everybody.

use super::data_node::{DataNode, Output, ReplMessage};
use crate::support::{Process, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use vedette::model::Address;
use vedette::resp::Reply;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long one look may take to come to rest: an acknowledgement or a GETACK is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LEASE_MS: &str = "2000";

/// Whoever plays the script.
trait Side {
    fn address(&self, node: usize) -> Address;
    fn ask(&mut self, node: usize, words: &[String]) -> Reply;
    /// A write of a value never used before; with how many acknowledgements WAIT came back.
    fn write(&mut self, node: usize, wait: Option<usize>) -> String;
    fn keys(&mut self, node: usize) -> i64;
    fn kill(&mut self, node: usize);
    fn start(&mut self, node: usize);
    fn later(&mut self, ms: u64);
    /// Time left for a condition? Lets a little pass.
    fn waits_on(&mut self) -> bool;
    fn begins_to_wait(&mut self);
    /// What is to be seen at this step, if that is known: a condition to wait for.
    fn expects(&mut self, _line: Option<&str>) {}
}

struct Model {
    nodes: Vec<DataNode>,
    now_us: u64,
    deadline_us: u64,
    next_value: u64,
    written: BTreeMap<u64, Result<usize, &'static str>>,
    flying: VecDeque<(usize, usize, u64, ReplMessage)>,
}

impl Model {
    fn new(count: usize, bundled: bool) -> Self {
        let address = |index: usize| Address::new("127.0.0.1", 7001 + index as u16);
        let node =
            |index: usize| DataNode::new(address(index), bundled, index as u64 + 1, Default::default());
        Model {
            nodes: (0..count).map(node).collect(),
            now_us: 5_000_000,
            deadline_us: 0,
            next_value: 0,
            written: BTreeMap::new(),
            flying: VecDeque::new(),
        }
    }

    fn obey(&mut self, from: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Repl { to, message } => {
                    let target = self.nodes.iter().position(|node| node.address == to && node.alive);
                    if let Some(to) = target {
                        self.flying.push_back((from, to, self.nodes[to].run, message));
                    }
                }
                Output::Written { value, result } => drop(self.written.insert(value, result)),
                Output::BecameMaster { .. } | Output::Resynced { .. } => {}
            }
        }
    }

    /// Everything under way arrives, at once.
    fn deliver(&mut self) {
        while let Some((from, to, run, message)) = self.flying.pop_front() {
            let from = self.nodes[from].address.clone();
            if self.nodes[to].alive && self.nodes[to].run == run {
                let mut out = Vec::new();
                self.nodes[to].on_repl(self.now_us, &from, message, &mut out);
                self.obey(to, out);
            }
        }
    }

    fn pass(&mut self, us: u64) {
        let until = self.now_us + us;
        while self.now_us < until {
            self.now_us += 10_000;
            for index in 0..self.nodes.len() {
                if self.nodes[index].alive {
                    let mut out = Vec::new();
                    self.nodes[index].tick(self.now_us, &mut out);
                    self.obey(index, out);
                }
            }
            self.deliver();
        }
    }
}

impl Side for Model {
    fn address(&self, node: usize) -> Address {
        self.nodes[node].address.clone()
    }

    fn ask(&mut self, node: usize, words: &[String]) -> Reply {
        let argv: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
        let mut out = Vec::new();
        let reply = self.nodes[node].command(self.now_us, &argv, &mut out);
        self.obey(node, out);
        self.deliver();
        reply
    }

    fn write(&mut self, node: usize, wait: Option<usize>) -> String {
        self.next_value += 1;
        let (value, mut out) = (self.next_value, Vec::new());
        self.nodes[node].write(self.now_us, value, wait.unwrap_or(0), &mut out);
        self.obey(node, out);
        self.deliver();
        self.begins_to_wait();
        while !self.written.contains_key(&value) && self.waits_on() {}
        match (self.written.get(&value), wait) {
            (Some(Ok(acks)), Some(_)) => format!("{acks} acknowledged"),
            (Some(Ok(_)), None) => "OK".into(),
            (Some(Err(why)), _) => why.split(' ').next().unwrap_or("").into(),
            (None, _) => "nothing".into(),
        }
    }

    fn keys(&mut self, node: usize) -> i64 {
        self.nodes[node].writes().count() as i64
    }

    fn kill(&mut self, node: usize) {
        let from = node;
        for (to, link) in self.nodes[node].kill(false) {
            if let Some(to) = self.nodes.iter().position(|node| node.address == to && node.alive) {
                self.flying.push_back((from, to, self.nodes[to].run, ReplMessage::Closed { link }));
            }
        }
        self.deliver();
    }

    fn start(&mut self, node: usize) {
        self.nodes[node].restart(false, true);
    }

    fn later(&mut self, ms: u64) {
        self.pass(ms * 1000);
    }

    fn begins_to_wait(&mut self) {
        self.deadline_us = self.now_us + PATIENCE.as_micros() as u64;
    }

    fn waits_on(&mut self) -> bool {
        self.pass(20_000);
        self.now_us < self.deadline_us
    }
}

struct Real {
    processes: Vec<Process>,
    orders: Vec<Wire>,
    clients: Vec<Wire>,
    deadline: Instant,
    next_value: u64,
    expected: Option<String>,
}

impl Real {
    fn new(count: usize, bundled: bool) -> Self {
        let start = |_| match bundled {
            true => Process::vedette(&[]),
            false => Process::redis(&["--repl-diskless-sync-delay", "0"]),
        };
        let processes: Vec<Process> = (0..count).map(start).collect();
        Real {
            orders: processes.iter().map(Process::connect).collect(),
            clients: processes.iter().map(Process::connect).collect(),
            processes,
            deadline: Instant::now(),
            next_value: 0,
            expected: None,
        }
    }
}

impl Side for Real {
    fn address(&self, node: usize) -> Address {
        Address::new("127.0.0.1", self.processes[node].port)
    }

    fn ask(&mut self, node: usize, words: &[String]) -> Reply {
        self.orders[node].ask(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn write(&mut self, node: usize, wait: Option<usize>) -> String {
        self.next_value += 1;
        let key = format!("key-{}", self.next_value);
        // Who loses its role closes the connections of its clients.
        let answered = self.clients[node].try_ask(&["SET", &key, "x"]);
        let reply = answered.unwrap_or_else(|| {
            self.clients[node] = self.processes[node].connect();
            self.clients[node].ask(&["SET", &key, "x"])
        });
        if let Some(error) = reply.error() {
            return error.split(' ').next().unwrap_or("").into();
        }
        match wait {
            None => "OK".into(),
            Some(n) => {
                // Where as many are to be counted they are waited for; where fewer, not for ever.
                let enough =
                    self.expected.as_ref().is_some_and(|line| line.ends_with(&format!("{n} acknowledged")));
                let limit_ms = if enough { "20000" } else { "1000" };
                let reply = self.clients[node].ask(&["WAIT", &n.to_string(), limit_ms]);
                format!("{} acknowledged", reply.as_integer().unwrap_or(-1))
            }
        }
    }

    fn keys(&mut self, node: usize) -> i64 {
        self.orders[node].ask(&["DBSIZE"]).as_integer().unwrap_or(-1)
    }

    fn kill(&mut self, node: usize) {
        self.processes[node].kill();
    }

    fn start(&mut self, node: usize) {
        self.processes[node].restart();
        self.orders[node] = self.processes[node].connect();
        self.clients[node] = self.processes[node].connect();
    }

    fn later(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn begins_to_wait(&mut self) {
        self.deadline = Instant::now() + PATIENCE;
    }

    fn expects(&mut self, line: Option<&str>) {
        self.expected = line.map(str::to_owned);
    }

    fn waits_on(&mut self) -> bool {
        std::thread::sleep(LOOK_AGAIN);
        Instant::now() < self.deadline
    }
}

/// Numbers of one side stand for what they are: the first history seen is #1.
#[derive(Default)]
struct Names {
    histories: Vec<String>,
}

impl Names {
    fn history(&mut self, id: &str) -> String {
        if id.bytes().all(|byte| byte == b'0') {
            return "-".into();
        }
        let known = self.histories.iter().position(|known| known == id);
        let index = known.unwrap_or_else(|| {
            self.histories.push(id.to_owned());
            self.histories.len() - 1
        });
        format!("#{}", index + 1)
    }
}

fn index_of(name: &str) -> usize {
    name.bytes().next().map_or(0, |byte| usize::from(byte - b'a'))
}

fn name_of(side: &dyn Side, count: usize, host: &str, port: &str) -> String {
    let text = format!("{host}:{port}");
    let found = (0..count).find(|node| side.address(*node).to_string() == text);
    found.map_or_else(|| "nobody".to_owned(), |node| char::from(b'a' + node as u8).to_string())
}

fn info(side: &mut dyn Side, node: usize) -> BTreeMap<String, String> {
    let reply = side.ask(node, &["INFO".into()]);
    let text = reply.as_str().unwrap_or("").to_owned();
    text.lines().filter_map(|l| l.trim().split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn number(words: &BTreeMap<String, String>, name: &str) -> i64 {
    words.get(name).and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// What everybody shows.
fn look(side: &mut dyn Side, names: &mut Names, alive: &[bool]) -> Vec<String> {
    let infos: Vec<_> = (0..alive.len()).map(|node| alive[node].then(|| info(side, node))).collect();
    let most = |history: &str| {
        let same = infos.iter().flatten().filter(|i| i.get("master_replid").is_some_and(|id| id == history));
        same.map(|i| number(i, "master_repl_offset")).max()
    };
    let mut lines = Vec::new();
    for (node, shown) in infos.iter().enumerate() {
        let Some(shown) = shown else { continue };
        let of = |name: &str| shown.get(name).map_or("", String::as_str).to_owned();
        let history = of("master_replid");
        let offset = number(shown, "master_repl_offset");
        let mut line = format!(
            "{} role={} replid={} replid2={} second={} offset={} slaves={} keys={}",
            char::from(b'a' + node as u8),
            of("role"),
            names.history(&history),
            names.history(&of("master_replid2")),
            if number(shown, "second_repl_offset") > 0 { "set" } else { "-1" },
            match (of("master_link_status").as_str(), most(&history) == Some(offset)) {
                // Keep-alives that it missed, or did not.
                ("down", _) => "any",
                (_, true) => "most",
                (_, false) => "less",
            },
            of("connected_slaves"),
            side.keys(node),
        );
        if of("role") == "slave" && of("vedette_role") != "awaiting" {
            let master = name_of(side, alive.len(), &of("master_host"), &of("master_port"));
            line += &format!(
                " of={master} link={} syncing={} read_only={} priority={}",
                of("master_link_status"),
                of("master_sync_in_progress"),
                of("slave_read_only"),
                of("slave_priority")
            );
        }
        for name in ["group", "epoch", "role", "vouched", "synced", "set_version"] {
            if let Some(value) = shown.get(&format!("vedette_{name}")) {
                line += &format!(" {name}={value}");
            }
        }
        lines.push(line);
    }
    lines
}

fn shown(reply: &Reply, words: &[String], names: &mut Names) -> String {
    if let Some(error) = reply.error() {
        let mut said = error.split(' ');
        let code = said.next().unwrap_or("");
        // Whose epoch or group it is stands behind the code.
        let more = matches!(code, "STALEEPOCH").then(|| said.next().unwrap_or(""));
        return more.map_or_else(|| code.to_owned(), |more| format!("{code} {more}"));
    }
    if let (Some("FENCE"), Some([_, id, _, id2, second, silence, synced])) =
        (words.get(1).map(String::as_str), reply.as_array())
    {
        let ids = [id, id2].map(|id| names.history(id.as_str().unwrap_or("?")));
        return format!(
            "fenced {} {} second={} silence={} synced={:?}",
            ids[0],
            ids[1],
            second.as_integer().is_some_and(|n| n > 0),
            if silence.as_integer().is_some_and(|n| n >= 0) { "some" } else { "never heard" },
            synced.as_integer()
        );
    }
    if let Some(items) = reply.as_array() {
        return items.first().and_then(Reply::as_str).unwrap_or("?").to_owned();
    }
    match reply.as_integer() {
        Some(number) => number.to_string(),
        None => reply.as_str().unwrap_or("?").to_owned(),
    }
}

/// A line for each step and, where the script looks, for each server.
fn play(side: &mut dyn Side, count: usize, steps: &[&str], expected: &[String]) -> Vec<String> {
    let (mut names, mut told) = (Names::default(), Vec::new());
    let mut alive = vec![true; count];
    for (index, step) in steps.iter().enumerate() {
        let expected = expected.get(index).map(String::as_str);
        side.expects(expected);
        let words: Vec<&str> = step.split_whitespace().collect();
        let said = match words.as_slice() {
            ["look"] => {
                // Offsets and acknowledgements may be on their way.
                side.begins_to_wait();
                let mut seen = look(side, &mut names, &alive).join("\n  ");
                let mut again = 0;
                let as_expected =
                    |seen: &str| expected.is_none_or(|line| line == format!("{step} -> {seen}"));
                while (again < 4 || !as_expected(&seen)) && side.waits_on() {
                    again += 1;
                    seen = look(side, &mut names, &alive).join("\n  ");
                }
                seen
            }
            ["later", ms] => {
                side.later(ms.parse().expect("milliseconds"));
                String::new()
            }
            ["until", who, how, whom] => {
                side.begins_to_wait();
                let met = |side: &mut dyn Side| {
                    let shown = info(side, index_of(who));
                    let of = |name: &str| shown.get(name).cloned().unwrap_or_default();
                    let master = name_of(side, count, &of("master_host"), &of("master_port"));
                    match *how {
                        "follows" => {
                            let port = format!("port={},", side.address(index_of(who)).port);
                            let online =
                                |text: &String| text.contains(&port) && text.contains("state=online");
                            let up = of("master_link_status") == "up" && master == *whom;
                            up && info(side, index_of(whom)).values().any(online)
                        }
                        "lacks" => of("master_link_status") == "down" && master == *whom,
                        _ => of("vedette_role") == *whom || of("role") == *whom,
                    }
                };
                let mut so = met(side);
                while !so && side.waits_on() {
                    so = met(side);
                }
                so.to_string()
            }
            ["kill", who] => {
                side.kill(index_of(who));
                alive[index_of(who)] = false;
                String::new()
            }
            ["start", who] => {
                side.start(index_of(who));
                alive[index_of(who)] = true;
                String::new()
            }
            ["lease", who, epoch, quorum, version, set @ ..] => {
                let node = index_of(who);
                let members: Vec<String> =
                    set.iter().map(|m| side.address(index_of(&m[1..])).to_string()).collect();
                let mut grant = |echo: i64| {
                    let words =
                        ["VEDETTE", "LEASE", "g", epoch, LEASE_MS, &echo.to_string(), quorum, version];
                    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
                    words.push(members.join(","));
                    side.ask(node, &words)
                };
                let first = grant(0);
                let echo = first.as_array().and_then(|items| items.first()?.as_integer());
                let second = echo.map_or(first, &mut grant);
                match second.as_array() {
                    Some([_, epoch, vouched, version]) => {
                        let of = |reply: &Reply| reply.as_integer().unwrap_or(-1);
                        // By its replicas too, or not yet: a matter of moments.
                        format!("epoch {} vouched {} version {}", of(epoch), of(vouched) > 0, of(version))
                    }
                    _ => shown(&second, &[], &mut names),
                }
            }
            [who, "set"] => side.write(index_of(who), None),
            [who, "set", n] => side.write(index_of(who), n.parse().ok()),
            [who, command @ ..] => {
                let mut sent = Vec::new();
                for word in command {
                    match (word.strip_prefix('@'), word.strip_prefix('=')) {
                        (Some(node), _) => {
                            let Address { host, port } = side.address(index_of(node));
                            sent.extend([host.to_string(), port.to_string()]);
                        }
                        (_, Some(node)) => sent.push(side.address(index_of(node)).to_string()),
                        _ => sent.push((*word).to_owned()),
                    }
                }
                let reply = side.ask(index_of(who), &sent);
                shown(&reply, &sent, &mut names)
            }
            _ => panic!("no step: {step}"),
        };
        told.push(format!("{step} -> {said}"));
    }
    told
}

/// Each script begins with `stock N` or `bundled N`.
fn compare(bundled: bool) {
    let scripts = include_str!("recorded/scripts.txt");
    let mut played = 0;
    for script in scripts.split("\n\n") {
        let mut steps =
            script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let Some((kind, count)) = steps.next().and_then(|line| line.split_once(' ')) else { continue };
        if (kind == "bundled") != bundled {
            continue;
        }
        let count = count.parse().expect("a number of servers");
        let steps: Vec<&str> = steps.collect();
        let model = play(&mut Model::new(count, bundled), count, &steps, &[]);
        let real = play(&mut Real::new(count, bundled), count, &steps, &model);
        assert_eq!(model.len(), real.len());
        for (index, (model, real)) in model.iter().zip(&real).enumerate() {
            assert!(
                model == real,
                "the model and a real server differ at step {} of\n{script}\n\nmodel: {model}\n real: {real}\n",
                index + 1
            );
        }
        played += 1;
    }
    assert!(played >= 5, "{played} scripts");
}

#[test]
fn the_model_answers_as_redis_does() {
    compare(false);
}

#[test]
fn the_model_answers_as_the_bundled_server_does() {
    compare(true);
}
