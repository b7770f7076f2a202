use super::*;
use crate::encode::Codec;
use crate::hub::peer::{FIELDS, Peer, World, trade};
use crate::hub::{CHANNEL_PRICE, MODE_MERGE, Settings, Wish};
use crate::latest::{Cause, Change, field};
use proptest::prelude::*;

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
    fanout.set_ids(client, b"p.", most, false);
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

const TOPICS: u32 = 3;
/// The one whose epochs end.
const RENEWED: u32 = 1;

/// What a client that is cut behind some event has, by topic: price and trades, each epoch and seq.
type Seen = [[Option<(u64, u64)>; TOPICS as usize]; 2];

/// Reads an id as the gateway does.
fn stood(id: &str) -> Seen {
    let mut values = varints(id).into_iter();
    let (common, mut seen) = (values.next().expect("an epoch"), Seen::default());
    for number in 0..2 * TOPICS as usize {
        let value = values.next().expect("an entry for each");
        if value == 0 {
            continue;
        }
        let mut epoch = common;
        if (value - 1) & 1 != 0 {
            let zigzag = values.next().expect("a difference");
            epoch = epoch.wrapping_add_signed((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        }
        seen[number / TOPICS as usize][number % TOPICS as usize] = Some((epoch, (value - 1) >> 1));
    }
    seen
}

/// Follows a stream event by event: behind each trade the id says which trades were told, neither more nor fewer, and
/// of a price nothing that would keep back its snapshot.
#[derive(Default)]
struct Follower {
    seen: Seen,
    id: Seen,
    told: usize,
}

impl Follower {
    fn read(&mut self, text: &str) {
        let mut ahead = Vec::new();
        for event in text.split_terminator("\n\n") {
            let lines = || event.lines();
            if let Some(id) = lines().find_map(|line| line.strip_prefix("id: p.")) {
                self.id = stood(id);
            }
            let data = lines().find_map(|line| line.strip_prefix("data: "));
            let words: Vec<&str> = data.expect("data").split(' ').collect();
            if words[0] == "status" {
                continue;
            }
            let number = |place: usize| words[place].parse::<u64>().expect("a number");
            let (topic, place) = (number(1) as usize, (number(2), number(3)));
            let is_price = matches!(words[0], "snapshot" | "update");
            let seen = &mut self.seen[usize::from(!is_price)][topic];
            if words[0] == "trade" {
                let before = seen.map_or(0, |seen| if seen.0 == place.0 { seen.1 } else { 0 });
                assert_eq!(before + 1, place.1, "{event}");
                self.told += 1;
            }
            *seen = Some(place);
            if is_price {
                continue;
            }
            // where its epoch ended meanwhile, nobody can go on from it
            let (at, is_renewed) = (self.id[1][topic], topic == RENEWED as usize);
            assert!(at == Some(place) || at.is_none() && is_renewed, "{event}");
            for (other, at) in self.id[1].iter().enumerate() {
                assert!(
                    at.is_none_or(|at| at.1 == 0) || *at == self.seen[1][other],
                    "{event}"
                );
            }
            for (other, at) in self.id[0].iter().enumerate() {
                ahead.extend(
                    at.filter(|at| Some(*at) > self.seen[0][other])
                        .map(|at| (other, at)),
                );
            }
        }
        for (topic, at) in ahead {
            assert!(
                Some(at) < self.seen[0][topic],
                "newer ones were on their way"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens, and however much of it goes into one write or waits for a client that does not read.
    #[test]
    fn the_id_of_each_trade_says_which_trades_were_told(
        steps in prop::collection::vec((0u8..8, 0..TOPICS), 1..120), most in prop::sample::select(vec![4usize, 1 << 16])
    ) {
        let world = world(TOPICS as usize);
        let settings = Settings { epoch: 7, quantum_max_ns: 0, history_count: most, ..Settings::default() };
        let mut fanout = Fanout::new(settings);
        let client = fanout.open(-1);
        fanout.configure(client, Codec::Events, false);
        for channel in [CHANNEL_PRICE, CHANNEL_TRADES] {
            for topic in 0..TOPICS {
                let wish = Wish { channel, topic, rate: 0, fields: 0, mode: MODE_MERGE };
                fanout.subscribe(client, wish).expect("a client");
            }
        }
        fanout.set_ids(client, b"p.", 4096, false);
        let (mut follower, mut now, mut traded) = (Follower::default(), 1_000_000_000, 0);
        let read = |fanout: &mut Fanout, follower: &mut Follower, now| {
            for (_, bytes) in fanout.flush(&world, now, None).unsent {
                follower.read(&events(&bytes));
            }
        };
        for (step, topic) in steps {
            now += 20_000_000;
            match step {
                0 => fanout.change(&world, quote(topic), None, now),
                1 => read(&mut fanout, &mut follower, now),
                2 => fanout.drained(client),
                3 => {
                    fanout.drained(client);
                    read(&mut fanout, &mut follower, now);
                }
                4 if topic == 0 => {
                    fanout.renew(RENEWED);
                }
                _ => {
                    traded += 1;
                    let cause = Cause::Trade(trade(traded, now));
                    fanout.change(&world, Change { topic, fields: field::PRICE, cause }, None, now);
                }
            }
        }
        for _ in 0..2 {
            now += 20_000_000;
            fanout.drained(client);
            read(&mut fanout, &mut follower, now);
        }
        prop_assert!(follower.told as u64 <= traded);
    }
}

#[test]
fn long_ids_are_on_each_trade_where_that_is_wanted() {
    let world = world(200);
    for (each, expected) in [(false, 1), (true, 10)] {
        let mut fanout = Fanout::new(Settings {
            epoch: 7,
            ..Settings::default()
        });
        let client = fanout.open(-1);
        fanout.configure(client, Codec::Events, false);
        fanout.set_ids(client, b"p.", 4_096, each);
        for topic in 0..200 {
            let wish = Wish {
                channel: CHANNEL_TRADES,
                topic,
                rate: 0,
                fields: 0,
                mode: MODE_MERGE,
            };
            fanout.subscribe(client, wish).expect("a client");
        }
        let mut ids = Vec::new();
        for flush in 1..=2 {
            for topic in 0..10 {
                let change = Change {
                    topic,
                    fields: field::PRICE,
                    cause: Cause::Trade(trade(10 * flush + u64::from(topic), 1)),
                };
                fanout.change(&world, change, None, 1_000_000_000 * flush as i64);
            }
            let now_ns = 1_000_000_000 * flush as i64;
            ids = flushed(&mut fanout, &world, client, now_ns).1;
        }
        assert_eq!(ids.len(), expected);
    }
}
