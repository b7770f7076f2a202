//! A leg: newest state of one venue's instrument. Pure: rows in, bits of what changed out.
//!
//! Quotes of an event are staged and become visible together at its end. A trade is visible at once, since each trade
//! counts by itself.

use std::cmp::Ordering;

use super::bars::LegBars;
use super::depth::Ladder;
use super::memory::{Entry, Last, Memory, did};
use super::session::{Range, Session};
use super::types::{TradeRow, field};
use super::value::{Amount, Price, order};
use crate::record::{Record, flag, state};

/// Best first. `worse` of two states is the later one here; the best leg's state is the security's.
const RANKS: [u8; 11] = {
    let best_first = [
        state::LIVE,
        state::AUCTION,
        state::HALTED,
        state::CLOSED,
        state::DELAYED,
        state::UNVERIFIED,
        state::REPAIRING,
        state::GAP,
        state::SYNCING,
        state::STALE,
        state::EMPTY,
    ];
    let mut ranks = [0; 11];
    let mut rank = 0;
    while rank < best_first.len() {
        ranks[best_first[rank] as usize] = rank as u8;
        rank += 1;
    }
    ranks
};

/// Place of a state between best (0) and worst.
pub fn rank(state: u8) -> u8 {
    RANKS[usize::from(state)]
}

/// The worse of two states.
pub fn worse(left: u8, right: u8) -> u8 {
    if rank(left) >= rank(right) {
        left
    } else {
        right
    }
}

/// One side's best price and size.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Level {
    price: i64,
    size: i64,
    price_scale: u8,
    size_scale: u8,
    has_price: bool,
    has_size: bool,
}

impl Level {
    /// A row of kind bid or ask; a price without size behind it is no price.
    #[inline]
    fn of(record: &Record) -> Self {
        let has_size = record.flags & flag::NO_SIZE == 0;
        if record.flags & flag::NO_PRICE != 0 || (has_size && record.size <= 0) {
            return Self::default();
        }
        Self {
            price: record.price,
            size: record.size,
            price_scale: record.price_scale,
            size_scale: record.size_scale,
            has_price: true,
            has_size,
        }
    }

    #[inline]
    pub fn price(&self) -> Option<Price> {
        self.has_price
            .then(|| Price::new(self.price, self.price_scale))
    }

    #[inline]
    pub fn size(&self) -> Option<Amount> {
        self.has_size
            .then(|| Amount::new(self.size, self.size_scale))
    }

    /// Takes a new value where the number is another one; digits alone are no change. Returns the bits given.
    #[inline]
    fn take(&mut self, new: &Self, price_bit: u32, size_bit: u32) -> u32 {
        let mut changed = 0;
        let same_price = self.has_price == new.has_price
            && order(self.full_price(), new.full_price()) == Ordering::Equal;
        if !same_price {
            (self.price, self.price_scale, self.has_price) =
                (new.price, new.price_scale, new.has_price);
            changed |= price_bit;
        }
        let same_size = self.has_size == new.has_size
            && order(self.full_size(), new.full_size()) == Ordering::Equal;
        if !same_size {
            (self.size, self.size_scale, self.has_size) = (new.size, new.size_scale, new.has_size);
            changed |= size_bit;
        }
        changed
    }

    #[inline]
    fn full_price(&self) -> Price {
        Price::new(self.price, self.price_scale)
    }

    #[inline]
    fn full_size(&self) -> Price {
        Price::new(self.size, self.size_scale)
    }
}

/// A part of the range.
type OfRange = fn(Range) -> Price;

const RANGE_FIELDS: [(u32, OfRange); 3] = [
    (field::OPEN, |range| range.open),
    (field::HIGH, |range| range.high),
    (field::LOW, |range| range.low),
];

/// What the rows of the event in hand did so far.
pub mod pending {
    pub const TOUCHED: u8 = 1 << 0;
    pub const QUOTE: u8 = 1 << 1;
    /// The quote is news, not a state repeated for a late joiner.
    pub const NEWS: u8 = 1 << 2;
    pub const INVALID: u8 = 1 << 3;
}

/// What became of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the leg's last price now.
    Last,
    /// It may set a price, but a later one is known.
    Late,
    /// A condition, or no price: it counts and sets nothing.
    Excluded,
}

