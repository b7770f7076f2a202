//! A feed that is written down as texts: `b 1.5 2` sets the bid at 1.5 to 2, `a` the ask; 0 deletes.

use super::super::*;
use crate::record::{Record, flag, kind, state};

pub const BUFFER_MAX: usize = 8;

pub fn decimal(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

pub fn changes(text: &str) -> Vec<Change> {
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let [side, price, size] = part.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{part:?}");
            };
            Change {
                side: if side == "b" { Side::Bid } else { Side::Ask },
                price: decimal(price),
                size: decimal(size),
                inexact: false,
                deleted: false,
            }
        })
        .collect()
}

/// One or more books of one rule.
pub struct Feed {
    pub books: Books,
    pub now: i64,
    pub index: u32,
    pub link: u32,
    pub checksum: Option<i64>,
    records: Vec<Record>,
    events: Vec<Event>,
}

impl Feed {
    pub fn new(rule: Rule) -> Self {
        Self::with(Books::new(vec![rule], 0, BUFFER_MAX), false)
    }

    pub fn with(mut books: Books, has_quotes: bool) -> Self {
        let index = books.define(1, true, has_quotes, state::LIVE);
        Self {
            books,
            now: 1,
            index,
            link: 1,
            checksum: None,
            records: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A book that is live with a bid of 1 at 1.
    pub fn live(rule: Rule, last: i64) -> Self {
        let mut feed = Self::new(rule);
        feed.rest(last, "b 1 1");
        feed.told();
        feed
    }

    fn origin(&self) -> Record {
        Record {
            ts_event: self.now,
            ts_recv: self.now,
            ..Record::default()
        }
    }

    pub fn message<'a>(&self, changes: &'a [Change]) -> BookMessage<'a> {
        BookMessage {
            kind: 0,
            link: self.link,
            frame: 0,
            snapshot: false,
            first: None,
            last: None,
            previous: None,
            checksum: self.checksum,
            counted: true,
            depth: 0,
            changes,
            names: &[],
            origin: self.origin(),
        }
    }

    pub fn take(&mut self, message: &BookMessage<'_>) {
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        self.books.message(self.index, message, &mut output);
    }

    pub fn send(
        &mut self,
        previous: Option<i64>,
        first: Option<i64>,
        last: Option<i64>,
        text: &str,
    ) {
        let changes = changes(text);
        self.take(&BookMessage {
            previous,
            first,
            last,
            ..self.message(&changes)
        });
    }

    /// A difference of ids first to last.
    pub fn diff(&mut self, (first, last): (i64, i64), text: &str) {
        self.send(None, Some(first), Some(last), text);
    }

    pub fn chained(&mut self, previous: i64, (first, last): (i64, i64), text: &str) {
        self.send(Some(previous), Some(first), Some(last), text);
    }

    pub fn linked(&mut self, previous: i64, last: i64, text: &str) {
        self.send(Some(previous), None, Some(last), text);
    }

    pub fn numbered(&mut self, last: i64, text: &str) {
        self.send(None, None, Some(last), text);
    }

    /// What a subscription begins with, written as a difference that ends where it begins.
    pub fn beginning(&mut self, last: i64, text: &str) {
        let changes = changes(text);
        self.take(&BookMessage {
            snapshot: true,
            previous: Some(last),
            last: Some(last),
            ..self.message(&changes)
        });
    }

    pub fn snapshot(&mut self, last: Option<i64>, text: &str) {
        let changes = changes(text);
        self.take(&BookMessage {
            snapshot: true,
            last,
            ..self.message(&changes)
        });
    }

    pub fn rest(&mut self, last: i64, text: &str) {
        let changes = changes(text);
        let message = BookMessage {
            last: Some(last),
            ..self.message(&changes)
        };
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        self.books.rest(self.index, &message, &mut output);
    }

    pub fn malformed(&mut self) {
        let message = self.message(&[]);
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        self.books
            .malformed(self.index, &message, "no number", &mut output);
    }

