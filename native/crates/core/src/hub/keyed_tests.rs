//! Random books and trades against real sockets: what a client has at a barrier is what a slow model says.
//!
//! Two venues list one security. Each client keeps the texts that it was sent, applies what comes, holds every digest
//! against its own book, and at each barrier compares its book with the model's and its bars with REST's. Meanwhile
//! clients hide and show themselves, are found slow and recover, and a cap of all comes and goes. In the end, when all is
//! quiet, nobody needs a barrier to have the newest state.

mod seen;
mod shown;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::Value;

use self::seen::Seen;
use super::peer::Peer;
use super::*;
use crate::latest::{self, Definition, INTERVALS_NS, start_of};
use crate::record::{Record, condition, flag, kind, state};

const SYMBOLS: [&str; 3] = ["A:X", "B:X", "X"];
const LEGS: usize = 2;
const CLIENTS: usize = 4;
const REMEMBERED: usize = 5;
const SECOND: i64 = 1_000_000_000;

/// (is_bid, price in tenths, size, whether the price is written with another digit)
type Row = (bool, i64, i64, bool);

#[derive(Debug, Clone)]
enum Op {
    Levels(usize, Vec<Row>),
    Whole(usize, Vec<Row>),
    Invalid(usize),
    State(usize, u8),
    Trade {
        leg: usize,
        price: i64,
        size: i64,
        age: i64,
        is_odd: bool,
    },
    Bust(usize, u64),
    Correct(usize, u64, i64, i64),
    Step(i64),
    Flush,
    Read(usize),
    Drain(usize),
    Subscribe(usize, u8, usize, u8),
    Unsubscribe(usize, u8, usize),
    Sync(usize),
    Renew(usize),
    Hide(usize, bool),
    Cap(u8),
    /// The client's socket was full for so long that it is shifted at the next look.
    Strain(usize),
}

fn row() -> impl Strategy<Value = Row> {
    (any::<bool>(), 1i64..20, 0i64..4, any::<bool>())
}

fn op() -> impl Strategy<Value = Op> {
    let rate = prop::sample::select(RATE_CLASSES.to_vec());
    let states = vec![state::LIVE, state::GAP, state::STALE, state::HALTED];
    prop_oneof![
        14 => (0..LEGS, prop::collection::vec(row(), 1..5)).prop_map(|(leg, rows)| Op::Levels(leg, rows)),
        3 => (0..LEGS, prop::collection::vec(row(), 0..30)).prop_map(|(leg, rows)| Op::Whole(leg, rows)),
        3 => (0..CLIENTS, any::<bool>()).prop_map(|(client, hidden)| Op::Hide(client, hidden)),
        2 => rate.clone().prop_map(Op::Cap),
        3 => (0..CLIENTS).prop_map(Op::Strain),
        1 => (0..LEGS).prop_map(Op::Invalid),
        2 => (0..LEGS, prop::sample::select(states)).prop_map(|(leg, state)| Op::State(leg, state)),
        10 => (0..LEGS, 1i64..9, 0i64..5, 0i64..3 * SECOND, any::<bool>())
            .prop_map(|(leg, price, size, age, is_odd)| Op::Trade { leg, price, size, age, is_odd }),
        2 => (0..LEGS, 0u64..12).prop_map(|(leg, back)| Op::Bust(leg, back)),
        2 => (0..LEGS, 0u64..12, 1i64..9, 1i64..5)
            .prop_map(|(leg, back, price, size)| Op::Correct(leg, back, price, size)),
        8 => prop_oneof![0i64..2_000_000, 0i64..200_000_000, 0i64..3 * SECOND].prop_map(Op::Step),
        12 => Just(Op::Flush),
        4 => (0..CLIENTS).prop_map(Op::Read),
        4 => (0..CLIENTS).prop_map(Op::Drain),
        8 => (0..CLIENTS, CHANNEL_BOOK_5..=CHANNEL_BARS_1M, 0..SYMBOLS.len(), rate)
            .prop_map(|(client, channel, symbol, rate)| Op::Subscribe(client, channel, symbol, rate)),
        1 => (0..CLIENTS, CHANNEL_BOOK_5..=CHANNEL_BARS_1M, 0..SYMBOLS.len())
            .prop_map(|(client, channel, symbol)| Op::Unsubscribe(client, channel, symbol)),
        3 => (0..CLIENTS).prop_map(Op::Sync),
        1 => (0..SYMBOLS.len()).prop_map(Op::Renew),
    ]
}

/// One side of the model's book: size by price in tenths.
type Sides = [BTreeMap<i64, i64>; 2];

