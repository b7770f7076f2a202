//! Levels that a venue names by ids of its own: which price each of them has.
//!
//! The venue's book is a table whose rows have a key (side and id): a row is inserted, updated and deleted by its key, and
//! only an insertion says all of it. A row that is updated or deleted and was never inserted, or is inserted although it is
//! there, says that something before it was missed. A lost change of a size leaves no such trace.
//!
//! A message that says the same as the one before it is that one again, and changes nothing: whatever may have been lost
//! between the two, its rows are as they say.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::chain::Fault;
use super::{BookMessage, Change, Name, Reason, Side, Verb};
use crate::decimal::Decimal;
use core::cmp::Ordering;

/// Fibonacci hashing: the ids are the venue's, and no stranger's to choose.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type Prices = HashMap<u64, Decimal, BuildHasherDefault<IdHasher>>;

/// Prices of the levels of one book, by side and id.
#[derive(Debug, Default)]
pub(super) struct Named {
    prices: [Prices; 2],
    /// Of the newest message.
    digest: u64,
}

impl Named {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn bytes(&self) -> usize {
        let places: usize = self.prices.iter().map(HashMap::capacity).sum();
        places * size_of::<(u64, Decimal)>()
    }

    /// Takes the ids of a whole book.
    pub fn begin(&mut self, message: &BookMessage<'_>) -> Result<(), Fault> {
        self.clear();
        for (change, name) in message.changes.iter().zip(message.names) {
            if !name.priced {
                return Err(unpriced(name.id));
            }
            self.prices[change.side as usize].insert(name.id, change.price);
        }
        Ok(())
    }

    /// Writes what a difference changes with the prices that its rows leave out. A row that is told at another price has moved
    /// there.
    pub fn resolve(
        &mut self,
        message: &BookMessage<'_>,
        out: &mut Vec<Change>,
    ) -> Result<(), Fault> {
        out.clear();
        let digest = digest(message);
        if core::mem::replace(&mut self.digest, digest) == digest {
            return Ok(());
        }
        for (change, name) in message.changes.iter().zip(message.names) {
            let prices = &mut self.prices[change.side as usize];
            let known = prices.get(&name.id).copied();
            match (name.verb, known) {
                (Verb::Insert, Some(_)) => return Err(doubled(change.side, name)),
                (Verb::Insert, None) if !name.priced => return Err(unpriced(name.id)),
                (Verb::Insert, None) => {
                    prices.insert(name.id, change.price);
                    out.push(*change);
                }
                (Verb::Update | Verb::Delete, None) => return Err(unknown(change.side, name)),
                (Verb::Update, Some(price)) if name.priced && moved(price, change.price) => {
                    prices.insert(name.id, change.price);
                    out.push(gone(change.side, price));
                    out.push(*change);
                }
                (Verb::Update, Some(price)) => out.push(Change { price, ..*change }),
                (Verb::Delete, Some(price)) => {
                    prices.remove(&name.id);
                    out.push(gone(change.side, price));
                }
            }
        }
        Ok(())
    }
}

/// A number of all that a message says; never 0.
fn digest(message: &BookMessage<'_>) -> u64 {
    let mut hasher = IdHasher::default();
    for (change, name) in message.changes.iter().zip(message.names) {
        let verb = name.verb as u64 * 2 + change.side as u64;
        hasher.write_u64(name.id);
        hasher.write_u64(verb);
        hasher.write_u64(change.size.mantissa.cast_unsigned());
        hasher.write_u64(u64::from(change.size.scale));
        hasher.write_u64(change.price.mantissa.cast_unsigned());
    }
    hasher.finish() | 1
}

fn moved(from: Decimal, to: Decimal) -> bool {
    from.compare(to) != Ordering::Equal
}

const fn gone(side: Side, price: Decimal) -> Change {
    Change {
        side,
        price,
        size: Decimal::new(0, 0),
        inexact: false,
        deleted: true,
    }
}

const fn word(side: Side) -> &'static str {
    match side {
        Side::Bid => "bid",
        Side::Ask => "ask",
    }
}

#[cold]
fn unknown(side: Side, name: &Name) -> Fault {
    let verb = match name.verb {
        Verb::Delete => "is deleted",
        Verb::Insert | Verb::Update => "changes",
    };
    lost(format!(
        "expected a level that is known, found {} {} that {verb} and was never inserted",
        word(side),
        name.id
    ))
}

#[cold]
fn doubled(side: Side, name: &Name) -> Fault {
    lost(format!(
        "expected a new level, found {} {} that is inserted and is there already",
        word(side),
        name.id
    ))
}

/// Something before this message was missed, nobody knows how much.
fn lost(text: String) -> Fault {
    Fault {
        reason: Reason::Chain,
        text,
        expected: 0,
        found: 0,
        missing: 0,
    }
}

#[cold]
fn unpriced(id: u64) -> Fault {
    Fault {
        reason: Reason::Malformed,
        text: format!("expected the price of a new level, found none at {id}"),
        expected: 0,
        found: 0,
        missing: 0,
    }
}
