//! The engine against a simulated venue: drops, repeats, reorders, lost links, numbers that begin anew, snapshots at any time.
//!
//! Three things must hold. Whenever a book is said to be live, its levels are those that the venue had at its id. Whoever
//! follows the rows has the same best bid and offer and the same published levels as the engine. And once the disturbance
//! ends, the book becomes live again and equals the venue's.

use std::collections::{BTreeMap, VecDeque};

use super::super::checksum::{Memory, compute};
use super::super::ladder::Packed;
use super::super::*;
use super::{RULE, first, stream};
use crate::record::{Record, flag, kind, state};
use crate::shown::WATCHED_LEVELS;
use proptest::prelude::*;

const DEPTH: usize = 3;
/// Prices 0 to 7 are bids, 8 to 15 asks: never crossed, and few enough for a checksum to cover all.
const BIDS: u8 = 8;

type Levels = BTreeMap<u8, u8>;

fn side(price: u8) -> Side {
    if price < BIDS { Side::Bid } else { Side::Ask }
}

fn change((&price, &size): (&u8, &u8)) -> Change {
    Change {
        side: side(price),
        // several scales of one value
        price: Decimal::new(
            (i64::from(price) + 1) * 10_i64.pow(u32::from(size % 3)),
            size % 3,
        ),
        size: Decimal::new(size.into(), 0),
        inexact: false,
        deleted: false,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Update(Levels),
    Deliver,
    Drop,
    Repeat,
    Swap,
    /// Of so many updates ago, over REST; in the stream of now.
    Snapshot(usize),
    Lose,
    Restart,
    Damage,
    /// Somebody watches the book, or nobody.
    Watch(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => prop::collection::btree_map(0..16_u8, 0..4_u8, 1..4).prop_map(Step::Update),
        12 => Just(Step::Deliver),
        1 => Just(Step::Drop),
        1 => Just(Step::Repeat),
        1 => Just(Step::Swap),
        4 => (0..8_usize).prop_map(Step::Snapshot),
        1 => Just(Step::Lose),
        1 => Just(Step::Restart),
        1 => Just(Step::Damage),
        1 => any::<bool>().prop_map(Step::Watch),
    ]
}

#[derive(Clone)]
struct Wire {
    snapshot: bool,
    previous: i64,
    first: i64,
    last: i64,
    changes: Vec<Change>,
    checksum: Option<i64>,
    counter: i64,
}

/// The venue, the wire, the engine and someone who follows its rows.
struct World {
    rule: Rule,
    has_previous: bool,
    id: i64,
    epoch: i64,
    counter: i64,
    truth: Levels,
    history: Vec<(i64, Levels)>,
    wire: VecDeque<Wire>,
    newest: Option<Wire>,
    expected: Option<i64>,
    books: Books,
    now: i64,
    records: Vec<Record>,
    events: Vec<Event>,
    /// `None`: the side is not known.
    follower: [Option<BTreeMap<i64, i64>>; 2],
    /// Levels a side that are told.
    depth: usize,
    /// The same while nobody watches.
    least: usize,
    best: [Option<(i64, i64)>; 2],
}

/// A value in tenths of thousandths, whatever its scale.
fn scaled(mantissa: i64, scale: u8) -> i64 {
    mantissa * 10_i64.pow(4 - u32::from(scale))
}

fn number(level: &Level) -> (i64, i64) {
    let price = scaled(level.price.mantissa, level.price.scale);
    (price, level.size.mantissa)
}

impl World {
    fn new(rule: Rule, has_previous: bool, depth: usize) -> Self {
        let mut books = Books::new(vec![rule], depth, 6);
        books.define(1, true, false, state::LIVE);
        Self {
            rule,
            has_previous,
            id: 1_000_000,
            epoch: 0,
            counter: 0,
            truth: Levels::new(),
            history: vec![(1_000_000, Levels::new())],
            wire: VecDeque::new(),
            newest: None,
            expected: None,
            books,
            now: 1,
            records: Vec::new(),
            events: Vec::new(),
            follower: Default::default(),
            depth,
            least: depth,
            best: Default::default(),
        }
    }

    fn whole(&self) -> Vec<Change> {
        self.truth.iter().map(change).collect()
    }

    fn push(&mut self, snapshot: bool, previous: i64, first: i64, changes: Vec<Change>) {
        let checksum = self.rule.checksum.map(|kind| {
            let mut ladders: [super::super::ladder::Ladder; 2] = Default::default();
            for side in [Side::Bid, Side::Ask] {
                ladders[side as usize].replace(side, self.whole().iter().map(Packed::new));
            }
            compute(kind, &ladders, &mut Memory::default(), &mut Vec::new()).into()
        });
        self.counter += 1;
        let (last, counter) = (self.id, self.counter);
        self.wire.push_back(Wire {
            snapshot,
            previous,
            first,
            last,
            changes,
            checksum,
            counter,
        });
    }

    fn update(&mut self, changed: &Levels) {
        for (&price, &size) in changed {
            if size == 0 {
                self.truth.remove(&price);
            } else {
                self.truth.insert(price, size);
            }
        }
        let previous = self.id;
        let (skipped, width) = match self.rule.chain {
            Chain::Range => (i64::from(self.has_previous) * 3, changed.len() as i64),
            Chain::Previous => (0, 7),
            Chain::Consecutive | Chain::Ordered | Chain::None => (0, 1),
        };
        self.id += skipped + width;
        self.history.push((self.id, self.truth.clone()));
        let begins =
            self.rule.first_at == Some(self.id) || self.rule.snapshot == SnapshotFrom::Every;
        let changes = if begins {
            self.whole()
        } else {
            changed.iter().map(change).collect()
        };
        self.push(false, previous, previous + skipped + 1, changes);
    }

    fn snapshot(&mut self, age: usize) {
        if !self.rule.snapshot.is_waited_for() {
            let changes = self.whole();
            let is_first = self.rule.snapshot == SnapshotFrom::First;
            let previous = if is_first { self.id } else { -1 };
            self.push(true, previous, self.id, changes);
            return;
        }
        let (last, levels) = self.history[self.history.len().saturating_sub(age + 1)].clone();
        let changes: Vec<Change> = levels.iter().map(change).collect();
        let wire = Wire {
            snapshot: true,
            previous: 0,
            first: 0,
            last,
            changes,
            checksum: None,
            counter: 0,
        };
        let message = self.message(&wire);
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        if self.rule.snapshot == SnapshotFrom::Asked {
            self.books.message(0, &message, &mut output);
        } else {
            self.books.rest(0, &message, &mut output);
        }
    }

    fn message<'a>(&self, wire: &'a Wire) -> BookMessage<'a> {
        let is_chained = self.rule.chain != Chain::None;
        BookMessage {
            kind: 0,
            link: 1,
            frame: 0,
            snapshot: wire.snapshot,
            first: (self.rule.chain == Chain::Range).then_some(wire.first),
            last: is_chained.then_some(wire.last),
            previous: self.has_previous.then_some(wire.previous),
            checksum: wire.checksum,
            counted: self.rule.counted,
            depth: 0,
            changes: &wire.changes,
            names: &[],
            origin: Record {
                ts_event: self.now,
                ts_recv: self.now,
                ..Record::default()
            },
        }
    }

    /// What the parser does: the connection's counter first, then the message.
    fn take(&mut self, wire: &Wire) {
        let message = self.message(wire);
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        if self.rule.counted {
            let expected = self.expected.unwrap_or(wire.counter);
            if wire.counter < expected {
                return;
            }
            self.expected = Some(wire.counter + 1);
            if wire.counter > expected {
                let jump = Jump {
                    reason: Reason::Counter,
                    text: "",
                    kind: 0,
                    expected,
                    found: wire.counter,
                    frame: 0,
                    ts_recv: self.now,
                };
                self.books.break_link(1, &jump, &mut output);
            }
        }
        self.books.message(0, &message, &mut output);
    }

    fn deliver(&mut self) {
        if let Some(wire) = self.wire.pop_front() {
            self.take(&wire);
            self.newest = Some(wire);
        }
    }

    fn restart(&mut self) {
        self.epoch += 1;
        if self.rule.first_at.is_some() && self.epoch > 1 {
            return; // numbers that begin at one twice may meet by chance, and nothing could tell
        }
        self.wire.clear();
        self.id = if self.rule.first_at.is_some() {
            0
        } else {
            1_000_000 - 10_000 * self.epoch
        };
        self.history.push((self.id, self.truth.clone()));
        self.books
            .suspend(0, state::STALE, self.now, &mut self.records);
        self.reopen();
    }

    fn reopen(&mut self) {
        self.books.open_link(1);
        (self.counter, self.expected) = (0, Some(1));
    }

    fn step(&mut self, step: &Step) {
        self.now += 100_000_000;
        match step {
            Step::Update(changed) => self.update(changed),
            Step::Deliver => self.deliver(),
            Step::Drop => drop(self.wire.pop_front()),
            Step::Repeat => {
                if let Some(wire) = self.newest.clone() {
                    self.take(&wire);
                }
            }
            Step::Swap if self.wire.len() > 1 => self.wire.swap(0, 1),
            Step::Swap => {}
            Step::Snapshot(age) => self.snapshot(*age),
            Step::Lose => {
                self.wire.clear();
                self.newest = None;
                self.books
                    .suspend(0, state::STALE, self.now, &mut self.records);
                self.reopen();
            }
            Step::Restart => {
                self.newest = None;
                self.restart();
            }
            Step::Watch(is_watched) => self.watch(*is_watched),
            Step::Damage => {
                if let Some(wire) = self.wire.pop_front() {
                    self.expected = Some(wire.counter + 1);
                    let message = self.message(&wire);
                    let mut output = Output {
                        records: &mut self.records,
                        events: &mut self.events,
                    };
                    self.books.malformed(0, &message, "damaged", &mut output);
                }
            }
        }
    }

    fn watch(&mut self, is_watched: bool) {
        self.books
            .watch(is_watched.then_some(1), self.now, &mut self.records);
        self.depth = if is_watched {
            WATCHED_LEVELS
        } else {
            self.least
        };
    }

    /// Applies the rows by the rule of `docs/reference/record.md`, and looks at nothing else.
    fn follow(&mut self) {
        for row in self.records.drain(..) {
            let price = scaled(row.price, row.price_scale);
            match row.kind {
                kind::BOOK_BID | kind::BOOK_ASK => {
                    let levels = &mut self.follower[usize::from(row.kind == kind::BOOK_ASK)];
                    if row.flags & flag::NO_PRICE != 0 {
                        *levels = (row.flags & flag::INVALID_BOOK == 0).then(BTreeMap::new);
                        continue;
                    }
                    let levels = levels.as_mut().expect("levels of a side that is known");
                    if row.size == 0 {
                        assert!(
                            levels.remove(&price).is_some(),
                            "a level is deleted that was never told"
                        );
                    } else {
                        levels.insert(price, row.size);
                    }
                }
                kind::BID | kind::ASK => {
                    let is_empty = row.flags & flag::NO_PRICE != 0;
                    self.best[usize::from(row.kind == kind::ASK)] =
                        (!is_empty).then_some((price, row.size));
                }
                _ => {}
            }
        }
    }

    fn levels(&self) -> Levels {
        let level = |level: &Level| {
            let price = scaled(level.price.mantissa, level.price.scale) / 10_000 - 1;
            (
                u8::try_from(price).unwrap(),
                u8::try_from(level.size.mantissa).unwrap(),
            )
        };
        self.books.book(0, 0).iter().flatten().map(level).collect()
    }

    fn check(&mut self) {
        self.follow();
        if self.books.state(0) != state::LIVE {
            return;
        }
        let (levels, last) = (self.levels(), self.books.last_id(0));
        let is_known = |(id, truth): &(i64, Levels)| (last == 0 || *id == last) && *truth == levels;
        assert!(
            self.history.iter().any(is_known),
            "live at {last} with {levels:?}, unlike {:?}",
            self.history
        );
        for (side, book) in self.books.book(0, WATCHED_LEVELS).into_iter().enumerate() {
            let told: BTreeMap<i64, i64> = book.iter().take(self.depth).map(number).collect();
            let told = (self.depth > 0).then_some(told);
            assert_eq!(self.follower[side], told, "published levels");
            let best = book.first().map(number);
            assert_eq!(self.best[side], best, "best");
        }
    }

    /// Nothing is disturbed any more: the book is repaired as a session does it.
    fn settle(&mut self) {
        for round in 0..12_u8 {
            while !self.wire.is_empty() {
                self.deliver();
                self.check();
            }
            self.now += 6_000_000_000;
            self.update(&Levels::from([(round % 16, 1 + round % 3)]));
            self.deliver();
            self.check();
            if self.books.state(0) != state::LIVE {
                self.snapshot(0);
                while !self.wire.is_empty() {
                    self.deliver();
                }
                self.check();
            }
        }
        assert_eq!(self.books.state(0), state::LIVE);
        assert_eq!(self.levels(), self.truth);
        if self.rule.chain != Chain::None {
            assert_eq!(self.books.last_id(0), self.id);
        }
    }
}

