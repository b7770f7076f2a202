//! What a call of the decoder hands back.

use super::message::{Fault, StockDirectory};
pub use crate::dead::{DEAD_MAX, Dead};
use crate::record::Record;

/// What one call decoded.
#[derive(Debug, Default)]
pub struct Decoded {
    pub records: Vec<Record>,
    /// Stock directory messages, as they came.
    pub directory: Vec<[u8; StockDirectory::LENGTH]>,
    pub messages: usize,
    pub dead: Vec<Dead>,
    pub dead_count: usize,
    /// Of these, messages of a type that is not known.
    pub unknown: usize,
    pub unpriced: usize,
    /// Of these, the printable executions: trades whose price or stock is not known.
    pub unpriced_trades: usize,
    /// Numbers of messages that contradict the books or are damaged: something before them is missing or was wrong.
    pub suspects: Vec<u64>,
    /// Stocks met for the first time, by any message.
    pub met: Vec<[u8; 8]>,
}

impl Decoded {
    /// Adds what a later call decoded.
    pub fn absorb(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.directory.append(&mut other.directory);
        self.messages += other.messages;
        let room = DEAD_MAX.saturating_sub(self.dead.len());
        self.dead.extend(other.dead.into_iter().take(room));
        self.dead_count += other.dead_count;
        self.unknown += other.unknown;
        self.unpriced += other.unpriced;
        let room = DEAD_MAX.saturating_sub(self.suspects.len());
        self.suspects.extend(other.suspects.into_iter().take(room));
        self.met.append(&mut other.met);
        self.unpriced_trades += other.unpriced_trades;
    }

    #[cold]
    pub(super) fn suspect(&mut self, seq: u64) {
        if self.suspects.len() < DEAD_MAX {
            self.suspects.push(seq);
        }
    }

    #[cold]
    pub(super) fn bury(&mut self, offset: usize, reason: &'static str, raw: &[u8]) {
        self.dead_count += 1;
        self.unknown += usize::from(reason == Fault::UnknownType.reason());
        if self.dead.len() < DEAD_MAX {
            self.dead.push(Dead {
                offset,
                reason,
                raw: raw.to_vec(),
            });
        }
    }
}
