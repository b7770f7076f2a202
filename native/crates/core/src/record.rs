//! The tick record: 64 bytes, one cache line, the unit that every stage passes on in batches.
//!
//! The layout is declared here and in `src/tickcast/model/record.py`; both are held against the golden file
//! `tests/model/record_layout.json`.

/// Bytes of one record.
pub const RECORD_SIZE: usize = 64;

/// One row of an event. See `docs/reference/record.md` for the meaning of each field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Exchange event time, ns since 1970 UTC.
    pub ts_event: i64,
    /// When the bytes reached our socket, ns since 1970 UTC.
    pub ts_recv: i64,
    /// xxh3-64 of `VENUE:SYMBOL`.
    pub instrument: u64,
    /// The venue's sequence number, 0 if it has none.
    pub seq: u64,
    /// Trade or order id; xxh3-64 of its text where it is no number.
    pub id: u64,
    /// Mantissa of the price: `price / 10^price_scale`; for a measure, its value.
    pub price: i64,
    /// Mantissa of the size: `size / 10^size_scale`.
    pub size: i64,
    /// One of [`kind`].
    pub kind: u8,
    /// 0 unknown, 1 buyer was the aggressor, 2 seller.
    pub side: u8,
    /// Decimal digits behind the point of `price`.
    pub price_scale: u8,
    /// Decimal digits behind the point of `size`.
    pub size_scale: u8,
    /// Bits of [`flag`].
    pub flags: u16,
    /// By kind: book level or order count, [`condition`] bits of a trade, state of a status.
    pub detail: u16,
}

const _: () = assert!(core::mem::size_of::<Record>() == RECORD_SIZE);
const _: () = assert!(core::mem::align_of::<Record>() == 8);

/// What a record says.
pub mod kind {
    pub const TRADE: u8 = 1;
    /// Best bid of the venue: `price`, `size`; `no_price` when that side is empty.
    pub const BID: u8 = 2;
    /// Best ask of the venue, likewise.
    pub const ASK: u8 = 3;
    /// One level of the bid side; size 0 deletes it.
    pub const BOOK_BID: u8 = 4;
    pub const BOOK_ASK: u8 = 5;
    /// `detail` is one of [`super::state`]; the batch's text column may hold the reason.
    pub const STATUS: u8 = 6;
    /// `id` records are missing before this one (0 = unknown number), `seq` is the next one in hand.
    pub const GAP: u8 = 7;
    /// A sensor's value.
    pub const READING: u8 = 8;
    /// The trade `id` was broken (cancelled) by the venue.
    pub const BUST: u8 = 9;
    /// The trade `id` now has this price and size.
    pub const CORRECTION: u8 = 10;
    /// Auction imbalance: `price` is the indicative clearing price, `size` the paired quantity.
    pub const IMBALANCE: u8 = 11;
    /// Previous session's close, from reference data or from the venue.
    pub const PREV_CLOSE: u8 = 12;
    /// The venue's own session volume in `size`; it replaces what was counted. With `no_size`: what was traded before
    /// is not known, so open, high, low and volume of this session are unknown.
    pub const VOLUME: u8 = 13;
    /// A market-wide or administrative event without a price: `detail` is venue-specific.
    pub const NOTICE: u8 = 14;
    pub const MARK: u8 = 32;
    pub const INDEX: u8 = 33;
    pub const FUNDING: u8 = 34;
    pub const OPEN_INTEREST: u8 = 35;
    pub const IV: u8 = 36;
    pub const DELTA: u8 = 37;
    pub const GAMMA: u8 = 38;
    pub const THETA: u8 = 39;
    pub const VEGA: u8 = 40;
    pub const RHO: u8 = 41;
    /// Implied volatility of the best bid.
    pub const BID_IV: u8 = 42;
    /// Implied volatility of the best ask.
    pub const ASK_IV: u8 = 43;
    /// Price of the underlying that implied volatilities are computed with.
    pub const UNDERLYING: u8 = 44;
    /// Predicted funding rate of the next interval.
    pub const FUNDING_NEXT: u8 = 45;
    /// When the next funding is paid: seconds since 1970 UTC, scale 9.
    pub const FUNDING_TIME: u8 = 46;
    /// Settlement or delivery price.
    pub const SETTLEMENT: u8 = 47;
    /// Price 24 hours ago.
    pub const OPEN_24H: u8 = 48;
    /// Highest price of 24 hours.
    pub const HIGH_24H: u8 = 49;
    /// Lowest price of 24 hours.
    pub const LOW_24H: u8 = 50;
    /// Volume of 24 hours.
    pub const VOLUME_24H: u8 = 51;
    /// Volume of 24 hours in the currency of prices.
    pub const TURNOVER_24H: u8 = 52;
    /// A liquidation: price, size, side of the order; no trade.
    pub const LIQUIDATION: u8 = 53;
}