#[derive(Debug, Clone)]
struct Traded {
    id: u64,
    ts: i64,
    price: i64,
    size: i64,
    is_odd: bool,
}

/// The slow model of a venue.
#[derive(Debug, Default)]
struct Model {
    is_known: bool,
    state: u8,
    sides: Sides,
    trades: Vec<Traded>,
    /// Ids of the trades that can be taken back.
    remembered: Vec<u64>,
}

/// What must be true of a client when it reads a reply.
enum Note {
    Begin(u8, usize),
    End(u8, usize),
    /// The client shows itself again: what comes next of each is a snapshot.
    Shows,
    Barrier(Vec<(u8, usize, Value, Sides)>),
}

struct Side {
    id: ClientId,
    peer: Peer,
    seen: HashMap<(u8, usize), Seen>,
}

struct Run {
    hub: Hub,
    now: i64,
    models: [Model; LEGS],
    sides: Vec<Side>,
    notes: Vec<Note>,
    ids: u64,
}

fn definition(venue: &str) -> Definition {
    Definition {
        instrument: if venue == "A" { 1 } else { 2 },
        venue: venue.to_owned(),
        symbol: "X".to_owned(),
        feed: venue.to_lowercase(),
        security: "X".to_owned(),
        asset_class: "crypto".to_owned(),
        currency: "USD".to_owned(),
        tick_size: None,
        calendar: "24/7".to_owned(),
        time_precision: 3,
        primary: venue == "A",
        on_demand: false,
    }
}

impl Run {
    fn new() -> Self {
        let settings = Settings {
            epoch: 7,
            quantum_max_ns: 0,
            unsent_max: usize::MAX,
            undrained_max_ns: i64::MAX,
            digest_every: 3,
            ..Settings::default()
        };
        let of_latest = latest::Settings {
            memory_max: REMEMBERED,
            ..latest::Settings::default()
        };
        let mut hub = Hub::new(settings, of_latest);
        let now = 1_774_794_601_000_000_000;
        for venue in ["A", "B"] {
            hub.define(&definition(venue), now);
        }
        let mut run = Self {
            hub,
            now,
            models: <[Model; LEGS]>::default(),
            sides: Vec::new(),
            notes: Vec::new(),
            ids: 0,
        };
        for leg in 0..LEGS {
            run.apply(&mut [run.row(leg, kind::BID), run.row(leg, kind::ASK)]);
            run.set_state(leg, state::LIVE);
        }
        for _ in 0..CLIENTS {
            let peer = Peer::new();
            let id = run.hub.fanout_mut().open(peer.fd());
            run.hub
                .fanout_mut()
                .configure(id, crate::encode::Codec::JsonStrings, false);
            run.sides.push(Side {
                id,
                peer,
                seen: HashMap::new(),
            });
        }
        run
    }

    /// A row of a quote that is never crossed.
    fn row(&self, leg: usize, kind: u8) -> Record {
        Record {
            instrument: leg as u64 + 1,
            kind,
            price: if kind == kind::BID { 1 } else { 1000 },
            size: 1,
            ts_event: self.now,
            ts_recv: self.now,
            ..Record::default()
        }
    }

    fn apply(&mut self, rows: &mut [Record]) -> latest::Applied {
        if let Some(last) = rows.last_mut() {
            last.flags |= flag::LAST_OF_EVENT;
        }
        self.hub.apply(rows, None, self.now).0
    }

    fn set_state(&mut self, leg: usize, state: u8) {
        let mut row = self.row(leg, kind::STATUS);
        row.detail = state.into();
        self.models[leg].state = state;
        self.apply(&mut [row]);
    }

    fn level(&self, leg: usize, (is_bid, price, size, is_fine): Row) -> Record {
        let kind = if is_bid {
            kind::BOOK_BID
        } else {
            kind::BOOK_ASK
        };
        Record {
            price: if is_fine { price * 10 } else { price },
            price_scale: if is_fine { 2 } else { 1 },
            size,
            ..self.row(leg, kind)
        }
    }

    fn levels(&mut self, leg: usize, rows: &[Row], begin: Vec<Record>) {
        let mut records = begin;
        for row in rows {
            records.push(self.level(leg, *row));
            let model = &mut self.models[leg];
            if model.is_known {
                let side = &mut model.sides[usize::from(!row.0)];
                if row.2 == 0 {
                    side.remove(&row.1);
                } else {
                    side.insert(row.1, row.2);
                }
            }
        }
        if !records.is_empty() {
            self.apply(&mut records);
        }
    }

