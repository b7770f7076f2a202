//! State to JSON: numbers written exactly from the mantissa with the venue's own digits; with `strings` in quotes.
//!
//! Nothing here knows of clients; `seq` and `epoch` come from the hub. A value that is not known is `null`. What exists
//! for securities only (`crossed`, `legs`) is left out for an instrument.

use super::text::{write_amount, write_price as write_number, write_string, write_time, write_u64};
use super::values::{SERVER_DIGITS, bar_prices, condition_names};
use super::{Bars, PRICE_FIELDS, Stamp, Status};
use crate::latest::{Bar, BookFrame, Level, Topic, TradeRow, View, Viewed, field};
use crate::record::state;

/// `{"type":"snapshot","symbol":…,fields…,"epoch":…,"seq":…,"state":…}`.
pub(super) fn snapshot(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    let strings = stamp.codec.strings();
    begin(out, "snapshot", view.quoted_name);
    write_fields(out, view, fields & !field::STATE, strings, stamp.now_ns);
    write_place(out, stamp.epoch, stamp.seq);
    write_fields(out, view, field::STATE, strings, stamp.now_ns);
    out.push(b'}');
}

/// `{"type":"update","symbol":…,fields…,"seq":…}` with exactly the fields of the mask, in wire order.
pub(super) fn update(out: &mut Vec<u8>, stamp: Stamp, view: &View<'_>, fields: u32) {
    begin(out, "update", view.quoted_name);
    write_fields(out, view, fields, stamp.codec.strings(), stamp.now_ns);
    write_seq(out, stamp.seq);
    out.push(b'}');
}

