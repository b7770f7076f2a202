//! A hub whose source is a mirror: somebody else counts, keeps the history and conflates.
//!
//! What a link brings is put here. The clients' tables, groups and sends are those of every hub. What was due at the
//! owner is due here at once: a class's interval has passed there already.

use super::clients::{Client, ClientId};
use super::topics::NEVER;
use super::{
    CHANNEL_PRICE, CHANNEL_TRADES, CLASS_ALL, COUNTERS, Fanout, NONE, Refusal, Source, Stamp,
    counter, waits,
};
use crate::encode::Codec;
use crate::latest::{Topic, TradeRow, field};

impl Fanout {
    /// The epoch that the owner says; another one than before begins everything anew.
    pub fn set_epoch(&mut self, topic: Topic, epoch: u64) {
        self.grow_topics(topic as usize + 1);
        let state = &self.topics[topic as usize];
        if state.epoch == epoch {
            return;
        }
        let has_members = state.seq != [0; COUNTERS]
            || state.groups.all().next().is_some()
            || state.all.iter().any(|members| !members.is_empty());
        if has_members {
            self.renew(topic);
        }
        self.topics[topic as usize].epoch = epoch;
    }

    /// The counter of a channel is at least here; false where it was already.
    pub fn raise(&mut self, topic: Topic, channel: u8, seq: u64) -> bool {
        let place = &mut self.topics[topic as usize].seq[counter(channel)];
        let is_news = seq > *place;
        *place = seq.max(*place);
        is_news
    }

    /// One class of `price` has news (or the whole state again, where `is_turn` is false: then in its own time).
    /// Classes that nobody feeds (`is_fed`) take theirs from it, at their own rate.
    pub fn merged(
        &mut self,
        (topic, class): (Topic, u8),
        fields: u32,
        is_turn: bool,
        is_fed: impl Fn(u8) -> bool,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        let groups: Vec<u32> = self.topics[topic as usize]
            .groups
            .of(CHANNEL_PRICE)
            .collect();
        for index in groups {
            let group = &mut self.groups[index as usize];
            if group.class == class {
                group.changed |= fields;
                if is_turn && !group.is_scheduled {
                    group.sent_ns = NEVER;
                }
            } else if is_fed(group.class) {
                continue;
            } else {
                group.changed |= fields;
            }
            self.schedule(index, now);
        }
    }

    /// One class of a keyed channel has news: a book, or the bars that begin at these times.
    pub fn keyed_news(
        &mut self,
        (topic, channel, class): (Topic, u8, u8),
        seq: u64,
        starts: &[i64],
        is_fed: impl Fn(u8) -> bool,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        self.raise(topic, channel, seq);
        let groups: Vec<u32> = self.topics[topic as usize].groups.of(channel).collect();
        for index in groups {
            let group = &mut self.groups[index as usize];
            if group.class != class && is_fed(group.class) {
                continue;
            }
            if group.class == class && !group.is_scheduled {
                group.sent_ns = NEVER;
            }
            if let Some(kept) = &mut group.kept {
                for start_ns in starts {
                    kept.touch(*start_ns, seq);
                }
            }
            self.schedule(index, now);
        }
    }

    /// A change in mode `all`, with the owner's seq.
    pub fn passed(
        &mut self,
        source: &impl Source,
        topic: Topic,
        seq: u64,
        fields: u32,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        let stamp = self.stamp_of(topic, CHANNEL_PRICE, seq, now);
        self.deliver_each(CHANNEL_PRICE, stamp, |out, stamp, set, sets| {
            source.write_update(out, stamp, sets.of_update(set, fields));
        });
    }

    /// A trade, with the owner's seq. What lies between it and the one before was lost.
    pub fn traded(
        &mut self,
        source: &impl Source,
        (topic, seq): (Topic, u64),
        row: &TradeRow,
        text: Option<&str>,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        let known = self.topics[topic as usize].seq[counter(CHANNEL_TRADES)];
        if seq <= known {
            return;
        }
        if seq > known + 1 {
            self.dropped(topic, CHANNEL_TRADES, seq - 1);
        }
        self.raise(topic, CHANNEL_TRADES, seq);
        let (count_max, age_ns) = (self.settings.history_count, self.settings.history_ns);
        let state = &mut self.topics[topic as usize];
        state.trades.push(*row, text, now, count_max, age_ns);
        let stamp = self.stamp_of(topic, CHANNEL_TRADES, seq, now);
        self.deliver_each(CHANNEL_TRADES, stamp, |out, stamp, _, _| {
            source.write_trade(out, stamp, row, text);
        });
    }

