//! What a load client needs to know of a frame, in any codec.

use std::ops::Range;

use crate::msgpack;

/// What a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    Update,
    Snapshot,
    Trade,
    Bar,
    Lost,
    Status,
    Heartbeat,
    Pong,
    Subscribed,
    Resumed,
    Error,
    /// Anything else: counted, not looked at.
    #[default]
    Other,
}

impl Kind {
    /// The kind of the text in `type`.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"update" => Self::Update,
            b"snapshot" => Self::Snapshot,
            b"trade" => Self::Trade,
            b"bar" => Self::Bar,
            b"lost" => Self::Lost,
            b"status" => Self::Status,
            b"hb" => Self::Heartbeat,
            b"pong" => Self::Pong,
            b"subscribed" => Self::Subscribed,
            b"resumed" => Self::Resumed,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }

    /// The kind of the number that a compact frame begins with.
    pub fn of_compact(number: u64) -> Self {
        match number {
            msgpack::PRICE | msgpack::BOOK => Self::Update,
            msgpack::TRADE => Self::Trade,
            msgpack::BAR => Self::Bar,
            _ => Self::Other,
        }
    }

    /// The name in the protocol; `other` for the rest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Snapshot => "snapshot",
            Self::Trade => "trade",
            Self::Bar => "bar",
            Self::Lost => "lost",
            Self::Status => "status",
            Self::Heartbeat => "hb",
            Self::Pong => "pong",
            Self::Subscribed => "subscribed",
            Self::Resumed => "resumed",
            Self::Error => "error",
            Self::Other => "other",
        }
    }
}

/// One frame. Names and times are places in the message, so that nothing is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    /// The symbol's text as it was written, without quotes.
    pub symbol: Option<Range<usize>>,
    /// The number that stands for the symbol, in the binary codecs.
    pub handle: Option<u32>,
    pub epoch: Option<u64>,
    pub seq: Option<u64>,
    /// Of a `lost` frame.
    pub count: u64,
    /// `server_timestamp` in nanoseconds since 1970.
    pub server_ns: Option<i64>,
    /// `timestamp`, the exchange's, in nanoseconds since 1970.
    pub exchange_ns: Option<i64>,
    /// The whole frame.
    pub whole: Range<usize>,
}

/// The message is not what its codec allows; where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub usize);
