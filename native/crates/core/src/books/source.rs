//! Two connections that bring the same stream: one feeds it, the other one is ahead of it now and then.
//!
//! Streams that are repeated whole (a best bid and offer, a mark price) are told once: what the other connection brings
//! counts where it is newer, by the venue's number or else by its time, or when the first has fallen silent. Where the
//! venue tells neither, the first connection alone counts while it speaks.

use super::Provenance;
use super::chain::BEHIND_MAX_NS;

/// Who feeds a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    link: Option<u32>,
    seq: Option<i64>,
    ts_event: Option<i64>,
    ts_recv: i64,
}

impl Source {
    /// Takes news; false: another connection told it before. Only one that has a twin is doubted: `has_twin`.
    pub fn takes(&mut self, news: &Provenance, has_twin: bool) -> bool {
        let is_other = has_twin && self.link.is_some_and(|link| link != news.link);
        if is_other && !self.is_behind(news) {
            return false;
        }
        *self = Self {
            link: Some(news.link),
            seq: news.seq,
            ts_event: news.ts_event,
            ts_recv: news.ts_recv,
        };
        true
    }

    fn is_behind(&self, news: &Provenance) -> bool {
        if news.ts_recv.saturating_sub(self.ts_recv) >= BEHIND_MAX_NS {
            return true;
        }
        match (self.seq, news.seq, self.ts_event, news.ts_event) {
            (Some(held), Some(seq), _, _) => seq > held,
            (_, _, Some(held), Some(ts_event)) => ts_event > held,
            _ => false,
        }
    }

    /// A connection is over: any other may feed the stream from now on, with what is not older.
    pub fn let_go(&mut self, link: u32) {
        if self.link == Some(link) && self.seq.is_none() && self.ts_event.is_none() {
            self.link = None;
        }
    }

    /// The connection begins anew: so may the venue's numbers on it.
    pub fn renew(&mut self, link: u32) {
        if self.link == Some(link) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn news(link: u32, seq: Option<i64>, ts_event: Option<i64>, ts_recv: i64) -> Provenance {
        Provenance {
            link,
            seq,
            ts_event,
            ts_recv,
        }
    }

    #[test]
    fn the_newer_number_counts_then_the_newer_time() {
        let mut source = Source::default();
        assert!(source.takes(&news(1, Some(5), Some(50), 0), true));
        assert!(!source.takes(&news(2, Some(5), Some(60), 1), true));
        assert!(source.takes(&news(2, Some(6), Some(50), 2), true));
        assert!(!source.takes(&news(1, Some(6), Some(50), 3), true));
        assert!(
            source.takes(&news(2, Some(4), None, 4), true),
            "its own count is its own affair"
        );
        let mut timed = Source::default();
        assert!(timed.takes(&news(1, None, Some(50), 0), true));
        assert!(!timed.takes(&news(2, None, Some(50), 1), true));
        assert!(
            timed.takes(&news(1, None, Some(50), 2), true),
            "several of one time"
        );
        assert!(timed.takes(&news(2, None, Some(51), 3), true));
    }

    #[test]
    fn where_nothing_is_told_the_first_speaks_alone_until_it_is_silent_or_gone() {
        let mut source = Source::default();
        assert!(source.takes(&news(1, None, None, 0), true));
        assert!(!source.takes(&news(2, None, None, 1), true));
        assert!(source.takes(&news(2, None, None, BEHIND_MAX_NS), true));
        source.let_go(1);
        assert!(!source.takes(&news(1, None, None, BEHIND_MAX_NS + 1), true));
        source.let_go(2);
        assert!(source.takes(&news(1, None, None, BEHIND_MAX_NS + 2), true));
    }

    proptest! {
        /// Two connections bring the same numbered stream, each in order: what is told never goes back and ends at the end.
        #[test]
        fn what_is_told_never_goes_back(turns in prop::collection::vec(any::<bool>(), 1..200)) {
            let (mut source, mut next, mut told) = (Source::default(), [1_i64, 1], Vec::new());
            for turn in turns {
                let link = usize::from(turn);
                if source.takes(&news(link as u32, Some(next[link]), None, 0), true) {
                    told.push(next[link]);
                }
                next[link] += 1;
            }
            prop_assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", told);
            prop_assert_eq!(told.last().copied(), Some(next[0].max(next[1]) - 1));
        }
    }
}