/// `{"type":"status","symbol":…,"state":…,"since":…,"reason":…}`; `reason` is null if nobody said.
pub(super) fn status(out: &mut Vec<u8>, status: &Status<'_>) {
    begin(out, "status", status.quoted_name);
    write_state(out, status.state);
    out.extend_from_slice(br#","since":"#);
    write_time(out, status.since_ns, SERVER_DIGITS);
    out.extend_from_slice(br#","reason":"#);
    match status.reason {
        "" => out.extend_from_slice(b"null"),
        reason => write_string(out, reason),
    }
    out.push(b'}');
}

/// `{"type":"trade","symbol":…,"channel":"trades","seq":…,"id":…,…}`; `text` is the id's text where it is no number. Ids
/// are always strings.
pub(super) fn trade(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    trade: &TradeRow,
    text: Option<&str>,
) {
    let strings = stamp.codec.strings();
    begin(out, "trade", quoted_name);
    out.extend_from_slice(br#","channel":"trades""#);
    write_seq(out, stamp.seq);
    out.extend_from_slice(br#","id":"#);
    match text {
        Some(text) => write_string(out, text),
        None => {
            out.push(b'"');
            write_u64(out, trade.id);
            out.push(b'"');
        }
    }
    out.extend_from_slice(br#","price":"#);
    write_number(out, trade.exact_price(), strings);
    out.extend_from_slice(br#","size":"#);
    write_number(out, trade.exact_size(), strings);
    out.extend_from_slice(br#","side":"#);
    out.extend_from_slice(side_name(trade.side));
    out.extend_from_slice(br#","timestamp":"#);
    write_time(out, trade.ts_event, trade.time_precision);
    out.extend_from_slice(br#","conditions":["#);
    for (index, name) in condition_names(trade.conditions).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
    }
    out.extend_from_slice(b"]}");
}

/// `{"type":"lost","symbol":…,"channel":…,"count":…,"epoch":…,"seq":…}`; `channel` as clients see it.
pub(super) fn lost(
    out: &mut Vec<u8>,
    stamp: Stamp,
    quoted_name: &[u8],
    (channel, interval): (&str, Option<&str>),
    count: u64,
) {
    begin(out, "lost", quoted_name);
    write_channel(out, channel, interval);
    out.extend_from_slice(br#","count":"#);
    write_u64(out, count);
    write_place(out, stamp.epoch, stamp.seq);
    out.push(b'}');
}

/// A snapshot (where the frame has a state) or an update of a book.
pub(super) fn book(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], book: &BookFrame<'_>) {
    let strings = stamp.codec.strings();
    let kind = if book.state.is_some() {
        "snapshot"
    } else {
        "update"
    };
    begin(out, kind, quoted_name);
    write_channel(out, "book", None);
    if book.state.is_some() {
        out.extend_from_slice(br#","depth":"#);
        write_u64(out, book.depth.into());
    }
    write_sides(out, book, strings);
    match book.state {
        None => write_seq(out, stamp.seq),
        Some(state) => {
            write_place(out, stamp.epoch, stamp.seq);
            write_state(out, state);
            out.extend_from_slice(br#","last":"#);
            write_bool(out, book.is_last);
        }
    }
    if let Some(digest) = book.digest {
        out.extend_from_slice(br#","digest":"#);
        write_u64(out, digest.into());
    }
    out.push(b'}');
}

/// `{"type":"bar","symbol":…,"channel":"bars","interval":…,"start":…,…,"seq":…}`.
pub(super) fn bar(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], interval: &str, bar: &Bar) {
    begin(out, "bar", quoted_name);
    write_channel(out, "bars", Some(interval));
    out.push(b',');
    write_bar(out, bar, stamp.codec.strings());
    write_seq(out, stamp.seq);
    out.push(b'}');
}

/// `{"type":"snapshot","symbol":…,"channel":"bars","interval":…,"bars":[…],"epoch":…,"seq":…,"state":…}`.
pub(super) fn bars(out: &mut Vec<u8>, stamp: Stamp, quoted_name: &[u8], bars: &Bars<'_>) {
    begin(out, "snapshot", quoted_name);
    write_channel(out, "bars", Some(bars.interval));
    write_bars(out, bars, stamp.codec.strings());
    write_place(out, stamp.epoch, stamp.seq);
    write_state(out, bars.state);
    out.push(b'}');
}

/// REST's object of a book.
pub fn write_book_object(
    out: &mut Vec<u8>,
    quoted_name: &[u8],
    book: &BookFrame<'_>,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"symbol":"#);
    out.extend_from_slice(quoted_name);
    out.extend_from_slice(br#","depth":"#);
    write_u64(out, book.depth.into());
    write_sides(out, book, strings);
    write_state(out, book.state.unwrap_or(state::EMPTY));
    write_place(out, epoch, seq);
    out.push(b'}');
}

/// REST's object of bars.
pub fn write_bars_object(
    out: &mut Vec<u8>,
    quoted_name: &[u8],
    bars: &Bars<'_>,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"symbol":"#);
    out.extend_from_slice(quoted_name);
    out.extend_from_slice(br#","interval":""#);
    out.extend_from_slice(bars.interval.as_bytes());
    out.push(b'"');
    write_bars(out, bars, strings);
    write_state(out, bars.state);
    write_place(out, epoch, seq);
    out.push(b'}');
}

/// `,"bids":[…],"asks":[…],"timestamp":…`.
fn write_sides(out: &mut Vec<u8>, book: &BookFrame<'_>, strings: bool) {
    out.extend_from_slice(br#","bids":"#);
    write_levels(out, book.bids, strings);
    out.extend_from_slice(br#","asks":"#);
    write_levels(out, book.asks, strings);
    out.extend_from_slice(br#","timestamp":"#);
    match book.timestamp_ns {
        0 => out.extend_from_slice(b"null"),
        known => write_time(out, known, book.time_precision),
    }
}

/// `,"bars":[{…},…]`.
fn write_bars(out: &mut Vec<u8>, bars: &Bars<'_>, strings: bool) {
    out.extend_from_slice(br#","bars":["#);
    for (index, bar) in bars.bars.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        write_bar(out, bar, strings);
        out.push(b'}');
    }
    out.push(b']');
}

/// The members of a bar, without braces.
fn write_bar(out: &mut Vec<u8>, bar: &Bar, strings: bool) {
    out.extend_from_slice(br#""start":"#);
    write_time(out, bar.start_ns, 0);
    let keys: [&[u8]; 4] = [
        br#","open":"#,
        br#","high":"#,
        br#","low":"#,
        br#","close":"#,
    ];
    for (key, price) in keys.into_iter().zip(bar_prices(bar)) {
        out.extend_from_slice(key);
        write_number(out, price, strings);
    }
    out.extend_from_slice(br#","volume":"#);
    write_amount(out, Some(bar.volume), strings);
    out.extend_from_slice(br#","notional":"#);
    write_amount(out, bar.notional, strings);
    out.extend_from_slice(br#","trades":"#);
    write_u64(out, bar.trades.into());
    out.extend_from_slice(br#","final":"#);
    write_bool(out, bar.is_final);
    if bar.is_corrected {
        out.extend_from_slice(br#","corrected":true"#);
    }
}

/// `[[price,size],…]`.
fn write_levels(out: &mut Vec<u8>, levels: &[Level], strings: bool) {
    out.push(b'[');
    for (index, level) in levels.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        write_number(out, Some(level.price), strings);
        out.push(b',');
        write_amount(out, Some(level.size), strings);
        out.push(b']');
    }
    out.push(b']');
}

fn begin(out: &mut Vec<u8>, kind: &str, quoted_name: &[u8]) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","symbol":"#);
    out.extend_from_slice(quoted_name);
}

fn write_channel(out: &mut Vec<u8>, channel: &str, interval: Option<&str>) {
    out.extend_from_slice(br#","channel":""#);
    out.extend_from_slice(channel.as_bytes());
    out.push(b'"');
    if let Some(interval) = interval {
        out.extend_from_slice(br#","interval":""#);
        out.extend_from_slice(interval.as_bytes());
        out.push(b'"');
    }
}

fn write_state(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(br#","state":""#);
    out.extend_from_slice(state::NAMES[usize::from(number)].as_bytes());
    out.push(b'"');
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_seq(out: &mut Vec<u8>, seq: u64) {
    out.extend_from_slice(br#","seq":"#);
    write_u64(out, seq);
}

/// REST's price object: the whole state of a topic.
pub fn write_price(
    out: &mut Vec<u8>,
    latest: &impl Viewed,
    topic: Topic,
    strings: bool,
    epoch: u64,
    seq: u64,
    now_ns: i64,
) {
    let view = latest.view(topic);
    out.extend_from_slice(br#"{"symbol":"#);
    out.extend_from_slice(view.quoted_name);
    write_fields(out, &view, field::PRICE, strings, now_ns);
    out.extend_from_slice(br#","currency":"#);
    write_string(out, view.currency);
    out.extend_from_slice(br#","exchange_timestamp":"#);
    write_last_time(out, &view);
    let rest = field::ALL & !(field::PRICE | field::TIMESTAMP);
    write_fields(out, &view, rest, strings, now_ns);
    write_place(out, epoch, seq);
    out.push(b'}');
}

fn write_place(out: &mut Vec<u8>, epoch: u64, seq: u64) {
    out.extend_from_slice(br#","epoch":"#);
    write_u64(out, epoch);
    write_seq(out, seq);
}

/// `,"name":value` for each field of the mask, in wire order.
fn write_fields(out: &mut Vec<u8>, view: &View<'_>, fields: u32, strings: bool, now_ns: i64) {
    let mut rest = fields & field::ALL;
    if view.consolidated.is_none() {
        rest &= !(field::CROSSED | field::LEGS);
    }
    while rest != 0 {
        let place = rest.trailing_zeros();
        rest &= rest - 1;
        out.extend_from_slice(b",\"");
        out.extend_from_slice(PRICE_FIELDS[place as usize].as_bytes());
        out.extend_from_slice(b"\":");
        write_field(out, view, 1 << place, strings, now_ns);
    }
}

fn write_field(out: &mut Vec<u8>, view: &View<'_>, bit: u32, strings: bool, now_ns: i64) {
    match bit {
        field::PRICE => write_number(out, view.last.map(|last| last.price()), strings),
        field::SIZE => write_amount(out, view.last.and_then(|last| last.size()), strings),
        field::SIDE => {
            out.extend_from_slice(view.last.map_or(b"null", |last| side_name(last.side)))
        }
        field::BID => write_number(out, view.bid, strings),
        field::BID_SIZE => write_amount(out, view.bid_size, strings),
        field::ASK => write_number(out, view.ask, strings),
        field::ASK_SIZE => write_amount(out, view.ask_size, strings),
        field::TIMESTAMP => write_last_time(out, view),
        field::SERVER_TIMESTAMP => write_time(out, now_ns, SERVER_DIGITS),
        field::VENUE => out.extend_from_slice(view.venue.unwrap_or(b"null")),
        field::STATE => {
            out.push(b'"');
            out.extend_from_slice(state::NAMES[usize::from(view.state)].as_bytes());
            out.push(b'"');
        }
        field::OPEN => write_number(out, view.open, strings),
        field::HIGH => write_number(out, view.high, strings),
        field::LOW => write_number(out, view.low, strings),
        field::PREV_CLOSE => write_number(out, view.prev_close, strings),
        field::VOLUME => write_amount(out, view.volume, strings),
        field::CHANGE => write_amount(out, view.change(), strings),
        field::CHANGE_PCT => write_amount(out, view.change_percent(), strings),
        _ => write_consolidated(out, view, bit),
    }
}

fn write_consolidated(out: &mut Vec<u8>, view: &View<'_>, bit: u32) {
    let Some(of_security) = view.consolidated else {
        out.extend_from_slice(b"null");
        return;
    };
    if bit == field::CROSSED {
        out.extend_from_slice(if of_security.crossed {
            b"true"
        } else {
            b"false"
        });
        return;
    }
    out.extend_from_slice(br#"{"live":"#);
    write_u64(out, of_security.live.into());
    out.extend_from_slice(br#","of":"#);
    write_u64(out, of_security.of.into());
    out.push(b'}');
}

fn write_last_time(out: &mut Vec<u8>, view: &View<'_>) {
    match view.last {
        Some(last) => write_time(out, last.ts, view.time_precision),
        None => out.extend_from_slice(b"null"),
    }
}

fn side_name(side: u8) -> &'static [u8] {
    match side {
        1 => br#""buy""#,
        2 => br#""sell""#,
        _ => b"null",
    }
}
