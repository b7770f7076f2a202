//! Random operations against a real socket: what arrives is held against the world's past and the hub's counters.
//!
//! Checked for each frame: its client subscribed, seqs only grow, values are those of the world at that seq, fields are
//! those asked for, mode `all` has no hole that was not announced, a class keeps its interval. At a barrier: the
//! counters are what arrived. In the end, when all is quiet: every client has the newest state.

mod view;

use std::collections::HashMap;

use proptest::prelude::*;

use super::peer::{FIELDS, Peer, Values, World, granted, trade};
use super::resume::Memory;
use super::topics::interval_ns;
use super::*;
use crate::encode::Codec;
use crate::latest::{Cause, Change, field};

const TOPICS: usize = 3;
const CLIENTS: usize = 3;
const QUANTUM: i64 = 10_000_000;

#[derive(Debug, Clone)]
enum Op {
    Change {
        topic: usize,
        fields: u32,
        is_trade: bool,
        repeat: usize,
    },
    Step(i64),
    Flush,
    Read(usize),
    Drain(usize),
    Subscribe {
        client: usize,
        channel: u8,
        topic: usize,
        rate: u8,
        fields: u32,
        mode: u8,
    },
    Unsubscribe {
        client: usize,
        channel: u8,
        topic: usize,
    },
    Configure {
        client: usize,
        strings: bool,
        batch: bool,
    },
    Sync(usize),
    Reconnect {
        client: usize,
        by_time: bool,
    },
    Renew(usize),
    Hide {
        client: usize,
        hidden: bool,
    },
    Cap(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let fields = prop::sample::subsequence(FIELDS.to_vec(), 0..=FIELDS.len())
        .prop_map(|fields| fields.into_iter().fold(0, |mask, field| mask | field));
    let rate = prop::sample::select(RATE_CLASSES.to_vec());
    prop_oneof![
        10 => (0..TOPICS, fields.clone(), any::<bool>(), 1usize..30)
            .prop_map(|(topic, fields, is_trade, repeat)| Op::Change { topic, fields, is_trade, repeat }),
        6 => prop_oneof![0i64..2_000_000, 0i64..200_000_000, 0i64..2_000_000_000].prop_map(Op::Step),
        10 => Just(Op::Flush),
        3 => (0..CLIENTS).prop_map(Op::Read),
        3 => (0..CLIENTS).prop_map(Op::Drain),
        1 => (0..CLIENTS, any::<bool>()).prop_map(|(client, hidden)| Op::Hide { client, hidden }),
        1 => rate.clone().prop_map(Op::Cap),
        6 => (0..CLIENTS, 0u8..2, 0..TOPICS, rate, fields, 0u8..2).prop_map(
            |(client, channel, topic, rate, fields, mode)| Op::Subscribe { client, channel, topic, rate, fields, mode }
        ),
        1 => (0..CLIENTS, 0u8..2, 0..TOPICS)
            .prop_map(|(client, channel, topic)| Op::Unsubscribe { client, channel, topic }),
        1 => (0..CLIENTS, any::<bool>(), any::<bool>())
            .prop_map(|(client, strings, batch)| Op::Configure { client, strings, batch }),
        2 => (0..CLIENTS).prop_map(Op::Sync),
        1 => (0..CLIENTS, any::<bool>()).prop_map(|(client, by_time)| Op::Reconnect { client, by_time }),
        1 => (0..TOPICS).prop_map(Op::Renew),
    ]
}

/// What a client knows of one subscription.
#[derive(Debug, Clone)]
struct View {
    epoch: u64,
    base: u64,
    last: u64,
    delivered: u64,
    merged: u64,
    lost: u64,
    position: Position,
    values: Values,
    needs_snapshot: bool,
    /// Fields that it need not know: it resumed without a snapshot where it gets more than before.
    excused: u32,
    updated_ns: i64,
}

/// What a reply means to the client that reads it.
#[derive(Debug, Clone)]
enum Note {
    Begin {
        key: (u8, usize),
        view: View,
    },
    End {
        key: (u8, usize),
    },
    Strings(bool),
    /// Rates now in force; with a snapshot each where the client shows again.
    Moved {
        rates: Vec<((u8, usize), u8)>,
        shows: bool,
    },
    /// Updates come regardless of the rate.
    Barrier,
    Counters(Vec<Counters>),
}

struct Side {
    id: ClientId,
    peer: Peer,
    views: HashMap<(u8, usize), View>,
    strings: bool,
    log: Vec<String>,
}

struct Run {
    fanout: Fanout,
    world: World,
    now: i64,
    sides: Vec<Side>,
    notes: Vec<Note>,
    /// Values of a topic at (topic, epoch, seq).
    past: HashMap<(usize, u64, u64), Values>,
    trades: HashMap<(usize, u64, u64), u64>,
    value: u64,
}

impl Run {
    fn new() -> Self {
        let settings = Settings {
            epoch: 7,
            history_count: 8,
            history_ns: 3_000_000_000,
            quantum_max_ns: QUANTUM,
            buffer_max: 300,
            unsent_max: usize::MAX,
            undrained_max_ns: i64::MAX,
            field_sets_max: 3,
            sends_max: 2,
            slow_blocked_ns: 0,
            ..Settings::default()
        };
        let mut fanout = Fanout::new(settings);
        fanout.grow_topics(TOPICS);
        let mut run = Self {
            fanout,
            world: World {
                values: vec![[0; FIELDS.len()]; TOPICS],
            },
            now: 1_774_794_601_000_000_000,
            sides: Vec::new(),
            notes: Vec::new(),
            past: HashMap::new(),
            trades: HashMap::new(),
            value: 0,
        };
        for topic in 0..TOPICS {
            run.past.insert((topic, 7, 0), run.world.values[topic]);
        }
        for _ in 0..CLIENTS {
            let side = run.connect();
            run.sides.push(side);
        }
        run
    }

