//! Sequence and gap check of one scope: a feed session, a channel, an instrument, whatever the venue numbers.

/// What a block of numbers is, seen from what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Just what was expected.
    Next,
    /// These numbers (both included) are missing; the block itself is new.
    Gap { from: u64, to: u64 },
    /// The whole block was seen before; these are its numbers (both included).
    Duplicate { from: u64, to: u64 },
    /// The block begins with numbers that were seen before (both included) and goes on with new ones.
    Overlap { from: u64, to: u64 },
    /// The venue began anew: `from` was expected, `to` came.
    Reset { from: u64, to: u64 },
}

/// Expects the next number, and counts what was not as expected.
#[derive(Clone, Debug, Default)]
pub struct SequenceCheck {
    /// Next number; 0 = whatever comes first is right.
    pub expected: u64,
    /// A block this far (or more) below what is expected is a restart, not a repeat; 0 = never.
    pub reset_below: u64,
    pub gaps: u64,
    /// Numbers missing in all gaps.
    pub missing: u64,
    /// Numbers seen again.
    pub duplicates: u64,
    pub resets: u64,
}

impl SequenceCheck {
    #[must_use]
    pub fn new(expected: u64, reset_below: u64) -> Self {
        Self {
            expected,
            reset_below,
            ..Self::default()
        }
    }

    /// Checks `count` numbers from `first` on; 0 numbers say what the next will be (a heartbeat).
    pub fn check(&mut self, first: u64, count: u64) -> Verdict {
        let end = first.saturating_add(count);
        let expected = self.expected;
        if expected == 0 || first == expected {
            self.expected = end;
            return Verdict::Next;
        }
        if first > expected {
            self.expected = end;
            self.gaps += 1;
            self.missing += first - expected;
            return Verdict::Gap {
                from: expected,
                to: first - 1,
            };
        }
        if self.reset_below > 0 && expected - first >= self.reset_below {
            self.expected = end;
            self.resets += 1;
            return Verdict::Reset {
                from: expected,
                to: first,
            };
        }
        self.duplicates += end.min(expected) - first;
        if end <= expected {
            return Verdict::Duplicate {
                from: first,
                to: end.max(first + 1) - 1,
            };
        }
        self.expected = end;
        Verdict::Overlap {
            from: first,
            to: expected - 1,
        }
    }

    /// A new session: `expected` comes next (0 = whatever comes first).
    pub fn reset(&mut self, expected: u64) {
        self.expected = expected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_verdict() {
        let mut check = SequenceCheck::new(0, 1000);
        assert_eq!(check.check(5, 3), Verdict::Next);
        assert_eq!(check.check(8, 2), Verdict::Next);
        assert_eq!(check.check(8, 2), Verdict::Duplicate { from: 8, to: 9 });
        assert_eq!(check.check(9, 3), Verdict::Overlap { from: 9, to: 9 });
        assert_eq!(check.check(15, 1), Verdict::Gap { from: 12, to: 14 });
        assert_eq!(check.check(20, 0), Verdict::Gap { from: 16, to: 19 });
        assert_eq!(check.check(20, 2000), Verdict::Next);
        assert_eq!(check.check(1, 1), Verdict::Reset { from: 2020, to: 1 });
        assert_eq!(check.expected, 2);
        assert_eq!(
            (check.gaps, check.missing, check.duplicates, check.resets),
            (2, 7, 3, 1)
        );
    }

    proptest! {
        #[test]
        fn each_number_is_new_once(blocks in prop::collection::vec((1..60_u64, 0..10_u64), 1..50)) {
            let mut check = SequenceCheck::new(1, 0);
            let mut next = 1;
            for (first, count) in blocks {
                let new = (first..first + count).filter(|number| *number >= next).count() as u64;
                let found = match check.check(first, count) {
                    Verdict::Next | Verdict::Gap { .. } => count,
                    Verdict::Overlap { from, to } => count - (to - from + 1),
                    Verdict::Duplicate { .. } => 0,
                    Verdict::Reset { .. } => unreachable!("resets are off"),
                };
                prop_assert_eq!(found, new);
                next = next.max(first + count);
                prop_assert_eq!(check.expected, next);
            }
        }
    }
}
