//! What PITCH says, applied: the orders and the clock of every unit, a book for each symbol, and the rows that follow.
//!
//! Both forms of the protocol end here. A *unit* is the scope of order ids, of the clock and of `Unit Clear`; a symbol
//! belongs to one unit. An order's message names its symbol only when it is added, so orders know their book.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;

pub use crate::dead::{DEAD_MAX, Dead};
use crate::listing::{Listing, ROUND_LOT, Scale, Stamp, publish, publish_move, size};
use crate::orderbook::{Order, Orders, ReferenceHasher, Side, Taken};
use crate::record::{Record, condition, kind};
use crate::shown::Shown;

/// A price above this (ten thousand million with 4 decimals) is damage, not a price.
pub(super) const PRICE_MAX: u64 = 100_000_000_000_000;
/// Executions of a unit that a trade break can name.
const EXECUTIONS_KEPT: usize = 65_536;

/// What of a message the specification does not allow.
pub type Reason = &'static str;

/// Why a message of a type that is not known is a dead letter.
pub const UNKNOWN: Reason = "unknown type";

/// A symbol met for the first time, or known by another name from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// House symbology: the symbol itself, or what an option's mapping says.
    pub symbol: String,
    /// As the feed writes it.
    pub feed_symbol: String,
    pub unit: u8,
    pub round_lot: u32,
    /// Of a mapped option; empty = none.
    pub osi_symbol: String,
}

/// What one call decoded.
#[derive(Debug, Default)]
pub struct Decoded {
    pub records: Vec<Record>,
    pub met: Vec<Met>,
    pub messages: usize,
    pub dead: Vec<Dead>,
    pub dead_count: usize,
    /// Of these, messages of a type that is not known.
    pub unknown: usize,
    pub unpriced: usize,
    /// Of these, executions: trades whose symbol and price are not known.
    pub unpriced_trades: usize,
}

impl Decoded {
    /// Adds what a later call decoded.
    pub fn absorb(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.met.append(&mut other.met);
        self.messages += other.messages;
        let room = DEAD_MAX.saturating_sub(self.dead.len());
        self.dead.extend(other.dead.into_iter().take(room));
        self.dead_count += other.dead_count;
        self.unknown += other.unknown;
        self.unpriced += other.unpriced;
        self.unpriced_trades += other.unpriced_trades;
    }

    #[cold]
    pub(super) fn bury(&mut self, offset: usize, reason: Reason, raw: &[u8]) {
        self.dead_count += 1;
        self.unknown += usize::from(reason == UNKNOWN);
        if self.dead.len() < DEAD_MAX {
            self.dead.push(Dead {
                offset,
                reason,
                raw: raw.to_vec(),
            });
        }
    }
}

/// An order as a message states it.
#[derive(Clone, Copy)]
pub struct Stated {
    pub side: u8,
    pub shares: u32,
    pub price: u64,
}

/// An auction as a message states it; a price of 0 is none.
#[derive(Clone, Copy)]
pub struct Auction {
    pub letter: u8,
    pub buy: u32,
    pub sell: u32,
    pub price: u64,
}

/// The last executions of a unit and the books they were in: a trade break names no symbol.
#[derive(Default)]
pub(super) struct Executions {
    books: HashMap<u64, u32, BuildHasherDefault<ReferenceHasher>>,
    order: VecDeque<u64>,
}

impl Executions {
    fn remember(&mut self, execution: u64, book: u32) {
        if self.books.insert(execution, book).is_some() {
            return;
        }
        if self.order.len() == EXECUTIONS_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.books.remove(&oldest);
        }
        self.order.push_back(execution);
    }
}

#[derive(Default)]
pub(super) struct Unit {
    pub orders: Orders<u64>,
    /// Seconds of the last Time message; `None` before the first.
    seconds: Option<u32>,
    /// Midnight of its day, ns since 1970.
    midnight_ns: i64,
    /// ns since 1970 of the last Time message.
    base_ns: i64,
    executions: Executions,
}

pub(super) struct Stock {
    pub listing: Listing<u64>,
    pub unit: u8,
    pub reg_sho: u8,
    /// Its closing auction or its unit's session is over: a suspension is the end of the day.
    pub is_over: bool,
    /// House symbol of a mapped option; empty = the feed's.
    pub mapped: String,
}

