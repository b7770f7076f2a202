//! The flush: what is due is encoded, references are gathered, each client with news gets one send.

use super::clients::{Client, ClientId};
use super::send::{Sent, send};
use super::topics::Variants;
use crate::encode::Codec;

use super::{ARENA_FLUSH, Fanout, Source, Stamp, counter, waits};

/// What a flush did, and what it left to its caller.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// Bytes for the client's transport; the client is blocked until `drained`.
    pub unsent: Vec<(ClientId, Vec<u8>)>,
    pub slow: Vec<ClientId>,
    pub broken: Vec<ClientId>,
    /// When there is something to do again; 0 = not before news.
    pub next_ns: i64,
    /// Only what is unfiltered went out: what is conflated is still held.
    pub is_partial: bool,
    pub frames: u64,
    pub updates: u64,
    pub bytes: u64,
    pub writes: u64,
}

/// Blocked clients are looked at this often.
const CHECK_NS: i64 = 100_000_000;
/// Memory of a client that is kept over a flush.
const REFERENCES_KEPT: usize = 32;
const GATHERED_KEPT: usize = 1 << 20;

impl Fanout {
    /// Sends what is due, unless the quantum holds it; with `only`, one client's replies, snapshots and what it has.
    pub fn flush(&mut self, source: &impl Source, now_ns: i64, only: Option<ClientId>) -> Flushed {
        let now = self.advance(now_ns);
        let mut flushed = Flushed::default();
        if let Some(id) = only {
            if let Some(index) = self.index_of(id) {
                self.attend(source, index);
                self.send_to(index, now, &mut flushed);
                self.attention.pop_if(|last| *last == id);
                self.dirty.pop_if(|last| *last == id);
            }
        } else if self.encode(source, now) == 0 {
            return self.send_all(now);
        }
        self.finish(now, &mut flushed);
        flushed
    }

    /// First half of a flush: encodes what is due and hands out references, unless a quantum holds it. The
    /// quantum of the unfiltered holds all; that of the conflated holds only the conflated. Returns 0, or when to come
    /// back.
    pub fn encode(&mut self, source: &impl Source, now_ns: i64) -> i64 {
        let now = self.advance(now_ns);
        let is_held = self.is_held(now);
        if self.is_urgent_held(now) || is_held && self.is_idle() {
            return self.next_ns(now);
        }
        self.attend_all(source);
        self.unfiltered.look(now);
        self.last_urgent_ns = now;
        let mut due = core::mem::take(&mut self.urgent);
        if !is_held {
            self.quantum.look(now);
            self.last_flush_ns = now;
            due.append(&mut self.ready);
            self.wheel.take_due(now, &mut due);
        }
        self.send_groups(source, due, now);
        0
    }

    /// Second half of a flush, right behind `encode`: one send for each client that has something.
    pub fn send_all(&mut self, now_ns: i64) -> Flushed {
        let now = self.advance(now_ns);
        let mut flushed = Flushed::default();
        let dirty = core::mem::take(&mut self.dirty);
        for id in &dirty {
            if let Some(index) = self.index_of(*id) {
                self.send_to(index, now, &mut flushed);
            }
        }
        self.dirty = dirty;
        self.dirty.clear();
        self.check_blocked(now, &mut flushed);
        self.finish(now, &mut flushed);
        flushed
    }

    fn finish(&mut self, now: i64, flushed: &mut Flushed) {
        self.clear_arena_if_unused();
        flushed.updates = core::mem::take(&mut self.updates);
        flushed.frames = self.arena.frames - self.frames_before;
        self.frames_before = self.arena.frames;
        flushed.is_partial = self.last_flush_ns < self.last_urgent_ns;
        flushed.next_ns = self.next_ns(now);
    }

    /// Nothing unfiltered, no reply and no snapshot waits.
    fn is_idle(&self) -> bool {
        self.urgent.is_empty() && self.dirty.is_empty() && self.attention.is_empty()
    }

    fn is_urgent_held(&self, now_ns: i64) -> bool {
        now_ns - self.last_urgent_ns < self.unfiltered.current_ns()
            && self.arena.len() < ARENA_FLUSH
    }

    fn is_held(&self, now_ns: i64) -> bool {
        now_ns - self.last_flush_ns < self.quantum.current_ns() && self.arena.len() < ARENA_FLUSH
    }

    fn next_ns(&self, now_ns: i64) -> i64 {
        let urgent_until = self
            .last_urgent_ns
            .saturating_add(self.unfiltered.current_ns())
            .max(now_ns);
        let held_until = self
            .last_flush_ns
            .saturating_add(self.quantum.current_ns())
            .max(urgent_until);
        let urgent = (!self.is_idle()).then_some(urgent_until);
        let due = if self.ready.is_empty() {
            self.wheel.next_ns().map(|at| at.max(held_until))
        } else {
            Some(held_until)
        };
        let check = (!self.blocked.is_empty()).then_some(self.check_ns.max(held_until));
        let soonest = urgent.into_iter().chain(due).chain(check).min();
        soonest.unwrap_or(0)
    }

