//! MAXLEN, MINID, LIMIT and the other words that XADD and XTRIM share.

use super::args::{int, is};
use super::{CommandError, stream_ids};
use crate::store::stream::{Keep, Stream, Trim};

/// A hundred nodes, and as Redis bounds them.
fn default_limit(node_entries: usize) -> u64 {
    match (node_entries as u64).saturating_mul(100) {
        0 => 10_000,
        limit => limit.min(1_000_000),
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub trim: Option<Trim>,
    pub only_existing: bool,
    /// Where the id stands (XADD).
    pub id_at: usize,
    /// The id that was asked for, its sequence where one was given; none for `*`.
    pub id: Option<(u64, Option<u64>)>,
}

impl Options {
    /// From the third word on. `obeys` a master: what it let go is let go, whatever it was limited to.
    /// `node_entries`: of a full node.
    pub fn parse(
        argv: &[&[u8]],
        is_xadd: bool,
        obeys: bool,
        node_entries: usize,
    ) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let (mut keep, mut approximate, mut limit) = (None, false, None);
        let mut at = 2;
        while at < argv.len() {
            let more = argv.len() - 1 - at;
            let word = argv[at];
            if is_xadd && word == b"*" {
                break;
            } else if (is(word, "maxlen") || is(word, "minid")) && more > 0 {
                if keep.is_some() {
                    return Err(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
                            .into(),
                    );
                }
                approximate = more >= 2 && argv[at + 1] == b"~";
                at += usize::from(more >= 2 && matches!(argv[at + 1], b"~" | b"="));
                at += 1;
                keep = Some(if is(word, "maxlen") {
                    let len = int(argv[at])?;
                    Keep::Len(u64::try_from(len).map_err(|_| "ERR The MAXLEN argument must be >= 0.")?)
                } else {
                    Keep::From(stream_ids::strict(argv[at])?)
                });
            } else if is(word, "limit") && more > 0 {
                at += 1;
                let count = int(argv[at])?;
                limit = Some(u64::try_from(count).map_err(|_| "ERR The LIMIT argument must be >= 0.")?);
            } else if is_xadd && is(word, "nomkstream") {
                options.only_existing = true;
            } else if is_xadd {
                options.id = Some(stream_ids::partial(word)?);
                break;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        options.id_at = at;
        if limit.is_some_and(|limit| limit > 0) && keep.is_none() {
            return Err(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy".into()
            );
        }
        if !is_xadd && keep.is_none() {
            return Err("ERR syntax error, XTRIM must be called with a trimming strategy".into());
        }
        if limit.is_some() && !approximate && !obeys {
            return Err("ERR syntax error, LIMIT cannot be used without the special ~ option".into());
        }
        let limit = match limit {
            _ if obeys || !approximate => 0,
            Some(limit) => limit,
            None => default_limit(node_entries),
        };
        options.trim = keep.map(|keep| Trim { keep, approximate, limit });
        Ok(options)
    }
}

/// The words that make a replica let the same go: exactly what is left, where it was left to us.
pub fn exact_words(trim: Trim, stream: &Stream) -> [Vec<u8>; 3] {
    let left = match trim.keep {
        Keep::Len(_) if trim.approximate => Keep::Len(stream.len()),
        Keep::From(_) if trim.approximate => {
            Keep::From(stream.oldest_in_nodes().unwrap_or(crate::store::StreamId::MAX))
        }
        keep => keep,
    };
    match left {
        Keep::Len(len) => [b"MAXLEN".to_vec(), b"=".to_vec(), len.to_string().into_bytes()],
        Keep::From(id) => [b"MINID".to_vec(), b"=".to_vec(), id.to_string().into_bytes()],
    }
}
