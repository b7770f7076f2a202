//! Books and bars: a snapshot, then what changed of it by key.
//!
//! # Books
//!
//! A difference fits one state only. So a group keeps the book as it last sent it, and at its due time sends what turns
//! that into the book of now: whoever stands at the group's book then stands at the new one. Who does not (new, or its
//! client was blocked) gets a snapshot **of the group's book**, never of a newer one: with a newer one a level that
//! changed and changed back until the next difference would stay wrong for ever. The price is that a snapshot may be as
//! old as one interval of the class.
//!
//! A group at whose book nobody stands (`is_loose`) takes the book of now before it gives a snapshot. A change of the
//! book's state goes out as a snapshot to all: an update has no state.
//!
//! # Bars
//!
//! A frame has the whole bar, so any order of states converges. A group keeps which bars changed, each with the seq of
//! its last change, and sends those; who does not stand with the group gets a snapshot of now.
//!
//! # Who tells the hub
//!
//! [`Fanout::change_book`] and [`Fanout::change_bar`] are all that a source has to call: the core for each event, a
//! mirror for each frame of its owner after it has applied it to its own book ([`Book::apply`]); the mirror passes the
//! owner's seq, the core counts up. The mirror's groups make their own differences: its clients are in other classes,
//! and stand at other states, than the mirror itself.

use super::topics::Variants;
use super::{
    CHANNEL_BARS_1M, CHANNEL_BARS_1S, CHANNEL_BOOK_5, CHANNEL_BOOK_10, CHANNEL_BOOK_50, Fanout,
    FrameRef, NONE, Source, Stamp, counter, waits,
};
use crate::encode::Codec;
use crate::latest::{Bar, Book, BookFrame, Level, Topic};

/// Bars in a snapshot.
const SNAPSHOT_BARS: usize = 60;
/// Changed bars that a group remembers: as many as there can be news of at once.
const DIRTY_MAX: usize = 1024;
/// Marks keys of snapshots of keyed groups among those of fields.
const KEYED: u32 = 1 << 31;

/// Levels of a side that a channel of books shows.
#[must_use]
pub const fn depth(channel: u8) -> u8 {
    match channel {
        CHANNEL_BOOK_5 => 5,
        CHANNEL_BOOK_10 => 10,
        _ => 50,
    }
}

/// Number of the interval of a channel of bars.
#[must_use]
pub const fn interval(channel: u8) -> usize {
    (channel == CHANNEL_BARS_1M) as usize
}

const fn is_book(channel: u8) -> bool {
    channel < CHANNEL_BARS_1S
}

/// What a group keeps of what it sent.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Books: as it was sent last.
    book: Book,
    /// The topic's seq that this is of.
    seq: u64,
    /// Nobody stands here: what is kept may be replaced.
    is_loose: bool,
    /// Change messages so far.
    messages: u64,
    /// Bars: begin and seq of those that changed since.
    dirty: Vec<(i64, u64)>,
}

impl Kept {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            is_loose: true,
            ..Self::default()
        })
    }

    /// A new epoch begins: nobody stands anywhere.
    pub fn renew(&mut self) {
        self.is_loose = true;
        self.seq = 0;
        self.dirty.clear();
    }

    pub(super) fn touch(&mut self, start_ns: i64, seq: u64) {
        match self.dirty.iter_mut().rfind(|entry| entry.0 == start_ns) {
            Some(entry) => entry.1 = seq,
            None => {
                if self.dirty.len() >= DIRTY_MAX {
                    self.dirty.remove(0);
                }
                self.dirty.push((start_ns, seq));
            }
        }
    }

    /// The book as a snapshot.
    fn whole(&self, channel: u8) -> BookFrame<'_> {
        BookFrame {
            depth: depth(channel),
            bids: &self.book.bids,
            asks: &self.book.asks,
            timestamp_ns: self.book.timestamp_ns,
            time_precision: self.book.time_precision,
            state: Some(self.book.state),
            is_last: true,
            digest: Some(self.book.digest()),
        }
    }
}

/// Memory for one difference, used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    book: Book,
    bids: Vec<Level>,
    asks: Vec<Level>,
    bars: Vec<Bar>,
}