    /// Every group that is due: encode once for each field set and spelling, hand out references.
    fn send_groups(&mut self, source: &impl Source, mut due: Vec<u32>, now_ns: i64) {
        let mut variants = Variants::default();
        for group in &due {
            variants.clear();
            self.send_group(source, *group, now_ns, &mut variants);
        }
        due.clear();
        self.urgent = due;
    }

    fn send_group(
        &mut self,
        source: &impl Source,
        index: u32,
        now_ns: i64,
        variants: &mut Variants,
    ) {
        let group = &mut self.groups[index as usize];
        group.is_scheduled = false;
        let changed = core::mem::take(&mut group.changed);
        let (number, channel, class) = (group.topic, group.channel, group.class);
        let topic = &self.topics[number as usize];
        let stamp = Stamp {
            topic: number,
            epoch: topic.epoch,
            seq: topic.seq[counter(channel)],
            now_ns,
            codec: Codec::Json,
            class,
        };
        let mut is_sent = false;
        for &sub in &group.members {
            let sub = &mut self.subs[sub as usize];
            let is_behind = sub.waits & waits::BEHIND != 0;
            let wanted = self.field_sets.of_update(sub.set, changed);
            if sub.waits & waits::CATCHING_UP != 0
                || sub.last >= stamp.seq
                || (wanted == 0 && !is_behind)
            {
                continue;
            }
            let client = &mut self.clients[sub.client as usize];
            if client.is_blocked {
                sub.waits |= waits::BEHIND;
                continue;
            }
            let fields = if is_behind {
                self.field_sets.mask(sub.set)
            } else {
                wanted
            };
            let stamp = Stamp {
                codec: client.codec,
                ..stamp
            };
            let frame = variants.get(sub.set, client.codec, u8::from(is_behind), || {
                self.arena
                    .frame(stamp.codec, |out| source.write_update(out, stamp, fields))
            });
            sub.waits &= !waits::BEHIND;
            self.updates += u64::from(sub.deliver(stamp.seq));
            client.push(sub.client, frame, &mut self.dirty);
            self.references += 1;
            if class == 0 {
                self.unfiltered.give(&mut client.looks[1]);
            } else {
                self.quantum.give(&mut client.looks[0]);
            }
            is_sent = true;
        }
        if is_sent {
            group.sent_ns = now_ns;
        } else if group.members.is_empty() {
            self.drop_group_if_unused(number, channel, class);
        }
    }

    /// Gathers and sends all that one client has.
    fn send_to(&mut self, index: u32, now_ns: i64, flushed: &mut Flushed) {
        let client = &mut self.clients[index as usize];
        client.is_dirty = false;
        if client.is_blocked || (client.pending.is_empty() && client.references.is_empty()) {
            return;
        }
        self.gathered.clear();
        self.gathered.extend_from_slice(&client.pending);
        self.arena.gather(
            &client.references,
            client.codec,
            client.batch,
            &mut self.gathered,
        );
        self.references -= client.references.len();
        client.references.clear();
        if client.references.capacity() > REFERENCES_KEPT {
            client.references.shrink_to(REFERENCES_KEPT);
        }
        client.pending = Vec::new();
        client.sent_ns = now_ns;
        let id = client.id(index);
        if client.is_broken {
            return;
        }
        let taken = if client.fd < 0 {
            0
        } else {
            flushed.writes += 1;
            match send(client.fd, &self.gathered) {
                Sent::Taken(taken) => taken,
                Sent::Broken => {
                    client.is_broken = true;
                    flushed.broken.push(id);
                    return;
                }
            }
        };
        flushed.bytes += self.gathered.len() as u64;
        if taken < self.gathered.len() {
            let rest = self.gathered[taken..].to_vec();
            client.unsent = rest.len();
            client.is_blocked = true;
            client.blocked_ns = now_ns;
            if !client.is_listed {
                client.is_listed = true;
                self.blocked.push(id);
                self.check_ns = self.check_ns.min(now_ns + CHECK_NS);
            }
            flushed.unsent.push((id, rest));
        }
        if self.gathered.capacity() > GATHERED_KEPT {
            self.gathered = Vec::new();
        }
    }

    /// Finds the clients that hold too much or take too long; each is told once.
    fn check_blocked(&mut self, now_ns: i64, flushed: &mut Flushed) {
        if self.blocked.is_empty() || now_ns < self.check_ns {
            return;
        }
        self.check_ns = now_ns + CHECK_NS;
        let mut listed = core::mem::take(&mut self.blocked);
        listed.retain(|id| {
            let Some(index) = self.index_of(*id) else {
                return false;
            };
            let client: &mut Client = &mut self.clients[index as usize];
            client.is_listed = client.is_blocked;
            let is_over = client.unsent + client.pending.len() > self.settings.unsent_max
                || now_ns - client.blocked_ns > self.settings.undrained_max_ns;
            if client.is_blocked && is_over && !client.is_slow {
                client.is_slow = true;
                flushed.slow.push(*id);
            }
            client.is_blocked
        });
        self.blocked = listed;
    }

    /// Frames that nobody refers to are forgotten.
    pub(super) fn clear_arena_if_unused(&mut self) {
        if self.references == 0 && self.arena.len() > 0 {
            self.arena.clear();
            self.snapshots.clear();
        }
    }
}
