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
#[derive(Debug, Clone, Copy)]
struct Stretch {
    timestamp_ns: i64,
    first_seq: u64,
    /// When it began, our clock.
    at_ns: i64,
}

/// Channel `price`: which seqs had which `timestamp`; one entry a stretch, so that quotes cost nothing.
#[derive(Debug, Default)]
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
            self.stretches.front(),
            self.stretches.iter().map(part).max(),
        ) else {
            return Found::Unknown;
        };
        if wanted > newest {
            return Found::Ahead;
        }
        // The oldest stretch may have begun before what is kept, or in an epoch of the past.
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
#[derive(Debug, Clone)]
pub(super) struct KeptTrade {
    pub row: TradeRow,
    /// The id's text, if it is no number.
    pub text: Option<Box<str>>,
    at_ns: i64,
}

/// Channel `trades`: the newest trades, whose seqs have no holes.
#[derive(Debug, Default)]
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
