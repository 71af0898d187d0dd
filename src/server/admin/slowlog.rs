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

impl Slowlog {
    pub fn add(&mut self, at: Wall, session: &Session, took: Duration, argv: &[&[u8]], len_max: usize) {
        let secret = [&b"auth"[..], b"hello", b"config", b"acl", b"migrate"];
        let hidden = secret.iter().any(|name| argv[0].eq_ignore_ascii_case(name));
        let mut words: Vec<Vec<u8>> = Vec::new();
        for (index, word) in argv.iter().enumerate() {
            if index == WORDS_MAX - 1 && argv.len() > WORDS_MAX {
                words.push(format!("... ({} more arguments)", argv.len() - index).into_bytes());
                break;
            }
            words.push(match word.len() {
                _ if hidden && index > 0 => b"(redacted)".to_vec(),
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
