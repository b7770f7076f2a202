//! The level book of one instrument, addressed as its venue addresses it: by price, by entry id, or by position.
//!
//! Whatever the address, a side is a vector of levels from worst to best, as in [`crate::orderbook`]. Entries with ids are
//! kept by id beside it, and a level holds the sum of its entries.

use core::cmp::Ordering;
use std::collections::HashMap;

use crate::decimal::{Decimal, MAX_SCALE};
use crate::orderbook::Side;
use crate::record::flag;

/// One level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub price: Decimal,
    pub size: Decimal,
    /// Number of orders, 0 = not told.
    pub orders: u32,
    /// `INEXACT_SIZE`, `NO_SIZE`.
    pub flags: u16,
}

/// What an entry with an id stands for.
#[derive(Clone, Copy)]
struct Kept {
    side: Side,
    level: Level,
}

#[derive(Default)]
pub struct Book {
    sides: [Vec<Level>; 2],
    by_id: HashMap<u64, Kept>,
    /// Levels a side may have; 0 = as many as there are.
    pub depth_max: usize,
}

/// The update refers to something that the book does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// How levels are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Price,
    /// MDEntryID (278), hashed, and the one it replaces (280).
    Id(u64, Option<u64>),
    /// MDPriceLevel (1023) or MDEntryPositionNo (290), 1 = best.
    Position(usize),
}

/// MDUpdateAction (279).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    New,
    Change,
    Delete,
    /// From the best to this one.
    DeleteThru,
    /// From this one to the worst.
    DeleteFrom,
    /// Another price and size in the same place.
    Overlay,
}

/// Exact sum, as far as it fits.
fn add(a: Decimal, b: Decimal, subtract: bool) -> (Decimal, bool) {
    let scale = a.scale.max(b.scale);
    let raise = |value: Decimal| {
        let power = 10_i128.checked_pow(u32::from(scale - value.scale))?;
        i128::from(value.mantissa).checked_mul(power)
    };
    let sum = match (raise(a), raise(b)) {
        (Some(a), Some(b)) if subtract => a.checked_sub(b),
        (Some(a), Some(b)) => a.checked_add(b),
        _ => None,
    };
    match sum.and_then(|sum| i64::try_from(sum.max(0)).ok()) {
        Some(mantissa) => (Decimal::new(mantissa, scale.min(MAX_SCALE)), true),
        None => (a, false),
    }
}

/// Better price last.
#[inline]
fn order(side: Side, a: Decimal, b: Decimal) -> Ordering {
    match side {
        Side::Bid => a.compare(b),
        Side::Ask => b.compare(a),
    }
}

