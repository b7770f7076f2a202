//! The words in which the latest state speaks: settings, definitions, changes, trades, and the fields of `price`.

use super::value::{Amount, Price};
use crate::record::{condition, flag};

/// Index of a topic: an instrument (`XNAS:AAPL`) or a security (`AAPL`). Topics are never removed.
pub type Topic = u32;

/// The feature `stamp` is for one benchmark only (`bench/peers.py`), whose clients look for `"t":` and a time in every update.
const SIZE_NAME: &str = if cfg!(feature = "stamp") { "t" } else { "size" };

/// Names of the fields of channel `price` in wire order; bit i of a field mask is the i-th name.
pub const PRICE_FIELDS: [&str; 20] = [
    "price",
    SIZE_NAME,
    "side",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "timestamp",
    "server_timestamp",
    "venue",
    "state",
    "open",
    "high",
    "low",
    "prev_close",
    "volume",
    "change",
    "change_pct",
    "crossed",
    "legs",
];

/// Bits of a field mask, in the order of [`PRICE_FIELDS`].
pub mod field {
    pub const PRICE: u32 = 1 << 0;
    pub const SIZE: u32 = 1 << 1;
    pub const SIDE: u32 = 1 << 2;
    pub const BID: u32 = 1 << 3;
    pub const BID_SIZE: u32 = 1 << 4;
    pub const ASK: u32 = 1 << 5;
    pub const ASK_SIZE: u32 = 1 << 6;
    pub const TIMESTAMP: u32 = 1 << 7;
    /// Never in a [`super::Change`]: the time of encoding is no change of the instrument.
    pub const SERVER_TIMESTAMP: u32 = 1 << 8;
    pub const VENUE: u32 = 1 << 9;
    pub const STATE: u32 = 1 << 10;
    pub const OPEN: u32 = 1 << 11;
    pub const HIGH: u32 = 1 << 12;
    pub const LOW: u32 = 1 << 13;
    pub const PREV_CLOSE: u32 = 1 << 14;
    pub const VOLUME: u32 = 1 << 15;
    pub const CHANGE: u32 = 1 << 16;
    pub const CHANGE_PCT: u32 = 1 << 17;
    /// Securities only.
    pub const CROSSED: u32 = 1 << 18;
    /// Securities only.
    pub const LEGS: u32 = 1 << 19;
    /// Every field there is.
    pub const ALL: u32 = (1 << 20) - 1;
    /// What a change of best bid or offer can change.
    pub const QUOTE: u32 = BID | BID_SIZE | ASK | ASK_SIZE;
    /// What the last trade sets.
    pub const LAST: u32 = PRICE | SIZE | SIDE | TIMESTAMP | VENUE;
}

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Trades with one of these [`condition`] bits set no price (they count in volume and in the counters).
    pub exclude_conditions: u16,
    /// How long, by arrival, an older trade of another venue cannot replace a newer one; ns.
    pub late_ns: i64,
    /// An event time more than this ahead of the receive time is not believed; ns.
    pub skew_ns: i64,
    /// Trades remembered for each instrument, so that busts and corrections can be applied.
    pub memory_max: usize,
    /// Bars kept of each instrument: of a second, of a minute.
    pub bars_kept: [usize; 2],
    /// Why nothing here is of now: what would be `live` is shown as `delayed`, for this reason. Empty: it is of now.
    pub late: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            exclude_conditions: condition::ODD_LOT | condition::OUT_OF_SEQUENCE,
            late_ns: 1_000_000_000,
            skew_ns: 1_000_000_000,
            memory_max: 64,
            bars_kept: [60, 120],
            late: String::new(),
        }
    }
}

/// An instrument as a venue lists it; the same fields as `tickcast.model.instrument.Definition`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// xxh3-64 of `VENUE:SYMBOL`.
    pub instrument: u64,
    pub venue: String,
    pub symbol: String,
    pub feed: String,
    /// What is consolidated; empty: the symbol.
    pub security: String,
    pub asset_class: String,
    pub currency: String,
    pub tick_size: Option<String>,
    /// Name given to [`super::Latest::set_calendar`]; `24/7` without one is the UTC day.
    pub calendar: String,
    /// Digits of a second in the venue's event times: 3, 6 or 9.
    pub time_precision: u8,
    /// Open, high, low and previous close of the security are this instrument's.
    pub primary: bool,
    /// It is streamed only while somebody watches it.
    pub on_demand: bool,
}

