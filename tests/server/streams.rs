//! Streams at the port: who waits is served in order, and told when there is nothing to wait for.

use crate::support::{Process, Wire, eventually};
use vedette::resp::Reply;

fn waiting(wire: &mut Wire, count: usize) {
    let want = format!("blocked_clients:{count}\r\n");
    eventually(&want, || wire.line("INFO clients").as_str().unwrap_or_default().contains(&want));
}

/// The ids in a reply of XREAD to one stream.
fn ids(reply: &Reply) -> Vec<String> {
    let part = |reply: &Reply, at: usize| reply.as_array().and_then(|parts| parts.get(at).cloned());
    let entries = part(reply, 0).and_then(|stream| part(&stream, 1)).unwrap_or(Reply::Null);
    let entries = entries.as_array().unwrap_or(&[]);
    entries.iter().filter_map(|entry| part(entry, 0)?.as_str().map(str::to_owned)).collect()
}

#[test]
fn readers_of_a_stream_are_served_when_something_comes() {
    let server = Process::vedette(&[]);
    let (mut first, mut second, mut writer) = (server.connect(), server.connect(), server.connect());
    writer.line("XADD s 1-1 a 1");
    writer.line("XADD t 7-0 a 1");
    first.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "t", "$", "$"]);
    waiting(&mut writer, 1);
    second.send(&["XREAD", "COUNT", "1", "BLOCK", "0", "STREAMS", "s", "1-1"]);
    waiting(&mut writer, 2);
    writer.line("MULTI");
    writer.line("XADD s 2-1 a 1");
    writer.line("XADD s 2-2 a 1");
    writer.line("EXEC");
    assert_eq!(ids(&first.next().unwrap()), ["2-1", "2-2"], "behind the id that $ stood for");
    assert_eq!(ids(&second.next().unwrap()), ["2-1"], "reading takes nothing from the next");

    assert_eq!(first.line("XREAD BLOCK 50 STREAMS s $"), Reply::Null);
    assert_eq!(ids(&first.line("XREAD BLOCK 50 STREAMS s 2-1")), ["2-2"]);
    first.line("MULTI");
    first.line("XREAD BLOCK 0 STREAMS s $");
    assert_eq!(first.line("EXEC").as_array(), Some(&[Reply::Null][..]), "no waiting inside a transaction");
    // A key of another type is waited out, and so is its absence.
    first.send(&["XREAD", "BLOCK", "0", "STREAMS", "u", "$"]);
    waiting(&mut writer, 1);
    writer.line("SET u x");
    writer.line("DEL u");
    writer.line("XADD u 1-1 a 1");
    assert_eq!(ids(&first.next().unwrap()), ["1-1"]);
    first.send(&["XREAD", "BLOCK", "0", "STREAMS", "u", "$"]);
    waiting(&mut writer, 1);
    first.close();
    waiting(&mut writer, 0);
}

#[test]
fn consumers_wait_in_turn_and_hear_when_their_group_goes() {
    let server = Process::vedette(&[]);
    let (mut first, mut second, mut writer) = (server.connect(), server.connect(), server.connect());
    writer.line("XGROUP CREATE s g $ MKSTREAM");
    let read = |wire: &mut Wire, name: &str| {
        wire.send(&["XREADGROUP", "GROUP", "g", name, "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">"]);
    };
    read(&mut first, "one");
    waiting(&mut writer, 1);
    read(&mut second, "two");
    waiting(&mut writer, 2);
    writer.line("XADD s 1-1 a 1");
    assert_eq!(ids(&first.next().unwrap()), ["1-1"]);
    waiting(&mut writer, 1);
    writer.line("XADD s 1-2 a 1");
    assert_eq!(ids(&second.next().unwrap()), ["1-2"]);
    let pending = writer.line("XPENDING s g - + 10 one");
    assert_eq!(pending.as_array().map(<[Reply]>::len), Some(1));

    let answers = [
        ("XGROUP DESTROY s g", "NOGROUP"),
        ("DEL s", "NOGROUP"),
        ("SET s x", "WRONGTYPE"),
        ("FLUSHALL", "NOGROUP"),
    ];
    for (blow, answer) in answers {
        writer.line("DEL s");
        writer.line("XGROUP CREATE s g $ MKSTREAM");
        read(&mut first, "one");
        waiting(&mut writer, 1);
        writer.line(blow);
        let reply = first.next().unwrap();
        assert!(reply.error().is_some_and(|text| text.starts_with(answer)), "{blow}: {reply:?}");
    }
}
