//! Connections that bring the same streams for a while, or always: what is told twice, what only one of them lost.
//!
//! Two connections are twins while one takes the other's place (a planned cut), or as lines A and B of an instrument. Each
//! brings its trades in order, and neither waits for the other. So a number that is skipped on one may still come on the
//! other: it is missing only when that one has passed it too, fell silent or is over.

use std::collections::{HashMap, HashSet, VecDeque};

/// A connection that brought nothing for so long is not waited for.
const SILENT_NS: i64 = 5_000_000_000;
/// How far an id must lie below its predecessor's for the venue to have begun its numbers anew.
const RESTART: u64 = 1_000_000;
/// Holes that wait to be filled; beyond it the oldest is given up.
const HOLES_MAX: usize = 64;
/// Trades without a number that are remembered of each instrument.
const UNNUMBERED_MAX: usize = 256;
/// Messages of lines A and B that wait for the other line.
const WAITING_MAX: usize = 65_536;
/// What did not come on the other line within this time is missing there.
const MISSING_NS: i64 = 10_000_000_000;
/// Newest leads of each line of which the median is told.
const LEADS: usize = 1_024;

/// Numbers that one connection skipped, and another one may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    from: u64,
    to: u64,
    link: u32,
    ts_recv: i64,
}

/// Trades that are missing: how many, and the next number behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub count: u64,
    pub next: u64,
}

/// Consecutive numbers of an instrument's trades, over one connection or two.
#[derive(Clone, Debug, Default)]
pub struct TradeChain {
    last: Option<u64>,
    /// Connection that brought the newest trade, and when; and the last one before it that was another.
    newest: Option<(u32, i64)>,
    before: Option<(u32, i64)>,
    holes: Vec<Hole>,
}

/// Where and when a trade came.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub link: u32,
    /// Another connection may bring what this one skipped.
    pub has_twin: bool,
    pub ts_recv: i64,
}

/// What a trade's number says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// It was counted before.
    pub is_known: bool,
    /// So many are missing right before it.
    pub missing: u64,
}

impl TradeChain {
    /// Takes a trade of these numbers, first and last; what is known to be missing of what was waited for is appended.
    pub fn take(
        &mut self,
        (begin, number): (u64, u64),
        place: Place,
        missing: &mut Vec<Missing>,
    ) -> Taken {
        let (link, ts_recv) = (place.link, place.ts_recv);
        let is_awaited = place.has_twin && self.is_awaited(link, ts_recv);
        self.hear(link, ts_recv);
        let is_filled = !self.holes.is_empty() && self.fill((begin, number), place, missing);
        let Some(last) = self.last else {
            self.last = Some(number);
            return Taken::default();
        };
        if number <= last && last - number < RESTART {
            return Taken {
                is_known: !is_filled,
                missing: 0,
            };
        }
        self.last = Some(number);
        if number <= last {
            self.holes.clear();
        }
        if number <= last || begin <= last + 1 {
            return Taken::default();
        }
        let hole = Hole {
            from: last + 1,
            to: begin - 1,
            link,
            ts_recv,
        };
        if !is_awaited {
            return Taken {
                is_known: false,
                missing: hole.to - hole.from + 1,
            };
        }
        if self.holes.len() >= HOLES_MAX {
            missing.push(given_up(&self.holes.remove(0)));
        }
        self.holes.push(hole);
        Taken::default()
    }

    /// Trades up to this one were brought otherwise.
    pub fn advance(&mut self, number: u64) {
        if self.last.is_some_and(|last| last < number) {
            self.last = Some(number);
        }
    }

    /// A connection is over: what only it could have brought is missing.
    pub fn close(&mut self, link: u32, missing: &mut Vec<Missing>) {
        let is_of = |heard: &Option<(u32, i64)>| heard.is_some_and(|(of, _)| of == link);
        if is_of(&self.before) {
            self.before = None;
        }
        if is_of(&self.newest) {
            self.newest = self.before.take();
        }
        self.holes.retain(|hole| {
            if hole.link != link {
                missing.push(given_up(hole));
            }
            hole.link == link
        });
    }

    fn hear(&mut self, link: u32, ts_recv: i64) {
        if self.newest.is_some_and(|(newest, _)| newest != link) {
            self.before = self.newest;
        }
        self.newest = Some((link, ts_recv));
    }

