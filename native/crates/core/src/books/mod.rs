//! The continuity engine of declared venues: books that are whole, or say that they are not.
//!
//! [`Books`] holds the book of every instrument of a feed. It is fed messages of books (whole ones and differences) in
//! the order of their arrival, and answers with records: best bid and offer, levels, GAP and STATUS rows. What proves
//! that a book is whole is its [`Rule`]; `docs/concepts/continuity.md` has the theory.
//!
//! No I/O, no clock, no texts of a venue: whoever parses the frames calls with decimals and ids.

mod book;
mod chain;
mod checksum;
mod compare;
mod engine;
mod ladder;
mod named;
mod rows;
mod rule;
mod source;
mod waiting;

pub use engine::Books;
pub use rule::{Chain, ChecksumKind, Rule, Scope, SnapshotFrom};
pub use source::Source;

use crate::decimal::Decimal;
pub use crate::orderbook::Side;
use crate::record::Record;

/// A level that a message sets or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub side: Side,
    pub price: Decimal,
    /// 0 deletes the level.
    pub size: Decimal,
    /// The size was rounded to fit.
    pub inexact: bool,
    /// The level is gone, whatever the size.
    pub deleted: bool,
}

/// What happens to a level that the venue names by an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Insert,
    Update,
    Delete,
}

/// The venue's name of a level, beside its [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub id: u64,
    pub verb: Verb,
    /// The change has a price; otherwise it is that of the level's insertion.
    pub priced: bool,
}

/// A message of one book.
#[derive(Clone, Copy, Debug)]
pub struct BookMessage<'a> {
    /// Index of its rule in those given to [`Books::new`]; for a scope of `channel`, what a channel is.
    pub kind: u16,
    /// Connection it came on.
    pub link: u32,
    /// Index of its frame, handed on in a [`Break`].
    pub frame: u32,
    /// The changes are the whole book.
    pub snapshot: bool,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub previous: Option<i64>,
    /// As sent, signed or unsigned: the low 32 bits count.
    pub checksum: Option<i64>,
    /// The connection's counter stood in it: where the rule says that one proves the book, it does.
    pub counted: bool,
    /// Levels a side that the venue keeps, where the message says so; 0 = the rule's.
    pub depth: u32,
    pub changes: &'a [Change],
    /// One for each change, where the venue names levels by ids; otherwise empty.
    pub names: &'a [Name],
    /// Times and flags of the rows to write; the rest is filled in.
    pub origin: Record,
}

/// One side of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteSide {
    /// The message does not speak of it.
    Unchanged,
    Empty,
    Level {
        price: Decimal,
        /// `None`: the venue tells no size.
        size: Option<Decimal>,
        inexact: bool,
    },
}

/// A best bid and offer from a stream of its own.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    pub bid: QuoteSide,
    pub ask: QuoteSide,
    /// The venue's number of it.
    pub seq: Option<i64>,
    /// `seq` counts with the ids of the book: the newer of quote and book is the best bid and offer.
    pub comparable: bool,
    pub origin: Record,
}

/// Where news came from, and where it stands among news of the same stream.
#[derive(Clone, Copy, Debug)]
pub struct Provenance {
    pub link: u32,
    /// The venue's number of it.
    pub seq: Option<i64>,
    /// The venue's time of it, where it tells one.
    pub ts_event: Option<i64>,
    pub ts_recv: i64,
}

/// Why a book is not whole any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    Chain,
    Counter,
    Checksum,
    Crossed,
    Malformed,
    Overflow,
}

impl Reason {
    /// The word that Python knows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Counter => "counter",
            Self::Checksum => "checksum",
            Self::Crossed => "crossed",
            Self::Malformed => "malformed",
            Self::Overflow => "overflow",
        }
    }
}

/// A book is not whole any more. Its rows are in the records already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub index: u32,
    pub instrument: u64,
    pub reason: Reason,
    pub scope: Scope,
    /// What was expected, what was found.
    pub text: String,
    /// Kind of the message that broke it.
    pub kind: u16,
    /// Id that should have come; 0 = unknown.
    pub expected: i64,
    pub found: i64,
    pub frame: u32,
    /// Breaks of one scope and cause share it; counts up.
    pub cause: u64,
}

/// What the caller is told beside the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Break(Break),
    /// The book of this index became whole.
    Whole(u32),
    /// The differences of this book begin behind the snapshot that was given: a newer one is wanted.
    Short(u32),
}

/// A jump of a connection's counter, or anything else that concerns more than one book.
#[derive(Clone, Copy, Debug)]
pub struct Jump<'a> {
    pub reason: Reason,
    pub text: &'a str,
    /// Kind of the message at hand; of no book: any number.
    pub kind: u16,
    pub expected: i64,
    pub found: i64,
    pub frame: u32,
    pub ts_recv: i64,
}

/// One level of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Decimal,
    pub size: Decimal,
    pub inexact: bool,
}

/// Counters of all books, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub verified: u64,
    pub failed: u64,
    /// Checksums of 0 where the venue has retired it: nothing is proved.
    pub zero: u64,
    pub breaks: u64,
    /// Messages of books and quotes that another connection had brought before.
    pub left_out: u64,
    /// Levels held now.
    pub levels: u64,
    /// Differences that wait for a snapshot now.
    pub buffered: u64,
    /// Memory of all books now.
    pub bytes: u64,
}

/// Records and events that a call appends to.
pub struct Output<'a> {
    pub records: &'a mut Vec<Record>,
    pub events: &'a mut Vec<Event>,
}

#[cfg(test)]
mod tests;
