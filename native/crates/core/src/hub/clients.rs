//! Clients: who is there, and what waits for each.

use std::collections::VecDeque;

use super::Fanout;
use super::events::write_comment;
use super::frames::{Arena, FrameRef, write_batch};
use super::send::set_watermark;
use crate::encode::Codec;
use crate::ws;

/// Number of a client, never used again: 32 bits of generation, 32 bits of index.
pub type ClientId = u64;

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub generation: u32,
    /// -1: everything goes through the transport.
    pub fd: i32,
    pub is_open: bool,
    pub codec: Codec,
    pub batch: bool,
    /// The transport still holds bytes of ours: nothing is sent until it has drained.
    pub is_blocked: bool,
    /// The socket failed, or the owner was told that the client is slow: wait for its end.
    pub is_broken: bool,
    pub is_slow: bool,
    /// Stands in the list of those with something urgent to send, and of those with something conflated.
    pub is_dirty: bool,
    pub is_waiting: bool,
    pub needs_attention: bool,
    /// Stands in the list of blocked clients, maybe from an earlier time.
    pub is_listed: bool,
    /// It shows nothing to anybody.
    pub is_hidden: bool,
    /// Class it may not be above: all in all, and because it is slow.
    pub cap: u8,
    pub slow_cap: u8,
    /// The looks of the quanta in which it was last given something: conflated, unfiltered.
    pub looks: [u32; 2],
    pub references: Vec<FrameRef>,
    /// Whole frames to send before the references.
    pub pending: Vec<u8>,
    pub subs: Vec<u32>,
    /// Of a link to a gateway worker.
    pub links: Option<Box<super::linked::Links>>,
    /// Of a stream of events whose client can pick up where it ended.
    pub ids: Option<Box<super::events::Ids>>,
    /// Bytes given to the transport that it has not drained.
    pub unsent: usize,
    pub blocked_ns: i64,
    /// Time it was blocked since the last check, in blocks that are over.
    pub blocked_before_ns: i64,
    /// Time it was blocked of late.
    pub strain_ns: i64,
    /// When it was last blocked or shifted.
    pub relaxed_ns: i64,
    pub sent_ns: i64,
}

impl Client {
    pub fn id(&self, index: u32) -> ClientId {
        u64::from(self.generation) << 32 | u64::from(index)
    }

    /// Adds a reference; the client is sent to at the next flush.
    pub fn push(&mut self, index: u32, frame: FrameRef, dirty: &mut Vec<ClientId>) {
        self.references.push(frame);
        self.mark_dirty(index, dirty);
    }

    /// Adds a reference that may wait for its client's turn.
    pub fn push_patient(&mut self, index: u32, frame: FrameRef, waiting: &mut VecDeque<ClientId>) {
        self.references.push(frame);
        if !self.is_dirty && !self.is_waiting {
            self.is_waiting = true;
            waiting.push_back(self.id(index));
        }
    }

    pub fn mark_dirty(&mut self, index: u32, dirty: &mut Vec<ClientId>) {
        if !self.is_dirty {
            self.is_dirty = true;
            dirty.push(self.id(index));
        }
    }

    /// Copies a frame to the buffer of a blocked client, if there is room.
    pub fn keep(&mut self, arena: &Arena, frame: FrameRef, buffer_max: usize) -> bool {
        if self.pending.len() + arena.framed(frame).len() > buffer_max {
            return false;
        }
        arena.gather(&[frame], self.codec, self.batch, &mut self.pending);
        true
    }

    pub fn want_attention(clients: &mut [Client], index: u32, attention: &mut Vec<ClientId>) {
        let client = &mut clients[index as usize];
        if !client.needs_attention {
            client.needs_attention = true;
            attention.push(client.id(index));
        }
    }
}

impl Fanout {
    /// A new client.
    pub fn open(&mut self, fd: i32) -> ClientId {
        if fd >= 0 && self.settings.watermark > 0 {
            set_watermark(fd, self.settings.watermark);
        }
        let index = self.clients_free.pop().unwrap_or(self.clients.len() as u32);
        let generation = self
            .clients
            .get(index as usize)
            .map_or(0, |old| old.generation.wrapping_add(1));
        let client = Client {
            generation,
            fd,
            is_open: true,
            codec: Codec::Json,
            batch: false,
            is_blocked: false,
            is_broken: false,
            is_slow: false,
            is_dirty: false,
            is_waiting: false,
            needs_attention: false,
            is_listed: false,
            is_hidden: false,
            cap: self.cap,
            slow_cap: 0,
            looks: [0; 2],
            references: Vec::new(),
            pending: Vec::new(),
            subs: Vec::new(),
            links: None,
            ids: None,
            unsent: 0,
            blocked_ns: 0,
            blocked_before_ns: 0,
            strain_ns: 0,
            relaxed_ns: 0,
            sent_ns: self.now_ns,
        };
        let id = client.id(index);
        match self.clients.get_mut(index as usize) {
            Some(old) => *old = client,
            None => self.clients.push(client),
        }
        id
    }

