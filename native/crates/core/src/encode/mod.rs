//! State to JSON: numbers written exactly from the mantissa with the venue's own digits; with `strings` in quotes.
//!
//! Nothing here knows of clients; `seq` and `epoch` come from the hub. A value that is not known is `null`. What exists
//! for securities only (`crossed`, `legs`) is left out for an instrument.

pub mod codec;
pub mod keyed;
pub mod text;

pub use crate::latest::PRICE_FIELDS;
pub use codec::Codec;
pub use text::{quote, write_string, write_time};

use crate::latest::{Topic, TradeRow, View, Viewed, field};
use crate::record::{condition, state};
use text::{write_amount, write_price as write_number, write_u64};

/// Digits of a second in our own times.
const SERVER_DIGITS: u8 = 3;

/// `{"type":"snapshot","symbol":…,fields…,"epoch":…,"seq":…,"state":…}`; `fields` 0 = all.
#[allow(clippy::too_many_arguments)]
pub fn write_snapshot(
    out: &mut Vec<u8>,
    latest: &impl Viewed,
    topic: Topic,
    fields: u32,
    strings: bool,
    epoch: u64,
    seq: u64,
    now_ns: i64,
) {
    let view = latest.view(topic);
    let fields = if fields == 0 { field::ALL } else { fields };
    out.extend_from_slice(br#"{"type":"snapshot","symbol":"#);
    out.extend_from_slice(view.quoted_name);
    write_fields(out, &view, fields & !field::STATE, strings, now_ns);
    write_place(out, epoch, seq);
    write_fields(out, &view, field::STATE, strings, now_ns);
    out.push(b'}');
}

/// `{"type":"update","symbol":…,fields…,"seq":…}` with exactly the fields of the mask, in wire order.
pub fn write_update(
    out: &mut Vec<u8>,
    latest: &impl Viewed,
    topic: Topic,
    fields: u32,
    strings: bool,
    seq: u64,
    now_ns: i64,
) {
    let view = latest.view(topic);
    out.extend_from_slice(br#"{"type":"update","symbol":"#);
    out.extend_from_slice(view.quoted_name);
    write_fields(out, &view, fields, strings, now_ns);
    out.extend_from_slice(br#","seq":"#);
    write_u64(out, seq);
    out.push(b'}');
}

/// `{"type":"status","symbol":…,"state":…,"since":…,"reason":…}`; `reason` is null if nobody said.
pub fn write_status(out: &mut Vec<u8>, latest: &impl Viewed, topic: Topic) {
    let view = latest.view(topic);
    out.extend_from_slice(br#"{"type":"status","symbol":"#);
    out.extend_from_slice(view.quoted_name);
    out.extend_from_slice(br#","state":""#);
    out.extend_from_slice(state::NAMES[usize::from(view.state)].as_bytes());
    out.extend_from_slice(br#"","since":"#);
    write_time(out, latest.since(topic), SERVER_DIGITS);
    out.extend_from_slice(br#","reason":"#);
    match latest.reason(topic) {
        "" => out.extend_from_slice(b"null"),
        reason => write_string(out, reason),
    }
    out.push(b'}');
}

/// `{"type":"trade","symbol":…,"channel":"trades","seq":…,"id":…,…}`; `name` is the topic's, `text` the id's text where it
/// is no number. Ids are always strings.
pub fn write_trade(
    out: &mut Vec<u8>,
    name: &str,
    trade: &TradeRow,
    text: Option<&str>,
    strings: bool,
    seq: u64,
) {
    out.extend_from_slice(br#"{"type":"trade","symbol":"#);
    write_string(out, name);
    out.extend_from_slice(br#","channel":"trades","seq":"#);
    write_u64(out, seq);
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
    write_conditions(out, trade.conditions);
    out.extend_from_slice(b"]}");
}

/// `{"type":"lost","symbol":…,"channel":…,"count":…,"epoch":…,"seq":…}`.
pub fn write_lost(out: &mut Vec<u8>, name: &str, channel: &str, count: u64, epoch: u64, seq: u64) {
    out.extend_from_slice(br#"{"type":"lost","symbol":"#);
    write_string(out, name);
    out.extend_from_slice(br#","channel":"#);
    write_string(out, channel);
    out.extend_from_slice(br#","count":"#);
    write_u64(out, count);
    write_place(out, epoch, seq);
    out.push(b'}');
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
    out.extend_from_slice(br#","seq":"#);
    write_u64(out, seq);
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

fn write_conditions(out: &mut Vec<u8>, conditions: u16) {
    const NAMES: [(u16, &str); 6] = [
        (condition::ODD_LOT, "odd_lot"),
        (condition::OUT_OF_SEQUENCE, "out_of_sequence"),
        (condition::AUCTION, "auction"),
        (condition::OPENING, "opening"),
        (condition::CLOSING, "closing"),
        (condition::HIDDEN, "hidden"),
    ];
    let mut is_first = true;
    for (bit, name) in NAMES {
        if conditions & bit != 0 {
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            write_string(out, name);
        }
    }
}

#[cfg(test)]
mod tests;
