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
//! stood nowhere. A short id is on the last event of each write; a longer one when four times its length was sent since
//! the last one, or a second passed. A client that comes back with an older id gets more than it needs, never less.

use super::{CHANNEL_TRADES, Fanout, Sub, waits};

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
    told_ns: i64,
    /// Bytes sent since, and those of the last id.
    sent: usize,
    length: usize,
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
    /// From now on the client's events carry ids that begin with `prefix` and are at most `most` bytes long.
    pub fn set_ids(&mut self, id: super::ClientId, prefix: &[u8], most: usize) {
        if let Some(index) = self.index_of(id) {
            self.clients[index as usize].ids = Some(Box::new(Ids {
                prefix: prefix.to_vec(),
                most,
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
            self.write_place(index, ids, &mut out);
        }
        out
    }

    fn write_place(&self, index: u32, ids: &Ids, out: &mut Vec<u8>) {
        out.extend_from_slice(&ids.prefix);
        let room = ids.most.saturating_sub(ids.prefix.len()) / 4 * 3;
        let subs = self.clients[index as usize].subs.iter();
        let mut subs = subs
            .map(|sub| &self.subs[*sub as usize])
            .filter(|sub| sub.channel <= CHANNEL_TRADES)
            .peekable();
        let common = subs
            .peek()
            .map_or(0, |sub| self.topics[sub.topic as usize].epoch);
        let mut bytes = Vec::with_capacity(64);
        write_varint(&mut bytes, common);
        for sub in subs {
            let before = bytes.len();
            self.write_stand(sub, common, &mut bytes);
            if bytes.len() > room {
                bytes.truncate(before);
                break;
            }
        }
        write_base64(out, &bytes);
    }

    fn write_stand(&self, sub: &Sub, common: u64, bytes: &mut Vec<u8>) {
        if sub.waits & (waits::SNAPSHOT | waits::EPOCH) != 0 {
            return write_varint(bytes, 0);
        }
        let epoch = self.topics[sub.topic as usize].epoch;
        write_varint(bytes, 1 + 2 * sub.last + u64::from(epoch != common));
        if epoch != common {
            let difference = epoch.wrapping_sub(common) as i64;
            write_varint(bytes, (difference << 1 ^ difference >> 63) as u64);
        }
    }

    /// Appends the frames of a client with ids to `gathered`: the last one with an id, if one is due.
    pub(super) fn gather_events(&mut self, index: u32, now_ns: i64) {
        let mut out = core::mem::take(&mut self.gathered);
        let client = &mut self.clients[index as usize];
        let Some(mut ids) = client.ids.take() else {
            return;
        };
        let codec = client.codec;
        let references = core::mem::take(&mut client.references);
        ids.sent += out.len();
        if let Some((last, others)) = references.split_last() {
            self.arena.gather(others, codec, false, &mut out);
            ids.sent += references
                .iter()
                .map(|frame| self.arena.framed(*frame).len())
                .sum::<usize>();
            if ids.length <= SHORT
                || ids.sent >= SHARE * ids.length
                || now_ns - ids.told_ns >= OLDEST_NS
            {
                let before = out.len();
                out.extend_from_slice(b"id: ");
                self.write_place(index, &ids, &mut out);
                out.push(b'\n');
                (ids.told_ns, ids.sent, ids.length) = (now_ns, 0, out.len() - before);
            }
            self.arena
                .gather(core::slice::from_ref(last), codec, false, &mut out);
        }
        let client = &mut self.clients[index as usize];
        client.references = references;
        client.ids = Some(ids);
        self.gathered = out;
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
