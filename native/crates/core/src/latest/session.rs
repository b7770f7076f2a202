//! Sessions: when statistics begin anew, and what they are.
//!
//! A calendar is a list of session starts. A leg (one venue's instrument) is in one session at a time; it rolls when a
//! trade's event time passes the next start, or, for a calendar that follows the wall clock, when our own time does.
//! Statistics are a fold over the trades that may set them, in any order: `open` is the one with the least event time,
//! so a backfilled trade falls into its place.

use std::cmp::Ordering;

use super::value::{Amount, Price, order};

const DAY_NS: i64 = 86_400_000_000_000;
const UTC_DAYS: &str = "24/7";

/// Session starts, ns, ascending.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Calendar {
    pub name: String,
    starts: Vec<i64>,
    /// Sessions also roll when our own time passes a start.
    pub wall_clock: bool,
}

impl Calendar {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            starts: Vec::new(),
            wall_clock: false,
        }
    }

    pub fn set(&mut self, starts: &[i64], wall_clock: bool) {
        self.starts = starts.to_vec();
        self.starts.sort_unstable();
        self.starts.dedup();
        self.wall_clock = wall_clock;
    }

    /// Start (inclusive) and end (exclusive) of the session at a time.
    ///
    /// Beyond the list `24/7` goes on in UTC days; any other calendar has one endless session there.
    pub fn bounds(&self, ts: i64) -> (i64, i64) {
        let after = self.starts.partition_point(|start| *start <= ts);
        let endless = self.name == UTC_DAYS;
        let day = ts.saturating_sub(ts.rem_euclid(DAY_NS));
        let start = match after.checked_sub(1) {
            Some(index) if endless && after == self.starts.len() => day.max(self.starts[index]),
            Some(index) => self.starts[index],
            None if endless => day,
            None => i64::MIN,
        };
        let end = match self.starts.get(after) {
            Some(next) if endless && after == 0 => day.saturating_add(DAY_NS).min(*next),
            Some(next) => *next,
            None if endless => day.saturating_add(DAY_NS),
            None => i64::MAX,
        };
        (start, end)
    }
}

/// Open, high and low of a set of trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    pub open: Price,
    pub open_ts: i64,
    pub high: Price,
    pub low: Price,
}

impl Range {
    /// One more trade would not change it.
    #[inline]
    pub fn holds(&self, price: Price, ts: i64) -> bool {
        ts >= self.open_ts
            && order(price, self.high) != Ordering::Greater
            && order(price, self.low) != Ordering::Less
    }

    /// The range with one more trade in it.
    pub fn with(range: Option<Self>, price: Price, ts: i64) -> Self {
        let Some(mut range) = range else {
            return Self {
                open: price,
                open_ts: ts,
                high: price,
                low: price,
            };
        };
        if ts < range.open_ts {
            range.open = price;
            range.open_ts = ts;
        }
        if order(price, range.high) == Ordering::Greater {
            range.high = price;
        }
        if order(price, range.low) == Ordering::Less {
            range.low = price;
        }
        range
    }
}

/// What a leg knows of its session.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Session {
    /// Inclusive; `i64::MAX` until the first session is known.
    pub start: i64,
    /// Exclusive; `i64::MIN` until then, so that the first trade finds its session.
    pub end: i64,
    pub range: Option<Range>,
    /// The range of the trades that are no longer remembered one by one: what a recount begins with.
    pub forgotten: Option<Range>,
    pub volume: Option<Amount>,
    pub prev_close: Option<Price>,
    /// What was traded before a moment of this session is not known.
    pub is_partial: bool,
    /// The trade that a roll took `prev_close` from: a bust of it changes `prev_close`.
    pub close_id: Option<u64>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            start: i64::MAX,
            end: i64::MIN,
            range: None,
            forgotten: None,
            volume: None,
            prev_close: None,
            is_partial: false,
            close_id: None,
        }
    }
}

impl Session {
    pub fn is_assigned(&self) -> bool {
        self.start != i64::MAX
    }

    pub fn assign(&mut self, bounds: (i64, i64)) {
        (self.start, self.end) = bounds;
    }

    /// Begin anew; the close is kept by the caller.
    pub fn clear(&mut self) {
        self.range = None;
        self.forgotten = None;
        self.volume = None;
        self.is_partial = false;
    }

    /// Whether trades add up to the session's volume: from its start on, or from a volume that the venue said.
    pub fn knows_volume(&self) -> bool {
        !self.is_partial || self.volume.is_some()
    }

    pub fn add_volume(&mut self, size: Amount) {
        self.volume = Some(self.volume.map_or(size, |volume| volume.plus(size)));
    }

    /// Corrects the volume by a difference; never below zero, since the venue may have replaced the sum meanwhile.
    /// True if it is another one now.
    pub fn correct_volume(&mut self, difference: Amount) -> bool {
        let Some(old) = self.volume else { return false };
        let sum = old.plus(difference);
        let new = if sum.mantissa < 0 {
            Amount::new(0, sum.scale)
        } else {
            sum
        };
        self.volume = Some(new);
        new != old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_list_and_beyond_it() {
        let mut market = Calendar::new("XNYS");
        assert_eq!(market.bounds(5), (i64::MIN, i64::MAX));
        market.set(&[300, 100, 200, 200], true);
        assert_eq!(market.bounds(99), (i64::MIN, 100));
        assert_eq!(market.bounds(100), (100, 200));
        assert_eq!(market.bounds(299), (200, 300));
        assert_eq!(market.bounds(1000), (300, i64::MAX));
    }

    #[test]
    fn utc_days_go_on_where_the_list_ends() {
        let mut days = Calendar::new("24/7");
        assert_eq!(days.bounds(DAY_NS + 1), (DAY_NS, 2 * DAY_NS));
        assert_eq!(days.bounds(-1), (-DAY_NS, 0));
        days.set(&[DAY_NS, 2 * DAY_NS], true);
        assert_eq!(days.bounds(DAY_NS), (DAY_NS, 2 * DAY_NS));
        assert_eq!(days.bounds(2 * DAY_NS + 5), (2 * DAY_NS, 3 * DAY_NS));
        assert_eq!(days.bounds(9 * DAY_NS + 5), (9 * DAY_NS, 10 * DAY_NS));
        assert_eq!(days.bounds(5), (0, DAY_NS));
    }

    #[test]
    fn a_range_does_not_depend_on_the_order() {
        let trades = [
            (Price::new(10, 0), 3),
            (Price::new(12, 0), 1),
            (Price::new(95, 1), 2),
        ];
        let expected = Range {
            open: Price::new(12, 0),
            open_ts: 1,
            high: Price::new(12, 0),
            low: Price::new(95, 1),
        };
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let range = order.iter().fold(None, |range, index| {
                let (price, ts) = trades[*index];
                Some(Range::with(range, price, ts))
            });
            assert_eq!(range, Some(expected));
        }
    }

    #[test]
    fn volume_never_falls_below_zero() {
        let mut session = Session::default();
        assert!(!session.correct_volume(Amount::new(-1, 0)));
        assert_eq!(session.volume, None);
        session.add_volume(Amount::new(15, 1));
        session.add_volume(Amount::new(25, 2));
        assert_eq!(session.volume, Some(Amount::new(175, 2)));
        assert!(session.correct_volume(Amount::new(-2, 0)));
        assert!(!session.correct_volume(Amount::new(-2, 0)));
        assert_eq!(session.volume, Some(Amount::new(0, 2)));
    }
}
