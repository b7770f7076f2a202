//! Subscriptions: begin, change, end.

use super::allowed::lower;
use super::clients::{Client, ClientId};
use super::topics::{Group, NEVER};
use super::{
    CHANNEL_BOOK_5, CHANNEL_BOOK_50, CHANNEL_PRICE, CHANNEL_TRADES, Fanout, MODE_ALL, MODE_MERGE,
    NONE, RATE_CLASSES, Sub, counter, is_keyed, waits,
};
use crate::latest::Topic;

/// Where a subscription stands, and what is in force for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The handle of binary codecs.
    pub topic: Topic,
    pub epoch: u64,
    pub seq: u64,
    /// One of [`RATE_CLASSES`].
    pub rate: u8,
    /// Every field where too many different sets are in use.
    pub fields: u32,
    pub mode: u8,
}

/// What a client asks of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub channel: u8,
    pub topic: Topic,
    /// One of [`RATE_CLASSES`].
    pub rate: u8,
    /// A mask; 0 = all.
    pub fields: u32,
    pub mode: u8,
}

impl Fanout {
    /// Begins or changes a subscription; `None` if there is no such client.
    ///
    /// Mode `all` and channel `trades` have no rate but 0; `trades` has no other mode. Only `price` has fields.
    pub fn subscribe(&mut self, id: ClientId, wish: Wish) -> Option<Position> {
        let client = self.index_of(id)?;
        self.grow_topics(wish.topic as usize + 1);
        let is_price = wish.channel == CHANNEL_PRICE;
        let mode = match wish.channel {
            CHANNEL_PRICE => wish.mode,
            CHANNEL_TRADES => MODE_ALL,
            _ => MODE_MERGE,
        };
        let rate = if mode == MODE_ALL { 0 } else { wish.rate };
        let asked = RATE_CLASSES
            .iter()
            .rposition(|class| *class <= rate)
            .unwrap_or(0) as u8;
        let class = if mode == MODE_ALL {
            asked
        } else {
            lower(asked, self.clients[client as usize].cap)
        };
        let set = if is_price {
            self.field_sets.take(wish.fields)
        } else {
            0
        };
        let seq = self.topics[wish.topic as usize].seq[counter(wish.channel)];
        let index = match self.find_sub(client, wish.channel, wish.topic) {
            Some(index) => {
                self.change_sub(index, (asked, class), mode, set);
                index
            }
            None => self.add_sub(Sub {
                client,
                topic: wish.topic,
                at: 0,
                channel: wish.channel,
                class,
                asked,
                mode,
                set,
                waits: if wish.channel == CHANNEL_TRADES {
                    0
                } else {
                    waits::SNAPSHOT
                },
                base: seq,
                last: seq,
                delivered: 0,
                lost: 0,
            }),
        };
        if self.subs[index as usize].waits != 0 {
            Client::want_attention(&mut self.clients, client, &mut self.attention);
        }
        Some(self.position_of(index))
    }

    fn position_of(&self, index: u32) -> Position {
        let sub = &self.subs[index as usize];
        let topic = &self.topics[sub.topic as usize];
        Position {
            topic: sub.topic,
            epoch: topic.epoch,
            seq: topic.seq[counter(sub.channel)],
            rate: RATE_CLASSES[usize::from(sub.class)],
            fields: self.field_sets.asked(sub.set),
            mode: sub.mode,
        }
    }

    /// A topic's counters, for one who does not subscribe.
    #[must_use]
    pub fn position(&self, topic: Topic, channel: u8) -> Position {
        let (epoch, seq) = self
            .topics
            .get(topic as usize)
            .map_or((self.settings.epoch, 0), |state| {
                (state.epoch, state.seq[counter(channel)])
            });
        Position {
            topic,
            epoch,
            seq,
            rate: 0,
            fields: 0,
            mode: MODE_MERGE,
        }
    }

    /// Topics that are subscribed to, and how many subscriptions each has.
    pub fn watched(&self) -> impl Iterator<Item = (Topic, usize)> {
        let further = self.further_watchers();
        self.topics
            .iter()
            .enumerate()
            .filter_map(move |(topic, state)| {
                let merging: usize = state
                    .groups
                    .all()
                    .map(|(_, group)| self.groups[group as usize].members.len())
                    .sum();
                let count = merging + state.all.iter().map(Vec::len).sum::<usize>();
                let further = further.get(&(topic as Topic)).copied().unwrap_or(0);
                (count > 0).then_some((topic as Topic, count + further))
            })
    }

    /// Topics whose book is subscribed to, to any depth.
    pub fn watched_books(&self) -> impl Iterator<Item = Topic> {
        let is_book = |channel| (CHANNEL_BOOK_5..=CHANNEL_BOOK_50).contains(&channel);
        self.topics
            .iter()
            .enumerate()
            .filter_map(move |(topic, state)| {
                let is_watched = state.groups.all().any(|(channel, group)| {
                    is_book(channel) && !self.groups[group as usize].members.is_empty()
                });
                is_watched.then_some(topic as Topic)
            })
    }

