//! The continuity engine of declared venues: books that are whole, or say that they are not.
//!
//! [`Books`] holds the book of every instrument of a feed. It is fed messages of books (whole ones and differences) in
//! the order of their arrival, and answers with records: best bid and offer, levels, GAP and STATUS rows. What proves
//! that a book is whole is its [`Rule`]; `docs/concepts/continuity.md` has the theory.
//!
//! No I/O, no clock, no texts of a venue: whoever parses the frames calls with decimals and ids.

mod rule;

pub use rule::{Chain, ChecksumKind, Rule, Scope, SnapshotFrom};

use crate::decimal::Decimal;
pub use crate::orderbook::Side;
use crate::record::{Record, state};

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
    /// More changes of the same message follow in the next call, for the same book: these wait for them. What else stands
    /// here counts in the last call only.
    pub more: bool,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub previous: Option<i64>,
    /// As sent, signed or unsigned: the low 32 bits count.
    pub checksum: Option<i64>,
    /// Levels a side that the venue keeps, where the message says so; 0 = the rule's.
    pub depth: u32,
    pub changes: &'a [Change],
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
    /// Levels held now.
    pub levels: u64,
    /// Differences that wait for a snapshot now.
    pub buffered: u64,
    /// Memory of all books now.
    pub bytes: u64,
}

/// All books of a feed; each is known by the index that [`Books::define`] gave.
pub struct Books {
    rules: Vec<Rule>,
    instruments: Vec<u64>,
    states: Vec<u8>,
}

/// Records and events that a call appends to.
pub struct Output<'a> {
    pub records: &'a mut Vec<Record>,
    pub events: &'a mut Vec<Event>,
}

impl Books {
    /// `rules`: one for each declared book, that of [`BookMessage::kind`]; `depth` levels a side are published;
    /// `buffer_max` differences of a book wait for a snapshot over REST. `counted` (see [`Rule`]) is the caller's to set.
    #[must_use]
    pub fn new(rules: Vec<Rule>, depth: usize, buffer_max: usize) -> Self {
        let _ = (depth, buffer_max);
        Self {
            rules,
            instruments: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Adds an instrument. `has_book`: a book is subscribed to; `has_quotes`: so is a stream of best bids and offers, otherwise
    /// the book gives them; `state`: by the venue's list.
    pub fn define(&mut self, instrument: u64, has_book: bool, has_quotes: bool, state: u8) -> u32 {
        let _ = (has_book, has_quotes, self.rules.len());
        self.instruments.push(instrument);
        self.states.push(state);
        u32::try_from(self.instruments.len() - 1).expect("more than 2^32 instruments")
    }

    /// Drops an instrument; its index is not used again, and what is told of it after that is ignored.
    pub fn forget(&mut self, index: u32) {
        let _ = index;
    }

    /// A connection begins (anew): its books must be joined by their chain, or begin anew.
    pub fn open_link(&mut self, link: u32) {
        let _ = link;
    }

    /// Counts a row (of any kind) of an instrument: call it for every one, before what it tells. One without a book is up to
    /// date with the first: its state is told.
    pub fn arrived(&mut self, index: u32, ts_recv: i64, records: &mut Vec<Record>) {
        let _ = (index, ts_recv, records);
    }

    /// Takes a message of a book from the stream.
    pub fn message(&mut self, index: u32, message: &BookMessage<'_>, output: &mut Output<'_>) {
        let _ = (index, message, &output.records, &output.events);
    }

    /// Takes a whole book from REST: `last` is its id, `changes` its levels. (`snapshot`, `link` and the like do not matter.)
    pub fn rest(&mut self, index: u32, message: &BookMessage<'_>, output: &mut Output<'_>) {
        let _ = (index, message, &output.records, &output.events);
    }

    /// A message of a book could not be read: it breaks, in the scope of its rule. Of `message` the kind, link, frame and
    /// times count.
    pub fn malformed(
        &mut self,
        index: u32,
        message: &BookMessage<'_>,
        text: &str,
        output: &mut Output<'_>,
    ) {
        let _ = (index, message, text, &output.records, &output.events);
    }

    /// Breaks all books of a connection.
    pub fn break_link(&mut self, link: u32, jump: &Jump<'_>, output: &mut Output<'_>) {
        let _ = (link, jump, &output.records, &output.events);
    }

    /// Takes a best bid and offer: the sides that changed are told.
    pub fn quote(&mut self, index: u32, quote: &Quote, records: &mut Vec<Record>) {
        let _ = (index, quote, records);
    }

    /// Tells that a book is not up to date now: a status row if that is news. STALE keeps the book (a chain that goes on
    /// proves that nothing was missed), every other state drops it.
    pub fn suspend(&mut self, index: u32, state: u8, ts_recv: i64, records: &mut Vec<Record>) {
        let _ = (index, state, ts_recv, records);
    }

    /// Takes the venue's word for an instrument; a status row if what is seen changes.
    pub fn set_state(&mut self, index: u32, state: u8, ts_recv: i64, records: &mut Vec<Record>) {
        let _ = (index, state, ts_recv, records);
    }

    /// State that was told last.
    #[must_use]
    pub fn state(&self, index: u32) -> u8 {
        self.states
            .get(index as usize)
            .copied()
            .unwrap_or(state::EMPTY)
    }

    #[must_use]
    pub fn instrument(&self, index: u32) -> u64 {
        self.instruments.get(index as usize).copied().unwrap_or(0)
    }

    /// The best `depth` bids and asks, best first; 0 = all.
    #[must_use]
    pub fn book(&self, index: u32, depth: usize) -> [Vec<Level>; 2] {
        let _ = (index, depth);
        Default::default()
    }

    /// Last id that the book holds; 0 = none.
    #[must_use]
    pub fn last_id(&self, index: u32) -> i64 {
        let _ = index;
        0
    }

    /// Compares a book with one from REST (of the id `last`, if it has one) over the best `levels`: empty = they agree, or differ only
    /// where the stream is ahead.
    #[must_use]
    pub fn compare(
        &self,
        index: u32,
        last: Option<i64>,
        changes: &[Change],
        levels: usize,
    ) -> String {
        let _ = (index, last, changes, levels);
        String::new()
    }

    /// Instrument, and how many rows of it came.
    pub fn activity(&self) -> impl Iterator<Item = (u64, u64)> {
        self.instruments.iter().map(|&instrument| (instrument, 0))
    }

    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}