/// One visible change of one topic, told to the sink in the order it happened.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub topic: Topic,
    /// [`field`] bits whose value is another one now; 0 when a trade counts and nothing else changed.
    pub fields: u32,
    pub cause: Cause,
}

/// Why a topic changed: what the counters count.
#[derive(Clone, Copy, Debug)]
pub enum Cause {
    /// A trade: 1 in `price` and 1 in `trades`, also when it is late or excluded.
    Trade(TradeRow),
    /// An event that changed best price or size: 1 in `price`.
    Quote,
    /// Any other visible change (state, session roll, bust, expired leg, snapshot): 1 in `price`.
    Other,
    /// An event that changed the book: 1 in `book`, none in `price`.
    Book,
    /// A bar ended, or a bust or a correction changed it: 1 in the `bars` of this interval, none in `price`. A trade
    /// changes the bars of its event time without saying so.
    Bar { interval: u8, start_ns: i64 },
}

/// A trade as channel `trades` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TradeRow {
    /// The event time, already corrected for clock skew; ns.
    pub ts_event: i64,
    pub id: u64,
    pub price: i64,
    pub size: i64,
    /// Place in the batch's text column of the id's text, or [`TradeRow::NO_TEXT`].
    pub text: u32,
    /// [`condition`] bits.
    pub conditions: u16,
    /// [`flag`] bits; `NO_PRICE` and `NO_SIZE` say that `price` or `size` is unknown.
    pub flags: u16,
    pub price_scale: u8,
    pub size_scale: u8,
    /// 0 unknown, 1 buyer was the aggressor, 2 seller.
    pub side: u8,
    /// Digits of a second in the venue's event times.
    pub time_precision: u8,
}

impl TradeRow {
    /// The id is the number `id`.
    pub const NO_TEXT: u32 = u32::MAX;

    #[must_use]
    pub const fn has_price(&self) -> bool {
        self.flags & flag::NO_PRICE == 0
    }

    #[must_use]
    pub const fn has_size(&self) -> bool {
        self.flags & flag::NO_SIZE == 0
    }

    #[must_use]
    pub fn exact_price(&self) -> Option<Price> {
        self.has_price()
            .then(|| Price::new(self.price, self.price_scale))
    }

    #[must_use]
    pub fn exact_size(&self) -> Option<Price> {
        self.has_size()
            .then(|| Price::new(self.size, self.size_scale))
    }

    /// The id's text in the batch it came with, if it is no number.
    #[must_use]
    pub fn id_text<'a>(&self, texts: Option<&'a [Option<String>]>) -> Option<&'a str> {
        texts?.get(self.text as usize)?.as_deref()
    }
}

/// What one call of [`super::Latest::apply`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub records: u64,
    /// Records of an instrument without a definition; not applied.
    pub unknown: u64,
    /// Trades older than the current one by event time: counted, no new price.
    pub late: u64,
    /// Busts and corrections of a trade that is not remembered.
    pub unmatched: u64,
    /// Records whose scale no decimal can have; not applied.
    pub malformed: u64,
}

/// A price level of a book; a size of nothing deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    pub size: Amount,
}

/// One message of a book, before it is written in a codec.
#[derive(Clone, Copy, Debug)]
pub struct BookFrame<'a> {
    /// Levels of a side that the channel shows: 5, 10 or 50.
    pub depth: u8,
    /// All levels (a snapshot) or those that changed, best first.
    pub bids: &'a [Level],
    pub asks: &'a [Level],
    /// Event time of the newest change, ns; 0 where nothing is known.
    pub timestamp_ns: i64,
    /// Digits of a second in `timestamp_ns`.
    pub time_precision: u8,
    /// One of [`crate::record::state`]: of a snapshot only.
    pub state: Option<u8>,
    /// The last part of a snapshot.
    pub is_last: bool,
    /// CRC-32 of the whole book after this message, where it is told.
    pub digest: Option<u32>,
}

/// Open, high, low, close and volume of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Begin of the interval, ns since 1970 UTC.
    pub start_ns: i64,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: Amount,
    /// Sum of price times size; `None` where it does not fit.
    pub notional: Option<Amount>,
    /// 0: every trade was taken back, there is no such bar any more.
    pub trades: u32,
    /// The interval is over.
    pub is_final: bool,
    /// Changed after its end, by a bust, a correction or a late trade.
    pub is_corrected: bool,
}
