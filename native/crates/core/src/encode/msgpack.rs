//! MessagePack (github.com/msgpack/msgpack, spec.md): maps with the keys and the texts of the JSON messages. Decimals and times are
//! strings, so that they are exact in every language; counters and the digest are integers.
//!
//! A snapshot also tells the topic's `handle`, by which compact updates name it.

use super::text::{write_amount, write_time};
use super::values::{
    SERVER_DIGITS, Time, Value, bar_prices, bits, condition_names, fields_of, unquoted, value,
};
use super::{Bars, PRICE_FIELDS, Stamp, Status};
use crate::decimal::write_decimal;
use crate::latest::{Amount, Bar, BookFrame, Level, TradeRow, View, field};
use crate::record::state;

/// Longest text of a number or time: 39 digits, a sign, a point and `0.` with 38 zeros stay far below it.
const SHORT: usize = 128;

pub(super) fn snapshot(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    let fields = fields_of(view, fields | field::STATE);
    map(out, 5 + fields.count_ones() as usize);
    begin(out, "snapshot", view.quoted_name);
    pair_uint(out, "handle", stamp.topic.into());
    write_fields(out, view, fields, stamp.now_ns);
    place(out, stamp);
}

pub(super) fn update(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    let fields = fields_of(view, fields);
    map(out, 3 + fields.count_ones() as usize);
    begin(out, "update", view.quoted_name);
    write_fields(out, view, fields, stamp.now_ns);
    pair_uint(out, "seq", stamp.seq);
}

pub(super) fn status(out: &mut Vec<u8>, status: &Status<'_>) {
    map(out, 5);
    begin(out, "status", status.quoted_name);
    pair_text(out, "state", state::NAMES[usize::from(status.state)]);
    text(out, "since");
    time(out, status.since_ns, SERVER_DIGITS);
    text(out, "reason");
    match status.reason {
        "" => nil(out),
        reason => text(out, reason),
    }
}

pub(super) fn trade(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    row: &TradeRow,
    id: Option<&str>,
) {
    map(out, 10);
    begin(out, "trade", quoted_name);
    pair_text(out, "channel", "trades");
    pair_uint(out, "seq", stamp.seq);
    text(out, "id");
    match id {
        Some(id) => text(out, id),
        None => short(out, |out| super::text::write_u64(out, row.id)),
    }
    text(out, "price");
    number(out, row.exact_price().map(Amount::from));
    text(out, "size");
    number(out, row.exact_size().map(Amount::from));
    text(out, "side");
    side(out, row.side);
    text(out, "timestamp");
    time(out, row.ts_event, row.time_precision);
    text(out, "conditions");
    array(out, condition_names(row.conditions).count());
    for name in condition_names(row.conditions) {
        text(out, name);
    }
}

pub(super) fn lost(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    (channel, interval): (&str, Option<&str>),
    count: u64,
) {
    map(out, 6 + usize::from(interval.is_some()));
    begin(out, "lost", quoted_name);
    pair_text(out, "channel", channel);
    if let Some(interval) = interval {
        pair_text(out, "interval", interval);
    }
    pair_uint(out, "count", count);
    place(out, stamp);
}

pub(super) fn book(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], book: &BookFrame<'_>) {
    let digest = usize::from(book.digest.is_some());
    match book.state {
        None => {
            map(out, 7 + digest);
            begin(out, "update", quoted_name);
            pair_text(out, "channel", "book");
            write_book(out, book);
            pair_uint(out, "seq", stamp.seq);
        }
        Some(number) => {
            map(out, 12 + digest);
            begin(out, "snapshot", quoted_name);
            pair_uint(out, "handle", stamp.topic.into());
            pair_text(out, "channel", "book");
            pair_uint(out, "depth", book.depth.into());
            write_book(out, book);
            place(out, stamp);
            pair_text(out, "state", state::NAMES[usize::from(number)]);
            text(out, "last");
            boolean(out, book.is_last);
        }
    }
    if let Some(digest) = book.digest {
        pair_uint(out, "digest", digest.into());
    }
}

pub(super) fn bar(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], interval: &str, bar: &Bar) {
    map(out, 5 + bar_keys(bar));
    begin(out, "bar", quoted_name);
    pair_text(out, "channel", "bars");
    pair_text(out, "interval", interval);
    write_bar(out, bar);
    pair_uint(out, "seq", stamp.seq);
}

pub(super) fn bars(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], bars: &Bars<'_>) {
    map(out, 9);
    begin(out, "snapshot", quoted_name);
    pair_uint(out, "handle", stamp.topic.into());
    pair_text(out, "channel", "bars");
    pair_text(out, "interval", bars.interval);
    text(out, "bars");
    array(out, bars.bars.len());
    for bar in bars.bars {
        map(out, bar_keys(bar));
        write_bar(out, bar);
    }
    place(out, stamp);
    pair_text(out, "state", state::NAMES[usize::from(bars.state)]);
}

fn begin(out: &mut Vec<u8>, kind: &str, quoted_name: &[u8]) {
    pair_text(out, "type", kind);
    text(out, "symbol");
    text(out, &unquoted(quoted_name));
}

