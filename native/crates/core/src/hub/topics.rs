//! Topics: counters, history, who subscribes; what a change means to each of them.

use super::clients::Client;
use super::history::{PriceHistory, TradeHistory};
use super::{
    ARENA_MAX, CHANNEL_BARS_1M, CHANNEL_BARS_1S, CHANNEL_BOOK_5, CHANNEL_BOOK_50, CHANNEL_PRICE,
    CHANNEL_TRADES, CLASS_ALL, COUNTERS, Fanout, NONE, RATE_CLASSES, Source, Stamp, Sub, counter,
    waits,
};
use crate::encode::Codec;
use crate::latest::{Cause, Change, Topic, TradeRow, field, start_of};

/// One topic as the hub sees it.
#[derive(Debug)]
pub(super) struct TopicState {
    pub epoch: u64,
    /// By [`counter`].
    pub seq: [u64; COUNTERS],
    pub groups: Groups,
    /// Subscriptions in mode `all`, of `price` and `trades`.
    pub all: [Vec<u32>; 2],
    pub prices: PriceHistory,
    pub trades: TradeHistory,
    /// The batch that changed it last.
    pub batch: u64,
}

/// The groups of a topic by channel and rate class: few, so a list.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<(u8, u8, u32)>);

impl Groups {
    /// [`NONE`] if there is none.
    pub fn get(&self, channel: u8, class: u8) -> u32 {
        let found = self
            .0
            .iter()
            .find(|entry| (entry.0, entry.1) == (channel, class));
        found.map_or(NONE, |entry| entry.2)
    }

    pub fn put(&mut self, channel: u8, class: u8, group: u32) {
        self.0.push((channel, class, group));
    }

    pub fn remove(&mut self, channel: u8, class: u8) {
        self.0
            .retain(|entry| (entry.0, entry.1) != (channel, class));
    }

    /// Channel and number of each.
    pub fn all(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        self.0.iter().map(|entry| (entry.0, entry.2))
    }

    /// Those of one channel.
    pub fn of(&self, channel: u8) -> impl Iterator<Item = u32> + '_ {
        self.all()
            .filter_map(move |(of, group)| (of == channel).then_some(group))
    }
}

/// The merge and keyed subscriptions of one topic and channel in one rate class.
#[derive(Debug)]
pub(super) struct Group {
    pub topic: Topic,
    pub channel: u8,
    pub class: u8,
    /// Waits in `ready`, in `urgent` or in the wheel.
    pub is_scheduled: bool,
    /// Fields that changed since the last frame.
    pub changed: u32,
    pub sent_ns: i64,
    pub members: Vec<u32>,
    /// Of keyed channels.
    pub kept: Option<Box<super::keyed::Kept>>,
}

/// Before all times.
pub(super) const NEVER: i64 = i64::MIN / 2;

/// Interval of a rate class, ns.
pub(super) fn interval_ns(class: u8) -> i64 {
    match RATE_CLASSES[usize::from(class)] {
        0 => 0,
        rate => 1_000_000_000 / i64::from(rate),
    }
}

/// When a group is due that was last sent at `sent_ns`: at the point of the class's own grid (multiples of its interval)
/// that lies three quarters of an interval to a whole one later, else after three quarters. So busy groups of a class
/// come onto one grid within four frames, and a client's updates share a write. There is a point of the grid between
/// any two frames of a group, so the rate is never above the class's in the long run.
pub(super) fn trailing_edge_ns(class: u8, sent_ns: i64) -> i64 {
    let interval = interval_ns(class);
    let point = sent_ns + interval - sent_ns.rem_euclid(interval);
    let soonest = sent_ns + interval / 4 * 3;
    if point >= soonest { point } else { soonest }
}

impl Fanout {
    /// Makes room for topics that were defined since.
    pub(super) fn grow_topics(&mut self, count: usize) {
        while self.topics.len() < count {
            self.topics.push(TopicState {
                epoch: self.settings.epoch,
                seq: [0; COUNTERS],
                groups: Groups::default(),
                all: [Vec::new(), Vec::new()],
                prices: PriceHistory::default(),
                trades: TradeHistory::default(),
                batch: 0,
            });
        }
    }