    /// Whether another connection speaks, which may bring what this one skipped.
    fn is_awaited(&self, link: u32, ts_recv: i64) -> bool {
        let speaks =
            |heard: &(u32, i64)| heard.0 != link && ts_recv.saturating_sub(heard.1) < SILENT_NS;
        self.newest.is_some_and(|heard| speaks(&heard))
            || self.before.is_some_and(|heard| speaks(&heard))
    }

    /// Takes numbers that may lie in a hole, or show that what is in one does not come. True: they filled one.
    fn fill(
        &mut self,
        (begin, number): (u64, u64),
        place: Place,
        missing: &mut Vec<Missing>,
    ) -> bool {
        let mut is_filled = false;
        self.holes.retain_mut(|hole| {
            let is_other = hole.link != place.link;
            if begin <= hole.to && number >= hole.from {
                is_filled = true;
                if begin <= hole.from {
                    hole.from = number + 1;
                } else if is_other {
                    // it brings its trades in order: those before this one do not come
                    missing.push(given_up(&Hole {
                        to: begin - 1,
                        ..*hole
                    }));
                    hole.from = number + 1;
                } else if number >= hole.to {
                    hole.to = begin - 1;
                }
            } else if is_other && number > hole.to {
                missing.push(given_up(hole));
                return false;
            }
            if hole.from > hole.to {
                return false;
            }
            let is_over = place.ts_recv.saturating_sub(hole.ts_recv) >= SILENT_NS;
            if is_over {
                missing.push(given_up(hole));
            }
            !is_over
        });
        is_filled
    }
}

const fn given_up(hole: &Hole) -> Missing {
    Missing {
        count: hole.to - hole.from + 1,
        next: hole.to + 1,
    }
}

/// Trades without any number, told over twins: each of one connection stands for one of the other.
#[derive(Clone, Debug, Default)]
pub struct Unnumbered {
    /// What one connection told and no other one yet.
    told: VecDeque<(u64, u32)>,
}

impl Unnumbered {
    /// Takes a trade by a hash of all that it says; true: another connection told it before.
    pub fn is_repeated(&mut self, hash: u64, link: u32) -> bool {
        let place = self
            .told
            .iter()
            .position(|(known, by)| *known == hash && *by != link);
        if let Some(place) = place {
            self.told.remove(place);
            return true;
        }
        if self.told.len() >= UNNUMBERED_MAX {
            self.told.pop_front();
        }
        self.told.push_back((hash, link));
        false
    }
}

/// What came over lines A and B of an instrument.
#[derive(Clone, Debug, Default)]
pub struct LineCounts {
    /// Messages that came here before the other line had them, and those that came after.
    pub first: u64,
    pub late: u64,
    /// Messages that the other line brought and this one did not.
    pub missing: u64,
    leads: VecDeque<i64>,
}

impl LineCounts {
    /// Median of how far ahead of the other line this one was where it was first, ns; 0 = it never was.
    #[must_use]
    pub fn lead_ns(&self) -> i64 {
        let mut leads: Vec<i64> = self.leads.iter().copied().collect();
        let middle = leads.len() / 2;
        if leads.is_empty() {
            return 0;
        }
        *leads.select_nth_unstable(middle).1
    }
}

/// Which stream of which instrument, and the venue's number of the message.
type Key = (u32, u8, i64);

/// Which connections are twins, and how lines A and B do.
#[derive(Debug, Default)]
pub struct Twins {
    /// Connections that have a twin, or had one: what that one told is not told again.
    links: HashSet<u32>,
    /// Of instruments over two lines: the other connection, by each of them.
    lines: HashMap<(u32, u32), u32>,
    waiting: HashMap<Key, (u32, i64)>,
    order: VecDeque<(Key, i64)>,
    counts: HashMap<u32, LineCounts>,
}

impl Twins {
    /// These two bring the same from now on.
    pub fn pair(&mut self, one: u32, other: u32) {
        self.links.extend([one, other]);
    }

    /// An instrument comes over these two lines.
    pub fn line_up(&mut self, index: u32, one: u32, other: u32) {
        self.pair(one, other);
        self.lines.insert((index, one), other);
        self.lines.insert((index, other), one);
        self.counts.entry(one).or_default();
        self.counts.entry(other).or_default();
    }

