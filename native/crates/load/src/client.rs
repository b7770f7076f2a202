//! One simulated client: where it stands, what it watches, and what its frames mean.
//!
//! Kept small, since there are many: without an unfinished frame it holds no buffer.

use mio::net::TcpStream;
use serde_json::Value;

use crate::event::{Event, Kind};
use crate::names::Names;
use crate::plan::{Codec, Plan};
use crate::tally::Tally;

/// Where a client stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Waiting,
    Connecting,
    Upgrading,
    /// Asked to watch its symbols.
    Asking,
    Open,
    /// Has sent its close and waits for the server's.
    Closing,
    Failed,
}

/// The gateway has told no number of a symbol.
pub const NO_HANDLE: u32 = u32::MAX;

/// A symbol that a client watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub seq: u64,
    pub epoch: u64,
    pub symbol: u32,
    pub handle: u32,
}

/// A client.
#[derive(Default)]
pub struct Client {
    pub link: Option<TcpStream>,
    /// The beginning of a frame whose rest has not come.
    pub carry: Vec<u8>,
    /// What the socket did not take.
    pub unsent: Vec<u8>,
    /// Parts of a fragmented message, and its opcode.
    pub parts: Option<Box<(u8, Vec<u8>)>>,
    /// Ascending by symbol; by handle, once they are told.
    pub watches: Box<[Watch]>,
    pub started_ns: i64,
    /// Counts links, so that a time-out knows whether it is still meant.
    pub generation: u32,
    pub phase: Phase,
    pub tries: u8,
    pub was_open: bool,
    pub by_handle: bool,
    /// Leaves on purpose and comes back.
    pub is_churning: bool,
}

/// What a client's frames made necessary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub acknowledged: bool,
    /// The request to watch was refused.
    pub refused: bool,
    pub pong: Option<Option<i64>>,
}

impl Client {
    /// Position of the watch that a frame is about.
    fn find(&self, event: &Event, message: &[u8], codec: Codec, names: &Names) -> Option<usize> {
        if let Some(handle) = event.handle.filter(|_| self.by_handle) {
            return self
                .watches
                .binary_search_by_key(&handle, |watch| watch.handle)
                .ok();
        }
        let name = &message[event.symbol.clone()?];
        let symbol = match codec {
            Codec::Json => names.find(name)?,
            _ => names.find_plain(std::str::from_utf8(name).ok()?)?,
        };
        self.find_symbol(symbol)
    }

    fn find_symbol(&self, symbol: u32) -> Option<usize> {
        if self.by_handle {
            return self.watches.iter().position(|watch| watch.symbol == symbol);
        }
        self.watches
            .binary_search_by_key(&symbol, |watch| watch.symbol)
            .ok()
    }

    /// Forgets what belongs to a connection; what was seen last stays.
    pub fn detach(&mut self) {
        self.link = None;
        (self.carry, self.unsent, self.parts) = (Vec::new(), Vec::new(), None);
        for watch in &mut self.watches {
            watch.handle = NO_HANDLE;
        }
        self.watches.sort_unstable_by_key(|watch| watch.symbol);
        self.by_handle = false;
    }

    /// Counts a frame.
    pub fn event(
        &mut self,
        event: &Event,
        message: &[u8],
        now_ns: i64,
        (plan, names, tally): (&Plan, &Names, &mut Tally),
        outcome: &mut Outcome,
    ) {
        match event.kind {
            Kind::Update => tally.updates += 1,
            Kind::Trade => tally.trades += 1,
            Kind::Bar => tally.bars += 1,
            Kind::Snapshot => tally.snapshots += 1,
            Kind::Lost => {}
            Kind::Status => return tally.statuses += 1,
            Kind::Heartbeat => return tally.heartbeats += 1,
            Kind::Pong => return outcome.pong = Some(event.server_ns),
            Kind::Subscribed | Kind::Resumed | Kind::Error => {
                return match plan.codec.read(&message[event.whole.clone()]) {
                    Some(reply) => self.reply(event.kind, &reply, (plan, names, tally), outcome),
                    None => tally.trouble("a reply that is not of the codec"),
                };
            }
            Kind::Other => return tally.others += 1,
        }
        if matches!(event.kind, Kind::Update | Kind::Trade | Kind::Bar) {
            if let Some(server_ns) = event.server_ns {
                tally.server_latency.add(now_ns - server_ns);
            }
            if let Some(exchange_ns) = event.exchange_ns.filter(|_| plan.exchange) {
                tally.exchange_latency.add(now_ns - exchange_ns);
            }
        }
        match self.find(event, message, plan.codec, names) {
            Some(place) => self.watches[place].data(event, plan.every, tally),
            // The status channel and its like speak of no symbol.
            None if event.symbol.is_none() && event.handle.is_none() => {}
            None => tally.trouble("a frame of a symbol that was not asked for"),
        }
    }