fn place(out: &mut Vec<u8>, stamp: Stamp) {
    pair_uint(out, "epoch", stamp.epoch);
    pair_uint(out, "seq", stamp.seq);
}

fn write_fields(out: &mut Vec<u8>, view: &View<'_>, fields: u32, now_ns: i64) {
    for field in bits(fields) {
        text(out, PRICE_FIELDS[field as usize]);
        match value(view, 1 << field, now_ns) {
            Value::Number(amount) => number(out, amount),
            Value::Side(number) => side(out, number),
            Value::Time(None) | Value::Text(None) => nil(out),
            Value::Time(Some(Time { ns, digits })) => time(out, ns, digits),
            Value::Text(Some(name)) => text(out, &name),
            Value::State(number) => text(out, state::NAMES[usize::from(number)]),
            Value::Crossed(crossed) => boolean(out, crossed),
            Value::Legs(live, of) => {
                map(out, 2);
                pair_uint(out, "live", live.into());
                pair_uint(out, "of", of.into());
            }
        }
    }
}

fn write_book(out: &mut Vec<u8>, book: &BookFrame<'_>) {
    for (key, levels) in [("bids", book.bids), ("asks", book.asks)] {
        text(out, key);
        array(out, levels.len());
        for Level { price, size } in levels {
            array(out, 2);
            number(out, Some((*price).into()));
            number(out, Some(*size));
        }
    }
    text(out, "timestamp");
    match book.timestamp_ns {
        0 => nil(out),
        known => time(out, known, book.time_precision),
    }
}

fn bar_keys(bar: &Bar) -> usize {
    9 + usize::from(bar.is_corrected)
}

fn write_bar(out: &mut Vec<u8>, bar: &Bar) {
    text(out, "start");
    time(out, bar.start_ns, 0);
    let [open, high, low, close] = bar_prices(bar).map(|price| price.map(Amount::from));
    let numbers = [
        ("open", open),
        ("high", high),
        ("low", low),
        ("close", close),
        ("volume", Some(bar.volume)),
        ("notional", bar.notional),
    ];
    for (key, amount) in numbers {
        text(out, key);
        number(out, amount);
    }
    pair_uint(out, "trades", bar.trades.into());
    text(out, "final");
    boolean(out, bar.is_final);
    if bar.is_corrected {
        text(out, "corrected");
        boolean(out, true);
    }
}

fn pair_text(out: &mut Vec<u8>, key: &str, value: &str) {
    text(out, key);
    text(out, value);
}

fn pair_uint(out: &mut Vec<u8>, key: &str, value: u64) {
    text(out, key);
    uint(out, value);
}

fn side(out: &mut Vec<u8>, number: u8) {
    match number {
        1 => text(out, "buy"),
        2 => text(out, "sell"),
        _ => nil(out),
    }
}

/// A decimal as text, or nil.
pub(super) fn number(out: &mut Vec<u8>, amount: Option<Amount>) {
    let Some(amount) = amount else {
        return nil(out);
    };
    short(out, |out| match i64::try_from(amount.mantissa) {
        Ok(mantissa) => write_decimal(out, mantissa, amount.scale),
        Err(_) => write_amount(out, Some(amount), false),
    });
}

fn time(out: &mut Vec<u8>, ns: i64, digits: u8) {
    let before = out.len();
    // The quotes of JSON: the first becomes the header, the last goes.
    write_time(out, ns, digits);
    out.pop();
    out[before] = 0xA0 | u8::try_from(out.len() - before - 1).unwrap_or(31);
}

// ---------------------------------------------------------------------------------------------- the format's own types

pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(0xC0);
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(0xC2 | u8::from(value));
}

pub(super) fn uint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else if let Ok(value) = u8::try_from(value) {
        out.extend_from_slice(&[0xCC, value]);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xCD);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xCE);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xCF);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn int(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        uint(out, value);
    } else if value >= -32 {
        out.push(value as u8);
    } else if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[0xD0, value as u8]);
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xD1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xD2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xD3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    let length = value.len();
    if length < 32 {
        out.push(0xA0 | length as u8);
    } else if let Ok(length) = u8::try_from(length) {
        out.extend_from_slice(&[0xD9, length]);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(0xDA);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0xDB);
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.extend_from_slice(value.as_bytes());
}

/// A text of less than [`SHORT`] bytes, written in place.
fn short(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    debug_assert!(length < SHORT);
    if length < 32 {
        out[start] = 0xA0 | length as u8;
    } else {
        out[start] = 0xD9;
        out.insert(start + 1, length as u8);
    }
}

pub(super) fn array(out: &mut Vec<u8>, length: usize) {
    header(out, length, 0x90, 0xDC);
}

fn map(out: &mut Vec<u8>, pairs: usize) {
    header(out, pairs, 0x80, 0xDE);
}

fn header(out: &mut Vec<u8>, length: usize, small: u8, wide: u8) {
    if length < 16 {
        out.push(small | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(wide);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(wide + 1);
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
}

/// Opens an array of so many messages: a batch.
pub fn open_batch(out: &mut Vec<u8>, messages: usize) {
    array(out, messages);
}
