//! Drops what was seen before: first arrival of a composite key wins, within a bounded window.
//!
//! Keys are held as 128-bit hashes. An event passes or falls as a whole: its trades, busts and corrections decide if it has
//! any, otherwise all rows with a key; it falls only if every deciding row was seen before, so no new trade is ever lost.
//! Levels of a book mean something only as part of all that went before: without trades they are decided by whoever made
//! them, who has the book, and pass.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::record::{Record, flag, kind};

/// The keys are hashes already: half of one is as good as a hash of it.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A window of the newest keys.
pub struct Dedup {
    seen: HashSet<u128, BuildHasherDefault<KeyHasher>>,
    order: VecDeque<u128>,
    /// The keys of one event, and whether the row is a trade.
    keys: Vec<(u128, bool)>,
    window: usize,
    /// Rows dropped so far.
    pub duplicates: u64,
}

fn is_trade(row: &Record) -> bool {
    matches!(row.kind, kind::TRADE | kind::BUST | kind::CORRECTION)
}

const fn is_level(row: &Record) -> bool {
    matches!(row.kind, kind::BOOK_BID | kind::BOOK_ASK)
}

/// The row's key; `None` if it always passes: snapshots, entries of the ledger, and what concerns the market (instrument 0),
/// where the numbers of several units mean different things.
fn key(row: &Record) -> Option<u128> {
    if row.flags & flag::SNAPSHOT != 0 || row.kind == kind::GAP || row.instrument == 0 {
        return None;
    }
    let mut bytes = [0_u8; 48];
    bytes[..8].copy_from_slice(&row.instrument.to_le_bytes());
    bytes[8] = row.kind;
    if is_trade(row) && row.id != 0 {
        bytes[16..24].copy_from_slice(&row.id.to_le_bytes());
    } else if row.seq != 0 {
        bytes[9] = 1;
        bytes[10] = row.price_scale;
        bytes[11] = row.size_scale;
        bytes[12..14].copy_from_slice(&row.detail.to_le_bytes());
        bytes[16..24].copy_from_slice(&row.seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&row.price.to_le_bytes());
        bytes[32..40].copy_from_slice(&row.size.to_le_bytes());
    } else {
        return None;
    }
    Some(xxhash_rust::xxh3::xxh3_128(&bytes))
}

impl Dedup {
    /// Keeps the last `window` keys (at least one).
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            seen: HashSet::default(),
            order: VecDeque::new(),
            keys: Vec::new(),
            window: window.max(1),
            duplicates: 0,
        }
    }

    /// Keys held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The events that were not seen before, in order.
    pub fn filter(&mut self, records: &[Record]) -> Vec<Record> {
        let mut out = Vec::with_capacity(records.len());
        for event in records.split_inclusive(|row| row.flags & flag::LAST_OF_EVENT != 0) {
            if self.passes(event) {
                out.extend_from_slice(event);
            }
        }
        out
    }

    /// Takes an event; false: it was seen before.
    pub(crate) fn passes(&mut self, event: &[Record]) -> bool {
        self.keys.clear();
        self.keys.extend(
            event
                .iter()
                .filter_map(|row| key(row).map(|key| (key, is_trade(row)))),
        );
        let trades = self.keys.iter().any(|(_, trade)| *trade);
        let levels = !trades && event.iter().any(is_level);
        let mut deciding = self
            .keys
            .iter()
            .filter(|(_, trade)| *trade || !trades)
            .peekable();
        if !levels && deciding.peek().is_some() && deciding.all(|(key, _)| self.seen.contains(key))
        {
            self.duplicates += event.len() as u64;
            return false;
        }
        for (key, _) in &self.keys {
            if self.seen.insert(*key) {
                self.order.push_back(*key);
            }
        }
        while self.order.len() > self.window {
            if let Some(old) = self.order.pop_front() {
                self.seen.remove(&old);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(kind: u8, id: u64, seq: u64, flags: u16) -> Record {
        Record {
            instrument: 1,
            kind,
            id,
            seq,
            flags,
            ..Record::default()
        }
    }

    const LAST: u16 = flag::LAST_OF_EVENT;

    #[test]
    fn repeats_fall_and_snapshots_pass() {
        let mut dedup = Dedup::new(10);
        let trade = row(kind::TRADE, 7, 1, LAST);
        let snapshot = row(kind::BID, 0, 1, LAST | flag::SNAPSHOT);
        let unnumbered = row(kind::BID, 0, 0, LAST);
        let batch = [trade, trade, snapshot, snapshot, unnumbered, unnumbered];
        assert_eq!(
            dedup.filter(&batch),
            [trade, snapshot, snapshot, unnumbered, unnumbered]
        );
        assert_eq!(dedup.filter(&[Record { seq: 9, ..trade }]), []);
        assert_eq!((dedup.duplicates, dedup.len()), (2, 1));
    }

    #[test]
    fn the_ledger_and_what_concerns_the_market_always_pass() {
        let mut dedup = Dedup::new(10);
        let gap = row(kind::GAP, 5, 9, LAST);
        let notice = Record {
            instrument: 0,
            ..row(kind::NOTICE, 0, 9, LAST)
        };
        let batch = [gap, gap, notice, notice];
        assert_eq!(dedup.filter(&batch), batch);
        assert_eq!((dedup.duplicates, dedup.len()), (0, 0));
    }

    #[test]
    fn an_event_goes_as_a_whole_and_its_trades_decide() {
        let mut dedup = Dedup::new(10);
        let backfilled = row(kind::TRADE, 7, 0, LAST);
        let event = [row(kind::TRADE, 7, 5, 0), row(kind::BID, 0, 5, LAST)];
        assert_eq!(dedup.filter(&[backfilled]), [backfilled]);
        assert_eq!(dedup.filter(&event), []);
        let event = [row(kind::TRADE, 7, 6, 0), row(kind::TRADE, 8, 6, LAST)];
        assert_eq!(dedup.filter(&event), event);
    }

    #[test]
    fn the_window_is_bounded_and_forgets_the_oldest() {
        let mut dedup = Dedup::new(3);
        for id in 1..=4 {
            assert_eq!(dedup.filter(&[row(kind::TRADE, id, 0, LAST)]).len(), 1);
        }
        assert_eq!(dedup.len(), 3);
        assert_eq!(dedup.filter(&[row(kind::TRADE, 4, 0, LAST)]).len(), 0);
        assert_eq!(dedup.filter(&[row(kind::TRADE, 1, 0, LAST)]).len(), 1);
    }

    proptest! {
        #[test]
        fn each_id_passes_once(ids in prop::collection::vec(1..50_u64, 0..200)) {
            let mut dedup = Dedup::new(1000);
            let rows: Vec<Record> = ids.iter().map(|&id| row(kind::TRADE, id, 0, LAST)).collect();
            let mut expected = Vec::new();
            for id in ids {
                if !expected.contains(&id) {
                    expected.push(id);
                }
            }
            let passed: Vec<u64> = dedup.filter(&rows).iter().map(|row| row.id).collect();
            prop_assert_eq!(passed, expected);
        }
    }
}
