//! Messages of books, read from their rows.

use super::path::{Frame, Path, Row, is_nested};
use super::plan::{BookPlan, LevelsPlan, SidePlan, SideWords, WrittenPlan};
use super::read::{
    Trouble, all_hold, decimal_at, is_one_of, part_of, scalar, sequence, signed_size_at, size_at,
    time_of, whole,
};
use super::tape::Kind;
use crate::books::{Change, Name, Side, Verb};
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

/// The levels of a message.
#[derive(Default)]
pub struct Levels {
    pub changes: Vec<Change>,
    /// One for each change, where the venue names levels by ids.
    pub names: Vec<Name>,
}

impl Levels {
    fn clear(&mut self) {
        self.changes.clear();
        self.names.clear();
    }
}

/// Reads a row; its levels replace `out`. Of a plan whose rows are the levels, it is a list of them (an answer over REST).
///
/// # Errors
/// Something in it cannot be read.
pub fn read<'p>(
    plan: &'p BookPlan,
    row: Row<'_>,
    ts_recv: i64,
    out: &mut Levels,
) -> Result<BookRow, Trouble<'p>> {
    out.clear();
    match &plan.levels {
        LevelsPlan::Sides { bids, asks } => {
            for (path, side) in [(bids, Side::Bid), (asks, Side::Ask)] {
                if let Some(path) = path {
                    each(path, row, false, |entry| level(plan, entry, side, out))?;
                }
            }
        }
        LevelsPlan::Written(each) => written(plan, each, row, out)?,
        LevelsPlan::Mixed {
            list: Some(list),
            side,
        } => {
            let alone = matches!(side, SidePlan::Sign);
            each(list, row, alone, |entry| sided(plan, entry, out))?;
        }
        LevelsPlan::Mixed { list: None, .. } if row.frame.token(row.place).kind == Kind::List => {
            for place in row.frame.entries(row.place) {
                sided(plan, Row { place, ..row }, out)?;
            }
        }
        LevelsPlan::Alone { .. } => sided(plan, row, out)?,
        LevelsPlan::Mixed { list: None, .. } => {
            return Err(Trouble {
                path: "",
                expected: "a list of levels",
                found: Some(row.place),
            });
        }
    }
    beside(plan, row, ts_recv)
}

/// Reads rows that are the levels of one message: its numbers are those of the first, its time is that of the latest.
///
/// # Errors
/// Something in them cannot be read.
pub fn read_rows<'p, 'a>(
    plan: &'p BookPlan,
    mut rows: impl Iterator<Item = Row<'a>>,
    ts_recv: i64,
    out: &mut Levels,
) -> Result<Option<BookRow>, Trouble<'p>> {
    out.clear();
    let Some(first) = rows.next() else {
        return Ok(None);
    };
    sided(plan, first, out)?;
    let mut read = beside(plan, first, ts_recv)?;
    for row in rows {
        sided(plan, row, out)?;
        read.ts_event = read
            .ts_event
            .max(time_of(plan.time.as_ref(), row, ts_recv)?);
    }
    Ok(Some(read))
}

/// Reads what a frame without rows says of the book that it names: whether it is empty.
#[must_use]
pub fn is_empty(plan: &BookPlan, frame: Row<'_>) -> bool {
    plan.every || all_hold(&plan.snapshot, frame)
}

