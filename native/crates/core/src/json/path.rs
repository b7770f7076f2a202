//! Paths compiled, and found on the tape.
//!
//! Venues write the keys of a message in the same order, so a step remembers how far behind its object's beginning it
//! found its key last time and looks there first. A key found so is one of this very object, not of one inside it, if it
//! lies before the object's end and one level below it. Where a venue repeats a key in one object, which of them is
//! read is not said.

use core::sync::atomic::{AtomicU32, Ordering};
use std::borrow::Cow;

use super::tape::{Kind, Tape, Token, raw_of, text_of};

/// A frame and its tokens.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub bytes: &'a [u8],
    pub tape: &'a Tape,
}

impl<'a> Frame<'a> {
    #[inline]
    #[must_use]
    pub fn token(self, place: u32) -> Token {
        self.tape.token(place)
    }

    /// Text of a token; see [`text_of`].
    #[inline]
    #[must_use]
    pub fn text(self, place: u32) -> Cow<'a, [u8]> {
        text_of(self.bytes, self.tape.token(place))
    }

    /// Places of the entries of a list.
    #[inline]
    pub fn entries(self, list: u32) -> impl Iterator<Item = u32> {
        let end = self.token(list).next;
        let mut place = list + 1;
        core::iter::from_fn(move || {
            (place < end).then(|| {
                let entry = place;
                place = self.token(entry).next;
                entry
            })
        })
    }
}

/// Whether two short texts are the same: a call of the system's comparison costs more than the few bytes of a key.
#[inline]
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// One step of a path.
#[derive(Debug)]
pub struct Step {
    key: Box<[u8]>,
    /// The same as a place in a list.
    index: Option<i32>,
    /// How far behind the object its key stood last time.
    memory: AtomicU32,
}

impl Step {
    fn new(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        Self {
            key: text.as_bytes().into(),
            index: if is_number { text.parse().ok() } else { None },
            memory: AtomicU32::new(1),
        }
    }

    #[must_use]
    pub const fn is_index(&self) -> bool {
        self.index.is_some()
    }

    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether it stands for every member of an object (`*`).
    fn is_any(&self) -> bool {
        *self.key == *b"*"
    }

    #[inline]
    fn is(&self, frame: Frame<'_>, token: Token) -> bool {
        match token.kind {
            Kind::Key => same(raw_of(frame.bytes, token), &self.key),
            Kind::EscapedKey => *text_of(frame.bytes, token) == *self.key,
            _ => false,
        }
    }

    /// Place of the value behind this step.
    #[inline]
    #[must_use]
    pub fn find(&self, frame: Frame<'_>, place: u32) -> Option<u32> {
        let token = frame.token(place);
        match token.kind {
            Kind::Object => self.member(frame, place, token),
            Kind::List => self.entry(frame, place),
            _ => None,
        }
    }

    #[inline]
    fn member(&self, frame: Frame<'_>, place: u32, object: Token) -> Option<u32> {
        let memory = self.memory.load(Ordering::Relaxed);
        let guess = place + memory;
        if guess < object.next {
            let token = frame.token(guess);
            if token.depth == object.depth + 1 && self.is(frame, token) {
                return Some(guess + 1);
            }
        }
        let mut at = place + 1;
        while at < object.next {
            let token = frame.token(at);
            if self.is(frame, token) {
                self.memory.store(at - place, Ordering::Relaxed);
                return Some(at + 1);
            }
            at = frame.token(at + 1).next;
        }
        None
    }

    fn entry(&self, frame: Frame<'_>, list: u32) -> Option<u32> {
        let index = self.index?;
        if let Ok(index) = usize::try_from(index) {
            return frame.entries(list).nth(index);
        }
        let length = frame.entries(list).count();
        let index = length.checked_sub(index.unsigned_abs() as usize)?;
        frame.entries(list).nth(index)
    }
}

/// A row of a frame.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub frame: Frame<'a>,
    pub place: u32,
    /// Entry of the outer list in which the row's list stands; without one the frame.
    pub outer: u32,
}

impl<'a> Row<'a> {
    /// A row that is the whole frame, or stands there alone.
    #[must_use]
    pub const fn alone(frame: Frame<'a>, place: u32) -> Self {
        Self {
            frame,
            place,
            outer: 0,
        }
    }
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Row,
    Frame,
    Outer,
    /// The frame that bound the number of this one: [`super::binding`].
    Bound,
}

/// A place in a frame: read from the row; beginning with `/`, from the frame; beginning with `^`, from the entry of the
/// outer list; beginning with `@`, from the frame that bound this one's number.
#[derive(Debug)]
pub struct Path {
    text: String,
    steps: Box<[Step]>,
    root: Root,
}

impl Path {
    /// Compiles a path; `None` for the empty one, which names nothing.
    ///
    /// # Errors
    /// A step is empty.
    pub fn new(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let (root, inner) = match text.as_bytes()[0] {
            b'/' => (Root::Frame, &text[1..]),
            b'^' => (Root::Outer, &text[1..]),
            b'@' => (Root::Bound, &text[1..]),
            _ => (Root::Row, text),
        };
        let refuse = |()| format!("expected a path of keys joined by dots, found {text:?}");
        Ok(Some(Self {
            text: text.to_owned(),
            steps: steps(inner).map_err(refuse)?,
            root,
        }))
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it means the same for every row.
    #[must_use]
    pub fn is_of_frame(&self) -> bool {
        matches!(self.root, Root::Frame | Root::Bound)
    }

    /// Whether it is read from the frame that bound this one's number: [`Path::find`] finds nothing then.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.root == Root::Bound
    }

