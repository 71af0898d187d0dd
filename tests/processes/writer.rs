//! A writer that keeps a promise of its own: it counts a write as acknowledged only when it was told so.
//! Unique members of one set, each followed by `WAIT 1`, at the address the sentinels publish.

use super::fleet::GROUP;
use super::wire::Wire;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use vedette::resp::Reply;

const DEADLINE: Duration = Duration::from_millis(700);

/// One write that was acknowledged, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub value: u64,
    pub port: u16,
    /// Replicas that had it, as WAIT said.
    pub replicas: i64,
}

pub struct Writer {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Acknowledged>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(sentinels: Vec<u16>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        let thread = {
            let (stop, log) = (stop.clone(), log.clone());
            std::thread::spawn(move || run(&sentinels, &stop, &log))
        };
        Writer { stop, log, thread: Some(thread) }
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.log.lock().unwrap().clone()
    }

    pub fn last_port(&self) -> Option<u16> {
        self.log.lock().unwrap().last().map(|write| write.port)
    }

    pub fn finish(mut self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.acknowledged()
    }
}

fn run(sentinels: &[u16], stop: &AtomicBool, log: &Mutex<Vec<Acknowledged>>) {
    let mut value = 0;
    let mut wire: Option<(u16, Wire)> = None;
    while !stop.load(Ordering::Relaxed) {
        let Some((port, connection)) = wire.as_mut() else {
            wire = published(sentinels).and_then(|port| Some((port, Wire::connect(port, DEADLINE)?)));
            if wire.is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            continue;
        };
        value += 1;
        let added = connection.call(&["SADD", "written", &value.to_string()]);
        let replicas = match added {
            Some(Reply::Integer(_)) => {
                connection.call(&["WAIT", "1", "300"]).and_then(|reply| reply.as_integer())
            }
            _ => None,
        };
        match replicas {
            Some(replicas) => {
                let write = Acknowledged { value, port: *port, replicas };
                log.lock().unwrap().push(write);
            }
            None => {
                wire = None;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn published(sentinels: &[u16]) -> Option<u16> {
    sentinels.iter().find_map(|&sentinel| {
        let mut wire = Wire::connect(sentinel, Duration::from_millis(200))?;
        let reply = wire.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP])?;
        reply.as_array()?.get(1)?.as_integer().map(|port| port as u16)
    })
}

/// Writes that WAIT promised and that the set at `port` does not hold.
pub fn lost(port: u16, acknowledged: &[Acknowledged]) -> Vec<u64> {
    let mut wire = Wire::connect(port, Duration::from_secs(5)).expect("the master answers");
    let members = wire.call(&["SMEMBERS", "written"]).expect("the set is read");
    let present: BTreeSet<u64> = members
        .as_array()
        .unwrap_or_default()
        .iter()
        .filter_map(|member| member.as_integer().map(|value| value as u64))
        .collect();
    acknowledged
        .iter()
        .filter(|write| write.replicas >= 1 && !present.contains(&write.value))
        .map(|w| w.value)
        .collect()
}
