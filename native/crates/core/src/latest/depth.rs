//! Books: the ladder of each leg from its rows, and what a reader sees of it.
//!
//! The rows follow `docs/reference/record.md`, section Books: a side is known (with its levels) or unknown (without
//! any), and an event's rows are applied in order. A leg has a ladder only once it had a row of its book. The book of a
//! security is not kept at all: it is made from its live legs when somebody is to be told, which is at most twenty times
//! a second, while rows come as often as the market moves.
//!
//! A book is shown where both sides are known and the instrument's state does not say that something is missing; else it
//! is empty, with a state that says why.

use std::cmp::Ordering;

use super::consolidate::{NONE, Security};
use super::leg::{Leg, worse};
use super::types::{Cause, Change, Level, Topic};
use super::value::{Amount, Price, order};
use super::{Latest, Of};
use crate::record::{Record, flag, kind, state};

/// Levels of a side that are kept. A producer that tells more loses the worst.
const LEVELS_MAX: usize = 256;

/// A level as a record holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Row {
    price: i64,
    size: i64,
    price_scale: u8,
    size_scale: u8,
}

impl Row {
    fn price(&self) -> Price {
        Price::new(self.price, self.price_scale)
    }

    fn level(&self) -> Level {
        Level {
            price: self.price(),
            size: Amount::new(self.size, self.size_scale),
        }
    }
}

/// How a price stands to another one of the same side: `Less` is better.
fn rank(is_bid: bool, left: Price, right: Price) -> Ordering {
    if is_bid {
        order(right, left)
    } else {
        order(left, right)
    }
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Side {
    is_known: bool,
    /// Best first.
    rows: Vec<Row>,
}

impl Side {
    /// Applies one row; true if it changed anything.
    fn apply(&mut self, is_bid: bool, record: &Record) -> bool {
        if record.flags & flag::NO_PRICE != 0 {
            let is_known = record.flags & flag::INVALID_BOOK == 0;
            let changed = self.is_known != is_known || !self.rows.is_empty();
            self.is_known = is_known;
            self.rows.clear();
            return changed;
        }
        if !self.is_known {
            return false;
        }
        let row = Row {
            price: record.price,
            size: record.size,
            price_scale: record.price_scale,
            size_scale: record.size_scale,
        };
        // A level whose size is not told cannot be shown as one.
        let is_gone = record.flags & flag::NO_SIZE != 0 || record.size <= 0;
        let place = self
            .rows
            .binary_search_by(|other| rank(is_bid, other.price(), row.price()));
        match place {
            Ok(at) if is_gone => {
                self.rows.remove(at);
            }
            Ok(at) if self.rows[at] == row => return false,
            Ok(at) => self.rows[at] = row,
            Err(_) if is_gone => return false,
            Err(at) if at >= LEVELS_MAX => return false,
            Err(at) => {
                self.rows.insert(at, row);
                self.rows.truncate(LEVELS_MAX);
            }
        }
        true
    }
}

/// A leg's book.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Ladder {
    bids: Side,
    asks: Side,
    /// Event time of the newest change, ns.
    ts_event: i64,
    /// Changed by the event in hand.
    pub is_changed: bool,
    /// Changed ever: rows that change nothing (of an unknown side) tell nothing.
    is_told: bool,
}

impl Ladder {
    pub fn apply(&mut self, record: &Record) {
        let is_bid = record.kind == kind::BOOK_BID;
        let side = if is_bid {
            &mut self.bids
        } else {
            &mut self.asks
        };
        if side.apply(is_bid, record) {
            (self.is_changed, self.is_told) = (true, true);
            let ts = if record.ts_event > 0 {
                record.ts_event
            } else {
                record.ts_recv
            };
            self.ts_event = self.ts_event.max(ts);
        }
    }

    fn is_known(&self) -> bool {
        self.bids.is_known && self.asks.is_known
    }
}

/// A book as somebody sees it: at most so many levels a side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Best first.
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// One of [`state`]; the instrument's, but `EMPTY` or `SYNCING` where it could be shown and is not known.
    pub state: u8,
    /// Event time of the newest change, ns; 0 where nothing is known.
    pub timestamp_ns: i64,
    /// Digits of a second in `timestamp_ns`.
    pub time_precision: u8,
}

