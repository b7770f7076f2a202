//! What is kept so that a client can resume: bounded by count and by age.

use std::collections::VecDeque;

use crate::latest::TradeRow;

/// What a position in the past turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The client stands at this seq, for certain.
    At(u64),
    /// It stands at one of several: nothing is missing that a snapshot would not bring.
    Tie,
    TooOld,
    Ahead,
    Unknown,
}

/// A stretch of seqs with the same time of the last trade.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Stretch {
    timestamp_ns: i64,
    first_seq: u64,
    /// When it began, our clock.
    at_ns: i64,
}

/// Channel `price`: which seqs had which `timestamp`; one entry a stretch, so that quotes cost nothing.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct PriceHistory {
    stretches: VecDeque<Stretch>,
}

/// A stretch is cut after this part of the age limit, so that age is known to that part.
const AGE_PARTS: i64 = 64;

impl PriceHistory {
    pub fn push(
        &mut self,
        seq: u64,
        timestamp_ns: i64,
        now_ns: i64,
        count_max: usize,
        age_ns: i64,
    ) {
        let cut = self.stretches.back().is_none_or(|last| {
            last.timestamp_ns != timestamp_ns || now_ns - last.at_ns > age_ns / AGE_PARTS
        });
        if !cut {
            return;
        }
        self.stretches.push_back(Stretch {
            timestamp_ns,
            first_seq: seq,
            at_ns: now_ns,
        });
        // A stretch is as young as the beginning of the next one.
        while self.stretches.len() > count_max.max(1)
            || self
                .stretches
                .get(1)
                .is_some_and(|next| now_ns - next.at_ns > age_ns)
        {
            self.stretches.pop_front();
        }
    }

    /// The oldest seq from which a client can pick up; `seq` is the newest.
    pub fn oldest(&self, seq: u64) -> u64 {
        self.stretches.front().map_or(seq, |first| {
            if first.first_seq == 1 {
                0
            } else {
                first.first_seq
            }
        })
    }

    /// Where a client stands that saw `timestamp_ns`, known to `precision_ns`.
    pub fn find(&self, timestamp_ns: i64, precision_ns: i64, newest_seq: u64) -> Found {
        let wanted = timestamp_ns.div_euclid(precision_ns);
        let part = |stretch: &Stretch| stretch.timestamp_ns.div_euclid(precision_ns);
        let (Some(first), Some(newest)) = (
            // 0 is before the first trade.
            self.stretches
                .iter()
                .find(|stretch| stretch.timestamp_ns != 0),
            self.stretches.iter().map(part).max(),
        ) else {
            return Found::Unknown;
        };
        if wanted > newest {
            return Found::Ahead;
        }
        // The oldest may have begun before what is kept, or be the trade with which an epoch of the past ended.
        if wanted <= part(first) {
            return Found::TooOld;
        }
        let mut found = Found::Unknown;
        for (index, stretch) in self.stretches.iter().enumerate() {
            if part(stretch) != wanted {
                continue;
            }
            let end = self
                .stretches
                .get(index + 1)
                .map_or(newest_seq, |next| next.first_seq - 1);
            found = if found == Found::Unknown && end == stretch.first_seq {
                Found::At(end)
            } else {
                Found::Tie
            };
        }
        found
    }

    pub fn len(&self) -> usize {
        self.stretches.len()
    }

    pub fn clear(&mut self) {
        self.stretches = VecDeque::new();
    }
}

/// A trade as it can be sent again.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct KeptTrade {
    pub row: TradeRow,
    /// The id's text, if it is no number.
    pub text: Option<Box<str>>,
    at_ns: i64,
}

/// Channel `trades`: the newest trades, whose seqs have no holes.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct TradeHistory {
    trades: VecDeque<KeptTrade>,
}

impl TradeHistory {
    pub fn push(
        &mut self,
        row: TradeRow,
        text: Option<&str>,
        now_ns: i64,
        count_max: usize,
        age_ns: i64,
    ) {
        self.trades.push_back(KeptTrade {
            row,
            text: text.map(Box::from),
            at_ns: now_ns,
        });
        while self.trades.len() > count_max
            || self
                .trades
                .front()
                .is_some_and(|first| now_ns - first.at_ns > age_ns)
        {
            self.trades.pop_front();
        }
    }

    /// The oldest seq from which a client can pick up: the one before the oldest trade kept.
    pub fn oldest(&self, newest_seq: u64) -> u64 {
        newest_seq - self.trades.len() as u64
    }

    /// Trades after `seq`, each with its own.
    pub fn after(&self, seq: u64, newest_seq: u64) -> impl Iterator<Item = (u64, &KeptTrade)> {
        let oldest = self.oldest(newest_seq);
        let skip = usize::try_from(seq.saturating_sub(oldest)).unwrap_or(usize::MAX);
        (oldest + 1..).zip(&self.trades).skip(skip)
    }

