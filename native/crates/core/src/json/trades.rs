//! Trades, quotes and measures, read from their rows.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::decoded::Decoded;
use super::path::{Frame, Path, Row, is_nested, says_something};
use super::plan::{MeasurePlan, Party, QuotesPlan, RestTradesPlan, TradesPlan};
use super::read::{
    Trouble, all_hold, decimal_at, is_one_of, rounded_at, sequence, signed_size_at, size_at,
    time_at, time_of, whole,
};
use crate::books::QuoteSide;
use crate::decimal::Decimal;
use crate::record::{Record, flag};

/// The id of a trade.
pub enum Id<'a> {
    None,
    Number(u64),
    Text(Cow<'a, [u8]>),
}

const BUYER: u8 = 1;
const SELLER: u8 = 2;

/// Reads a trade: its record without the instrument, and its id.
///
/// # Errors
/// Something in it cannot be read, or its price or size is not there.
#[inline]
pub fn trade<'a, 'p>(
    plan: &'p TradesPlan,
    row: Row<'a>,
    ts_recv: i64,
) -> Result<(Record, Id<'a>), Trouble<'p>> {
    let (price, size) = (there(&plan.price, row)?, there(&plan.size, row)?);
    let price = decimal_at(row.frame, price, plan.price.text())?;
    let (size, exact, side) = match plan.signed {
        None => {
            let (size, exact) = size_at(row.frame, size, plan.size.text())?;
            (size, exact, aggressor(plan, row))
        }
        Some(party) => {
            let (size, exact, negative) = signed_size_at(row.frame, size, plan.size.text())?;
            let is_buyer = (party == Party::Buyer) != negative;
            (size, exact, if is_buyer { BUYER } else { SELLER })
        }
    };
    let id = match &plan.id {
        Some(path) => id(path, row)?,
        None => Id::None,
    };
    let mut flags = flag::LAST_OF_EVENT;
    if !exact {
        flags |= flag::INEXACT_SIZE;
    }
    if all_hold(&plan.history, row) {
        flags |= flag::HISTORY;
    }
    let record = Record {
        ts_event: time_of(plan.time.as_ref(), row, ts_recv)?,
        ts_recv,
        seq: sequence(plan.seq.as_ref(), row)?.map_or(0, i64::cast_unsigned),
        id: match &id {
            Id::None => 0,
            Id::Number(number) => *number,
            Id::Text(text) => xxh3_64(text),
        },
        price: price.mantissa,
        price_scale: price.scale,
        size: size.mantissa,
        size_scale: size.scale,
        kind: plan.kind,
        side,
        flags,
        ..Record::default()
    };
    Ok((record, id))
}

/// Reads the rows of an answer over REST as trades of an instrument that came at a time, flagged as fetched.
pub fn fetched(
    plan: &RestTradesPlan,
    frame: Frame<'_>,
    rows: &[(u32, u32)],
    (instrument, ts_recv): (u64, i64),
    out: &mut Decoded,
) {
    for &(place, outer) in rows {
        let row = Row {
            frame,
            place,
            outer,
        };
        let fits = |trades: &&TradesPlan| all_hold(&trades.only, row) || trades.only.is_empty();
        let Some(trades) = plan.trades.iter().find(fits) else {
            out.refuse(0, || {
                let found = super::read::shown(frame, place);
                format!("expected a trade, found {found}")
            });
            continue;
        };
        match trade(trades, row, ts_recv) {
            Ok((mut record, id)) => {
                if let Id::Text(text) = id {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    out.texts.push((out.records.len(), text));
                }
                record.instrument = instrument;
                record.flags = (record.flags & !flag::HISTORY) | flag::BACKFILLED;
                out.records.push(record);
            }
            Err(trouble) => out.refuse(0, || trouble.reason(frame)),
        }
    }
}

/// How many ids a trade stands for: one, unless the venue says more.
#[inline]
#[must_use]
pub fn covers(plan: &TradesPlan, row: Row<'_>) -> u64 {
    let Some(place) = plan.covers.as_ref().and_then(|path| path.said(row)) else {
        return 1;
    };
    whole(&row.frame.text(place)).map_or(1, |count| count.max(1))
}

#[inline]
fn there<'p>(path: &'p Path, row: Row<'_>) -> Result<u32, Trouble<'p>> {
    path.said(row).ok_or(Trouble {
        path: path.text(),
        expected: "a decimal number",
        found: None,
    })
}

#[inline]
fn id<'a, 'p>(path: &'p Path, row: Row<'a>) -> Result<Id<'a>, Trouble<'p>> {
    let Some(place) = path.said(row) else {
        return Ok(Id::None);
    };
    if is_nested(row.frame.token(place)) {
        return Err(Trouble {
            path: path.text(),
            expected: "an id",
            found: Some(place),
        });
    }
    let text = row.frame.text(place);
    Ok(match whole(&text) {
        Some(number) => Id::Number(number),
        None => Id::Text(text),
    })
}

#[inline]
fn aggressor(plan: &TradesPlan, row: Row<'_>) -> u8 {
    let Some(aggressor) = &plan.aggressor else {
        return 0;
    };
    let Some(place) = aggressor.path.said(row) else {
        return 0;
    };
    let text = row.frame.text(place);
    if is_one_of(&text, &aggressor.buyer) {
        BUYER
    } else if is_one_of(&text, &aggressor.seller) {
        SELLER
    } else {
        0
    }
}

/// Price and size that a side of a quote had last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSide {
    price: Option<Decimal>,
    size: Option<(Decimal, bool)>,
}

