//! Table tests of the fleet's judgement of a master.

use super::*;
use crate::sentinel::decision::{Decision, Entry};
use crate::sentinel::facts::Facts;
use crate::sentinel::ledger::Ledger;
use crate::sentinel::registry::Link;
use crate::sentinel::settings::Settings;

/// Group `m`, down-after 5 s, quorum 2; master h:1, replica h:2; one peer.
struct Scene {
    ledger: Ledger,
    registry: Registry,
    peers: BTreeMap<NodeId, Peer>,
}

const NOW: Instant = Instant::from_millis(100_000);

fn ago(ms: u64) -> Instant {
    Instant::from_millis(100_000 - ms)
}

fn scene() -> Scene {
    let mut ledger = Ledger::default();
    let group = "m".to_owned();
    let settings = Settings::with_quorum(2);
    let decisions = vec![
        Decision::Monitor {
            group: group.clone(),
            address: Address::new("h", 1),
            settings,
            configured: false,
        },
        Decision::AddReplica { group, address: Address::new("h", 2) },
    ];
    ledger.apply(1, &Entry { at_ms: 0, by: 1, decisions });
    let mut registry = Registry::default();
    for port in [1, 2] {
        let mut instance = Instance::new("m", NOW);
        instance.link = Link::Up;
        registry.insert(Address::new("h", port), instance);
    }
    Scene { ledger, registry, peers: BTreeMap::from([(2, Peer::default())]) }
}

impl Scene {
    fn master(&mut self) -> &mut Instance {
        self.registry.get_mut(&Address::new("h", 1)).unwrap()
    }

    fn replica_says(&mut self, asked_ms_ago: u64, link: &str, streamed_ms_ago: u64) {
        let text = format!("role:slave\nmaster_host:h\nmaster_port:1\nmaster_link_status:{link}\n");
        let replica = self.registry.get_mut(&Address::new("h", 2)).unwrap();
        replica.facts = Facts::read(&text, ago(asked_ms_ago), 0);
        replica.streamed_at = Some(ago(streamed_ms_ago));
    }

    fn peer_says(&mut self, sdown: bool, refused_ms: Option<u64>) {
        let peer = self.peers.get_mut(&2).unwrap();
        peer.views_at = Some(ago(50));
        peer.views = vec![View {
            group: "m".into(),
            instance: Address::new("h", 1),
            silent_ms: 0,
            sdown,
            refused_ms,
            restarted: false,
            streamed_ms: None,
            link_up: None,
        }];
    }

    fn verdict(&self) -> Verdict {
        judge(&self.ledger.groups["m"], &self.registry, &self.peers, NOW)
    }
}

#[test]
fn silence_needs_down_after_and_a_quorum() {
    let mut scene = scene();
    assert_eq!(scene.verdict(), Verdict::Well);
    scene.replica_says(100, "down", 20_000);
    scene.master().valid_at = ago(4000);
    scene.peer_says(true, None);
    assert_eq!(scene.verdict(), Verdict::Suspect);
    scene.master().valid_at = ago(5001);
    assert_eq!(scene.verdict(), Verdict::Down { votes: 2 });
    scene.peer_says(false, None);
    assert_eq!(scene.verdict(), Verdict::Suspect);
}

#[test]
fn a_replica_that_still_hears_the_master_is_a_witness() {
    let mut scene = scene();
    scene.master().valid_at = ago(9000);
    scene.peer_says(true, None);
    scene.replica_says(100, "up", 200);
    assert_eq!(scene.verdict(), Verdict::Unreachable);
    scene.replica_says(100, "up", 5001);
    assert_eq!(scene.verdict(), Verdict::Down { votes: 2 });
}

#[test]
fn a_refusal_waits_for_the_replicas_word() {
    let mut scene = scene();
    scene.master().refused_since = Some(ago(400));
    scene.peer_says(false, Some(350));
    // What the replica said before the refusal is no word on it.
    scene.replica_says(500, "down", 600);
    assert_eq!(scene.verdict(), Verdict::Suspect);
    scene.replica_says(100, "up", 100);
    assert_eq!(scene.verdict(), Verdict::Suspect);
    scene.replica_says(100, "down", 600);
    assert_eq!(scene.verdict(), Verdict::Crashed { votes: 2 });
    // One sentinel alone, or one that only just saw it, is not enough.
    scene.peer_says(false, Some(299));
    assert_eq!(scene.verdict(), Verdict::Suspect);
}
