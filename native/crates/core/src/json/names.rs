//! Instruments by market and name.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// xxh3-64 of the bytes; their number, which the standard library hashes beforehand, is left out.
#[derive(Default)]
pub struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, _: usize) {}
}

type Market = HashMap<Box<[u8]>, u32, BuildHasherDefault<NameHasher>>;

/// In place of an index: the name is known, and nothing is told of it.
const PASSED: u32 = u32::MAX;

/// Names of each market.
#[derive(Default)]
pub struct Names {
    markets: Vec<(String, Market)>,
}

impl Names {
    /// Index of a market, which is made known.
    pub fn market(&mut self, name: &str) -> usize {
        if let Some(index) = self.markets.iter().position(|(known, _)| known == name) {
            return index;
        }
        self.markets.push((name.to_owned(), Market::default()));
        self.markets.len() - 1
    }

    #[inline]
    pub fn find(&self, market: usize, name: &[u8]) -> Option<u32> {
        let found = self.markets.get(market)?.1.get(name).copied();
        found.filter(|&index| index != PASSED)
    }

    /// Makes a name known of which nothing is to be told.
    pub fn pass_over(&mut self, market: usize, name: &[u8]) {
        if self.find(market, name).is_none() {
            self.insert(market, name, PASSED);
        }
    }

    pub fn is_passed_over(&self, market: usize, name: &[u8]) -> bool {
        let names = self.markets.get(market).map(|(_, names)| names);
        names.and_then(|names| names.get(name)) == Some(&PASSED)
    }

    pub fn insert(&mut self, market: usize, name: &[u8], index: u32) {
        if let Some((_, names)) = self.markets.get_mut(market) {
            names.insert(name.into(), index);
        }
    }

    /// Forgets every name of an instrument.
    pub fn remove(&mut self, index: u32) {
        for (_, names) in &mut self.markets {
            names.retain(|_, named| *named != index);
        }
    }

    /// Forgets a name that was passed over.
    pub fn remove_passed(&mut self, market: usize, name: &[u8]) {
        if self.is_passed_over(market, name)
            && let Some((_, names)) = self.markets.get_mut(market)
        {
            names.remove(name);
        }
    }
}
