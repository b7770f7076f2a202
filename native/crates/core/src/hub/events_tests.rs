use super::*;
use crate::encode::Codec;
use crate::hub::peer::{FIELDS, Peer, World};
use crate::hub::{CHANNEL_PRICE, MODE_MERGE, Settings, Wish};
use crate::latest::{Cause, Change, field};

fn events(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_message_becomes_an_event_named_by_its_type() {
    let mut out = Vec::new();
    write_event(&mut out, |out| {
        out.extend_from_slice(br#"{"type":"update","seq":1}"#);
    });
    assert_eq!(
        events(&out),
        "data: {\"type\":\"update\",\"seq\":1}\nevent: update\n\n"
    );
    out.clear();
    write_event(&mut out, |out| out.extend_from_slice(b"{}"));
    assert_eq!(
        events(&out),
        "data: {}\n\n",
        "without a type, without a name"
    );
    out.clear();
    write_comment(&mut out, b"hb\ndata: x\r");
    assert_eq!(events(&out), ": hb data: x \n", "a comment is one line");
}

#[test]
fn base64_is_that_of_rfc_4648_for_addresses() {
    for (bytes, text) in [
        (&b""[..], ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"foobar", "Zm9vYmFy"),
        (&[0xfb, 0xff], "-_8"),
    ] {
        let mut out = Vec::new();
        write_base64(&mut out, bytes);
        assert_eq!(events(&out), text);
    }
}

fn varints(id: &str) -> Vec<u64> {
    let mut bits = 0u32;
    let (mut count, mut bytes) = (0, Vec::new());
    for letter in id.bytes() {
        let value = ALPHABET
            .iter()
            .position(|known| *known == letter)
            .expect("base64");
        (bits, count) = (bits << 6 | value as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let (mut values, mut value, mut shift) = (Vec::new(), 0u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            values.push(value);
            (value, shift) = (0, 0);
        }
    }
    values
}

fn fanout_of(topics: u32, most: usize, fd: i32) -> (Fanout, u64) {
    let mut fanout = Fanout::new(Settings {
        epoch: 7,
        ..Settings::default()
    });
    let client = fanout.open(fd);
    fanout.configure(client, Codec::Events, false);
    fanout.set_ids(client, b"p.", most);
    for topic in 0..topics {
        let wish = Wish {
            channel: CHANNEL_PRICE,
            topic,
            rate: 0,
            fields: 0,
            mode: MODE_MERGE,
        };
        fanout.subscribe(client, wish).expect("a client");
    }
    (fanout, client)
}

fn world(topics: usize) -> World {
    World {
        values: vec![[0; FIELDS.len()]; topics],
    }
}

fn quote(topic: u32) -> Change {
    Change {
        topic,
        fields: field::BID,
        cause: Cause::Quote,
    }
}

/// Events of a flush of a client without descriptor, and their ids.
fn flushed(fanout: &mut Fanout, world: &World, client: u64, now_ns: i64) -> (String, Vec<String>) {
    let bytes: Vec<u8> = fanout
        .flush(world, now_ns, None)
        .unsent
        .into_iter()
        .flat_map(|(_, bytes)| bytes)
        .collect();
    fanout.drained(client);
    let text = events(&bytes);
    let ids = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: p."))
        .map(str::to_owned)
        .collect();
    (text, ids)
}

#[test]
fn the_last_event_of_a_write_says_where_the_client_stands_in_all_symbols() {
    let world = world(2);
    let (mut fanout, client) = fanout_of(2, 100, -1);
    assert_eq!(
        varints(&events(&fanout.place_of(client))[2..]),
        [7, 0, 0],
        "nothing was sent: it stands nowhere"
    );
    let (text, ids) = flushed(&mut fanout, &world, client, 1);
    assert_eq!(ids.len(), 1);
    assert!(
        text.rfind("data:").unwrap() > text.find("id:").unwrap()
            && text.find("data:").unwrap() < text.find("id:").unwrap(),
        "on the last event: {text}"
    );
    assert_eq!(varints(&ids[0]), [7, 1, 1]);
    fanout.change(&world, quote(1), None, 2_000_000_000);
    let (_, ids) = flushed(&mut fanout, &world, client, 2_000_000_000);
    assert_eq!(varints(&ids[0]), [7, 1, 3], "one update of the second");
    fanout.renew(1);
    assert_eq!(
        varints(&events(&fanout.place_of(client))[2..]),
        [7, 1, 0],
        "a new epoch has to be told first"
    );
    let (_, ids) = flushed(&mut fanout, &world, client, 4_000_000_000);
    assert_eq!(varints(&ids[0])[..3], [7, 1, 2], "its epoch is another one");
}

#[test]
fn a_long_id_costs_a_quarter_at_most_unless_it_is_a_second_old() {
    let world = world(120);
    let (mut fanout, client) = fanout_of(120, 1_000, -1);
    let (_, ids) = flushed(&mut fanout, &world, client, 1);
    assert_eq!(ids.len(), 1);
    fanout.change(&world, quote(1), None, 2);
    assert!(flushed(&mut fanout, &world, client, 1_000_000).1.is_empty());
    fanout.change(&world, quote(1), None, 1_100_000_000);
    assert_eq!(
        flushed(&mut fanout, &world, client, 1_100_000_000).1.len(),
        1
    );
    let mut total = (0, 0);
    for step in 0..200 {
        let now = 1_200_000_000 + step * 1_000_000;
        fanout.change(&world, quote(2), None, now);
        let (text, ids) = flushed(&mut fanout, &world, client, now);
        total.0 += text.len();
        total.1 += ids.iter().map(|id| id.len() + 7).sum::<usize>();
    }
    assert!(total.1 > 0 && total.1 * 4 < total.0, "{total:?}");
}

#[test]
fn what_does_not_fit_into_the_bound_is_left_out() {
    let world = world(40);
    let (mut fanout, client) = fanout_of(40, 20, -1);
    let (_, ids) = flushed(&mut fanout, &world, client, 1);
    assert!(ids[0].len() <= 18);
    let values = varints(&ids[0]);
    assert!(values.len() < 41 && values[0] == 7 && values[1..].iter().all(|value| *value == 1));
}

#[test]
fn events_go_to_the_socket_as_they_are() {
    let (world, mut peer) = (world(1), Peer::new());
    let (mut fanout, client) = fanout_of(1, 100, peer.fd());
    fanout.reply(client, br#"{"type":"subscribed"}"#);
    fanout.control(client, 9, b"hb");
    let flushed = fanout.flush(&world, 1, None);
    assert!(flushed.unsent.is_empty() && flushed.writes == 1);
    let text = events(&peer.raw());
    assert!(
        text.starts_with("data: {\"type\":\"subscribed\"}\nevent: subscribed\n\n: hb\nid: p."),
        "{text}"
    );
    assert!(text.ends_with("\n\n") && text.matches("data: ").count() == 2);
}
