//! The loop of one process: all clients on one poll, read in turn through one buffer.
//!
//! After each round with events it rests for [`REST`], so that frames of many clients, and several of one, are read
//! together: that is what makes a simulated client cheaper than the server that feeds it, and it adds at most so much to the
//! latencies measured. Time comes from the system's clocks here and nowhere else.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Event as Readiness;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::agenda::Agenda;
use crate::client::{Client, NO_HANDLE, Outcome, Phase, Watch};
use crate::event::{Event, Malformed};
use crate::names::Names;
use crate::plan::{Chooser, Codec, Plan, Random};
use crate::tally::{Phases, Tally};
use crate::wire::{self, Broken, Frame};
use crate::{json, msgpack, proto, requests, sockets};

/// Between two looks at the sockets.
pub const REST: Duration = Duration::from_micros(500);
const READ_SIZE: usize = 256 << 10;
const EVENTS: usize = 4_096;
const POLL_MAX: Duration = Duration::from_millis(20);
/// Waits before a client comes back: doubled with each try in vain, from and to.
const BACKOFF_MS: (u64, u64) = (500, 15_000);
const ASKED_WAIT_MAX_MS: u64 = 60_000;

/// Why a connection ended.
enum End {
    /// The system said so, or the server refused: may help to try again.
    Refused(String),
    /// Trying again cannot help.
    Hopeless(String),
    /// 503 or the like, with the wait that was asked for.
    Later(String, Option<u64>),
    /// The server's close.
    Closed(u16, String),
    /// No close was sent.
    Gone,
    Broken(&'static str),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.0)
    }
}

/// All clients of one process.
pub struct Engine {
    plan: Plan,
    names: Names,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    agenda: Agenda,
    tally: Tally,
    random: Random,
    buffer: Vec<u8>,
    started: Instant,
    churn_credit: f64,
    churned_ms: u64,
    /// The next client to be pinged, and those whose pong is awaited, with the time.
    next_ping: u32,
    pinged_ms: u64,
    pings: Vec<(u32, u32, i64)>,
    is_stopping: bool,
}