/// What a group's turn brings to those who stand with it.
enum News {
    Nothing,
    /// The levels in the scratch; the number is the digest.
    Difference(Option<u32>),
    Snapshot,
}

impl Fanout {
    /// The book of a topic changed. `seq` is its number where somebody else counts.
    pub fn change_book(&mut self, topic: Topic, seq: Option<u64>, now_ns: i64) {
        let now = self.advance(now_ns);
        self.count(topic, CHANNEL_BOOK_5, seq);
        for channel in [CHANNEL_BOOK_5, CHANNEL_BOOK_10, CHANNEL_BOOK_50] {
            self.schedule_all(topic, channel, 0, now);
        }
    }

    /// A bar of a channel's interval changed.
    pub fn change_bar(
        &mut self,
        topic: Topic,
        channel: u8,
        start_ns: i64,
        seq: Option<u64>,
        now_ns: i64,
    ) {
        let now = self.advance(now_ns);
        let seq = self.count(topic, channel, seq);
        let groups = self.topics[topic as usize].groups.of(channel);
        for group in groups {
            if let Some(kept) = &mut self.groups[group as usize].kept {
                kept.touch(start_ns, seq);
            }
        }
        self.schedule_all(topic, channel, 0, now);
    }

    fn count(&mut self, topic: Topic, channel: u8, seq: Option<u64>) -> u64 {
        self.grow_topics(topic as usize + 1);
        let place = &mut self.topics[topic as usize].seq[counter(channel)];
        *place = seq.map_or(*place + 1, |seq| seq.max(*place));
        *place
    }

    /// A keyed group's turn: those who stand with it get the difference, those who fell behind a snapshot.
    pub(super) fn send_keyed(&mut self, source: &impl Source, index: u32, now_ns: i64) {
        let Some(mut kept) = self.groups[index as usize].kept.take() else {
            return;
        };
        let channel = self.groups[index as usize].channel;
        let mut turn = Turn {
            index,
            now_ns,
            followers: 0,
            is_sent: false,
        };
        if is_book(channel) {
            self.send_book(source, &mut kept, &mut turn);
        } else {
            self.send_bars(source, &mut kept, &mut turn);
        }
        kept.is_loose = turn.followers == 0;
        let group = &mut self.groups[index as usize];
        group.kept = Some(kept);
        if turn.is_sent {
            group.sent_ns = now_ns;
        }
    }

    fn group_stamp(&self, index: u32, now_ns: i64) -> Stamp {
        let group = &self.groups[index as usize];
        let topic = &self.topics[group.topic as usize];
        Stamp {
            topic: group.topic,
            epoch: topic.epoch,
            seq: topic.seq[counter(group.channel)],
            now_ns: self.wall(now_ns),
            codec: Codec::Json,
            class: group.class,
        }
    }

    fn send_book(&mut self, source: &impl Source, kept: &mut Kept, turn: &mut Turn) {
        let stamp = self.group_stamp(turn.index, turn.now_ns);
        let channel = self.groups[turn.index as usize].channel;
        let mut scratch = core::mem::take(&mut self.scratch);
        let news = self.advance_book(source, kept, &mut scratch, stamp, channel);
        let mut updates = Variants::default();
        let mut snapshots = Variants::default();
        for place in 0..self.groups[turn.index as usize].members.len() {
            let sub = self.groups[turn.index as usize].members[place];
            let Some((codec, is_behind)) = self.turn_of(sub, !matches!(news, News::Nothing), turn)
            else {
                continue;
            };
            let stamp = Stamp { codec, ..stamp };
            let frame = match news {
                News::Difference(digest) if !is_behind => updates.get(0, codec, 0, || {
                    let frame = BookFrame {
                        depth: depth(channel),
                        bids: &scratch.bids,
                        asks: &scratch.asks,
                        timestamp_ns: kept.book.timestamp_ns,
                        time_precision: kept.book.time_precision,
                        state: None,
                        is_last: true,
                        digest,
                    };
                    self.arena
                        .frame(codec, |out| source.write_book(out, stamp, &frame))
                }),
                _ => snapshots.get(0, codec, 0, || {
                    let frame = kept.whole(channel);
                    self.arena
                        .frame(codec, |out| source.write_book(out, stamp, &frame))
                }),
            };
            self.give(sub, frame, stamp.seq, turn);
        }
        self.scratch = scratch;
    }

