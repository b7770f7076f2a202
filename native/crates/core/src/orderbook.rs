//! Order-by-order books: orders by reference, and per stock two ladders of aggregated levels.
//!
//! A ladder is a sorted vector whose **last** entry is the best level: nearly all that happens in a market happens near the
//! best price, so a search from the end takes a few steps and an insertion moves a few entries, all in adjacent memory. Both
//! sides are sorted by a key that grows towards the better price (a bid's price, an ask's complement), so one code serves both.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Not;

/// Side of a resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    Bid = 0,
    Ask = 1,
}

/// A price as the venue writes it: a mantissa whose complement turns its order around.
pub trait Price: Copy + Ord + Debug + Not<Output = Self> + Into<u64> {}

impl Price for u32 {}
impl Price for u64 {}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<P = u32> {
    pub price: P,
    pub shares: u32,
    /// Which book it rests in (ITCH: stock locate).
    pub book: u32,
    pub side: Side,
}

/// Hashes order references: one multiplication, folded, since references are dense numbers that nobody chooses.
#[derive(Default)]
pub struct ReferenceHasher(u64);

impl Hasher for ReferenceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(value ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What was taken off an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<P = u32> {
    /// The order as it was before.
    pub order: Order<P>,
    /// Shares taken: at most what the order had.
    pub shares: u32,
    /// The order is no more.
    pub gone: bool,
}

/// Every resting order of every book, by reference.
pub struct Orders<P = u32> {
    orders: HashMap<u64, Order<P>, BuildHasherDefault<ReferenceHasher>>,
}

impl<P> Default for Orders<P> {
    fn default() -> Self {
        Self {
            orders: HashMap::default(),
        }
    }
}

impl<P: Price> Orders<P> {
    /// Adds an order; false if the reference is taken (then nothing changes).
    pub fn add(&mut self, reference: u64, order: Order<P>) -> bool {
        match self.orders.entry(reference) {
            Entry::Vacant(entry) => {
                entry.insert(order);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Takes shares off an order (all of it if it has no more than `shares`); `None` if there is no such order.
    pub fn take(&mut self, reference: u64, shares: u32) -> Option<Taken<P>> {
        let Entry::Occupied(mut entry) = self.orders.entry(reference) else {
            return None;
        };
        let order = *entry.get();
        if shares >= order.shares {
            entry.remove();
            Some(Taken {
                order,
                shares: order.shares,
                gone: true,
            })
        } else {
            entry.get_mut().shares -= shares;
            Some(Taken {
                order,
                shares,
                gone: false,
            })
        }
    }

    #[must_use]
    pub fn get(&self, reference: u64) -> Option<&Order<P>> {
        self.orders.get(&reference)
    }

    /// The order itself, to be changed in place; its book must follow.
    pub fn get_mut(&mut self, reference: u64) -> Option<&mut Order<P>> {
        self.orders.get_mut(&reference)
    }

    #[must_use]
    pub fn contains(&self, reference: u64) -> bool {
        self.orders.contains_key(&reference)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Forgets the orders of one book.
    pub fn forget(&mut self, book: u32) {
        self.orders.retain(|_, order| order.book != book);
    }

    pub fn clear(&mut self) {
        self.orders.clear();
    }
}

/// One aggregated level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level<P = u32> {
    pub price: P,
    pub orders: u32,
    pub shares: u64,
}

/// What a change did to its level; the position counts from the best (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Changed(usize),
    Entered(usize),
    Left(usize),
}

/// One side of a book.
struct Ladder<P> {
    /// `price` holds the key; ascending, so the best is last.
    levels: Vec<Level<P>>,
}

impl<P: Price> Ladder<P> {
    /// Index of the key's level, or where it belongs.
    #[inline]
    fn search(&self, key: P) -> Result<usize, usize> {
        const STEPS: usize = 8;
        let mut index = self.levels.len();
        for level in self.levels.iter().rev().take(STEPS) {
            if level.price == key {
                return Ok(index - 1);
            }
            if level.price < key {
                return Err(index);
            }
            index -= 1;
        }
        self.levels[..index].binary_search_by_key(&key, |level| level.price)
    }
}

/// The book of one stock.
pub struct Book<P = u32> {
    ladders: [Ladder<P>; 2],
}

impl<P> Default for Book<P> {
    fn default() -> Self {
        Self {
            ladders: [(); 2].map(|()| Ladder { levels: Vec::new() }),
        }
    }
}

/// Price to key and back: grows towards the better price.
#[inline]
fn key<P: Price>(side: Side, price: P) -> P {
    match side {
        Side::Bid => price,
        Side::Ask => !price,
    }
}

impl<P: Price> Book<P> {
    /// A new order at a price.
    #[inline]
    pub fn add(&mut self, side: Side, price: P, shares: u32) -> Touch {
        let ladder = &mut self.ladders[side as usize];
        let key = key(side, price);
        match ladder.search(key) {
            Ok(index) => {
                let level = &mut ladder.levels[index];
                level.orders += 1;
                level.shares += u64::from(shares);
                Touch::Changed(ladder.levels.len() - 1 - index)
            }
            Err(index) => {
                ladder.levels.insert(
                    index,
                    Level {
                        price: key,
                        orders: 1,
                        shares: shares.into(),
                    },
                );
                Touch::Entered(ladder.levels.len() - 1 - index)
            }
        }
    }

    /// Shares taken off an order at a price; `None` if there is no such level (never, if orders and book go together).
    #[inline]
    pub fn take(&mut self, taken: Taken<P>) -> Option<Touch> {
        let Order { side, price, .. } = taken.order;
        let ladder = &mut self.ladders[side as usize];
        let index = ladder.search(key(side, price)).ok()?;
        let position = ladder.levels.len() - 1 - index;
        let level = &mut ladder.levels[index];
        level.shares = level.shares.saturating_sub(taken.shares.into());
        level.orders -= u32::from(taken.gone);
        if level.orders == 0 {
            ladder.levels.remove(index);
            return Some(Touch::Left(position));
        }
        Some(Touch::Changed(position))
    }

    /// The best level of a side.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level<P>> {
        self.level(side, 0)
    }

    /// The level at a position, 0 = best.
    #[inline]
    #[must_use]
    pub fn level(&self, side: Side, position: usize) -> Option<Level<P>> {
        let levels = &self.ladders[side as usize].levels;
        let level = *levels.get(levels.len().checked_sub(position + 1)?)?;
        Some(Level {
            price: key(side, level.price),
            ..level
        })
    }

    /// The best `depth` levels of a side, best first.
    pub fn top(&self, side: Side, depth: usize) -> impl Iterator<Item = Level<P>> {
        let levels = &self.ladders[side as usize].levels;
        levels.iter().rev().take(depth).map(move |level| Level {
            price: key(side, level.price),
            ..*level
        })
    }

    /// Number of levels of a side.
    #[must_use]
    pub fn depth(&self, side: Side) -> usize {
        self.ladders[side as usize].levels.len()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Add {
            side: bool,
            price: u32,
            shares: u32,
        },
        Take {
            order: prop::sample::Index,
            shares: u32,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let price = prop_oneof![95..105_u32, 1..1000_u32, any::<u32>()];
        prop_oneof![
            (any::<bool>(), price, 1..300_u32).prop_map(|(side, price, shares)| Step::Add {
                side,
                price,
                shares
            }),
            (
                any::<prop::sample::Index>(),
                prop_oneof![1..300_u32, Just(u32::MAX)]
            )
                .prop_map(|(order, shares)| Step::Take { order, shares }),
        ]
    }

    /// Levels counted anew from all orders.
    fn counted(orders: &BTreeMap<u64, Order>, side: Side) -> Vec<Level> {
        let mut levels = BTreeMap::<u32, Level>::new();
        for order in orders.values().filter(|order| order.side == side) {
            let level = levels.entry(order.price).or_insert(Level {
                price: order.price,
                orders: 0,
                shares: 0,
            });
            level.orders += 1;
            level.shares += u64::from(order.shares);
        }
        match side {
            Side::Bid => levels.into_values().rev().collect(),
            Side::Ask => levels.into_values().collect(),
        }
    }

    proptest! {
        #[test]
        fn a_book_equals_one_counted_anew(steps in prop::collection::vec(step(), 1..200)) {
            let (mut book, mut orders, mut naive) = (Book::<u32>::default(), Orders::default(), BTreeMap::<u64, Order>::new());
            for (reference, step) in (0_u64..).zip(steps) {
                match step {
                    Step::Add { side, price, shares } => {
                        let side = if side { Side::Bid } else { Side::Ask };
                        let order = Order { price, shares, book: 1, side };
                        prop_assert!(orders.add(reference, order));
                        prop_assert!(!orders.add(reference, order));
                        book.add(side, price, shares);
                        naive.insert(reference, order);
                    }
                    Step::Take { order, shares } if !naive.is_empty() => {
                        let reference = *naive.keys().nth(order.index(naive.len())).unwrap();
                        let taken = orders.take(reference, shares).unwrap();
                        prop_assert!(book.take(taken).is_some());
                        let left = naive.get_mut(&reference).unwrap();
                        prop_assert_eq!(taken.order, *left);
                        if shares >= left.shares {
                            naive.remove(&reference);
                        } else {
                            left.shares -= shares;
                        }
                    }
                    Step::Take { .. } => prop_assert_eq!(orders.take(reference, 1), None),
                }
                for side in [Side::Bid, Side::Ask] {
                    let expected = counted(&naive, side);
                    prop_assert_eq!(book.best(side), expected.first().copied());
                    prop_assert_eq!(book.top(side, usize::MAX).collect::<Vec<_>>(), expected);
                }
                prop_assert_eq!(orders.len(), naive.len());
            }
        }
    }

    #[test]
    fn touches_say_where() {
        let mut book = Book::<u32>::default();
        assert_eq!(book.add(Side::Ask, 102, 10), Touch::Entered(0));
        assert_eq!(book.add(Side::Ask, 101, 10), Touch::Entered(0));
        assert_eq!(book.add(Side::Ask, 103, 10), Touch::Entered(2));
        assert_eq!(book.add(Side::Ask, 102, 5), Touch::Changed(1));
        let order = Order {
            price: 101,
            shares: 10,
            book: 0,
            side: Side::Ask,
        };
        assert_eq!(
            book.take(Taken {
                order,
                shares: 10,
                gone: true
            }),
            Some(Touch::Left(0))
        );
        assert_eq!(
            book.best(Side::Ask),
            Some(Level {
                price: 102,
                orders: 2,
                shares: 15
            })
        );
        assert_eq!(
            book.take(Taken {
                order,
                shares: 10,
                gone: true
            }),
            None
        );
    }
}