/// Bits of `flags`.
pub mod flag {
    /// The last row of an event; no stage cuts a batch inside an event.
    pub const LAST_OF_EVENT: u16 = 1 << 0;
    /// A state repeated for a late joiner, not news: sets values, counts in nothing.
    pub const SNAPSHOT: u16 = 1 << 1;
    /// Sent by the venue as history at subscription: sets no price, counts in nothing.
    pub const HISTORY: u16 = 1 << 2;
    /// Fetched after a gap: counts in volumes, never in latency.
    pub const BACKFILLED: u16 = 1 << 3;
    pub const INVALID_BOOK: u16 = 1 << 4;
    pub const NO_PRICE: u16 = 1 << 5;
    pub const NO_SIZE: u16 = 1 << 6;
    pub const INEXACT_SIZE: u16 = 1 << 7;
    /// Event time was more than a second ahead of the receive time; the receive time stands in.
    pub const CLOCK_SKEW: u16 = 1 << 8;
    /// Told again from the beginning of the venue's session, in order: a trade that is not newer, by event time and
    /// sequence, than the newest one counted is a repeat and counts in nothing. Never measured for latency.
    pub const REPLAYED: u16 = 1 << 9;
}

/// Bits of a trade's `detail`.
pub mod condition {
    pub const ODD_LOT: u16 = 1 << 0;
    pub const OUT_OF_SEQUENCE: u16 = 1 << 1;
    /// A cross: the opening, closing, halt or intraday auction.
    pub const AUCTION: u16 = 1 << 2;
    pub const OPENING: u16 = 1 << 3;
    pub const CLOSING: u16 = 1 << 4;
    /// Against an order that was not displayed.
    pub const HIDDEN: u16 = 1 << 5;
    /// Told to clients of a trade whose flag says that it was fetched after a break; no venue sets it.
    pub const BACKFILLED: u16 = 1 << 6;
}

/// Validity of an instrument, and `detail` of a status record.
pub mod state {
    pub const EMPTY: u8 = 0;
    pub const SYNCING: u8 = 1;
    pub const LIVE: u8 = 2;
    pub const GAP: u8 = 3;
    pub const REPAIRING: u8 = 4;
    pub const STALE: u8 = 5;
    pub const HALTED: u8 = 6;
    pub const AUCTION: u8 = 7;
    pub const CLOSED: u8 = 8;
    pub const UNVERIFIED: u8 = 9;
    pub const DELAYED: u8 = 10;
    /// The names that clients see, by number.
    pub const NAMES: [&str; 11] = [
        "empty",
        "syncing",
        "live",
        "gap",
        "repairing",
        "stale",
        "halted",
        "auction",
        "closed",
        "unverified",
        "delayed",
    ];
}

/// xxh3-64 of `VENUE:SYMBOL`: the same id in every process and language.
#[must_use]
pub fn instrument_id(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes())
}

/// Views bytes as records; `None` unless the length is a multiple of 64. Copies, so alignment does not matter.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Record>> {
    if !bytes.len().is_multiple_of(RECORD_SIZE) {
        return None;
    }
    let count = bytes.len() / RECORD_SIZE;
    let mut records = vec![Record::default(); count];
    // SAFETY: `Record` is `repr(C)` of plain integers without padding (asserted: 64 bytes), so every bit pattern is
    // valid; source and destination hold `bytes.len()` bytes and do not overlap, since `records` was just allocated.
    unsafe {
        core::ptr::copy_nonoverlapping(
            bytes.as_ptr(),
            records.as_mut_ptr().cast::<u8>(),
            bytes.len(),
        );
    }
    Some(records)
}

/// The records as bytes, in the layout above.
#[must_use]
pub fn as_bytes(records: &[Record]) -> &[u8] {
    // SAFETY: plain integers without padding; the length in bytes is exact and the lifetime is that of `records`.
    unsafe {
        core::slice::from_raw_parts(
            records.as_ptr().cast::<u8>(),
            core::mem::size_of_val(records),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip() {
        let record = Record {
            ts_event: -1,
            price: i64::MIN,
            kind: kind::TRADE,
            detail: 7,
            ..Record::default()
        };
        let bytes = as_bytes(&[record]).to_vec();
        assert_eq!(bytes.len(), RECORD_SIZE);
        assert_eq!(from_bytes(&bytes), Some(vec![record]));
        assert_eq!(from_bytes(&bytes[1..]), None);
    }
}