impl Book {
    pub fn clear(&mut self) {
        self.sides = Default::default();
        self.by_id.clear();
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

    /// The side that an entry id belongs to.
    #[must_use]
    pub fn side_of(&self, id: u64) -> Option<Side> {
        self.by_id.get(&id).map(|kept| kept.side)
    }

    #[inline]
    fn find(&self, side: Side, price: Decimal) -> Result<usize, usize> {
        let levels = &self.sides[side as usize];
        // most happens at the best
        match levels.last().map(|last| order(side, last.price, price)) {
            Some(Ordering::Equal) => Ok(levels.len() - 1),
            None | Some(Ordering::Less) => Err(levels.len()),
            Some(Ordering::Greater) => {
                levels.binary_search_by(|other| order(side, other.price, price))
            }
        }
    }

    fn set(&mut self, side: Side, level: Level) {
        let found = self.find(side, level.price);
        let levels = &mut self.sides[side as usize];
        match found {
            Ok(index) => levels[index] = level,
            Err(index) => levels.insert(index, level),
        }
        self.trim(side);
    }

    /// What is pushed out of a book of limited depth is not deleted by the venue.
    fn trim(&mut self, side: Side) {
        let levels = &mut self.sides[side as usize];
        if self.depth_max > 0 && levels.len() > self.depth_max {
            levels.drain(..levels.len() - self.depth_max);
        }
    }

    /// Applies one entry. `level` is its price and size as far as the entry has them.
    pub fn apply(
        &mut self,
        side: Side,
        action: Action,
        address: Address,
        price: Option<Decimal>,
        size: Option<Level>,
    ) -> Result<(), Unknown> {
        match address {
            Address::Price => self.by_price(side, action, price, size),
            Address::Id(id, replaced) => self.by_id(side, action, (id, replaced), price, size),
            Address::Position(position) => self.by_position(side, action, position, price, size),
        }
    }

    fn by_price(
        &mut self,
        side: Side,
        action: Action,
        price: Option<Decimal>,
        size: Option<Level>,
    ) -> Result<(), Unknown> {
        let price = price.ok_or(Unknown)?;
        let gone = size.is_some_and(|size| size.size.mantissa == 0);
        match action {
            Action::New | Action::Change | Action::Overlay if !gone => {
                let size = size.unwrap_or(Level {
                    flags: flag::NO_SIZE,
                    ..Level::default()
                });
                self.set(side, Level { price, ..size });
                Ok(())
            }
            Action::DeleteThru | Action::DeleteFrom => {
                let (Ok(at) | Err(at)) = self.find(side, price);
                let found = self.find(side, price).is_ok();
                let levels = &mut self.sides[side as usize];
                if action == Action::DeleteThru {
                    levels.truncate(at);
                } else {
                    levels.drain(..at + usize::from(found));
                }
                Ok(())
            }
            _ => {
                let index = self.find(side, price).map_err(|_| Unknown)?;
                self.sides[side as usize].remove(index);
                Ok(())
            }
        }
    }

    fn by_position(
        &mut self,
        side: Side,
        action: Action,
        position: usize,
        price: Option<Decimal>,
        size: Option<Level>,
    ) -> Result<(), Unknown> {
        let levels = &mut self.sides[side as usize];
        let count = levels.len();
        if position == 0 {
            return Err(Unknown);
        }
        let present = position <= count;
        let new = |old: Level| Level {
            price: price.unwrap_or(old.price),
            ..size.unwrap_or(old)
        };
        match action {
            Action::New if position <= count + 1 => {
                let price = price.ok_or(Unknown)?;
                let size = size.unwrap_or(Level {
                    flags: flag::NO_SIZE,
                    ..Level::default()
                });
                levels.insert(count + 1 - position, Level { price, ..size });
                self.trim(side);
            }
            Action::Change | Action::Overlay if present => {
                let at = count - position;
                levels[at] = new(levels[at]);
            }
            Action::Delete if present => {
                levels.remove(count - position);
            }
            Action::DeleteThru => levels.truncate(count.saturating_sub(position)),
            Action::DeleteFrom => {
                levels.drain(..(count + 1).saturating_sub(position));
            }
            _ => return Err(Unknown),
        }
        Ok(())
    }

    fn by_id(
        &mut self,
        side: Side,
        action: Action,
        (id, replaced): (u64, Option<u64>),
        price: Option<Decimal>,
        size: Option<Level>,
    ) -> Result<(), Unknown> {
        let old = self.by_id.remove(&replaced.unwrap_or(id));
        let known = old.is_some();
        if let Some(old) = old {
            self.take_out(old);
        }
        let gone = size.is_some_and(|size| size.size.mantissa == 0);
        match action {
            Action::New | Action::Change | Action::Overlay if !gone => {
                let missing = action != Action::New && !known;
                let base = old.map(|old| old.level);
                let price = price.or(base.map(|base| base.price)).ok_or(Unknown)?;
                let size = size.or(base).unwrap_or(Level {
                    flags: flag::NO_SIZE,
                    ..Level::default()
                });
                let level = Level { price, ..size };
                let side = old.map_or(side, |old| {
                    if action == Action::New {
                        side
                    } else {
                        old.side
                    }
                });
                // the same id again without a delete between: the new entry takes the old one's place
                if let Some(before) = self.by_id.insert(id, Kept { side, level }) {
                    self.take_out(before);
                }
                self.put_in(side, level);
                // a change of an entry that was never seen is taken for new, and told
                if missing { Err(Unknown) } else { Ok(()) }
            }
            _ if known => Ok(()),
            _ => Err(Unknown),
        }
    }

    fn put_in(&mut self, side: Side, entry: Level) {
        let orders = entry.orders.max(1);
        match self.find(side, entry.price) {
            Ok(index) => {
                let level = &mut self.sides[side as usize][index];
                let (size, exact) = add(level.size, entry.size, false);
                level.size = size;
                level.orders = level.orders.saturating_add(orders);
                level.flags |= entry.flags | if exact { 0 } else { flag::INEXACT_SIZE };
            }
            Err(index) => self.sides[side as usize].insert(index, Level { orders, ..entry }),
        }
    }

    fn take_out(&mut self, kept: Kept) {
        let Ok(index) = self.find(kept.side, kept.level.price) else {
            return;
        };
        let levels = &mut self.sides[kept.side as usize];
        let level = &mut levels[index];
        let orders = kept.level.orders.max(1);
        if level.orders <= orders {
            levels.remove(index);
            return;
        }
        level.orders -= orders;
        let (size, exact) = add(level.size, kept.level.size, true);
        level.size = size;
        level.flags |= if exact { 0 } else { flag::INEXACT_SIZE };
    }

    /// Entries with ids that are kept.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.by_id.len()
    }
}