    /// Takes over an acknowledgement, a resume or an error.
    fn reply(
        &mut self,
        kind: Kind,
        reply: &Value,
        (plan, names, tally): (&Plan, &Names, &mut Tally),
        outcome: &mut Outcome,
    ) {
        if kind == Kind::Error {
            let code = reply["code"].as_u64().unwrap_or(0);
            tally.error(code, reply["reason"].as_str().unwrap_or(""));
            // The only request with an id is the one to watch.
            outcome.refused = reply.get("id").is_some_and(|id| !id.is_null());
            return;
        }
        let Some(symbols) = reply["symbols"].as_object() else {
            return tally.trouble("an acknowledgement without symbols");
        };
        for (name, place) in symbols {
            match names
                .find_plain(name)
                .and_then(|symbol| self.find_symbol(symbol))
            {
                Some(found) => self.watches[found].place(name, place, (plan, tally)),
                None => tally.trouble("an acknowledgement of a symbol that was not asked for"),
            }
        }
        if self.watches.iter().any(|watch| watch.handle != NO_HANDLE) {
            self.watches.sort_unstable_by_key(|watch| watch.handle);
            self.by_handle = true;
        }
        outcome.acknowledged = true;
    }
}

impl Watch {
    /// Takes over where the gateway's counters stand.
    fn place(&mut self, name: &str, place: &Value, (plan, tally): (&Plan, &mut Tally)) {
        if place["state"] == "no_such_symbol" {
            return tally.miss(name);
        }
        let is_recovered = match place.get("recovered").and_then(Value::as_bool) {
            Some(true) => {
                tally.recovered += 1;
                true
            }
            Some(false) => {
                tally.not_recover(place["reason"].as_str().unwrap_or("unknown"));
                false
            }
            None => false,
        };
        if let Some(handle) = place["handle"]
            .as_u64()
            .and_then(|handle| u32::try_from(handle).ok())
        {
            self.handle = handle;
        }
        let (Some(epoch), Some(seq)) = (place["epoch"].as_u64(), place["seq"].as_u64()) else {
            return;
        };
        if !(is_recovered && plan.replayed) {
            (self.epoch, self.seq) = (epoch, seq);
        }
    }

    /// Counts what a frame with data says was merged or lost since the one before it.
    fn data(&mut self, event: &Event, every: bool, tally: &mut Tally) {
        if event.kind == Kind::Lost {
            tally.lost += event.count;
            tally.lost_frames += 1;
        }
        let Some(seq) = event.seq else {
            return tally.trouble("a frame without seq");
        };
        if let Some(epoch) = event.epoch.filter(|epoch| *epoch != self.epoch) {
            tally.epochs += u64::from(self.epoch != 0);
            (self.epoch, self.seq) = (epoch, seq);
            return;
        }
        match event.kind {
            // What it says is counted already.
            Kind::Lost => {}
            // A bar may come again with the same counter; a snapshot comes with that of the last update.
            Kind::Bar | Kind::Snapshot if seq <= self.seq => {}
            _ if seq <= self.seq => tally.trouble("a seq that was there before"),
            _ if every => tally.lost += seq - self.seq - 1,
            _ => tally.merged += seq - self.seq - 1,
        }
        self.seq = self.seq.max(seq);
    }
}
