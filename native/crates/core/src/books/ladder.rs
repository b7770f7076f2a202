//! One side of a book: a sorted vector whose last entry is the best level, as in [`crate::orderbook`].
//!
//! Nearly all that happens in a market happens near the best price: searches begin at the end, and insertions there move a
//! few entries. A level takes 24 bytes; what is cut off at the far end is moved away in one go, not level by level.

use core::cmp::Ordering;

use super::{Change, Level, Side};
use crate::decimal::Decimal;

/// Levels cut off at the far end that may stay in memory until they are moved away.
const SLACK: usize = 32;
const INEXACT: u8 = 1;
const ASK: u8 = 2;

/// A level or a change of one, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    price: i64,
    size: i64,
    price_scale: u8,
    size_scale: u8,
    bits: u8,
}

const _: () = assert!(core::mem::size_of::<Packed>() == 24);

impl Packed {
    pub fn new(change: &Change) -> Self {
        let ask = if change.side == Side::Ask { ASK } else { 0 };
        Self {
            price: change.price.mantissa,
            size: if change.deleted {
                0
            } else {
                change.size.mantissa
            },
            price_scale: change.price.scale,
            size_scale: change.size.scale,
            bits: ask | if change.inexact { INEXACT } else { 0 },
        }
    }

    pub const fn side(&self) -> Side {
        if self.bits & ASK == 0 {
            Side::Bid
        } else {
            Side::Ask
        }
    }

    pub const fn price(&self) -> Decimal {
        Decimal::new(self.price, self.price_scale)
    }

    pub const fn size(&self) -> Decimal {
        Decimal::new(self.size, self.size_scale)
    }

    pub const fn is_inexact(&self) -> bool {
        self.bits & INEXACT != 0
    }

    /// The level is to be deleted.
    pub const fn is_gone(&self) -> bool {
        self.size == 0
    }

    pub const fn level(&self) -> Level {
        Level {
            price: self.price(),
            size: self.size(),
            inexact: self.is_inexact(),
        }
    }
}

/// Greater is better.
pub(super) fn order(side: Side, a: Decimal, b: Decimal) -> Ordering {
    match side {
        Side::Bid => a.compare(b),
        Side::Ask => b.compare(a),
    }
}

#[derive(Debug, Default)]
pub(super) struct Ladder {
    levels: Vec<Packed>,
    /// Entries before this one are cut off.
    front: usize,
}

impl Ladder {
    /// All levels, the best last.
    pub fn levels(&self) -> &[Packed] {
        &self.levels[self.front..]
    }

    pub fn len(&self) -> usize {
        self.levels.len() - self.front
    }

    pub fn best(&self) -> Option<Packed> {
        self.levels().last().copied()
    }

    /// The best `depth` levels, the best last.
    pub fn top(&self, depth: usize) -> &[Packed] {
        let levels = self.levels();
        &levels[levels.len().saturating_sub(depth)..]
    }

    pub fn bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Packed>()
    }

    /// Where a price stands, or would, counted from the worst level.
    pub fn find(&self, side: Side, price: Decimal) -> Result<usize, usize> {
        let levels = self.levels();
        let (mut end, mut step) = (levels.len(), 1);
        // every level from `end` on is better than the price
        while end > 0 {
            let probe = end.saturating_sub(step);
            match order(side, levels[probe].price(), price) {
                Ordering::Equal => return Ok(probe),
                Ordering::Greater => (end, step) = (probe, step * 2),
                Ordering::Less => {
                    let begin = probe + 1;
                    return levels[begin..end]
                        .binary_search_by(|level| order(side, level.price(), price))
                        .map(|at| begin + at)
                        .map_err(|at| begin + at);
                }
            }
        }
        Err(0)
    }

    pub fn get(&self, side: Side, price: Decimal) -> Option<Packed> {
        self.find(side, price).ok().map(|at| self.levels()[at])
    }

    /// Sets or deletes a level. Returns how many levels are better than it, `None` if nothing changed.
    pub fn set(&mut self, change: Packed) -> Option<usize> {
        let found = self.find(change.side(), change.price());
        let (Ok(at) | Err(at)) = found;
        let better = self.len() - at - usize::from(found.is_ok());
        let at = self.front + at;
        match (found.is_ok(), change.is_gone()) {
            (false, true) => return None,
            (true, true) => {
                self.levels.remove(at);
            }
            (true, false) if self.levels[at] == change => return None,
            (true, false) => self.levels[at] = change,
            (false, false) => {
                if self.levels.len() == self.levels.capacity() {
                    // an eighth at a time: doubling would cost half of the memory of a thousand deep books
                    self.levels.reserve_exact(8.max(self.levels.len() / 8));
                }
                self.levels.insert(at, change);
            }
        }
        Some(better)
    }

    /// Leaves the best `depth` levels; 0 = all.
    pub fn cut(&mut self, depth: usize) {
        if depth == 0 || self.len() <= depth {
            return;
        }
        self.front = self.levels.len() - depth;
        if self.front >= SLACK {
            self.levels.drain(..self.front);
            self.front = 0;
        }
    }

    /// Takes the levels of one side out of a whole book; of a price told twice the later counts.
    pub fn replace(&mut self, side: Side, changes: impl Iterator<Item = Packed> + Clone) {
        let of_side = changes.filter(|change| change.side() == side);
        let mut levels = Vec::with_capacity(of_side.clone().count());
        levels.extend(of_side);
        // stable, and one pass where the venue sorts them
        levels.sort_by(|a, b| order(side, a.price(), b.price()));
        levels.dedup_by(|later, kept| {
            let same = later.price().compare(kept.price()) == Ordering::Equal;
            if same {
                *kept = *later;
            }
            same
        });
        levels.retain(|level| !level.is_gone());
        self.levels = levels;
        self.front = 0;
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
