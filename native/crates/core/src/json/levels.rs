//! Messages of books, read from their rows.

use super::path::{Frame, Path, Row, is_nested, says_something};
use super::plan::{BookPlan, LevelsPlan, SidePlan, SideWords};
use super::read::{
    Trouble, all_hold, decimal_at, is_one_of, sequence, signed_size_at, size_at, time_of,
};
use super::tape::Kind;
use crate::books::{Change, Side};
use crate::decimal::Decimal;

/// What a row says of a book beside its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookRow {
    pub snapshot: bool,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub previous: Option<i64>,
    pub checksum: Option<i64>,
    pub depth: u32,
    pub ts_event: i64,
}

/// Reads a row; its levels replace `changes`.
///
/// # Errors
/// Something in it cannot be read.
pub fn read<'p>(
    plan: &'p BookPlan,
    row: Row<'_>,
    ts_recv: i64,
    changes: &mut Vec<Change>,
) -> Result<BookRow, Trouble<'p>> {
    changes.clear();
    match &plan.levels {
        LevelsPlan::Sides { bids, asks } => {
            for (path, side) in [(bids, Side::Bid), (asks, Side::Ask)] {
                if let Some(path) = path {
                    each(path, row, false, |entry| {
                        changes.push(change(plan, row.frame, entry, side)?);
                        Ok(())
                    })?;
                }
            }
        }
        LevelsPlan::Mixed { list, side } => {
            each(list, row, matches!(side, SidePlan::Sign), |entry| {
                changes.push(match side {
                    SidePlan::Sign => signed_change(plan, row.frame, entry)?,
                    SidePlan::Words { path, words } => {
                        let side = side_of(path, words, row.frame, entry)?;
                        change(plan, row.frame, entry, side)?
                    }
                });
                Ok(())
            })?;
        }
        LevelsPlan::Alone { side, words } => {
            let side = side_of(side, words, row.frame, row.place)?;
            changes.push(change(plan, row.frame, row.place, side)?);
        }
    }
    Ok(BookRow {
        snapshot: plan.every || all_hold(&plan.snapshot, row),
        first: sequence(plan.first.as_ref(), row)?,
        last: sequence(plan.last.as_ref(), row)?,
        previous: sequence(plan.previous.as_ref(), row)?,
        checksum: sequence(plan.checksum.as_ref(), row)?,
        depth: plan
            .depth_from
            .as_ref()
            .map_or(Ok(0), |path| depth(path, row))?,
        ts_event: time_of(plan.time.as_ref(), row, ts_recv)?,
    })
}

/// The side that an entry names.
#[inline]
fn side_of<'p>(
    path: &'p Path,
    words: &SideWords,
    frame: Frame<'_>,
    entry: u32,
) -> Result<Side, Trouble<'p>> {
    let found = path.find_from(frame, entry);
    match found.map(|place| frame.text(place)) {
        Some(text) if is_one_of(&text, &words.bid) => Ok(Side::Bid),
        Some(text) if is_one_of(&text, &words.ask) => Ok(Side::Ask),
        _ => Err(Trouble {
            path: path.text(),
            expected: "a side",
            found,
        }),
    }
}

/// Calls for each entry of a list; an absent one has none. `alone`: one level may stand there itself, as if it were a list of
/// one.
#[inline]
fn each<'p>(
    path: &'p Path,
    row: Row<'_>,
    alone: bool,
    mut take: impl FnMut(u32) -> Result<(), Trouble<'p>>,
) -> Result<(), Trouble<'p>> {
    let Some(place) = path.said(row) else {
        return Ok(());
    };
    if row.frame.token(place).kind != Kind::List {
        return Err(Trouble {
            path: path.text(),
            expected: "a list of levels",
            found: Some(place),
        });
    }
    let is_level = |entry: u32| !is_nested(row.frame.token(entry));
    if alone && row.frame.entries(place).next().is_some_and(is_level) {
        return take(place);
    }
    row.frame.entries(place).try_for_each(&mut take)
}

#[inline]
fn there<'p>(
    path: &'p Path,
    frame: Frame<'_>,
    entry: u32,
    expected: &'static str,
) -> Result<u32, Trouble<'p>> {
    path.find_from(frame, entry)
        .filter(|&place| says_something(frame.token(place)))
        .ok_or(Trouble {
            path: path.text(),
            expected,
            found: None,
        })
}

#[inline]
fn is_deleted(plan: &BookPlan, frame: Frame<'_>, entry: u32) -> bool {
    plan.action.as_ref().is_some_and(|path| {
        path.find_from(frame, entry)
            .is_some_and(|place| is_one_of(&frame.text(place), &plan.deleted))
    })
}

/// A level whose side is the sign of its size; that of one that is gone has a sign too.
#[inline]
fn signed_change<'p>(
    plan: &'p BookPlan,
    frame: Frame<'_>,
    entry: u32,
) -> Result<Change, Trouble<'p>> {
    let deleted = is_deleted(plan, frame, entry);
    let price = there(&plan.price, frame, entry, "the price of a level")?;
    let price = decimal_at(frame, price, plan.price.text())?;
    let place = there(&plan.size, frame, entry, "the size of a level")?;
    let (size, exact, negative) = signed_size_at(frame, place, plan.size.text())?;
    Ok(Change {
        side: if negative { Side::Ask } else { Side::Bid },
        price,
        size: if deleted { Decimal::default() } else { size },
        inexact: !exact && !deleted,
        deleted,
    })
}

#[inline]
fn change<'p>(
    plan: &'p BookPlan,
    frame: Frame<'_>,
    entry: u32,
    side: Side,
) -> Result<Change, Trouble<'p>> {
    let deleted = is_deleted(plan, frame, entry);
    let price = there(&plan.price, frame, entry, "the price of a level")?;
    let price = decimal_at(frame, price, plan.price.text())?;
    let (size, exact) = if deleted {
        (Decimal::default(), true)
    } else {
        let size = there(&plan.size, frame, entry, "the size of a level")?;
        size_at(frame, size, plan.size.text())?
    };
    Ok(Change {
        side,
        price,
        size,
        inexact: !exact,
        deleted,
    })
}

/// The number that a text ends with.
fn depth<'p>(path: &'p Path, row: Row<'_>) -> Result<u32, Trouble<'p>> {
    let found = path.said(row);
    let text = found.map(|place| row.frame.text(place)).unwrap_or_default();
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let start = text.len() - digits.count();
    core::str::from_utf8(&text[start..])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(Trouble {
            path: path.text(),
            expected: "a text that ends with the depth of the book",
            found,
        })
}
