//! Beside Debian's Redis Sentinel: the same requests to both fleets, healthy and after a failover, and what both
//! tell their subscribers through a story. Compared are types, shapes, names of fields and their order, flags, error
//! texts, and the words of events; numbers, names of this run and times are masked. What is meant to differ stands in
//! [`WANTED`] and [`EVENTS_ONLY_THERE`] with its reason.

use super::fleet::{Data, Fleet, GROUP, Plan, Process, free_ports};
use super::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vedette::resp::Reply;

const PATIENCE: Duration = Duration::from_secs(40);

struct Wanted {
    request: &'static str,
    /// How our answer begins, masked.
    ours: &'static str,
    why: &'static str,
}

const WANTED: &[Wanted] = &[
    Wanted {
        request: "SENTINEL PRIMARIES",
        ours: "[%{name=",
        why: "the aliases that Valkey 8 added are taken too",
    },
    Wanted {
        request: "SENTINEL GET-MASTER-ADDR mymaster",
        ours: "[",
        why: "so is the short form that people type",
    },
    Wanted { request: "QUIT", ours: "+OK", why: "clients of the data port say it and wait for the answer" },
    Wanted { request: "ECHO x", ours: "$", why: "a probe of some clients" },
    Wanted { request: "SELECT 0", ours: "+OK", why: "clients that were given a database number ask for it" },
    Wanted { request: "RESET", ours: "+RESET", why: "pools give connections back with it" },
    Wanted {
        request: "SENTINEL MONITOR mymaster 127.0.0.1 $M 2",
        ours: "+OK",
        why: "automation tells each sentinel in turn, and the first one told them all",
    },
    Wanted {
        request: "SENTINEL SET mymaster quorum x",
        ours: "-ERR Invalid argument 'x' for SENTINEL SET 'quorum': expected",
        why: "says what would be right",
    },
    Wanted {
        request: "SENTINEL SET mymaster parallel-syncs -1",
        ours: "-ERR Invalid argument '-1' for SENTINEL SET 'parallel-syncs': expected",
        why: "says what would be right",
    },
    Wanted {
        request: "SENTINEL CONFIG GET *",
        ours: "%{resolve-hostnames=$;announce-hostnames=$;announce-ip=$;announce-port=$;sentinel-user=$;sentinel-pass=$;",
        why: "and loglevel, as Redis 7.2 has it",
    },
    Wanted {
        request: "SENTINEL CONFIG DANCE x",
        ours: "-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET",
        why: "the text of Redis 7.2, which takes several",
    },
    Wanted {
        request: "SENTINEL CONFIG SET announce-ip",
        ours: "-ERR Only SENTINEL CONFIG GET <param>",
        why: "the text of Redis 7.2, which takes several",
    },
    Wanted {
        request: "SENTINEL DEBUG",
        ours: "%{INFO-PERIOD=$;PING-PERIOD=$;ASK-PERIOD=$;PUBLISH-PERIOD=$;DEFAULT-DOWN-AFTER=$;DEFAULT-FAILOVER-TIMEOUT=$;TILT-TRIGGER=$;TILT-PERIOD=$;SLAVE-RECONF-TIMEOUT=$;MIN-LINK-RECONNECT-PERIOD=$;ELECTION-TIMEOUT=$;SCRIPT-MAX-RUNTIME=$;SCRIPT-RETRY-DELAY=$;",
        why: "then the timers of the agreement",
    },
    Wanted {
        request: "SENTINEL FAILOVER mymaster extra",
        ours: "-ERR Unknown failover option specified",
        why: "options may follow the name, as in Valkey 9",
    },
    Wanted {
        request: "SENTINEL INFO-CACHE mymaster",
        ours: "[$,[[:,$],[:,$],[:,$]]]",
        why: "the last INFO of a dead master is kept for those who look into its death",
    },
];

const EVENTS_ONLY_THERE: &[(&str, &str)] = &[
    ("+config-update-from", "the new master is agreed, not picked up from gossip"),
    ("+failover-end-for-timeout", "depends on the pace of its polling"),
    ("+fix-slave-config", "depends on the pace of its polling"),
    ("+convert-to-slave", "depends on the pace of its polling"),
];

