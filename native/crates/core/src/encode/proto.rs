//! Protobuf, written by hand from `proto/tickcast.proto` (the wire format is protobuf.dev's "Encoding"): each function
//! appends one `ServerFrame` with one `Message`, so that frames in a row are one `ServerFrame` with all of them.
//!
//! A decimal is a `sint64` of `mantissa * 32 + scale`; one that does not fit is text in `wide`.

use super::text::write_amount;
use super::values::{Value, bar_prices, bits, condition_names, fields_of, packed, unquoted, value};
use super::{Bars, Stamp, Status, interval_seconds};
use crate::latest::{Amount, Bar, BookFrame, Level, TradeRow, View, field};

/// `Message` of the file: one field each.
mod message {
    pub const SNAPSHOT: u32 = 1;
    pub const UPDATE: u32 = 2;
    pub const TRADE: u32 = 3;
    pub const BOOK: u32 = 4;
    pub const BAR: u32 = 5;
    pub const BOOK_SNAPSHOT: u32 = 6;
    pub const BARS_SNAPSHOT: u32 = 7;
    pub const STATUS: u32 = 8;
    pub const LOST: u32 = 9;
}

/// Numbers of `Price` for the fields of `price`, in the order of their bits; `legs` are two.
const NUMBERS: [u32; 20] = [
    3, 4, 14, 5, 6, 7, 8, 9, 21, 20, 15, 18, 16, 17, 19, 11, 12, 13, 22, 23,
];
const LEGS_OF: u32 = 24;
const UNKNOWN: u32 = 10;
const WIDE: u32 = 25;

pub(super) fn snapshot(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    message(out, message::SNAPSHOT, |out| {
        string(out, 1, &unquoted(view.quoted_name));
        uint(out, 2, stamp.epoch);
        nested(out, 3, |out| {
            write_price(out, stamp, view, fields | field::STATE)
        });
    });
}

pub(super) fn update(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    message(out, message::UPDATE, |out| {
        write_price(out, stamp, view, fields)
    });
}

fn write_price(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    begin(out, stamp);
    let mut unknown: u32 = 0;
    let mut wide: u32 = 0;
    for place in bits(fields_of(view, fields)) {
        let number = NUMBERS[place as usize];
        match value(view, 1 << place, stamp.now_ns) {
            Value::Number(None) | Value::Time(None) | Value::Text(None) => unknown |= 1 << place,
            Value::Number(Some(amount)) => match packed(amount, 64) {
                Some(packed) => sint(out, number, packed),
                None => wide |= 1 << place,
            },
            Value::Time(Some(time)) => fixed64(out, number, time.ns),
            Value::Text(Some(name)) => string(out, number, &name),
            Value::Side(0) => unknown |= 1 << place,
            Value::Side(code) | Value::State(code) => present(out, number, code.into()),
            Value::Crossed(crossed) => present(out, number, crossed.into()),
            Value::Legs(live, of) => {
                present(out, number, live.into());
                present(out, LEGS_OF, of.into());
            }
        }
    }
    if unknown != 0 {
        nested(out, UNKNOWN, |out| {
            for place in bits(unknown) {
                varint(out, NUMBERS[place as usize].into());
            }
        });
    }
    for place in bits(wide) {
        if let Value::Number(Some(amount)) = value(view, 1 << place, stamp.now_ns) {
            write_wide(out, WIDE, NUMBERS[place as usize], amount);
        }
    }
}

pub(super) fn status(out: &mut Vec<u8>, stamp: Stamp, status: &Status<'_>) {
    message(out, message::STATUS, |out| {
        uint(out, 1, stamp.topic.into());
        string(out, 2, &unquoted(status.quoted_name));
        uint(out, 3, status.state.into());
        fixed64(out, 4, status.since_ns);
        if !status.reason.is_empty() {
            string(out, 5, status.reason);
        }
    });
}

pub(super) fn trade(out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, id: Option<&str>) {
    const WIDE: u32 = 10;
    message(out, message::TRADE, |out| {
        begin(out, stamp);
        decimal(out, 3, row.exact_price().map(Amount::from), WIDE);
        decimal(out, 4, row.exact_size().map(Amount::from), WIDE);
        uint(out, 5, row.side.into());
        fixed64(out, 6, row.ts_event);
        match id {
            Some(id) => string(out, 8, id),
            None => present(out, 7, row.id),
        }
        for name in condition_names(row.conditions) {
            string(out, 9, name);
        }
    });
}

pub(super) fn lost(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    (channel, interval): (&str, Option<&str>),
    count: u64,
) {
    message(out, message::LOST, |out| {
        begin(out, stamp);
        string(out, 3, &unquoted(quoted_name));
        string(out, 4, channel);
        if let Some(interval) = interval {
            string(out, 5, interval);
        }
        uint(out, 6, count);
        uint(out, 7, stamp.epoch);
    });
}

