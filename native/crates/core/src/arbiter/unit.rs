//! The sequence of one unit: what came, what is missing, what waits behind it.
//!
//! Invariants: `holes` are exactly the numbers of `expected..top` that did not come, ascending and apart; `waiting` holds
//! the others of that range, so without holes it is empty and `expected == top`; `expected` is the first hole's first.

use std::collections::{BTreeMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::packet::{Packet, Protocol, SessionId};

/// What a waiting piece costs besides its bytes; keeps the number of pieces bounded too.
const PIECE_COST: usize = 96;

/// Numbers that are missing, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub first: u64,
    pub last: u64,
    /// When it was seen that they are missing.
    pub since: i64,
}

/// Messages in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub unit: u8,
    pub session: SessionId,
    /// How often the unit had begun anew (another session, a reset, a rewind) when these were handed out.
    pub epoch: u32,
    /// Number of the first message; 0 = messages without numbers.
    pub first: u64,
    pub count: u64,
    pub messages: Vec<u8>,
    pub ts_recv: i64,
}

#[derive(Debug)]
struct Piece {
    count: u64,
    bytes: Box<[u8]>,
    ts_recv: i64,
}

/// Figures of a unit, over all its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitCounts {
    /// Holes that were seen.
    pub gaps: u64,
    /// Messages found missing.
    pub missing: u64,
    /// Of these: came after all, late, from another line or by request.
    pub recovered: u64,
    /// Of these: given up.
    pub lost: u64,
    /// Messages that came but found no room to wait; they are missing again.
    pub overflowed: u64,
}

#[derive(Debug)]
pub struct Unit {
    pub number: u8,
    pub session: SessionId,
    pub epoch: u32,
    /// Next number to hand out.
    pub expected: u64,
    /// One past the highest number that is known to exist.
    pub top: u64,
    /// A packet came since the unit began (anew).
    pub begun: bool,
    /// One past the highest number that each line brought or announced.
    pub line_ends: Vec<u64>,
    pub counts: UnitCounts,
    /// Bytes that wait, with their cost.
    pub waiting_bytes: usize,
    holes: VecDeque<Hole>,
    waiting: BTreeMap<u64, Piece>,
    /// Of the newest packets that were taken: first number, count, hash of the messages; by first number.
    prints: Vec<(u64, u64, u64)>,
}

/// Packets that can be compared with what another line brings.
const PRINTS: u64 = 4096;

/// What became of a packet's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// That were new.
    pub new: u64,
    /// Some of them found no room to wait.
    pub is_full: bool,
}

impl Unit {
    pub fn new(number: u8) -> Self {
        Self {
            number,
            session: [0; 10],
            epoch: 0,
            expected: 0,
            top: 0,
            begun: false,
            line_ends: Vec::new(),
            counts: UnitCounts::default(),
            waiting_bytes: 0,
            holes: VecDeque::new(),
            waiting: BTreeMap::new(),
            prints: Vec::new(),
        }
    }