    /// Brings what the group keeps to now, and says how those who stood there get there.
    #[allow(clippy::unused_self)]
    fn advance_book(
        &self,
        source: &impl Source,
        kept: &mut Kept,
        scratch: &mut Scratch,
        stamp: Stamp,
        channel: u8,
    ) -> News {
        source.book(stamp.topic, depth(channel), &mut scratch.book);
        scratch.bids.clear();
        scratch.asks.clear();
        kept.book
            .difference(&scratch.book, &mut scratch.bids, &mut scratch.asks);
        let is_other_state = kept.book.state != scratch.book.state;
        let is_same = scratch.bids.is_empty() && scratch.asks.is_empty() && !is_other_state;
        core::mem::swap(&mut kept.book, &mut scratch.book);
        kept.seq = stamp.seq;
        if kept.is_loose || is_same {
            return News::Nothing;
        }
        if is_other_state {
            return News::Snapshot;
        }
        kept.messages += 1;
        let is_told = kept
            .messages
            .is_multiple_of(self.settings.digest_every.max(1));
        News::Difference(is_told.then(|| kept.book.digest()))
    }

    fn send_bars(&mut self, source: &impl Source, kept: &mut Kept, turn: &mut Turn) {
        let stamp = self.group_stamp(turn.index, turn.now_ns);
        let channel = self.groups[turn.index as usize].channel;
        let mut dirty = core::mem::take(&mut kept.dirty);
        dirty.sort_unstable_by_key(|entry| entry.1);
        let mut variants = Variants::default();
        let news: Vec<(u64, Bar)> = dirty
            .iter()
            .filter_map(|(start_ns, seq)| {
                Some((*seq, source.bar(stamp.topic, interval(channel), *start_ns)?))
            })
            .collect();
        kept.seq = stamp.seq;
        for place in 0..self.groups[turn.index as usize].members.len() {
            let sub = self.groups[turn.index as usize].members[place];
            let last = self.subs[sub as usize].last;
            let is_news = news.iter().any(|(seq, _)| *seq > last);
            let Some((codec, is_behind)) = self.turn_of(sub, is_news, turn) else {
                continue;
            };
            if is_behind {
                let stamp = Stamp { codec, ..stamp };
                let frame = self.bars_frame(source, stamp, channel);
                self.give(sub, frame, stamp.seq, turn);
                continue;
            }
            for (at, (seq, bar)) in news.iter().enumerate() {
                if *seq > last {
                    let stamp = Stamp {
                        codec,
                        seq: *seq,
                        ..stamp
                    };
                    // Four times 255 bars at once: no group remembers more.
                    let (set, other) = ((at % 256) as u8, (at / 256) as u8);
                    let frame = variants.get(set, codec, other, || {
                        self.arena
                            .frame(codec, |out| source.write_bar(out, stamp, channel, bar))
                    });
                    self.give(sub, frame, *seq, turn);
                }
            }
        }
        dirty.clear();
        kept.dirty = dirty;
    }

    /// Codec of a member that gets something now, and whether it fell behind; counts who stands with the group.
    fn turn_of(&mut self, sub: u32, is_news: bool, turn: &mut Turn) -> Option<(Codec, bool)> {
        let sub = &mut self.subs[sub as usize];
        if sub.waits & waits::CATCHING_UP != 0 {
            return None;
        }
        let client = &self.clients[sub.client as usize];
        let is_behind = sub.waits & waits::BEHIND != 0;
        if client.is_blocked {
            sub.waits |= if is_news { waits::BEHIND } else { 0 };
            turn.followers += usize::from(sub.waits & waits::BEHIND == 0);
            return None;
        }
        turn.followers += 1;
        (is_news || is_behind).then_some((client.codec, is_behind))
    }

    fn give(&mut self, sub: u32, frame: FrameRef, seq: u64, turn: &mut Turn) {
        let class = self.groups[turn.index as usize].class;
        let sub = &mut self.subs[sub as usize];
        sub.waits &= !waits::BEHIND;
        let news = u64::from(sub.deliver(seq));
        let client = &mut self.clients[sub.client as usize];
        self.references += 1;
        if class == 0 {
            self.updates += news;
            client.push(sub.client, frame, &mut self.dirty);
            self.unfiltered.give(&mut client.looks[1]);
        } else {
            self.updates_patient += news;
            client.push_patient(sub.client, frame, &mut self.turns);
            self.quantum.give(&mut client.looks[0]);
        }
        turn.is_sent = true;
    }