    pub fn forget(&mut self, index: u32) {
        self.lines.retain(|(of, _), _| *of != index);
    }

    /// A connection is over and does not come back.
    pub fn close(&mut self, link: u32) {
        self.links.remove(&link);
        self.lines
            .retain(|(_, one), other| *one != link && *other != link);
        self.counts.remove(&link);
    }

    /// A connection takes the place of another one as a line; its counts go on.
    pub fn succeed(&mut self, old: u32, new: u32) {
        let now = |link: u32| if link == old { new } else { link };
        let lines = core::mem::take(&mut self.lines);
        for ((index, one), other) in lines {
            self.links.extend([now(one), now(other)]);
            self.lines.insert((index, now(one)), now(other));
        }
        if let Some(counts) = self.counts.remove(&old) {
            self.counts.insert(new, counts);
        }
    }

    /// Whether a connection has a twin, or had one.
    #[inline]
    #[must_use]
    pub fn has(&self, link: u32) -> bool {
        !self.links.is_empty() && self.links.contains(&link)
    }

    /// Counts a message of an instrument over two lines, by its number in a stream.
    #[inline]
    pub fn note(&mut self, index: u32, stream: u8, number: i64, link: u32, ts_recv: i64) {
        if self.lines.is_empty() {
            return;
        }
        if !self.lines.contains_key(&(index, link)) {
            return;
        }
        let key = (index, stream, number);
        match self.waiting.get(&key) {
            Some((by, _)) if *by == link => {}
            Some(&(by, at)) => {
                self.waiting.remove(&key);
                self.counts.entry(link).or_default().late += 1;
                let ahead = self.counts.entry(by).or_default();
                if ahead.leads.len() >= LEADS {
                    ahead.leads.pop_front();
                }
                ahead.leads.push_back(ts_recv.saturating_sub(at).max(0));
            }
            None => {
                self.waiting.insert(key, (link, ts_recv));
                self.order.push_back((key, ts_recv));
                self.counts.entry(link).or_default().first += 1;
            }
        }
        self.give_up(ts_recv);
    }

    /// What the other line did not bring is missing there.
    fn give_up(&mut self, ts_recv: i64) {
        while self.order.len() > WAITING_MAX
            || self
                .order
                .front()
                .is_some_and(|(_, at)| ts_recv.saturating_sub(*at) >= MISSING_NS)
        {
            let Some((key, _)) = self.order.pop_front() else {
                return;
            };
            let Some((by, _)) = self.waiting.remove(&key) else {
                continue;
            };
            if let Some(missed) = self.lines.get(&(key.0, by)) {
                self.counts.entry(*missed).or_default().missing += 1;
            }
        }
    }