    /// Everything up to `seq` that did not come in mode `all` never will: each client is told how much it is.
    pub fn dropped(&mut self, topic: Topic, channel: u8, seq: u64) {
        self.raise(topic, channel, seq);
        let state = &mut self.topics[topic as usize];
        if channel == CHANNEL_TRADES {
            state.trades.clear();
        }
        for &index in &state.all[usize::from(channel == CHANNEL_TRADES)] {
            let sub = &mut self.subs[index as usize];
            // Who waits for a snapshot or for a loss gets it with everything in it.
            if sub.last < seq && sub.waits & waits::CATCHING_UP == 0 {
                sub.waits |= waits::LOSS;
                Client::want_attention(&mut self.clients, sub.client, &mut self.attention);
            }
        }
    }

    /// Tells everyone on `price` what became of the topic.
    pub fn told_status(&mut self, source: &impl Source, topic: Topic, now_ns: i64) {
        self.advance(now_ns);
        self.grow_topics(topic as usize + 1);
        self.send_status(source, topic);
    }

    /// The trades of a history that end where the topic stands.
    pub fn remember(&mut self, topic: Topic, seq: u64, trades: Vec<(TradeRow, Option<String>)>) {
        let now = self.now_ns;
        let (count_max, age_ns) = (self.settings.history_count, self.settings.history_ns);
        let state = &mut self.topics[topic as usize];
        if seq != state.seq[counter(CHANNEL_TRADES)] || trades.len() <= state.trades.len() {
            return;
        }
        state.trades.clear();
        for (row, text) in trades {
            let text = text.as_deref();
            state.trades.push(row, text, now, count_max, age_ns);
        }
    }

    /// Picks up a subscription that was just begun where the owner said that its client stopped.
    ///
    /// # Errors
    /// Not known to anybody.
    pub fn pick_up(
        &mut self,
        id: ClientId,
        (channel, topic): (u8, Topic),
        found: Option<u64>,
    ) -> Result<(), Refusal> {
        let client = self.index_of(id).ok_or(Refusal::Unknown)?;
        let index = self
            .find_sub(client, channel, topic)
            .ok_or(Refusal::Unknown)?;
        self.resume_at(client, index, found)
    }

    /// Clients in one class of a channel.
    #[must_use]
    pub fn members_of(&self, topic: Topic, channel: u8, class: u8) -> usize {
        let Some(state) = self.topics.get(topic as usize) else {
            return 0;
        };
        if class == CLASS_ALL {
            return state.all.get(usize::from(channel)).map_or(0, Vec::len);
        }
        match state.groups.get(channel, class) {
            NONE => 0,
            group => self.groups[group as usize].members.len(),
        }
    }

    /// Every class of every channel that has clients: topic, channel, class, how many.
    pub fn places(&self) -> impl Iterator<Item = (Topic, u8, u8, usize)> {
        self.topics.iter().zip(0..).flat_map(move |(state, topic)| {
            let merging = state.groups.all().map(move |(channel, group)| {
                let group = &self.groups[group as usize];
                (topic, channel, group.class, group.members.len())
            });
            let all = state.all.iter().zip(0..);
            merging
                .chain(
                    all.map(move |(members, channel)| (topic, channel, CLASS_ALL, members.len())),
                )
                .filter(|place| place.3 > 0)
        })
    }

    /// Topic, channel and class in force of a client's subscriptions.
    #[must_use]
    pub fn places_of(&self, id: ClientId) -> Vec<(Topic, u8, u8)> {
        let Some(client) = self.index_of(id) else {
            return Vec::new();
        };
        let subs = self.clients[client as usize].subs.iter();
        subs.map(|sub| &self.subs[*sub as usize])
            .map(|sub| (sub.topic, sub.channel, sub.stamp_class()))
            .collect()
    }

    fn stamp_of(&self, topic: Topic, channel: u8, seq: u64, now_ns: i64) -> Stamp {
        debug_assert!(counter(channel) < COUNTERS);
        Stamp {
            topic,
            epoch: self.topics[topic as usize].epoch,
            seq,
            now_ns: self.wall(now_ns),
            codec: Codec::Json,
            class: CLASS_ALL,
        }
    }

    /// All fields.
    pub const ALL_FIELDS: u32 = field::ALL;
}
