//! A receiver that takes the connection and never says a word, while the master dies: the failover and
//! the other receivers know nothing of it.

use super::receiver::Receiver;
use super::tools::PATIENCE;
use crate::processes::fleet::{Fleet, Plan};
use crate::processes::wire::Wire;
use std::net::TcpListener;

#[test]
fn a_failover_waits_for_no_receiver_and_no_receiver_waits_for_another() {
    let receiver = Receiver::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let extra = format!(
        "webhooks:\n  - {{ name: silent, url: \"http://127.0.0.1:{silent_port}/\", severity: notice }}\n  - {{ name: ops, url: \"http://127.0.0.1:{}/\", severity: notice }}\n",
        receiver.port
    );
    let mut fleet = Fleet::start(&Plan { nodes: 2, extra, ..Plan::default() });
    // Held open, so that the sender waits for its answer all along.
    let mut held = Vec::new();
    fleet.wait("the silent receiver is being told", PATIENCE, || {
        held.extend(silent.accept().ok());
        !held.is_empty()
    });
    let old = fleet.master().unwrap();
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let (new, _) = fleet.await_switch(old, PATIENCE);
    fleet.wait("the new master takes writes", PATIENCE, || {
        Wire::once(new, &["SET", "k", "v"]).is_some_and(|reply| reply.is_ok())
    });
    fleet.wait("the other receiver is told of the switch", PATIENCE, || {
        receiver.got().iter().any(|got| got.event["type"] == "+switch-master")
    });
    // The first event is still on its way to the silent one, or is tried again; none was taken for told.
    let status = Wire::once(fleet.sentinels[fleet.leader()].port, &["SENTINEL", "STATUS"]).unwrap();
    let status: serde_json::Value = serde_json::from_str(status.as_str().unwrap()).unwrap();
    let hook = status["webhooks"].as_array().unwrap().iter().find(|hook| hook["name"] == "silent").unwrap();
    assert!(hook["pending"].as_u64().unwrap() > 0, "{hook}");
}
