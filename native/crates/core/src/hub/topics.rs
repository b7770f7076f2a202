//! Topics: counters, history, who subscribes; what a change means to each of them.

use super::clients::Client;
use super::history::{PriceHistory, TradeHistory};
use super::{
    ARENA_MAX, CHANNEL_PRICE, CHANNEL_TRADES, Fanout, NONE, RATE_CLASSES, Source, Stamp, waits,
};
use crate::latest::{Cause, Change, Topic, TradeRow, field};

/// One topic as the hub sees it.
#[derive(Debug)]
pub(super) struct TopicState {
    pub epoch: u64,
    /// By channel.
    pub seq: [u64; 2],
    /// Groups of channel `price`, by rate class.
    pub groups: [u32; RATE_CLASSES.len()],
    /// Subscriptions in mode `all`, by channel.
    pub all: [Vec<u32>; 2],
    pub prices: PriceHistory,
    pub trades: TradeHistory,
    /// The batch that changed it last.
    pub batch: u64,
}

/// The merge subscriptions of one topic in one rate class.
#[derive(Debug)]
pub(super) struct Group {
    pub topic: Topic,
    pub class: u8,
    /// Waits in `ready`, in `urgent` or in the wheel.
    pub is_scheduled: bool,
    /// Fields that changed since the last frame.
    pub changed: u32,
    pub sent_ns: i64,
    pub members: Vec<u32>,
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

/// When a group is due that was last sent at `sent_ns`: the last moment of the interval that lies on the topic's own
/// grid of quarter intervals. So a group that is always busy keeps its rate exactly, a lone burst gets its last value
/// after three quarters of an interval to a whole one, and topics that began together drift apart.
fn trailing_edge_ns(topic: Topic, class: u8, sent_ns: i64) -> i64 {
    let interval = interval_ns(class);
    let quarter = interval / 4;
    let phase = (i64::from(topic.wrapping_mul(0x9E37_79B1)) * quarter) >> 32;
    let end = sent_ns + interval;
    end - (end - phase).rem_euclid(quarter)
}

impl Fanout {
    /// Makes room for topics that were defined since.
    pub(super) fn grow_topics(&mut self, count: usize) {
        while self.topics.len() < count {
            self.topics.push(TopicState {
                epoch: self.settings.epoch,
                seq: [0, 0],
                groups: [NONE; RATE_CLASSES.len()],
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
        topic.seq[0] += 1;
        topic.prices.push(
            topic.seq[0],
            source.last_trade_ns(change.topic),
            now,
            count_max,
            age_ns,
        );
        let groups = topic.groups;
        if let Cause::Trade(row) = change.cause {
            topic.seq[1] += 1;
            topic.trades.push(row, text, now, count_max, age_ns);
        }
        if change.fields & !field::SERVER_TIMESTAMP != 0 {
            for group in groups.into_iter().filter(|group| *group != NONE) {
                self.groups[group as usize].changed |= change.fields;
                self.schedule(group, now);
            }
        }
        if change.fields & field::STATE != 0 {
            self.send_status(source, change.topic);
        }
        self.deliver_all(source, change, now);
        if let Cause::Trade(row) = change.cause {
            self.deliver_trade(source, change.topic, &row, text, now);
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
            let due = trailing_edge_ns(group.topic, group.class, group.sent_ns);
            self.wheel.insert(index, due, now_ns);
        }
    }

    /// Tells everyone on `price` what became of the topic, at once, outside of the counters.
    fn send_status(&mut self, source: &impl Source, topic: Topic) {
        let state = &self.topics[topic as usize];
        let groups = state.groups.into_iter().filter(|group| *group != NONE);
        let merging = groups.flat_map(|group| self.groups[group as usize].members.iter());
        let mut frame = None;
        for &sub in merging.chain(&state.all[usize::from(CHANNEL_PRICE)]) {
            let sub = &self.subs[sub as usize];
            let client = &mut self.clients[sub.client as usize];
            // A snapshot, or the full update after a block, says it too.
            if sub.waits & waits::CATCHING_UP != 0 || client.is_blocked {
                continue;
            }
            let frame = *frame
                .get_or_insert_with(|| self.arena.text(|out| source.write_status(out, topic)));
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
            seq: topic.seq[0],
            now_ns,
            strings: false,
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
            seq: state.seq[1],
            now_ns,
            strings: false,
        };
        self.deliver_each(CHANNEL_TRADES, stamp, |out, stamp, _, _| {
            source.write_trade(out, stamp, row, text)
        });
    }

    /// One frame to each subscription in mode `all`, encoded once for each spelling.
    fn deliver_each(
        &mut self,
        channel: u8,
        stamp: Stamp,
        write: impl Fn(&mut Vec<u8>, Stamp, u8, &super::FieldSets),
    ) {
        let is_full = self.arena.len() > ARENA_MAX;
        let mut variants = Variants::default();
        for &sub in &self.topics[stamp.topic as usize].all[usize::from(channel)] {
            let sub = &mut self.subs[sub as usize];
            if sub.waits & waits::CATCHING_UP != 0 {
                continue;
            }
            let client = &mut self.clients[sub.client as usize];
            let set = if channel == CHANNEL_PRICE { sub.set } else { 0 };
            let stamp = Stamp {
                strings: client.strings,
                ..stamp
            };
            let frame = variants.get(set, client.strings, 0, || {
                self.arena
                    .text(|out| write(out, stamp, set, &self.field_sets))
            });
            let is_taken = if is_full {
                false
            } else if client.is_blocked {
                client.keep(&self.arena, frame, self.settings.buffer_max)
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
    }

    /// Begins a new epoch of a topic: continuity cannot be proved any more. Everyone gets a snapshot.
    pub fn renew(&mut self, topic: Topic) -> Option<u64> {
        let state = self.topics.get_mut(topic as usize)?;
        self.epoch_next += 1;
        state.epoch = self.epoch_next;
        state.seq = [0, 0];
        state.prices.clear();
        state.trades.clear();
        let groups = state.groups.into_iter().filter(|group| *group != NONE);
        let members: Vec<u32> = groups
            .flat_map(|group| self.groups[group as usize].members.iter())
            .chain(state.all.iter().flatten())
            .copied()
            .collect();
        for sub in members {
            let sub = &mut self.subs[sub as usize];
            (sub.base, sub.last, sub.delivered, sub.lost) = (0, 0, 0, 0);
            sub.waits = if sub.channel == CHANNEL_PRICE {
                waits::SNAPSHOT
            } else {
                0
            };
            Client::want_attention(&mut self.clients, sub.client, &mut self.attention);
        }
        Some(self.epoch_next)
    }
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
        strings: bool,
        other: u8,
        make: impl FnOnce() -> super::FrameRef,
    ) -> super::FrameRef {
        let key = u32::from(set) << 16 | u32::from(other) << 8 | u32::from(strings);
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

    #[test]
    fn trailing_edges_lie_in_the_last_quarter_of_the_interval_and_on_a_grid() {
        for class in 1..6 {
            let interval = interval_ns(class);
            let mut phases = std::collections::HashSet::new();
            for topic in 0..200 {
                let sent = 1_774_794_601_234_567_890;
                let first = trailing_edge_ns(topic, class, sent);
                assert!(first > sent + interval / 4 * 3 && first <= sent + interval);
                assert_eq!(trailing_edge_ns(topic, class, first), first + interval);
                assert_eq!(
                    trailing_edge_ns(topic, class, first + 9_000_000),
                    first + interval,
                    "late once, on time again"
                );
                phases.insert((first - sent) / 1_000_000);
            }
            assert!(
                phases.len() > 10,
                "class {class} falls due in {} different milliseconds",
                phases.len()
            );
        }
    }
}
