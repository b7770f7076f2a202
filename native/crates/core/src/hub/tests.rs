//! Single facts about the hub that need its inside.

use super::peer::{FIELDS, Peer, World};
use super::*;
use crate::latest::{Cause, Change, field};

fn world() -> World {
    World {
        values: vec![[0; FIELDS.len()]; 2],
    }
}

fn wish(rate: u8, fields: u32) -> Wish {
    Wish {
        channel: CHANNEL_PRICE,
        topic: 0,
        rate,
        fields,
        mode: MODE_MERGE,
    }
}

fn quote() -> Change {
    Change {
        topic: 0,
        fields: field::BID,
        cause: Cause::Quote,
    }
}

/// Idle connections are many: what each costs is written down in `docs/concepts/hub.md`.
#[test]
fn a_client_and_a_subscription_are_small() {
    assert!(size_of::<Client>() <= 184, "{}", size_of::<Client>());
    assert!(size_of::<Sub>() <= 56, "{}", size_of::<Sub>());
    assert!(size_of::<Group>() <= 56, "{}", size_of::<Group>());
    assert!(
        size_of::<TopicState>() <= 216,
        "{}",
        size_of::<TopicState>()
    );
}

#[test]
fn clients_of_one_field_set_share_one_frame() {
    let (world, peers) = (world(), [Peer::new(), Peer::new(), Peer::new()]);
    let mut fanout = Fanout::new(Settings::default());
    for (peer, fields) in peers.iter().zip([0, 0, field::BID]) {
        let client = fanout.open(peer.fd());
        fanout.subscribe(client, wish(20, fields));
    }
    let flushed = fanout.flush(&world, 1_000_000_000, None);
    assert_eq!(
        (flushed.frames, flushed.writes, flushed.updates),
        (2, 3, 0),
        "two snapshots for three clients"
    );
    fanout.change(&world, quote(), None, 1_000_000_001);
    let flushed = fanout.flush(&world, 1_000_000_001, None);
    assert_eq!((flushed.frames, flushed.writes, flushed.updates), (2, 3, 3));
}

#[test]
fn nothing_is_due_where_no_asked_field_changed() {
    let (world, peer) = (world(), Peer::new());
    let mut fanout = Fanout::new(Settings::default());
    let client = fanout.open(peer.fd());
    fanout.subscribe(client, wish(20, field::PRICE));
    fanout.flush(&world, 1_000_000_000, None);
    fanout.change(&world, quote(), None, 1_000_000_001);
    let flushed = fanout.flush(&world, 1_000_000_001, None);
    assert_eq!((flushed.writes, flushed.next_ns), (0, 0));
    let counters = fanout.sync(&world, client, 1_000_000_002);
    assert_eq!(
        (
            counters[0].published,
            counters[0].delivered,
            counters[0].merged
        ),
        (1, 1, 0),
        "a barrier brings it"
    );
}

#[test]
fn a_reply_before_a_flush_of_one_client_leaves_the_others_alone() {
    let (world, mut first, mut second) = (world(), Peer::new(), Peer::new());
    let mut fanout = Fanout::new(Settings::default());
    let ids = [fanout.open(first.fd()), fanout.open(second.fd())];
    for id in ids {
        fanout.subscribe(id, wish(0, 0));
        fanout.reply(id, b"ack");
    }
    fanout.flush(&world, 1, Some(ids[0]));
    let got: Vec<String> = first.read().into_iter().map(|message| message.1).collect();
    assert_eq!(got[0], "ack");
    assert!(got[1].starts_with("snapshot") && got.len() == 2);
    assert!(second.read().is_empty());
    assert_eq!(fanout.flush(&world, 1, None).writes, 1);
    assert_eq!(second.read().len(), 2);
}

#[test]
fn a_closed_client_is_nowhere() {
    let (world, peer) = (world(), Peer::new());
    let mut fanout = Fanout::new(Settings::default());
    let gone = fanout.open(peer.fd());
    fanout.subscribe(gone, wish(0, field::BID));
    fanout.change(&world, quote(), None, 1);
    fanout.reply(gone, b"unread");
    fanout.close(gone);
    let next = fanout.open(peer.fd());
    assert_ne!(gone, next);
    assert!(!fanout.unsubscribe(gone, CHANNEL_PRICE, 0));
    fanout.reply(gone, b"unread");
    let flushed = fanout.flush(&world, 2, None);
    assert_eq!(
        (flushed.bytes, flushed.next_ns, fanout.memory().field_sets),
        (0, 0, 1)
    );
}