/// Newest state of one instrument.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Leg {
    /// Bits of [`pending`].
    pub pending: u8,
    pub precision: u8,
    /// As status rows say; `EMPTY`: nobody said.
    pub status: u8,
    /// What clients see: the worst of status, book and feed.
    pub effective: u8,
    pub is_seen: bool,
    pub is_gap: bool,
    pub is_invalid: bool,
    pub is_crossed: bool,
    /// [`field`] bits changed and not yet told.
    pub changed: u32,
    pub topic: u32,
    /// Place of the security, or `NONE`.
    pub security: u32,
    pub feed: u32,
    pub calendar: u32,
    pub bid: Level,
    pub ask: Level,
    next_bid: Level,
    next_ask: Level,
    pub last: Option<Last>,
    pub session: Session,
    pub memory: Memory,
    /// When `effective` became what it is, ns of our clock.
    pub since: i64,
    /// Event time and venue sequence of the newest trade that was counted.
    counted: Option<(i64, u64)>,
    /// From the first row of the book on.
    pub book: Option<Box<Ladder>>,
    /// From the first trade on.
    pub bars: Option<Box<LegBars>>,
    /// A bust or a correction changed the bars of this time, which was not told yet.
    pub amended_ts: Option<i64>,
    /// How far its venue's clock is certainly ahead of ours, ns.
    pub ahead_ns: i64,
}

impl Leg {
    pub fn new(topic: u32, now_ns: i64) -> Self {
        Self {
            topic,
            security: super::consolidate::NONE,
            since: now_ns,
            ..Self::default()
        }
    }

    /// Notes that a trade is counted; false if it is told again and was counted before.
    #[inline]
    pub fn count(&mut self, row: &TradeRow, seq: u64) -> bool {
        let place = Some((row.ts_event, seq));
        if row.flags & flag::REPLAYED != 0 && place <= self.counted {
            return false;
        }
        if row.flags & flag::SNAPSHOT == 0 {
            self.counted = self.counted.max(place);
        }
        true
    }

    /// What was traded in this session before is not known: neither are its figures.
    pub fn forget_session(&mut self) {
        self.set_range(None);
        self.changed |= field::VOLUME;
        self.session.clear();
        self.session.is_partial = true;
    }

    /// Puts a best bid or ask aside until the event ends.
    #[inline]
    pub fn stage(&mut self, record: &Record, is_bid: bool) {
        if self.pending & pending::QUOTE == 0 {
            self.next_bid = self.bid;
            self.next_ask = self.ask;
        }
        self.pending |= pending::QUOTE;
        if record.flags & flag::SNAPSHOT == 0 {
            self.pending |= pending::NEWS;
        }
        if record.flags & flag::INVALID_BOOK != 0 {
            self.pending |= pending::INVALID;
        }
        *(if is_bid {
            &mut self.next_bid
        } else {
            &mut self.next_ask
        }) = Level::of(record);
    }

    /// Shows the staged quote. A quote of a valid book also ends a gap.
    #[inline]
    pub fn commit(&mut self) {
        if self.pending & pending::QUOTE == 0 {
            return;
        }
        let (bid, ask) = (self.next_bid, self.next_ask);
        self.changed |= self.bid.take(&bid, field::BID, field::BID_SIZE);
        self.changed |= self.ask.take(&ask, field::ASK, field::ASK_SIZE);
        self.is_seen |= self.bid.has_price || self.ask.has_price;
        self.is_invalid = self.pending & pending::INVALID != 0;
        self.is_gap &= self.is_invalid;
        self.is_crossed = self.bid.has_price
            && self.ask.has_price
            && order(self.bid.full_price(), self.ask.full_price()) != Ordering::Less;
    }

    /// The leg's own state, before its feed's is laid over it.
    #[inline]
    pub fn own_state(&self) -> u8 {
        let mut own = match self.status {
            state::EMPTY | state::LIVE if self.is_seen => state::LIVE,
            state::EMPTY | state::LIVE => return state::EMPTY,
            other => other,
        };
        // In an auction or a halt a crossed book is how it should be.
        if self.is_invalid || (self.is_crossed && own == state::LIVE) {
            own = worse(own, state::REPAIRING);
        }
        if self.is_gap {
            worse(own, state::GAP)
        } else {
            own
        }
    }