    /// Remembers what a packet says; false if another line said something else under the same numbers.
    pub fn compare(&mut self, packet: &Packet<'_>) -> bool {
        if self.prints.is_empty() {
            self.prints.resize(PRINTS as usize, (0, 0, 0));
        }
        let print = (packet.first, packet.count, xxh3_64(packet.body));
        let before = std::mem::replace(&mut self.prints[(packet.first % PRINTS) as usize], print);
        before == print || (before.0, before.1) != (print.0, print.1)
    }

    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.holes.iter()
    }

    /// Last number of the first hole; 0 = nothing is missing.
    pub fn first_hole_last(&self) -> u64 {
        self.holes.front().map_or(0, |hole| hole.last)
    }

    /// Begins anew at a number; what was missing or waits is gone.
    pub fn begin(&mut self, session: SessionId, expected: u64) {
        let open: u64 = self.holes.iter().fold(0, |sum: u64, hole| {
            sum.saturating_add(hole.last - hole.first + 1)
        });
        self.counts.lost = self.counts.lost.saturating_add(open);
        self.session = session;
        self.epoch += 1;
        (self.expected, self.top, self.begun) = (expected, expected, false);
        self.line_ends.clear();
        self.prints.clear();
        self.holes.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Says that all numbers below `end` exist.
    pub fn announce(&mut self, end: u64, ts_recv: i64) {
        if end > self.top {
            self.counts.gaps += 1;
            self.counts.missing = self.counts.missing.saturating_add(end - self.top);
            self.open(end - 1, ts_recv);
        }
    }

    /// Takes what is new of a packet; with `is_repair` only what is missing.
    pub fn offer(
        &mut self,
        protocol: Protocol,
        packet: &Packet<'_>,
        ts_recv: i64,
        limit: usize,
        is_repair: bool,
        out: &mut Vec<Block>,
    ) -> Offered {
        let (first, mut end) = (packet.first, packet.end());
        let known = self.top;
        if is_repair {
            end = end.min(known);
        }
        if end <= self.expected.max(first) {
            return Offered::default();
        }
        if self.holes.is_empty() && first == self.expected {
            (self.expected, self.top) = (end, end);
            self.emit(first, packet.count, packet.body, ts_recv, out);
            return Offered {
                new: packet.count,
                is_full: false,
            };
        }
        if first > known {
            self.announce(first, ts_recv);
        }
        if end > self.top {
            self.open(end - 1, ts_recv); // filled at once, below
        }
        self.fill(protocol, packet, (end, known), ts_recv, limit, out)
    }

    /// Cuts the packet by the holes that it fills, and hands out or keeps the pieces.
    fn fill(
        &mut self,
        protocol: Protocol,
        packet: &Packet<'_>,
        (end, known): (u64, u64),
        ts_recv: i64,
        limit: usize,
        out: &mut Vec<Block>,
    ) -> Offered {
        let mut offered = Offered::default();
        let (mut number, mut rest) = (packet.first, packet.body);
        let mut index = self.holes.partition_point(|hole| hole.last < packet.first);
        while let Some(&hole) = self.holes.get(index).filter(|hole| hole.first < end) {
            let (from, to) = (hole.first.max(packet.first), end.min(hole.last + 1));
            let Some((_, tail)) = split(protocol, rest, from - number) else {
                break;
            };
            let Some((piece, tail)) = split(protocol, tail, to - from) else {
                break;
            };
            (number, rest) = (to, tail);
            let count = to - from;
            if from != self.expected && self.waiting_bytes + piece.len() + PIECE_COST > limit {
                let missing = to.saturating_sub(from.max(known));
                self.counts.missing = self.counts.missing.saturating_add(missing);
                self.counts.overflowed = self.counts.overflowed.saturating_add(count);
                offered.is_full = true;
                index += 1;
                continue;
            }
            self.counts.recovered = self
                .counts
                .recovered
                .saturating_add(known.min(to).saturating_sub(from));
            offered.new += count;
            index = self.close(index, from, to);
            if from == self.expected {
                self.expected = to;
                self.emit(from, count, piece, ts_recv, out);
                self.release(out);
            } else {
                self.waiting_bytes += piece.len() + PIECE_COST;
                self.waiting.insert(
                    from,
                    Piece {
                        count,
                        bytes: piece.into(),
                        ts_recv,
                    },
                );
            }
        }
        offered
    }

    /// Gives up every number up to `last`, missing or waiting; hands out what waits right behind.
    pub fn skip(&mut self, protocol: Protocol, last: u64, out: &mut Vec<Block>) {
        if last < self.expected {
            return;
        }
        let next = last.saturating_add(1);
        while let Some(hole) = self.holes.front_mut() {
            if hole.first > last {
                break;
            }
            self.counts.lost = self
                .counts
                .lost
                .saturating_add(hole.last.min(last) - hole.first + 1);
            if hole.last > last {
                hole.first = next;
                break;
            }
            self.holes.pop_front();
        }
        while let Some(entry) = self
            .waiting
            .first_entry()
            .filter(|entry| *entry.key() <= last)
        {
            let (first, piece) = entry.remove_entry();
            self.waiting_bytes -= piece.bytes.len() + PIECE_COST;
            let given_up = next - first;
            if given_up < piece.count
                && let Some((_, tail)) = split(protocol, &piece.bytes, given_up)
            {
                let bytes: Box<[u8]> = tail.into();
                self.waiting_bytes += bytes.len() + PIECE_COST;
                self.waiting.insert(
                    next,
                    Piece {
                        count: piece.count - given_up,
                        bytes,
                        ..piece
                    },
                );
            }
        }
        self.top = self.top.max(next);
        self.expected = next;
        self.release(out);
    }

    /// Wants everything from `first` on again, as far as it is known to exist.
    pub fn rewind(&mut self, first: u64, now: i64) {
        let (top, begun) = (self.top, self.begun);
        let line_ends = std::mem::take(&mut self.line_ends);
        self.begin(self.session, first);
        (self.begun, self.line_ends) = (begun, line_ends);
        if begun {
            self.announce(top, now);
        } // else nothing is known to exist, and the first packet says where the numbers stand
    }

    /// Adds a hole that reaches from the top to `last`.
    fn open(&mut self, last: u64, since: i64) {
        match self.holes.back_mut() {
            Some(hole) if hole.last + 1 == self.top && hole.since == since => hole.last = last,
            _ => self.holes.push_back(Hole {
                first: self.top,
                last,
                since,
            }),
        }
        self.top = last + 1;
    }

    /// Takes `from..to` out of the hole at `index`; returns the index of the next hole.
    fn close(&mut self, index: usize, from: u64, to: u64) -> usize {
        let hole = self.holes[index];
        match (hole.first < from, to <= hole.last) {
            (false, false) => {
                self.holes.remove(index);
                return index;
            }
            (false, true) => self.holes[index].first = to,
            (true, false) => self.holes[index].last = from - 1,
            (true, true) => {
                self.holes[index].last = from - 1;
                self.holes.insert(index + 1, Hole { first: to, ..hole });
            }
        }
        index + 1
    }

    /// Hands out what waits for nothing any more.
    fn release(&mut self, out: &mut Vec<Block>) {
        while let Some(entry) = self
            .waiting
            .first_entry()
            .filter(|entry| *entry.key() == self.expected)
        {
            let (first, piece) = entry.remove_entry();
            self.waiting_bytes -= piece.bytes.len() + PIECE_COST;
            self.expected = first + piece.count;
            self.emit(first, piece.count, &piece.bytes, piece.ts_recv, out);
        }
    }

    /// Joins messages to the unit's last block of the same time, or begins a block.
    #[inline]
    fn emit(&self, first: u64, count: u64, bytes: &[u8], ts_recv: i64, out: &mut Vec<Block>) {
        let newest = out
            .iter_mut()
            .rev()
            .take(64)
            .find(|block| block.unit == self.number);
        if let Some(block) = newest
            && block.ts_recv == ts_recv
            && block.epoch == self.epoch
            && block.first != 0
            && block.first + block.count == first
        {
            block.messages.extend_from_slice(bytes);
            block.count += count;
            return;
        }
        let mut messages = Vec::with_capacity(bytes.len().max(4096));
        messages.extend_from_slice(bytes);
        out.push(Block {
            unit: self.number,
            session: self.session,
            epoch: self.epoch,
            first,
            count,
            messages,
            ts_recv,
        });
    }
}

/// The first `count` messages of a body, and the rest.
fn split(protocol: Protocol, body: &[u8], count: u64) -> Option<(&[u8], &[u8])> {
    protocol.skip(body, count).map(|at| body.split_at(at))
}
