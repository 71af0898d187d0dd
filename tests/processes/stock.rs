//! Stock servers: the bound on a master that is cut off, the one that returns, and the agent beside it.

use super::fleet::{Data, Fleet, GROUP, Plan, Process, vedette};
use super::wire::Wire;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn setting(port: u16, name: &str) -> Option<String> {
    let reply = Wire::once(port, &["CONFIG", "GET", name])?;
    reply.as_array()?.get(1)?.as_str().map(str::to_owned)
}

fn role(port: u16) -> Option<String> {
    Wire::once(port, &["ROLE"])?.as_array()?.first()?.as_str().map(str::to_owned)
}

/// A master that was taken for dead is the same process when it returns: it is made a replica at once,
/// and gets its operator's own setting back.
#[test]
fn a_returned_stock_master_is_demoted_and_given_back_its_own_setting() {
    let fleet = Fleet::start(&Plan { data: Data::Stock, ..Plan::default() });
    let old = fleet.master().unwrap();
    fleet.wait("the master needs a replica to take writes", PATIENCE, || {
        setting(old, "min-replicas-to-write").as_deref() == Some("1")
    });
    let index = fleet.index_of(old);
    fleet.data[index].stop();
    let (new, _) = fleet.await_switch(old, PATIENCE);
    fleet.data[index].resume();
    let resumed = Instant::now();
    fleet.wait("it follows the new master", PATIENCE, || role(old).as_deref() == Some("slave"));
    println!("a returned stock master was demoted after {:?}", resumed.elapsed());
    fleet.wait("it has its own setting again", PATIENCE, || {
        setting(old, "min-replicas-to-write").as_deref() == Some("0")
            && setting(old, "min-replicas-max-lag").as_deref() == Some("10")
    });
    fleet.await_replicas(new);
    fleet.wait("the new one is bounded like the old one was", PATIENCE, || {
        setting(new, "min-replicas-to-write").as_deref() == Some("1")
    });
}

/// The only replica dies: the master takes writes again, and that is told; a higher value of the operator's own stays.
#[test]
fn a_stock_master_whose_replicas_are_gone_takes_writes_and_an_operators_value_stays() {
    let mut fleet = Fleet::start(&Plan { data: Data::Stock, nodes: 2, ..Plan::default() });
    let master = fleet.master().unwrap();
    let to_write = || setting(master, "min-replicas-to-write");
    fleet.wait("the master needs its replica", PATIENCE, || to_write().as_deref() == Some("1"));
    let index = fleet.data.iter().position(|process| process.port != master).unwrap();
    fleet.data[index].kill();
    fleet.wait("the master takes writes alone", PATIENCE, || {
        to_write().as_deref() == Some("0")
            && Wire::once(master, &["SET", "k", "v"]).is_some_and(|reply| reply.is_ok())
    });
    let told = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "STATUS"]);
    assert!(
        told.as_ref().and_then(|reply| reply.as_str()).is_some_and(|text| text.contains("-min-replicas"))
    );
    fleet.data[index].start();
    fleet.wait("the master needs its replica again", PATIENCE, || to_write().as_deref() == Some("1"));
    // Read and verified before; what differs then is an operator's.
    std::thread::sleep(Duration::from_secs(1));
    assert!(Wire::once(master, &["CONFIG", "SET", "min-replicas-to-write", "2"]).unwrap().is_ok());
    fleet.wait("it was read again", PATIENCE, || {
        let status = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "STATUS"]);
        status.is_some() && to_write().as_deref() == Some("2")
    });
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(to_write().as_deref(), Some("2"), "{}", fleet.logs());
}

/// All sentinels fall silent: the agent makes its server hold writes back, and lets go when one of them
/// is back in touch with the others.
#[test]
fn an_agent_fences_its_server_while_nobody_vouches_for_it() {
    let mut fleet = Fleet::start(&Plan { data: Data::Stock, ..Plan::default() });
    let master = fleet.master().unwrap();
    let sentinels: Vec<String> =
        fleet.sentinels.iter().map(|sentinel| format!("\"127.0.0.1:{}\"", sentinel.port)).collect();
    let config = fleet.dir.path().join("agent.yaml");
    let text = format!(
        "group: {GROUP}\nserver: 127.0.0.1:{master}\nsentinels: [{}]\nlease-milliseconds: 2000\n",
        sentinels.join(", ")
    );
    std::fs::write(&config, text).unwrap();
    let args = vec!["agent".into(), "--config".into(), config.display().to_string()];
    let log = fleet.dir.path().join("agent.log");
    let mut agent = Process::new("agent".into(), 0, vedette(), args, log);
    agent.start();
    let writes = || {
        let mut client = Wire::connect(master, Duration::from_millis(300))?;
        client.call(&["SET", "k", "v"])
    };
    fleet.wait("a vouched server takes writes", PATIENCE, || writes().is_some_and(|reply| reply.is_ok()));
    for sentinel in &mut fleet.sentinels {
        sentinel.kill();
    }
    fleet.wait("its writes wait", PATIENCE, || writes().is_none());
    assert!(agent.log().contains("nobody vouches"), "{}", agent.log());
    // Alone it is in touch with nobody, and its word is none.
    fleet.sentinels[0].start();
    fleet.wait("a lonely sentinel answers", PATIENCE, || {
        Wire::once(fleet.sentinels[0].port, &["PING"]).is_some()
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(writes().is_none(), "{}", agent.log());
    fleet.sentinels[1].start();
    fleet.wait("two of three vouch again", PATIENCE, || writes().is_some_and(|reply| reply.is_ok()));
}
