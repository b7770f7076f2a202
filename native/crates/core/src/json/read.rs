//! Columns of a row: conditions, keys, decimals, numbers and times, and what is wrong with them.

use std::borrow::Cow;

use super::binding::Bound;
use super::dialect;
use super::path::{Frame, Path, Row, is_nested, same, says_something};
use super::time;
use crate::decimal::{Decimal, DecimalError};

/// Why a row could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble<'p> {
    pub path: &'p str,
    pub expected: &'static str,
    /// What stands there instead; `None`: nothing.
    pub found: Option<u32>,
}

/// Bytes of the found text that a reason shows.
const SHOWN_MAX: usize = 60;

impl Trouble<'_> {
    /// The reason for people.
    #[must_use]
    pub fn reason(&self, frame: Frame<'_>) -> String {
        let found = match self.found {
            None => "nothing".to_owned(),
            Some(place) => shown(frame, place),
        };
        format!(
            "expected {} at {:?}, found {found}",
            self.expected, self.path
        )
    }
}

/// The beginning of what stands at a place, as in the frame.
#[must_use]
pub fn shown(frame: Frame<'_>, place: u32) -> String {
    let token = frame.token(place);
    let raw = super::tape::raw_of(frame.bytes, token);
    let text = String::from_utf8_lossy(&raw[..raw.len().min(SHOWN_MAX)]);
    let more = if raw.len() > SHOWN_MAX { "..." } else { "" };
    format!("{text}{more}")
}

/// What must hold of the text at a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Condition {
    equals: Box<[Box<[u8]>]>,
    prefix: Box<[u8]>,
    suffix: Box<[u8]>,
    present: Option<bool>,
}

impl Condition {
    #[must_use]
    pub fn new(declared: &dialect::Match) -> Self {
        Self {
            equals: texts(&declared.equals),
            prefix: declared.prefix.as_bytes().into(),
            suffix: declared.suffix.as_bytes().into(),
            present: declared.present,
        }
    }

    /// Whether it holds of what stands at a place; nothing said is the empty text.
    #[inline]
    #[must_use]
    pub fn holds(&self, frame: Frame<'_>, found: Option<u32>) -> bool {
        let said = found.filter(|&place| says_something(frame.token(place)));
        if self
            .present
            .is_some_and(|present| present != said.is_some())
        {
            return false;
        }
        let Some(place) = said else {
            return self.fits(b"");
        };
        let token = frame.token(place);
        if is_nested(token) {
            return self.equals.is_empty() && self.prefix.is_empty() && self.suffix.is_empty();
        }
        self.fits(&frame.text(place))
    }

    /// Whether it holds of a text that was read before; the empty one says nothing.
    #[must_use]
    pub fn holds_of(&self, text: &[u8]) -> bool {
        self.present
            .is_none_or(|present| present != text.is_empty())
            && self.fits(text)
    }

    #[inline]
    fn fits(&self, text: &[u8]) -> bool {
        (self.equals.is_empty() || is_one_of(text, &self.equals))
            && text
                .get(..self.prefix.len())
                .is_some_and(|head| same(head, &self.prefix))
            && text
                .len()
                .checked_sub(self.suffix.len())
                .is_some_and(|at| same(&text[at..], &self.suffix))
    }
}

#[must_use]
pub fn texts(words: &[String]) -> Box<[Box<[u8]>]> {
    words.iter().map(|word| word.as_bytes().into()).collect()
}

#[inline]
#[must_use]
pub fn is_one_of(text: &[u8], words: &[Box<[u8]>]) -> bool {
    words.iter().any(|word| same(word, text))
}

/// A condition on a row.
#[derive(Debug)]
pub struct RowMatch {
    pub path: Path,
    pub condition: Condition,
    /// Where the same text has to stand.
    pub same_as: Option<Path>,
}

impl RowMatch {
    /// # Errors
    /// The path is empty.
    pub fn new(declared: &dialect::Match) -> Result<Self, String> {
        Ok(Self {
            path: required(&declared.path)?,
            condition: Condition::new(declared),
            same_as: (!declared.same_as.is_empty())
                .then(|| required(&declared.same_as))
                .transpose()?,
        })
    }

    #[inline]
    #[must_use]
    pub fn holds(&self, row: Row<'_>) -> bool {
        let found = self.path.find(row);
        self.condition.holds(row.frame, found)
            && self
                .same_as
                .as_ref()
                .is_none_or(|other| is_same_text(row, self.path.said(row), other.said(row)))
    }
}

/// Both say something, and the same.
fn is_same_text(row: Row<'_>, one: Option<u32>, other: Option<u32>) -> bool {
    let text = |place: Option<u32>| place.and_then(|place| scalar(row.frame, place));
    text(one).is_some_and(|said| text(other).is_some_and(|more| same(&said, &more)))
}

/// All of them hold, and there is one at least.
#[inline]
#[must_use]
pub fn all_hold(matches: &[RowMatch], row: Row<'_>) -> bool {
    !matches.is_empty() && matches.iter().all(|each| each.holds(row))
}

