//! Rows that the engine writes.

use super::ladder::Packed;
use super::{Level, Side};
use crate::record::{Record, flag, kind};

/// One side of the best bid and offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Best {
    /// Nobody was told anything.
    #[default]
    Untold,
    Empty,
    Level(Level),
    /// The venue tells no size.
    Price(crate::decimal::Decimal),
}

impl From<Option<Packed>> for Best {
    fn from(level: Option<Packed>) -> Self {
        level.map_or(Self::Empty, |level| Self::Level(level.level()))
    }
}

/// Writes the events of one instrument.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// Times, sequence, instrument and flags of every row.
    pub row: Record,
}

impl Origin {
    pub fn new(instrument: u64, origin: Record, seq: i64) -> Self {
        let seq = u64::try_from(seq).unwrap_or(0);
        Self {
            row: Record {
                instrument,
                seq,
                ..origin
            },
        }
    }

    pub fn best(&self, side: Side, best: Best) -> Record {
        let kind = if side == Side::Bid {
            kind::BID
        } else {
            kind::ASK
        };
        let mut row = Record { kind, ..self.row };
        match best {
            Best::Untold | Best::Empty => row.flags |= flag::NO_PRICE | flag::NO_SIZE,
            Best::Level(level) => set(&mut row, level),
            Best::Price(price) => {
                (row.price, row.price_scale) = (price.mantissa, price.scale);
                row.flags |= flag::NO_SIZE;
            }
        }
        row
    }

    pub fn level(&self, side: Side, level: Level) -> Record {
        let mut row = self.of_side(side);
        set(&mut row, level);
        row
    }

    /// The same for rows of a whole book.
    pub fn whole(mut self) -> Self {
        self.row.flags |= flag::SNAPSHOT;
        self
    }

    /// A side of a book begins anew.
    pub fn begin(&self, side: Side) -> Record {
        let mut row = self.whole().of_side(side);
        row.flags |= flag::NO_PRICE | flag::NO_SIZE;
        row
    }

    /// A side of a book is not known any more.
    pub fn unknown(&self, side: Side) -> Record {
        let mut row = self.begin(side);
        row.flags |= flag::INVALID_BOOK;
        row
    }

    fn of_side(&self, side: Side) -> Record {
        let kind = match side {
            Side::Bid => kind::BOOK_BID,
            Side::Ask => kind::BOOK_ASK,
        };
        Record { kind, ..self.row }
    }
}

fn set(row: &mut Record, level: Level) {
    (row.price, row.price_scale) = (level.price.mantissa, level.price.scale);
    (row.size, row.size_scale) = (level.size.mantissa, level.size.scale);
    row.flags |= if level.inexact { flag::INEXACT_SIZE } else { 0 };
}

/// Flags the last row of an event whose rows begin at `begin`, if there are any.
pub(super) fn end_event(records: &mut [Record], begin: usize) {
    if let Some(last) = records[begin..].last_mut() {
        last.flags |= flag::LAST_OF_EVENT;
    }
}

/// The validity of an instrument.
pub(super) fn status(instrument: u64, state: u8, ts_recv: i64) -> Record {
    Record {
        ts_event: ts_recv,
        ts_recv,
        instrument,
        kind: kind::STATUS,
        flags: flag::LAST_OF_EVENT,
        detail: state.into(),
        ..Record::default()
    }
}

/// `missing` messages before `next` (0 = unknown number).
pub(super) fn gap(instrument: u64, missing: i64, next: i64, ts_recv: i64) -> Record {
    Record {
        ts_event: ts_recv,
        ts_recv,
        instrument,
        seq: u64::try_from(next).unwrap_or(0),
        id: u64::try_from(missing).unwrap_or(0),
        kind: kind::GAP,
        flags: flag::LAST_OF_EVENT,
        ..Record::default()
    }
}
