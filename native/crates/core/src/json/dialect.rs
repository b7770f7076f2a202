//! The declaration of a venue as it comes from Python: `tickcast.venues.declared.dialect`, where every field is
//! described.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    S,
    Ms,
    Us,
    Ns,
    Iso,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    Kraken,
    KrakenV1,
    Okx,
    Bitfinex,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    Range,
    Previous,
    Consecutive,
    Ordered,
    None,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotFrom {
    Stream,
    First,
    Rest,
    Asked,
    Every,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Instrument,
    Channel,
    Connection,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    pub path: String,
    #[serde(default)]
    pub equals: Vec<String>,
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    pub suffix: String,
    #[serde(default)]
    pub present: Option<bool>,
    #[serde(default)]
    pub same_as: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub path: String,
    #[serde(default)]
    pub split: String,
    #[serde(default)]
    pub part: i32,
    #[serde(default)]
    pub strip: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    pub path: String,
    pub unit: TimeUnit,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggressor {
    pub path: String,
    pub buyer: Vec<String>,
    pub seller: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    Buyer,
    Seller,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    pub bids: String,
    pub asks: String,
    pub mixed: String,
    pub side: String,
    pub signed: bool,
    pub bid_words: Vec<String>,
    pub ask_words: Vec<String>,
    pub price: String,
    pub size: String,
    pub action: String,
    pub deleted: Vec<String>,
    pub split: String,
    pub zero_is_none: bool,
    pub or_price: String,
    pub or_size: String,
    pub rows: bool,
    pub id: String,
    pub inserted: Vec<String>,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            bids: String::new(),
            asks: String::new(),
            mixed: String::new(),
            side: String::new(),
            signed: false,
            bid_words: words(&["bid", "buy"]),
            ask_words: words(&["offer", "ask", "sell"]),
            price: "0".to_owned(),
            size: "1".to_owned(),
            action: String::new(),
            deleted: words(&["delete"]),
            split: String::new(),
            zero_is_none: false,
            or_price: String::new(),
            or_size: String::new(),
            rows: false,
            id: String::new(),
            inserted: words(&["insert"]),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookRule {
    pub chain: Chain,
    pub snapshot: SnapshotFrom,
    #[serde(default)]
    pub checksum: Option<ChecksumKind>,
    #[serde(default = "instrument")]
    pub scope: Scope,
    #[serde(default)]
    pub first_at: Option<u64>,
    #[serde(default)]
    pub same_is_empty: bool,
    #[serde(default)]
    pub overlaps: bool,
    #[serde(default)]
    pub depth: usize,
    #[serde(default)]
    pub depth_from: String,
}

const fn instrument() -> Scope {
    Scope::Instrument
}

/// What counts the trades of an instrument up by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainedBy {
    #[default]
    Id,
    Seq,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trades {
    /// Its tag, where it stands alone (`rest_trades`): [`Emit`] takes it away.
    #[serde(default, rename = "type")]
    _tag: String,
    pub key: Key,
    pub price: String,
    pub size: String,
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub aggressor: Option<Aggressor>,
    #[serde(default)]
    pub signed: Option<Party>,
    #[serde(default)]
    pub rows: String,
    #[serde(default)]
    pub only: Vec<Match>,
    #[serde(default)]
    pub time: Option<Time>,
    #[serde(default)]
    pub seq: String,
    #[serde(default)]
    pub history: Vec<Match>,
    #[serde(default)]
    pub chained: bool,
    #[serde(default)]
    pub chained_by: ChainedBy,
    #[serde(default)]
    pub covers: String,
    #[serde(default)]
    pub liquidation: bool,
}

/// An answer over REST that holds trades of one instrument.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestTrades {
    #[serde(default)]
    pub when: Vec<Match>,
    #[serde(default)]
    pub rows: String,
    #[serde(default)]
    pub newest_first: bool,
    pub trades: Trades,
    #[serde(default)]
    pub or_trades: Vec<Trades>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotes {
    pub key: Key,
    pub bid: String,
    pub ask: String,
    #[serde(default)]
    pub bid_size: String,
    #[serde(default)]
    pub ask_size: String,
    #[serde(default)]
    pub time: Option<Time>,
    #[serde(default)]
    pub seq: String,
    #[serde(default)]
    pub whole: bool,
    #[serde(default)]
    pub comparable: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// Its tag, where it stands alone (`rest_book`): [`Emit`] takes it away.
    #[serde(default, rename = "type")]
    _tag: String,
    pub key: Key,
    pub levels: Levels,
    pub rule: BookRule,
    #[serde(default)]
    pub snapshot: Vec<Match>,
    #[serde(default)]
    pub first: String,
    #[serde(default)]
    pub last: String,
    #[serde(default)]
    pub previous: String,
    #[serde(default)]
    pub checksum: String,
    #[serde(default)]
    pub time: Option<Time>,
    #[serde(default)]
    pub empty: Option<Key>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    pub kind: u8,
    pub path: String,
    #[serde(default)]
    pub unit: Option<TimeUnit>,
    #[serde(default)]
    pub absent: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    pub key: Key,
    pub values: Vec<Measure>,
    #[serde(default)]
    pub time: Option<Time>,
}

/// What is told of each row; the variants are named by their `type` in the JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Emit {
    Trades(Box<Trades>),
    Quotes(Box<Quotes>),
    Book(Box<Book>),
    Measures(Box<Measures>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub name: String,
    pub when: Vec<Match>,
    #[serde(default)]
    pub rows: String,
    #[serde(default)]
    pub newest_first: bool,
    #[serde(default)]
    pub emits: Vec<Emit>,
    #[serde(default)]
    pub market: String,
    #[serde(default)]
    pub fields: Vec<String>,
    #[serde(default)]
    pub cold_when_changed: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    pub path: String,
    #[serde(default)]
    pub first: Option<u64>,
    #[serde(default)]
    pub places: Vec<Place>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub when: Vec<Match>,
    pub path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub when: Vec<Match>,
    pub number: String,
    pub path: String,
    #[serde(default)]
    pub ends: Vec<Match>,
}

/// How frames come compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    #[default]
    #[serde(rename = "")]
    None,
    Gzip,
}

const fn unpacked_max() -> usize {
    32 << 20
}

const fn buffer_max() -> usize {
    4096
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    pub messages: Vec<Message>,
    #[serde(default)]
    pub counter: Option<Counter>,
    #[serde(default)]
    pub binding: Option<Binding>,
    #[serde(default)]
    pub plain: Vec<String>,
    #[serde(default)]
    pub rest_book: Option<Book>,
    #[serde(default)]
    pub rest_rows: String,
    #[serde(default)]
    pub rest_trades: Option<RestTrades>,
    #[serde(default = "buffer_max")]
    pub buffer_max: usize,
    #[serde(default)]
    pub packing: Packing,
    #[serde(default = "unpacked_max")]
    pub unpacked_max: usize,
}

impl Dialect {
    /// Whether trades of an instrument count up by one.
    #[must_use]
    pub fn chains_trades(&self) -> bool {
        let mut emits = self.messages.iter().flat_map(|message| &message.emits);
        emits.any(
            |emit| matches!(emit, Emit::Trades(trades) if trades.chained && !trades.liquidation),
        )
    }
}