    /// The rows that take both sides away.
    fn clear(&mut self, leg: usize, flags: u16) -> Vec<Record> {
        self.models[leg].sides = Sides::default();
        self.models[leg].is_known = flags & flag::INVALID_BOOK == 0;
        [kind::BOOK_BID, kind::BOOK_ASK]
            .map(|kind| Record {
                flags: flag::NO_PRICE | flag::SNAPSHOT | flags,
                ..self.row(leg, kind)
            })
            .to_vec()
    }

    fn trade(&mut self, leg: usize, price: i64, size: i64, ts: i64, is_odd: bool) {
        self.ids += 1;
        let row = Record {
            price,
            size,
            id: self.ids,
            ts_event: ts,
            detail: if is_odd { condition::ODD_LOT } else { 0 },
            ..self.row(leg, kind::TRADE)
        };
        self.apply(&mut [row]);
        let id = self.ids;
        let remembered = &mut self.models[leg].remembered;
        remembered.push(id);
        if remembered.len() > REMEMBERED {
            remembered.remove(0);
        }
        self.models[leg].trades.push(Traded {
            id,
            ts,
            price,
            size,
            is_odd,
        });
    }

    /// A bust, or a correction to (price, size), of the trade `back` places from the newest.
    fn amend(&mut self, leg: usize, back: u64, to: Option<(i64, i64)>) {
        let count = self.models[leg].trades.len();
        let Some(place) = count.checked_sub(1 + back as usize) else {
            return;
        };
        let id = self.models[leg].trades[place].id;
        let mut row = self.row(
            leg,
            if to.is_some() {
                kind::CORRECTION
            } else {
                kind::BUST
            },
        );
        (row.id, row.flags) = (id, flag::NO_SIZE);
        if let Some((price, size)) = to {
            (row.price, row.size, row.flags) = (price, size, 0);
        }
        if self.apply(&mut [row]).unmatched > 0 {
            assert!(!self.models[leg].remembered.contains(&id));
        }
        if !self.models[leg].remembered.contains(&id) {
            return;
        }
        match to {
            Some((price, size)) => {
                let trade = &mut self.models[leg].trades[place];
                (trade.price, trade.size) = (price, size);
            }
            None => {
                self.models[leg].trades.remove(place);
                self.models[leg].remembered.retain(|other| *other != id);
            }
        }
    }

    fn reply(&mut self, client: usize, note: Note) {
        let text = format!("{{\"note\":{}}}", self.notes.len());
        self.notes.push(note);
        let id = self.sides[client].id;
        self.hub.fanout_mut().reply(id, text.as_bytes());
    }

    fn flush(&mut self) {
        let flushed = self.hub.flush(self.now, None);
        assert!(flushed.broken.is_empty() && flushed.slow.is_empty());
        for (client, bytes) in flushed.unsent {
            let sides = &mut self.sides;
            let side = sides.iter_mut().find(|side| side.id == client).unwrap();
            side.peer.backlog.extend_from_slice(&bytes);
        }
    }

    fn drain(&mut self, client: usize) {
        let side = &mut self.sides[client];
        if side.peer.drain() {
            self.hub.fanout_mut().drained(side.id);
        }
    }

    /// The model's book of a symbol, all levels.
    fn model(&self, symbol: usize) -> Sides {
        let legs = match symbol {
            2 => self
                .models
                .iter()
                .filter(|leg| leg.state == state::LIVE)
                .collect(),
            leg => vec![&self.models[leg]],
        };
        let mut sides = Sides::default();
        for leg in legs {
            let is_shown = matches!(leg.state, state::LIVE | state::HALTED);
            if is_shown && leg.is_known {
                for (sum, side) in sides.iter_mut().zip(&leg.sides) {
                    for (price, size) in side {
                        *sum.entry(*price).or_default() += size;
                    }
                }
            }
        }
        sides
    }

    fn rest(&self, channel: u8, symbol: usize) -> Value {
        let symbol = SYMBOLS[symbol];
        let body = if channel < CHANNEL_BARS_1S {
            self.hub.book(symbol, depth(channel), true)
        } else {
            self.hub.bars(symbol, channel, 60, true)
        };
        serde_json::from_slice(&body.expect("a symbol")).expect("JSON")
    }

