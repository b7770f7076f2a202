//! A price-level book of one instrument, in exact decimals.
//!
//! Sides are sorted vectors whose last entry is the best, as in [`crate::orderbook`]. After creation and after
//! [`LevelBook::clear`] the first change tells both sides, empty ones too, since nobody knows what was told before.

use core::cmp::Ordering;

use crate::decimal::{Decimal, DecimalError};
use crate::orderbook::Side;
use crate::record::{Record, flag, kind};

/// One level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Decimal,
    pub size: Decimal,
    /// The size was rounded to fit.
    pub inexact: bool,
}

impl Level {
    /// Parses a level as venues write it.
    ///
    /// # Errors
    /// A text is no decimal, the price does not fit exactly, or the size is below zero.
    pub fn parse(price: &[u8], size: &[u8]) -> Result<Self, DecimalError> {
        let (size, exact) = Decimal::parse_rounded(size)?;
        if size.mantissa < 0 {
            return Err(DecimalError::Malformed);
        }
        Ok(Self {
            price: Decimal::parse(price)?,
            size,
            inexact: !exact,
        })
    }
}

/// Bids and asks.
pub struct LevelBook {
    instrument: u64,
    sides: [Vec<Level>; 2],
    untold: bool,
}

/// Better price first.
fn order(side: Side, a: Decimal, b: Decimal) -> Ordering {
    match side {
        Side::Bid => a.compare(b),
        Side::Ask => b.compare(a),
    }
}

impl LevelBook {
    #[must_use]
    pub const fn new(instrument: u64) -> Self {
        Self {
            instrument,
            sides: [Vec::new(), Vec::new()],
            untold: true,
        }
    }