    /// Where a client stands whose last trade had this time.
    pub fn find(&self, timestamp_ns: i64, precision_ns: i64, newest_seq: u64) -> Found {
        let wanted = timestamp_ns.div_euclid(precision_ns);
        let part = |trade: &KeptTrade| trade.row.ts_event.div_euclid(precision_ns);
        let (Some(first), Some(newest)) = (self.trades.front(), self.trades.iter().map(part).max())
        else {
            return Found::Unknown;
        };
        if wanted > newest {
            return Found::Ahead;
        }
        // Before the oldest trade kept there may have been one of the same time, or one of a past epoch.
        if wanted <= part(first) {
            return Found::TooOld;
        }
        let mut matching = (self.oldest(newest_seq) + 1..)
            .zip(&self.trades)
            .filter(|(_, trade)| part(trade) == wanted);
        match (matching.next(), matching.next()) {
            (Some((seq, _)), None) => Found::At(seq),
            (Some(_), Some(_)) => Found::Tie,
            _ => Found::Unknown,
        }
    }

    pub fn len(&self) -> usize {
        self.trades.len()
    }

    pub fn clear(&mut self) {
        self.trades = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::peer::trade;

    const AGE: i64 = 1_000_000;

    fn prices(timestamps: &[i64]) -> PriceHistory {
        let mut history = PriceHistory::default();
        for (seq, timestamp) in (1..).zip(timestamps) {
            history.push(seq, *timestamp, 0, 4, AGE);
        }
        history
    }

    #[test]
    fn prices_are_found_by_time_where_it_is_certain() {
        let history = prices(&[0, 10, 20, 20, 30]);
        let find = |timestamp| history.find(timestamp, 1, 5);
        assert_eq!(find(9), Found::TooOld);
        assert_eq!(
            find(10),
            Found::TooOld,
            "the first trade of an epoch may be the last of another"
        );
        assert_eq!(find(20), Found::Tie);
        assert_eq!(find(25), Found::Unknown);
        assert_eq!(find(30), Found::At(5));
        assert_eq!(find(31), Found::Ahead);
        assert_eq!(
            history.find(39, 10, 5),
            Found::At(5),
            "at the precision sent"
        );
        assert_eq!(
            history.find(30, 20, 5),
            Found::Tie,
            "20 and 30 are the same then"
        );
        assert_eq!(PriceHistory::default().find(1, 1, 0), Found::Unknown);
    }

    #[test]
    fn prices_are_bounded_by_count_and_age() {
        assert_eq!(
            prices(&[1, 2, 3]).oldest(3),
            0,
            "everything since the epoch began"
        );
        let mut history = prices(&[1, 2, 3, 4, 5, 6]);
        assert_eq!((history.len(), history.oldest(6)), (4, 3));
        history.push(7, 7, AGE, 4, AGE);
        history.push(8, 8, 2 * AGE + 1, 4, AGE);
        assert_eq!(
            history.oldest(8),
            7,
            "6 was newest until 7 came, more than the age ago"
        );
        for seq in 9..200 {
            history.push(seq, 8, 3 * AGE + seq as i64 * AGE / 50, 1000, AGE);
        }
        assert!(
            history.len() < 70 && history.oldest(199) > 100,
            "one timestamp for long is cut by age"
        );
    }

    #[test]
    fn trades_are_found_and_repeated() {
        let mut history = TradeHistory::default();
        for (id, timestamp) in [(1, 10), (2, 20), (3, 20), (4, 30), (5, 40)] {
            history.push(trade(id, timestamp), None, 0, 4, AGE);
        }
        let find = |timestamp| history.find(timestamp, 1, 5);
        assert_eq!([find(10), find(20)], [Found::TooOld; 2]);
        assert_eq!(
            [find(30), find(35), find(41)],
            [Found::At(4), Found::Unknown, Found::Ahead]
        );
        assert_eq!(history.oldest(5), 1);
        let after: Vec<(u64, u64)> = history
            .after(3, 5)
            .map(|(seq, kept)| (seq, kept.row.id))
            .collect();
        assert_eq!(after, [(4, 4), (5, 5)]);
        assert_eq!(history.after(9, 5).count(), 0);
        history.push(trade(6, 50), Some("six"), AGE + 1, 4, AGE);
        assert_eq!(
            (history.len(), history.oldest(6)),
            (1, 5),
            "the others are too old"
        );
        assert_eq!(
            history
                .after(5, 6)
                .next()
                .and_then(|(_, kept)| kept.text.as_deref()),
            Some("six")
        );
    }
}