    fn read(&mut self, client: usize) {
        for (_, text) in self.sides[client].peer.read() {
            let message: Value = serde_json::from_str(&text).expect("JSON");
            let seen = &mut self.sides[client].seen;
            if let Some(note) = message["note"].as_u64() {
                match &self.notes[note as usize] {
                    Note::Begin(channel, symbol) => {
                        seen.entry((*channel, *symbol)).or_default();
                    }
                    Note::Shows => seen
                        .values_mut()
                        .for_each(|seen| seen.needs_snapshot = true),
                    Note::End(channel, symbol) => drop(seen.remove(&(*channel, *symbol))),
                    Note::Barrier(expected) => {
                        for (channel, symbol, rest, model) in expected {
                            seen[&(*channel, *symbol)].check(*channel, rest, model);
                        }
                    }
                }
                continue;
            }
            let symbol = SYMBOLS
                .iter()
                .position(|symbol| message["symbol"] == *symbol);
            if message["type"] == "status" {
                let watched =
                    |key: &&(u8, usize)| Some(key.1) == symbol && key.0 >= CHANNEL_BARS_1S;
                assert!(seen.keys().any(|key| watched(&key)), "{message}");
                continue;
            }
            let channel = match message["channel"].as_str().expect("a channel") {
                "bars" if message["interval"] == "1s" => CHANNEL_BARS_1S,
                "bars" => CHANNEL_BARS_1M,
                // Only one depth of a book is watched at a time.
                _ => *[CHANNEL_BOOK_5, CHANNEL_BOOK_10, CHANNEL_BOOK_50]
                    .iter()
                    .find(|channel| seen.contains_key(&(**channel, symbol.unwrap())))
                    .expect("a subscription"),
            };
            let seen = seen.get_mut(&(channel, symbol.unwrap()));
            seen.expect("a subscription").take(&message, channel);
        }
    }

    fn subscribe(&mut self, client: usize, channel: u8, symbol: usize, rate: u8) {
        let id = self.sides[client].id;
        for other in [CHANNEL_BOOK_5, CHANNEL_BOOK_10, CHANNEL_BOOK_50] {
            if channel < CHANNEL_BARS_1S && other != channel {
                self.unsubscribe(client, other, symbol);
            }
        }
        let wish = Wish {
            channel,
            topic: 0,
            rate,
            fields: 0,
            mode: MODE_MERGE,
        };
        self.hub.subscribe(id, SYMBOLS[symbol], wish, self.now);
        self.reply(client, Note::Begin(channel, symbol));
    }

    fn unsubscribe(&mut self, client: usize, channel: u8, symbol: usize) {
        let id = self.sides[client].id;
        if self.hub.unsubscribe(id, channel, SYMBOLS[symbol]) {
            self.reply(client, Note::End(channel, symbol));
        }
    }