    /// A snapshot for one subscription: of the group's book, or of the bars of now.
    pub(super) fn send_keyed_snapshot(&mut self, source: &impl Source, index: u32) {
        let sub = &self.subs[index as usize];
        let (channel, class) = (sub.channel, sub.class);
        let stamp = self.stamp(index);
        let group = self.topics[stamp.topic as usize].groups.get(channel, class);
        let Some(mut kept) = self.groups[group as usize].kept.take() else {
            return;
        };
        if kept.is_loose {
            kept.seq = stamp.seq;
            kept.is_loose = false;
            if is_book(channel) {
                source.book(stamp.topic, depth(channel), &mut kept.book);
            } else {
                kept.dirty.clear();
            }
        }
        let stamp = if is_book(channel) {
            Stamp {
                seq: kept.seq,
                ..stamp
            }
        } else {
            stamp
        };
        let frame = if is_book(channel) {
            self.book_frame(source, &kept, stamp, channel, class)
        } else {
            self.bars_frame(source, stamp, channel)
        };
        self.groups[group as usize].kept = Some(kept);
        self.subs[index as usize].deliver(stamp.seq);
        self.hand_over(index, frame);
    }

    fn book_frame(
        &mut self,
        source: &impl Source,
        kept: &Kept,
        stamp: Stamp,
        channel: u8,
        class: u8,
    ) -> FrameRef {
        let key = KEYED | u32::from(channel) << 8 | u32::from(class);
        self.shared_snapshot(stamp, key, |out| {
            source.write_book(out, stamp, &kept.whole(channel));
        })
    }

    fn bars_frame(&mut self, source: &impl Source, stamp: Stamp, channel: u8) -> FrameRef {
        let mut bars = core::mem::take(&mut self.scratch.bars);
        source.bars(stamp.topic, interval(channel), SNAPSHOT_BARS, &mut bars);
        // A link's says its class.
        let class = if stamp.codec == Codec::Link {
            stamp.class
        } else {
            0
        };
        let key = KEYED | u32::from(channel) << 8 | u32::from(class);
        let frame = self.shared_snapshot(stamp, key, |out| {
            source.write_bars(out, stamp, channel, &bars);
        });
        self.scratch.bars = bars;
        frame
    }

    /// The frame of a snapshot: one that is still in the arena, or a new one.
    fn shared_snapshot(
        &mut self,
        stamp: Stamp,
        fields: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> FrameRef {
        let key = (stamp.topic, fields, stamp.codec);
        let at = (stamp.epoch, stamp.seq);
        match self.snapshots.get(&key) {
            Some((known, frame)) if *known == at => *frame,
            _ => {
                let frame = self.arena.frame(stamp.codec, write);
                self.snapshots.insert(key, (at, frame));
                frame
            }
        }
    }

    /// The barrier of a keyed subscription: its whole group comes to now, and the subscription with it.
    pub(super) fn sync_keyed(&mut self, source: &impl Source, index: u32) {
        if self.subs[index as usize].waits & waits::CATCHING_UP != 0 {
            self.catch_up(source, index);
        }
        let sub = &self.subs[index as usize];
        let group = self.topics[sub.topic as usize]
            .groups
            .get(sub.channel, sub.class);
        let newest = self.stamp(index).seq;
        let is_old = self.groups[group as usize]
            .kept
            .as_ref()
            .is_some_and(|kept| kept.seq < newest || !kept.dirty.is_empty());
        if group != NONE && is_old {
            self.send_keyed(source, group, self.now_ns);
        }
        let sub = &mut self.subs[index as usize];
        if sub.waits & waits::BEHIND != 0 || sub.last < newest {
            // Behind, or nothing that it sees has changed: a snapshot says so too.
            sub.waits &= !waits::BEHIND;
            self.send_keyed_snapshot(source, index);
        }
    }
}

/// One turn of a group.
struct Turn {
    index: u32,
    now_ns: i64,
    /// Members that stand with the group afterwards.
    followers: usize,
    is_sent: bool,
}
