//! State to messages of each codec. One function for each kind of message, which picks the codec by its [`Stamp`].
//!
//! Nothing here knows of clients, nor of where the state is kept; `seq` and `epoch` come from the hub. Numbers are written
//! exactly from the mantissa with the venue's own digits. A value that is not known is null. What exists for securities
//! only (`crossed`, `legs`) is left out for an instrument. Names come as JSON, quotes included, since that is how they are
//! needed most.

pub mod codec;
mod compact;
pub mod json;
pub mod msgpack;
mod proto;
pub mod text;
mod values;

pub use crate::latest::PRICE_FIELDS;
pub use codec::Codec;
pub use json::{write_bars_object, write_book_object, write_price};
pub use text::{quote, write_string, write_time};

use crate::latest::{Bar, BookFrame, Topic, TradeRow, View, field};

/// Where a frame stands and how it is written.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Also the handle by which binary codecs name it.
    pub topic: Topic,
    pub epoch: u64,
    pub seq: u64,
    pub now_ns: i64,
    /// How the frame is written.
    pub codec: Codec,
    /// Index into [`crate::hub::RATE_CLASSES`], or [`crate::hub::CLASS_ALL`]: a link's frames tell it.
    pub class: u8,
}

/// What became of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    pub quoted_name: &'a [u8],
    /// One of [`crate::record::state`].
    pub state: u8,
    pub since_ns: i64,
    /// Empty if nobody said.
    pub reason: &'a str,
}

/// What begins a subscription of bars.
#[derive(Debug, Clone, Copy)]
pub struct Bars<'a> {
    /// As clients name it: `1s` or `1m`.
    pub interval: &'a str,
    /// Recent ones, oldest first.
    pub bars: &'a [Bar],
    /// One of [`crate::record::state`].
    pub state: u8,
}

/// Everything of `price`, or the fields of a mask; 0 = all.
pub fn snapshot(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    let fields = if fields == 0 { field::ALL } else { fields };
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::snapshot(out, stamp, view, fields)
        }
        Codec::Msgpack | Codec::MsgpackCompact => msgpack::snapshot(out, stamp, view, fields),
        Codec::Proto | Codec::Link => proto::snapshot(out, stamp, view, fields),
    }
}

/// Exactly the fields of the mask.
pub fn update(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::update(out, stamp, view, fields)
        }
        Codec::Msgpack => msgpack::update(out, stamp, view, fields),
        Codec::MsgpackCompact => compact::update(out, stamp, view, fields),
        Codec::Proto | Codec::Link => proto::update(out, stamp, view, fields),
    }
}

/// The topic's state and why.
pub fn status(out: &mut Vec<u8>, stamp: Stamp, status: &Status<'_>) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::status(out, status)
        }
        Codec::Msgpack | Codec::MsgpackCompact => msgpack::status(out, status),
        Codec::Proto | Codec::Link => proto::status(out, stamp, status),
    }
}

/// One trade; `text` is its id where that is no number.
pub fn trade(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    row: &TradeRow,
    text: Option<&str>,
) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::trade(out, stamp, quoted_name, row, text)
        }
        Codec::Msgpack => msgpack::trade(out, stamp, quoted_name, row, text),
        Codec::MsgpackCompact => compact::trade(out, stamp, row, text),
        Codec::Proto | Codec::Link => proto::trade(out, stamp, row, text),
    }
}

/// What was dropped before `stamp.seq`; `channel` is one of [`crate::hub::CHANNELS`].
pub fn lost(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], channel: &str, count: u64) {
    let channel = split_channel(channel);
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::lost(out, stamp, quoted_name, channel, count)
        }
        Codec::Msgpack | Codec::MsgpackCompact => {
            msgpack::lost(out, stamp, quoted_name, channel, count);
        }
        Codec::Proto | Codec::Link => proto::lost(out, stamp, quoted_name, channel, count),
    }
}

/// A snapshot (where the frame has a state) or an update of a book.
pub fn book(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], frame: &BookFrame<'_>) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::book(out, stamp, quoted_name, frame)
        }
        Codec::MsgpackCompact if frame.state.is_none() => compact::book(out, stamp, frame),
        Codec::Msgpack | Codec::MsgpackCompact => msgpack::book(out, stamp, quoted_name, frame),
        Codec::Proto | Codec::Link => proto::book(out, stamp, quoted_name, frame),
    }
}

/// One bar; `interval` as clients name it: `1s` or `1m`.
pub fn bar(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], interval: &str, bar: &Bar) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::bar(out, stamp, quoted_name, interval, bar)
        }
        Codec::Msgpack => msgpack::bar(out, stamp, quoted_name, interval, bar),
        Codec::MsgpackCompact => compact::bar(out, stamp, interval, bar),
        Codec::Proto | Codec::Link => proto::bar(out, stamp, interval, bar),
    }
}

/// The recent bars.
pub fn bars(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], bars: &Bars<'_>) {
    match stamp.codec {
        Codec::Json | Codec::JsonStrings | Codec::Events | Codec::EventsStrings => {
            json::bars(out, stamp, quoted_name, bars)
        }
        Codec::Msgpack | Codec::MsgpackCompact => msgpack::bars(out, stamp, quoted_name, bars),
        Codec::Proto | Codec::Link => proto::bars(out, stamp, quoted_name, bars),
    }
}

/// The channel that clients see, and the interval of bars: `bars:1s` is `bars` of `1s`, `book:5` is `book`.
fn split_channel(channel: &str) -> (&str, Option<&str>) {
    match channel.split_once(':') {
        Some(("bars", interval)) => ("bars", Some(interval)),
        Some((channel, _)) => (channel, None),
        None => (channel, None),
    }
}

/// Seconds of an interval that clients name `1s` or `1m`.
fn interval_seconds(interval: &str) -> u64 {
    if interval == "1m" { 60 } else { 1 }
}

#[cfg(test)]
mod tests;
