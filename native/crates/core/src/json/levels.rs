//! Messages of books, read from their rows.

use super::path::{Frame, Path, Row, is_nested, says_something};
use super::plan::{BookPlan, LevelsPlan, SidePlan, SideWords, WrittenPlan};
use super::read::{
    Trouble, all_hold, decimal_at, is_one_of, part_of, scalar, sequence, signed_size_at, size_at,
    time_of,
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
                        keep(plan, changes, change(plan, row.frame, entry, side)?);
                        Ok(())
                    })?;
                }
            }
        }
        LevelsPlan::Written(each) => written(plan, each, row, changes)?,
        LevelsPlan::Mixed { list, side } => {
            each(list, row, matches!(side, SidePlan::Sign), |entry| {
                let change = match side {
                    SidePlan::Sign => signed_change(plan, row.frame, entry)?,
                    SidePlan::Words { path, words } => {
                        let side = side_of(path, words, row.frame, entry)?;
                        change(plan, row.frame, entry, side)?
                    }
                };
                keep(plan, changes, change);
                Ok(())
            })?;
        }
        LevelsPlan::Alone { side, words } => {
            let side = side_of(side, words, row.frame, row.place)?;
            keep(plan, changes, change(plan, row.frame, row.place, side)?);
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

/// Takes a change, unless its price says that it is none.
#[inline]
fn keep(plan: &BookPlan, changes: &mut Vec<Change>, change: Change) {
    if !plan.zero_is_none || change.price.mantissa != 0 {
        changes.push(change);
    }
}

/// Reads levels that are texts: one, or a list of them.
fn written<'p>(
    plan: &BookPlan,
    written: &'p WrittenPlan,
    row: Row<'_>,
    changes: &mut Vec<Change>,
) -> Result<(), Trouble<'p>> {
    let Some(place) = written.list.said(row) else {
        return Ok(());
    };
    let mut take = |place| {
        keep(plan, changes, divided(written, row.frame, place)?);
        Ok(())
    };
    if row.frame.token(place).kind == Kind::List {
        row.frame.entries(place).try_for_each(take)
    } else {
        take(place)
    }
}

/// Reads a level that is a text.
fn divided<'p>(plan: &'p WrittenPlan, frame: Frame<'_>, place: u32) -> Result<Change, Trouble<'p>> {
    let trouble = Trouble {
        path: plan.list.text(),
        expected: "a text of side, price and size",
        found: Some(place),
    };
    let text = scalar(frame, place).ok_or(trouble)?;
    let part = |index| part_of(&text, &plan.split, index).ok_or(trouble);
    let side = match part(plan.side)? {
        word if is_one_of(word, &plan.words.bid) => Side::Bid,
        word if is_one_of(word, &plan.words.ask) => Side::Ask,
        _ => return Err(trouble),
    };
    let price = Decimal::parse(part(plan.price)?).map_err(|_| trouble)?;
    let (size, exact) = Decimal::parse_rounded(part(plan.size)?).map_err(|_| trouble)?;
    if size.mantissa < 0 {
        return Err(trouble);
    }
    Ok(Change {
        side,
        price,
        size,
        inexact: !exact,
        deleted: false,
    })
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
    or: &Option<Path>,
    frame: Frame<'_>,
    entry: u32,
    expected: &'static str,
) -> Result<u32, Trouble<'p>> {
    let said = |path: &Path| {
        let found = path.find_from(frame, entry);
        found.filter(|&place| says_something(frame.token(place)))
    };
    said(path)
        .or_else(|| or.as_ref().and_then(said))
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
    let price = there(
        &plan.price,
        &plan.or_price,
        frame,
        entry,
        "the price of a level",
    )?;
    let price = decimal_at(frame, price, plan.price.text())?;
    let place = there(
        &plan.size,
        &plan.or_size,
        frame,
        entry,
        "the size of a level",
    )?;
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
    let price = there(
        &plan.price,
        &plan.or_price,
        frame,
        entry,
        "the price of a level",
    )?;
    let price = decimal_at(frame, price, plan.price.text())?;
    let (size, exact) = if deleted {
        (Decimal::default(), true)
    } else {
        let size = there(
            &plan.size,
            &plan.or_size,
            frame,
            entry,
            "the size of a level",
        )?;
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
