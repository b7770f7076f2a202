//! What an order-by-order decoder keeps of one listed instrument, and the rows it writes: shared by ITCH and PITCH.

use crate::orderbook::{Book, Level, Price, Side, Taken, Touch};
use crate::record::{Record, flag, instrument_id, kind, state};

/// When and as what number a message came.
#[derive(Clone, Copy, Default)]
pub struct Stamp {
    pub ts_event: i64,
    pub ts_recv: i64,
    pub seq: u64,
}

impl Stamp {
    /// A row with nothing but its origin.
    #[must_use]
    pub fn row(self, instrument: u64, kind: u8) -> Record {
        Record {
            ts_event: self.ts_event,
            ts_recv: self.ts_recv,
            seq: self.seq,
            instrument,
            kind,
            ..Record::default()
        }
    }

    /// A row without price and size.
    #[must_use]
    pub fn bare(self, instrument: u64, kind: u8) -> Record {
        Record {
            flags: flag::NO_PRICE | flag::NO_SIZE,
            ..self.row(instrument, kind)
        }
    }
}

/// Shares as a record's size: what does not fit stays at the limit, flagged.
pub fn size(row: &mut Record, shares: u64) {
    row.size = i64::try_from(shares).unwrap_or_else(|_| {
        row.flags |= flag::INEXACT_SIZE;
        i64::MAX
    });
}

/// Shares of a round lot, until something else is said.
pub const ROUND_LOT: u32 = 100;

/// Decimals of the wire's prices. A recorded price has no more than these; of a feed with 6, whole hundredths of a cent have 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scale {
    Four = 4,
    Six = 6,
}

impl Scale {
    /// Sets a row's price; what does not fit in 63 bits stays at the limit (decoders refuse such prices before).
    #[inline]
    pub fn set(self, row: &mut Record, price: u64) {
        let (price, scale) = match self {
            Self::Six if price.is_multiple_of(100) => (price / 100, 4),
            _ => (price, self as u8),
        };
        (row.price, row.price_scale) = (i64::try_from(price).unwrap_or(i64::MAX), scale);
    }
}

/// One instrument: its state as published, and its book.
pub struct Listing<P = u32> {
    /// As the venue writes it, padded with spaces.
    pub name: [u8; 8],
    pub instrument: u64,
    pub wanted: bool,
    pub scale: Scale,
    pub round_lot: u32,
    /// By trading actions, the first quote and the end of the day.
    pub trading: u8,
    /// By operational halts of this market.
    pub halted: bool,
    /// As last published.
    pub state: u8,
    pub last: Stamp,
    pub book: Book<P>,
    /// Best levels a side that are told one by one; 0 = none. Given by [`Shown`](crate::shown::Shown).
    pub shown: usize,
    /// The whole book was told: from here on changes are.
    pub begun: bool,
}

impl<P: Price> Listing<P> {
    #[must_use]
    pub fn new(venue: &str, name: [u8; 8], wanted: bool, scale: Scale) -> Self {
        let symbol = String::from_utf8_lossy(trim(&name));
        Self {
            name,
            instrument: instrument_id(&format!("{venue}:{symbol}")),
            wanted,
            scale,
            round_lot: ROUND_LOT,
            trading: state::EMPTY,
            halted: false,
            state: state::EMPTY,
            last: Stamp::default(),
            book: Book::default(),
            shown: 0,
            begun: false,
        }
    }

    /// 0 = as usual.
    pub fn set_round_lot(&mut self, shares: u32) {
        self.round_lot = if shares == 0 { ROUND_LOT } else { shares };
    }

    /// Writes a status row if the state changed.
    pub fn publish_state(&mut self, stamp: Stamp, reason: [u8; 4], out: &mut Vec<Record>) {
        let now = if self.halted && self.trading != state::CLOSED {
            state::HALTED
        } else {
            self.trading
        };
        if now != self.state {
            self.state = now;
            self.last = stamp;
            out.push(self.status_row(stamp, reason));
        }
    }

    #[must_use]
    pub fn status_row(&self, stamp: Stamp, reason: [u8; 4]) -> Record {
        let mut row = stamp.bare(self.instrument, kind::STATUS);
        row.id = u32::from_be_bytes(reason).into();
        row.detail = self.state.into();
        row
    }

    /// Best bid or ask as a row.
    #[must_use]
    pub fn quote_row(&self, side: Side, stamp: Stamp) -> Record {
        let kind = match side {
            Side::Bid => kind::BID,
            Side::Ask => kind::ASK,
        };
        let Some(level) = self.book.best(side) else {
            return stamp.bare(self.instrument, kind);
        };
        self.level_row(kind, level.price, level.shares, level.orders, stamp)
    }

    fn level_row(&self, kind: u8, price: P, shares: u64, orders: u32, stamp: Stamp) -> Record {
        let mut row = stamp.row(self.instrument, kind);
        self.scale.set(&mut row, price.into());
        row.detail = u16::try_from(orders).unwrap_or(u16::MAX);
        size(&mut row, shares);
        row
    }

    /// Tells the best `levels` from now on: the whole book, or that it is not known any more, as an event.
    pub fn show(&mut self, levels: usize, stamp: Stamp, out: &mut Vec<Record>) {
        if levels == self.shown {
            return;
        }
        self.shown = levels;
        let start = out.len();
        if levels > 0 {
            self.publish_book(stamp, out);
        } else {
            self.forget_book(stamp, out);
        }
        end_event(out, start);
    }