/// Reads what stands beside the levels.
#[inline]
fn beside<'p>(plan: &'p BookPlan, row: Row<'_>, ts_recv: i64) -> Result<BookRow, Trouble<'p>> {
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
fn side_of<'p>(path: &'p Path, words: &SideWords, entry: Row<'_>) -> Result<Side, Trouble<'p>> {
    let found = path.find(entry);
    match found.map(|place| entry.frame.text(place)) {
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
fn keep(plan: &BookPlan, out: &mut Levels, change: Change) {
    if !plan.zero_is_none || change.price.mantissa != 0 {
        out.changes.push(change);
    }
}

/// Reads levels that are texts: one, or a list of them.
fn written<'p>(
    plan: &BookPlan,
    written: &'p WrittenPlan,
    row: Row<'_>,
    out: &mut Levels,
) -> Result<(), Trouble<'p>> {
    let Some(place) = written.list.said(row) else {
        return Ok(());
    };
    let mut take = |place| {
        keep(plan, out, divided(written, row.frame, place)?);
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
fn each<'p, 'a>(
    path: &'p Path,
    row: Row<'a>,
    alone: bool,
    mut take: impl FnMut(Row<'a>) -> Result<(), Trouble<'p>>,
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
        return take(Row { place, ..row });
    }
    row.frame
        .entries(place)
        .try_for_each(|place| take(Row { place, ..row }))
}

/// Takes a level whose side is said by a word.
#[inline]
fn sided<'p>(plan: &'p BookPlan, entry: Row<'_>, out: &mut Levels) -> Result<(), Trouble<'p>> {
    let (path, words) = match &plan.levels {
        LevelsPlan::Mixed {
            side: SidePlan::Words { path, words },
            ..
        }
        | LevelsPlan::Alone { side: path, words } => (path, words),
        LevelsPlan::Mixed {
            side: SidePlan::Sign,
            ..
        } => return signed(plan, entry, out),
        LevelsPlan::Sides { .. } | LevelsPlan::Written(_) => return Ok(()),
    };
    let side = side_of(path, words, entry)?;
    level(plan, entry, side, out)
}

/// Takes a level whose side is the sign of its size; that of one that is gone has a sign too.
#[inline]
fn signed<'p>(plan: &'p BookPlan, entry: Row<'_>, out: &mut Levels) -> Result<(), Trouble<'p>> {
    let frame = entry.frame;
    let deleted = plan.action.as_ref().is_some_and(|path| {
        path.find(entry)
            .is_some_and(|place| is_one_of(&frame.text(place), &plan.deleted))
    });
    let price = there(
        &plan.price,
        plan.or_price.as_ref(),
        entry,
        "the price of a level",
    )?;
    let price = decimal_at(frame, price, plan.price.text())?;
    let place = there(
        &plan.size,
        plan.or_size.as_ref(),
        entry,
        "the size of a level",
    )?;
    let (size, exact, negative) = signed_size_at(frame, place, plan.size.text())?;
    let change = Change {
        side: if negative { Side::Ask } else { Side::Bid },
        price,
        size: if deleted { Decimal::default() } else { size },
        inexact: !exact && !deleted,
        deleted,
    };
    keep(plan, out, change);
    Ok(())
}

/// Takes a level.
#[inline]
fn level<'p>(
    plan: &'p BookPlan,
    entry: Row<'_>,
    side: Side,
    out: &mut Levels,
) -> Result<(), Trouble<'p>> {
    let frame = entry.frame;
    let verb = plan.action.as_ref().map_or(Verb::Update, |path| {
        let word = path.find(entry).map(|place| frame.text(place));
        match word {
            Some(word) if is_one_of(&word, &plan.deleted) => Verb::Delete,
            Some(word) if is_one_of(&word, &plan.inserted) => Verb::Insert,
            _ => Verb::Update,
        }
    });
    let mut priced = true;
    if let Some(path) = &plan.id {
        let id = there(path, None, entry, "the id of a level")?;
        let Some(id) = whole(&frame.text(id)) else {
            return Err(Trouble {
                path: path.text(),
                expected: "a whole number",
                found: Some(id),
            });
        };
        priced = plan.price.said(entry).is_some();
        out.names.push(Name { id, verb, priced });
    }
    let price = if priced {
        let price = there(
            &plan.price,
            plan.or_price.as_ref(),
            entry,
            "the price of a level",
        )?;
        decimal_at(frame, price, plan.price.text())?
    } else {
        Decimal::default()
    };
    let deleted = verb == Verb::Delete;
    let (size, exact) = if deleted {
        (Decimal::default(), true)
    } else {
        let size = there(
            &plan.size,
            plan.or_size.as_ref(),
            entry,
            "the size of a level",
        )?;
        size_at(frame, size, plan.size.text())?
    };
    let change = Change {
        side,
        price,
        size,
        inexact: !exact,
        deleted,
    };
    keep(plan, out, change);
    Ok(())
}

#[inline]
fn there<'p>(
    path: &'p Path,
    or: Option<&Path>,
    entry: Row<'_>,
    expected: &'static str,
) -> Result<u32, Trouble<'p>> {
    path.said(entry)
        .or_else(|| or.and_then(|path| path.said(entry)))
        .ok_or(Trouble {
            path: path.text(),
            expected,
            found: None,
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
