//! The lease of a stock server in virtual time.

use super::*;

struct Story {
    agent: Agent,
    now: u64,
    /// What each sentinel says; `None`: nothing.
    says: Vec<Option<(&'static str, i64)>>,
    role: &'static str,
    reachable: bool,
    /// Writes wait at the server until then.
    paused_until: u64,
    told: Vec<String>,
}

impl Story {
    fn new() -> Self {
        let plan = Plan {
            group: "m".into(),
            announced: Address::new("10.0.0.1", 6379),
            sentinels: 3,
            lease: Duration::from_millis(1000),
        };
        Story {
            agent: Agent::new(plan, Instant::from_millis(1000)),
            now: 1000,
            says: vec![Some(("master", 5)); 3],
            role: "master",
            reachable: true,
            paused_until: 0,
            told: Vec::new(),
        }
    }

    fn handle(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.agent.handle(Instant::from_millis(self.now), input, &mut actions);
        for action in actions {
            match action {
                Action::Dial { whom, .. } => {
                    let there = match whom {
                        Whom::Server => self.reachable,
                        Whom::Sentinel(index) => self.says[index].is_some(),
                    };
                    self.handle(if there { Input::Up(whom) } else { Input::Down(whom) });
                }
                Action::Hangup(whom) => self.handle(Input::Down(whom)),
                Action::Tell { text, .. } => self.told.push(text),
                Action::Send { whom, id, argv } => {
                    let words: Vec<String> =
                        argv.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
                    if let Some(reply) = self.reply(whom, &words) {
                        self.handle(Input::Replied { whom, id, reply });
                    }
                }
            }
        }
    }

    fn reply(&mut self, whom: Whom, words: &[String]) -> Option<Reply> {
        let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        match whom {
            Whom::Sentinel(index) => {
                assert_eq!(words, ["SENTINEL", "VOUCH", "m", "10.0.0.1", "6379"]);
                let (word, epoch) = self.says[index]?;
                Some(Reply::Array(vec![text(word), Reply::Integer(epoch), Reply::Integer(5000)]))
            }
            Whom::Server if !self.reachable => None,
            Whom::Server => match words[0].as_str() {
                "ROLE" => Some(Reply::Array(vec![text(self.role)])),
                _ => {
                    self.paused_until = match words[1].as_str() {
                        "PAUSE" => self.now + words[2].parse::<u64>().unwrap(),
                        _ => 0,
                    };
                    Some(Reply::Simple("OK".into()))
                }
            },
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            if self.agent.next_wakeup() <= Instant::from_millis(self.now) {
                self.handle(Input::Tick);
            }
        }
    }

    fn writes(&self) -> bool {
        self.now >= self.paused_until && self.role == "master"
    }
}

#[test]
fn a_vouched_server_is_left_alone_and_one_sentinel_in_touch_is_enough() {
    let mut story = Story::new();
    story.run(5000);
    assert!(story.writes() && !story.agent.is_fenced());
    story.says = vec![None, Some(("master", 5)), None];
    story.run(5000);
    assert!(story.writes() && story.told.is_empty(), "{:?}", story.told);
}

#[test]
fn without_a_word_its_writes_wait_within_one_lease_and_go_on_when_it_is_vouched_for() {
    let mut story = Story::new();
    story.run(3000);
    story.says = vec![None; 3];
    story.run(1001);
    assert!(!story.writes(), "a lease counts from when it was asked for");
    story.run(120_000);
    assert!(!story.writes(), "the fence is renewed");
    story.says = vec![None, None, Some(("master", 5))];
    story.run(1000);
    assert!(story.writes(), "{:?}", story.told);
}

#[test]
fn a_resumed_machine_fences_before_anything_else() {
    let mut story = Story::new();
    story.run(3000);
    story.now += 60_000;
    story.says = vec![None; 3];
    story.handle(Input::Tick);
    assert!(!story.writes());
}

#[test]
fn a_newer_epoch_revokes_at_once_and_an_older_word_gives_nothing_back() {
    let mut story = Story::new();
    story.run(3000);
    story.says = vec![Some(("master", 5)), Some(("master", 5)), Some(("other", 6))];
    story.run(1500);
    assert!(!story.writes(), "{:?}", story.told);
    // Made a replica: its clients are told so instead of waiting.
    story.role = "slave";
    story.run(1000);
    assert_eq!(story.paused_until, 0);
    story.role = "master";
    story.says = vec![Some(("undecided", 7)); 3];
    story.run(2000);
    assert!(!story.writes(), "promoted, but not agreed yet");
    story.says = vec![Some(("master", 7)); 3];
    story.run(1000);
    assert!(story.writes());
}

#[test]
fn a_server_that_restarts_while_it_is_fenced_is_fenced_again() {
    let mut story = Story::new();
    story.run(2000);
    story.says = vec![None; 3];
    story.run(2000);
    story.reachable = false;
    story.handle(Input::Down(Whom::Server));
    story.paused_until = 0;
    story.run(1000);
    story.reachable = true;
    story.run(1000);
    assert!(!story.writes());
}

#[test]
fn a_fence_of_the_agent_before_is_lifted_once_somebody_vouches() {
    let mut story = Story::new();
    story.paused_until = 50_000;
    story.run(1000);
    assert!(story.writes());
}
