//! The book of one instrument: its levels, what was told of it, and what is known of its wholeness.

use std::collections::VecDeque;

use super::chain::{self, BEHIND_MAX_NS, Ids, Position};
use super::checksum::Memory;
use super::ladder::{Ladder, Packed, order};
use super::named::Named;
use super::rows::{self, Best, Origin};
use super::rule::{Chain, Rule, SnapshotFrom};
use super::source::Source;
use super::waiting::Buffer;
use super::{BookMessage, Quote, QuoteSide, Side};
use crate::decimal::Decimal;
use crate::record::{Record, state};
use core::cmp::Ordering;

const SIDES: [Side; 2] = [Side::Bid, Side::Ask];

/// Newest changes of a book that nothing proves, kept to tell a difference from the venue's own book from a race with it.
const RECENT_MAX: usize = 256;

/// Whether the levels are those of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There was no snapshot yet.
    Begin,
    /// It was whole once, or something was missing.
    Broken,
    Whole,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    pub instrument: u64,
    pub has_book: bool,
    pub has_quotes: bool,
    /// The venue's word.
    pub venue_state: u8,
    /// State that was told last.
    pub told: u8,
    pub phase: Phase,
    /// What is shown while the book is not whole, or its stream is lost.
    pub lost: u8,
    /// The stream is lost: what the book holds may be old.
    pub is_stale: bool,
    /// Something proves that the book is whole.
    pub is_proved: bool,
    /// Kind and link of its messages.
    pub kind: Option<u16>,
    pub link: Option<u32>,
    /// When the newest message of that link came.
    pub heard_ns: i64,
    /// Since when it is crossed in the midst of changes of one moment; 0 = it is not.
    pub crossed_ns: i64,
    /// Who feeds the best bid and offer.
    pub quotes: Source,
    pub position: Position,
    pub ladders: [Ladder; 2],
    /// Its levels by the venue's ids, where it has such.
    pub named: Named,
    pub waiting: Buffer,
    pub memory: Memory,
    /// Highest id seen since the last snapshot, of quotes that count with the book's ids too.
    pub seen: i64,
    /// Snapshots in a row that were older than that.
    pub doubted: u8,
    /// Rows of any kind that came.
    pub rows: u64,
    best: [Best; 2],
    /// Id of the newest quote that counts with the book's.
    best_id: i64,
    /// Best levels a side that are told; 0 = none.
    shown: usize,
    /// The whole book was told: from here on changes are.
    begun: bool,
    /// Levels told, the best last.
    published: [Vec<Packed>; 2],
    /// With the times when they came.
    recent: VecDeque<(i64, Packed)>,
}

impl Book {
    pub fn new(
        instrument: u64,
        has_book: bool,
        has_quotes: bool,
        venue_state: u8,
        shown: usize,
    ) -> Self {
        Self {
            instrument,
            has_book,
            has_quotes,
            venue_state,
            told: state::EMPTY,
            phase: Phase::Begin,
            lost: state::SYNCING,
            is_stale: false,
            is_proved: false,
            kind: None,
            link: None,
            heard_ns: 0,
            crossed_ns: 0,
            quotes: Source::default(),
            position: Position::default(),
            ladders: Default::default(),
            named: Named::default(),
            waiting: Buffer::default(),
            memory: Memory::default(),
            seen: 0,
            doubted: 0,
            rows: 0,
            best: Default::default(),
            best_id: 0,
            shown,
            begun: false,
            published: Default::default(),
            recent: VecDeque::new(),
        }
    }

    pub fn is_whole(&self) -> bool {
        self.phase == Phase::Whole
    }

    // ---------------------------------------------------------------- state

    /// State to be shown.
    pub fn state(&self) -> u8 {
        if self.is_stale {
            return self.lost;
        }
        let is_open = self.venue_state == state::LIVE;
        match self.phase {
            _ if !self.has_book => self.venue_state,
            Phase::Begin if is_open || self.lost != state::SYNCING => self.lost,
            Phase::Broken => self.lost,
            Phase::Whole if is_open && !self.is_proved => state::UNVERIFIED,
            Phase::Begin | Phase::Whole => self.venue_state,
        }
    }

