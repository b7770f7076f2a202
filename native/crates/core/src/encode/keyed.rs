//! Books and bars as JSON: snapshots, changed levels, single bars, and the objects of REST.

use super::text::{write_amount, write_price, write_time, write_u64};
use super::write_place;
use crate::latest::{Bar, BookFrame, Level};
use crate::record::state;

/// `{"type":"snapshot",…,"channel":"book","depth":…,"bids":[[price,size],…],"asks":[…],"timestamp":…,"epoch":…,"seq":…,
/// "state":…,"last":…,"digest":…}`, or an `update` with what changed where the frame has no state. `symbol` is JSON.
pub fn write_book(
    out: &mut Vec<u8>,
    symbol: &[u8],
    frame: &BookFrame<'_>,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"type":""#);
    let kind: &[u8] = if frame.state.is_some() {
        b"snapshot"
    } else {
        b"update"
    };
    out.extend_from_slice(kind);
    out.extend_from_slice(br#"","symbol":"#);
    out.extend_from_slice(symbol);
    out.extend_from_slice(br#","channel":"book""#);
    if frame.state.is_some() {
        out.extend_from_slice(br#","depth":"#);
        write_u64(out, frame.depth.into());
    }
    write_sides(out, frame, strings);
    if let Some(state) = frame.state {
        write_place(out, epoch, seq);
        write_state(out, state);
        out.extend_from_slice(br#","last":"#);
        write_bool(out, frame.is_last);
    } else {
        out.extend_from_slice(br#","seq":"#);
        write_u64(out, seq);
    }
    if let Some(digest) = frame.digest {
        out.extend_from_slice(br#","digest":"#);
        write_u64(out, digest.into());
    }
    out.push(b'}');
}

/// REST's object of a book.
pub fn write_book_object(
    out: &mut Vec<u8>,
    symbol: &[u8],
    frame: &BookFrame<'_>,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"symbol":"#);
    out.extend_from_slice(symbol);
    out.extend_from_slice(br#","depth":"#);
    write_u64(out, frame.depth.into());
    write_sides(out, frame, strings);
    write_state(out, frame.state.unwrap_or(state::EMPTY));
    write_place(out, epoch, seq);
    out.push(b'}');
}

fn write_sides(out: &mut Vec<u8>, frame: &BookFrame<'_>, strings: bool) {
    out.extend_from_slice(br#","bids":["#);
    write_levels(out, frame.bids, strings);
    out.extend_from_slice(br#"],"asks":["#);
    write_levels(out, frame.asks, strings);
    out.extend_from_slice(br#"],"timestamp":"#);
    if frame.timestamp_ns == 0 {
        out.extend_from_slice(b"null");
    } else {
        write_time(out, frame.timestamp_ns, frame.time_precision);
    }
}

fn write_levels(out: &mut Vec<u8>, levels: &[Level], strings: bool) {
    for (index, level) in levels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'[');
        write_price(out, Some(level.price), strings);
        out.push(b',');
        write_amount(out, Some(level.size), strings);
        out.push(b']');
    }
}

/// `{"type":"bar",…,"channel":"bars","interval":…,"start":…,"open":…,…,"final":…,"seq":…}`.
pub fn write_bar(
    out: &mut Vec<u8>,
    symbol: &[u8],
    interval: &str,
    bar: &Bar,
    strings: bool,
    seq: u64,
) {
    out.extend_from_slice(br#"{"type":"bar","symbol":"#);
    out.extend_from_slice(symbol);
    out.extend_from_slice(br#","channel":"bars","interval":""#);
    out.extend_from_slice(interval.as_bytes());
    out.extend_from_slice(b"\",");
    write_values(out, bar, strings);
    out.extend_from_slice(br#","seq":"#);
    write_u64(out, seq);
    out.push(b'}');
}

/// `{"type":"snapshot",…,"channel":"bars","interval":…,"bars":[…],"epoch":…,"seq":…,"state":…}`.
#[allow(clippy::too_many_arguments)]
pub fn write_bars(
    out: &mut Vec<u8>,
    symbol: &[u8],
    interval: &str,
    bars: &[Bar],
    state: u8,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"type":"snapshot","symbol":"#);
    out.extend_from_slice(symbol);
    out.extend_from_slice(br#","channel":"bars""#);
    write_list(out, interval, bars, strings);
    write_place(out, epoch, seq);
    write_state(out, state);
    out.push(b'}');
}

/// REST's object of bars.
#[allow(clippy::too_many_arguments)]
pub fn write_bars_object(
    out: &mut Vec<u8>,
    symbol: &[u8],
    interval: &str,
    bars: &[Bar],
    state: u8,
    strings: bool,
    epoch: u64,
    seq: u64,
) {
    out.extend_from_slice(br#"{"symbol":"#);
    out.extend_from_slice(symbol);
    write_list(out, interval, bars, strings);
    write_state(out, state);
    write_place(out, epoch, seq);
    out.push(b'}');
}

fn write_list(out: &mut Vec<u8>, interval: &str, bars: &[Bar], strings: bool) {
    out.extend_from_slice(br#","interval":""#);
    out.extend_from_slice(interval.as_bytes());
    out.extend_from_slice(br#"","bars":["#);
    for (index, bar) in bars.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        write_values(out, bar, strings);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_values(out: &mut Vec<u8>, bar: &Bar, strings: bool) {
    out.extend_from_slice(br#""start":"#);
    write_time(out, bar.start_ns, 0);
    // A bar that was taken back has no prices.
    let prices = [
        (&b",\"open\":"[..], bar.open),
        (b",\"high\":", bar.high),
        (b",\"low\":", bar.low),
        (b",\"close\":", bar.close),
    ];
    for (name, price) in prices {
        out.extend_from_slice(name);
        write_price(out, (bar.trades > 0).then_some(price), strings);
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

fn write_state(out: &mut Vec<u8>, state: u8) {
    out.extend_from_slice(br#","state":""#);
    out.extend_from_slice(state::NAMES[usize::from(state)].as_bytes());
    out.push(b'"');
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}
