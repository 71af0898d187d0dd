//! [`PeerMessage`]s to and from the bytes of one frame.
//!
//! Total on any bytes; every list and text is bounded, and a frame is at most [`MAX_FRAME`] bytes.

use super::peer::{PeerMessage, View};
use crate::model::Address;
use crate::stdx::cursor::{Malformed, Put, Reader};

/// The largest frame between peers, in bytes.
pub const MAX_FRAME: usize = 9 * 1024 * 1024;

const MAX_VIEWS: usize = 8192;
const MAX_NAME: usize = 512;
const MAX_HOST: usize = 253;
const MAX_WORDS: usize = 256;
const MAX_WORD: usize = 64 * 1024;
const MAX_ERROR: usize = 4096;
/// Two lengths, port, age, flags: what a view takes at least.
const VIEW_HEAD: usize = 4 + 4 + 2 + 8 + 5;

pub fn encode(message: &PeerMessage) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    match message {
        PeerMessage::Raft(bytes) => {
            out.put_u8(1);
            out.put_bytes(bytes);
        }
        PeerMessage::Beat { term, sequence, confirmed_ms_ago, commit, echo_us } => {
            out.put_u8(2);
            out.put_u64(*term);
            out.put_u64(*sequence);
            out.put_u64(*confirmed_ms_ago);
            out.put_u64(*commit);
            out.put_u64(*echo_us);
        }
        PeerMessage::BeatAck { term, sequence, stamp_us, views } => {
            out.put_u8(3);
            out.put_u64(*term);
            out.put_u64(*sequence);
            out.put_u64(*stamp_us);
            out.put_count(views.len());
            for view in views {
                put_view(&mut out, view);
            }
        }
        PeerMessage::Forward { id, argv } => {
            out.put_u8(4);
            out.put_u64(*id);
            out.put_count(argv.len());
            for word in argv {
                out.put_bytes(word);
            }
        }
        PeerMessage::Forwarded { id, error } => {
            out.put_u8(5);
            out.put_u64(*id);
            out.put_option(error.as_ref(), |out, text| out.put_bytes(text.as_bytes()));
        }
        PeerMessage::RelayLease { group, run_id, generation, argv } => {
            out.put_u8(20);
            out.put_bytes(group.as_bytes());
            out.put_bytes(run_id.as_bytes());
            out.put_u64(*generation);
            out.put_count(argv.len());
            for word in argv {
                out.put_bytes(word);
            }
        }
        PeerMessage::Relayed { group, instance, generation, stamp, vouched, version } => {
            out.put_u8(21);
            out.put_bytes(group.as_bytes());
            out.put_bytes(instance.host.as_bytes());
            out.put_u16(instance.port);
            out.put_u64(*generation);
            out.put_u64(*stamp);
            out.put_flag(*vouched);
            out.put_u64(*version);
        }
    }
    out
}