    fn connect(&mut self) -> Side {
        let peer = Peer::new();
        Side {
            id: self.fanout.open(peer.fd()),
            peer,
            views: HashMap::new(),
            strings: false,
            log: Vec::new(),
        }
    }

    fn reply(&mut self, client: usize, note: Note) {
        let text = format!("reply {}", self.notes.len());
        self.notes.push(note);
        self.fanout.reply(self.sides[client].id, text.as_bytes());
    }

    fn flush(&mut self, only: Option<ClientId>) {
        let flushed = self.fanout.flush(&self.world, self.now, only);
        assert!(flushed.broken.is_empty() && flushed.slow.is_empty());
        for (client, bytes) in flushed.unsent {
            let side = self
                .sides
                .iter_mut()
                .find(|side| side.id == client)
                .expect("a client that is there");
            assert!(
                side.peer.backlog.is_empty(),
                "nothing is sent to a blocked client"
            );
            side.peer.backlog = bytes;
        }
    }

    fn change(&mut self, topic: usize, fields: u32, is_trade: bool) {
        self.value += 1;
        // The time of the last trade goes in steps, so that some tie.
        let fields = if is_trade {
            fields
        } else {
            fields & !field::TIMESTAMP
        };
        for (index, bit) in FIELDS.iter().enumerate() {
            if fields & bit != 0 {
                self.world.values[topic][index] = if *bit == field::TIMESTAMP {
                    self.value / 3
                } else {
                    self.value
                };
            }
        }
        let row = trade(self.value, i64::try_from(self.value / 3).expect("small"));
        let cause = if is_trade {
            Cause::Trade(row)
        } else {
            Cause::Other
        };
        let text = self.value.is_multiple_of(2).then_some("text");
        self.fanout.change(
            &self.world,
            Change {
                topic: topic as u32,
                fields,
                cause,
            },
            text,
            self.now,
        );
        let state = &self.fanout.topics[topic];
        self.past
            .insert((topic, state.epoch, state.seq[0]), self.world.values[topic]);
        if is_trade {
            self.trades
                .insert((topic, state.epoch, state.seq[1]), self.value);
        }
    }

    fn subscribe(
        &mut self,
        client: usize,
        key: (u8, usize),
        rate: u8,
        fields: u32,
        mode: u8,
        old: Option<(View, bool)>,
    ) {
        let wish = Wish {
            channel: key.0,
            topic: key.1 as u32,
            rate,
            fields,
            mode,
        };
        let was_there = self.fanout.subscriptions(self.sides[client].id);
        let before = was_there
            .iter()
            .find(|entry| (entry.0, entry.1 as usize) == key)
            .map(|entry| entry.2);
        let position = self
            .fanout
            .subscribe(self.sides[client].id, wish)
            .expect("a client");
        assert!(granted(position.fields) & fields == fields);
        assert!(position.mode == MODE_ALL || rank(position.rate) <= rank(rate));
        if before.is_some() {
            // A change: the view stays, its values in force do not.
            self.reply(
                client,
                Note::Begin {
                    key,
                    view: fresh(position, false),
                },
            );
        } else {
            let mut view = fresh(position, key.0 == CHANNEL_PRICE);
            if let Some((old, by_time)) = old {
                self.resume(client, key, &mut view, &old, by_time);
            }
            self.reply(client, Note::Begin { key, view });
        }
        self.flush(Some(self.sides[client].id));
    }