    /// Tells the state if it is news.
    pub fn tell_state(&mut self, ts_recv: i64, records: &mut Vec<Record>) {
        let state = self.state();
        if state != self.told {
            self.told = state;
            records.push(rows::status(self.instrument, state, ts_recv));
        }
    }

    /// The stream broke: what comes next must join, quotes may begin their numbers anew.
    pub fn resume(&mut self) {
        self.position.resumed = true;
        self.best_id = 0;
        if !self.is_whole() {
            self.waiting.clear();
        }
    }

    /// Whether a difference is of another connection than the one that feeds the book. Of two that bring the same book, one is
    /// enough: the other's differences count where they go on from what the book has, or when the first has fallen silent.
    pub fn is_foreign(&mut self, chain: Chain, message: &BookMessage<'_>) -> bool {
        let is_other = self.link.is_some_and(|link| link != message.link);
        if !is_other || self.position.resumed {
            return false;
        }
        if !self.is_whole() {
            // what waits for a snapshot is of one connection
            let age_ns = message.origin.ts_recv.saturating_sub(self.heard_ns);
            return self.waiting.len() > 0 && age_ns < BEHIND_MAX_NS;
        }
        let end = self.position.last;
        if end.is_some_and(|end| chain::follows(chain, end, Ids::of(message))) {
            return false;
        }
        if message.origin.ts_recv.saturating_sub(self.heard_ns) < BEHIND_MAX_NS {
            return true;
        }
        self.resume();
        false
    }

    /// Whether a difference of another connection is of what the one that feeds the book will bring: it waits until then.
    pub fn is_ahead(&self, chain: Chain, message: &BookMessage<'_>) -> bool {
        let ends = self.position.last.zip(message.last);
        chain != Chain::None && self.is_whole() && ends.is_some_and(|(held, last)| last > held)
    }

    /// Whether a whole book that another connection brings is to be left out: it is older than ours, and what follows it there
    /// joins ours by itself; or every message is a whole book and nothing says which is newer.
    pub fn is_outdone(&self, rule: &Rule, message: &BookMessage<'_>) -> bool {
        let is_other = self.link.is_some_and(|link| link != message.link);
        if !is_other || !self.is_whole() || self.position.resumed || self.is_stale {
            return false;
        }
        let is_silent = message.origin.ts_recv.saturating_sub(self.heard_ns) >= BEHIND_MAX_NS;
        match (self.position.last, message.last) {
            (Some(held), Some(last)) if rule.snapshot == SnapshotFrom::Every => {
                last <= held && !is_silent
            }
            (Some(held), Some(last)) if rule.chain != Chain::None => last < held && !is_silent,
            _ => rule.snapshot == SnapshotFrom::Every && !is_silent,
        }
    }

    /// Whether it is whole, and what comes over this connection goes on with it: no subscription began since.
    pub fn goes_on_at(&self, link: u32) -> bool {
        self.is_whole() && !self.position.resumed && self.link == Some(link)
    }

    /// Drops the levels; [`Book::forget_levels`] says so.
    pub fn drop_levels(&mut self, lost: u8) {
        self.phase = Phase::Broken;
        self.lost = lost;
        self.is_stale = false;
        self.is_proved = false;
        self.crossed_ns = 0;
        self.seen = self.seen.max(self.position.last.unwrap_or_default());
        self.position = Position::default();
        for ladder in &mut self.ladders {
            ladder.clear();
        }
        self.named.clear();
        self.waiting.clear();
        self.recent = VecDeque::new();
        if !self.has_quotes {
            self.best = Default::default();
        }
    }

    /// The book is whole now. True = it was not, or nobody knew.
    pub fn become_whole(&mut self) -> bool {
        let was = self.is_whole() && !self.is_stale;
        self.phase = Phase::Whole;
        self.is_stale = false;
        self.lost = state::SYNCING;
        !was
    }