pub fn decode(bytes: &[u8]) -> Result<PeerMessage, Malformed> {
    if bytes.len() > MAX_FRAME {
        return Err(Malformed::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let message = match reader.u8()? {
        1 => PeerMessage::Raft(reader.bytes(MAX_FRAME)?.to_vec()),
        2 => PeerMessage::Beat {
            term: reader.u64()?,
            sequence: reader.u64()?,
            confirmed_ms_ago: reader.u64()?,
            commit: reader.u64()?,
            echo_us: reader.u64()?,
        },
        3 => {
            let (term, sequence, stamp_us) = (reader.u64()?, reader.u64()?, reader.u64()?);
            let count = reader.count(MAX_VIEWS, VIEW_HEAD)?;
            let views = (0..count).map(|_| read_view(&mut reader)).collect::<Result<_, _>>()?;
            PeerMessage::BeatAck { term, sequence, stamp_us, views }
        }
        4 => {
            let id = reader.u64()?;
            let count = reader.count(MAX_WORDS, 4)?;
            let words = (0..count).map(|_| Ok(reader.bytes(MAX_WORD)?.to_vec()));
            PeerMessage::Forward { id, argv: words.collect::<Result<_, Malformed>>()? }
        }
        5 => {
            let id = reader.u64()?;
            let error = reader.option(|reader| Ok(reader.text(MAX_ERROR)?.to_owned()))?;
            PeerMessage::Forwarded { id, error }
        }
        20 => {
            let group = reader.text(MAX_NAME)?.to_owned();
            let run_id = reader.text(MAX_NAME)?.to_owned();
            let generation = reader.u64()?;
            let count = reader.count(MAX_WORDS, 4)?;
            let words = (0..count).map(|_| Ok(reader.bytes(MAX_WORD)?.to_vec()));
            let argv = words.collect::<Result<_, Malformed>>()?;
            PeerMessage::RelayLease { group, run_id, generation, argv }
        }
        21 => PeerMessage::Relayed {
            group: reader.text(MAX_NAME)?.to_owned(),
            instance: Address::new(reader.text(MAX_HOST)?, reader.u16()?),
            generation: reader.u64()?,
            stamp: reader.u64()?,
            vouched: reader.flag()?,
            version: reader.u64()?,
        },
        _ => return Err(Malformed::Meaningless),
    };
    reader.end()?;
    Ok(message)
}

fn put_view(out: &mut Vec<u8>, view: &View) {
    out.put_bytes(view.group.as_bytes());
    out.put_bytes(view.instance.host.as_bytes());
    out.put_u16(view.instance.port);
    out.put_u64(view.silent_ms);
    out.put_flag(view.sdown);
    out.put_option(view.refused_ms, |out, ms| out.put_u64(ms));
    out.put_flag(view.restarted);
    out.put_option(view.streamed_ms, |out, ms| out.put_u64(ms));
    out.put_option(view.link_up, |out, up| out.put_flag(up));
}

fn read_view(reader: &mut Reader<'_>) -> Result<View, Malformed> {
    Ok(View {
        group: reader.text(MAX_NAME)?.to_owned(),
        instance: Address::new(reader.text(MAX_HOST)?, reader.u16()?),
        silent_ms: reader.u64()?,
        sdown: reader.flag()?,
        refused_ms: reader.option(Reader::u64)?,
        restarted: reader.flag()?,
        streamed_ms: reader.option(Reader::u64)?,
        link_up: reader.option(Reader::flag)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view() -> impl Strategy<Value = View> {
        let who = ("[a-z]{1,9}", "[a-z0-9.]{1,20}", any::<u16>());
        let seen = (any::<u64>(), any::<bool>(), any::<Option<u64>>());
        (who, seen, any::<bool>(), any::<Option<u64>>(), any::<Option<bool>>()).prop_map(
            |((group, host, port), (silent_ms, sdown, refused_ms), restarted, streamed_ms, link_up)| {
                let instance = Address::new(host, port);
                View { group, instance, silent_ms, sdown, refused_ms, restarted, streamed_ms, link_up }
            },
        )
    }

    fn message() -> impl Strategy<Value = PeerMessage> {
        let words = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..8);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..99).prop_map(PeerMessage::Raft),
            any::<[u64; 5]>().prop_map(|[term, sequence, confirmed_ms_ago, commit, echo_us]| {
                PeerMessage::Beat { term, sequence, confirmed_ms_ago, commit, echo_us }
            }),
            (any::<[u64; 3]>(), prop::collection::vec(view(), 0..5)).prop_map(
                |([term, sequence, stamp_us], views)| PeerMessage::BeatAck {
                    term,
                    sequence,
                    stamp_us,
                    views
                }
            ),
            (any::<u64>(), words).prop_map(|(id, argv)| PeerMessage::Forward { id, argv }),
            ("[a-z]{1,9}", "[0-9a-f]{40}", any::<u64>(), prop::collection::vec(any::<Vec<u8>>(), 0..9))
                .prop_map(|(group, run_id, generation, argv)| PeerMessage::RelayLease {
                    group,
                    run_id,
                    generation,
                    argv
                }),
            (("[a-z]{1,9}", any::<u16>()), any::<[u64; 3]>(), any::<bool>()).prop_map(
                |((group, port), [generation, stamp, version], vouched)| PeerMessage::Relayed {
                    group,
                    instance: Address::new("h", port),
                    generation,
                    stamp,
                    vouched,
                    version
                }
            ),
            (any::<u64>(), any::<Option<String>>())
                .prop_map(|(id, error)| PeerMessage::Forwarded { id, error }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_left(message in message()) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn cut_short_or_bent_is_never_a_panic(message in message(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut bytes = encode(&message);
            let at = at.index(bytes.len());
            prop_assert!(decode(&bytes[..at]).is_err());
            bytes[at] ^= 1 << bit;
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_count_that_could_not_fit_reserves_nothing() {
        let mut bytes = vec![3];
        bytes.put_u64(1);
        bytes.put_u64(1);
        bytes.put_u32(8000);
        assert_eq!(decode(&bytes), Err(Malformed::Short));
    }
}