/// Compiles a path that must not be empty.
///
/// # Errors
/// It is, or one of its steps is.
pub fn required(text: &str) -> Result<Path, String> {
    let path = Path::new(text)?.ok_or_else(|| "expected a path, found nothing".to_owned())?;
    if path.is_bound() {
        return Err(format!(
            "expected a path of the frame (only conditions of messages and keys begin with @), found {text:?}"
        ));
    }
    Ok(path)
}

/// Where the venue's name of the instrument stands.
#[derive(Debug)]
pub struct KeyPlan {
    pub path: Path,
    /// Which text of the binding it is, where the path is read from there.
    pub slot: Option<usize>,
    split: Box<[u8]>,
    part: i32,
    strip: Box<[u8]>,
}

impl KeyPlan {
    /// # Errors
    /// The path is empty.
    pub fn new(declared: &dialect::Key) -> Result<Self, String> {
        let path = Path::new(&declared.path)?;
        Ok(Self {
            path: path.ok_or_else(|| "expected a path, found nothing".to_owned())?,
            slot: None,
            split: declared.split.as_bytes().into(),
            part: declared.part,
            strip: declared.strip.as_bytes().into(),
        })
    }

    /// The name; `bound`: what the frame's number stands for.
    ///
    /// # Errors
    /// There is no such text, or it has no such part.
    #[inline]
    pub fn read<'a>(
        &self,
        row: Row<'a>,
        bound: Option<&'a Bound>,
    ) -> Result<Cow<'a, [u8]>, Trouble<'_>> {
        let text = match self.slot {
            Some(slot) => self.bound_text(slot, bound)?,
            None => self.text(row)?,
        };
        if self.strip.is_empty() {
            return Ok(text);
        }
        Ok(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(&*self.strip).unwrap_or(text)),
            Cow::Owned(text) => {
                Cow::Owned(text.strip_prefix(&*self.strip).unwrap_or(&text).to_vec())
            }
        })
    }

    fn bound_text<'a>(
        &self,
        slot: usize,
        bound: Option<&'a Bound>,
    ) -> Result<Cow<'a, [u8]>, Trouble<'_>> {
        let text = bound.map_or(&b""[..], |bound| bound.text(slot));
        let part = if self.split.is_empty() {
            Some(text)
        } else {
            self.part_of(text)
        };
        part.filter(|text| !text.is_empty())
            .map(Cow::Borrowed)
            .ok_or(Trouble {
                path: self.path.text(),
                expected: "the name of an instrument",
                found: None,
            })
    }

    #[inline]
    fn text<'a>(&self, row: Row<'a>) -> Result<Cow<'a, [u8]>, Trouble<'_>> {
        let found = self.path.said(row);
        let trouble = Trouble {
            path: self.path.text(),
            expected: "the name of an instrument",
            found,
        };
        let place = found.ok_or(trouble)?;
        if is_nested(row.frame.token(place)) {
            return Err(trouble);
        }
        let text = row.frame.text(place);
        if self.split.is_empty() {
            return Ok(text);
        }
        match text {
            Cow::Borrowed(text) => self.part_of(text).map(Cow::Borrowed),
            Cow::Owned(text) => self.part_of(&text).map(|part| Cow::Owned(part.to_vec())),
        }
        .ok_or(trouble)
    }

    fn part_of<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        if let Ok(part) = usize::try_from(self.part) {
            return part_of(text, &self.split, part);
        }
        let back = self.part.unsigned_abs() as usize;
        let parts = Parts {
            rest: Some(text),
            split: &self.split,
        };
        let parts: Vec<_> = parts.collect();
        parts.len().checked_sub(back).map(|index| parts[index])
    }
}

struct Parts<'t, 's> {
    rest: Option<&'t [u8]>,
    split: &'s [u8],
}

/// A part of a text that is divided at `split`.
#[must_use]
pub fn part_of<'t>(text: &'t [u8], split: &[u8], part: usize) -> Option<&'t [u8]> {
    let mut parts = Parts {
        rest: Some(text),
        split,
    };
    parts.nth(part)
}

impl<'t> Iterator for Parts<'t, '_> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.rest?;
        let found = match *self.split {
            [byte] => rest.iter().position(|&each| each == byte),
            _ => rest
                .windows(self.split.len())
                .position(|window| window == self.split),
        };
        match found {
            Some(at) => {
                self.rest = Some(&rest[at + self.split.len()..]);
                Some(&rest[..at])
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

const fn why(error: DecimalError) -> &'static str {
    match error {
        DecimalError::Malformed => "a decimal number",
        DecimalError::DoesNotFit => "a decimal number that fits in 64 bits",
    }
}

/// Text of a value that is no list and no object.
#[inline]
#[must_use]
pub fn scalar(frame: Frame<'_>, place: u32) -> Option<Cow<'_, [u8]>> {
    (!is_nested(frame.token(place))).then(|| frame.text(place))
}

/// An exact decimal at a place.
///
/// # Errors
/// It is no decimal number or does not fit.
#[inline]
pub fn decimal_at<'p>(frame: Frame<'_>, place: u32, path: &'p str) -> Result<Decimal, Trouble<'p>> {
    let parsed = match scalar(frame, place) {
        Some(text) => Decimal::parse(&text),
        None => Err(DecimalError::Malformed),
    };
    parsed.map_err(|error| Trouble {
        path,
        expected: why(error),
        found: Some(place),
    })
}

/// A decimal that may be rounded, and whether it was not.
///
/// # Errors
/// It is no decimal number or does not fit.
#[inline]
pub fn rounded_at<'p>(
    frame: Frame<'_>,
    place: u32,
    path: &'p str,
) -> Result<(Decimal, bool), Trouble<'p>> {
    let parsed = match scalar(frame, place) {
        Some(text) => Decimal::parse_rounded(&text),
        None => Err(DecimalError::Malformed),
    };
    parsed.map_err(|error| Trouble {
        path,
        expected: why(error),
        found: Some(place),
    })
}