    /// A new batch begins; changed topics are counted from here.
    pub(super) fn begin_batch(&mut self) {
        self.batch += 1;
        self.changed = 0;
    }

    /// Topics that changed since the batch began.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    /// Takes one change, right after it happened.
    pub fn change(
        &mut self,
        source: &impl Source,
        change: Change,
        text: Option<&str>,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        self.grow_topics(change.topic as usize + 1);
        let index = change.topic as usize;
        let (count_max, age_ns) = (self.settings.history_count, self.settings.history_ns);
        let topic = &mut self.topics[index];
        if topic.batch != self.batch {
            topic.batch = self.batch;
            self.changed += 1;
        }
        match change.cause {
            Cause::Book => return self.change_book(change.topic, None, now),
            Cause::Bar { interval, start_ns } => {
                let channel = CHANNEL_BARS_1S + interval;
                return self.change_bar(change.topic, channel, start_ns, None, now);
            }
            Cause::Trade(_) | Cause::Quote | Cause::Other => {}
        }
        topic.seq[counter(CHANNEL_PRICE)] += 1;
        topic.prices.push(
            topic.seq[counter(CHANNEL_PRICE)],
            source.last_trade_ns(change.topic),
            now,
            count_max,
            age_ns,
        );
        if let Cause::Trade(row) = change.cause {
            topic.seq[counter(CHANNEL_TRADES)] += 1;
            topic.trades.push(row, text, now, count_max, age_ns);
        }
        if change.fields & !field::SERVER_TIMESTAMP != 0 {
            self.schedule_all(change.topic, CHANNEL_PRICE, change.fields, now);
        }
        if change.fields & field::STATE != 0 {
            self.send_status(source, change.topic);
        }
        if change.fields & (field::STATE | field::LEGS) != 0 {
            // What may be seen of the book goes by the states of the instrument and of the legs.
            self.change_book(change.topic, None, now);
        }
        self.deliver_all(source, change, now);
        if let Cause::Trade(row) = change.cause {
            self.deliver_trade(source, change.topic, &row, text, now);
            for (interval, channel) in [CHANNEL_BARS_1S, CHANNEL_BARS_1M].into_iter().enumerate() {
                let start_ns = start_of(interval, row.ts_event);
                self.change_bar(change.topic, channel, start_ns, None, now);
            }
        }
    }

    /// The groups of one channel of a topic have news.
    pub(super) fn schedule_all(&mut self, topic: Topic, channel: u8, fields: u32, now_ns: i64) {
        for place in 0..self.topics[topic as usize].groups.0.len() {
            let (of, _, group) = self.topics[topic as usize].groups.0[place];
            if of == channel {
                self.groups[group as usize].changed |= fields;
                self.schedule(group, now_ns);
            }
        }
    }

    /// A group with news: due at once if its class's interval has passed in quiet, else at the trailing edge.
    pub(super) fn schedule(&mut self, index: u32, now_ns: i64) {
        let group = &mut self.groups[index as usize];
        if group.is_scheduled {
            return;
        }
        group.is_scheduled = true;
        if group.class == 0 {
            self.urgent.push(index);
        } else if now_ns - group.sent_ns >= interval_ns(group.class) {
            self.ready.push(index);
        } else {
            let due = trailing_edge_ns(group.class, group.sent_ns);
            self.wheel.insert(index, due, now_ns);
        }
    }

    /// Tells everyone what became of the topic, at once, outside of the counters. Books say it themselves; who watches
    /// several of the other channels hears it once.
    pub(super) fn send_status(&mut self, source: &impl Source, topic: Topic) {
        let state = &self.topics[topic as usize];
        let groups = state.groups.all();
        let merging = groups
            .filter(|(channel, _)| !is_book(*channel))
            .flat_map(|(_, group)| self.groups[group as usize].members.iter());
        let mut variants = Variants::default();
        let stamp = Stamp {
            topic,
            epoch: state.epoch,
            seq: state.seq[counter(CHANNEL_PRICE)],
            now_ns: self.wall(self.now_ns),
            codec: Codec::Json,
            class: CLASS_ALL,
        };
        for &sub in merging.chain(state.all.iter().flatten()) {
            let sub = &self.subs[sub as usize];
            let client = &mut self.clients[sub.client as usize];
            // A snapshot, or the full update after a block, says it too.
            if sub.waits & waits::SNAPSHOT != 0 || client.is_blocked {
                continue;
            }
            if sub.channel != CHANNEL_PRICE && is_told_before(client, &self.subs, sub) {
                continue;
            }
            let stamp = Stamp {
                codec: client.codec,
                ..stamp
            };
            let frame = variants.get(0, client.codec, 0, || {
                self.arena
                    .frame(stamp.codec, |out| source.write_status(out, stamp))
            });
            client.push(sub.client, frame, &mut self.dirty);
            self.references += 1;
        }
    }