pub(super) fn book(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], book: &BookFrame<'_>) {
    let Some(state) = book.state else {
        return message(out, message::BOOK, |out| write_book(out, stamp, book));
    };
    message(out, message::BOOK_SNAPSHOT, |out| {
        string(out, 1, &unquoted(quoted_name));
        uint(out, 2, stamp.epoch);
        uint(out, 3, book.depth.into());
        uint(out, 4, state.into());
        uint(out, 5, book.is_last.into());
        nested(out, 6, |out| write_book(out, stamp, book));
    });
}

fn write_book(out: &mut Vec<u8>, stamp: Stamp, book: &BookFrame<'_>) {
    const DIGEST: u32 = 6;
    const WIDE: u32 = 7;
    begin(out, stamp);
    for (number, levels) in [(3, book.bids), (4, book.asks)] {
        if !levels.is_empty() {
            nested(out, number, |out| {
                for (price, size) in levels.iter().filter_map(packed_level) {
                    varint(out, zigzag(price));
                    varint(out, zigzag(size));
                }
            });
        }
    }
    if book.timestamp_ns != 0 {
        fixed64(out, 5, book.timestamp_ns);
    }
    if let Some(digest) = book.digest {
        varint(out, u64::from(DIGEST << 3 | 5));
        out.extend_from_slice(&digest.to_le_bytes());
    }
    for (is_ask, levels) in [(false, book.bids), (true, book.asks)] {
        for level in levels.iter().filter(|level| packed_level(level).is_none()) {
            nested(out, WIDE, |out| {
                uint(out, 1, is_ask.into());
                nested(out, 2, |out| {
                    write_amount(out, Some(level.price.into()), false)
                });
                nested(out, 3, |out| write_amount(out, Some(level.size), false));
            });
        }
    }
}

/// Price and size, where both can be packed.
fn packed_level(level: &Level) -> Option<(i64, i64)> {
    Some((packed(level.price.into(), 64)?, packed(level.size, 64)?))
}

pub(super) fn bar(out: &mut Vec<u8>, stamp: Stamp, interval: &str, bar: &Bar) {
    message(out, message::BAR, |out| {
        begin(out, stamp);
        uint(out, 3, interval_seconds(interval));
        write_bar(out, bar);
    });
}

fn write_bar(out: &mut Vec<u8>, bar: &Bar) {
    const WIDE: u32 = 14;
    uint(out, 4, (bar.start_ns.div_euclid(1_000_000_000)) as u64);
    for (number, price) in (5..).zip(bar_prices(bar)) {
        decimal(out, number, price.map(Amount::from), WIDE);
    }
    decimal(out, 9, Some(bar.volume), WIDE);
    decimal(out, 10, bar.notional, WIDE);
    uint(out, 11, bar.trades.into());
    uint(out, 12, bar.is_final.into());
    uint(out, 13, bar.is_corrected.into());
}

pub(super) fn bars(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], bars: &Bars<'_>) {
    message(out, message::BARS_SNAPSHOT, |out| {
        begin(out, stamp);
        string(out, 3, &unquoted(quoted_name));
        uint(out, 4, stamp.epoch);
        uint(out, 5, interval_seconds(bars.interval));
        uint(out, 6, bars.state.into());
        for bar in bars.bars {
            nested(out, 7, |out| write_bar(out, bar));
        }
    });
}

/// `handle` and `seq`, the first two of every message that has them.
fn begin(out: &mut Vec<u8>, stamp: Stamp) {
    uint(out, 1, stamp.topic.into());
    uint(out, 2, stamp.seq);
}

/// A decimal, in its own field or in `wide`; null is left out.
fn decimal(out: &mut Vec<u8>, number: u32, amount: Option<Amount>, wide: u32) {
    let Some(amount) = amount else { return };
    match packed(amount, 64) {
        Some(packed) => sint(out, number, packed),
        None => write_wide(out, wide, number, amount),
    }
}

/// An entry of a `map<uint32, string>`.
fn write_wide(out: &mut Vec<u8>, field: u32, number: u32, amount: Amount) {
    nested(out, field, |out| {
        uint(out, 1, number.into());
        nested(out, 2, |out| write_amount(out, Some(amount), false));
    });
}

// ---------------------------------------------------------------------------------------------- the format's own types

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// An integer with presence: 0 is written too.
fn present(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number << 3));
    varint(out, value);
}

/// An integer without presence: 0 is what is not there.
fn uint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        present(out, number, value);
    }
}

fn sint(out: &mut Vec<u8>, number: u32, value: i64) {
    present(out, number, zigzag(value));
}

fn fixed64(out: &mut Vec<u8>, number: u32, value: i64) {
    varint(out, u64::from(number << 3 | 1));
    out.extend_from_slice(&value.to_le_bytes());
}

fn string(out: &mut Vec<u8>, number: u32, value: &str) {
    varint(out, u64::from(number << 3 | 2));
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// One `ServerFrame` with one `Message` of one kind.
fn message(out: &mut Vec<u8>, kind: u32, write: impl FnOnce(&mut Vec<u8>)) {
    nested(out, 1, |out| nested(out, kind, write));
}

/// A field of bytes whose length is known when it is written; most are below 128.
fn nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, u64::from(number << 3 | 2));
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
        return;
    }
    let mut header = Vec::with_capacity(10);
    varint(&mut header, length as u64);
    out.splice(start..=start, header);
}