    fn sync(&mut self, client: usize) {
        let mut expected = Vec::new();
        for count in self.hub.sync(self.sides[client].id, self.now) {
            assert_eq!(count.published, count.delivered + count.merged + count.lost);
            assert_eq!(count.lost, 0);
            let name = self.hub.latest().name(count.topic);
            let symbol = SYMBOLS.iter().position(|symbol| *symbol == name).unwrap();
            let (rest, model) = (self.rest(count.channel, symbol), self.model(symbol));
            expected.push((count.channel, symbol, rest, model));
        }
        self.reply(client, Note::Barrier(expected));
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Levels(leg, rows) => self.levels(leg, &rows, Vec::new()),
            Op::Whole(leg, rows) => {
                let begin = self.clear(leg, 0);
                self.levels(leg, &rows, begin);
            }
            Op::Invalid(leg) => {
                let mut rows = self.clear(leg, flag::INVALID_BOOK);
                self.apply(&mut rows);
            }
            Op::State(leg, state) => self.set_state(leg, state),
            Op::Trade {
                leg,
                price,
                size,
                age,
                is_odd,
            } => self.trade(leg, price, size, self.now - age, is_odd),
            Op::Bust(leg, back) => self.amend(leg, back, None),
            Op::Correct(leg, back, price, size) => self.amend(leg, back, Some((price, size))),
            Op::Step(ns) => {
                self.now += ns;
                self.hub.tick(self.now);
            }
            Op::Flush => self.flush(),
            Op::Read(client) => self.read(client),
            Op::Drain(client) => self.drain(client),
            Op::Subscribe(client, channel, symbol, rate) => {
                self.subscribe(client, channel, symbol, rate);
            }
            Op::Unsubscribe(client, channel, symbol) => self.unsubscribe(client, channel, symbol),
            Op::Sync(client) => self.sync(client),
            Op::Renew(symbol) => {
                self.hub.renew(SYMBOLS[symbol]);
            }
            Op::Hide(client, is_hidden) => self.hide(client, is_hidden),
            Op::Cap(rate) => self.hub.fanout_mut().set_cap(rate),
            Op::Strain(client) => self.strain(client),
        }
        self.check_bars();
    }

    fn hide(&mut self, client: usize, is_hidden: bool) {
        let id = self.sides[client].id;
        let fanout = self.hub.fanout_mut();
        let index = fanout.index_of(id).expect("open") as usize;
        let was_hidden = fanout.clients[index].is_hidden;
        fanout.set_hidden(id, is_hidden);
        if was_hidden && !is_hidden {
            self.reply(client, Note::Shows);
        }
    }

    fn strain(&mut self, client: usize) {
        let (id, now) = (self.sides[client].id, self.now);
        let fanout = self.hub.fanout_mut();
        let index = fanout.index_of(id).expect("open") as usize;
        fanout.clients[index].blocked_before_ns = SECOND;
        if !fanout.clients[index].is_listed {
            fanout.clients[index].is_listed = true;
            fanout.blocked.push(id);
        }
        fanout.check_ns = now;
    }

    /// Each subscription is in the highest class allowed.
    fn check_classes(&mut self) {
        let fanout = self.hub.fanout_mut();
        for sub in fanout.clients.iter().flat_map(|client| &client.subs) {
            let sub = &fanout.subs[*sub as usize];
            let client = &fanout.clients[sub.client as usize];
            let hidden = if client.is_hidden { 1 } else { 0 };
            let allowed = [client.slow_cap, hidden, fanout.cap];
            let allowed = allowed.into_iter().fold(sub.asked, allowed::lower);
            assert_eq!(sub.class, allowed);
        }
    }

    /// The bars of every symbol, told anew from every trade.
    fn check_bars(&self) {
        for symbol in 0..SYMBOLS.len() {
            let trades: Vec<&Traded> = match symbol {
                2 => self.models.iter().flat_map(|leg| &leg.trades).collect(),
                leg => self.models[leg].trades.iter().collect(),
            };
            for (interval, channel) in [CHANNEL_BARS_1S, CHANNEL_BARS_1M].into_iter().enumerate() {
                let rest = self.rest(channel, symbol);
                let mut by_start: BTreeMap<i64, Vec<&Traded>> = BTreeMap::new();
                for trade in &trades {
                    by_start
                        .entry(start_of(interval, trade.ts))
                        .or_default()
                        .push(trade);
                }
                by_start.retain(|_, trades| trades.iter().any(|trade| !trade.is_odd));
                let expected: Vec<String> = by_start
                    .values()
                    .rev()
                    .take(60)
                    .rev()
                    .map(|trades| spell(trades))
                    .collect();
                let found: Vec<String> = rest["bars"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|bar| {
                        let names = ["high", "low", "volume", "notional", "trades"];
                        names
                            .map(|name| bar[name].to_string().replace('"', ""))
                            .join(" ")
                    })
                    .collect();
                assert_eq!(found, expected, "{channel} of {symbol}");
                assert!(INTERVALS_NS[interval] > 0);
            }
        }
    }

    /// Everyone reads all there is until nothing is due any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.now += SECOND;
            self.hub.tick(self.now);
            self.flush();
            for client in 0..CLIENTS {
                self.read(client);
                self.drain(client);
            }
        }
        self.check_classes();
        for client in 0..CLIENTS {
            assert!(self.sides[client].peer.backlog.is_empty());
            assert!(!self.sides[client].peer.has_part_of_a_message());
            for ((channel, symbol), seen) in &self.sides[client].seen {
                seen.check(
                    *channel,
                    &self.rest(*channel, *symbol),
                    &self.model(*symbol),
                );
                assert!(!seen.needs_snapshot, "showing again brings one");
                for bar in seen.bars.values() {
                    assert_eq!(bar["final"], true, "every bar ends");
                }
            }
        }
    }
}

/// High, low, volume, notional and number of some trades.
fn spell(trades: &[&Traded]) -> String {
    let priced = || trades.iter().filter(|trade| !trade.is_odd);
    let high = priced().map(|trade| trade.price).max().unwrap();
    let low = priced().map(|trade| trade.price).min().unwrap();
    let volume: i64 = trades.iter().map(|trade| trade.size).sum();
    let notional: i64 = trades.iter().map(|trade| trade.price * trade.size).sum();
    format!("{high} {low} {volume} {notional} {}", trades.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_client_has_the_book_and_the_bars_at_every_barrier(ops in prop::collection::vec(op(), 1..150)) {
        let mut run = Run::new();
        for op in ops {
            run.run(op);
        }
        run.settle();
    }
}
