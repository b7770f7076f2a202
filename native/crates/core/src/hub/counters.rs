//! What is counted: for clients, and for metrics.

use super::{Fanout, counter};
use crate::latest::Topic;

/// Counters of one subscription; `published = delivered + merged + lost` after a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub channel: u8,
    pub topic: Topic,
    pub epoch: u64,
    pub seq: u64,
    pub published: u64,
    pub delivered: u64,
    pub merged: u64,
    pub lost: u64,
}

/// Sizes for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub clients: usize,
    pub blocked: usize,
    pub subscriptions: usize,
    pub topics: usize,
    pub groups: usize,
    pub field_sets: usize,
    pub frame_bytes: usize,
    pub buffered_bytes: usize,
    pub unsent_bytes: usize,
    pub price_history: usize,
    pub trade_history: usize,
    pub quantum_ns: i64,
}

impl Fanout {
    pub(super) fn counters(&self, client: u32) -> Vec<Counters> {
        let subs = self.clients[client as usize].subs.iter();
        subs.map(|index| {
            let sub = &self.subs[*index as usize];
            let topic = &self.topics[sub.topic as usize];
            let seq = topic.seq[counter(sub.channel)];
            Counters {
                channel: sub.channel,
                topic: sub.topic,
                epoch: topic.epoch,
                seq,
                published: seq - sub.base,
                delivered: sub.delivered,
                merged: sub
                    .last
                    .saturating_sub(sub.base)
                    .saturating_sub(sub.delivered + sub.lost),
                lost: sub.lost,
            }
        })
        .collect()
    }

    /// Walks through everything: for a look now and then.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let open = || self.clients.iter().filter(|client| client.is_open);
        Memory {
            clients: open().count(),
            blocked: open().filter(|client| client.is_blocked).count(),
            subscriptions: self.subs.len() - self.subs_free.len(),
            topics: self.topics.len(),
            groups: self.groups.len() - self.groups_free.len(),
            field_sets: self
                .field_sets
                .users
                .iter()
                .filter(|users| **users > 0)
                .count(),
            frame_bytes: self.arena.len(),
            buffered_bytes: open().map(|client| client.pending.len()).sum(),
            unsent_bytes: open().map(|client| client.unsent).sum(),
            price_history: self.topics.iter().map(|topic| topic.prices.len()).sum(),
            trade_history: self.topics.iter().map(|topic| topic.trades.len()).sum(),
            quantum_ns: self.quantum.current_ns().max(self.unfiltered.current_ns()),
        }
    }
}