    pub fn clear(&mut self) {
        self.sides = Default::default();
        self.untold = true;
    }

    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.sides[side as usize].last().copied()
    }

    /// The best `depth` levels, best first.
    pub fn top(&self, side: Side, depth: usize) -> impl Iterator<Item = &Level> {
        self.sides[side as usize].iter().rev().take(depth)
    }

    /// Best bid at or above best ask.
    #[must_use]
    pub fn crossed(&self) -> bool {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) => bid.price.compare(ask.price) != Ordering::Less,
            _ => false,
        }
    }

    fn set(&mut self, side: Side, level: Level) {
        let levels = &mut self.sides[side as usize];
        match levels.binary_search_by(|other| order(side, other.price, level.price)) {
            Ok(index) if level.size.mantissa == 0 => {
                levels.remove(index);
            }
            Ok(index) => levels[index] = level,
            Err(_) if level.size.mantissa == 0 => {}
            Err(index) => levels.insert(index, level),
        }
    }

    /// Sets levels (size 0 deletes) and writes one event: the sides whose best changed, then every level given if
    /// `levels`. `origin` gives times, sequence and flags.
    pub fn apply(
        &mut self,
        bids: &[Level],
        asks: &[Level],
        origin: Record,
        levels: bool,
    ) -> Vec<Record> {
        let mut out = Vec::new();
        for (side, changes) in [(Side::Bid, bids), (Side::Ask, asks)] {
            let before = self.best(side);
            for &level in changes {
                self.set(side, level);
            }
            let after = self.best(side);
            if self.untold || before != after {
                let kind = if side == Side::Bid {
                    kind::BID
                } else {
                    kind::ASK
                };
                out.push(self.row(kind, after, origin));
            }
        }
        self.untold = false;
        if levels {
            out.extend(
                bids.iter()
                    .map(|&level| self.row(kind::BOOK_BID, Some(level), origin)),
            );
            out.extend(
                asks.iter()
                    .map(|&level| self.row(kind::BOOK_ASK, Some(level), origin)),
            );
        }
        if let Some(last) = out.last_mut() {
            last.flags |= flag::LAST_OF_EVENT;
        }
        out
    }

    fn row(&self, kind: u8, level: Option<Level>, origin: Record) -> Record {
        let mut row = Record {
            instrument: self.instrument,
            kind,
            ..origin
        };
        match level {
            Some(Level {
                price,
                size,
                inexact,
            }) => {
                (row.price, row.price_scale) = (price.mantissa, price.scale);
                (row.size, row.size_scale) = (size.mantissa, size.scale);
                row.flags |= if inexact { flag::INEXACT_SIZE } else { 0 };
            }
            None => row.flags |= flag::NO_PRICE | flag::NO_SIZE,
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn level(price: &str, size: &str) -> Level {
        Level::parse(price.as_bytes(), size.as_bytes()).unwrap()
    }

    fn kinds(rows: &[Record]) -> Vec<u8> {
        rows.iter().map(|row| row.kind).collect()
    }

    #[test]
    fn only_changes_of_the_best_are_told() {
        let mut book = LevelBook::new(1);
        let rows = book.apply(
            &[level("1.5", "2"), level("1.4", "1")],
            &[],
            Record::default(),
            false,
        );
        assert_eq!(kinds(&rows), [kind::BID, kind::ASK]);
        assert_eq!(
            (
                rows[0].price,
                rows[0].price_scale,
                rows[0].size,
                rows[0].flags
            ),
            (15, 1, 2, 0)
        );
        assert_eq!(
            rows[1].flags,
            flag::NO_PRICE | flag::NO_SIZE | flag::LAST_OF_EVENT
        );
        assert_eq!(
            book.apply(&[level("1.40", "3")], &[], Record::default(), false),
            []
        );
        assert_eq!(
            kinds(&book.apply(&[level("1.4", "0")], &[], Record::default(), true)),
            [kind::BOOK_BID]
        );
        assert_eq!(
            kinds(&book.apply(&[level("1.500", "0.0")], &[], Record::default(), false)),
            [kind::BID]
        );
        assert_eq!(book.best(Side::Bid), None);
        book.clear();
        assert_eq!(
            kinds(&book.apply(&[], &[level("2", "1")], Record::default(), false)),
            [kind::BID, kind::ASK]
        );
    }

    #[test]
    fn crossed_means_at_or_through() {
        let mut book = LevelBook::new(1);
        book.apply(
            &[level("2.0", "1")],
            &[level("2.1", "1")],
            Record::default(),
            false,
        );
        assert!(!book.crossed());
        book.apply(&[], &[level("2", "1")], Record::default(), false);
        assert!(book.crossed());
        assert_eq!(Level::parse(b"1", b"-1"), Err(DecimalError::Malformed));
    }

    proptest! {
        #[test]
        fn equals_a_map(changes in prop::collection::vec((any::<bool>(), 1..40_u32, 0..3_u8, 0..5_u32), 0..150)) {
            let mut book = LevelBook::new(1);
            let mut naive = [BTreeMap::new(), BTreeMap::new()];
            for (bid, price, zeros, size) in changes {
                let text = format!("{price}.{}", "0".repeat(zeros.into()));
                let change = [level(&text, &size.to_string())];
                if bid {
                    book.apply(&change, &[], Record::default(), false);
                } else {
                    book.apply(&[], &change, Record::default(), false);
                }
                let side = &mut naive[usize::from(!bid)];
                if size == 0 { side.remove(&price); } else { side.insert(price, size); }
            }
            let value = |level: &Level| {
                let price = level.price.mantissa / 10_i64.pow(level.price.scale.into());
                (u32::try_from(price).unwrap(), u32::try_from(level.size.mantissa).unwrap())
            };
            let found = [Side::Bid, Side::Ask].map(|side| book.top(side, 1000).map(value).collect::<Vec<_>>());
            prop_assert_eq!(&found[0], &naive[0].clone().into_iter().rev().collect::<Vec<_>>());
            prop_assert_eq!(&found[1], &naive[1].clone().into_iter().collect::<Vec<_>>());
        }
    }
}