    fn resume(
        &mut self,
        client: usize,
        key: (u8, usize),
        view: &mut View,
        old: &View,
        by_time: bool,
    ) {
        let newest = self.fanout.topics[key.1].seq[usize::from(key.0)];
        let memory = if by_time && key.0 == CHANNEL_PRICE {
            Memory::LastSeen {
                timestamp_ns: old.values[2] as i64,
                precision_ns: 1,
            }
        } else {
            Memory::Position {
                epoch: old.epoch,
                seq: old.last,
            }
        };
        let result = self
            .fanout
            .resume(self.sides[client].id, key.0, key.1 as u32, memory);
        if old.epoch != view.epoch && !by_time {
            assert_eq!(result, Err(Refusal::EpochChanged));
        }
        let waits = self.fanout.find_sub(
            self.fanout.index_of(self.sides[client].id).expect("open"),
            key.0,
            key.1 as u32,
        );
        let waits = self.fanout.subs[waits.expect("subscribed") as usize].waits;
        view.values = old.values;
        view.excused = old.excused | !granted(old.position.fields);
        view.needs_snapshot = waits & waits::SNAPSHOT != 0;
        if result.is_ok() && key.0 == CHANNEL_TRADES {
            view.last = old.last;
        }
        if !by_time && old.epoch == view.epoch && old.last == newest {
            assert_eq!(
                (result, view.needs_snapshot),
                (Ok(()), false),
                "nothing is missing"
            );
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Change {
                topic,
                fields,
                is_trade,
                repeat,
            } => {
                for _ in 0..repeat {
                    self.change(topic, fields, is_trade);
                }
            }
            Op::Step(step) => self.now += step,
            Op::Flush => self.flush(None),
            Op::Read(client) => self.read(client),
            Op::Drain(client) => self.drain(client),
            Op::Subscribe {
                client,
                channel,
                topic,
                rate,
                fields,
                mode,
            } => {
                self.subscribe(client, (channel, topic), rate, fields, mode, None);
            }
            Op::Unsubscribe {
                client,
                channel,
                topic,
            } => {
                if self
                    .fanout
                    .unsubscribe(self.sides[client].id, channel, topic as u32)
                {
                    self.reply(
                        client,
                        Note::End {
                            key: (channel, topic),
                        },
                    );
                }
            }
            Op::Configure {
                client,
                strings,
                batch,
            } => {
                let codec = if strings {
                    Codec::JsonStrings
                } else {
                    Codec::Json
                };
                self.fanout.configure(self.sides[client].id, codec, batch);
                self.reply(client, Note::Strings(strings));
            }
            Op::Sync(client) => {
                self.reply(client, Note::Barrier);
                let counters = self
                    .fanout
                    .sync(&self.world, self.sides[client].id, self.now);
                self.reply(client, Note::Counters(counters));
                self.flush(Some(self.sides[client].id));
            }
            Op::Hide { client, hidden } => {
                let id = self.sides[client].id;
                let index = self.fanout.index_of(id).expect("open");
                let was_hidden = self.fanout.clients[index as usize].is_hidden;
                self.fanout.set_hidden(id, hidden);
                self.tell_rates(client, was_hidden && !hidden);
            }
            Op::Cap(rate) => {
                self.fanout.set_cap(rate);
                while self.fanout.is_recapping() {
                    self.fanout.recap_some();
                    self.fanout.shifted.clear();
                }
                for client in 0..CLIENTS {
                    self.tell_rates(client, false);
                }
            }
            Op::Reconnect { client, by_time } => self.reconnect(client, by_time),
            Op::Renew(topic) => {
                let epoch = self.fanout.renew(topic as u32).expect("a topic");
                self.past
                    .insert((topic, epoch, 0), self.world.values[topic]);
            }
        }
    }

