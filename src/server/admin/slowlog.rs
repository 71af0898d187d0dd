//! SLOWLOG: requests that took longer than a limit. Words are cut, passwords never kept.

use crate::session::Session;
use crate::stdx::time::{Duration, Wall};
use std::collections::VecDeque;

const WORDS_MAX: usize = 32;
const WORD_BYTES_MAX: usize = 128;

#[derive(Debug, Default)]
pub struct Slowlog {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_id: i64,
}

#[derive(Debug)]
pub struct Entry {
    pub id: i64,
    pub at: Wall,
    pub took: Duration,
    pub words: Vec<Vec<u8>>,
    pub peer: String,
    pub name: String,
}

/// Directives whose values are nobody's business; as in Redis.
const SECRET_DIRECTIVES: [&str; 5] =
    ["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];

/// Where passwords stand, and what is told of users.
fn secrets(argv: &[&[u8]]) -> Vec<usize> {
    let is = |at: usize, name: &str| argv.get(at).is_some_and(|w| w.eq_ignore_ascii_case(name.as_bytes()));
    let behind = |from: usize, word: &str, count: usize| {
        let found = (from..argv.len()).find(|&at| is(at, word));
        found.map_or(Vec::new(), |at| (at + 1..=at + count).collect())
    };
    match argv[0].to_ascii_lowercase().as_slice() {
        b"auth" => (1..argv.len()).collect(),
        b"hello" => behind(2, "auth", 2),
        b"acl" if is(1, "setuser") => (2..argv.len()).collect(),
        b"config" if is(1, "set") => {
            let names = (2..argv.len()).step_by(2);
            let secret = names.filter(|&at| SECRET_DIRECTIVES.iter().any(|name| is(at, name)));
            secret.map(|at| at + 1).collect()
        }
        b"migrate" => [behind(6, "auth", 1), behind(6, "auth2", 2)].concat(),
        _ => Vec::new(),
    }
}

impl Slowlog {
    pub fn add(&mut self, at: Wall, session: &Session, took: Duration, argv: &[&[u8]], len_max: usize) {
        let hidden = secrets(argv);
        let mut words: Vec<Vec<u8>> = Vec::new();
        for (index, word) in argv.iter().enumerate() {
            if index == WORDS_MAX - 1 && argv.len() > WORDS_MAX {
                words.push(format!("... ({} more arguments)", argv.len() - index).into_bytes());
                break;
            }
            words.push(match word.len() {
                _ if hidden.contains(&index) => b"(redacted)".to_vec(),
                len if len > WORD_BYTES_MAX => {
                    let mut cut = word[..WORD_BYTES_MAX].to_vec();
                    cut.extend(format!("... ({} more bytes)", len - WORD_BYTES_MAX).into_bytes());
                    cut
                }
                _ => word.to_vec(),
            });
        }
        let (peer, name) = (session.peer_text(), session.name.clone());
        self.entries.push_front(Entry { id: self.next_id, at, took, words, peer, name });
        self.next_id += 1;
        self.entries.truncate(len_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        for (line, hidden) in [
            ("AUTH name secret", vec![1, 2]),
            ("HELLO 3 AUTH name secret SETNAME me", vec![3, 4]),
            ("ACL SETUSER name on >secret", vec![2, 3, 4]),
            ("ACL GETUSER name", vec![]),
            ("CONFIG SET maxmemory 0 requirepass secret", vec![5]),
            ("CONFIG GET requirepass", vec![]),
            ("MIGRATE h 1 k 0 1 AUTH secret KEYS a", vec![7]),
            ("MIGRATE h 1 k 0 1 AUTH2 name secret", vec![7, 8]),
            ("GET auth", vec![]),
        ] {
            let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            assert_eq!(secrets(&argv), hidden, "{line}");
        }
    }
}
