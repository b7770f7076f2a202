//! Records as lines for people and programs: JSON lines and CSV, and the sums of a summary.
//!
//! One line a record, with the names of things instead of numbers: `docs/reference/decode.md` describes the columns. The
//! writer is told the name of an instrument before its first record ([`Writer::unknown`] says whose is missing).

mod lines;
mod tally;

pub use lines::{HEADER, Options, Writer};
pub use tally::{Sums, Tally};

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::record::kind;

/// An instrument's id is a hash already.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type ById<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

/// The word of a kind; empty for a number that is none.
#[must_use]
pub fn kind_name(number: u8) -> &'static str {
    match number {
        kind::TRADE => "trade",
        kind::BID => "bid",
        kind::ASK => "ask",
        kind::BOOK_BID => "book_bid",
        kind::BOOK_ASK => "book_ask",
        kind::STATUS => "status",
        kind::GAP => "gap",
        kind::READING => "reading",
        kind::BUST => "bust",
        kind::CORRECTION => "correction",
        kind::IMBALANCE => "imbalance",
        kind::PREV_CLOSE => "prev_close",
        kind::VOLUME => "volume",
        kind::NOTICE => "notice",
        kind::MARK => "mark",
        kind::INDEX => "index",
        kind::FUNDING => "funding",
        kind::OPEN_INTEREST => "open_interest",
        kind::IV => "iv",
        kind::DELTA => "delta",
        kind::GAMMA => "gamma",
        kind::THETA => "theta",
        kind::VEGA => "vega",
        kind::RHO => "rho",
        kind::BID_IV => "bid_iv",
        kind::ASK_IV => "ask_iv",
        kind::UNDERLYING => "underlying",
        kind::FUNDING_NEXT => "funding_next",
        kind::FUNDING_TIME => "funding_time",
        kind::SETTLEMENT => "settlement",
        kind::OPEN_24H => "open_24h",
        kind::HIGH_24H => "high_24h",
        kind::LOW_24H => "low_24h",
        kind::VOLUME_24H => "volume_24h",
        kind::TURNOVER_24H => "turnover_24h",
        kind::LIQUIDATION => "liquidation",
        _ => "",
    }
}