    /// Lays the feed's state over the leg's own.
    #[inline]
    pub fn refresh_state(&mut self, feed_state: u8, now_ns: i64) {
        let effective = match (self.own_state(), feed_state) {
            // nothing is known, and the feed says that it is under way
            (state::EMPTY, state::SYNCING) => state::SYNCING,
            (own, feed) => worse(own, feed),
        };
        if effective != self.effective {
            self.effective = effective;
            self.since = now_ns;
            self.changed |= field::STATE;
        }
    }

    /// Takes a status row.
    pub fn set_status(&mut self, status: u8) {
        self.status = status;
        match status {
            state::EMPTY => self.is_seen = false,
            state::LIVE => (self.is_gap, self.is_invalid) = (false, false),
            _ => {}
        }
    }

    /// Rows are missing before this one: no quote is believed until the next of a valid book.
    pub fn set_gap(&mut self) {
        self.is_gap = true;
    }

    /// Applies a trade that is no history. `session` has rolled already if it had to.
    pub fn trade(&mut self, row: &TradeRow, exclude_conditions: u16, memory_max: usize) -> Fate {
        let is_snapshot = row.flags & flag::SNAPSHOT != 0;
        let has_size = row.has_size() && row.size > 0;
        let mut done = 0;
        if row.has_price() && row.conditions & exclude_conditions == 0 {
            done |= did::PRICE;
        }
        if row.flags & (flag::BACKFILLED | flag::SNAPSHOT) != 0 {
            done |= did::YIELD;
        }
        if row.has_price() {
            done |= did::PRICED;
        }
        if !is_snapshot {
            done |= did::BAR;
        }
        if !is_snapshot && row.ts_event >= self.session.start {
            if has_size && self.session.knows_volume() {
                done |= did::VOLUME;
            }
            if done & did::PRICE != 0 && !self.session.is_partial {
                done |= did::RANGE;
            }
        }
        let trade = Last {
            ts: row.ts_event,
            id: row.id,
            price: row.price,
            size: row.size,
            price_scale: row.price_scale,
            size_scale: row.size_scale,
            side: if row.side > 2 { 0 } else { row.side },
            has_size,
        };
        self.is_seen = true;
        if self.bid.price().is_none() && self.ask.price().is_none() {
            self.is_gap = false;
        }
        if done & did::VOLUME != 0 {
            self.session
                .add_volume(Amount::new(row.size, row.size_scale));
            self.changed |= field::VOLUME;
        }
        if done & did::RANGE != 0
            && !self
                .session
                .range
                .is_some_and(|range| range.holds(trade.price(), trade.ts))
        {
            self.set_range(Some(Range::with(
                self.session.range,
                trade.price(),
                trade.ts,
            )));
        }
        let entry = Entry { trade, did: done };
        let fate = self.fate(&entry, is_snapshot);
        if fate == Fate::Last {
            self.keep_close(&trade, done);
            self.set_last(Some(trade));
        }
        if fate == Fate::Last || !is_snapshot {
            let forgotten = &mut self.session.forgotten;
            if let Some(oldest) = self.memory.push(entry, memory_max, forgotten)
                && let Some(bars) = &mut self.bars
            {
                bars.forget(&oldest, &self.memory);
            }
        }
        fate
    }

    fn fate(&self, entry: &Entry, is_snapshot: bool) -> Fate {
        if entry.did & did::PRICE == 0 {
            return Fate::Excluded;
        }
        match self.last {
            // The snapshot of what is known already.
            Some(last) if is_snapshot && entry.trade.ts <= last.ts => Fate::Late,
            last if entry.after(last).is_none_or(|after| after != entry.trade) => Fate::Late,
            _ => Fate::Last,
        }
    }

    /// A trade of the session before, come after the roll and before any trade of the new one, is that session's close.
    fn keep_close(&mut self, trade: &Last, done: u8) {
        let is_before = trade.ts < self.session.start && done & did::RANGE == 0;
        if is_before && self.session.close_id.is_some() && self.session.range.is_none() {
            self.set_prev_close(Some(trade.price()));
            self.session.close_id = Some(trade.id);
        }
    }

    /// Begins a new session: the last price becomes the previous close.
    pub fn roll(&mut self, bounds: (i64, i64)) {
        self.session.assign(bounds);
        if self.session.range.is_some() {
            self.changed |= field::OPEN | field::HIGH | field::LOW;
        }
        if self.session.volume.is_some() || self.session.is_partial {
            self.changed |= field::VOLUME;
        }
        self.session.clear();
        self.memory.roll();
        if let Some(last) = self.last {
            self.set_prev_close(Some(last.price()));
            self.session.close_id = Some(last.id);
        }
    }