#[test]
fn limits_of_a_blocked_client() {
    let world = world();
    let settings = Settings {
        unsent_max: 100,
        undrained_max_ns: 1_000_000_000,
        ..Settings::default()
    };
    let mut fanout = Fanout::new(settings);
    let [big, late] = [fanout.open(-1), fanout.open(-1)];
    fanout.reply(big, &[b'x'; 200]);
    fanout.reply(late, b"x");
    let first = fanout.flush(&world, 1, None);
    assert_eq!((first.unsent.len(), first.slow), (2, vec![big]));
    let second = fanout.flush(&world, 200_000_001, None);
    assert!(
        second.slow.is_empty() && second.next_ns > 200_000_001,
        "the other is looked at again"
    );
    assert_eq!(fanout.flush(&world, 1_200_000_001, None).slow, [late]);
    assert!(
        fanout.flush(&world, 2_200_000_001, None).slow.is_empty(),
        "each is named once"
    );
}

#[test]
fn one_unfiltered_client_is_not_held_for_many_conflated_ones() {
    const MS: i64 = 1_000_000;
    let topics = 100;
    let world = World {
        values: vec![[0; FIELDS.len()]; topics as usize],
    };
    let mut fanout = Fanout::new(Settings::default());
    let mut peer = Peer::new();
    let alone = fanout.open(peer.fd());
    fanout.subscribe(alone, wish(0, 0));
    for _ in 0..100 {
        let id = fanout.open(-1);
        for topic in 0..topics {
            fanout.subscribe(
                id,
                Wish {
                    topic,
                    ..wish(20, 0)
                },
            );
        }
    }
    let mut now = 1_000 * MS;
    let mut conflated = 0;
    for step in 0..1_000 {
        now += MS;
        for topic in 0..topics {
            fanout.change(&world, Change { topic, ..quote() }, None, now);
        }
        let flushed = fanout.flush(&world, now, None);
        assert!(
            step == 0 || flushed.writes > 0,
            "the unfiltered client gets every millisecond"
        );
        peer.read();
        conflated += flushed.unsent.len();
        for (id, _) in flushed.unsent {
            fanout.drained(id);
        }
    }
    assert!(
        conflated <= 100 * 25,
        "{conflated} writes in a second to 100 clients of 100 topics at 20 Hz: one grid, one write"
    );
}

/// A burst to many clients is cut into slices; what is urgent and arrives meanwhile goes first.
#[test]
fn an_unfiltered_client_does_not_wait_behind_a_burst() {
    let world = world();
    let settings = Settings {
        sends_max: 100,
        quantum_max_ns: 0,
        ..Settings::default()
    };
    let mut fanout = Fanout::new(settings);
    let mut peer = Peer::new();
    let fast = fanout.open(peer.fd());
    let in_topic = |topic, rate| Wish {
        topic,
        ..wish(rate, 0)
    };
    fanout.subscribe(fast, in_topic(1, 0));
    let many: Vec<ClientId> = (0..1_000).map(|_| fanout.open(-1)).collect();
    for id in &many {
        fanout.subscribe(*id, in_topic(0, 1));
    }
    let mut now = 1_000_000_000;
    let mut got: HashMap<ClientId, usize> = HashMap::new();
    let mut flush = |fanout: &mut Fanout, now: i64| {
        let flushed = fanout.flush(&world, now, None);
        assert!(flushed.unsent.len() <= 100, "no more than a slice");
        for (id, _) in &flushed.unsent {
            *got.entry(*id).or_default() += 1;
            fanout.drained(*id);
        }
        flushed
    };
    while flush(&mut fanout, now).is_partial {
        now += 1;
    }
    peer.read();
    fanout.change(&world, quote(), None, now + 2_000_000_000);
    now += 2_000_000_000;
    let first = flush(&mut fanout, now);
    assert!(first.is_partial && first.next_ns == now, "again at once");
    assert_eq!(first.updates, 0, "told when all had their turn");
    let mut updates = 0;
    for turn in 2.. {
        now += 1_000_000;
        fanout.change(
            &world,
            Change {
                topic: 1,
                ..quote()
            },
            None,
            now,
        );
        // A second update of the others joins the first.
        fanout.change(&world, quote(), None, now);
        let flushed = flush(&mut fanout, now);
        assert_eq!(peer.read().len(), 1, "in each flush, whoever waits");
        updates += flushed.updates;
        if !flushed.is_partial {
            assert!((10..=12).contains(&turn), "{turn} slices");
            break;
        }
    }
    assert!(updates >= 1_000);
    assert_eq!(fanout.memory().frame_bytes, 0, "the arena is free again");
    assert!(
        many.iter().all(|id| got[id] == 2),
        "a snapshot and an update each"
    );
}

