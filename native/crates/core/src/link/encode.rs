//! The owner's state as frames of the link: what [`crate::hub`] writes for clients with the codec `Link`.

use super::message::{LinkError, Missed, owner_kind};
use super::wire::{Fields, Wire};
use crate::hub::Stamp;
use crate::latest::{TradeRow, View, Viewed, field};

/// Fields that stand for the last trade.
pub(super) const LAST: u32 = field::LAST | field::CHANGE | field::CHANGE_PCT;

pub(super) fn place(wire: &mut Wire<'_>, stamp: Stamp) {
    wire.number(1, stamp.topic.into());
    wire.number(2, stamp.class.into());
    wire.number(3, stamp.epoch);
    wire.number(4, stamp.seq);
}

/// The body of a frame: kind and message; who keeps it puts the length in front.
pub(super) fn body(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Wire<'_>)) {
    out.push(kind);
    write(&mut Wire::new(out));
}

/// All of a topic, with what never changes of it.
pub fn snapshot(out: &mut Vec<u8>, latest: &impl Viewed, stamp: Stamp) {
    let view = latest.view(stamp.topic);
    body(out, owner_kind::SNAPSHOT, |wire| {
        place(wire, stamp);
        wire.text(6, view.name);
        wire.text(7, view.currency);
        write_values(wire, latest, stamp, &view, field::ALL);
    });
}

/// The fields of a mask.
pub fn update(out: &mut Vec<u8>, latest: &impl Viewed, stamp: Stamp, fields: u32) {
    let view = latest.view(stamp.topic);
    body(out, owner_kind::UPDATE, |wire| {
        place(wire, stamp);
        write_values(wire, latest, stamp, &view, fields);
    });
}

fn write_values(
    wire: &mut Wire<'_>,
    latest: &impl Viewed,
    stamp: Stamp,
    view: &View<'_>,
    fields: u32,
) {
    wire.number(5, fields.into());
    if fields & LAST != 0
        && let Some(last) = view.last
    {
        wire.signed(10, last.ts);
        wire.number(11, last.id);
        wire.price(12, Some(last.price()));
        wire.amount(13, last.size());
        wire.number(14, last.side.into());
        wire.number(15, view.time_precision.into());
    }
    if fields & LAST != 0 {
        wire.text(16, view.venue_name.unwrap_or_default());
    }
    let prices = [
        (field::BID, view.bid),
        (field::ASK, view.ask),
        (field::OPEN, view.open),
        (field::HIGH, view.high),
        (field::LOW, view.low),
        (field::PREV_CLOSE, view.prev_close),
    ];
    for ((bit, value), number) in prices.into_iter().zip(20..) {
        if fields & bit != 0 {
            wire.price(number, value);
        }
    }
    let amounts = [
        (field::BID_SIZE, view.bid_size),
        (field::ASK_SIZE, view.ask_size),
        (field::VOLUME, view.volume),
    ];
    for ((bit, value), number) in amounts.into_iter().zip(26..) {
        if fields & bit != 0 {
            wire.amount(number, value);
        }
    }
    if fields & field::STATE != 0 {
        wire.number(30, view.state.into());
        wire.signed(31, latest.since(stamp.topic));
        wire.text(32, latest.reason(stamp.topic));
    }
    if let Some(of_security) = view.consolidated
        && fields & (field::CROSSED | field::LEGS) != 0
    {
        wire.number(33, of_security.crossed.into());
        wire.some_number(34, of_security.live.into());
        wire.some_number(35, of_security.of.into());
    }
}

/// What became of a topic.
pub fn status(out: &mut Vec<u8>, latest: &impl Viewed, stamp: Stamp) {
    body(out, owner_kind::STATUS, |wire| {
        place(wire, stamp);
        wire.number(30, latest.view(stamp.topic).state.into());
        wire.signed(31, latest.since(stamp.topic));
        wire.text(32, latest.reason(stamp.topic));
    });
}

pub fn trade(out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, text: Option<&str>) {
    body(out, owner_kind::TRADE, |wire| {
        wire.number(1, stamp.topic.into());
        wire.number(3, stamp.epoch);
        write_trade_fields(wire, stamp.seq, row, text);
    });
}

pub fn lost(out: &mut Vec<u8>, stamp: Stamp, channel: u8, count: u64) {
    body(out, owner_kind::LOST, |wire| {
        place(wire, stamp);
        wire.number(5, channel.into());
        wire.number(6, count);
    });
}

pub(super) fn write_trade_fields(
    wire: &mut Wire<'_>,
    seq: u64,
    row: &TradeRow,
    text: Option<&str>,
) {
    wire.number(4, seq);
    wire.signed(5, row.ts_event);
    wire.number(6, row.id);
    wire.signed(7, row.price);
    wire.signed(8, row.size);
    wire.number(9, row.conditions.into());
    wire.number(10, row.flags.into());
    wire.number(11, row.price_scale.into());
    wire.number(12, row.size_scale.into());
    wire.number(13, row.side.into());
    wire.number(14, row.time_precision.into());
    if let Some(text) = text {
        wire.bytes(15, text.as_bytes());
    }
}

pub(super) fn read_missed(message: &[u8]) -> Result<Missed, LinkError> {
    let (_, _, missed) = read_trade(message)?;
    Ok(missed)
}

/// Topic, epoch and the trade.
pub(super) fn read_trade(message: &[u8]) -> Result<(u32, u64, Missed), LinkError> {
    let (mut topic, mut epoch, mut seq, mut text) = (0, 0, 0, None);
    let mut row = TradeRow {
        ts_event: 0,
        id: 0,
        price: 0,
        size: 0,
        text: TradeRow::NO_TEXT,
        conditions: 0,
        flags: 0,
        price_scale: 0,
        size_scale: 0,
        side: 0,
        time_precision: 0,
    };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => topic = value.small()?,
            3 => epoch = value.number()?,
            4 => seq = value.number()?,
            5 => row.ts_event = value.signed()?,
            6 => row.id = value.number()?,
            7 => row.price = value.signed()?,
            8 => row.size = value.signed()?,
            9 => row.conditions = value.small()?,
            10 => row.flags = value.small()?,
            11 => row.price_scale = scale_of(value)?,
            12 => row.size_scale = scale_of(value)?,
            13 => row.side = value.small()?,
            14 => row.time_precision = digits_of(value)?,
            15 => text = Some(value.text()?.to_owned()),
            _ => {}
        }
    }
    Ok((topic, epoch, Missed { seq, row, text }))
}

fn scale_of(value: super::wire::Value<'_>) -> Result<u8, LinkError> {
    let scale: u8 = value.small()?;
    if scale > crate::decimal::MAX_SCALE {
        return Err(LinkError(format!("expected a scale, found {scale}")));
    }
    Ok(scale)
}

/// Digits of a second.
pub(super) fn digits_of(value: super::wire::Value<'_>) -> Result<u8, LinkError> {
    let digits: u8 = value.small()?;
    if digits > 9 {
        return Err(LinkError(format!("expected 0 to 9 digits, found {digits}")));
    }
    Ok(digits)
}