fn run(rule: Rule, has_previous: bool, steps: &[Step]) {
    for depth in [DEPTH, 0] {
        let mut world = World::new(rule, has_previous, depth);
        for step in steps {
            world.step(step);
            world.check();
        }
        world.settle();
    }
}

macro_rules! holds {
    ($($name:ident: $rule:expr, $has_previous:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(400))]
            $(
                #[test]
                fn $name(steps in prop::collection::vec(step(), 1..120)) {
                    run($rule, $has_previous, &steps);
                }
            )*
        }
    };
}

holds! {
    ranges_over_rest: RULE, false;
    ranges_with_previous_over_rest: RULE, true;
    asked_for_on_the_connection: Rule { chain: Chain::Previous, snapshot: SnapshotFrom::Asked, ..RULE }, true;
    previous_in_the_stream: stream(Chain::Previous), true;
    first_of_a_subscription: first(), true;
    consecutive_in_the_stream: stream(Chain::Consecutive), false;
    consecutive_that_begins_at_one: Rule { first_at: Some(1), ..stream(Chain::Consecutive) }, false;
    whole_books: Rule { snapshot: SnapshotFrom::Every, ..stream(Chain::None) }, false;
    a_counter_of_the_connection: Rule { counted: true, scope: Scope::Connection, ..stream(Chain::None) }, false;
    checksums_of_kraken: Rule { checksum: Some(ChecksumKind::Kraken), ..stream(Chain::None) }, false;
    checksums_of_okx_and_a_chain: Rule { checksum: Some(ChecksumKind::Okx), ..stream(Chain::Previous) }, true;
}
