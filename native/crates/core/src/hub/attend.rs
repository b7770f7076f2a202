//! Attending to what single subscriptions wait for: snapshots, replays, news of a loss, catching up after a block.

use super::clients::{Client, ClientId};
use super::{
    CHANNEL_PRICE, CHANNEL_TRADES, Fanout, FrameRef, NONE, Source, Stamp, counter, is_keyed, waits,
};
use crate::encode::Codec;

impl Fanout {
    /// Sees to every client on the list; one that is blocked comes back when it has drained.
    pub(super) fn attend_all(&mut self, source: &impl Source) {
        let waiting = core::mem::take(&mut self.attention);
        for id in &waiting {
            if let Some(index) = self.index_of(*id) {
                self.attend(source, index);
            }
        }
        self.attention = waiting;
        self.attention.clear();
    }

    /// Writes what the client's subscriptions wait for, unless it is blocked.
    pub(super) fn attend(&mut self, source: &impl Source, index: u32) {
        let client = &mut self.clients[index as usize];
        client.needs_attention = false;
        if client.is_blocked {
            return;
        }
        for place in 0..self.clients[index as usize].subs.len() {
            let sub = self.clients[index as usize].subs[place];
            if self.subs[sub as usize].waits & waits::CATCHING_UP != 0 {
                self.catch_up(source, sub);
            } else if self.subs[sub as usize].waits & waits::BEHIND != 0 {
                let found = &self.subs[sub as usize];
                let groups = &self.topics[found.topic as usize].groups;
                let group = groups.get(found.channel, found.class);
                if group != NONE {
                    self.schedule(group, self.now_ns);
                }
            }
        }
    }

    /// Brings one subscription to its topic's seq, in this order: the new epoch, the loss, the missed trades, the snapshot.
    pub(super) fn catch_up(&mut self, source: &impl Source, index: u32) {
        let waiting = self.subs[index as usize].waits;
        if waiting & waits::EPOCH != 0 {
            self.announce_epoch(source, index);
        }
        if waiting & waits::REPLAY != 0 {
            self.replay(source, index);
        }
        if waiting & waits::LOSS != 0 {
            let newest = self.stamp(index).seq;
            self.announce_loss(source, index, newest);
            if self.subs[index as usize].channel == CHANNEL_PRICE {
                self.subs[index as usize].waits |= waits::SNAPSHOT;
            }
        }
        if self.subs[index as usize].waits & waits::SNAPSHOT != 0
            && self.subs[index as usize].channel != CHANNEL_TRADES
        {
            self.send_snapshot(source, index);
        }
        self.subs[index as usize].waits = 0;
    }

    pub(super) fn stamp(&self, index: u32) -> Stamp {
        let sub = &self.subs[index as usize];
        let topic = &self.topics[sub.topic as usize];
        Stamp {
            topic: sub.topic,
            epoch: topic.epoch,
            seq: topic.seq[counter(sub.channel)],
            now_ns: self.wall(self.now_ns),
            codec: self.clients[sub.client as usize].codec,
            class: sub.stamp_class(),
        }
    }

    fn send_snapshot(&mut self, source: &impl Source, index: u32) {
        if is_keyed(self.subs[index as usize].channel) {
            return self.send_keyed_snapshot(source, index);
        }
        let stamp = self.stamp(index);
        let fields = self.field_sets.mask(self.subs[index as usize].set);
        let key = (stamp.topic, fields, stamp.codec);
        let frame = match self.snapshots.get(&key) {
            // A link's says its class.
            Some((at, frame)) if stamp.codec != Codec::Link && *at == (stamp.epoch, stamp.seq) => {
                *frame
            }
            _ => {
                let channel = self.subs[index as usize].channel;
                let frame = self.arena.step(stamp, channel, None, |out| {
                    source.write_snapshot(out, stamp, fields)
                });
                self.snapshots
                    .insert(key, ((stamp.epoch, stamp.seq), frame));
                frame
            }
        };
        self.subs[index as usize].deliver(stamp.seq);
        self.hand_over(index, frame);
    }