/// `|`-separated requests; `$M` is the master's port.
const REQUESTS: &str = "PING|PING a b|ROLE|ROLE x|HELLO|SENTINEL|SENTINEL NOTHING|SENTINEL MYID|SENTINEL HELP x|\
SENTINEL MASTERS|SENTINEL MASTERS x|SENTINEL PRIMARIES|SENTINEL MASTER|SENTINEL MASTER mymaster|SENTINEL MASTER nobody|\
SENTINEL REPLICAS mymaster|SENTINEL SLAVES mymaster|SENTINEL REPLICAS nobody|SENTINEL SENTINELS mymaster|\
SENTINEL SENTINELS nobody|SENTINEL GET-MASTER-ADDR-BY-NAME mymaster|SENTINEL GET-MASTER-ADDR-BY-NAME nobody|\
SENTINEL GET-MASTER-ADDR mymaster|SENTINEL GET-MASTER-ADDR-BY-NAME|SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 $M 0 *|\
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *|SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 $M x *|SENTINEL CKQUORUM mymaster|\
SENTINEL CKQUORUM nobody|SENTINEL PENDING-SCRIPTS|SENTINEL FLUSHCONFIG|SENTINEL INFO-CACHE mymaster|SENTINEL INFO-CACHE nobody|\
SENTINEL INFO-CACHE|SENTINEL SIMULATE-FAILURE help|SENTINEL SIMULATE-FAILURE nothing|SENTINEL DEBUG|SENTINEL DEBUG info-period|\
SENTINEL DEBUG info-period x|SENTINEL DEBUG info-period 0|SENTINEL DEBUG nothing 9000|SENTINEL CONFIG GET *|\
SENTINEL CONFIG GET announce-ip|SENTINEL CONFIG GET nothing|SENTINEL CONFIG SET announce-ip|SENTINEL CONFIG SET nothing 1|\
SENTINEL CONFIG SET resolve-hostnames maybe|SENTINEL CONFIG SET resolve-hostnames yes|SENTINEL CONFIG SET announce-port x|\
SENTINEL CONFIG DANCE x|SENTINEL CONFIG|SENTINEL MONITOR mymaster 127.0.0.1 $M 2|SENTINEL MONITOR other 127.0.0.1 7000 0|\
SENTINEL MONITOR other 127.0.0.1 7000 x|SENTINEL MONITOR other 127.0.0.1 x 2|SENTINEL MONITOR other 127.0.0.1 70000 2|\
SENTINEL MONITOR x 127.0.0.1|SENTINEL SET mymaster quorum|SENTINEL SET mymaster quorum x|SENTINEL SET mymaster parallel-syncs -1|\
SENTINEL SET mymaster colour red|SENTINEL SET mymaster quorum 2 parallel-syncs|SENTINEL SET nobody quorum 2|\
SENTINEL SET mymaster notification-script /bin/true|SENTINEL SET mymaster parallel-syncs 2|SENTINEL SET mymaster parallel-syncs 1|SENTINEL REMOVE nobody|\
SENTINEL SET mymaster rename-command|SENTINEL SET mymaster rename-command PING|\
SENTINEL SET mymaster rename-command OBJECT THING|SENTINEL SET mymaster rename-command OBJECT OBJECT quorum 2|\
SENTINEL SET mymaster master-reboot-down-after-period 500|SENTINEL SET mymaster master-reboot-down-after-period 0|\
SENTINEL FAILOVER nobody|SENTINEL FAILOVER mymaster extra|SENTINEL RESET nobody|SHUTDOWN x y z|PUBLISH other hi|\
PUBLISH __sentinel__:hello hi|SELECT 0|ECHO x|RESET|COMMAND NOTHING|COMMAND GETKEYS ping|COMMAND DOCS nothing|\
COMMAND INFO nothing|CLIENT ID|CLIENT GETNAME|CLIENT SETNAME x|CLIENT NOTHING|AUTH x|GET x|NOTHING a b|CONFIG GET x|\
SUBSCRIBE|INFO nothing|QUIT";

/// Values that must be the same, not only there.
const EXACT: &[&str] = &[
    "flags",
    "ip",
    "quorum",
    "failover-timeout",
    "parallel-syncs",
    "down-after-milliseconds",
    "num-slaves",
    "num-other-sentinels",
    "role-reported",
    "master-host",
    "slave-priority",
    "replica-announced",
    "link-refcount",
    "server",
    "mode",
];

