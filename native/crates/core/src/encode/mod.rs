//! State to JSON: numbers written exactly from the mantissa, with the venue's own digits.
#![allow(unused_variables)]

use crate::latest::{Latest, Topic, TradeRow};

pub use crate::latest::PRICE_FIELDS;

/// `{"type":"snapshot","symbol":…,fields…,"epoch":…,"seq":…,"state":…}`; `fields` 0 = all.
#[allow(clippy::too_many_arguments)]
pub fn write_snapshot(
    out: &mut Vec<u8>,
    latest: &Latest,
    topic: Topic,
    fields: u32,
    strings: bool,
    epoch: u64,
    seq: u64,
    now_ns: i64,
) {
    unimplemented!()
}

/// `{"type":"update","symbol":…,fields…,"seq":…}` with exactly the fields of the mask.
pub fn write_update(
    out: &mut Vec<u8>,
    latest: &Latest,
    topic: Topic,
    fields: u32,
    strings: bool,
    seq: u64,
    now_ns: i64,
) {
    unimplemented!()
}

/// `{"type":"status","symbol":…,"state":…,"since":…,"reason":…}`.
pub fn write_status(out: &mut Vec<u8>, latest: &Latest, topic: Topic) {
    unimplemented!()
}

/// `{"type":"trade","symbol":…,"channel":"trades","seq":…,"id":…,…}`; `name` is the topic's, `text` the id's text if it is no number.
pub fn write_trade(
    out: &mut Vec<u8>,
    name: &str,
    trade: &TradeRow,
    text: Option<&str>,
    strings: bool,
    seq: u64,
) {
    unimplemented!()
}

/// `{"type":"lost","symbol":…,"channel":…,"count":…,"epoch":…,"seq":…}`.
pub fn write_lost(out: &mut Vec<u8>, name: &str, channel: &str, count: u64, epoch: u64, seq: u64) {
    unimplemented!()
}

/// REST's price object: the whole state of a topic.
pub fn write_price(
    out: &mut Vec<u8>,
    latest: &Latest,
    topic: Topic,
    strings: bool,
    epoch: u64,
    seq: u64,
    now_ns: i64,
) {
    unimplemented!()
}