/// Replies keep their place among what is sent, whoever waits for a turn.
#[test]
fn a_reply_to_a_client_that_waits_for_its_turn_comes_behind_its_updates() {
    let (world, mut peer) = (world(), Peer::new());
    let settings = Settings {
        sends_max: 1,
        ..Settings::default()
    };
    let mut fanout = Fanout::new(settings);
    for _ in 0..3 {
        let id = fanout.open(-1);
        fanout.subscribe(id, wish(20, 0));
    }
    let client = fanout.open(peer.fd());
    fanout.subscribe(client, wish(20, 0));
    let mut now = 1_000_000_000;
    let flush = |fanout: &mut Fanout, now: i64| {
        for (id, _) in fanout.flush(&world, now, None).unsent {
            fanout.drained(id);
        }
    };
    for _ in 0..8 {
        flush(&mut fanout, now);
    }
    peer.read();
    now += 1_000_000_000;
    fanout.change(&world, quote(), None, now);
    flush(&mut fanout, now);
    assert!(peer.read().is_empty(), "its turn has not come");
    fanout.reply(client, b"ack");
    fanout.flush(&world, now, Some(client));
    let got: Vec<String> = peer.read().into_iter().map(|message| message.1).collect();
    assert!(got[0].starts_with("update") && got[1] == "ack" && got.len() == 2);
    for _ in 0..8 {
        flush(&mut fanout, now);
    }
    assert!(peer.read().is_empty(), "once");
}

/// The time of sending is in updates where a subscription names it, be it among all there is.
#[test]
fn all_fields_by_name_are_more_than_all_fields() {
    let mut fanout = Fanout::new(Settings::default());
    let asked = [0, field::ALL, field::SERVER_TIMESTAMP];
    let clients = asked.map(|fields| (fanout.open(-1), fields));
    for (client, fields) in clients {
        let position = fanout.subscribe(client, wish(20, fields)).unwrap();
        assert_eq!(position.fields, fields, "in force");
        assert_eq!(fanout.subscriptions(client)[0].2.fields, fields);
    }
    let sets = clients.map(|(client, _)| {
        let index = fanout.index_of(client).unwrap();
        fanout.subs[fanout.clients[index as usize].subs[0] as usize].set
    });
    let stamp = field::SERVER_TIMESTAMP;
    let whole = sets.map(|set| fanout.field_sets.of_whole_update(set));
    assert_eq!(whole, [field::ALL & !stamp, field::ALL, stamp]);
    let news = sets.map(|set| fanout.field_sets.of_update(set, field::BID));
    assert_eq!(news, [field::BID, field::BID | stamp, 0]);
}

/// Frames and the state tell the time of the wall, however it was set; what is due follows the hub's own.
#[test]
fn a_clock_that_is_set_moves_what_is_told_and_nothing_that_is_due() {
    let (world, mut peer) = (world(), Peer::new());
    let mut fanout = Fanout::new(Settings::default());
    let client = fanout.open(peer.fd());
    fanout.subscribe(client, wish(1, 0));
    let second = 1_000_000_000;
    fanout.flush(&world, 100 * second, None);
    fanout.change(&world, quote(), None, 101 * second);
    fanout.flush(&world, 101 * second, None);
    peer.read();
    for ahead in [-3600 * second, 3600 * second, 0] {
        fanout.set_wall_ahead(ahead);
        let sent = fanout.now_ns;
        fanout.change(&world, quote(), None, sent + 1);
        let held = fanout.flush(&world, sent + 1, None);
        assert_eq!(held.writes, 0);
        assert!(held.next_ns > sent && held.next_ns <= sent + second);
        let flushed = fanout.flush(&world, held.next_ns, None);
        assert_eq!((flushed.writes, flushed.updates), (1, 1));
        let told = peer.read().pop().unwrap().1;
        let wall = (held.next_ns + ahead).to_string();
        assert!(told.contains(&wall), "{wall} in {told}");
    }
}
