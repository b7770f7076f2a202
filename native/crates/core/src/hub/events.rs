//! Server-sent events (`text/event-stream`, WHATWG HTML section 9.2): the framing of a message, and the id by which a
//! client picks all of its symbols up again.
//!
//! A message is `data: {…}`, `event: <its type>` and a blank line. The order of the two lines is free, and with the data
//! first a frame is written in one go. What is queued as a control frame becomes a comment, which no client shows.
//!
//! # The id
//!
//! A browser keeps one text, the id of the newest event, and sends it back when it connects again. Frames are shared by
//! clients that watch different symbols, so the place of one symbol, or of the whole market, would not do: what is
//! conflated comes in an order of its own for each client. The id is therefore made for each client, right when it is
//! sent to, from what it stands at in each subscription, and put on the last event of the write: whoever has that event
//! has everything that the id says. It is the client's prefix, then in base64 without padding and for each subscription of
//! `price` and `trades`, in the order in which they began:
//!
//! - a varint: 0 where the client does not stand anywhere (its snapshot is yet to come, or an epoch to be told), else
//!   1 + 2 * seq + (1 if the epoch differs from the common one);
//! - where it differs, a varint with the zigzag difference of the epoch.
//!
//! In front of these stands the common epoch (that of the first), a varint. What does not fit into the client's bound is left out, as if it
//! stood nowhere. A short id is on the last event of each write, and in front of that on each trade and each loss of
//! trades: a stream that breaks in the middle of a write goes on right there. A longer one is on the last event when
//! four times its length was sent since the last one, or a second passed, unless the client wants it on each. A client
//! that comes back with an older id gets more than it needs, never less: trades again, of a price its snapshot.
//!
//! An event in the middle of a write says where the client stands behind it, though what the client was given last is
//! known only. So each frame notes where its readers stood before it ([`Step`]), and the walk is back from the end.

use super::clients::Client;
use super::frames::{FrameRef, Step};
use super::{CHANNEL_TRADES, Fanout, waits};
use crate::latest::Topic;

/// An id of so many bytes, of a dozen symbols, is on each write.
const SHORT: usize = 96;
/// A longer one is due when so many times its length was sent since the last one.
const SHARE: usize = 4;
/// Or when so much time has passed.
const OLDEST_NS: i64 = 1_000_000_000;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is needed for the ids of one client.
#[derive(Debug)]
pub(super) struct Ids {
    prefix: Vec<u8>,
    /// Most bytes of an id.
    most: usize,
    /// On each event that would else be told twice, however long they are.
    each: bool,
    told_ns: i64,
    /// Bytes sent since, and those of the last id.
    sent: usize,
    length: usize,
}

impl Ids {
    /// Ids cost little enough, or are worth their cost, to be on each event that a client can be cut behind.
    fn is_on_each(&self) -> bool {
        self.each || self.length <= SHORT
    }

    /// Whether the last event of a write, of so many bytes, has one.
    fn is_due(&self, bytes: usize, now_ns: i64) -> bool {
        self.is_on_each()
            || self.sent + bytes >= SHARE * self.length
            || now_ns - self.told_ns >= OLDEST_NS
    }

    fn write(&mut self, places: &mut Places, now_ns: i64, out: &mut Vec<u8>) {
        let before = out.len();
        out.extend_from_slice(b"id: ");
        places.write(self, out);
        out.push(b'\n');
        (self.told_ns, self.sent, self.length) = (now_ns, 0, out.len() - before);
    }

    fn append(&mut self, event: &[u8], out: &mut Vec<u8>) {
        self.sent += event.len();
        out.extend_from_slice(event);
    }
}

/// Where a client stands in one channel of a topic: epoch and seq, or nowhere.
#[derive(Debug)]
struct Stand {
    topic: Topic,
    channel: u8,
    at: Option<(u64, u64)>,
}

/// Which of the stands an event changes, where that is behind it, and whether nobody may be told it twice.
#[derive(Debug)]
struct Change {
    place: usize,
    behind: Option<(u64, u64)>,
    is_once: bool,
}

/// Where one client stands, for as long as its events are gathered; the memory is kept for the next one.
#[derive(Debug, Default)]
pub(super) struct Places {
    common: u64,
    stands: Vec<Stand>,
    /// For each event what it changes.
    changes: Vec<Option<Change>>,
    bytes: Vec<u8>,
}

impl Places {
    /// Goes from behind the last event to in front of the first.
    fn go_back(&mut self, steps: impl DoubleEndedIterator<Item = Option<Step>>) {
        self.changes.clear();
        for step in steps.rev() {
            let found = step.and_then(|step| {
                let is_its =
                    |stand: &Stand| (stand.topic, stand.channel) == (step.topic, step.channel);
                let place = self.stands.iter().position(is_its)?;
                let behind = core::mem::replace(&mut self.stands[place].at, step.before);
                Some(Change {
                    place,
                    behind,
                    is_once: step.channel == CHANNEL_TRADES,
                })
            });
            self.changes.push(found);
        }
        self.changes.reverse();
    }

    /// Goes behind one event, in their order; whether it would be told twice without an id.
    fn go_on(&mut self, event: usize) -> bool {
        let Some(change) = &self.changes[event] else {
            return false;
        };
        self.stands[change.place].at = change.behind;
        change.is_once
    }