/// A reply without what differs from run to run.
fn masked(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => format!("-{}", numbers_masked(text)),
        Reply::Simple(text) => format!("+{text}"),
        Reply::Integer(_) => ":".to_owned(),
        Reply::Bulk(_) => "$".to_owned(),
        Reply::Text(_) => "=".to_owned(),
        Reply::Null => "_".to_owned(),
        Reply::Set(items) => format!("~{}", items.len()),
        Reply::Map(pairs) => {
            let mut text = "%{".to_owned();
            for (name, value) in pairs {
                let name = name.as_str().unwrap_or("?");
                if name.starts_with("vedette-") {
                    continue;
                }
                let shown = match value.as_str() {
                    // Theirs think the master down for some seconds after the switch.
                    Some(value) if name == "flags" => value.replace(",master_down", ""),
                    Some(value) if EXACT.contains(&name) => value.to_owned(),
                    // The time since the fault, and whether it is known yet.
                    _ if name == "master-link-status" => "$".to_owned(),
                    _ => masked(value),
                };
                text.push_str(&format!("{name}={shown};"));
            }
            text + "}"
        }
        Reply::Array(items) | Reply::Push(items) => {
            let mut parts: Vec<String> = items.iter().map(masked).collect();
            // Which of them comes first is nobody's promise.
            if items.iter().all(|item| matches!(item, Reply::Map(_))) {
                parts.sort();
            }
            format!("[{}]", parts.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn numbers_masked(text: &str) -> String {
    let port = |word: &str| word.len() > 3 && word.bytes().all(|b| b.is_ascii_digit());
    text.split(' ').map(|word| if port(word) { "N" } else { word }).collect::<Vec<_>>().join(" ")
}

fn ask(port: u16, protocol: &str, request: &str) -> Reply {
    let words: Vec<String> = request.split(' ').map(|word| word.trim_matches('"').to_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut wire = Wire::connect(port, Duration::from_secs(10)).expect("a sentinel that listens");
    wire.call(&["HELLO", protocol]).expect("HELLO is answered");
    wire.call(&words).unwrap_or_else(|| panic!("{request} is not answered on port {port}"))
}

/// The fleet of Redis' own sentinels.
struct Stock {
    data: Vec<Process>,
    sentinels: Vec<Process>,
}

impl Stock {
    fn start(dir: &Path) -> Self {
        let ports = free_ports(6);
        let (data_ports, sentinel_ports) = ports.split_at(3);
        let process = |name: String, port: u16, args: Vec<String>| {
            let log = dir.join(format!("{name}.log"));
            let mut process = Process::new(name, port, "redis-server".into(), args, log);
            process.start();
            process
        };
        let data = data_ports.iter().enumerate().map(|(index, port)| {
            let name = format!("stock-data-{index}");
            let home = dir.join(&name);
            std::fs::create_dir_all(&home).unwrap();
            let mut words =
                format!("--port {port} --bind 127.0.0.1 --appendonly no --dir {}", home.display())
                    .split(' ')
                    .map(str::to_owned)
                    .collect::<Vec<_>>();
            words.extend(["--save".to_owned(), String::new()]);
            if index > 0 {
                words.extend(["--replicaof".to_owned(), format!("127.0.0.1 {}", data_ports[0])]);
            }
            process(name, *port, words)
        });
        let data: Vec<Process> = data.collect();
        let sentinels = sentinel_ports.iter().enumerate().map(|(index, port)| {
            let name = format!("stock-sentinel-{index}");
            let home = dir.join(&name);
            std::fs::create_dir_all(&home).unwrap();
            let file = home.join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {GROUP} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {GROUP} 1000\nsentinel failover-timeout {GROUP} 20000\n",
                home.display(),
                data_ports[0]
            );
            std::fs::write(&file, text).unwrap();
            process(name, *port, vec![file.display().to_string(), "--sentinel".to_owned()])
        });
        let sentinels = sentinels.collect();
        Stock { data, sentinels }
    }

    fn master(&self) -> Option<u16> {
        named_by(self.sentinels[0].port)
    }
}

fn named_by(port: u16) -> Option<u16> {
    let reply = Wire::once(port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP])?;
    reply.as_array()?.get(1)?.as_integer().map(|port| port as u16)
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The flags of all replicas as this sentinel shows them, sorted; and whether all links are as they should be.
fn replica_flags(port: u16) -> Vec<String> {
    let reply = ask(port, "2", "SENTINEL REPLICAS mymaster");
    let maps = reply.as_array().unwrap_or_default().iter();
    let mut flags: Vec<String> = maps.filter_map(|map| super::fleet::field(map, "flags")).collect();
    flags.sort();
    flags
}

fn counted(port: u16) -> (usize, usize) {
    let count = |request: &str| ask(port, "2", request).as_array().map_or(0, <[Reply]>::len);
    (count("SENTINEL REPLICAS mymaster"), count("SENTINEL SENTINELS mymaster"))
}

fn compare(when: &str, stock: (u16, u16), ours: (u16, u16), complaints: &mut Vec<String>) {
    for protocol in ["2", "3"] {
        for request in REQUESTS.split('|') {
            let ask = |(sentinel, master): (u16, u16)| {
                let reply = ask(sentinel, protocol, &request.replace("$M", &master.to_string()));
                // In RESP2 maps are arrays, which say less: only their lengths and types.
                masked(&reply)
            };
            let wanted = WANTED.iter().find(|wanted| wanted.request == request);
            let alike = |theirs: &str, ours: &str| match wanted {
                // Flat arrays hold our fields as well.
                _ if protocol == "2" && theirs.starts_with('[') && ours.starts_with('[') => true,
                Some(wanted) if protocol == "3" => ours.starts_with(wanted.ours),
                Some(_) => true,
                None => theirs == ours,
            };
            let (mut theirs, mut ours_now) = (ask(stock), ask(ours));
            // On a busy machine a link of either fleet may be down for a moment, which a flag tells.
            let deadline = Instant::now() + Duration::from_secs(20);
            while !alike(&theirs, &ours_now) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(200));
                (theirs, ours_now) = (ask(stock), ask(ours));
            }
            let ours = ours_now;
            if !alike(&theirs, &ours) {
                let why = wanted.map_or("", |wanted| wanted.why);
                complaints.push(format!(
                    "{when}, RESP{protocol}, {request} {why}\n  theirs {theirs}\n  ours   {ours}"
                ));
            }
        }
    }
    let theirs = info_fields(stock.0);
    let ours = info_fields(ours.0);
    for (section, fields) in &theirs {
        let own = ours.get(section).cloned().unwrap_or_default();
        let shared: Vec<&String> = own.iter().filter(|field| fields.contains(field)).collect();
        if shared != fields.iter().collect::<Vec<_>>() {
            complaints.push(format!("{when}, INFO {section}\n  theirs {fields:?}\n  ours   {own:?}"));
        }
    }
}

fn info_fields(port: u16) -> BTreeMap<String, Vec<String>> {
    let reply = ask(port, "2", "INFO");
    let (mut sections, mut section) = (BTreeMap::new(), String::new());
    for line in reply.as_str().expect("INFO is text").lines() {
        if let Some(title) = line.strip_prefix("# ") {
            section = title.trim().to_owned();
        } else if let Some((name, _)) = line.split_once(':') {
            sections.entry(section.clone()).or_insert_with(Vec::new).push(name.to_owned());
        }
    }
    sections
}

/// What sentinels publish, as it comes.
struct Listener {
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    fn to(ports: impl IntoIterator<Item = u16>) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        for port in ports {
            let mut wire = Wire::connect(port, PATIENCE * 4).expect("a sentinel that listens");
            wire.call(&["PSUBSCRIBE", "*"]).expect("the subscription is confirmed");
            let heard = heard.clone();
            // Ends when its sentinel does.
            std::thread::spawn(move || {
                while let Some(reply) = wire.receive() {
                    let words = reply.as_array().unwrap_or_default();
                    let word =
                        |at: usize| words.get(at).and_then(Reply::as_str).unwrap_or_default().to_owned();
                    heard.lock().unwrap().push((word(2), word(3)));
                }
            });
        }
        Listener { heard }
    }

    fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    fn count(&self, name: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|(heard, _)| heard == name).count()
    }

    fn shapes(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, payload) in self.heard.lock().unwrap().iter().filter(|(name, _)| !name.starts_with("__")) {
            shapes.entry(name.clone()).or_default().insert(payload.split(' ').map(word_shape).collect());
        }
        shapes
    }

    fn first(&self, name: &str) -> Option<usize> {
        self.heard.lock().unwrap().iter().position(|(heard, _)| heard == name)
    }
}

