//! One question to several servers, and what came back so far.

use super::{Action, Request};
use crate::stdx::tally::{Verdict, majority, verdict};
use crate::stdx::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    NotAsked,
    Silent,
    Yes,
    No,
    /// It has no key, or not ours.
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) id: u64,
    pub(super) started: Instant,
    /// Who is silent then will not be waited for.
    pub(super) deadline: Instant,
    pub(super) said: Vec<Said>,
}

impl Round {
    /// The question to every server of `whom`.
    pub(super) fn ask(
        id: u64,
        whom: &[bool],
        (started, deadline): (Instant, Instant),
        (token, request): (&str, &Request),
        actions: &mut Vec<Action>,
    ) -> Round {
        let asked = |(server, asked): (usize, &bool)| {
            if *asked {
                let (token, request) = (token.to_owned(), request.clone());
                actions.push(Action::Ask { server, id, token, request });
                Said::Silent
            } else {
                Said::NotAsked
            }
        };
        let said = whom.iter().enumerate().map(asked).collect();
        Round { id, started, deadline, said }
    }

    pub(super) fn count(&self, wanted: Said) -> usize {
        self.said.iter().filter(|said| **said == wanted).count()
    }

    pub(super) fn silent(&self) -> usize {
        self.count(Said::Silent)
    }

    /// Against a majority of all servers, asked or not; after the deadline nobody is silent any more.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let silent = if now >= self.deadline { 0 } else { self.silent() };
        verdict(self.count(Said::Yes), silent, majority(self.said.len()))
    }

    pub(super) fn yes(&self) -> Vec<bool> {
        self.said.iter().map(|said| *said == Said::Yes).collect()
    }
}
