//! Drops what was seen before: first arrival of a composite key wins, within a bounded window.
//!
//! Keys are held as 128-bit hashes. An event passes or falls as a whole: its trades, busts and corrections decide if it has
//! any, otherwise all rows with a key; it falls only if every deciding row was seen before, so no new trade is ever lost.
//! Levels of a book mean something only as part of all that went before: without trades they are decided by whoever made
//! them, who has the book, and pass.

use std::collections::{HashMap, HashSet, VecDeque};
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
    /// What trades and liquidations without a key said, the newest ones: another process compares with it.
    unnumbered: VecDeque<u128>,
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

/// A trade or a liquidation that nothing but what it says tells from others.
fn is_unnumbered(row: &Record) -> bool {
    let is_told = is_trade(row) || row.kind == kind::LIQUIDATION;
    is_told && row.flags & flag::SNAPSHOT == 0 && row.instrument != 0 && key(row).is_none()
}

/// A hash of all that a row says but for when it was received.
fn content(row: &Record) -> u128 {
    let said = Record { ts_recv: 0, ..*row };
    xxhash_rust::xxh3::xxh3_128(crate::record::as_bytes(&[said]))
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

/// Rows without a key that are remembered for another process.
const UNNUMBERED_MAX: usize = 4_096;

/// What a process told, for the one that takes over from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub keys: HashSet<u128>,
    /// How often each row without a key was told.
    pub unnumbered: HashMap<u128, u32>,
}

impl Told {
    const BYTES: usize = 16;

    /// Reads what [`Dedup::told`] wrote.
    ///
    /// # Errors
    /// It is damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected keys of 16 bytes each, found {} bytes",
                bytes.len()
            )
        };
        let (count, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| wrong())?;
        let (numbers, tail) = rest.as_chunks::<{ Self::BYTES }>();
        if !tail.is_empty() || count > numbers.len() {
            return Err(wrong());
        }
        let mut told = Self::default();
        for (place, number) in numbers.iter().enumerate() {
            let number = u128::from_le_bytes(*number);
            if place < count {
                told.keys.insert(number);
            } else {
                *told.unnumbered.entry(number).or_default() += 1;
            }
        }
        Ok(told)
    }

    /// Indices of the trades, busts, corrections and liquidations that were not told; they count as told from here on.
    pub fn untold(&mut self, records: &[Record]) -> Vec<usize> {
        let mut is_untold = |row: &Record| {
            if row.flags & (flag::SNAPSHOT | flag::HISTORY) != 0 {
                return false;
            }
            match key(row) {
                Some(key) if is_trade(row) || row.kind == kind::LIQUIDATION => {
                    self.keys.insert(key)
                }
                None if is_unnumbered(row) => match self.unnumbered.get_mut(&content(row)) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        false
                    }
                    _ => true,
                },
                _ => false,
            }
        };
        let places = records.iter().enumerate();
        places
            .filter(|(_, row)| is_untold(row))
            .map(|(place, _)| place)
            .collect()
    }
}

impl Dedup {
    /// What was told, for a process that takes over: keys, then rows without one.
    #[must_use]
    pub fn told(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(8 + Told::BYTES * (self.order.len() + self.unnumbered.len()));
        bytes.extend_from_slice(&(self.order.len() as u64).to_le_bytes());
        for number in self.order.iter().chain(&self.unnumbered) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Keeps the last `window` keys (at least one).
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            seen: HashSet::default(),
            order: VecDeque::new(),
            unnumbered: VecDeque::new(),
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
        for row in event.iter().filter(|row| is_unnumbered(row)) {
            if self.unnumbered.len() >= UNNUMBERED_MAX {
                self.unnumbered.pop_front();
            }
            self.unnumbered.push_back(content(row));
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
    fn a_process_that_takes_over_tells_what_was_not_told() {
        let mut dedup = Dedup::new(10);
        let liquidation = |price| Record {
            price,
            ..row(kind::LIQUIDATION, 0, 0, LAST)
        };
        let told = [
            row(kind::TRADE, 1, 0, LAST),
            row(kind::TRADE, 2, 0, LAST),
            liquidation(5),
        ];
        assert_eq!(dedup.filter(&told).len(), 3);
        let mut told = Told::read(&dedup.told()).unwrap();
        let later = |row: Record| Record { ts_recv: 99, ..row };
        let held = [
            later(row(kind::TRADE, 2, 0, 0)),
            later(row(kind::BID, 0, 7, LAST)),
            later(liquidation(5)),
            later(liquidation(5)),
            row(kind::TRADE, 3, 0, LAST | flag::HISTORY),
            row(kind::TRADE, 4, 0, 0),
        ];
        assert_eq!(
            told.untold(&held),
            [3, 5],
            "the second of two that say the same, and a new one"
        );
        assert_eq!(told.untold(&held[5..]), [0; 0]);
        assert!(Told::read(&[1, 0, 0]).is_err());
        assert!(Told::read(&[9, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
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
