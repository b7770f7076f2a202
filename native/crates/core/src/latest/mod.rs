//! Newest state of every instrument and of every security over its venues.
//!
//! Rows come in as whole events; what changed goes to a sink, one [`Change`] for each topic that an event changed, the
//! instrument's before the security's. The rules are in `docs/concepts/latest.md`; where they live:
//!
//! - `leg`: one venue's instrument: quotes, last trade, validity, session statistics;
//! - `depth`: books, of legs from their rows and of securities from their legs; `bars`: bars of legs and securities;
//! - `memory`: what busts and corrections need; `session`: calendars and statistics;
//! - `consolidate`: a security over its legs, and the order of time between venues;
//! - `apply`: rows to legs, events to changes; `define`: instruments, securities, feeds and calendars;
//! - `view`: reading it all, for the encoder.

mod apply;
mod bars;
mod consolidate;
mod define;
mod demand;
mod depth;
mod leg;
mod memory;
pub(crate) mod saved;
mod session;
mod types;
mod value;
mod view;

#[cfg(test)]
mod tests;

pub use bars::{INTERVALS_NS, start_of};
pub use depth::Book;
pub use memory::Last;
pub use types::{
    Applied, Bar, BookFrame, Cause, Change, Definition, Level, PRICE_FIELDS, Settings, Topic,
    TradeRow, field,
};
pub use value::{Amount, Price};
pub use view::{Consolidated, View, Viewed};

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use consolidate::Security;
use leg::Leg;
use session::Calendar;

use crate::record::state;

/// Instrument ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Of {
    Leg(u32),
    Security(u32),
}

struct TopicEntry {
    name: String,
    /// The name as JSON, quotes included.
    quoted: Vec<u8>,
    of: Of,
}

/// What a leg needs seldom.
#[derive(serde::Serialize, serde::Deserialize)]
struct Meta {
    definition: Definition,
    /// The venue as JSON, quotes included.
    venue: Vec<u8>,
    /// Reason of the last status row.
    reason: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Feed {
    name: String,
    state: u8,
    reason: String,
    legs: Vec<u32>,
    /// The most that a trade's event time was ahead of our clock when it came, ns; never above 0.
    lead_ns: i64,
    /// How far the venue's clock is certainly ahead of ours, ns.
    ahead_ns: i64,
}

/// Newest state of every topic.
pub struct Latest {
    settings: Settings,
    by_id: HashMap<u64, u32, BuildHasherDefault<IdHasher>>,
    by_name: HashMap<String, Topic>,
    topics: Vec<TopicEntry>,
    legs: Vec<Leg>,
    metas: Vec<Meta>,
    securities: Vec<Security>,
    feeds: Vec<Feed>,
    calendars: Vec<Calendar>,
    /// Legs that the event in hand touched.
    touched: Vec<u32>,
    /// When `tick` has something to do next, ns of our clock.
    next_roll_ns: i64,
    foreign: u64,
    bar_ends: bars::Ends,
}

impl Latest {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            by_id: HashMap::default(),
            by_name: HashMap::new(),
            topics: Vec::new(),
            legs: Vec::new(),
            metas: Vec::new(),
            securities: Vec::new(),
            feeds: Vec::new(),
            calendars: Vec::new(),
            touched: Vec::new(),
            next_roll_ns: i64::MAX,
            foreign: 0,
            bar_ends: bars::Ends::new(),
        }
    }

    #[must_use]
    pub fn topic(&self, symbol: &str) -> Option<Topic> {
        self.by_name.get(symbol).copied()
    }

    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        &self.topics[topic as usize].name
    }

    /// The topic's name as JSON, quotes included.
    #[must_use]
    pub fn quoted_name(&self, topic: Topic) -> &[u8] {
        &self.topics[topic as usize].quoted
    }

    /// Number of topics; they are 0 to `topics() - 1` and are never removed.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Is it a consolidated topic?
    #[must_use]
    pub fn is_security(&self, topic: Topic) -> bool {
        matches!(self.topics[topic as usize].of, Of::Security(_))
    }

    /// Effective state as clients see it, one of [`crate::record::state`].
    #[must_use]
    pub fn state(&self, topic: Topic) -> u8 {
        self.shown(match self.topics[topic as usize].of {
            Of::Leg(leg) => self.legs[leg as usize].effective,
            Of::Security(security) => self.securities[security as usize].effective,
        })
    }

    /// A state as clients see it. Late, nothing is live; but whatever else a state says was so, and is said.
    fn shown(&self, effective: u8) -> u8 {
        if effective == state::LIVE && !self.settings.late.is_empty() {
            state::DELAYED
        } else {
            effective
        }
    }

    #[must_use]
    pub fn state_name(&self, topic: Topic) -> &'static str {
        state::NAMES[usize::from(self.state(topic))]
    }

    /// When the state became what it is, ns of our clock.
    #[must_use]
    pub fn since(&self, topic: Topic) -> i64 {
        match self.topics[topic as usize].of {
            Of::Leg(leg) => self.legs[leg as usize].since,
            Of::Security(security) => self.securities[security as usize].since,
        }
    }

    /// `timestamp`: event time of the last trade, ns; 0 before the first.
    #[must_use]
    pub fn last_trade_ns(&self, topic: Topic) -> i64 {
        let last = match self.topics[topic as usize].of {
            Of::Leg(leg) => self.legs[leg as usize].last,
            Of::Security(security) => self.securities[security as usize].last,
        };
        last.map_or(0, |last| last.ts)
    }

    /// Definitions that named a security in another currency: those instruments are not consolidated.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Trades remembered for busts and corrections, over all instruments: for metrics.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.legs.iter().map(|leg| leg.memory.len()).sum()
    }
}
