//! What PITCH says, applied: the orders and the clock of every unit, a book for each symbol, and the rows that follow.
//!
//! Both forms of the protocol end here. A *unit* is the scope of order ids, of the clock and of `Unit Clear`; a symbol
//! belongs to one unit. An order's message names its symbol only when it is added, so orders know their book.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;

use crate::listing::{Listing, ROUND_LOT, Scale, Stamp, publish, size, trim};
use crate::orderbook::{Level, Order, Orders, ReferenceHasher, Side, Taken};
use crate::record::{Record, condition, flag, instrument_id, kind, state};

/// Most dead letters that one call hands back.
pub const DEAD_MAX: usize = 100;
/// A price above this (ten thousand million with 4 decimals) is damage, not a price.
const PRICE_MAX: u64 = 100_000_000_000_000;
/// Executions of a unit that a trade break can name.
const EXECUTIONS_KEPT: usize = 65_536;

/// What of a message the specification does not allow.
pub type Reason = &'static str;

/// Why a message of a type that is not known is a dead letter.
pub const UNKNOWN: Reason = "unknown type";

/// A message that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Of its first byte in the block.
    pub offset: usize,
    pub reason: Reason,
    pub raw: Vec<u8>,
}

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
struct Executions {
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
struct Unit {
    orders: Orders<u64>,
    /// Seconds of the last Time message; `None` before the first.
    seconds: Option<u32>,
    /// Midnights passed since the decoder's.
    days: i64,
    /// ns since 1970 of the last Time message.
    base_ns: i64,
    executions: Executions,
}

struct Stock {
    listing: Listing<u64>,
    unit: u8,
    reg_sho: u8,
    /// House symbol of a mapped option; empty = the feed's.
    mapped: String,
}

/// A market of one venue.
pub struct Market {
    venue: String,
    midnight_ns: i64,
    symbols: Option<HashSet<Vec<u8>>>,
    depth: usize,
    round_lot: u32,
    scale: Scale,
    stocks: Vec<Stock>,
    index: HashMap<u64, u32, BuildHasherDefault<ReferenceHasher>>,
    units: Vec<Option<Box<Unit>>>,
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
            depth,
            round_lot: if round_lot == 0 { ROUND_LOT } else { round_lot },
            scale,
            stocks: Vec::new(),
            index: HashMap::default(),
            units: Vec::new(),
        }
    }

    // -------------------------------------------------------------- the clock

    fn unit(&mut self, unit: u8) -> &mut Unit {
        let index = usize::from(unit);
        if self.units.len() <= index {
            self.units.resize_with(index + 1, || None);
        }
        self.units[index].get_or_insert_default()
    }

    fn known_unit(&mut self, unit: u8) -> Option<&mut Unit> {
        self.units.get_mut(usize::from(unit))?.as_deref_mut()
    }

    /// A Time message. Seconds that fall back by more than half a day are the next day's.
    pub fn time(&mut self, unit: u8, seconds: u32) -> Result<(), Reason> {
        if seconds >= 2 * DAY_S {
            return Err("time is beyond the day");
        }
        let midnight_ns = self.midnight_ns;
        let unit = self.unit(unit);
        if unit
            .seconds
            .is_some_and(|last| seconds.saturating_add(DAY_S / 2) < last)
        {
            unit.days += 1;
        }
        unit.seconds = Some(seconds);
        let passed_s = unit.days * i64::from(DAY_S) + i64::from(seconds);
        unit.base_ns = midnight_ns.wrapping_add(passed_s * SECOND_NS);
        Ok(())
    }

    /// Seconds of the unit's last Time message.
    #[must_use]
    pub fn clock(&self, unit: u8) -> Option<u32> {
        self.units.get(usize::from(unit))?.as_ref()?.seconds
    }

    /// Sets a unit's clock, without the passing of a midnight: an image has times of its own.
    pub fn set_clock(&mut self, unit: u8, seconds: Option<u32>) {
        self.unit(unit).seconds = None;
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
        publish(
            listing,
            side,
            before,
            &[(price, touch)],
            self.depth,
            stamp,
            out,
        );
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
            publish(
                listing,
                side,
                before,
                &[(price, touch)],
                self.depth,
                stamp,
                out,
            );
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
        let depth = self.depth;
        let side = order.side;
        let listing = &mut self.stocks[order.book as usize].listing;
        let before = listing.book.best(side);
        let all = Taken {
            order,
            shares: order.shares,
            gone: true,
        };
        // Level rows are written between the two changes, so that positions are true; the best goes before them.
        let mut levels = Vec::new();
        if let Some(touch) = listing.book.take(all) {
            listing.publish_levels(side, order.price, touch, depth, stamp, &mut levels);
        }
        let touch = listing.book.add(side, price, shares);
        listing.publish_levels(side, price, touch, depth, stamp, &mut levels);
        publish(
            listing,
            side,
            before,
            &[],
            depth,
            stamp,
            &mut decoded.records,
        );
        decoded.records.append(&mut levels);
    }

    // -------------------------------------------------------------- symbols and units

    /// The trading status of a symbol, and whether short sales are restricted.
    pub fn status(
        &mut self,
        unit: u8,
        name: [u8; 8],
        reason: [u8; 4],
        code: u8,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let trading = match reason[0] {
            b'T' | b'L' => state::LIVE,
            b'H' | b'S' | b'N' => state::HALTED,
            // Quote-only, queuing, opening rotation; of the markets in Europe the auctions and extensions.
            b'A' | b'Q' | b'R' | b'O' | b'E' | b'V' | b'M' | b'P' => state::AUCTION,
            b'C' => state::CLOSED,
            _ => return Err("unknown trading status"),
        };
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let stock = &mut self.stocks[book as usize];
        let out = &mut decoded.records;
        stock.listing.trading = trading;
        stock.listing.publish_state(stamp, reason, out);
        if matches!(reason[1], b'0' | b'1') && reason[1] != stock.reg_sho {
            stock.reg_sho = reason[1];
            let mut row = stamp.bare(stock.listing.instrument, kind::NOTICE);
            (row.detail, row.id) = (code.into(), reason[1].into());
            out.push(row);
        }
        Ok(())
    }

    /// Price and imbalance of an auction to come.
    pub fn imbalance(
        &mut self,
        unit: u8,
        name: [u8; 8],
        auction: Auction,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if auction.price > PRICE_MAX {
            return Err("impossible price");
        }
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let listing = &self.stocks[book as usize].listing;
        let mut row = stamp.row(listing.instrument, kind::IMBALANCE);
        listing.scale.set(&mut row, auction.price);
        row.flags |= if auction.price == 0 {
            flag::NO_PRICE
        } else {
            0
        };
        row.id = auction.buy.abs_diff(auction.sell).into();
        row.side = match auction.buy.cmp(&auction.sell) {
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Less => 2,
            std::cmp::Ordering::Equal => 0,
        };
        row.detail = auction.letter.into();
        row.size = auction.buy.min(auction.sell).into();
        decoded.records.push(row);
        Ok(())
    }

    /// Something about a symbol that changes neither book nor state; `told` is a price and a size, 0 = none.
    pub fn notice(
        &mut self,
        unit: u8,
        name: [u8; 8],
        (code, id): (u8, u64),
        told: (u64, u32),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if told.0 > PRICE_MAX {
            return Err("impossible price");
        }
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let listing = &self.stocks[book as usize].listing;
        let row = notice_row(listing.instrument, (code, id), told, self.scale, stamp);
        decoded.records.push(row);
        Ok(())
    }

    /// Something about the market.
    pub fn market_notice(
        &self,
        (code, id): (u8, u64),
        told: (u64, u32),
        stamp: Stamp,
        out: &mut Vec<Record>,
    ) -> Result<(), Reason> {
        if told.0 > PRICE_MAX {
            return Err("impossible price");
        }
        out.push(notice_row(0, (code, id), told, self.scale, stamp));
        Ok(())
    }

    /// The unit's orders are gone: a notice, and what was quoted is taken back, each symbol an event of its own.
    pub fn clear_unit(&mut self, unit: u8, code: u8, stamp: Stamp, out: &mut Vec<Record>) {
        if let Some(unit) = self.known_unit(unit) {
            unit.orders.clear();
        }
        push_event(out, stamp, (code, unit));
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            empty(&mut stock.listing, stamp, out);
        }
    }

    /// The symbol's orders are gone.
    pub fn clear_symbol(
        &mut self,
        unit: u8,
        name: [u8; 8],
        code: u8,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        self.unit(unit).orders.forget(book);
        let listing = &mut self.stocks[book as usize].listing;
        let out = &mut decoded.records;
        out.push(notice_row(
            listing.instrument,
            (code, 0),
            (0, 0),
            self.scale,
            stamp,
        ));
        empty(listing, stamp, out);
        Ok(())
    }

    /// The unit shuts down: a notice, and its symbols are closed, each an event of its own.
    pub fn end_of_session(&mut self, unit: u8, code: u8, stamp: Stamp, out: &mut Vec<Record>) {
        push_event(out, stamp, (code, unit));
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            stock.listing.trading = state::CLOSED;
            stock.listing.publish_state(stamp, *b"    ", out);
            if let Some(last) = out.last_mut() {
                last.flags |= flag::LAST_OF_EVENT;
            }
        }
    }

    /// What an option's symbol of the feed stands for.
    pub fn map(
        &mut self,
        unit: u8,
        feed: [u8; 8],
        osi: &[u8; 21],
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let symbol = option_symbol(osi).ok_or("not an OSI symbol")?;
        let wanted = self.symbols.as_ref().is_none_or(|symbols| {
            symbols.contains(trim(&feed)) || symbols.contains(symbol.as_bytes())
        });
        if !wanted {
            return Ok(());
        }
        let book = self.place(unit, feed, true)?;
        let stock = &mut self.stocks[book as usize];
        if stock.mapped == symbol {
            return Ok(());
        }
        let listing = &mut stock.listing;
        let out = &mut decoded.records;
        let quoted = [Side::Bid, Side::Ask].map(|side| (side, listing.book.best(side).is_some()));
        let took_back = quoted.iter().filter(|(_, had)| *had);
        for &(side, _) in took_back.clone() {
            let mut row = listing.quote_row(side, stamp);
            (row.price, row.price_scale, row.size, row.detail) = (0, 0, 0, 0);
            row.flags |= flag::NO_PRICE | flag::NO_SIZE | flag::LAST_OF_EVENT;
            out.push(row);
        }
        listing.instrument = instrument_id(&format!("{}:{symbol}", self.venue));
        listing.round_lot = 1;
        listing.wanted = true;
        if listing.state != state::EMPTY {
            out.push(listing.status_row(stamp, *b"    "));
        }
        out.extend(took_back.map(|&(side, _)| listing.quote_row(side, stamp)));
        stock.mapped.clone_from(&symbol);
        decoded.met.push(Met {
            symbol,
            feed_symbol: text(trim(&feed)),
            unit,
            round_lot: 1,
            osi_symbol: text(osi),
        });
        Ok(())
    }

    /// The book of a symbol, known from now on; `None` if it is not among those asked for.
    #[inline]
    fn stock(
        &mut self,
        unit: u8,
        name: [u8; 8],
        decoded: &mut Decoded,
    ) -> Result<Option<u32>, Reason> {
        let book = match self.index.get(&u64::from_le_bytes(name)) {
            Some(&book) if self.stocks[book as usize].unit == unit => book,
            _ => self.meet(unit, name, decoded)?,
        };
        Ok(Some(book).filter(|&book| self.stocks[book as usize].listing.wanted))
    }

    #[cold]
    fn meet(&mut self, unit: u8, name: [u8; 8], decoded: &mut Decoded) -> Result<u32, Reason> {
        let wanted = self
            .symbols
            .as_ref()
            .is_none_or(|symbols| symbols.contains(trim(&name)));
        let book = self.place(unit, name, wanted)?;
        let stock = &self.stocks[book as usize];
        if stock.listing.wanted && stock.mapped.is_empty() {
            decoded.met.push(Met {
                symbol: text(trim(&name)),
                feed_symbol: text(trim(&name)),
                unit,
                round_lot: stock.listing.round_lot,
                osi_symbol: String::new(),
            });
        }
        Ok(book)
    }

    /// Index of a symbol's book, made if it is new; a symbol that comes in another unit belongs to that one.
    fn place(&mut self, unit: u8, name: [u8; 8], wanted: bool) -> Result<u32, Reason> {
        let key = u64::from_le_bytes(name);
        if let Some(&book) = self.index.get(&key) {
            let stock = &mut self.stocks[book as usize];
            let before = std::mem::replace(&mut stock.unit, unit);
            if before != unit {
                stock.listing.book.clear();
                if let Some(before) = self.known_unit(before) {
                    before.orders.forget(book);
                }
            }
            return Ok(book);
        }
        let symbol = trim(&name);
        if symbol.is_empty() || !symbol.iter().all(u8::is_ascii_graphic) {
            return Err("not a symbol");
        }
        let book = u32::try_from(self.stocks.len()).map_err(|_| "too many symbols")?;
        let mut listing = Listing::new(&self.venue, name, wanted, self.scale);
        listing.set_round_lot(self.round_lot);
        self.stocks.push(Stock {
            listing,
            unit,
            reg_sho: b'0',
            mapped: String::new(),
        });
        self.index.insert(key, book);
        Ok(book)
    }

    /// Forgets the orders and books of a unit, without a word: an image takes their place. States stay.
    pub fn reset(&mut self, unit: u8) {
        if let Some(unit) = self.known_unit(unit) {
            unit.orders.clear();
        }
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            stock.listing.book.clear();
        }
    }

    // -------------------------------------------------------------- looking

    /// Orders in all books.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.units
            .iter()
            .flatten()
            .map(|unit| unit.orders.len())
            .sum()
    }

    /// Instruments of a unit, as far as they were asked for and met.
    #[must_use]
    pub fn instruments(&self, unit: u8) -> Vec<u64> {
        let of_unit = |stock: &&Stock| stock.unit == unit && stock.listing.wanted;
        self.stocks
            .iter()
            .filter(of_unit)
            .map(|stock| stock.listing.instrument)
            .collect()
    }

    /// The best `depth` levels of a symbol (the feed's, or an option's mapped one), bids and asks, best first.
    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level<u64>>; 2] {
        let stock = self.stocks.iter().find(|stock| {
            trim(&stock.listing.name) == symbol.as_bytes()
                || (stock.mapped == symbol && !symbol.is_empty())
        });
        [Side::Bid, Side::Ask].map(|side| {
            stock.map_or_else(Vec::new, |stock| {
                stock.listing.book.top(side, depth).collect()
            })
        })
    }

    /// Price of a level as mantissa and scale.
    #[must_use]
    pub fn price(&self, price: u64) -> (i64, u8) {
        let mut row = Record::default();
        self.scale.set(&mut row, price);
        (row.price, row.price_scale)
    }

    /// Status, best bid and best ask of every symbol (of one unit), one event a symbol.
    #[must_use]
    pub fn snapshot(&self, ts_recv: i64, unit: Option<u8>) -> Vec<Record> {
        let mut out = Vec::new();
        let asked =
            |stock: &&Stock| stock.listing.wanted && unit.is_none_or(|unit| unit == stock.unit);
        for stock in self.stocks.iter().filter(asked) {
            let listing = &stock.listing;
            let stamp = Stamp {
                ts_recv,
                ..listing.last
            };
            out.push(listing.status_row(stamp, *b"    "));
            out.extend([Side::Bid, Side::Ask].map(|side| listing.quote_row(side, stamp)));
            for row in out.iter_mut().rev().take(3) {
                row.flags |= flag::SNAPSHOT;
            }
            if let Some(last) = out.last_mut() {
                last.flags |= flag::LAST_OF_EVENT;
            }
        }
        out
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

fn notice_row(
    instrument: u64,
    (code, id): (u8, u64),
    (price, shares): (u64, u32),
    scale: Scale,
    stamp: Stamp,
) -> Record {
    let mut row = stamp.row(instrument, kind::NOTICE);
    (row.detail, row.id, row.size) = (code.into(), id, shares.into());
    if price == 0 {
        row.flags |= flag::NO_PRICE;
    } else {
        scale.set(&mut row, price);
    }
    if shares == 0 {
        row.flags |= flag::NO_SIZE;
    }
    row
}

/// A notice of a unit as an event of its own.
fn push_event(out: &mut Vec<Record>, stamp: Stamp, (code, unit): (u8, u8)) {
    let mut row = stamp.bare(0, kind::NOTICE);
    (row.detail, row.id) = (code.into(), unit.into());
    row.flags |= flag::LAST_OF_EVENT;
    out.push(row);
}

/// Empties a book and takes back what was quoted, as an event.
fn empty(listing: &mut Listing<u64>, stamp: Stamp, out: &mut Vec<Record>) {
    let had = [Side::Bid, Side::Ask].map(|side| (side, listing.book.best(side).is_some()));
    listing.book.clear();
    if !had.iter().any(|(_, had)| *had) {
        return;
    }
    listing.last = stamp;
    out.extend(
        had.iter()
            .filter(|(_, had)| *had)
            .map(|&(side, _)| listing.quote_row(side, stamp)),
    );
    if let Some(last) = out.last_mut() {
        last.flags |= flag::LAST_OF_EVENT;
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// House symbol of an OSI symbol: root (6), expiry `yymmdd`, `C` or `P`, strike with 3 decimals (8 digits).
fn option_symbol(osi: &[u8; 21]) -> Option<String> {
    let root = trim(&osi[..6]);
    let (date, strike) = (&osi[6..12], &osi[13..]);
    let digits = date.iter().chain(strike).all(u8::is_ascii_digit);
    if root.is_empty()
        || !root.iter().all(u8::is_ascii_alphanumeric)
        || !digits
        || !matches!(osi[12], b'C' | b'P')
    {
        return None;
    }
    let strike = text(strike);
    let whole = strike[..5].trim_start_matches('0');
    let part = strike[5..].trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if part.is_empty() { "" } else { "." };
    let right = char::from(osi[12]);
    Some(format!(
        "{}-USD-20{}-{whole}{point}{part}-{right}",
        text(root),
        text(date)
    ))
}

#[cfg(test)]
mod tests {
    use super::option_symbol;

    #[test]
    fn osi_symbols_become_house_symbols() {
        let house = |osi: &[u8; 21]| option_symbol(osi);
        assert_eq!(
            house(b"AAPL  240119C00150000").as_deref(),
            Some("AAPL-USD-20240119-150-C")
        );
        assert_eq!(
            house(b"SPXW  260918P04512500").as_deref(),
            Some("SPXW-USD-20260918-4512.5-P")
        );
        assert_eq!(
            house(b"F     260918P00000500").as_deref(),
            Some("F-USD-20260918-0.5-P")
        );
        assert_eq!(house(b"      260918P00000500"), None);
        assert_eq!(house(b"AAPL  26091XP00000500"), None);
        assert_eq!(house(b"AAPL  260918X00000500"), None);
    }
}