    /// Its first key, where it is read from the row.
    #[must_use]
    pub fn row_key(&self) -> Option<&[u8]> {
        match (self.root, self.steps.first()) {
            (Root::Row, Some(step)) => Some(step.key()),
            _ => None,
        }
    }

    /// Place of what stands there, whatever it is.
    #[inline]
    #[must_use]
    pub fn find(&self, row: Row<'_>) -> Option<u32> {
        let place = match self.root {
            Root::Row => row.place,
            Root::Frame => 0,
            Root::Outer => row.outer,
            Root::Bound => return None,
        };
        self.find_from(row.frame, place)
    }

    /// The same from any place.
    #[inline]
    #[must_use]
    pub fn find_from(&self, frame: Frame<'_>, mut place: u32) -> Option<u32> {
        for step in &self.steps {
            place = step.find(frame, place)?;
        }
        Some(place)
    }

    /// Place of what stands there and says something: neither `null` nor `""`.
    #[inline]
    #[must_use]
    pub fn said(&self, row: Row<'_>) -> Option<u32> {
        self.find(row)
            .filter(|&place| says_something(row.frame.token(place)))
    }
}

/// Whether a value is neither `null` nor `""`.
#[inline]
#[must_use]
pub fn says_something(token: Token) -> bool {
    match token.kind {
        Kind::Null => false,
        Kind::Text => token.start != token.end,
        _ => true,
    }
}

/// Whether a value is a list or an object.
#[inline]
#[must_use]
pub const fn is_nested(token: Token) -> bool {
    matches!(token.kind, Kind::List | Kind::Object)
}

fn steps(text: &str) -> Result<Box<[Step]>, ()> {
    text.split('.')
        .map(|step| (!step.is_empty()).then(|| Step::new(step)).ok_or(()))
        .collect()
}

/// Where the rows of a frame are.
#[derive(Debug, Default)]
pub struct Rows {
    text: String,
    steps: Box<[Step]>,
}

/// Why there are no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRows {
    Absent,
    /// Neither a list nor an object stands there.
    Scalar,
}

impl Rows {
    /// Compiles a path of rows; the empty one is the frame itself.
    ///
    /// # Errors
    /// A step is empty.
    pub fn new(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let refuse = |()| format!("expected a path of keys joined by dots, found {text:?}");
        Ok(Self {
            text: text.to_owned(),
            steps: if inner.is_empty() {
                Box::default()
            } else {
                steps(inner).map_err(refuse)?
            },
        })
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the rows of a frame: their places, and those of the entries of the outer lists.
    ///
    /// # Errors
    /// Something on the way is absent or no list or object; the rows before it are appended.
    pub fn collect(&self, frame: Frame<'_>, out: &mut Vec<(u32, u32)>) -> Result<(), NoRows> {
        if self.steps.is_empty() {
            out.push((0, 0));
            return Ok(());
        }
        walk(&self.steps, frame, (0, 0), out)
    }

    /// The same, but the empty path of a frame that is a list means its entries.
    ///
    /// # Errors
    /// See [`Rows::collect`].
    pub fn collect_list(&self, frame: Frame<'_>, out: &mut Vec<(u32, u32)>) -> Result<(), NoRows> {
        walk(&self.steps, frame, (0, 0), out)
    }
}

/// Places of the values of an object.
fn members(frame: Frame<'_>, object: u32) -> impl Iterator<Item = u32> {
    let end = frame.token(object).next;
    let mut key = object + 1;
    core::iter::from_fn(move || {
        (key < end).then(|| {
            let value = key + 1;
            key = frame.token(value).next;
            value
        })
    })
}

fn walk(
    steps: &[Step],
    frame: Frame<'_>,
    (place, outer): (u32, u32),
    out: &mut Vec<(u32, u32)>,
) -> Result<(), NoRows> {
    let token = frame.token(place);
    let Some((step, rest)) = steps.split_first() else {
        match token.kind {
            Kind::Object => out.push((place, outer)),
            Kind::List => out.extend(frame.entries(place).map(|entry| (entry, outer))),
            Kind::Null => return Err(NoRows::Absent),
            _ => return Err(NoRows::Scalar),
        }
        return Ok(());
    };
    if token.kind == Kind::List && !step.is_index() {
        return frame
            .entries(place)
            .try_for_each(|entry| walk(steps, frame, (entry, entry), out));
    }
    if !is_nested(token) {
        return Err(NoRows::Scalar);
    }
    if token.kind == Kind::Object && step.is_any() {
        return members(frame, place)
            .filter(|&member| is_nested(frame.token(member)))
            .try_for_each(|member| walk(rest, frame, (member, outer), out));
    }
    match step.find(frame, place) {
        Some(next) => walk(rest, frame, (next, outer), out),
        None => Err(NoRows::Absent),
    }
}
