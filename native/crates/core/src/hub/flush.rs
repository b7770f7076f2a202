//! The flush: what is due is encoded, references are gathered, each client with news gets one send.

use super::allowed::Shift;
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
    /// Clients whose highest allowed class changed: tell them.
    pub shifted: Vec<Shift>,
    /// When there is something to do again; 0 = not before news.
    pub next_ns: i64,
    /// Something conflated is still held, or clients wait for their turn.
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
                if self.dirty.pop_if(|last| *last == id).is_some() {
                    self.clients[index as usize].is_dirty = false;
                }
            }
        } else if self.encode(source, now) == 0 {
            return self.send_all(now);
        }
        self.finish(now, &mut flushed);
        flushed
    }

    /// First half of a flush: encodes what is due and hands out references, unless a quantum holds it. The
    /// quantum of the unfiltered holds all; that of the conflated holds only the conflated. Returns 0, or when to come
    /// back. Where clients wait for their turn since an earlier flush it is always 0.
    pub fn encode(&mut self, source: &impl Source, now_ns: i64) -> i64 {
        let now = self.advance(now_ns);
        if self.is_recapping() {
            self.recap_some();
        }
        let is_held = self.is_held(now);
        if self.is_urgent_held(now) || is_held && self.is_idle() {
            return if self.has_turns() || !self.shifted.is_empty() {
                0
            } else {
                self.next_ns(now)
            };
        }
        self.attend_all(source);
        self.unfiltered.look(now);
        if !self.is_idle() {
            self.last_urgent_ns = now;
        }
        let mut due = core::mem::take(&mut self.urgent);
        if is_held {
            let is_due = self.wheel.next_ns().is_some_and(|at| at <= now);
            self.is_holding = is_due || !self.ready.is_empty();
        } else {
            self.is_holding = false;
            self.quantum.look(now);
            let urgent = due.len();
            due.append(&mut self.ready);
            self.wheel.take_due(now, &mut due);
            if due.len() > urgent {
                self.last_flush_ns = now;
            }
        }
        self.send_groups(source, due, now);
        self.turns_urgent.extend(self.dirty.drain(..));
        0
    }

    /// Second half of a flush, right behind `encode`: one send for each client whose turn it is. The rest have theirs
    /// with the next calls (`next_ns` is now), so that the caller can look at its sockets in between. What is urgent
    /// goes first, but a quarter of the turns is always for the others.
    pub fn send_all(&mut self, now_ns: i64) -> Flushed {
        let now = self.advance(now_ns);
        let mut flushed = Flushed::default();
        let most = if self.arena.len() < ARENA_FLUSH {
            self.settings.sends_max.max(1)
        } else {
            usize::MAX
        };
        let mut sent = 0;
        while sent < most
            && let Some(id) = self.turns_urgent.pop_front()
        {
            if let Some(index) = self.index_of(id) {
                self.clients[index as usize].is_dirty = false;
                sent += usize::from(self.send_to(index, now, &mut flushed));
            }
        }
        sent = sent.min(most - most.div_ceil(4));
        while sent < most
            && let Some(id) = self.turns.pop_front()
        {
            if let Some(index) = self.index_of(id) {
                self.clients[index as usize].is_waiting = false;
                sent += usize::from(self.send_to(index, now, &mut flushed));
            }
        }
        self.check_blocked(now, &mut flushed);
        self.finish(now, &mut flushed);
        flushed
    }

    fn finish(&mut self, now: i64, flushed: &mut Flushed) {
        self.clear_arena_if_unused();
        self.take_shifted(flushed);
        flushed.updates = core::mem::take(&mut self.updates);
        if self.turns.is_empty() {
            flushed.updates += core::mem::take(&mut self.updates_patient);
            const KEPT: usize = 4096;
            if self.turns.capacity() > KEPT {
                self.turns.shrink_to(KEPT);
            }
        }
        flushed.frames = self.arena.frames - self.frames_before;
        self.frames_before = self.arena.frames;
        flushed.is_partial = self.is_holding || self.has_turns();
        flushed.next_ns = self.next_ns(now);
    }

    /// Nothing unfiltered, no reply and no snapshot waits.
    fn is_idle(&self) -> bool {
        self.urgent.is_empty() && self.dirty.is_empty() && self.attention.is_empty()
    }

    /// An earlier flush left clients to be sent to.
    fn has_turns(&self) -> bool {
        !self.turns.is_empty() || !self.turns_urgent.is_empty()
    }

    fn is_urgent_held(&self, now_ns: i64) -> bool {
        now_ns - self.last_urgent_ns < self.unfiltered.current_ns()
            && self.arena.len() < ARENA_FLUSH
    }

    fn is_held(&self, now_ns: i64) -> bool {
        now_ns - self.last_flush_ns < self.quantum.current_ns() && self.arena.len() < ARENA_FLUSH
    }

    fn next_ns(&self, now_ns: i64) -> i64 {
        if self.has_turns() || self.is_recapping() || !self.shifted.is_empty() {
            return now_ns;
        }
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
        let wall_ns = self.wall(now_ns);
        let group = &mut self.groups[index as usize];
        group.is_scheduled = false;
        if group.kept.is_some() {
            let (number, channel, class) = (group.topic, group.channel, group.class);
            self.send_keyed(source, index, now_ns);
            if self.groups[index as usize].members.is_empty() {
                self.drop_group_if_unused(number, channel, class);
            }
            return;
        }
        let changed = core::mem::take(&mut group.changed);
        let (number, channel, class) = (group.topic, group.channel, group.class);
        let topic = &self.topics[number as usize];
        let stamp = Stamp {
            topic: number,
            epoch: topic.epoch,
            seq: topic.seq[counter(channel)],
            now_ns: wall_ns,
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
                self.field_sets.of_whole_update(sub.set)
            } else {
                wanted
            };
            let stamp = Stamp {
                codec: client.codec,
                ..stamp
            };
            let frame = variants.get(sub.set, client.codec, u8::from(is_behind), || {
                let before = stamp.seq.checked_sub(1);
                self.arena.step(stamp, channel, before, |out| {
                    source.write_update(out, stamp, fields)
                })
            });
            sub.waits &= !waits::BEHIND;
            let news = u64::from(sub.deliver(stamp.seq));
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
            is_sent = true;
        }
        if is_sent {
            group.sent_ns = now_ns;
        } else if group.members.is_empty() {
            self.drop_group_if_unused(number, channel, class);
        }
    }

    /// Gathers and sends all that one client has; false if that is nothing.
    fn send_to(&mut self, index: u32, now_ns: i64, flushed: &mut Flushed) -> bool {
        let client = &mut self.clients[index as usize];
        if client.is_blocked || (client.pending.is_empty() && client.references.is_empty()) {
            return false;
        }
        let mut gathered = core::mem::take(&mut self.gathered);
        gathered.clear();
        gathered.extend_from_slice(&client.pending);
        self.gather(index, now_ns, &mut gathered);
        self.gathered = gathered;
        let client = &mut self.clients[index as usize];
        if client.references.capacity() > REFERENCES_KEPT {
            client.references.shrink_to(REFERENCES_KEPT);
        }
        client.pending = Vec::new();
        client.sent_ns = now_ns;
        let id = client.id(index);
        if client.is_broken {
            return true;
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
                    return true;
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
                if self.blocked.is_empty() {
                    self.checked_ns = now_ns;
                }
                self.blocked.push(id);
                self.check_ns = self.check_ns.min(now_ns + CHECK_NS);
            }
            flushed.unsent.push((id, rest));
        }
        if self.gathered.capacity() > GATHERED_KEPT {
            self.gathered = Vec::new();
        }
        true
    }

    /// Appends what a client's references refer to, and lets go of them.
    pub(super) fn gather(&mut self, index: u32, now_ns: i64, out: &mut Vec<u8>) {
        let client = &mut self.clients[index as usize];
        if client.references.is_empty() {
            return;
        }
        let mut references = core::mem::take(&mut client.references);
        if client.ids.is_some() {
            self.gather_events(index, &references, now_ns, out);
        } else {
            self.arena
                .gather(&references, client.codec, client.batch, out);
        }
        self.references -= references.len();
        references.clear();
        self.clients[index as usize].references = references;
    }

    /// Finds the clients that hold too much or take too long, each is told once; shifts those that are slow.
    fn check_blocked(&mut self, now_ns: i64, flushed: &mut Flushed) {
        if self.blocked.is_empty() || now_ns < self.check_ns {
            return;
        }
        self.check_ns = now_ns + CHECK_NS;
        let took_ns = now_ns - core::mem::replace(&mut self.checked_ns, now_ns);
        let mut listed = core::mem::take(&mut self.blocked);
        listed.retain(|id| {
            let Some(index) = self.index_of(*id) else {
                return false;
            };
            let client: &mut Client = &mut self.clients[index as usize];
            if client.is_blocked && client.is_over(&self.settings, now_ns) && !client.is_slow {
                client.is_slow = true;
                flushed.slow.push(*id);
            }
            let is_listed = self.look_at_strain(index, now_ns, took_ns);
            self.clients[index as usize].is_listed = is_listed;
            is_listed
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