    // ---------------------------------------------------------------- levels

    /// Sets and deletes levels. Returns for each side whether the levels that are told may have changed.
    pub fn apply(&mut self, changes: impl Iterator<Item = Packed>) -> [bool; 2] {
        let mut touched = [false; 2];
        for change in changes {
            let side = change.side() as usize;
            let better = self.ladders[side].set(change);
            touched[side] |= better.is_some_and(|better| better < self.shown);
            if !self.is_proved {
                self.recent.truncate(RECENT_MAX - 1);
                self.recent.push_front((self.heard_ns, change));
            }
        }
        touched
    }

    pub fn replace(&mut self, changes: impl Iterator<Item = Packed> + Clone) {
        for side in SIDES {
            self.ladders[side as usize].replace(side, changes.clone());
        }
    }

    pub fn cut(&mut self, depth: usize) {
        for ladder in &mut self.ladders {
            ladder.cut(depth);
        }
    }

    /// Best bid at or above best ask.
    pub fn crossed(&self) -> Option<(Decimal, Decimal)> {
        let [bid, ask] = [0, 1].map(|side: usize| self.ladders[side].best());
        let (bid, ask) = (bid?.price(), ask?.price());
        (bid.compare(ask) != Ordering::Less).then_some((bid, ask))
    }

    /// Whether a level changed after a time.
    pub fn changed_since(&self, since_ns: i64, side: Side, price: Decimal) -> bool {
        let recent = self.recent.iter();
        recent
            .take_while(|(at_ns, _)| *at_ns > since_ns)
            .any(|(_, change)| {
                change.side() == side && change.price().compare(price) == Ordering::Equal
            })
    }

    pub fn bytes(&self) -> usize {
        let levels: usize = self.ladders.iter().map(Ladder::bytes).sum();
        let published: usize = self.published.iter().map(Vec::capacity).sum();
        let packed = published + self.recent.capacity();
        size_of::<Self>()
            + levels
            + packed * size_of::<(i64, Packed)>()
            + self.named.bytes()
            + self.waiting.bytes()
            + self.memory.bytes()
    }

    // ---------------------------------------------------------------- rows

    /// Writes what a message changed as one event: the best bid and offer, if the book gives it (`follow`: where it is newer
    /// than the quotes), then the levels that changed, of the sides that are `touched`, or the whole book.
    pub fn tell(&mut self, told: &Telling, records: &mut Vec<Record>) {
        let begin = records.len();
        let last = self.position.last.unwrap_or_default();
        let origin = Origin::new(self.instrument, told.origin, last);
        if !self.has_quotes || (told.follow && last > self.best_id) {
            for side in SIDES {
                let best = self.ladders[side as usize].best().into();
                self.tell_best(side, best, &origin, records);
            }
        }
        if self.shown > 0 && (told.whole || !self.begun) {
            self.publish_whole(&origin, records);
        } else if self.shown > 0 {
            for side in SIDES
                .into_iter()
                .filter(|&side| told.touched[side as usize])
            {
                self.publish(side, &origin, records);
            }
        }
        rows::end_event(records, begin);
    }

    /// Tells the best `levels` from now on: the whole book, or that it is not known any more.
    pub fn show(&mut self, levels: usize, ts_recv: i64, records: &mut Vec<Record>) {
        if levels == self.shown {
            return;
        }
        self.shown = levels;
        if levels == 0 {
            self.forget_levels(ts_recv, records);
        } else if self.is_whole() {
            let begin = records.len();
            let last = self.position.last.unwrap_or_default();
            let origin = Origin::new(self.instrument, at(ts_recv), last);
            self.publish_whole(&origin, records);
            rows::end_event(records, begin);
        }
    }

    /// Tells that the levels told so far are not the book's any more, if there are any.
    pub fn forget_levels(&mut self, ts_recv: i64, records: &mut Vec<Record>) {
        if !core::mem::take(&mut self.begun) {
            return;
        }
        self.published = Default::default();
        let origin = Origin::new(self.instrument, at(ts_recv), 0);
        let begin = records.len();
        records.extend(SIDES.map(|side| origin.unknown(side)));
        rows::end_event(records, begin);
    }