    fn write(&mut self, ids: &Ids, out: &mut Vec<u8>) {
        out.extend_from_slice(&ids.prefix);
        let room = ids.most.saturating_sub(ids.prefix.len()) / 4 * 3;
        let bytes = &mut self.bytes;
        bytes.clear();
        write_varint(bytes, self.common);
        for stand in &self.stands {
            let before = bytes.len();
            match stand.at {
                None => write_varint(bytes, 0),
                Some((epoch, seq)) => {
                    write_varint(bytes, 1 + 2 * seq + u64::from(epoch != self.common));
                    if epoch != self.common {
                        let difference = epoch.wrapping_sub(self.common) as i64;
                        write_varint(bytes, (difference << 1 ^ difference >> 63) as u64);
                    }
                }
            }
            if bytes.len() > room {
                bytes.truncate(before);
                break;
            }
        }
        write_base64(out, bytes);
    }
}

/// Appends an event with the message that `write` appends; its name is the message's `type`.
pub(super) fn write_event(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const OPENING: &[u8] = br#"{"type":""#;
    const NAME_MAX: usize = 32;
    out.extend_from_slice(b"data: ");
    let start = out.len();
    write(out);
    let name = out[start..].strip_prefix(OPENING).and_then(|rest| {
        let length = rest.iter().take(NAME_MAX).position(|byte| *byte == b'"')?;
        Some(start + OPENING.len()..start + OPENING.len() + length)
    });
    if let Some(name) = name {
        out.extend_from_slice(b"\nevent: ");
        out.extend_from_within(name);
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends a comment.
pub(super) fn write_comment(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b": ");
    out.extend(text.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => *byte,
    }));
    out.push(b'\n');
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            out.push(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]);
        }
    }
}

impl Fanout {
    /// From now on the client's events carry ids that begin with `prefix` and are at most `most` bytes long; with `each`
    /// they are on each trade, also long ones.
    pub fn set_ids(&mut self, id: super::ClientId, prefix: &[u8], most: usize, each: bool) {
        if let Some(index) = self.index_of(id) {
            self.clients[index as usize].ids = Some(Box::new(Ids {
                prefix: prefix.to_vec(),
                most,
                each,
                told_ns: i64::MIN / 2,
                sent: 0,
                length: 0,
            }));
        }
    }

    /// Where the client stands, as its next id says it; empty for a client without ids.
    #[must_use]
    pub fn place_of(&self, id: super::ClientId) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(index) = self.index_of(id)
            && let Some(ids) = &self.clients[index as usize].ids
        {
            let mut places = Places::default();
            self.stand(index, &mut places);
            places.write(ids, &mut out);
        }
        out
    }

    /// Fills in where the client stands: an entry for each subscription that ids tell of, and the common epoch.
    fn stand(&self, index: u32, places: &mut Places) {
        places.stands.clear();
        let subs = &self.clients[index as usize].subs;
        let mut subs = subs
            .iter()
            .map(|sub| &self.subs[*sub as usize])
            .filter(|sub| sub.channel <= CHANNEL_TRADES)
            .peekable();
        places.common = subs
            .peek()
            .map_or(0, |sub| self.topics[sub.topic as usize].epoch);
        places.stands.extend(subs.map(|sub| {
            Stand {
                topic: sub.topic,
                channel: sub.channel,
                at: (sub.waits & (waits::SNAPSHOT | waits::EPOCH) == 0)
                    .then(|| (self.topics[sub.topic as usize].epoch, sub.last)),
            }
        }));
    }

    /// Appends events of a client: an id on the last one, if one is due, and where ids are short (or its client wants
    /// it so) on each that would else be told twice.
    pub(super) fn gather_events(
        &mut self,
        index: u32,
        frames: &[FrameRef],
        now_ns: i64,
        out: &mut Vec<u8>,
    ) {
        let Some((last, others)) = frames.split_last() else {
            return;
        };
        let Some(mut ids) = self.clients[index as usize].ids.take() else {
            return;
        };
        let mut places = core::mem::take(&mut self.places);
        self.stand(index, &mut places);
        if ids.is_on_each() && !others.is_empty() {
            places.go_back(frames.iter().map(|frame| self.arena.step_of(*frame)));
            for (place, frame) in others.iter().enumerate() {
                if places.go_on(place) && ids.is_on_each() {
                    ids.write(&mut places, now_ns, out);
                }
                ids.append(self.arena.framed(*frame), out);
            }
            places.go_on(others.len());
        } else {
            for frame in others {
                ids.append(self.arena.framed(*frame), out);
            }
        }
        let last = self.arena.framed(*last);
        if ids.is_due(last.len(), now_ns) {
            ids.write(&mut places, now_ns, out);
        }
        ids.append(last, out);
        self.places = places;
        self.clients[index as usize].ids = Some(ids);
    }

    /// Keeps an event of mode `all` or of `trades` in the buffer of a blocked client, if there is room: else it is lost.
    pub(super) fn keep_event(&mut self, index: u32, frame: FrameRef, seq: u64) {
        let number = self.subs[index as usize].client;
        let client = &self.clients[number as usize];
        let ids = client.ids.as_ref().map_or(0, |ids| ids.length);
        let length = client.pending.len() + self.arena.framed(frame).len() + ids;
        if length > client.buffer_max(&self.settings) {
            self.subs[index as usize].waits |= waits::LOSS;
            Client::want_attention(&mut self.clients, number, &mut self.attention);
            return;
        }
        self.updates += u64::from(self.subs[index as usize].deliver(seq));
        let mut pending = core::mem::take(&mut self.clients[number as usize].pending);
        self.gather_events(number, &[frame], self.now_ns, &mut pending);
        self.clients[number as usize].pending = pending;
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
