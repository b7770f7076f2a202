//! A timer wheel of one-millisecond slots: insertion costs a push, the next time a look at a bitmap.

const SLOTS: usize = 1024;
const SLOT_NS: i64 = 1_000_000;

/// Holds ids until their time; the longest interval (one second) fits in one turn.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<u32>>,
    occupied: [u64; SLOTS / 64],
    /// The first millisecond that has not been taken out yet.
    cursor: i64,
    len: usize,
}

impl Wheel {
    pub fn new() -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS],
            occupied: [0; SLOTS / 64],
            cursor: 0,
            len: 0,
        }
    }

    /// `id` comes out at `due_ns`, rounded up to a millisecond, or at the end of the turn if that is sooner.
    pub fn insert(&mut self, id: u32, due_ns: i64, now_ns: i64) {
        if self.len == 0 {
            self.cursor = self.cursor.max(now_ns / SLOT_NS);
        }
        let due = (due_ns + SLOT_NS - 1) / SLOT_NS;
        let slot = Self::slot(due.clamp(self.cursor, self.cursor + SLOTS as i64 - 1));
        self.slots[slot].push(id);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// Moves everything that is due into `out`.
    pub fn take_due(&mut self, now_ns: i64, out: &mut Vec<u32>) {
        let now = now_ns / SLOT_NS;
        while self.len > 0 {
            let Some(at) = self.next_slot().filter(|at| *at <= now) else {
                break;
            };
            let slot = Self::slot(at);
            self.len -= self.slots[slot].len();
            out.append(&mut self.slots[slot]);
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            self.cursor = at + 1;
        }
        self.cursor = self.cursor.max(now + 1);
    }

    /// When the next one is due.
    pub fn next_ns(&self) -> Option<i64> {
        self.next_slot().map(|at| at * SLOT_NS)
    }

    fn next_slot(&self) -> Option<i64> {
        if self.len == 0 {
            return None;
        }
        let start = Self::slot(self.cursor);
        let mut word = start / 64;
        let mut bits = self.occupied[word] & (u64::MAX << (start % 64));
        for _ in 0..=SLOTS / 64 {
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(self.cursor + ((slot + SLOTS - start) % SLOTS) as i64);
            }
            word = (word + 1) % (SLOTS / 64);
            bits = self.occupied[word];
        }
        None
    }

    fn slot(millisecond: i64) -> usize {
        millisecond.rem_euclid(SLOTS as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a sorted list: nothing comes early, nothing is late by more than a millisecond, nothing is lost.
        #[test]
        fn agrees_with_a_sorted_list(start in 0i64..3_000_000_000, steps in prop::collection::vec((0i64..1_000_000_000, 0i64..400_000_000), 1..60)) {
            let (mut wheel, mut waiting, mut now) = (Wheel::new(), Vec::new(), start);
            for (id, (delay, step)) in steps.into_iter().enumerate() {
                wheel.insert(id as u32, now + delay, now);
                waiting.push((id as u32, (now + delay + SLOT_NS - 1) / SLOT_NS * SLOT_NS));
                prop_assert_eq!(wheel.next_ns(), waiting.iter().map(|entry| entry.1).min());
                now += step;
                let mut out = Vec::new();
                wheel.take_due(now, &mut out);
                out.sort_unstable();
                let (due, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|entry| entry.1 <= now);
                prop_assert_eq!(out, due.into_iter().map(|entry| entry.0).collect::<Vec<u32>>());
                waiting = rest;
            }
        }
    }

    #[test]
    fn a_jump_of_the_clock_takes_everything() {
        let mut wheel = Wheel::new();
        for id in 0..100 {
            wheel.insert(id, i64::from(id) * 9_000_000, 0);
        }
        let mut out = Vec::new();
        wheel.take_due(3_600_000_000_000, &mut out);
        assert_eq!((out.len(), wheel.next_ns()), (100, None));
    }
}
