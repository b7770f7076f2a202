//! What is asked about books: nothing here changes any.

use super::super::ladder::Packed;
use super::super::{Change, Level, Side, Statistics, compare};
use super::Books;
use crate::record::state;

impl Books {
    /// State that was told last.
    #[must_use]
    pub fn state(&self, index: u32) -> u8 {
        self.get(index).map_or(state::EMPTY, |book| book.told)
    }

    #[must_use]
    pub fn instrument(&self, index: u32) -> u64 {
        self.get(index).map_or(0, |book| book.instrument)
    }

    /// The best `depth` bids and asks, best first; 0 = all.
    #[must_use]
    pub fn book(&self, index: u32, depth: usize) -> [Vec<Level>; 2] {
        let depth = if depth == 0 { usize::MAX } else { depth };
        let Some(book) = self.get(index) else {
            return Default::default();
        };
        [Side::Bid, Side::Ask].map(|side| {
            book.ladders[side as usize]
                .top(depth)
                .iter()
                .rev()
                .map(Packed::level)
                .collect()
        })
    }

    /// Last id that the book holds; 0 = none.
    #[must_use]
    pub fn last_id(&self, index: u32) -> i64 {
        self.get(index)
            .and_then(|book| book.position.last)
            .unwrap_or(0)
    }

    /// Compares a book with one from REST (of the id `last`, if it has one; it came at `now_ns`) over the best `levels`: empty =
    /// they agree, or differ only where the stream is ahead.
    #[must_use]
    pub fn compare(
        &self,
        index: u32,
        last: Option<i64>,
        changes: &[Change],
        levels: usize,
        now_ns: i64,
    ) -> String {
        self.get(index).map_or_else(String::new, |book| {
            compare::compare(book, last, changes, levels, now_ns)
        })
    }

    /// Whether a book whose stream fell silent misses what one from REST has (of the id `last`, if it has one), over the
    /// best `levels`: empty = the venue has nothing newer.
    #[must_use]
    pub fn misses(
        &self,
        index: u32,
        last: Option<i64>,
        changes: &[Change],
        levels: usize,
    ) -> String {
        self.get(index).map_or_else(String::new, |book| {
            compare::misses(book, last, changes, levels)
        })
    }

    /// Instrument, and how many rows of it came.
    pub fn activity(&self) -> impl Iterator<Item = (u64, u64)> {
        self.books
            .iter()
            .flatten()
            .map(|book| (book.instrument, book.rows))
    }

    /// Counters; walks through all books.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut sums = self.statistics;
        for book in self.books.iter().flatten() {
            sums.levels += book
                .ladders
                .iter()
                .map(|ladder| ladder.len() as u64)
                .sum::<u64>();
            sums.buffered += book.waiting.len() as u64;
            sums.bytes += book.bytes() as u64;
        }
        sums
    }
}
