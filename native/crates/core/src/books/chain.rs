//! Whether one message of a book follows another.
//!
//! A book is whole if every id is in its snapshot or in a difference applied since. A difference either *follows* the newest
//! one, or it *straddles* a snapshot from REST, which may lie in the middle of what the difference covers. One that the book
//! has already says nothing new; many of them say that the venue's numbers began anew. Some venues may tell ids again that
//! the difference before had (`overlaps`): sizes are absolute, and what counts is that none is left out.

use super::rule::{Chain, Rule};
use super::{BookMessage, Reason};

/// Differences that the book has already come from before a snapshot and soon cease. If they go on for so long, it was the
/// snapshot that was wrong: an old one, of numbers that the venue does not use any more.
pub(super) const BEHIND_MAX_NS: i64 = 5_000_000_000;

/// The ids of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub previous: Option<i64>,
}

impl Ids {
    pub const fn of(message: &BookMessage<'_>) -> Self {
        Self {
            first: message.first,
            last: message.last,
            previous: message.previous,
        }
    }

    /// Has what the chain needs.
    const fn chains(self, chain: Chain) -> bool {
        match chain {
            Chain::Range => {
                self.last.is_some() && (self.first.is_some() || self.previous.is_some())
            }
            Chain::Previous => self.last.is_some() && self.previous.is_some(),
            Chain::Consecutive | Chain::Ordered => self.last.is_some(),
            Chain::None => false,
        }
    }
}

/// Begins with the id after `end`.
pub(super) fn follows(chain: Chain, end: i64, ids: Ids) -> bool {
    match (chain, ids.previous) {
        (Chain::Range | Chain::Previous, Some(previous)) => previous == end,
        (Chain::Range, None) => ids.first == end.checked_add(1),
        (Chain::Consecutive, _) => ids.last == end.checked_add(1),
        (Chain::Ordered, _) => ids.last.is_some_and(|last| last > end),
        (Chain::Previous | Chain::None, _) => false,
    }
}

/// Covers the id after `end`, perhaps with others before it.
pub(super) fn straddles(chain: Chain, end: i64, ids: Ids) -> bool {
    let Some(last) = ids.last.filter(|&last| last > end) else {
        return false;
    };
    match (chain, ids.previous) {
        (Chain::Range | Chain::Previous, Some(previous)) => previous <= end,
        (Chain::Range, None) => ids
            .first
            .is_some_and(|first| first <= end.saturating_add(1)),
        (Chain::Consecutive, _) => end.checked_add(1) == Some(last),
        (Chain::Ordered, _) => true,
        (Chain::Previous | Chain::None, _) => false,
    }
}

/// Where a whole book stands in its chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// Last id that the book holds.
    pub last: Option<i64>,
    /// A snapshot from REST, and no difference since: the next may straddle it.
    pub after_snapshot: bool,
    /// The stream broke and is back: only a difference that follows proves that nothing was missed.
    pub resumed: bool,
    /// When the first came of the differences that the book has already; 0 = the newest was none.
    pub behind_ns: i64,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: Reason,
    pub text: String,
    pub expected: i64,
    pub found: i64,
    /// Messages or ids that are missing; 0 = unknown number.
    pub missing: i64,
}

/// What to do with a difference of a whole book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The book has it already.
    Ignore,
    /// `chained`: the ids prove that nothing is missing before it.
    Apply {
        chained: bool,
    },
    Break(Fault),
}

impl Position {
    /// Judges a difference, and moves on if it is to be applied.
    pub fn step(&mut self, rule: &Rule, ids: Ids, ts_recv: i64) -> Step {
        let resumed = core::mem::take(&mut self.resumed);
        if !ids.chains(rule.chain) {
            return self.step_unchained(rule, ids, resumed);
        }
        if resumed && rule.chain == Chain::Ordered {
            return unjoined();
        }
        let (Some(end), Some(last)) = (self.last, ids.last) else {
            // nothing to join with: the snapshot had no id
            self.last = ids.last;
            return if resumed {
                unjoined()
            } else {
                Step::Apply { chained: false }
            };
        };
        let may_begin_before = self.after_snapshot || rule.overlaps;
        let straddles = may_begin_before && straddles(rule.chain, end, ids);
        if follows(rule.chain, end, ids) || straddles {
            *self = Self {
                last: Some(last),
                ..Self::default()
            };
            return Step::Apply {
                chained: rule.chain.proves(),
            };
        }
        if last <= end && !resumed && self.may_be_behind(last == end, ts_recv) {
            return Step::Ignore;
        }
        Step::Break(fault(rule.chain, end, ids))
    }

    /// Whether a whole book is older than the one at hand, or the same once more. If that goes on, the venue's numbers
    /// began anew.
    pub fn is_past(&mut self, last: Option<i64>, ts_recv: i64) -> bool {
        let (Some(end), Some(last)) = (self.last, last) else {
            return false;
        };
        if self.resumed || last > end {
            return false;
        }
        if self.behind_ns == 0 {
            self.behind_ns = ts_recv.max(1);
        }
        last == end || ts_recv.saturating_sub(self.behind_ns) < BEHIND_MAX_NS
    }

    /// Whether it is harmless that the book has a difference already.
    fn may_be_behind(&mut self, repeats_newest: bool, ts_recv: i64) -> bool {
        if !self.after_snapshot {
            return repeats_newest;
        }
        if self.behind_ns == 0 {
            self.behind_ns = ts_recv.max(1);
        }
        ts_recv.saturating_sub(self.behind_ns) < BEHIND_MAX_NS
    }

    fn step_unchained(&mut self, rule: &Rule, ids: Ids, resumed: bool) -> Step {
        if resumed {
            return unjoined();
        }
        if rule.chain != Chain::None && rule.snapshot.is_waited_for() {
            return Step::Break(Fault {
                reason: Reason::Malformed,
                text: "expected the ids of a difference, found none".to_owned(),
                expected: 0,
                found: 0,
                missing: 0,
            });
        }
        // older dialects have no ids: what comes after cannot be joined with what was before
        *self = Self {
            last: ids.last,
            ..Self::default()
        };
        Step::Apply { chained: false }
    }
}

fn unjoined() -> Step {
    Step::Break(Fault {
        reason: Reason::Chain,
        text:
            "expected a snapshot after the stream came back, found a difference that nothing joins"
                .to_owned(),
        expected: 0,
        found: 0,
        missing: 0,
    })
}

fn fault(chain: Chain, end: i64, ids: Ids) -> Fault {
    let (next, last) = (end.saturating_add(1), ids.last.unwrap_or_default());
    let (expected, found, text) = match (chain, ids.previous, ids.first) {
        (Chain::Range | Chain::Previous, Some(previous), _) => (
            end,
            previous,
            format!("expected a message that follows {end}, found {last} that follows {previous}"),
        ),
        (Chain::Ordered, _, _) => (
            next,
            last,
            format!("expected a message behind {end}, found {last}"),
        ),
        (Chain::Range, None, Some(first)) => (
            next,
            first,
            format!("expected ids from {next} on, found {first} to {last}"),
        ),
        _ => (next, last, format!("expected id {next}, found {last}")),
    };
    // where ids jump, nobody knows how many there were
    let missing = if ids.previous.is_some() {
        0
    } else {
        found.saturating_sub(next).max(0)
    };
    Fault {
        reason: Reason::Chain,
        text,
        expected,
        found,
        missing,
    }
}