    pub(super) fn find_sub(&self, client: u32, channel: u8, topic: Topic) -> Option<u32> {
        let subs = &self.clients[client as usize].subs;
        subs.iter().copied().find(|index| {
            let sub = &self.subs[*index as usize];
            sub.topic == topic && sub.channel == channel
        })
    }

    pub(super) fn add_sub(&mut self, sub: Sub) -> u32 {
        let client = sub.client as usize;
        let index = match self.subs_free.pop() {
            Some(index) => {
                self.subs[index as usize] = sub;
                index
            }
            None => {
                self.subs.push(sub);
                self.subs.len() as u32 - 1
            }
        };
        self.clients[client].subs.push(index);
        self.join(index);
        index
    }

    /// A change of class, mode or fields sends a snapshot; the counting goes on. The new set is already taken.
    fn change_sub(&mut self, index: u32, (asked, class): (u8, u8), mode: u8, set: u8) {
        let sub = &self.subs[index as usize];
        let old_set = sub.set;
        if (sub.asked, sub.class, sub.mode, sub.set) != (asked, class, mode, set) {
            self.leave(index);
            let sub = &mut self.subs[index as usize];
            (sub.asked, sub.class, sub.mode, sub.set) = (asked, class, mode, set);
            sub.waits = sub.waits & !waits::BEHIND | waits::SNAPSHOT;
            if mode == MODE_MERGE {
                // What mode `all` dropped is merged into the snapshot.
                sub.waits &= !waits::LOSS;
            }
            self.join(index);
        }
        self.field_sets.release(old_set);
    }

    /// The list of members that a subscription belongs to.
    fn members(&mut self, index: u32) -> &mut Vec<u32> {
        let sub = &self.subs[index as usize];
        let topic = &mut self.topics[sub.topic as usize];
        if sub.mode == MODE_ALL {
            &mut topic.all[counter(sub.channel)]
        } else {
            &mut self.groups[topic.groups.get(sub.channel, sub.class) as usize].members
        }
    }

    pub(super) fn join(&mut self, index: u32) {
        let sub = &self.subs[index as usize];
        let (topic, channel, class) = (sub.topic, sub.channel, sub.class);
        if sub.mode != MODE_ALL && self.topics[topic as usize].groups.get(channel, class) == NONE {
            let group = Group {
                topic,
                channel,
                class,
                is_scheduled: false,
                changed: 0,
                sent_ns: NEVER,
                members: Vec::new(),
                kept: is_keyed(channel).then(super::keyed::Kept::new),
            };
            let number = match self.groups_free.pop() {
                Some(number) => {
                    self.groups[number as usize] = group;
                    number
                }
                None => {
                    self.groups.push(group);
                    self.groups.len() as u32 - 1
                }
            };
            self.topics[topic as usize]
                .groups
                .put(channel, class, number);
        }
        let members = self.members(index);
        members.push(index);
        self.subs[index as usize].at = self.members(index).len() as u32 - 1;
    }

    pub(super) fn leave(&mut self, index: u32) {
        let at = self.subs[index as usize].at as usize;
        let members = self.members(index);
        members.swap_remove(at);
        if members.is_empty() {
            *members = Vec::new();
        }
        if let Some(moved) = members.get(at).copied() {
            self.subs[moved as usize].at = at as u32;
        }
        let sub = &self.subs[index as usize];
        if sub.mode != MODE_ALL {
            self.drop_group_if_unused(sub.topic, sub.channel, sub.class);
        }
    }

    /// A group without members is given back; one that waits for its time, when that has come.
    pub(super) fn drop_group_if_unused(&mut self, topic: Topic, channel: u8, class: u8) {
        let groups = &mut self.topics[topic as usize].groups;
        let number = groups.get(channel, class);
        let group = &self.groups[number as usize];
        if group.members.is_empty() && !group.is_scheduled {
            groups.remove(channel, class);
            self.groups_free.push(number);
        }
    }

    /// Ends a subscription; frames that are already on their way still come. False if there was none.
    pub fn unsubscribe(&mut self, id: ClientId, channel: u8, topic: Topic) -> bool {
        let Some(client) = self.index_of(id) else {
            return false;
        };
        let Some(sub) = self.find_sub(client, channel, topic) else {
            return false;
        };
        self.remove_sub(sub);
        let subs = &mut self.clients[client as usize].subs;
        subs.retain(|other| *other != sub);
        if subs.capacity() > 4 * subs.len().max(4) {
            subs.shrink_to_fit();
        }
        true
    }

    /// Takes a subscription out of everything but its client's list.
    pub(super) fn remove_sub(&mut self, index: u32) {
        self.leave(index);
        self.field_sets.release(self.subs[index as usize].set);
        self.subs_free.push(index);
    }

    /// Channel, topic and what is in force, of each subscription; but the rate is the one asked for.
    #[must_use]
    pub fn subscriptions(&self, id: ClientId) -> Vec<(u8, Topic, Position)> {
        let Some(client) = self.index_of(id) else {
            return Vec::new();
        };
        let subs = self.clients[client as usize].subs.iter();
        subs.map(|index| {
            let sub = &self.subs[*index as usize];
            let position = Position {
                rate: RATE_CLASSES[usize::from(sub.asked)],
                ..self.position_of(*index)
            };
            (sub.channel, sub.topic, position)
        })
        .collect()
    }
}