/// A market of one venue.
pub struct Market {
    pub(super) venue: String,
    pub(super) midnight_ns: i64,
    pub(super) symbols: Option<HashSet<Vec<u8>>>,
    pub(super) shown: Shown,
    pub(super) round_lot: u32,
    pub(super) scale: Scale,
    pub(super) stocks: Vec<Stock>,
    pub(super) index: HashMap<u64, u32, BuildHasherDefault<ReferenceHasher>>,
    pub(super) units: Vec<Option<Box<Unit>>>,
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: u32 = 86_400;

impl Market {
    #[must_use]
    pub fn new(
        venue: &str,
        midnight_ns: i64,
        symbols: Option<Vec<String>>,
        depth: usize,
        round_lot: u32,
        scale: Scale,
    ) -> Self {
        Self {
            venue: venue.to_owned(),
            midnight_ns,
            symbols: symbols.map(|symbols| symbols.into_iter().map(String::into_bytes).collect()),
            shown: Shown::new(depth),
            round_lot: if round_lot == 0 { ROUND_LOT } else { round_lot },
            scale,
            stocks: Vec::new(),
            index: HashMap::default(),
            units: Vec::new(),
        }
    }

    // -------------------------------------------------------------- the clock

    pub(super) fn unit(&mut self, unit: u8) -> &mut Unit {
        let index = usize::from(unit);
        if self.units.len() <= index {
            self.units.resize_with(index + 1, || None);
        }
        let midnight_ns = self.midnight_ns;
        self.units[index].get_or_insert_with(|| {
            Box::new(Unit {
                midnight_ns,
                ..Unit::default()
            })
        })
    }

    pub(super) fn known_unit(&mut self, unit: u8) -> Option<&mut Unit> {
        self.units.get_mut(usize::from(unit))?.as_deref_mut()
    }

    /// A Time message. Seconds that fall back by more than half a day are the next day's.
    pub fn time(&mut self, unit: u8, seconds: u32) -> Result<(), Reason> {
        if seconds >= 2 * DAY_S {
            return Err("time is beyond the day");
        }
        let unit = self.unit(unit);
        if unit
            .seconds
            .is_some_and(|last| seconds.saturating_add(DAY_S / 2) < last)
        {
            unit.midnight_ns = unit.midnight_ns.wrapping_add(i64::from(DAY_S) * SECOND_NS);
        }
        unit.seconds = Some(seconds);
        unit.base_ns = unit
            .midnight_ns
            .wrapping_add(i64::from(seconds) * SECOND_NS);
        Ok(())
    }

    /// Seconds of the unit's last Time message.
    #[must_use]
    pub fn clock(&self, unit: u8) -> Option<u32> {
        self.units.get(usize::from(unit))?.as_ref()?.seconds
    }

    /// Sets a unit's clock, and the day if one is given, without the passing of a midnight: an image has times of its own.
    pub fn set_clock(&mut self, unit: u8, seconds: Option<u32>, midnight_ns: Option<i64>) {
        let known = self.unit(unit);
        known.seconds = None;
        known.midnight_ns = midnight_ns.unwrap_or(known.midnight_ns);
        if let Some(seconds) = seconds {
            let _ = self.time(unit, seconds.min(DAY_S - 1)); // cannot fail: within the day
        }
    }

    /// The time of a message: its offset from the unit's second. Before the first Time message, which a block from the
    /// middle of a second lacks, the receive time stands in.
    #[inline]
    pub fn stamp(&self, unit: u8, offset_ns: u32, seq: u64, ts_recv: i64) -> Stamp {
        let ts_event = match self.units.get(usize::from(unit)) {
            Some(Some(unit)) if unit.seconds.is_some() => {
                unit.base_ns.wrapping_add(i64::from(offset_ns))
            }
            _ => ts_recv,
        };
        Stamp {
            ts_event,
            ts_recv,
            seq,
        }
    }

    // -------------------------------------------------------------- orders

