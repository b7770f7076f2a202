//! Links to gateway workers, at the owner: clients with the codec `Link`, whose subscriptions go by class too.
//!
//! A link subscribes to the same channel of a topic once for each rate class that its own clients are in. Its groups,
//! snapshots and losses are those of everybody; what differs is here. It is never told to be slow before a generous
//! limit, since behind it are thousands of clients that are not.

use std::collections::HashMap;

use super::clients::{Client, ClientId};
use super::{
    CHANNEL_PRICE, CHANNEL_TRADES, CLASS_ALL, Fanout, MODE_ALL, MODE_MERGE, Refusal, Source, Stamp,
    Sub, counter, is_keyed, waits,
};
use crate::encode::Codec;
use crate::latest::{Topic, TradeRow};

/// Bytes kept of trades and mode `all` for a link that does not drain.
pub(super) const LINK_BUFFER_MAX: usize = 32 << 20;
/// Bytes unsent before a link is cut; its worker then begins anew.
pub(super) const LINK_UNSENT_MAX: usize = 128 << 20;
/// The time that a link has to drain.
pub(super) const LINK_UNDRAINED_MAX_NS: i64 = 60_000_000_000;

/// Where a link's subscriptions are, and for how many clients each stands.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<(Topic, u8, u8), (u32, u32)>);

impl Links {
    fn find(&self, topic: Topic, channel: u8, class: u8) -> Option<u32> {
        self.0.get(&(topic, channel, class)).map(|entry| entry.0)
    }
}

/// A client's place in the past, found in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// `None`: one of several.
    pub seq: Option<u64>,
    /// Of `trades`: what came since.
    pub trades: Vec<(u64, TradeRow, Option<String>)>,
}

impl Client {
    pub(super) fn is_link(&self) -> bool {
        self.codec == Codec::Link
    }

    /// Bytes kept for it while it is blocked.
    pub(super) fn buffer_max(&self, settings: &super::Settings) -> usize {
        if self.is_link() {
            settings.buffer_max.max(LINK_BUFFER_MAX)
        } else {
            settings.buffer_max
        }
    }

    /// Whether it holds too much, or takes too long.
    pub(super) fn is_over(&self, settings: &super::Settings, now_ns: i64) -> bool {
        let (unsent_max, undrained_max_ns) = if self.is_link() {
            (
                settings.unsent_max.max(LINK_UNSENT_MAX),
                settings.undrained_max_ns.max(LINK_UNDRAINED_MAX_NS),
            )
        } else {
            (settings.unsent_max, settings.undrained_max_ns)
        };
        self.unsent + self.pending.len() > unsent_max || now_ns - self.blocked_ns > undrained_max_ns
    }
}

impl Fanout {
    /// Begins a link's subscription, unless there is one; its snapshot goes out behind what it has. `from` is where the
    /// worker stands in this channel: trades since then are sent again. False: there is no such client.
    pub fn enlist(
        &mut self,
        id: ClientId,
        (topic, channel, class): (Topic, u8, u8),
        watchers: u32,
        from: Option<(u64, u64)>,
    ) -> bool {
        let Some(client) = self.index_of(id) else {
            return false;
        };
        self.grow_topics(topic as usize + 1);
        let links = self.clients[client as usize].links.get_or_insert_default();
        if let Some(entry) = links.0.get_mut(&(topic, channel, class)) {
            entry.1 = watchers.max(1);
            return true;
        }
        let is_all = class == CLASS_ALL;
        let state = &self.topics[topic as usize];
        let seq = state.seq[counter(channel)];
        let mut sub = Sub {
            client,
            topic,
            at: 0,
            channel,
            asked: if is_all { 0 } else { class },
            class: if is_all { 0 } else { class },
            mode: if is_all { MODE_ALL } else { MODE_MERGE },
            set: 0,
            waits: if channel == CHANNEL_TRADES {
                0
            } else {
                waits::SNAPSHOT
            },
            base: seq,
            last: seq,
            delivered: 0,
            lost: 0,
        };
        if let Some((epoch, stood)) = from
            && channel == CHANNEL_TRADES
            && epoch == state.epoch
            && stood < seq
        {
            // What the history has no more is announced as lost.
            sub.last = stood;
            sub.waits = waits::REPLAY;
        }
        let index = self.add_sub(sub);
        let links = self.clients[client as usize].links.get_or_insert_default();
        links
            .0
            .insert((topic, channel, class), (index, watchers.max(1)));
        true
    }

