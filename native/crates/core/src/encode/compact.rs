//! MessagePack without keys: what comes most often, as positional arrays of integers. The layouts are in
//! `docs/protocol.md` and in the ack of each connection that gets them:
//!
//! - price: `[0, handle, seq, mask, value…]`, one value for each bit of the mask, lowest first;
//! - trade: `[1, handle, seq, id, price, size, side, time, conditions]`;
//! - book: `[2, handle, seq, time, [price, size, …], [price, size, …]]`, and the digest where it is told;
//! - bar: `[3, handle, seq, interval, start, open, high, low, close, volume, notional, trades, flags]`, interval and
//!   start in seconds, flags 1 = final, 2 = corrected.
//!
//! A decimal is `mantissa * 32 + scale` where that has less than 54 bits, else its text. A time is ns since 1970.

use super::Stamp;
use super::interval_seconds;
use super::msgpack::{array, boolean, int, nil, number, text, uint};
use super::values::{Value, bar_prices, bits, fields_of, packed, value};
use crate::latest::{Amount, Bar, BookFrame, Level, TradeRow, View};

/// Integers below it are exact in a double.
const EXACT_BITS: u32 = 53;

const PRICE: u64 = 0;
const TRADE: u64 = 1;
const BOOK: u64 = 2;
const BAR: u64 = 3;

pub(super) fn update(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    let fields = fields_of(view, fields);
    array(out, 4 + fields.count_ones() as usize);
    begin(out, PRICE, stamp);
    uint(out, fields.into());
    for field in bits(fields) {
        match value(view, 1 << field, stamp.now_ns) {
            Value::Number(amount) => decimal(out, amount),
            Value::Side(number) | Value::State(number) => uint(out, number.into()),
            Value::Time(time) => match time {
                Some(time) => int(out, time.ns),
                None => nil(out),
            },
            Value::Text(name) => match name {
                Some(name) => text(out, &name),
                None => nil(out),
            },
            Value::Crossed(crossed) => boolean(out, crossed),
            Value::Legs(live, of) => {
                array(out, 2);
                uint(out, live.into());
                uint(out, of.into());
            }
        }
    }
}

pub(super) fn trade(out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, id: Option<&str>) {
    array(out, 9);
    begin(out, TRADE, stamp);
    match id {
        Some(id) => text(out, id),
        None if row.id >> EXACT_BITS == 0 => uint(out, row.id),
        None => text(out, &row.id.to_string()),
    }
    decimal(out, row.exact_price().map(Amount::from));
    decimal(out, row.exact_size().map(Amount::from));
    uint(out, row.side.into());
    int(out, row.ts_event);
    uint(out, row.conditions.into());
}

pub(super) fn book(out: &mut Vec<u8>, stamp: Stamp, book: &BookFrame<'_>) {
    array(out, 6 + usize::from(book.digest.is_some()));
    begin(out, BOOK, stamp);
    match book.timestamp_ns {
        0 => nil(out),
        known => int(out, known),
    }
    for levels in [book.bids, book.asks] {
        array(out, 2 * levels.len());
        for Level { price, size } in levels {
            decimal(out, Some((*price).into()));
            decimal(out, Some(*size));
        }
    }
    if let Some(digest) = book.digest {
        uint(out, digest.into());
    }
}

pub(super) fn bar(out: &mut Vec<u8>, stamp: Stamp, interval: &str, bar: &Bar) {
    array(out, 13);
    begin(out, BAR, stamp);
    uint(out, interval_seconds(interval));
    int(out, bar.start_ns.div_euclid(1_000_000_000));
    for price in bar_prices(bar) {
        decimal(out, price.map(Amount::from));
    }
    decimal(out, Some(bar.volume));
    decimal(out, bar.notional);
    uint(out, bar.trades.into());
    uint(
        out,
        u64::from(bar.is_final) | u64::from(bar.is_corrected) << 1,
    );
}

fn begin(out: &mut Vec<u8>, kind: u64, stamp: Stamp) {
    uint(out, kind);
    uint(out, stamp.topic.into());
    uint(out, stamp.seq);
}

fn decimal(out: &mut Vec<u8>, amount: Option<Amount>) {
    match amount.and_then(|amount| packed(amount, EXACT_BITS)) {
        Some(packed) => int(out, packed),
        None => number(out, amount),
    }
}
