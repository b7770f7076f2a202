//! The last trades of a leg, so that busts and corrections can be applied.
//!
//! Everything that can be taken back is a fold over the trades in order of arrival: the last price, open, high, low. Of
//! the trades that fell out of the memory only the fold's value is kept. So as long as the trade that is busted is still
//! remembered, what remains is exactly what would have been without it, however long the session. A trade that is no
//! longer remembered cannot be taken back (only its size, if the bust says it); that is counted.

use std::collections::VecDeque;

use super::session::Range;
use super::value::{Amount, Price};

/// A trade as the leg's fields show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Last {
    pub ts: i64,
    pub id: u64,
    pub price: i64,
    pub size: i64,
    pub price_scale: u8,
    pub size_scale: u8,
    /// 0 unknown, 1 buyer was the aggressor, 2 seller.
    pub side: u8,
    pub has_size: bool,
}

impl Last {
    pub fn price(&self) -> Price {
        Price::new(self.price, self.price_scale)
    }

    pub fn size(&self) -> Option<Amount> {
        self.has_size
            .then(|| Amount::new(self.size, self.size_scale))
    }
}

/// What a remembered trade did.
pub mod did {
    /// It may set the last price.
    pub const PRICE: u8 = 1 << 0;
    /// It is in the session's volume.
    pub const VOLUME: u8 = 1 << 1;
    /// It is in the session's open, high and low.
    pub const RANGE: u8 = 1 << 2;
    /// It gives way to a trade with a later event time (backfilled, snapshot).
    pub const YIELD: u8 = 1 << 3;
    /// It is in the bars of its time.
    pub const BAR: u8 = 1 << 4;
    /// It has a price, which it may set or not.
    pub const PRICED: u8 = 1 << 5;
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    pub trade: Last,
    /// Bits of [`did`].
    pub did: u8,
}

impl Entry {
    /// The last price after this trade, if it was `last` before: the one rule of a leg's order.
    pub fn after(&self, last: Option<Last>) -> Option<Last> {
        if self.did & did::PRICE == 0 {
            return last;
        }
        match last {
            Some(current) if self.did & did::YIELD != 0 && self.trade.ts < current.ts => last,
            _ => Some(self.trade),
        }
    }
}

/// A bounded memory of trades, oldest first.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    entries: VecDeque<Entry>,
    /// The fold's value over what was forgotten.
    forgotten: Option<Last>,
}

impl Memory {
    /// Remember a trade. `forgotten` takes the range of what is forgotten for it, which is returned.
    pub fn push(
        &mut self,
        entry: Entry,
        max: usize,
        forgotten: &mut Option<Range>,
    ) -> Option<Entry> {
        self.entries.push_back(entry);
        if self.entries.len() > max {
            let oldest = self.entries.pop_front()?;
            self.forgotten = oldest.after(self.forgotten);
            if oldest.did & did::RANGE != 0 {
                *forgotten = Some(Range::with(
                    *forgotten,
                    oldest.trade.price(),
                    oldest.trade.ts,
                ));
            }
            return Some(oldest);
        }
        None
    }

    /// Oldest first, by arrival.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Take a trade out, the newest of that id.
    pub fn take(&mut self, id: u64) -> Option<Entry> {
        let place = self.place(id)?;
        self.entries.remove(place)
    }

    pub fn find(&mut self, id: u64) -> Option<&mut Entry> {
        let place = self.place(id)?;
        self.entries.get_mut(place)
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.trade.id == id)
    }

    /// Forget the price of a trade that is only known as the last of the forgotten ones.
    pub fn disown(&mut self, id: u64) -> bool {
        let owned = self.forgotten.is_some_and(|last| last.id == id);
        if owned {
            self.forgotten = None;
        }
        owned
    }

    /// The last price, told anew.
    pub fn last(&self) -> Option<Last> {
        self.entries
            .iter()
            .fold(self.forgotten, |last, entry| entry.after(last))
    }

    /// The last price of the trades before this session.
    pub fn close(&self) -> Option<Last> {
        self.entries
            .iter()
            .filter(|entry| entry.did & (did::RANGE | did::VOLUME) == 0)
            .fold(self.forgotten, |last, entry| entry.after(last))
    }

    /// Open, high and low of the session, told anew.
    pub fn range(&self, forgotten: Option<Range>) -> Option<Range> {
        self.entries
            .iter()
            .filter(|entry| entry.did & did::RANGE != 0)
            .fold(forgotten, |range, entry| {
                Some(Range::with(range, entry.trade.price(), entry.trade.ts))
            })
    }

    /// A new session: what is remembered belongs to the one before.
    pub fn roll(&mut self) {
        for entry in &mut self.entries {
            entry.did &= !(did::VOLUME | did::RANGE);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, ts: i64, price: i64, did: u8) -> Entry {
        let trade = Last {
            ts,
            id,
            price,
            size: 1,
            price_scale: 0,
            size_scale: 0,
            side: 0,
            has_size: true,
        };
        Entry { trade, did }
    }

    #[test]
    fn forgotten_trades_still_count() {
        let mut memory = Memory::default();
        let mut forgotten = None;
        for (id, price) in [(1, 50), (2, 90), (3, 10), (4, 40), (5, 60)] {
            memory.push(
                entry(id, id.cast_signed(), price, did::PRICE | did::RANGE),
                2,
                &mut forgotten,
            );
        }
        assert_eq!(memory.len(), 2);
        let range = memory.range(forgotten).unwrap();
        assert_eq!(
            (range.open.mantissa, range.high.mantissa, range.low.mantissa),
            (50, 90, 10)
        );
        assert_eq!(memory.take(5).unwrap().trade.price, 60);
        assert_eq!(memory.take(4).unwrap().trade.price, 40);
        assert_eq!(memory.last().unwrap().price, 10);
        assert!(memory.take(3).is_none());
        assert!(memory.disown(3));
        assert_eq!(memory.last(), None);
    }

    #[test]
    fn a_backfilled_trade_gives_way_to_a_later_one() {
        let mut memory = Memory::default();
        let mut forgotten = None;
        memory.push(entry(1, 10, 1, did::PRICE), 9, &mut forgotten);
        memory.push(entry(3, 30, 3, did::PRICE), 9, &mut forgotten);
        memory.push(entry(2, 20, 2, did::PRICE | did::YIELD), 9, &mut forgotten);
        assert_eq!(memory.last().unwrap().id, 3);
        memory.take(3);
        assert_eq!(memory.last().unwrap().id, 2);
    }
}
