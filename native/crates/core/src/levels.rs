//! Books as their rows tell them, kept for late joiners; the rule is in `docs/reference/record.md` (Books).

use std::collections::HashMap;

use crate::decimal::Decimal;
use crate::listing::end_event;
use crate::record::{Record, flag, kind};

/// One side of a book.
#[derive(Debug, Default)]
struct Ladder {
    /// The row it began with; `None` = it is not known.
    begun: Option<Record>,
    /// The newest row of each level, by growing price.
    levels: Vec<Record>,
}

const fn price(row: &Record) -> Decimal {
    Decimal::new(row.price, row.price_scale)
}

impl Ladder {
    fn apply(&mut self, row: &Record) {
        if row.flags & flag::NO_PRICE != 0 {
            self.levels.clear();
            self.begun = (row.flags & flag::INVALID_BOOK == 0).then_some(*row);
            return;
        }
        if self.begun.is_none() {
            return;
        }
        let found = self
            .levels
            .binary_search_by(|level| price(level).compare(price(row)));
        let is_gone = row.size == 0 && row.flags & flag::NO_SIZE == 0;
        match (found, is_gone) {
            (Ok(at), true) => {
                self.levels.remove(at);
            }
            (Ok(at), false) => self.levels[at] = *row,
            (Err(at), false) => self.levels.insert(at, *row),
            (Err(_), true) => {}
        }
    }
}

/// The books of many instruments: of those whose levels are told, nothing of others.
#[derive(Debug, Default)]
pub struct LevelBooks {
    index: HashMap<u64, usize>,
    /// Instrument, bids and asks.
    books: Vec<(u64, [Ladder; 2])>,
}

impl LevelBooks {
    /// Takes a row; one that is no level does nothing.
    pub fn apply(&mut self, row: &Record) {
        let side = match row.kind {
            kind::BOOK_BID => 0,
            kind::BOOK_ASK => 1,
            _ => return,
        };
        let place = match self.index.get(&row.instrument) {
            Some(&place) => place,
            None if row.flags & flag::NO_PRICE == 0 => return,
            None => {
                self.books.push((row.instrument, Default::default()));
                self.index.insert(row.instrument, self.books.len() - 1);
                self.books.len() - 1
            }
        };
        let (_, sides) = &mut self.books[place];
        sides[side].apply(row);
        if sides.iter().all(|side| side.begun.is_none()) {
            self.forget(place);
        }
    }

    fn forget(&mut self, place: usize) {
        let (instrument, _) = self.books.swap_remove(place);
        self.index.remove(&instrument);
        if let Some((moved, _)) = self.books.get(place) {
            self.index.insert(*moved, place);
        }
    }

    /// Number of instruments with a side that is known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.books.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// Whole books, each an event; a side that is not known is left out.
    pub fn tell(&self, out: &mut Vec<Record>) {
        for (_, [bids, asks]) in &self.books {
            let start = out.len();
            out.extend(bids.begun.iter().chain(bids.levels.iter().rev()));
            out.extend(asks.begun.iter().chain(&asks.levels));
            for row in &mut out[start..] {
                row.flags = (row.flags | flag::SNAPSHOT) & !flag::LAST_OF_EVENT;
            }
            end_event(out, start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: u8, instrument: u64, price: i64, size: i64) -> Record {
        Record {
            instrument,
            kind,
            price,
            size,
            ..Record::default()
        }
    }

    fn begin(kind: u8, instrument: u64) -> Record {
        Record {
            flags: flag::NO_PRICE | flag::NO_SIZE,
            ..row(kind, instrument, 0, 0)
        }
    }

    fn told(books: &LevelBooks) -> Vec<(u8, i64, i64)> {
        let mut out = Vec::new();
        books.tell(&mut out);
        assert!(out.iter().all(|row| row.flags & flag::SNAPSHOT != 0));
        out.iter()
            .map(|row| (row.kind, row.price, row.size))
            .collect()
    }

    #[test]
    fn a_book_begins_with_its_sides_and_holds_the_newest_of_each_level() {
        let mut books = LevelBooks::default();
        books.apply(&row(kind::BOOK_BID, 1, 99, 5));
        assert!(books.is_empty(), "levels of a side that is not known");
        for row in [
            begin(kind::BOOK_BID, 1),
            begin(kind::BOOK_ASK, 1),
            row(kind::BOOK_BID, 1, 98, 5),
            row(kind::BOOK_BID, 1, 99, 6),
            row(kind::BOOK_ASK, 1, 101, 1),
            row(kind::BOOK_ASK, 1, 102, 2),
            row(kind::BOOK_ASK, 1, 101, 0),
            row(kind::BOOK_BID, 1, 98, 7),
            row(kind::BID, 1, 1, 1),
        ] {
            books.apply(&row);
        }
        let whole = [
            (kind::BOOK_BID, 0, 0),
            (kind::BOOK_BID, 99, 6),
            (kind::BOOK_BID, 98, 7),
            (kind::BOOK_ASK, 0, 0),
            (kind::BOOK_ASK, 102, 2),
        ];
        assert_eq!(told(&books), whole);

        // what is told makes the same book, and telling it twice changes nothing
        let mut out = Vec::new();
        books.tell(&mut out);
        let mut other = LevelBooks::default();
        out.iter().chain(&out).for_each(|row| other.apply(row));
        assert_eq!(told(&other), whole);

        let ends = |row: &&Record| row.flags & flag::LAST_OF_EVENT != 0;
        assert_eq!(out.iter().filter(ends).count(), 1);
    }

    #[test]
    fn equal_prices_are_one_level_whatever_their_scale() {
        let mut books = LevelBooks::default();
        let finer = Record {
            price_scale: 1,
            ..row(kind::BOOK_ASK, 1, 1_010, 3)
        };
        for row in [
            begin(kind::BOOK_ASK, 1),
            row(kind::BOOK_ASK, 1, 101, 1),
            finer,
        ] {
            books.apply(&row);
        }
        assert_eq!(
            told(&books),
            [(kind::BOOK_ASK, 0, 0), (kind::BOOK_ASK, 1_010, 3)]
        );
    }

    #[test]
    fn a_book_that_is_not_known_any_more_is_not_told() {
        let mut books = LevelBooks::default();
        for instrument in [1, 2, 3] {
            books.apply(&begin(kind::BOOK_BID, instrument));
            books.apply(&begin(kind::BOOK_ASK, instrument));
            books.apply(&row(kind::BOOK_BID, instrument, 10, instrument as i64));
        }
        for kind in [kind::BOOK_BID, kind::BOOK_ASK] {
            let mut unknown = begin(kind, 1);
            unknown.flags |= flag::INVALID_BOOK;
            books.apply(&unknown);
        }
        assert_eq!(books.len(), 2);
        let mut out = Vec::new();
        books.tell(&mut out);
        let sizes: Vec<i64> = out.iter().map(|row| row.size).collect();
        assert_eq!(sizes, [0, 3, 0, 0, 2, 0]);
        books.apply(&begin(kind::BOOK_BID, 3));
        assert_eq!(told(&books).len(), 5, "cleared, and still known");
    }
}