/// Reads both sides of a quote. A message may tell the price without the size, or the size alone, where the other has not
/// changed: it is then that of `last`, which is kept up to date.
///
/// # Errors
/// Something in it cannot be read; `last` is as it was.
#[inline]
pub fn quote<'p>(
    plan: &'p QuotesPlan,
    row: Row<'_>,
    last: &mut [LastSide; 2],
) -> Result<[QuoteSide; 2], Trouble<'p>> {
    let mut known = *last;
    let bid = side(plan, &plan.sides[0], row, &mut known[0])?;
    let ask = side(plan, &plan.sides[1], row, &mut known[1])?;
    *last = known;
    Ok([bid, ask])
}

#[inline]
fn side<'p>(
    plan: &QuotesPlan,
    (price, size): &'p (Path, Option<Path>),
    row: Row<'_>,
    last: &mut LastSide,
) -> Result<QuoteSide, Trouble<'p>> {
    let found = price.find(row);
    let size_found = size.as_ref().and_then(|path| Some((path, path.find(row)?)));
    match found {
        None if plan.whole => *last = LastSide::default(),
        None if size_found.is_none() => return Ok(QuoteSide::Unchanged),
        None => {}
        Some(place) if says_something(row.frame.token(place)) => {
            let price = decimal_at(row.frame, place, price.text())?;
            last.price = (price.mantissa != 0).then_some(price);
        }
        Some(_) => *last = LastSide::default(),
    }
    if let Some((path, place)) = size_found {
        last.size = if says_something(row.frame.token(place)) {
            Some(size_at(row.frame, place, path.text())?)
        } else {
            None
        };
    }
    Ok(match (last.price, last.size) {
        (None, _) if found.is_none() && !plan.whole => QuoteSide::Unchanged,
        (None, _) => QuoteSide::Empty,
        (Some(price), size) => QuoteSide::Level {
            price,
            size: size.map(|(size, _)| size),
            inexact: size.is_some_and(|(_, exact)| !exact),
        },
    })
}

/// Digits behind the point of a time in seconds that is kept in nanoseconds.
const NANOSECONDS: u8 = 9;

/// Reads a measure: its value, and whether it is exact. `None`: nothing is said.
///
/// # Errors
/// It is no number, or no time.
#[inline]
pub fn measure<'p>(
    plan: &'p MeasurePlan,
    row: Row<'_>,
) -> Result<Option<(Decimal, bool)>, Trouble<'p>> {
    let Some(place) = plan.path.said(row) else {
        return Ok(plan.absent.map(|value| (value, true)));
    };
    match plan.unit {
        Some(unit) => {
            let time = time_at(row.frame, place, unit, plan.path.text())?;
            Ok(Some((Decimal::new(time, NANOSECONDS), true)))
        }
        None => rounded_at(row.frame, place, plan.path.text()).map(Some),
    }
}