    /// Mode `all` of `price`: each change is a frame, also where none of the asked fields changed.
    fn deliver_all(&mut self, source: &impl Source, change: Change, now_ns: i64) {
        let topic = &self.topics[change.topic as usize];
        if topic.all[usize::from(CHANNEL_PRICE)].is_empty() {
            return;
        }
        let stamp = Stamp {
            topic: change.topic,
            epoch: topic.epoch,
            seq: topic.seq[counter(CHANNEL_PRICE)],
            now_ns: self.wall(now_ns),
            codec: Codec::Json,
            class: CLASS_ALL,
        };
        self.deliver_each(CHANNEL_PRICE, stamp, |out, stamp, set, sets| {
            source.write_update(out, stamp, sets.of_update(set, change.fields));
        });
    }

    fn deliver_trade(
        &mut self,
        source: &impl Source,
        topic: Topic,
        row: &TradeRow,
        text: Option<&str>,
        now_ns: i64,
    ) {
        let state = &self.topics[topic as usize];
        let stamp = Stamp {
            topic,
            epoch: state.epoch,
            seq: state.seq[counter(CHANNEL_TRADES)],
            now_ns: self.wall(now_ns),
            codec: Codec::Json,
            class: CLASS_ALL,
        };
        self.deliver_each(CHANNEL_TRADES, stamp, |out, stamp, _, _| {
            source.write_trade(out, stamp, row, text)
        });
    }

    /// One frame to each subscription in mode `all`, encoded once for each spelling.
    pub(super) fn deliver_each(
        &mut self,
        channel: u8,
        stamp: Stamp,
        write: impl Fn(&mut Vec<u8>, Stamp, u8, &super::FieldSets),
    ) {
        let is_full = self.arena.len() > ARENA_MAX;
        let mut kept_with_ids = Vec::new();
        let mut variants = Variants::default();
        for &index in &self.topics[stamp.topic as usize].all[usize::from(channel)] {
            let sub = &mut self.subs[index as usize];
            if sub.waits & waits::CATCHING_UP != 0 || sub.last >= stamp.seq {
                continue;
            }
            let client = &mut self.clients[sub.client as usize];
            let set = if channel == CHANNEL_PRICE { sub.set } else { 0 };
            let stamp = Stamp {
                codec: client.codec,
                ..stamp
            };
            let frame = variants.get(set, client.codec, 0, || {
                let before = stamp.seq.checked_sub(1);
                self.arena.step(stamp, channel, before, |out| {
                    write(out, stamp, set, &self.field_sets)
                })
            });
            let is_taken = if is_full {
                false
            } else if client.is_blocked && client.ids.is_some() {
                kept_with_ids.push((index, frame));
                continue;
            } else if client.is_blocked {
                client.keep(&self.arena, frame, client.buffer_max(&self.settings))
            } else {
                client.push(sub.client, frame, &mut self.dirty);
                self.references += 1;
                self.unfiltered.give(&mut client.looks[1]);
                true
            };
            if is_taken {
                self.updates += u64::from(sub.deliver(stamp.seq));
            } else {
                sub.waits |= waits::LOSS;
                Client::want_attention(&mut self.clients, sub.client, &mut self.attention);
            }
        }
        for (index, frame) in kept_with_ids {
            self.keep_event(index, frame, stamp.seq);
        }
    }

