//! What is counted: sums over the whole run, which only grow, beside the clients that are in each phase now.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::histogram::Histogram;

/// Different texts of one kind of trouble that are kept.
const SAMPLES_MAX: usize = 20;

/// Counts of one process.
#[derive(Default, Serialize)]
pub struct Tally {
    /// Connections made, and acknowledged.
    pub connected: u64,
    pub acknowledged: u64,
    /// Clients that were acknowledged at least once.
    pub reached: u64,
    pub retries: u64,
    /// Why connections were not made: the system's words, or what the server answered.
    pub refused: BTreeMap<String, u64>,
    /// Closes by the server, by code; 1006 = without one.
    pub closed: BTreeMap<u16, u64>,
    /// `error` frames by code, with the reason of the first.
    pub errors: BTreeMap<u64, (u64, String)>,
    /// What was not understood, or must not happen; see [`Tally::trouble`].
    pub troubles: BTreeMap<String, u64>,
    /// Symbols that the gateway does not know, in acknowledgements.
    pub unknown: BTreeMap<String, u64>,
    pub bytes: u64,
    pub reads: u64,
    pub messages: u64,
    pub updates: u64,
    pub trades: u64,
    pub bars: u64,
    pub snapshots: u64,
    pub statuses: u64,
    pub heartbeats: u64,
    pub others: u64,
    pub merged: u64,
    pub lost: u64,
    pub lost_frames: u64,
    pub epochs: u64,
    pub churned: u64,
    pub recovered: u64,
    pub not_recovered: BTreeMap<String, u64>,
    pub pings: u64,
    #[serde(serialize_with = "bins")]
    pub server_latency: Histogram,
    #[serde(serialize_with = "bins")]
    pub exchange_latency: Histogram,
    #[serde(serialize_with = "bins")]
    pub ping_latency: Histogram,
    /// From the start of a connection to its acknowledgement.
    #[serde(serialize_with = "bins")]
    pub open_latency: Histogram,
    /// The server's clock less ours, in ns, by the fastest ping so far; and how long that ping took.
    pub clock_offset: Option<(i64, i64)>,
}

fn bins<S: serde::Serializer>(histogram: &Histogram, serializer: S) -> Result<S::Ok, S::Error> {
    histogram.sparse().serialize(serializer)
}

impl Tally {
    /// Counts what must not happen.
    pub fn trouble(&mut self, text: &str) {
        count(&mut self.troubles, text);
    }

    pub fn refuse(&mut self, text: &str) {
        count(&mut self.refused, text);
    }

    pub fn miss(&mut self, symbol: &str) {
        count(&mut self.unknown, symbol);
    }

    pub fn not_recover(&mut self, reason: &str) {
        count(&mut self.not_recovered, reason);
    }

    pub fn error(&mut self, code: u64, reason: &str) {
        let entry = self.errors.entry(code).or_default();
        entry.0 += 1;
        if entry.1.is_empty() {
            entry.1 = reason.chars().take(200).collect();
        }
    }
}

/// Counts a text; of too many different ones the later are counted together.
fn count(counts: &mut BTreeMap<String, u64>, text: &str) {
    if let Some(known) = counts.get_mut(text) {
        *known += 1;
    } else {
        let text = if counts.len() < SAMPLES_MAX {
            text
        } else {
            "others"
        };
        *counts.entry(text.to_owned()).or_default() += 1;
    }
}

/// Clients in each phase.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Phases {
    /// Not begun yet, or waiting to come back.
    pub waiting: u32,
    pub opening: u32,
    pub open: u32,
    pub closing: u32,
    /// Given up.
    pub failed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.refuse(&number.to_string());
        }
        assert_eq!(
            (tally.refused.len(), tally.refused["others"]),
            (SAMPLES_MAX + 1, 80)
        );
        tally.error(4102, "first");
        tally.error(4102, "second");
        assert_eq!(tally.errors[&4102], (2, "first".to_owned()));
    }
}