impl Book {
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        (self.state, self.timestamp_ns, self.time_precision) = (state::EMPTY, 0, 0);
    }

    /// What turns this book into `newer`, best first: sizes as they are there, 0 where the level is gone.
    pub fn difference(&self, newer: &Self, bids: &mut Vec<Level>, asks: &mut Vec<Level>) {
        difference(true, &self.bids, &newer.bids, bids);
        difference(false, &self.asks, &newer.asks, asks);
    }

    /// Applies a difference: what a client does with an update, and a mirror with a frame of its owner.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        for (is_bid, side, levels) in [(true, &mut self.bids, bids), (false, &mut self.asks, asks)]
        {
            for level in levels {
                let place = side.binary_search_by(|other| rank(is_bid, other.price, level.price));
                match place {
                    Ok(at) if level.size.mantissa == 0 => {
                        side.remove(at);
                    }
                    Ok(at) => side[at] = *level,
                    Err(_) if level.size.mantissa == 0 => {}
                    Err(at) => side.insert(at, *level),
                }
            }
        }
    }

    /// CRC-32 of the book's text: `price:size` of the bids, then of the asks, best first, joined by commas.
    #[must_use]
    pub fn digest(&self) -> u32 {
        let mut text = Vec::with_capacity(24 * (self.bids.len() + self.asks.len()));
        for level in self.bids.iter().chain(&self.asks) {
            if !text.is_empty() {
                text.push(b',');
            }
            crate::encode::text::write_price(&mut text, Some(level.price), false);
            text.push(b':');
            crate::encode::text::write_amount(&mut text, Some(level.size), false);
        }
        crc32fast::hash(&text)
    }
}

/// A level that says that its price is gone.
fn gone(price: Price) -> Level {
    Level {
        price,
        size: Amount::new(0, 0),
    }
}

/// One side's difference. The same price with other digits is another text to clients: the old one goes first.
fn difference(is_bid: bool, old: &[Level], new: &[Level], out: &mut Vec<Level>) {
    let (mut old, mut new) = (old, new);
    loop {
        match (old.first(), new.first()) {
            (None, None) => return,
            (Some(before), None) => {
                out.push(gone(before.price));
                old = &old[1..];
            }
            (None, Some(_)) => {
                out.extend_from_slice(new);
                return;
            }
            (Some(before), Some(now)) => match rank(is_bid, before.price, now.price) {
                Ordering::Less => {
                    out.push(gone(before.price));
                    old = &old[1..];
                }
                Ordering::Greater => {
                    out.push(*now);
                    new = &new[1..];
                }
                Ordering::Equal => {
                    if before.price != now.price {
                        out.push(gone(before.price));
                    }
                    if before != now {
                        out.push(*now);
                    }
                    (old, new) = (&old[1..], &new[1..]);
                }
            },
        }
    }
}

/// Merges sides: sizes are added where prices are equal, with the digits of the finest.
fn merge(is_bid: bool, sides: &mut [&[Row]], depth: usize, out: &mut Vec<Level>) {
    while out.len() < depth {
        let firsts = sides.iter().filter_map(|side| side.first());
        let Some(best) = firsts
            .map(Row::price)
            .min_by(|left, right| rank(is_bid, *left, *right))
        else {
            return;
        };
        let mut level: Option<Level> = None;
        for side in sides.iter_mut() {
            let Some(row) = side.first() else { continue };
            if order(row.price(), best) != Ordering::Equal {
                continue;
            }
            *side = &side[1..];
            let found = row.level();
            level = Some(level.map_or(found, |sum| Level {
                price: if found.price.scale > sum.price.scale {
                    found.price
                } else {
                    sum.price
                },
                size: sum.size.plus(found.size),
            }));
        }
        out.extend(level);
    }
}

/// Whether a book may be seen in this state of its instrument.
fn is_shown(effective: u8) -> bool {
    matches!(
        effective,
        state::LIVE
            | state::HALTED
            | state::AUCTION
            | state::CLOSED
            | state::UNVERIFIED
            | state::DELAYED
    )
}

