//! Counts and exact sums of records, per kind and per instrument.

use super::ById;
use crate::record::{Record, flag, kind};

/// An exact sum of decimals: a total for each scale, as many words as it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Scale and partial total; a scale appears again where a total would have left 128 bits.
    parts: Vec<(u8, i128)>,
}

impl Sum {
    fn add(&mut self, mantissa: i128, scale: u8) {
        for (at, total) in &mut self.parts {
            if *at == scale
                && let Some(sum) = total.checked_add(mantissa)
            {
                *total = sum;
                return;
            }
        }
        self.parts.push((scale, mantissa));
    }

    /// The parts: the sum is that of all `total / 10^scale`.
    #[must_use]
    pub fn parts(&self) -> &[(u8, i128)] {
        &self.parts
    }
}

/// What is known of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub trades: u64,
    /// Of all trades but those flagged `history`.
    pub size: Sum,
    /// Price times size, likewise.
    pub notional: Sum,
    /// Records of kind bid and ask.
    pub quotes: u64,
    /// Records of kind book_bid and book_ask.
    pub book_changes: u64,
    pub gaps: u64,
    /// Newest best bid and ask: mantissa and scale.
    pub bid: Option<(i64, u8)>,
    pub ask: Option<(i64, u8)>,
    /// Newest state.
    pub state: u16,
}

/// Counts records.
pub struct Tally {
    kinds: [u64; 256],
    slots: ById<usize>,
    instruments: Vec<(u64, Sums)>,
    last: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            kinds: [0; 256],
            slots: ById::default(),
            instruments: Vec::new(),
            last: usize::MAX,
        }
    }
}

impl Tally {
    /// Lists an instrument, also if no record of it ever comes.
    pub fn define(&mut self, instrument: u64) {
        self.slot(instrument);
    }

    pub fn update(&mut self, records: &[Record]) {
        for record in records {
            self.kinds[usize::from(record.kind)] += 1;
            if record.instrument == 0 {
                continue;
            }
            let slot = self.slot(record.instrument);
            self.instruments[slot].1.take(record);
        }
    }

    /// Records by kind.
    pub fn kinds(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let counts = self.kinds.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| (number as u8, *count))
    }

    /// Instruments in the order in which they appeared.
    #[must_use]
    pub fn instruments(&self) -> &[(u64, Sums)] {
        &self.instruments
    }

    fn slot(&mut self, instrument: u64) -> usize {
        if self
            .instruments
            .get(self.last)
            .is_some_and(|(known, _)| *known == instrument)
        {
            return self.last;
        }
        let instruments = &mut self.instruments;
        self.last = *self.slots.entry(instrument).or_insert_with(|| {
            instruments.push((instrument, Sums::default()));
            instruments.len() - 1
        });
        self.last
    }
}

impl Sums {
    fn take(&mut self, record: &Record) {
        match record.kind {
            kind::TRADE => {
                self.trades += 1;
                if record.flags & flag::HISTORY == 0 {
                    self.size.add(record.size.into(), record.size_scale);
                    if record.flags & flag::NO_PRICE == 0 {
                        let notional = i128::from(record.price) * i128::from(record.size);
                        self.notional.add(
                            notional,
                            record.price_scale.saturating_add(record.size_scale),
                        );
                    }
                }
            }
            kind::BID => {
                self.quotes += 1;
                self.bid = best(record);
            }
            kind::ASK => {
                self.quotes += 1;
                self.ask = best(record);
            }
            kind::BOOK_BID | kind::BOOK_ASK => self.book_changes += 1,
            kind::STATUS => self.state = record.detail,
            kind::GAP => self.gaps += 1,
            _ => {}
        }
    }
}

fn best(record: &Record) -> Option<(i64, u8)> {
    (record.flags & flag::NO_PRICE == 0).then_some((record.price, record.price_scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(price: (i64, u8), size: (i64, u8), flags: u16) -> Record {
        Record {
            instrument: 7,
            kind: kind::TRADE,
            price: price.0,
            price_scale: price.1,
            size: size.0,
            size_scale: size.1,
            flags,
            ..Record::default()
        }
    }

    #[test]
    fn sums_are_exact_beyond_128_bits_and_over_scales() {
        let mut tally = Tally::default();
        let huge = trade((i64::MAX, 4), (i64::MAX, 0), 0);
        tally.update(&[
            huge,
            huge,
            huge,
            trade((150, 2), (3, 1), 0),
            trade((1, 0), (1, 0), flag::HISTORY),
        ]);
        let (id, sums) = &tally.instruments()[0];
        assert_eq!((*id, sums.trades), (7, 5));
        let square = i128::from(i64::MAX) * i128::from(i64::MAX);
        assert_eq!(
            sums.notional.parts(),
            [(4, square * 2), (4, square), (3, 450)]
                .as_slice()
                .to_vec()
                .as_slice()
        );
        assert_eq!(sums.size.parts(), [(0, i128::from(i64::MAX) * 3), (1, 3)]);
    }

    #[test]
    fn newest_best_state_and_counts() {
        let mut tally = Tally::default();
        let row = |kind, flags, detail, price| Record {
            instrument: 9,
            kind,
            flags,
            detail,
            price,
            price_scale: 2,
            ..Record::default()
        };
        tally.define(9);
        tally.update(&[
            row(kind::STATUS, 0, 2, 0),
            row(kind::BID, 0, 1, 185),
            row(kind::ASK, 0, 1, 186),
            row(kind::ASK, flag::NO_PRICE, 0, 0),
            row(kind::BOOK_BID, 0, 1, 185),
            row(kind::GAP, 0, 0, 0),
            Record {
                kind: kind::NOTICE,
                ..Record::default()
            },
        ]);
        let (_, sums) = &tally.instruments()[0];
        assert_eq!((sums.bid, sums.ask, sums.state), (Some((185, 2)), None, 2));
        assert_eq!(
            (sums.quotes, sums.book_changes, sums.gaps, sums.trades),
            (3, 1, 1, 0)
        );
        let kinds: Vec<_> = tally.kinds().collect();
        assert_eq!(kinds, [(2, 1), (3, 2), (4, 1), (6, 1), (7, 1), (14, 1)]);
    }
}