/// A size whose sign says something else: rounded where it does not fit; whether it was not; whether it is below zero.
///
/// # Errors
/// It is no such number.
#[inline]
pub fn signed_size_at<'p>(
    frame: Frame<'_>,
    place: u32,
    path: &'p str,
) -> Result<(Decimal, bool, bool), Trouble<'p>> {
    let (size, exact) = rounded_at(frame, place, path)?;
    let negative = size.mantissa < 0;
    let Some(mantissa) = size.mantissa.checked_abs() else {
        return Err(Trouble {
            path,
            expected: "a size",
            found: Some(place),
        });
    };
    Ok((Decimal::new(mantissa, size.scale), exact, negative))
}

/// A size: rounded where it does not fit, never below zero.
///
/// # Errors
/// It is no such number.
#[inline]
pub fn size_at<'p>(
    frame: Frame<'_>,
    place: u32,
    path: &'p str,
) -> Result<(Decimal, bool), Trouble<'p>> {
    let (size, exact) = rounded_at(frame, place, path)?;
    if size.mantissa < 0 {
        return Err(Trouble {
            path,
            expected: "a size",
            found: Some(place),
        });
    }
    Ok((size, exact))
}

/// A whole number of 64 bits, written in digits alone.
#[inline]
#[must_use]
pub fn whole(text: &[u8]) -> Option<u64> {
    let is_plain = match text {
        [] => false,
        [b'0', _, ..] => false,
        _ => text.len() <= 20,
    };
    if !is_plain {
        return None;
    }
    let mut value = 0_u64;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    Some(value)
}

/// A sequence number; `None` where nothing is said.
///
/// # Errors
/// It is no whole number.
#[inline]
pub fn sequence<'p>(path: Option<&'p Path>, row: Row<'_>) -> Result<Option<i64>, Trouble<'p>> {
    let Some(path) = path else { return Ok(None) };
    let Some(place) = path.said(row) else {
        return Ok(None);
    };
    let number = scalar(row.frame, place).and_then(|text| signed(&text));
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Trouble {
            path: path.text(),
            expected: "a whole number",
            found: Some(place),
        }),
    }
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(whole(digits)?),
        None => i64::try_from(whole(text)?).ok(),
    }
}

/// Where a time stands.
#[derive(Debug)]
pub struct TimePlan {
    path: Path,
    unit: dialect::TimeUnit,
}

impl TimePlan {
    /// # Errors
    /// The path is empty.
    pub fn new(declared: &dialect::Time) -> Result<Self, String> {
        Ok(Self {
            path: required(&declared.path)?,
            unit: declared.unit,
        })
    }

    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }
}

/// The time of a row, or of its receipt where it says none: also by the zero of its notation
/// (`1970-01-01T00:00:00Z`, `0001-01-01T00:00:00Z`).
///
/// # Errors
/// What is said is no time.
#[inline]
pub fn time_of<'p>(
    plan: Option<&'p TimePlan>,
    row: Row<'_>,
    ts_recv: i64,
) -> Result<i64, Trouble<'p>> {
    let Some(plan) = plan else { return Ok(ts_recv) };
    match plan.path.said(row) {
        Some(place) => match time_at(row.frame, place, plan.unit, plan.path.text()) {
            Ok(0) => Ok(ts_recv),
            Err(_) if is_year_one(row.frame, place, plan.unit) => Ok(ts_recv),
            said => said,
        },
        None => Ok(ts_recv),
    }
}

/// Whether a time is the zero of systems that count from the year 1.
#[cold]
fn is_year_one(frame: Frame<'_>, place: u32, unit: dialect::TimeUnit) -> bool {
    unit == dialect::TimeUnit::Iso
        && scalar(frame, place).is_some_and(|text| text.starts_with(b"0001-01-01T00:00:00"))
}

/// A time at a place.
///
/// # Errors
/// It is none.
#[inline]
pub fn time_at<'p>(
    frame: Frame<'_>,
    place: u32,
    unit: dialect::TimeUnit,
    path: &'p str,
) -> Result<i64, Trouble<'p>> {
    scalar(frame, place)
        .and_then(|text| time::parse(&text, unit))
        .ok_or(Trouble {
            path,
            expected: "a time",
            found: Some(place),
        })
}