impl Leg {
    /// Takes a row of the book.
    pub fn book_row(&mut self, record: &Record) {
        self.book.get_or_insert_default().apply(record);
    }

    /// The state of a book that is not known, of an instrument in the state `effective`. `EMPTY` promises nothing: no
    /// level was ever told, and perhaps the venue tells none.
    fn unknown_book(effective: u8, is_told: bool) -> u8 {
        match (is_shown(effective), is_told) {
            (true, true) => worse(effective, state::SYNCING),
            (true, false) => state::EMPTY,
            (false, _) => effective,
        }
    }

    /// Whether anything was ever told of the book.
    fn is_book_told(&self) -> bool {
        self.book.as_deref().is_some_and(|book| book.is_told)
    }

    /// The ladder, where it is known on both sides.
    fn whole_book(&self) -> Option<&Ladder> {
        self.book.as_deref().filter(|book| book.is_known())
    }
}

impl Latest {
    /// The book of a topic as it is now, at most `depth` levels a side.
    pub fn book(&self, topic: Topic, depth: u8, out: &mut Book) {
        out.clear();
        match self.topics[topic as usize].of {
            Of::Leg(place) => self.book_of_leg(&self.legs[place as usize], depth, out),
            Of::Security(place) => {
                self.book_of_security(&self.securities[place as usize], depth, out);
            }
        }
    }

    fn book_of_leg(&self, leg: &Leg, depth: u8, out: &mut Book) {
        out.time_precision = leg.precision;
        let Some(ladder) = leg.whole_book() else {
            out.state = Leg::unknown_book(leg.effective, leg.is_book_told());
            return;
        };
        out.state = self.shown(leg.effective);
        if is_shown(leg.effective) {
            out.timestamp_ns = ladder.ts_event;
            let depth = usize::from(depth);
            let levels = |side: &Side, out: &mut Vec<Level>| {
                out.extend(side.rows.iter().take(depth).map(Row::level));
            };
            levels(&ladder.bids, &mut out.bids);
            levels(&ladder.asks, &mut out.asks);
        }
    }

    fn book_of_security(&self, security: &Security, depth: u8, out: &mut Book) {
        let legs = security.legs.iter().map(|leg| &self.legs[*leg as usize]);
        let live = legs.filter(|leg| leg.effective == state::LIVE);
        let mut is_told = false;
        let mut bids: Vec<&[Row]> = Vec::with_capacity(security.legs.len());
        let mut asks = bids.clone();
        for leg in live {
            is_told |= leg.is_book_told();
            let Some(ladder) = leg.whole_book() else {
                continue;
            };
            bids.push(&ladder.bids.rows);
            asks.push(&ladder.asks.rows);
            if ladder.ts_event >= out.timestamp_ns {
                (out.timestamp_ns, out.time_precision) = (ladder.ts_event, leg.precision);
            }
        }
        // Legs that are not live are not merged: without a live one, the state says why there is nothing.
        out.state = if bids.is_empty() && security.effective == state::LIVE {
            Leg::unknown_book(security.effective, is_told)
        } else {
            self.shown(security.effective)
        };
        merge(true, &mut bids, depth.into(), &mut out.bids);
        merge(false, &mut asks, depth.into(), &mut out.asks);
    }

    /// Tells that the event in hand changed a leg's book.
    #[inline]
    pub(super) fn publish_book(&mut self, leg: u32, sink: &mut impl FnMut(&Self, Change)) {
        let entry = &mut self.legs[leg as usize];
        let Some(book) = entry.book.as_deref_mut().filter(|book| book.is_changed) else {
            return;
        };
        book.is_changed = false;
        let (topic, security) = (entry.topic, entry.security);
        self.publish_keyed(topic, security, Cause::Book, sink);
    }

    /// A change of a book or a bar: of the instrument and of its security.
    pub(super) fn publish_keyed(
        &self,
        topic: Topic,
        security: u32,
        cause: Cause,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        let of_security = (security != NONE).then(|| self.securities[security as usize].topic);
        for topic in core::iter::once(topic).chain(of_security) {
            sink(
                self,
                Change {
                    topic,
                    fields: 0,
                    cause,
                },
            );
        }
    }
}