    /// Takes a trade back. False if it is not remembered.
    pub fn bust(&mut self, id: u64, size: Option<Amount>) -> bool {
        let Some(entry) = self.memory.take(id) else {
            return self.bust_forgotten(id, size);
        };
        if entry.did & did::VOLUME != 0
            && let Some(size) = entry.trade.size()
        {
            self.correct_volume(Amount::default().minus(size));
        }
        self.bust_in_bars(&entry);
        self.recount(id);
        true
    }

    /// A trade beyond the memory: its price goes if it is still shown, its size if the venue repeats it.
    fn bust_forgotten(&mut self, id: u64, size: Option<Amount>) -> bool {
        if let Some(size) = size {
            self.correct_volume(Amount::default().minus(size));
        }
        let was_owned = self.memory.disown(id);
        if was_owned {
            self.set_last(self.memory.last());
        }
        was_owned
    }

    /// Gives a trade another price and size. False if it is not remembered.
    pub fn correct(&mut self, record: &Record) -> bool {
        let Some(entry) = self.memory.find(record.id) else {
            return false;
        };
        let old = *entry;
        let old_size = entry.trade.size();
        if record.flags & flag::NO_PRICE == 0 {
            (entry.trade.price, entry.trade.price_scale) = (record.price, record.price_scale);
        }
        if record.flags & flag::NO_SIZE == 0 {
            (entry.trade.size, entry.trade.size_scale) = (record.size, record.size_scale);
            entry.trade.has_size = record.size > 0;
        }
        let new = *entry;
        let new_size = new.trade.size();
        if new.did & did::VOLUME != 0 && old_size != new_size {
            let zero = Amount::default();
            self.correct_volume(new_size.unwrap_or(zero).minus(old_size.unwrap_or(zero)));
        }
        self.correct_in_bars(&old, &new);
        self.recount(record.id);
        true
    }

    fn correct_volume(&mut self, difference: Amount) {
        if self.session.correct_volume(difference) {
            self.changed |= field::VOLUME;
        }
    }

    /// Tells last price, open, high, low and a rolled close anew from what is remembered.
    fn recount(&mut self, id: u64) {
        self.set_range(self.memory.range(self.session.forgotten));
        self.set_last(self.memory.last());
        if self.session.close_id == Some(id)
            && let Some(close) = self.memory.close()
        {
            self.set_prev_close(Some(close.price()));
            self.session.close_id = Some(close.id);
        }
    }

    fn set_range(&mut self, range: Option<Range>) {
        let old = std::mem::replace(&mut self.session.range, range);
        for (bit, of) in RANGE_FIELDS {
            if old.map(of) != range.map(of) {
                self.changed |= bit;
            }
        }
    }

    pub fn set_prev_close(&mut self, close: Option<Price>) {
        let old = self.session.prev_close;
        if old != close {
            self.session.prev_close = close;
            self.changed |= field::PREV_CLOSE | field::CHANGE | field::CHANGE_PCT;
        }
    }

    fn set_last(&mut self, last: Option<Last>) {
        let bits = changed_last(self.last.as_ref(), last.as_ref());
        self.last = last;
        self.changed |= bits;
        if bits & field::PRICE != 0 && self.session.prev_close.is_some() {
            self.changed |= field::CHANGE | field::CHANGE_PCT;
        }
    }
}

/// Bits of the fields in which two last trades differ, but for the venue.
pub fn changed_last(old: Option<&Last>, new: Option<&Last>) -> u32 {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, None) => return 0,
        (Some(only), None) | (None, Some(only)) => {
            let size = if only.has_size { field::SIZE } else { 0 };
            let side = if only.side == 0 { 0 } else { field::SIDE };
            return field::PRICE | field::TIMESTAMP | size | side;
        }
    };
    let mut bits = 0;
    if (old.price, old.price_scale) != (new.price, new.price_scale) {
        bits |= field::PRICE;
    }
    if (old.size, old.size_scale, old.has_size) != (new.size, new.size_scale, new.has_size) {
        bits |= field::SIZE;
    }
    if old.side != new.side {
        bits |= field::SIDE;
    }
    if old.ts != new.ts {
        bits |= field::TIMESTAMP;
    }
    bits
}
