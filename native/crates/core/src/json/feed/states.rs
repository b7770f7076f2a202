//! The states of a feed's instruments, as the session changes them, and what a feed can say of itself.

use super::super::drift::Foreign;
use super::{Counts, JsonFeed};
use crate::books::{Level, Statistics};
use crate::record::{Record, state};

impl JsonFeed {
    /// Tells that these books are not up to date now.
    pub fn suspend(&mut self, instruments: &[u64], state: u8, ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        for &instrument in instruments {
            if let Some(index) = self.index(instrument) {
                self.engine
                    .books
                    .suspend(index, state, ts_recv, &mut records);
            }
        }
        records
    }

    /// From now on the levels of these books are told; see [`crate::books::Books::watch`].
    pub fn watch_books(&mut self, instruments: &[u64], ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        self.engine
            .books
            .watch(instruments.iter().copied(), ts_recv, &mut records);
        records
    }

    /// Tells that what these books say may be old: their streams are silent beyond what is normal.
    pub fn doubt(&mut self, instruments: &[u64], ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        for &instrument in instruments {
            if let Some(index) = self.index(instrument) {
                self.engine.books.doubt(index, ts_recv, &mut records);
            }
        }
        records
    }

    /// Tells that silent books are right after all.
    pub fn trust(&mut self, instruments: &[u64], ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        for &instrument in instruments {
            if let Some(index) = self.index(instrument) {
                self.engine.books.trust(index, ts_recv, &mut records);
            }
        }
        records
    }

    /// Takes the venue's word for an instrument.
    pub fn set_state(&mut self, instrument: u64, state: u8, ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(index) = self.index(instrument) {
            self.engine
                .books
                .set_state(index, state, ts_recv, &mut records);
        }
        records
    }

    /// State that was told last.
    #[must_use]
    pub fn state(&self, instrument: u64) -> u8 {
        self.index(instrument)
            .map_or(state::EMPTY, |index| self.engine.books.state(index))
    }

    /// Bids and asks, best first.
    #[must_use]
    pub fn book(&self, instrument: u64, depth: usize) -> [Vec<Level>; 2] {
        self.index(instrument)
            .map(|index| self.engine.books.book(index, depth))
            .unwrap_or_default()
    }

    /// Last id that the book holds; 0 = none.
    #[must_use]
    pub fn last_id(&self, instrument: u64) -> i64 {
        self.index(instrument)
            .map_or(0, |index| self.engine.books.last_id(index))
    }

    /// Instrument, and how many rows of it came.
    pub fn activity(&self) -> impl Iterator<Item = (u64, u64)> {
        self.engine.books.activity()
    }

    /// Streams that were heard: instrument, kind (0 trades, 1 quotes, 2 book, 3 measures), the connection of the newest
    /// row, and how many rows came.
    pub fn heard(&self) -> impl Iterator<Item = (u64, u8, u32, u64)> {
        self.engine.indexes.iter().flat_map(|(&id, &index)| {
            let heard = self.engine.known[index as usize].heard;
            (0_u8..)
                .zip(heard)
                .filter(|(_, (count, _))| *count > 0)
                .map(move |(kind, (count, link))| (id, kind, link, count))
        })
    }

    /// Of each declared message its name and counts.
    pub fn counts(&self) -> impl Iterator<Item = (&str, Counts)> {
        let names = self
            .plan
            .messages
            .iter()
            .map(|message| message.name.as_str());
        names.zip(self.counts.iter().copied())
    }

    #[must_use]
    pub fn books(&self) -> Statistics {
        self.engine.books.statistics()
    }

    /// Words where others are declared.
    #[must_use]
    pub fn foreign_values(&self) -> Vec<Foreign> {
        self.engine.drift.foreign_values(&self.plan.messages)
    }

    /// Keys of rows that are not declared.
    #[must_use]
    pub fn drift(&self) -> Vec<Foreign> {
        self.engine.drift.found(&self.plan.messages)
    }
}
