//! What a client makes of the frames of one subscription, each held against the world's past.

use super::*;

impl View {
    pub(super) fn begin_epoch(&mut self, epoch: u64) {
        (self.epoch, self.base, self.last) = (epoch, 0, 0);
        (self.delivered, self.merged, self.lost) = (0, 0, 0);
    }

    pub(super) fn advance(&mut self, seq: u64) {
        if seq > self.last {
            if seq > self.base {
                self.delivered += 1;
                self.merged += seq - self.last.max(self.base) - 1;
            }
            self.last = seq;
        }
    }

    pub(super) fn take_values(&mut self, words: &[&str], truth: &Values) -> u32 {
        let mut mask = 0;
        for word in words {
            let (index, value) = word.split_once('=').expect("a field");
            let index: usize = index.parse().expect("a number");
            assert_eq!(
                value.parse::<u64>().expect("a number"),
                truth[index],
                "{words:?}"
            );
            self.values[index] = truth[index];
            mask |= FIELDS[index];
            self.excused &= !FIELDS[index];
        }
        assert_eq!(
            mask & !granted(self.position.fields),
            0,
            "only what was asked for"
        );
        mask
    }

    pub(super) fn snapshot(&mut self, seq: u64, words: &[&str], truth: &Values) {
        assert!(seq >= self.last);
        self.advance(seq);
        let all = FIELDS.iter().fold(0, |mask, field| mask | field);
        assert_eq!(
            self.take_values(words, truth),
            granted(self.position.fields) & all,
            "a snapshot is whole"
        );
        self.needs_snapshot = false;
    }

    pub(super) fn update(&mut self, seq: u64, at_ns: i64, words: &[&str], truth: &Values) {
        assert!(seq > self.last, "{seq} after {}", self.last);
        assert!(!self.needs_snapshot, "a snapshot comes first");
        if self.position.mode == MODE_ALL {
            assert_eq!(seq, self.last + 1, "every change");
        } else {
            let class = RATE_CLASSES
                .iter()
                .position(|rate| *rate == self.position.rate)
                .expect("a class");
            let gap = at_ns.saturating_sub(self.updated_ns);
            assert!(
                gap >= interval_ns(class as u8) / 4 * 3,
                "{gap} ns after the one before"
            );
            self.updated_ns = at_ns;
        }
        self.advance(seq);
        self.take_values(words, truth);
    }

    pub(super) fn lose(&mut self, seq: u64, count: u64) {
        assert!(self.position.mode == MODE_ALL && count > 0);
        assert_eq!(seq - self.last, count);
        self.lost += seq.saturating_sub(self.last.max(self.base));
        self.last = seq;
    }
}