    /// An update with every field, outside of the group's turn.
    pub(super) fn send_whole_update(&mut self, source: &impl Source, index: u32) {
        let stamp = self.stamp(index);
        let fields = self
            .field_sets
            .of_whole_update(self.subs[index as usize].set);
        let channel = self.subs[index as usize].channel;
        let before = stamp.seq.checked_sub(1);
        let frame = self.arena.step(stamp, channel, before, |out| {
            source.write_update(out, stamp, fields)
        });
        self.updates += u64::from(self.subs[index as usize].deliver(stamp.seq));
        self.subs[index as usize].waits &= !waits::BEHIND;
        self.hand_over(index, frame);
    }

    /// Everything after `last` up to `seq` was dropped.
    fn announce_loss(&mut self, source: &impl Source, index: u32, seq: u64) {
        let stamp = Stamp {
            seq,
            ..self.stamp(index)
        };
        let sub = &mut self.subs[index as usize];
        let count = seq.saturating_sub(sub.last);
        if count == 0 {
            return;
        }
        // What lies before the base was no part of the counting.
        sub.lost += seq.saturating_sub(sub.last.max(sub.base));
        sub.last = seq;
        let channel = sub.channel;
        let frame = self.arena.step(stamp, channel, Some(seq - count), |out| {
            source.write_lost(out, stamp, channel, count)
        });
        self.hand_over(index, frame);
    }

    /// Nobody knows how much was lost between two epochs: a count of 0, at the beginning of the new one.
    fn announce_epoch(&mut self, source: &impl Source, index: u32) {
        let stamp = Stamp {
            seq: 0,
            ..self.stamp(index)
        };
        let channel = self.subs[index as usize].channel;
        let frame = self.arena.step(stamp, channel, None, |out| {
            source.write_lost(out, stamp, channel, 0);
        });
        self.hand_over(index, frame);
    }

    /// The trades after `last`; what the history lost meanwhile is announced.
    fn replay(&mut self, source: &impl Source, index: u32) {
        let stamp = self.stamp(index);
        let oldest = self.topics[stamp.topic as usize].trades.oldest(stamp.seq);
        if self.subs[index as usize].last < oldest {
            self.announce_loss(source, index, oldest);
        }
        let from = self.subs[index as usize].last;
        let mut frames: Vec<(u64, FrameRef)> = Vec::new();
        for (seq, trade) in self.topics[stamp.topic as usize]
            .trades
            .after(from, stamp.seq)
        {
            let stamp = Stamp { seq, ..stamp };
            let before = Some(seq - 1);
            let frame = self.arena.step(stamp, CHANNEL_TRADES, before, |out| {
                source.write_trade(out, stamp, &trade.row, trade.text.as_deref())
            });
            frames.push((seq, frame));
        }
        for (seq, frame) in frames {
            self.updates += u64::from(self.subs[index as usize].deliver(seq));
            self.hand_over(index, frame);
        }
    }

    /// Gives a frame to the subscription's client; to its buffer where it is blocked (only a barrier does that).
    pub(super) fn hand_over(&mut self, index: u32, frame: FrameRef) {
        let number = self.subs[index as usize].client;
        let client: &mut Client = &mut self.clients[number as usize];
        client.push(number, frame, &mut self.dirty);
        self.references += 1;
        if client.is_blocked {
            self.settle(number);
        }
    }

    /// The barrier: what is pending of the client goes into its buffer, whatever its rate.
    pub fn sync(
        &mut self,
        source: &impl Source,
        id: ClientId,
        now_ns: i64,
    ) -> Vec<super::Counters> {
        self.advance(now_ns);
        let Some(client) = self.index_of(id) else {
            return Vec::new();
        };
        for place in 0..self.clients[client as usize].subs.len() {
            let sub = self.clients[client as usize].subs[place];
            if is_keyed(self.subs[sub as usize].channel) {
                self.sync_keyed(source, sub);
            } else if self.subs[sub as usize].waits & waits::CATCHING_UP != 0 {
                self.catch_up(source, sub);
            } else if self.subs[sub as usize].last < self.stamp(sub).seq {
                self.send_whole_update(source, sub);
            }
        }
        self.settle(client);
        self.clear_arena_if_unused();
        self.counters(client)
    }
}