    /// Begins a new epoch of a topic: continuity cannot be proved any more. Everyone gets a snapshot; of `trades`, which
    /// has none, a loss of unknown size.
    pub fn renew(&mut self, topic: Topic) -> Option<u64> {
        let state = self.topics.get_mut(topic as usize)?;
        self.epoch_next += 1;
        state.epoch = self.epoch_next;
        state.seq = [0; COUNTERS];
        state.prices.clear();
        state.trades.clear();
        for (_, group) in state.groups.all() {
            if let Some(kept) = &mut self.groups[group as usize].kept {
                kept.renew();
            }
        }
        let groups = state.groups.all();
        let members: Vec<u32> = groups
            .flat_map(|(_, group)| self.groups[group as usize].members.iter())
            .chain(state.all.iter().flatten())
            .copied()
            .collect();
        for sub in members {
            let sub = &mut self.subs[sub as usize];
            (sub.base, sub.last, sub.delivered, sub.lost) = (0, 0, 0, 0);
            sub.waits = if sub.channel == CHANNEL_TRADES {
                waits::EPOCH | waits::REPLAY
            } else {
                waits::SNAPSHOT
            };
            Client::want_attention(&mut self.clients, sub.client, &mut self.attention);
        }
        Some(self.epoch_next)
    }
}

const fn is_book(channel: u8) -> bool {
    matches!(channel, CHANNEL_BOOK_5..=CHANNEL_BOOK_50)
}

/// Whether another subscription of the client brings it the topic's state: `price`, or the first of the others.
fn is_told_before(client: &Client, subs: &[Sub], sub: &Sub) -> bool {
    let others = client.subs.iter().map(|index| &subs[*index as usize]);
    others
        .filter(|other| other.topic == sub.topic && !is_book(other.channel))
        .any(|other| other.channel < sub.channel)
}

/// Frames of one change, by what tells them apart: there are a handful at most, and the last one usually fits.
#[derive(Default)]
pub(super) struct Variants {
    last: Option<(u32, super::FrameRef)>,
    all: Vec<(u32, super::FrameRef)>,
}

impl Variants {
    pub fn get(
        &mut self,
        set: u8,
        codec: Codec,
        other: u8,
        make: impl FnOnce() -> super::FrameRef,
    ) -> super::FrameRef {
        let key = u32::from(set) << 16 | u32::from(other) << 8 | codec as u32;
        match self.last {
            Some((last, frame)) if last == key => frame,
            _ => {
                let known = self
                    .all
                    .iter()
                    .find(|entry| entry.0 == key)
                    .map(|entry| entry.1);
                let frame = known.unwrap_or_else(|| {
                    let frame = make();
                    self.all.push((key, frame));
                    frame
                });
                self.last = Some((key, frame));
                frame
            }
        }
    }

    pub fn clear(&mut self) {
        self.last = None;
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A time of day with nothing round about it.
    const BEGIN: i64 = 1_774_794_601_234_567_890;

    proptest! {
        /// However late the flushes are: each frame is due within the last quarter of the interval, and a point of the
        /// grid lies between it and the one before, so that the long run has no more frames than points.
        #[test]
        fn between_two_frames_lies_a_point_of_the_grid(
            class in 1u8..6, phase in 0i64..1_000_000_000, lates in prop::collection::vec(0i64..300_000_000, 1..200)
        ) {
            let interval = interval_ns(class);
            let mut sent = BEGIN + phase;
            for late in lates {
                let due = trailing_edge_ns(class, sent);
                prop_assert!(due >= sent + interval / 4 * 3 && due <= sent + interval);
                prop_assert!(due.div_euclid(interval) > sent.div_euclid(interval), "{} after {}", due, sent);
                sent = due + late % interval;
            }
        }

        /// From any phase, and though each flush is a little late, a group is on the grid after four frames.
        #[test]
        fn groups_converge_to_one_grid(class in 1u8..6, phase in 0i64..1_000_000_000, late in 0i64..1_000_000) {
            let interval = interval_ns(class);
            let mut sent = BEGIN + phase;
            for _ in 0..4 {
                sent = trailing_edge_ns(class, sent) + late;
            }
            for _ in 0..20 {
                let due = trailing_edge_ns(class, sent);
                prop_assert_eq!(due % interval, 0);
                sent = due + late;
            }
        }
    }
}