    /// Writes the whole book: each side begins anew.
    pub fn publish_book(&mut self, stamp: Stamp, out: &mut Vec<Record>) {
        self.begun = true;
        for side in [Side::Bid, Side::Ask] {
            let kind = level_kind(side);
            let start = out.len();
            out.push(stamp.bare(self.instrument, kind));
            out.extend(
                self.book.top(side, self.shown).map(|level| {
                    self.level_row(kind, level.price, level.shares, level.orders, stamp)
                }),
            );
            for row in &mut out[start..] {
                row.flags |= flag::SNAPSHOT;
            }
        }
    }

    /// Writes that the levels told so far are not the book's any more, if there are any.
    pub fn forget_book(&mut self, stamp: Stamp, out: &mut Vec<Record>) {
        if !std::mem::take(&mut self.begun) {
            return;
        }
        out.extend([Side::Bid, Side::Ask].map(|side| {
            let mut row = stamp.bare(self.instrument, level_kind(side));
            row.flags |= flag::SNAPSHOT | flag::INVALID_BOOK;
            row
        }));
    }

    /// Writes status, best bid and ask, and the whole book where levels are told, as an event for a late joiner.
    pub fn publish_all(&mut self, stamp: Stamp, out: &mut Vec<Record>) {
        let start = out.len();
        out.push(self.status_row(stamp, *b"    "));
        out.extend([Side::Bid, Side::Ask].map(|side| self.quote_row(side, stamp)));
        if self.shown > 0 {
            self.publish_book(stamp, out);
        }
        for row in &mut out[start..] {
            row.flags |= flag::SNAPSHOT;
        }
        end_event(out, start);
    }

    /// Writes the level rows that a touch means for someone who has the best [`Self::shown`] levels.
    pub fn publish_levels(
        &self,
        side: Side,
        price: P,
        touch: Touch,
        stamp: Stamp,
        out: &mut Vec<Record>,
    ) {
        let (depth, kind) = (self.shown, level_kind(side));
        let mut level = |position: usize, gone: bool| {
            if let Some(level) = self.book.level(side, position) {
                let (shares, orders) = if gone {
                    (0, 0)
                } else {
                    (level.shares, level.orders)
                };
                out.push(self.level_row(kind, level.price, shares, orders, stamp));
            }
        };
        match touch {
            Touch::Changed(position) if position < depth => level(position, false),
            Touch::Entered(position) if position < depth => {
                level(position, false);
                level(depth, true); // pushed out of the window
            }
            Touch::Left(position) if position < depth => {
                level(depth - 1, false); // moved up into the window
                out.push(self.level_row(kind, price, 0, 0, stamp));
            }
            _ => {}
        }
    }
}

/// Writes the best of a side if it changed, the first quote's status before it, and the levels touched.
#[inline]
pub fn publish<P: Price>(
    stock: &mut Listing<P>,
    side: Side,
    before: Option<Level<P>>,
    touches: &[(P, Touch)],
    stamp: Stamp,
    out: &mut Vec<Record>,
) {
    let after = stock.book.best(side);
    if before.map(|level| (level.price, level.shares))
        != after.map(|level| (level.price, level.shares))
    {
        if stock.trading == state::EMPTY {
            stock.trading = state::LIVE;
            stock.publish_state(stamp, *b"    ", out);
        }
        stock.last = stamp;
        out.push(stock.quote_row(side, stamp));
    }
    if stock.shown > 0 {
        publish_touches(stock, side, touches, stamp, out);
    }
}

#[cold]
fn publish_touches<P: Price>(
    stock: &mut Listing<P>,
    side: Side,
    touches: &[(P, Touch)],
    stamp: Stamp,
    out: &mut Vec<Record>,
) {
    if !stock.begun {
        stock.publish_book(stamp, out);
        return;
    }
    for &(price, touch) in touches {
        stock.publish_levels(side, price, touch, stamp, out);
    }
}

/// Moves an order in the book: `taken` off it, then `shares` at a price added; writes what changed.
///
/// Level rows are written between the two changes, so that positions are true; the best goes before them.
pub fn publish_move<P: Price>(
    stock: &mut Listing<P>,
    taken: Taken<P>,
    (price, shares): (P, u32),
    stamp: Stamp,
    out: &mut Vec<Record>,
) {
    let side = taken.order.side;
    let before = stock.book.best(side);
    if stock.shown == 0 || !stock.begun {
        stock.book.take(taken);
        let touch = stock.book.add(side, price, shares);
        publish(stock, side, before, &[(price, touch)], stamp, out);
        return;
    }
    let mut levels = Vec::new();
    if let Some(touch) = stock.book.take(taken) {
        stock.publish_levels(side, taken.order.price, touch, stamp, &mut levels);
    }
    let touch = stock.book.add(side, price, shares);
    stock.publish_levels(side, price, touch, stamp, &mut levels);
    publish(stock, side, before, &[], stamp, out);
    out.append(&mut levels);
}

/// Kind of a level's rows.
#[must_use]
pub const fn level_kind(side: Side) -> u8 {
    match side {
        Side::Bid => kind::BOOK_BID,
        Side::Ask => kind::BOOK_ASK,
    }
}

/// Flags the last row of an event whose rows begin at `start`, if there are any.
pub fn end_event(out: &mut [Record], start: usize) {
    if let Some(last) = out[start..].last_mut() {
        last.flags |= flag::LAST_OF_EVENT;
    }
}

/// A text field without its padding.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|&byte| byte != b' ')
        .map_or(0, |last| last + 1);
    &text[..end]
}