    /// A new order.
    #[inline]
    pub fn add(
        &mut self,
        unit: u8,
        name: [u8; 8],
        id: u64,
        stated: Stated,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let Stated { shares, price, .. } = stated;
        let side = side_of(stated.side)?;
        check(shares, price)?;
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let order = Order {
            price,
            shares,
            book,
            side,
        };
        if !self.unit(unit).orders.add(id, order) {
            return Err("order id is in use");
        }
        let listing = &mut self.stocks[book as usize].listing;
        let before = listing.book.best(side);
        let touch = listing.book.add(side, price, shares);
        let out = &mut decoded.records;
        publish(listing, side, before, &[(price, touch)], stamp, out);
        Ok(())
    }

    /// An execution at the order's price.
    #[inline]
    pub fn execute(
        &mut self,
        unit: u8,
        id: u64,
        (shares, execution): (u32, u64),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if shares == 0 {
            return Err("execution of 0 shares");
        }
        let before = decoded.unpriced;
        let Some(taken) = self.take(unit, id, shares, decoded) else {
            decoded.unpriced_trades += decoded.unpriced - before;
            return Ok(());
        };
        self.print(
            unit,
            &taken.order,
            taken.order.price,
            (shares, execution),
            stamp,
            decoded,
        );
        self.change(taken, stamp, decoded);
        excess(shares, taken)
    }

    /// An execution at another price, which says what is left of the order: more may have been executed than was shown.
    pub fn execute_at(
        &mut self,
        unit: u8,
        id: u64,
        (shares, execution): (u32, u64),
        (price, remaining): (u64, u32),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if shares == 0 {
            return Err("execution of 0 shares");
        }
        if price > PRICE_MAX {
            return Err("impossible price");
        }
        let before = decoded.unpriced;
        let Some(order) = self.order(unit, id, decoded) else {
            decoded.unpriced_trades += decoded.unpriced - before;
            return Ok(());
        };
        self.print(unit, &order, price, (shares, execution), stamp, decoded);
        if remaining <= order.shares {
            let taken = order.shares - remaining;
            if taken > 0
                && let Some(taken) = self.take(unit, id, taken, decoded)
            {
                self.change(taken, stamp, decoded);
            }
        } else {
            self.restate(unit, id, order, (remaining, order.price), stamp, decoded);
        }
        Ok(())
    }

    /// Shares taken back.
    #[inline]
    pub fn reduce(
        &mut self,
        unit: u8,
        id: u64,
        shares: u32,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if shares == 0 {
            return Err("reduction by 0 shares");
        }
        let Some(taken) = self.take(unit, id, shares, decoded) else {
            return Ok(());
        };
        self.change(taken, stamp, decoded);
        excess(shares, taken)
    }

    #[inline]
    pub fn delete(&mut self, unit: u8, id: u64, stamp: Stamp, decoded: &mut Decoded) {
        if let Some(taken) = self.take(unit, id, u32::MAX, decoded) {
            self.change(taken, stamp, decoded);
        }
    }

    /// New size and price of an order.
    pub fn modify(
        &mut self,
        unit: u8,
        id: u64,
        (shares, price): (u32, u64),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        check(shares, price)?;
        if let Some(order) = self.order(unit, id, decoded) {
            self.restate(unit, id, order, (shares, price), stamp, decoded);
        }
        Ok(())
    }

    /// A trade that concerns no displayed order. `S` names a resting sell; `B` is written whatever the side.
    pub fn trade(
        &mut self,
        unit: u8,
        name: [u8; 8],
        stated: Stated,
        execution: u64,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let side = side_of(stated.side)?;
        if stated.shares == 0 {
            return Err("trade of 0 shares");
        }
        if stated.price > PRICE_MAX {
            return Err("impossible price");
        }
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        self.unit(unit).executions.remember(execution, book);
        let listing = &self.stocks[book as usize].listing;
        let mut row = trade_row(listing, stated.price, (stated.shares, execution), stamp);
        row.detail |= condition::HIDDEN;
        row.side = u8::from(side == Side::Ask);
        decoded.records.push(row);
        Ok(())
    }