    /// Everything of a link's subscription until now goes into its buffer, whatever its rate.
    pub fn bring(
        &mut self,
        source: &impl Source,
        id: ClientId,
        (topic, channel, class): (Topic, u8, u8),
        now_ns: i64,
    ) {
        self.advance(now_ns);
        let Some(client) = self.index_of(id) else {
            return;
        };
        let links = self.clients[client as usize].links.as_ref();
        let Some(index) = links.and_then(|links| links.find(topic, channel, class)) else {
            return;
        };
        if is_keyed(channel) {
            self.sync_keyed(source, index);
        } else if self.subs[index as usize].waits & waits::CATCHING_UP != 0 {
            self.catch_up(source, index);
        } else if self.subs[index as usize].last < self.stamp(index).seq {
            // A snapshot, and no update: the worker tells them apart (an update is the group's turn).
            self.subs[index as usize].waits = waits::SNAPSHOT;
            self.catch_up(source, index);
        }
        self.settle(client);
    }

    /// A snapshot of a topic's price that belongs to no subscription: for channels that do not tell names.
    pub fn introduce(&mut self, source: &impl Source, id: ClientId, topic: Topic) {
        let Some(client) = self.index_of(id) else {
            return;
        };
        self.grow_topics(topic as usize + 1);
        let state = &self.topics[topic as usize];
        let stamp = Stamp {
            topic,
            epoch: state.epoch,
            seq: state.seq[counter(CHANNEL_PRICE)],
            now_ns: self.wall(self.now_ns),
            codec: Codec::Link,
            class: super::CLASS_NONE,
        };
        self.settle(client);
        let frame = self
            .arena
            .frame(Codec::Link, |out| source.write_snapshot(out, stamp, 0));
        let client_state = &mut self.clients[client as usize];
        client_state.push(client, frame, &mut self.dirty);
        self.references += 1;
        self.settle(client);
    }

    /// Ends a link's subscription.
    pub fn dismiss(&mut self, id: ClientId, (topic, channel, class): (Topic, u8, u8)) {
        let Some(client) = self.index_of(id) else {
            return;
        };
        let client = &mut self.clients[client as usize];
        let links = client.links.get_or_insert_default();
        if let Some((index, _)) = links.0.remove(&(topic, channel, class)) {
            client.subs.retain(|other| *other != index);
            self.remove_sub(index);
        }
    }

    /// Clients that stand behind a link's subscription.
    pub fn weigh(&mut self, id: ClientId, key: (Topic, u8, u8), watchers: u32) {
        let Some(client) = self.index_of(id) else {
            return;
        };
        let links = self.clients[client as usize].links.get_or_insert_default();
        if let Some(entry) = links.0.get_mut(&key) {
            entry.1 = watchers.max(1);
        }
    }

    /// Clients behind links beyond the one that each subscription counts for already.
    pub(super) fn further_watchers(&self) -> HashMap<Topic, usize> {
        let mut counts = HashMap::new();
        let open = self.clients.iter().filter(|client| client.is_open);
        for (key, entry) in open
            .filter_map(|client| client.links.as_ref())
            .flat_map(|links| &links.0)
        {
            *counts.entry(key.0).or_default() += entry.1 as usize - 1;
        }
        counts
    }

    /// Where somebody stopped, for one who is not this hub's client.
    ///
    /// # Errors
    /// The reason why continuity cannot be proved.
    pub fn recall(
        &self,
        channel: u8,
        topic: Topic,
        memory: super::Remembered,
    ) -> Result<Recalled, Refusal> {
        if topic as usize >= self.topics.len() {
            return Err(Refusal::Unknown);
        }
        if is_keyed(channel) {
            return Err(self.refuse_keyed(channel, topic, memory));
        }
        let seq = self.locate(channel, topic, memory)?;
        let mut trades = Vec::new();
        if channel == CHANNEL_TRADES {
            let state = &self.topics[topic as usize];
            let from = seq.ok_or(Refusal::Unknown)?;
            let kept = state.trades.after(from, state.seq[counter(channel)]);
            trades.extend(
                kept.map(|(seq, kept)| (seq, kept.row, kept.text.as_deref().map(str::to_owned))),
            );
        }
        Ok(Recalled { seq, trades })
    }

    /// Puts whole frames behind all that earlier calls caused.
    pub fn put(&mut self, id: ClientId, frames: &[u8]) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        self.settle(index);
        let client = &mut self.clients[index as usize];
        client.pending.extend_from_slice(frames);
        client.mark_dirty(index, &mut self.dirty);
    }
}
