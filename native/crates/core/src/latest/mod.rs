//! Newest state of every instrument and security.

mod types;

pub use types::{
    Applied, Cause, Change, Definition, PRICE_FIELDS, Settings, Topic, TradeRow, field,
};

use crate::record::Record;

/// Newest state of every topic.
pub struct Latest {
    settings: Settings,
}

#[allow(unused_variables, clippy::unused_self)]
impl Latest {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Takes a definition; a repeat is harmless. True if the instrument is new: then `topics()` has grown.
    pub fn define(
        &mut self,
        definition: &Definition,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> bool {
        unimplemented!()
    }

    /// Session starts, ascending, ns. With `wall_clock` sessions also roll when `tick` passes a start.
    pub fn set_calendar(&mut self, name: &str, starts: &[i64], wall_clock: bool) {
        unimplemented!()
    }

    /// Applies whole events. The sink sees the state as it is right after each change.
    pub fn apply(
        &mut self,
        records: &[Record],
        texts: Option<&[Option<String>]>,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> Applied {
        unimplemented!()
    }

    /// Every instrument of the feed is at best this; `LIVE` lifts it. Returns how many topics changed.
    pub fn set_feed_state(
        &mut self,
        feed: &str,
        state: u8,
        reason: &str,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> u32 {
        unimplemented!()
    }

    /// Lets time pass: session rolls by the clock.
    pub fn tick(&mut self, now_ns: i64, sink: &mut impl FnMut(&Self, Change)) {
        unimplemented!()
    }

    #[must_use]
    pub fn topic(&self, symbol: &str) -> Option<Topic> {
        unimplemented!()
    }
    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        unimplemented!()
    }
    /// Number of topics; they are 0 to `topics() - 1`.
    #[must_use]
    pub fn topics(&self) -> usize {
        unimplemented!()
    }
    /// Is it a consolidated topic?
    #[must_use]
    pub fn is_security(&self, topic: Topic) -> bool {
        unimplemented!()
    }
    /// Effective state, one of [`crate::record::state`].
    #[must_use]
    pub fn state(&self, topic: Topic) -> u8 {
        unimplemented!()
    }
    #[must_use]
    pub fn state_name(&self, topic: Topic) -> &'static str {
        unimplemented!()
    }
    /// Why the state is what it is; empty if nobody said.
    #[must_use]
    pub fn reason(&self, topic: Topic) -> &str {
        unimplemented!()
    }
    /// When the state became what it is, ns of our clock.
    #[must_use]
    pub fn since(&self, topic: Topic) -> i64 {
        unimplemented!()
    }
    /// `timestamp`: event time of the last trade, ns; 0 before the first.
    #[must_use]
    pub fn last_trade_ns(&self, topic: Topic) -> i64 {
        unimplemented!()
    }
}