    /// Tells a client what rates are in force.
    fn tell_rates(&mut self, client: usize, shows: bool) {
        let index = self.fanout.index_of(self.sides[client].id).expect("open");
        let subs = self.fanout.clients[index as usize].subs.iter();
        let rates = subs
            .map(|sub| &self.fanout.subs[*sub as usize])
            .filter(|sub| sub.mode == MODE_MERGE)
            .map(|sub| {
                assert!(
                    rank(RATE_CLASSES[usize::from(sub.class)])
                        <= rank(RATE_CLASSES[usize::from(sub.asked)])
                );
                (
                    (sub.channel, sub.topic as usize),
                    RATE_CLASSES[usize::from(sub.class)],
                )
            })
            .collect();
        self.reply(client, Note::Moved { rates, shows });
    }

    fn reconnect(&mut self, client: usize, by_time: bool) {
        self.read(client);
        self.fanout.close(self.sides[client].id);
        assert!(self.fanout.subscriptions(self.sides[client].id).is_empty());
        let side = self.connect();
        let old = std::mem::replace(&mut self.sides[client], side);
        assert_ne!(old.id, self.sides[client].id);
        for (key, view) in old.views {
            let Position {
                rate, fields, mode, ..
            } = view.position;
            if !view.needs_snapshot {
                self.subscribe(client, key, rate, fields, mode, Some((view, by_time)));
            }
        }
    }

    fn drain(&mut self, client: usize) {
        if self.sides[client].peer.drain() {
            self.fanout.drained(self.sides[client].id);
        }
    }

    fn read(&mut self, client: usize) {
        for (opcode, text) in self.sides[client].peer.read() {
            assert_eq!(opcode, ws_text());
            self.take(client, &text);
        }
    }

    fn take(&mut self, client: usize, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| {
            words[at]
                .parse::<u64>()
                .unwrap_or_else(|_| panic!("{text}"))
        };
        let side = &mut self.sides[client];
        side.log.push(format!(
            "{text} {:?}",
            words[0]
                .strip_prefix("reply")
                .map(|_| &self.notes[number(1) as usize])
        ));
        match words[0] {
            "reply" => side.note(&self.notes[number(1) as usize]),
            "status" => assert!(
                (0..2).any(|channel| side.views.contains_key(&(channel, number(1) as usize)))
            ),
            kind => {
                let topic = number(1) as usize;
                let channel = match kind {
                    "trade" => CHANNEL_TRADES,
                    "lost" => number(6) as u8,
                    _ => CHANNEL_PRICE,
                };
                assert_eq!(words[5], if side.strings { "strings" } else { "numbers" });
                let view = side
                    .views
                    .get_mut(&(channel, topic))
                    .unwrap_or_else(|| panic!("not subscribed: {text}"));
                let (epoch, seq) = (number(2), number(3));
                if epoch != view.epoch {
                    assert!(
                        epoch > view.epoch && (kind == "snapshot" || channel == CHANNEL_TRADES),
                        "{text}"
                    );
                    view.begin_epoch(epoch);
                }
                match kind {
                    "snapshot" => view.snapshot(seq, &words[6..], &self.past[&(topic, epoch, seq)]),
                    "update" => {
                        view.update(
                            seq,
                            number(4) as i64,
                            &words[6..],
                            &self.past[&(topic, epoch, seq)],
                        );
                    }
                    "lost" if number(7) == 0 => {
                        assert!(
                            channel == CHANNEL_TRADES && seq == 0 && view.last == 0,
                            "{text}"
                        );
                    }
                    "lost" => view.lose(seq, number(7)),
                    "trade" => {
                        assert_eq!(seq, view.last + 1, "every trade: {text}");
                        assert_eq!(number(6), self.trades[&(topic, epoch, seq)]);
                        view.advance(seq);
                    }
                    _ => panic!("{text}"),
                }
            }
        }
    }

    /// Until nobody has anything left to send or to read.
    fn settle(&mut self) {
        for _ in 0..2000 {
            self.now += QUANTUM;
            self.flush(None);
            let mut is_done = true;
            for client in 0..CLIENTS {
                self.read(client);
                self.drain(client);
                self.read(client);
                let side = &self.sides[client];
                is_done &= self.fanout.unsent(side.id) == 0 && side.peer.backlog.is_empty();
            }
            if is_done {
                return;
            }
        }
        panic!("never comes to rest");
    }