    pub fn jump(&mut self, link: u32, expected: i64, found: i64) {
        let jump = Jump {
            reason: Reason::Counter,
            text: "",
            kind: 0,
            expected,
            found,
            frame: 0,
            ts_recv: self.now,
        };
        let mut output = Output {
            records: &mut self.records,
            events: &mut self.events,
        };
        self.books.break_link(link, &jump, &mut output);
    }

    pub fn suspend(&mut self, state: u8) {
        self.books
            .suspend(self.index, state, self.now, &mut self.records);
    }

    pub fn watch(&mut self, instruments: &[u64]) {
        self.books
            .watch(instruments.iter().copied(), self.now, &mut self.records);
    }

    pub fn set_state(&mut self, state: u8) {
        self.books
            .set_state(self.index, state, self.now, &mut self.records);
    }

    pub fn arrived(&mut self) {
        self.books.arrived(self.index, self.now, &mut self.records);
    }

    pub fn quote(&mut self, seq: Option<i64>, comparable: bool, bid: QuoteSide, ask: QuoteSide) {
        let quote = Quote {
            bid,
            ask,
            seq,
            comparable,
            origin: self.origin(),
        };
        self.books.quote(self.index, &quote, &mut self.records);
    }

    pub fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// What was said since the last call: events first, then rows, by `;` where an event of them ends.
    pub fn told(&mut self) -> String {
        let events = core::mem::take(&mut self.events);
        let mut parts: Vec<String> = events.iter().map(|event| self.event(event)).collect();
        let mut row = String::new();
        for record in core::mem::take(&mut self.records) {
            row += &self.row(&record);
            if record.flags & flag::LAST_OF_EVENT == 0 || record.kind == kind::GAP {
                row += ", ";
            } else {
                parts.push(core::mem::take(&mut row));
            }
        }
        assert!(row.is_empty(), "an event without an end: {row}");
        parts.join("; ")
    }

    fn event(&self, event: &Event) -> String {
        match event {
            Event::Break(found) => {
                assert_eq!(found.instrument, self.books.instrument(found.index));
                let book = if found.index == self.index {
                    String::new()
                } else {
                    format!(" of {}", found.index)
                };
                format!(
                    "break {} {} {}{book}",
                    found.reason.word(),
                    found.expected,
                    found.found
                )
            }
            Event::Whole(_) => "whole".to_owned(),
            Event::Short(_) => "short".to_owned(),
        }
    }

    fn row(&self, row: &Record) -> String {
        assert_eq!(row.ts_recv, self.now);
        let word = match row.kind {
            kind::STATUS => return state::NAMES[usize::from(row.detail)].to_owned(),
            kind::GAP => return format!("gap {} @{}", row.id, row.seq),
            kind::BID => "bid",
            kind::ASK => "ask",
            kind::BOOK_BID => "level bid",
            kind::BOOK_ASK => "level ask",
            other => panic!("kind {other}"),
        };
        let price = Decimal::new(row.price, row.price_scale);
        let size = Decimal::new(row.size, row.size_scale);
        match row.flags & (flag::NO_PRICE | flag::NO_SIZE) {
            0 => format!("{word} {price} {size} @{}", row.seq),
            flag::NO_SIZE => format!("{word} {price} @{}", row.seq),
            _ if matches!(row.kind, kind::BOOK_BID | kind::BOOK_ASK) => {
                assert_ne!(row.flags & flag::SNAPSHOT, 0);
                let side = if row.kind == kind::BOOK_BID {
                    "bids"
                } else {
                    "asks"
                };
                let is_unknown = row.flags & flag::INVALID_BOOK != 0;
                let word = if is_unknown { "unknown" } else { "begin" };
                format!("{side} {word} @{}", row.seq)
            }
            _ => format!("{word} none @{}", row.seq),
        }
    }

    /// Bids, then asks, best first.
    pub fn levels(&self) -> String {
        self.books
            .book(self.index, 0)
            .map(|side| {
                let texts = side
                    .iter()
                    .map(|level| format!("{} {}", level.price, level.size));
                texts.collect::<Vec<_>>().join(", ")
            })
            .join(" | ")
    }
}
