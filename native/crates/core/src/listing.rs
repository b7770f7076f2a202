//! What an order-by-order decoder keeps of one listed instrument, and the rows it writes: shared by ITCH and PITCH.

use crate::orderbook::{Book, Level, Price, Side, Touch};
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

    /// Writes the level rows that a touch means for someone who shows the best `depth` levels.
    pub fn publish_levels(
        &self,
        side: Side,
        price: P,
        touch: Touch,
        depth: usize,
        stamp: Stamp,
        out: &mut Vec<Record>,
    ) {
        let kind = match side {
            Side::Bid => kind::BOOK_BID,
            Side::Ask => kind::BOOK_ASK,
        };
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
    depth: usize,
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
    if depth > 0 {
        for &(price, touch) in touches {
            stock.publish_levels(side, price, touch, depth, stamp, out);
        }
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