    fn publish_whole(&mut self, origin: &Origin, records: &mut Vec<Record>) {
        self.begun = true;
        for side in SIDES {
            let now = self.ladders[side as usize].top(self.shown);
            records.push(origin.begin(side));
            let levels = now.iter().rev();
            records.extend(levels.map(|level| origin.whole().level(side, level.level())));
            let told = &mut self.published[side as usize];
            told.clear();
            told.extend_from_slice(now);
        }
    }

    fn tell_best(&mut self, side: Side, best: Best, origin: &Origin, records: &mut Vec<Record>) {
        let before = &mut self.best[side as usize];
        if *before != best {
            *before = best;
            records.push(origin.best(side, best));
        }
    }

    /// Writes the difference between the levels told and the best ones, best first.
    fn publish(&mut self, side: Side, origin: &Origin, records: &mut Vec<Record>) {
        let now = self.ladders[side as usize].top(self.shown);
        let before = &mut self.published[side as usize];
        let (mut old, mut new) = (before.iter().rev().peekable(), now.iter().rev().peekable());
        loop {
            let comparison = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (Some(old), Some(new)) => order(side, old.price(), new.price()),
            };
            let was = if comparison == Ordering::Less {
                None
            } else {
                old.next()
            };
            let is = if comparison == Ordering::Greater {
                None
            } else {
                new.next()
            };
            match (was, is) {
                (Some(gone), None) => {
                    let mut level = gone.level();
                    (level.size, level.inexact) = (Decimal::default(), false);
                    records.push(origin.level(side, level));
                }
                (was, Some(level)) if was != Some(level) => {
                    records.push(origin.level(side, level.level()));
                }
                _ => {}
            }
        }
        before.clear();
        before.extend_from_slice(now);
    }

    /// Takes a quote: tells the sides that changed. One that is older than the book says nothing, nor does one that comes
    /// beside other things (in a ticker) where the book gives the best bid and offer.
    pub fn quote(&mut self, quote: &Quote, records: &mut Vec<Record>) {
        if !self.has_quotes {
            return;
        }
        let seq = quote.seq.unwrap_or_default();
        if quote.comparable && quote.seq.is_some() {
            let held = self.position.last.unwrap_or_default();
            if self.is_whole() && !self.is_stale && seq < held && seq >= self.best_id {
                return; // the book gave the best already
            }
            self.best_id = seq;
            self.seen = self.seen.max(seq);
        }
        let begin = records.len();
        let origin = Origin::new(self.instrument, quote.origin, seq);
        for (side, given) in SIDES.into_iter().zip([quote.bid, quote.ask]) {
            let best = match given {
                QuoteSide::Unchanged => continue,
                QuoteSide::Level {
                    price,
                    size: Some(size),
                    inexact,
                } if price.mantissa != 0 => Best::Level(super::Level {
                    price,
                    size,
                    inexact,
                }),
                QuoteSide::Level {
                    price, size: None, ..
                } if price.mantissa != 0 => Best::Price(price),
                QuoteSide::Level { .. } | QuoteSide::Empty => Best::Empty,
            };
            self.tell_best(side, best, &origin, records);
        }
        rows::end_event(records, begin);
    }
}

/// The origin of what no message of the venue says.
fn at(ts_recv: i64) -> Record {
    Record {
        ts_event: ts_recv,
        ts_recv,
        ..Record::default()
    }
}

/// How a change of a book is told.
pub(super) struct Telling {
    pub origin: Record,
    /// The book is newer than quotes of a smaller id.
    pub follow: bool,
    /// The whole book is told, changed or not.
    pub whole: bool,
    pub touched: [bool; 2],
}

/// Changes of a message, packed.
pub(super) fn packed<'a>(
    message: &'a BookMessage<'_>,
) -> impl Iterator<Item = Packed> + Clone + use<'a> {
    message.changes.iter().map(Packed::new)
}