    /// A broken trade. One that is not remembered is a notice of the market: its symbol is not known.
    pub fn bust(
        &mut self,
        unit: u8,
        execution: u64,
        code: u8,
        stamp: Stamp,
        out: &mut Vec<Record>,
    ) {
        let book = self
            .known_unit(unit)
            .and_then(|unit| unit.executions.books.get(&execution).copied());
        let mut row = match book {
            Some(book) => stamp.bare(self.stocks[book as usize].listing.instrument, kind::BUST),
            None if self.symbols.is_some() => return,
            None => stamp.bare(0, kind::NOTICE),
        };
        row.id = execution;
        row.detail = if book.is_some() { 0 } else { code.into() };
        out.push(row);
    }

    /// An order by id; one that was never seen is counted.
    fn order(&mut self, unit: u8, id: u64, decoded: &mut Decoded) -> Option<Order<u64>> {
        let order = self
            .known_unit(unit)
            .and_then(|unit| unit.orders.get(id).copied());
        // With a filter, orders of other symbols are not known: nothing can be said.
        decoded.unpriced += usize::from(order.is_none() && self.symbols.is_none());
        order
    }

    #[inline]
    fn take(
        &mut self,
        unit: u8,
        id: u64,
        shares: u32,
        decoded: &mut Decoded,
    ) -> Option<Taken<u64>> {
        let taken = self
            .known_unit(unit)
            .and_then(|unit| unit.orders.take(id, shares));
        decoded.unpriced += usize::from(taken.is_none() && self.symbols.is_none());
        taken
    }

    /// Writes an execution's trade row.
    fn print(
        &mut self,
        unit: u8,
        order: &Order<u64>,
        price: u64,
        (shares, execution): (u32, u64),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) {
        self.unit(unit).executions.remember(execution, order.book);
        let listing = &self.stocks[order.book as usize].listing;
        let mut row = trade_row(listing, price, (shares, execution), stamp);
        row.side = match order.side {
            Side::Bid => 2,
            Side::Ask => 1,
        };
        decoded.records.push(row);
    }

    /// Takes shares off the book.
    #[inline]
    fn change(&mut self, taken: Taken<u64>, stamp: Stamp, decoded: &mut Decoded) {
        let Order {
            book, side, price, ..
        } = taken.order;
        let listing = &mut self.stocks[book as usize].listing;
        let before = listing.book.best(side);
        if let Some(touch) = listing.book.take(taken) {
            let out = &mut decoded.records;
            publish(listing, side, before, &[(price, touch)], stamp, out);
        }
    }

    /// Gives an order another size and price.
    fn restate(
        &mut self,
        unit: u8,
        id: u64,
        order: Order<u64>,
        (shares, price): (u32, u64),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) {
        if let Some(resting) = self.unit(unit).orders.get_mut(id) {
            (resting.shares, resting.price) = (shares, price);
        }
        let listing = &mut self.stocks[order.book as usize].listing;
        let all = Taken {
            order,
            shares: order.shares,
            gone: true,
        };
        publish_move(listing, all, (price, shares), stamp, &mut decoded.records);
    }
}

#[inline]
fn side_of(letter: u8) -> Result<Side, Reason> {
    match letter {
        b'B' => Ok(Side::Bid),
        b'S' => Ok(Side::Ask),
        _ => Err("side is neither B nor S"),
    }
}

#[inline]
fn check(shares: u32, price: u64) -> Result<(), Reason> {
    if shares == 0 {
        Err("order of 0 shares")
    } else if price == 0 || price > PRICE_MAX {
        Err("impossible price")
    } else {
        Ok(())
    }
}

#[inline]
fn excess(shares: u32, taken: Taken<u64>) -> Result<(), Reason> {
    if shares > taken.shares {
        Err("more shares than the order had; it was removed")
    } else {
        Ok(())
    }
}

fn trade_row(
    listing: &Listing<u64>,
    price: u64,
    (shares, execution): (u32, u64),
    stamp: Stamp,
) -> Record {
    let mut row = stamp.row(listing.instrument, kind::TRADE);
    row.id = execution;
    listing.scale.set(&mut row, price);
    size(&mut row, shares.into());
    if shares < listing.round_lot {
        row.detail = condition::ODD_LOT;
    }
    row
}
