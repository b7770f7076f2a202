//! What is to be written, before a codec gives it a form: the fields of `price` one by one, packed decimals, names.

use std::borrow::Cow;

use crate::latest::{Amount, Bar, Price, View, field};
use crate::record::condition;

/// Digits of a second in our own times.
pub(super) const SERVER_DIGITS: u8 = 3;

/// A time, and the digits of a second that are known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub ns: i64,
    pub digits: u8,
}

/// The value of one field of `price`; `None` is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(Option<Amount>),
    /// 0 unknown, 1 buy, 2 sell.
    Side(u8),
    Time(Option<Time>),
    Text(Option<Cow<'a, str>>),
    State(u8),
    Crossed(bool),
    /// Live ones, and all.
    Legs(u32, u32),
}

/// Fields of a mask that a topic has: the last two belong to securities.
pub(super) fn fields_of(view: &View<'_>, fields: u32) -> u32 {
    let fields = fields & field::ALL;
    if view.consolidated.is_none() {
        fields & !(field::CROSSED | field::LEGS)
    } else {
        fields
    }
}

/// The bits of a mask, lowest first.
pub(super) fn bits(mask: u32) -> impl Iterator<Item = u32> {
    let mut rest = mask;
    core::iter::from_fn(move || {
        (rest != 0).then(|| {
            let place = rest.trailing_zeros();
            rest &= rest - 1;
            place
        })
    })
}

/// The value of the field with one bit.
pub(super) fn value<'a>(view: &View<'a>, bit: u32, now_ns: i64) -> Value<'a> {
    let last = view.last;
    match bit {
        field::PRICE => Value::Number(last.map(|last| last.price().into())),
        field::SIZE => Value::Number(last.and_then(|last| last.size())),
        field::SIDE => Value::Side(last.map_or(0, |last| last.side)),
        field::BID => Value::Number(view.bid.map(Amount::from)),
        field::BID_SIZE => Value::Number(view.bid_size),
        field::ASK => Value::Number(view.ask.map(Amount::from)),
        field::ASK_SIZE => Value::Number(view.ask_size),
        field::TIMESTAMP => Value::Time(last.map(|last| Time {
            ns: last.ts,
            digits: view.time_precision,
        })),
        field::SERVER_TIMESTAMP => Value::Time(Some(Time {
            ns: now_ns,
            digits: SERVER_DIGITS,
        })),
        field::VENUE => Value::Text(view.venue.map(unquoted)),
        field::STATE => Value::State(view.state),
        field::OPEN => Value::Number(view.open.map(Amount::from)),
        field::HIGH => Value::Number(view.high.map(Amount::from)),
        field::LOW => Value::Number(view.low.map(Amount::from)),
        field::PREV_CLOSE => Value::Number(view.prev_close.map(Amount::from)),
        field::VOLUME => Value::Number(view.volume),
        field::CHANGE => Value::Number(view.change()),
        field::CHANGE_PCT => Value::Number(view.change_percent()),
        field::CROSSED => Value::Crossed(view.consolidated.is_some_and(|of| of.crossed)),
        _ => view
            .consolidated
            .map_or(Value::Legs(0, 0), |of| Value::Legs(of.live, of.of)),
    }
}

/// The text of a JSON string that [`super::write_string`] wrote.
pub(super) fn unquoted(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(b"");
    if inner.contains(&b'\\') {
        return Cow::Owned(serde_json::from_slice(quoted).unwrap_or_default());
    }
    String::from_utf8_lossy(inner)
}

/// A decimal in one integer, `mantissa * 32 + scale`; `None` where the scale or so many bits do not hold it.
pub(super) fn packed(amount: Amount, bits: u32) -> Option<i64> {
    if amount.scale > 31 {
        return None;
    }
    let mantissa = i64::try_from(amount.mantissa).ok()?;
    let packed = mantissa.checked_mul(32)?.checked_add(amount.scale.into())?;
    let limit = 1i64.checked_shl(bits).unwrap_or(i64::MAX);
    (packed < limit && packed > -limit || bits >= 63).then_some(packed)
}

/// Open, high, low, close; a bar whose trades were all taken back has none.
pub(super) fn bar_prices(bar: &Bar) -> [Option<Price>; 4] {
    [bar.open, bar.high, bar.low, bar.close].map(|price| (bar.trades > 0).then_some(price))
}

/// Names of the bits that are set.
pub(super) fn condition_names(conditions: u16) -> impl Iterator<Item = &'static str> {
    const NAMES: [(u16, &str); 7] = [
        (condition::ODD_LOT, "odd_lot"),
        (condition::OUT_OF_SEQUENCE, "out_of_sequence"),
        (condition::AUCTION, "auction"),
        (condition::OPENING, "opening"),
        (condition::CLOSING, "closing"),
        (condition::HIDDEN, "hidden"),
        (condition::BACKFILLED, "backfilled"),
    ];
    NAMES
        .into_iter()
        .filter_map(move |(bit, name)| (conditions & bit != 0).then_some(name))
}