    fn finish(&mut self) {
        self.settle();
        // The longest interval, and a quantum, after the last change and the last block.
        self.now += 1_000_000_000 + QUANTUM;
        self.settle();
        for side in &self.sides {
            assert!(!side.peer.has_part_of_a_message());
            for (key, view) in &side.views {
                assert!(!view.needs_snapshot, "{key:?} never got its snapshot");
                let state = &self.fanout.topics[key.1];
                // On `trades` the first trade of a new epoch tells of it.
                let is_told = view.epoch == state.epoch;
                if is_told && (key.0 == CHANNEL_TRADES || view.position.mode == MODE_ALL) {
                    assert_eq!(
                        view.last,
                        state.seq[usize::from(key.0)],
                        "{key:?}: every one came or was announced lost"
                    );
                }
                for (index, field) in FIELDS.iter().enumerate() {
                    if key.0 == CHANNEL_PRICE
                        && granted(view.position.fields) & !view.excused & field != 0
                    {
                        assert_eq!(
                            view.values[index],
                            self.world.values[key.1][index],
                            "{key:?} {view:?} has the newest state\n{}",
                            side.log.join("\n")
                        );
                    }
                }
            }
        }
        for client in 0..CLIENTS {
            self.run(&Op::Sync(client));
        }
        self.settle();
        assert_eq!(self.fanout.references, 0);
        assert_eq!(self.fanout.arena.len(), 0);
        for client in 0..CLIENTS {
            self.fanout.close(self.sides[client].id);
        }
        self.now += 2_000_000_000;
        self.flush(None);
        let memory = self.fanout.memory();
        assert_eq!(
            (
                memory.clients,
                memory.subscriptions,
                memory.groups,
                memory.field_sets
            ),
            (0, 0, 0, 1)
        );
        assert_eq!(
            self.fanout.flush(&self.world, self.now, None).next_ns,
            0,
            "nothing left to do"
        );
    }
}

/// What is unfiltered is above all.
fn rank(rate: u8) -> u8 {
    if rate == 0 { u8::MAX } else { rate }
}

fn ws_text() -> u8 {
    crate::ws::opcode::TEXT
}

fn fresh(position: Position, needs_snapshot: bool) -> View {
    View {
        epoch: position.epoch,
        base: position.seq,
        last: position.seq,
        delivered: 0,
        merged: 0,
        lost: 0,
        position,
        values: [u64::MAX; FIELDS.len()],
        needs_snapshot,
        excused: 0,
        updated_ns: i64::MIN,
    }
}

impl Side {
    fn note(&mut self, note: &Note) {
        match note {
            Note::Moved { rates, shows } => {
                for (key, rate) in rates {
                    let view = self.views.get_mut(key).expect("subscribed");
                    if view.position.rate != *rate {
                        view.updated_ns = i64::MIN;
                    }
                    view.position.rate = *rate;
                    view.needs_snapshot |= shows;
                }
            }
            Note::Begin { key, view } => match self.views.get_mut(key) {
                None => drop(self.views.insert(*key, view.clone())),
                Some(known) => {
                    let old = (
                        known.position.rate,
                        known.position.fields,
                        known.position.mode,
                    );
                    let new = (view.position.rate, view.position.fields, view.position.mode);
                    // Field sets may differ though both say "all": then the snapshot is a surprise, but no harm.
                    known.needs_snapshot |= old != new;
                    known.position = view.position;
                    known.updated_ns = i64::MIN;
                }
            },
            Note::End { key } => drop(self.views.remove(key)),
            Note::Strings(strings) => self.strings = *strings,
            Note::Barrier => self
                .views
                .values_mut()
                .for_each(|view| view.updated_ns = i64::MIN),
            Note::Counters(counters) => {
                assert_eq!(counters.len(), self.views.len());
                for count in counters {
                    let view = self
                        .views
                        .get_mut(&(count.channel, count.topic as usize))
                        .expect("subscribed");
                    if view.epoch != count.epoch {
                        view.begin_epoch(count.epoch);
                    }
                    let found = (
                        view.last,
                        view.last - view.base,
                        view.delivered,
                        view.merged,
                        view.lost,
                    );
                    let told = (
                        count.seq,
                        count.published,
                        count.delivered,
                        count.merged,
                        count.lost,
                    );
                    assert_eq!(found, told, "{count:?} {view:?}");
                    assert_eq!(count.published, count.delivered + count.merged + count.lost);
                    assert!(!view.needs_snapshot);
                    view.updated_ns = i64::MIN;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400), ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_is_what_was_counted(ops in prop::collection::vec(op(), 1..150)) {
        let mut run = Run::new();
        for op in &ops {
            run.run(op);
        }
        run.finish();
    }
}
