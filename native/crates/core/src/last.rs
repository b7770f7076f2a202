//! The newest rows of each instrument: what a late joiner is told.

use std::collections::HashMap;

use crate::record::{Record, condition, flag, kind};

/// Kinds kept, in the order in which a snapshot tells them.
const KEPT: [u8; 5] = [
    kind::STATUS,
    kind::PREV_CLOSE,
    kind::TRADE,
    kind::BID,
    kind::ASK,
];
const TRADE: usize = 2;
/// Trades with one of these set no price.
const NO_PRICE_CONDITIONS: u16 = condition::ODD_LOT | condition::OUT_OF_SEQUENCE;

/// Newest status, previous close, trade, bid and ask of each instrument.
#[derive(Default)]
pub struct LastRecords {
    index: HashMap<u64, usize>,
    rows: Vec<[Option<Record>; KEPT.len()]>,
}

impl LastRecords {
    pub fn update(&mut self, records: &[Record]) {
        for row in records {
            match row.kind {
                kind::BUST | kind::CORRECTION => self.revise(row),
                kind::TRADE if row.flags & flag::HISTORY != 0 => {}
                kind => {
                    if let Some(place) = KEPT.iter().position(|&kept| kept == kind) {
                        self.keep(place, row);
                    }
                }
            }
        }
    }

    fn keep(&mut self, place: usize, row: &Record) {
        let index = *self.index.entry(row.instrument).or_insert_with(|| {
            self.rows.push([None; KEPT.len()]);
            self.rows.len() - 1
        });
        let kept = &mut self.rows[index][place];
        let sets_price = |row: &Record| row.detail & NO_PRICE_CONDITIONS == 0;
        // What was fetched afterwards does not take the place of what happened later.
        let is_older = |newest: &Record| newest.ts_event > row.ts_event;
        if place == TRADE
            && row.flags & flag::BACKFILLED != 0
            && kept.as_ref().is_some_and(is_older)
        {
            return;
        }
        // A trade that sets no price does not take the place of one that does.
        if place == TRADE && !sets_price(row) && kept.as_ref().is_some_and(sets_price) {
            return;
        }
        *kept = Some(*row);
    }

    /// Applies a bust or a correction to the trade that is kept.
    fn revise(&mut self, row: &Record) {
        let Some(&index) = self.index.get(&row.instrument) else {
            return;
        };
        let kept = &mut self.rows[index][TRADE];
        let Some(trade) = kept.as_mut().filter(|trade| trade.id == row.id) else {
            return;
        };
        if row.kind == kind::BUST {
            *kept = None;
        } else {
            (trade.price, trade.price_scale) = (row.price, row.price_scale);
            (trade.size, trade.size_scale) = (row.size, row.size_scale);
        }
    }

    /// Everything kept, instruments in the order in which they were first seen, each row an event.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let rows = self.rows.iter().flatten().flatten();
        rows.map(|row| Record {
            flags: row.flags | flag::SNAPSHOT | flag::LAST_OF_EVENT,
            ..*row
        })
        .collect()
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: u8, id: u64, price: i64) -> Record {
        Record {
            instrument: 9,
            kind,
            id,
            price,
            ..Record::default()
        }
    }

    fn told(last: &LastRecords) -> Vec<(u8, u64, i64)> {
        last.snapshot()
            .iter()
            .map(|row| (row.kind, row.id, row.price))
            .collect()
    }

    #[test]
    fn the_newest_of_each_kind_is_told() {
        let mut last = LastRecords::default();
        last.update(&[
            row(kind::BID, 0, 1),
            row(kind::TRADE, 1, 5),
            row(kind::BID, 0, 2),
            row(kind::BOOK_BID, 0, 3),
        ]);
        assert_eq!(told(&last), [(kind::TRADE, 1, 5), (kind::BID, 0, 2)]);
        let flags = flag::SNAPSHOT | flag::LAST_OF_EVENT;
        assert!(last.snapshot().iter().all(|row| row.flags == flags));
        last.clear();
        assert_eq!(told(&last), []);
    }

    #[test]
    fn busts_corrections_and_odd_lots() {
        let mut last = LastRecords::default();
        let odd = Record {
            detail: condition::ODD_LOT,
            ..row(kind::TRADE, 2, 6)
        };
        let history = Record {
            flags: flag::HISTORY,
            ..row(kind::TRADE, 3, 7)
        };
        last.update(&[
            row(kind::TRADE, 1, 5),
            odd,
            history,
            row(kind::CORRECTION, 1, 4),
        ]);
        assert_eq!(told(&last), [(kind::TRADE, 1, 4)]);
        last.update(&[row(kind::BUST, 8, 0)]);
        assert_eq!(told(&last).len(), 1);
        last.update(&[row(kind::BUST, 1, 0), odd]);
        assert_eq!(told(&last), [(kind::TRADE, 2, 6)]);
    }
}