    /// Counts of each line at a time, by its connection.
    pub fn counts(&mut self, ts_recv: i64) -> impl Iterator<Item = (u32, &LineCounts)> {
        self.give_up(ts_recv);
        self.counts.iter().map(|(link, counts)| (*link, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(
        chain: &mut TradeChain,
        number: u64,
        link: u32,
        ts_recv: i64,
        missing: &mut Vec<Missing>,
    ) -> bool {
        let place = Place {
            link,
            has_twin: true,
            ts_recv,
        };
        let taken = chain.take((number, number), place, missing);
        if taken.missing > 0 {
            missing.push(Missing {
                count: taken.missing,
                next: number,
            });
        }
        taken.is_known
    }

    fn take(chain: &mut TradeChain, number: u64, link: u32, ts: i64) -> (bool, Vec<(u64, u64)>) {
        let mut missing = Vec::new();
        let known = taken(chain, number, link, ts, &mut missing);
        (
            known,
            missing.iter().map(|one| (one.count, one.next)).collect(),
        )
    }

    #[test]
    fn what_one_skipped_and_the_other_brings_is_not_missing() {
        let mut chain = TradeChain::default();
        assert_eq!(take(&mut chain, 10, 1, 0), (false, vec![]));
        assert_eq!(
            take(&mut chain, 14, 2, 1),
            (false, vec![]),
            "1 may bring 11 to 13"
        );
        assert_eq!(take(&mut chain, 11, 1, 2), (false, vec![]));
        assert_eq!(
            take(&mut chain, 13, 1, 3),
            (false, vec![(1, 13)]),
            "it skipped 12 too"
        );
        assert_eq!(take(&mut chain, 14, 1, 4), (true, vec![]));
        assert_eq!(take(&mut chain, 15, 1, 5), (false, vec![]));
    }

    #[test]
    fn what_both_skipped_is_missing_once() {
        let mut chain = TradeChain::default();
        take(&mut chain, 10, 1, 0);
        take(&mut chain, 10, 2, 0);
        assert_eq!(take(&mut chain, 13, 1, 1), (false, vec![]));
        assert_eq!(take(&mut chain, 13, 2, 2), (true, vec![(2, 13)]));
        assert_eq!(take(&mut chain, 16, 1, 3), (false, vec![]));
        let mut missing = Vec::new();
        chain.close(2, &mut missing);
        assert_eq!(missing, [Missing { count: 2, next: 16 }]);
    }

    #[test]
    fn nobody_waits_for_one_that_is_silent() {
        let mut chain = TradeChain::default();
        take(&mut chain, 10, 1, 0);
        assert_eq!(take(&mut chain, 12, 2, SILENT_NS), (false, vec![(1, 12)]));
        take(&mut chain, 13, 1, SILENT_NS + 1);
        assert_eq!(take(&mut chain, 16, 2, SILENT_NS + 2), (false, vec![]));
        assert_eq!(
            take(&mut chain, 17, 2, 3 * SILENT_NS),
            (false, vec![(2, 16)])
        );
    }

    proptest! {
        /// Two connections bring numbers in order and lose some: what is told and what is announced is everything, once.
        #[test]
        fn each_number_is_told_or_announced_once(
            turns in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.1)), 1..300)
        ) {
            let (mut chain, mut at, mut told, mut announced) =
                (TradeChain::default(), [1_u64, 1], Vec::new(), 0_u64);
            let mut missing = Vec::new();
            for link in [0, 1] {
                if !taken(&mut chain, 1, link, 0, &mut missing) {
                    told.push(1);
                }
            }
            for (turn, is_lost) in turns {
                let link = usize::from(turn);
                at[link] += 1;
                if !is_lost && !taken(&mut chain, at[link], link as u32, 0, &mut missing) {
                    told.push(at[link]);
                }
            }
            let end = at[0].max(at[1]) + 1;
            for link in [0, 1] {
                if !taken(&mut chain, end, link, 0, &mut missing) {
                    told.push(end);
                }
            }
            announced += missing.iter().map(|one| one.count).sum::<u64>();
            told.sort_unstable();
            prop_assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", told);
            prop_assert_eq!(told.len() as u64 + announced, end);
        }
    }

    #[test]
    fn trades_without_a_number_stand_for_one_another() {
        let mut trades = Unnumbered::default();
        let turns = [(7, 1), (7, 1), (7, 2), (8, 2), (7, 2), (7, 2), (8, 1)];
        let told: Vec<bool> = turns
            .iter()
            .map(|(hash, link)| !trades.is_repeated(*hash, *link))
            .collect();
        assert_eq!(told, [true, true, false, true, false, true, false]);
    }

    #[test]
    fn lines_are_compared_message_by_message() {
        let mut twins = Twins::default();
        twins.line_up(3, 1, 2);
        for (number, link, at) in [(1, 1, 0), (1, 2, 30), (2, 1, 100), (2, 2, 110), (3, 2, 200)] {
            twins.note(3, 0, number, link, at);
        }
        twins.note(4, 0, 1, 1, 200);
        let mut found: Vec<_> = twins
            .counts(200 + MISSING_NS)
            .map(|(link, one)| (link, one.first, one.late, one.missing, one.lead_ns()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 2, 0, 1, 30), (2, 1, 2, 0, 0)]);
        assert!(twins.has(1) && !twins.has(3));
        twins.succeed(2, 5);
        twins.close(2);
        twins.note(3, 0, 4, 5, 201 + MISSING_NS);
        assert!(
            twins.has(1)
                && twins
                    .counts(0)
                    .any(|(link, one)| link == 5 && one.first == 2)
        );
        twins.close(5);
        assert!(twins.has(1) && !twins.has(5));
    }
}