    /// Forgets a client, in time proportional to its subscriptions. Unknown clients are none of our business.
    pub fn close(&mut self, id: ClientId) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        while let Some(sub) = self.clients[index as usize].subs.pop() {
            self.remove_sub(sub);
        }
        let client = &mut self.clients[index as usize];
        self.references -= client.references.len();
        client.references = Vec::new();
        client.pending = Vec::new();
        client.subs = Vec::new();
        client.links = None;
        client.ids = None;
        client.is_open = false;
        // Lists may still hold its id, which no client has any more.
        self.clients_free.push(index);
    }

    pub(super) fn index_of(&self, id: ClientId) -> Option<u32> {
        let index = (id & u64::from(u32::MAX)) as u32;
        let client = self.clients.get(index as usize)?;
        (client.is_open && u64::from(client.generation) == id >> 32).then_some(index)
    }

    /// How the client wants its numbers and messages, from its next frame on.
    pub fn configure(&mut self, id: ClientId, codec: Codec, batch: bool) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        self.settle(index);
        let client = &mut self.clients[index as usize];
        (client.codec, client.batch) = (codec, batch);
    }

    /// Queues one message behind all that earlier calls caused, in the client's codec already; as a batch of one if it gets
    /// batches.
    pub fn reply(&mut self, id: ClientId, payload: &[u8]) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        self.settle(index);
        let client = &mut self.clients[index as usize];
        let (codec, out) = (client.codec, &mut client.pending);
        if client.batch || codec.is_events() {
            write_batch([payload].into_iter(), 1, payload.len(), codec, out);
        } else {
            ws::write_header(codec.opcode(), payload.len(), out);
            out.extend_from_slice(payload);
        }
        client.mark_dirty(index, &mut self.dirty);
    }

    /// Queues a control frame, in a stream of events a comment; what is too long for one is cut.
    pub fn control(&mut self, id: ClientId, opcode: u8, payload: &[u8]) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        self.settle(index);
        let client = &mut self.clients[index as usize];
        let payload = &payload[..payload.len().min(ws::CONTROL_MAX)];
        if client.codec.is_events() {
            write_comment(&mut client.pending, payload);
            client.mark_dirty(index, &mut self.dirty);
            return;
        }
        ws::write_header(opcode, payload.len(), &mut client.pending);
        client.pending.extend_from_slice(payload);
        client.mark_dirty(index, &mut self.dirty);
    }

    /// Makes bytes of a client's references, so that what is queued next comes behind them.
    pub(super) fn settle(&mut self, index: u32) {
        let mut pending = core::mem::take(&mut self.clients[index as usize].pending);
        self.gather(index, self.now_ns, &mut pending);
        self.clients[index as usize].pending = pending;
    }

    /// The transport's own buffer is empty again. The next flush brings the client up to date.
    pub fn drained(&mut self, id: ClientId) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        let client = &mut self.clients[index as usize];
        if !client.is_blocked {
            return;
        }
        client.is_blocked = false;
        client.blocked_before_ns += self.now_ns - client.blocked_ns.max(self.checked_ns);
        client.unsent = 0;
        if !client.pending.is_empty() {
            client.mark_dirty(index, &mut self.dirty);
        }
        let waits = client
            .subs
            .iter()
            .any(|sub| self.subs[*sub as usize].waits != 0);
        if waits {
            Client::want_attention(&mut self.clients, index, &mut self.attention);
        }
    }

    /// Bytes that wait for the client: in the transport and here.
    #[must_use]
    pub fn unsent(&self, id: ClientId) -> usize {
        self.index_of(id).map_or(0, |index| {
            let client = &self.clients[index as usize];
            let referenced: usize = client
                .references
                .iter()
                .map(|frame| self.arena.framed(*frame).len())
                .sum();
            client.unsent + client.pending.len() + referenced
        })
    }

    /// Bytes of frames that somebody waits for.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.arena.len()
    }

    /// Clients that were sent nothing since `before_ns`.
    #[must_use]
    pub fn quiet(&self, before_ns: i64) -> Vec<ClientId> {
        let clients = self.clients.iter().zip(0u32..);
        let quiet = clients.filter(|(client, _)| client.is_open && client.sent_ns < before_ns);
        quiet.map(|(client, index)| client.id(index)).collect()
    }
}