fn word_shape(word: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let shape = match word.split_once(['/', ':']) {
        Some((a, b)) if digits(a) && digits(b) => "N/N",
        Some((host, port)) if host == "127.0.0.1" && digits(port) => "A:N",
        _ if digits(word) => "N",
        _ if word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit()) => "ID",
        _ => word,
    };
    format!("{shape} ")
}

#[test]
fn answers_and_events_are_those_of_redis_sentinel() {
    let mut ours = Fleet::start(&Plan { data: Data::Stock, ..Plan::default() });
    let mut stock = Stock::start(ours.dir.path());
    let (their_port, our_port) = (stock.sentinels[0].port, ours.sentinels[0].port);
    let healthy = vec!["slave".to_owned(); 2];
    wait("both fleets know all of theirs", || {
        stock.sentinels.iter().all(|sentinel| {
            Wire::once(sentinel.port, &["PING"]).is_some() && counted(sentinel.port) == (2, 2)
        }) && counted(our_port) == (2, 2)
            && replica_flags(their_port) == healthy
            && replica_flags(our_port) == healthy
    });
    let mut complaints = Vec::new();
    let first = (stock.master().unwrap(), ours.master().unwrap());
    compare("healthy", (their_port, first.0), (our_port, first.1), &mut complaints);

    let theirs_heard = Listener::to(stock.sentinels.iter().map(|sentinel| sentinel.port));
    let ours_heard = Listener::to([our_port]);
    // A replica goes and comes back.
    stock.data[2].kill();
    ours.data[2].kill();
    wait("+sdown of the replica", || theirs_heard.count("+sdown") >= 3 && ours_heard.has("+sdown"));
    stock.data[2].start();
    ours.data[2].start();
    wait("-sdown of the replica", || {
        theirs_heard.count("-sdown") >= 3 && ours_heard.has("-sdown") && ours_heard.has("+reboot")
    });
    // The master goes.
    stock.data[0].kill();
    let old = ours.index_of(first.1);
    ours.data[old].kill();
    wait("both switched", || {
        theirs_heard.count("+switch-master") >= 3
            && ours_heard.has("+switch-master")
            && ours_heard.has("+failover-end")
    });
    let down = vec!["s_down,slave,disconnected".to_owned(), "slave".to_owned()];
    wait("the old master is shown to be down", || {
        replica_flags(their_port) == down && replica_flags(our_port) == down
    });
    let second = (stock.master().unwrap(), ours.master().unwrap());
    compare("after a failover", (their_port, second.0), (our_port, second.1), &mut complaints);

    // An operator changes things. The second failover comes by plan.
    for port in [their_port, our_port] {
        let reply = ask(port, "2", "SENTINEL SET mymaster quorum 1 down-after-milliseconds 1500");
        assert!(reply.is_ok(), "{reply:?}");
    }
    wait("the settings are told", || theirs_heard.count("+set") >= 2 && ours_heard.count("+set") >= 2);
    for (port, heard, switches) in [(their_port, &theirs_heard, 6), (our_port, &ours_heard, 2)] {
        wait("FAILOVER is taken", || {
            let reply = ask(port, "2", "SENTINEL FAILOVER mymaster");
            // Its facts may be too old for a moment.
            reply.is_ok() || reply.error().is_some_and(|text| text.starts_with("INPROG"))
        });
        wait("the planned failover ends", || {
            heard.count("+switch-master") >= switches && heard.count("+failover-end") >= 2
        });
    }
    for port in [their_port, our_port] {
        assert_eq!(ask(port, "2", "SENTINEL RESET *").as_integer(), Some(1));
        let (host, master) = ("127.0.0.1", named_by(port).unwrap());
        assert!(ask(port, "2", "SENTINEL REMOVE mymaster").is_ok());
        wait("MONITOR is taken", || {
            ask(port, "2", &format!("SENTINEL MONITOR mymaster {host} {master} 2")).is_ok()
        });
    }
    for heard in [&theirs_heard, &ours_heard] {
        wait("the group is watched again", || {
            heard.has("+reset-master")
                && heard.has("-monitor")
                && heard.has("+monitor")
                && heard.has("+slave")
        });
    }

    let own = ours_heard.shapes();
    for (name, shapes) in theirs_heard.shapes() {
        if EVENTS_ONLY_THERE.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let known = own.get(&name).cloned().unwrap_or_default();
        // Ours do not tell to what a command was renamed: who renames one hides it.
        let told = |shape: &&String| !shape.contains(" rename-command ");
        let missing: Vec<&String> = shapes.difference(&known).filter(told).collect();
        if !missing.is_empty() {
            complaints.push(format!("event {name}\n  theirs {missing:?}\n  ours   {known:?}"));
        }
    }
    // Ours tell the switch when clients may use the new master; theirs at the leader when all is done.
    let order = [
        "+odown",
        "+new-epoch",
        "+try-failover",
        "+vote-for-leader",
        "+elected-leader",
        "+failover-state-select-slave",
        "+selected-slave",
        "+failover-state-send-slaveof-noone",
        "+failover-state-wait-promotion",
        "-role-change",
        "+promoted-slave",
        "+failover-state-reconf-slaves",
        "+slave-reconf-sent",
    ];
    for heard in [&theirs_heard, &ours_heard] {
        let places: Vec<Option<usize>> = order.iter().map(|name| heard.first(name)).collect();
        if places.contains(&None) || !places.is_sorted() {
            complaints.push(format!("order of events: {places:?} of {order:?}"));
        }
    }
    // What two clients listen to instead.
    for also in ["switch-master", "+replica-reconf-done"] {
        assert!(ours_heard.has(also), "{also} is published too");
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