impl Engine {
    pub fn new(plan: Plan) -> io::Result<Self> {
        let chooser = Chooser::new(&plan);
        let clients = (0..plan.clients).map(|client| Client {
            watches: chooser
                .choose(plan.first + client)
                .into_iter()
                .map(|symbol| Watch {
                    seq: 0,
                    epoch: 0,
                    symbol,
                    handle: NO_HANDLE,
                })
                .collect(),
            ..Client::default()
        });
        Ok(Self {
            clients: clients.collect(),
            names: Names::new(&plan.symbols),
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            agenda: Agenda::new(plan.clients, plan.connect_rate, 0),
            tally: Tally::default(),
            random: Random(plan.seed.wrapping_add(u64::from(plan.first))),
            buffer: vec![0; READ_SIZE],
            started: Instant::now(),
            churn_credit: 0.0,
            churned_ms: 0,
            next_ping: 0,
            pinged_ms: 0,
            pings: Vec::new(),
            is_stopping: false,
            plan,
        })
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn phases(&self) -> Phases {
        let mut phases = Phases::default();
        for client in &self.clients {
            *match client.phase {
                Phase::Waiting => &mut phases.waiting,
                Phase::Connecting | Phase::Upgrading | Phase::Asking => &mut phases.opening,
                Phase::Open => &mut phases.open,
                Phase::Closing => &mut phases.closing,
                Phase::Failed => &mut phases.failed,
            } += 1;
        }
        phases
    }

    /// Works for so long.
    pub fn run(&mut self, duration: Duration) -> io::Result<()> {
        let until = Instant::now() + duration;
        loop {
            self.due();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let patience = if self.agenda.is_busy() {
                Duration::from_millis(1)
            } else {
                POLL_MAX
            };
            let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
            let polled = self.poll.poll(&mut events, Some(patience.min(left)));
            let is_idle = events.is_empty();
            for event in &events {
                self.ready(event);
            }
            self.events = events;
            match polled {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if !is_idle {
                std::thread::sleep(REST);
            }
        }
    }

    /// Closes all clients, and opens none any more. [`Engine::phases`] tells when they are closed.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        self.agenda.cancel();
        for id in 0..self.plan.clients {
            match self.clients[id as usize].phase {
                Phase::Asking | Phase::Open => self.leave(id),
                Phase::Connecting | Phase::Upgrading => {
                    self.clients[id as usize].detach();
                    self.clients[id as usize].phase = Phase::Waiting;
                }
                Phase::Waiting | Phase::Closing | Phase::Failed => {}
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Does what is due by the clock.
    fn due(&mut self) {
        let now_ms = self.now_ms();
        while let Some((id, generation)) = self.agenda.next_timeout(now_ms) {
            self.time_out(id, generation);
        }
        if self.is_stopping {
            return;
        }
        self.agenda.refill(now_ms);
        while let Some(id) = self.agenda.next_connect() {
            self.begin(id);
        }
        self.churn(now_ms);
        if self.plan.ping_ms > 0 && now_ms >= self.pinged_ms + self.plan.ping_ms {
            self.pinged_ms = now_ms;
            self.ping();
        }
    }

    fn time_out(&mut self, id: u32, generation: u32) {
        let client = &self.clients[id as usize];
        if client.generation != generation {
            return;
        }
        match client.phase {
            Phase::Connecting => self.end(id, End::Refused("no connection in time".to_owned())),
            Phase::Upgrading => self.end(
                id,
                End::Refused("no answer to the handshake in time".to_owned()),
            ),
            Phase::Asking => self.end(id, End::Refused("no acknowledgement in time".to_owned())),
            Phase::Closing => self.end(id, End::Gone),
            Phase::Waiting | Phase::Open | Phase::Failed => {}
        }
    }

    /// Lets as many clients leave as are due.
    fn churn(&mut self, now_ms: u64) {
        let elapsed_s = (now_ms - self.churned_ms) as f64 / 1_000.0;
        self.churned_ms = now_ms;
        self.churn_credit =
            (self.churn_credit + elapsed_s * self.plan.churn).min(self.plan.churn.max(1.0));
        while self.churn_credit >= 1.0 {
            self.churn_credit -= 1.0;
            let start = self.random.word() as usize % self.clients.len();
            let found = (start..self.clients.len()).chain(0..start).take(64);
            let Some(id) = found
                .into_iter()
                .find(|id| self.clients[*id].phase == Phase::Open)
            else {
                return;
            };
            self.clients[id].is_churning = true;
            self.leave(id as u32);
        }
    }

    /// Sends a close; the client goes when it is answered.
    fn leave(&mut self, id: u32) {
        self.write(id, wire::CLOSE, &1000_u16.to_be_bytes());
        let client = &mut self.clients[id as usize];
        if matches!(client.phase, Phase::Asking | Phase::Open) {
            client.phase = Phase::Closing;
            client.generation += 1;
            let generation = client.generation;
            self.agenda
                .time_out_at(self.now_ms() + self.plan.timeout_ms, id, generation);
        }
    }

    /// Pings the next open client.
    fn ping(&mut self) {
        let oldest_ns = now_ns() - 10_000_000_000;
        self.pings.retain(|(_, _, sent_ns)| *sent_ns > oldest_ns);
        for _ in 0..self.plan.clients.min(64) {
            let id = self.next_ping;
            self.next_ping = (id + 1) % self.plan.clients;
            let client = &self.clients[id as usize];
            if client.phase == Phase::Open && !self.pings.iter().any(|(pinged, ..)| *pinged == id) {
                self.pings.push((id, client.generation, now_ns()));
                self.tally.pings += 1;
                self.write(id, self.plan.codec.opcode(), &requests::ping(&self.plan));
                return;
            }
        }
    }

    /// Begins to connect.
    fn begin(&mut self, id: u32) {
        let place = (self.plan.first + id) as usize;
        let source = (!self.plan.sources.is_empty())
            .then(|| self.plan.sources[place % self.plan.sources.len()]);
        let began = sockets::begin(self.plan.address, source).and_then(|stream| {
            let mut link = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut link, Token(id as usize), interest)?;
            Ok(link)
        });
        let client = &mut self.clients[id as usize];
        client.generation += 1;
        client.started_ns = now_ns();
        client.phase = Phase::Connecting;
        match began {
            Ok(link) => {
                client.link = Some(link);
                let generation = client.generation;
                self.agenda
                    .time_out_at(self.now_ms() + self.plan.timeout_ms, id, generation);
            }
            Err(error) => self.end(id, End::Refused(error.to_string())),
        }
    }

    /// A socket can be read or written, or is at its end.
    fn ready(&mut self, event: &Readiness) {
        let id = event.token().0 as u32;
        if self.clients[id as usize].phase == Phase::Connecting && !self.connected(id) {
            return;
        }
        if event.is_writable() && !self.clients[id as usize].unsent.is_empty() {
            self.write_rest(id);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(id, event.is_read_closed());
        }
    }

    /// Whether the connection is made; sends the handshake then.
    fn connected(&mut self, id: u32) -> bool {
        let Some(link) = &self.clients[id as usize].link else {
            return false;
        };
        let failure = match link.take_error() {
            Ok(None) => match link.peer_addr() {
                Ok(_) => None,
                Err(error) if error.kind() == ErrorKind::NotConnected => return false,
                Err(error) => Some(error),
            },
            Ok(Some(error)) | Err(error) => Some(error),
        };
        if let Some(error) = failure {
            self.end(id, End::Refused(error.to_string()));
            return false;
        }
        self.tally.connected += 1;
        self.clients[id as usize].phase = Phase::Upgrading;
        let request = requests::handshake(&self.plan);
        self.send(id, &request);
        self.clients[id as usize].link.is_some()
    }

    /// Sends a frame.
    fn write(&mut self, id: u32, opcode: u8, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        wire::write_frame(&mut frame, opcode, payload, self.random.mask());
        self.send(id, &frame);
    }

    fn send(&mut self, id: u32, data: &[u8]) {
        self.clients[id as usize].unsent.extend_from_slice(data);
        self.write_rest(id);
    }

    fn write_rest(&mut self, id: u32) {
        let client = &mut self.clients[id as usize];
        let Some(link) = &mut client.link else {
            return;
        };
        while !client.unsent.is_empty() {
            match link.write(&client.unsent) {
                Ok(written) => drop(client.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The read that follows says why.
                Err(_) => break,
            }
        }
        client.unsent = Vec::new();
    }

    /// Reads all there is.
    fn read(&mut self, id: u32, is_at_end: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(link) = &mut self.clients[id as usize].link {
            match link.read(&mut buffer) {
                Ok(0) => {
                    self.end(id, End::Gone);
                    break;
                }
                Ok(count) => {
                    self.tally.reads += 1;
                    self.tally.bytes += count as u64;
                    if let Err(end) = self.take(id, &buffer[..count]) {
                        self.end(id, end);
                        break;
                    }
                    // A short read emptied the socket: what comes later is told anew.
                    if count < buffer.len() && !is_at_end {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let phase = self.clients[id as usize].phase;
                    let is_open = matches!(phase, Phase::Open | Phase::Asking | Phase::Closing);
                    self.end(
                        id,
                        if is_open {
                            End::Gone
                        } else {
                            End::Refused(error.to_string())
                        },
                    );
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Takes what was read, behind what is left from before.
    fn take(&mut self, id: u32, data: &[u8]) -> Result<(), End> {
        let mut carry = std::mem::take(&mut self.clients[id as usize].carry);
        if carry.is_empty() {
            let used = self.consume(id, data)?;
            self.clients[id as usize].carry = data[used..].to_vec();
        } else {
            carry.extend_from_slice(data);
            let used = self.consume(id, &carry)?;
            if used == carry.len() {
                carry = Vec::new();
            } else {
                carry.drain(..used);
                if used > 0 {
                    carry.shrink_to_fit();
                }
            }
            self.clients[id as usize].carry = carry;
        }
        Ok(())
    }

    /// Reads whole frames; how many bytes they were.
    fn consume(&mut self, id: u32, data: &[u8]) -> Result<usize, End> {
        let mut at = 0;
        if self.clients[id as usize].phase == Phase::Upgrading {
            match wire::read_answer(data).map_err(|broken| End::Hopeless(broken.0.to_owned()))? {
                None => return Ok(0),
                Some(answer) => at = self.answered(id, &answer)?,
            }
        }
        let now_ns = now_ns();
        while let Some(Frame {
            opcode,
            is_final,
            start,
            end,
        }) = wire::read_frame(&data[at..])?
        {
            let payload = &data[at + start..at + end];
            at += end;
            match opcode {
                wire::TEXT | wire::BINARY
                    if is_final && self.clients[id as usize].parts.is_none() =>
                {
                    self.message(id, opcode, payload, now_ns)?;
                }
                0 | wire::TEXT | wire::BINARY => {
                    self.part(id, opcode, payload, is_final, now_ns)?
                }
                wire::PING => self.write(id, wire::PONG, payload),
                wire::PONG => {}
                wire::CLOSE => return Err(self.closed(id, payload)),
                _ => return Err(End::Broken("a frame of an unknown opcode")),
            }
        }
        Ok(at)
    }

    /// The server closes: answers it, unless it answers us.
    fn closed(&mut self, id: u32, payload: &[u8]) -> End {
        let code = payload
            .first_chunk::<2>()
            .map_or(1005, |bytes| u16::from_be_bytes(*bytes));
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
        if self.clients[id as usize].phase != Phase::Closing {
            self.write(id, wire::CLOSE, payload.get(..2).unwrap_or_default());
        }
        End::Closed(code, reason)
    }

    /// The answer to the handshake is here: asks to watch. Returns the length of its head.
    fn answered(&mut self, id: u32, answer: &wire::Answer) -> Result<usize, End> {
        let text = format!("answered {}", answer.status);
        let asked_ms = answer
            .retry_after_s
            .map(|wait_s| (wait_s.max(0.0) * 1_000.0) as u64);
        match answer.status {
            101 => {}
            408 | 429 | 500..=599 => return Err(End::Later(text, asked_ms)),
            _ => return Err(End::Hopeless(text)),
        }
        if answer.accept.as_deref() != Some(&self.plan.accept) {
            return Err(End::Hopeless(
                "answered 101 with a wrong Sec-WebSocket-Accept".to_owned(),
            ));
        }
        let wanted = self.plan.codec.protocol();
        if answer.protocol.as_deref() != Some(wanted) {
            return Err(End::Hopeless(format!(
                "did not choose the subprotocol {wanted}"
            )));
        }
        self.clients[id as usize].phase = Phase::Asking;
        let request = requests::watch(&self.clients[id as usize], &self.plan);
        self.write(id, self.plan.codec.opcode(), &request);
        Ok(answer.end)
    }

    /// A part of a fragmented message.
    fn part(
        &mut self,
        id: u32,
        opcode: u8,
        payload: &[u8],
        is_final: bool,
        now_ns: i64,
    ) -> Result<(), End> {
        let client = &mut self.clients[id as usize];
        let parts = match (&mut client.parts, opcode) {
            (Some(parts), 0) => parts,
            (None, wire::TEXT | wire::BINARY) => {
                client.parts.insert(Box::new((opcode, Vec::new())))
            }
            _ => return Err(End::Broken("parts of messages out of order")),
        };
        parts.1.extend_from_slice(payload);
        if parts.1.len() > wire::MESSAGE_MAX {
            return Err(End::Broken("a message of more than 16 MiB"));
        }
        match client.parts.take_if(|_| is_final) {
            Some(parts) => self.message(id, parts.0, &parts.1, now_ns),
            None => Ok(()),
        }
    }

    /// Counts the frames of a message.
    fn message(&mut self, id: u32, opcode: u8, payload: &[u8], now_ns: i64) -> Result<(), End> {
        let Self {
            clients,
            plan,
            names,
            tally,
            ..
        } = self;
        let client = &mut clients[id as usize];
        tally.messages += 1;
        let mut outcome = Outcome::default();
        let codec = plan.codec;
        let visit = |event: Event| {
            client.event(&event, payload, now_ns, (plan, names, tally), &mut outcome)
        };
        let scanned = match codec {
            _ if opcode != codec.opcode() => Err(Malformed(0)),
            Codec::Json => json::frames(payload, visit),
            Codec::Msgpack | Codec::Compact => msgpack::frames(payload, visit),
            Codec::Proto => proto::frames(payload, visit),
        };
        if scanned.is_err() {
            self.tally.trouble("a message that is not of the codec");
        }
        if let Some(server_ns) = outcome.pong {
            self.ponged(id, server_ns, now_ns);
        }
        if outcome.acknowledged {
            self.acknowledged(id, now_ns);
        }
        if outcome.refused && self.clients[id as usize].phase == Phase::Asking {
            return Err(End::Hopeless(
                "refused the request to watch; see the error".to_owned(),
            ));
        }
        Ok(())
    }

    fn acknowledged(&mut self, id: u32, now_ns: i64) {
        let client = &mut self.clients[id as usize];
        if client.phase != Phase::Asking {
            return;
        }
        client.phase = Phase::Open;
        client.tries = 0;
        self.tally.acknowledged += 1;
        self.tally.reached += u64::from(!client.was_open);
        client.was_open = true;
        self.tally.open_latency.add(now_ns - client.started_ns);
    }

    fn ponged(&mut self, id: u32, server_ns: Option<i64>, now_ns: i64) {
        let generation = self.clients[id as usize].generation;
        let Some(place) = self
            .pings
            .iter()
            .position(|(pinged, of, _)| (*pinged, *of) == (id, generation))
        else {
            return;
        };
        let (_, _, sent_ns) = self.pings.swap_remove(place);
        let trip_ns = now_ns - sent_ns;
        self.tally.ping_latency.add(trip_ns);
        if let Some(server_ns) = server_ns
            && self
                .tally
                .clock_offset
                .is_none_or(|(_, fastest_ns)| trip_ns < fastest_ns)
        {
            self.tally.clock_offset = Some((server_ns - (sent_ns + trip_ns / 2), trip_ns));
        }
    }

    /// A connection is over: counts why, and decides whether and when the client comes back.
    fn end(&mut self, id: u32, end: End) {
        let client = &mut self.clients[id as usize];
        let phase = client.phase;
        client.detach();
        client.generation += 1;
        client.phase = Phase::Waiting;
        if phase == Phase::Closing {
            let is_churning = std::mem::take(&mut client.is_churning);
            if is_churning && !self.is_stopping {
                self.tally.churned += 1;
                self.agenda.connect_at(self.now_ms(), id);
            }
            return;
        }
        let was_up = matches!(phase, Phase::Open | Phase::Asking);
        let (may_return, asked_ms) = match end {
            End::Refused(text) => {
                self.tally.refuse(&text);
                (true, None)
            }
            End::Hopeless(text) => {
                self.tally.refuse(&text);
                (false, None)
            }
            End::Later(text, asked_ms) => {
                self.tally.refuse(&text);
                (true, asked_ms)
            }
            End::Closed(code, reason) => {
                *self.tally.closed.entry(code).or_default() += 1;
                (
                    self.plan.reconnect && !(4800..4900).contains(&code),
                    retry_in_ms(&reason),
                )
            }
            End::Gone if was_up => {
                *self.tally.closed.entry(1006).or_default() += 1;
                (self.plan.reconnect, None)
            }
            End::Gone => {
                self.tally.refuse("hung up during the handshake");
                (true, None)
            }
            End::Broken(text) => {
                self.tally.trouble(text);
                (self.plan.reconnect, None)
            }
        };
        self.come_back(id, may_return, asked_ms);
    }

    /// Puts a client on the agenda again, or gives it up.
    fn come_back(&mut self, id: u32, may_return: bool, asked_ms: Option<u64>) {
        let client = &mut self.clients[id as usize];
        // Who was asked to wait, waits as often as it takes.
        let tries = if asked_ms.is_some() {
            client.tries
        } else {
            client.tries.saturating_add(1)
        };
        client.tries = tries;
        if self.is_stopping {
            return;
        }
        if !may_return || tries >= self.plan.tries {
            client.phase = Phase::Failed;
            return;
        }
        let backoff_ms = (BACKOFF_MS.0 << tries.saturating_sub(1).min(8)).min(BACKOFF_MS.1);
        let wait_ms = asked_ms.map_or(backoff_ms, |asked_ms| asked_ms.min(ASKED_WAIT_MAX_MS));
        // Jitter, so that those that were closed together do not come back together.
        let jitter_ms = (wait_ms as f64 * 0.5 * self.random.unit()) as u64;
        self.tally.retries += 1;
        self.agenda
            .connect_at(self.now_ms() + wait_ms + jitter_ms, id);
    }
}

/// The wait that a close asks for: `retry in 1500 ms` somewhere in its reason.
fn retry_in_ms(reason: &str) -> Option<u64> {
    let (number, rest) = reason.split_once("retry in ")?.1.split_once(' ')?;
    rest.starts_with("ms").then(|| number.parse().ok())?
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

#[cfg(test)]
mod tests {
    use super::retry_in_ms;

    #[test]
    fn a_close_says_when_to_come_back() {
        assert_eq!(retry_in_ms("draining; retry in 1500 ms"), Some(1500));
        assert_eq!(retry_in_ms("retry in 20 ms please"), Some(20));
        for reason in [
            "",
            "retry in",
            "retry in soon ms",
            "retry in 5 s",
            "retry in -5 ms",
        ] {
            assert_eq!(retry_in_ms(reason), None, "{reason}");
        }
    }
}
