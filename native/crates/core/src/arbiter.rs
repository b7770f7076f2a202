//! Arbitration of redundant packet lines: first arrival wins, order is restored, holes are found.
//!
//! Theory. A venue sends the same numbered messages on two or more lines, each of which loses, repeats and reorders
//! packets. The union of what arrives is kept as a set of numbers: everything below `expected` was handed out, the
//! `holes` are missing, the rest of what is below `top` waits behind a hole (see [`unit`]). A packet's numbers are cut
//! against the holes at message boundaries, so lines may divide the messages into packets differently.
//!
//! Three kinds of packets contradict what is known, and one such packet alone is not believed, since a single damaged
//! or forged header would otherwise end the feed. It is kept (bounded) as a *claim* until others agree:
//!
//! - another session (`MoldUDP64`): two packets in a row, unless the session ended or fell silent. Sessions that are
//!   over are remembered, so that a slow line does not bring them back;
//! - far ahead of everything known: two packets in a row that are near each other;
//! - back: a line falls behind its own highest number, three packets over a quarter of a second in which no line went
//!   forward. That is a venue that began its numbers anew (day roll of PITCH, a restart); repeats and late packets do
//!   not look like that, since their line goes on.
//!
//! Packets of different lines with the same numbers are compared by hash; where they differ one is damaged in a way that
//! no header shows, and the feed is told ([`Event::Conflict`]).
//!
//! Where the payload's types are known ([`LineArbiter::of_known_types`]) a packet with a message of another type, or one
//! too short for its type, is probably damaged: it loses against any other copy. It counts only if a second line brings
//! the very same bytes (then the venue has a type that we do not know), or, with `MoldUDP64`, if the re-request server
//! does (whose packets are divided in another way, so that they cannot be compared).
//!
//! Retransmissions (`is_repair`) fill holes and do nothing else.

pub mod packet;
pub mod unit;

use std::collections::VecDeque;

pub use packet::{Packet, Protocol, SessionId};
pub use unit::{Block, Hole, UnitCounts};

use unit::Unit;
use xxhash_rust::xxh3::xxh3_64;

/// Farther ahead than this a packet needs a second one that agrees.
const AHEAD_MAX: u64 = 4_096;
const AHEAD_PACKETS: usize = 2;
const SESSION_PACKETS: usize = 2;
const BACK_PACKETS: usize = 3;
const BACK_NS: i64 = 250_000_000;
/// A session of which nothing came for so long may be followed by any other.
const SILENT_NS: i64 = 5_000_000_000;
/// Sessions that are remembered as over.
const SESSIONS_KEPT: usize = 16;
/// Bytes that are kept of a claim.
const CLAIM_BYTES: usize = 1 << 20;
/// Packets of unknown types that wait for a second copy.
const STRANGE_KEPT: usize = 256;
/// Damaged packets and notices that are kept between two looks at them; all are counted.
const KEPT_MAX: usize = 100;

/// Figures of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    pub packets: u64,
    /// Packets that brought something new.
    pub won: u64,
    /// Packets whose messages were all known.
    pub duplicates: u64,
    /// Packets that are no packets.
    pub damaged: u64,
    /// Packets of a session that is over, or that nobody agreed with.
    pub disbelieved: u64,
}

/// Something besides messages happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session began (`MoldUDP64`).
    Session(SessionId),
    /// The venue ended the session.
    End(SessionId),
    /// The numbers began anew: what was expected, what came.
    Reset { expected: u64, came: u64 },
    /// No more room behind a hole: it has to be given up, up to this number.
    TooOld { last: u64 },
    /// Two packets say different things under the same numbers: one of them is damaged, nobody knows which.
    Conflict { first: u64, last: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contradiction {
    Session(SessionId),
    Ahead,
    Back,
}

#[derive(Debug)]
struct Kept {
    bytes: Box<[u8]>,
    ts_recv: i64,
    line: usize,
}

/// Packets that contradict what is known, until others agree.
#[derive(Debug)]
struct Claim {
    what: Contradiction,
    /// That began it.
    line: usize,
    since: i64,
    /// Number of the newest of them.
    newest: u64,
    count: usize,
    size: usize,
    kept: Vec<Kept>,
}

/// Redundant lines of one feed: see the module.
#[derive(Debug)]
pub struct LineArbiter {
    protocol: Protocol,
    /// Bytes that may wait behind holes, for each unit.
    limit: usize,
    /// Units begin at number 1; otherwise with whatever comes first.
    is_from_start: bool,
    /// Farther ahead than this a packet needs a second one that agrees.
    ahead_max: u64,
    /// Messages of types that are not known make a packet doubtful.
    checks_types: bool,
    /// Line and hash of the newest doubtful packets.
    strange: VecDeque<(usize, u64)>,
    units: Vec<Option<Box<Unit>>>,
    claims: Vec<(u8, Claim)>,
    lines: Vec<LineCounts>,
    session: Option<SessionId>,
    is_over: bool,
    heard_ns: i64,
    previous: VecDeque<SessionId>,
    events: Vec<(u8, Event)>,
    damaged: Vec<(usize, &'static str, Vec<u8>)>,
}

/// A datagram with its time and line.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    bytes: &'a [u8],
    ts_recv: i64,
    line: usize,
}

impl LineArbiter {
    #[must_use]
    pub fn new(protocol: Protocol, limit: usize, is_from_start: bool) -> Self {
        Self {
            protocol,
            limit,
            is_from_start,
            ahead_max: AHEAD_MAX,
            checks_types: false,
            strange: VecDeque::new(),
            units: (0..256).map(|_| None).collect(),
            claims: Vec::new(),
            lines: Vec::new(),
            session: None,
            is_over: false,
            heard_ns: 0,
            previous: VecDeque::new(),
            events: Vec::new(),
            damaged: Vec::new(),
        }
    }

    /// The packets are a recording, perhaps of a few of many: each is believed, however far ahead it is.
    #[must_use]
    pub fn of_recording(self) -> Self {
        Self {
            ahead_max: u64::MAX,
            ..self
        }
    }

    /// The payload is ITCH or PITCH: a packet with another type of message needs a second copy.
    #[must_use]
    pub fn of_known_types(self) -> Self {
        Self {
            checks_types: true,
            ..self
        }
    }

    /// Takes the datagrams of one line, oldest first; returns what is in order now.
    pub fn take<'a>(
        &mut self,
        packets: impl Iterator<Item = (&'a [u8], i64)>,
        line: usize,
        is_repair: bool,
    ) -> Vec<Block> {
        let mut out = Vec::new();
        if self.lines.len() <= line {
            self.lines.resize(line + 1, LineCounts::default());
        }
        for (bytes, ts_recv) in packets {
            let arrival = Arrival {
                bytes,
                ts_recv,
                line,
            };
            self.lines[line].packets += 1;
            match self.protocol.parse(bytes) {
                Ok(packet) if !self.is_plausible(&packet, arrival, is_repair) => {
                    self.bury(
                        arrival,
                        "a message of unknown type or too short for its type",
                    );
                }
                Ok(packet) if is_repair => self.repair(&packet, arrival, &mut out),
                Ok(packet) => self.judge(&packet, arrival, &mut out),
                Err(reason) => self.bury(arrival, reason),
            }
        }
        out
    }

    /// What is missing, by unit and number.
    pub fn holes(&self) -> impl Iterator<Item = (u8, Hole)> {
        self.units
            .iter()
            .flatten()
            .flat_map(|unit| unit.holes().map(|hole| (unit.number, *hole)))
    }

    /// Gives up every number of a unit up to `last`, missing or waiting; returns what waits right behind.
    pub fn skip(&mut self, unit: u8, last: u64) -> Vec<Block> {
        let mut out = Vec::new();
        let protocol = self.protocol;
        self.unit(unit).skip(protocol, last, &mut out);
        out
    }

    /// Wants a unit's messages again from a number on: all that is known to exist is a hole.
    pub fn rewind(&mut self, unit: u8, first: u64, now: i64) {
        self.unit(unit).rewind(first, now);
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<(u8, Event)> {
        std::mem::take(&mut self.events)
    }

    /// Damaged packets since the last call: line, what is wrong, the bytes; at most 100 are kept.
    pub fn take_damaged(&mut self) -> Vec<(usize, &'static str, Vec<u8>)> {
        std::mem::take(&mut self.damaged)
    }

    #[must_use]
    pub fn line_counts(&self, line: usize) -> LineCounts {
        self.lines.get(line).copied().unwrap_or_default()
    }

    /// Next number, one past the highest known number, bytes that wait, figures.
    #[must_use]
    pub fn unit_counts(&self, unit: u8) -> (u64, u64, usize, UnitCounts) {
        self.units[usize::from(unit)]
            .as_ref()
            .map_or_else(Default::default, |unit| {
                (unit.expected, unit.top, unit.waiting_bytes, unit.counts)
            })
    }

    /// Numbers of the units that were met.
    pub fn units(&self) -> impl Iterator<Item = u8> {
        self.units.iter().flatten().map(|unit| unit.number)
    }

    // ---------------------------------------------------------------- one packet

    /// Whether a packet's messages are of types that are known, or two lines agree on it.
    #[inline]
    fn is_plausible(&mut self, packet: &Packet<'_>, arrival: Arrival<'_>, is_repair: bool) -> bool {
        let is_answer = is_repair && self.protocol == Protocol::MoldUdp64;
        if !self.checks_types || is_answer || self.protocol.knows(packet) {
            return true;
        }
        let print = xxh3_64(arrival.bytes);
        let mut strange = self.strange.iter();
        if strange.any(|&(line, other)| other == print && line != arrival.line) {
            return true;
        }
        if self.strange.len() == STRANGE_KEPT {
            self.strange.pop_front();
        }
        self.strange.push_back((arrival.line, print));
        false
    }

    fn repair(&mut self, packet: &Packet<'_>, arrival: Arrival<'_>, out: &mut Vec<Block>) {
        if packet.count == 0 {
            return;
        }
        let is_ours = self.protocol == Protocol::Pitch || self.session == Some(packet.session);
        if packet.first == 0 {
            self.bury(arrival, "retransmission without a sequence number");
        } else if is_ours && self.units[usize::from(packet.unit)].is_some() {
            self.apply(packet, arrival, true, out);
        } else {
            self.lines[arrival.line].disbelieved += 1;
        }
    }

    fn judge(&mut self, packet: &Packet<'_>, arrival: Arrival<'_>, out: &mut Vec<Block>) {
        if packet.first == 0 {
            if packet.count > 0 {
                self.lines[arrival.line].won += 1;
                out.push(Block {
                    unit: packet.unit,
                    session: packet.session,
                    epoch: 0,
                    first: 0,
                    count: packet.count,
                    messages: packet.body.to_vec(),
                    ts_recv: arrival.ts_recv,
                });
            }
            return;
        }
        if self.protocol == Protocol::MoldUdp64 && !self.is_session(packet, arrival, out) {
            return;
        }
        let (first, end, line) = (packet.first, packet.end(), arrival.line);
        let (is_from_start, ahead_max) = (self.is_from_start, self.ahead_max);
        let unit = self.unit(packet.unit);
        if unit.line_ends.len() <= line {
            unit.line_ends.resize(line + 1, 0);
        }
        let line_end = unit.line_ends[line];
        if unit.begun && first > unit.top.saturating_add(ahead_max) {
            self.claim(Contradiction::Ahead, packet, arrival, out);
            return;
        }
        if !unit.begun {
            unit.begun = true;
            if unit.expected == 0 {
                let expected = if is_from_start { 1 } else { first };
                (unit.expected, unit.top) = (expected, expected);
            }
        }
        if end > line_end || (packet.count == 0 && end == line_end) {
            unit.line_ends[line] = end;
            self.drop_claim(packet.unit, line);
            self.apply(packet, arrival, false, out);
        } else if !self.apply(packet, arrival, false, out) && end < line_end {
            self.claim(Contradiction::Back, packet, arrival, out);
        }
        if packet.is_end && !self.is_over {
            self.is_over = true;
            self.tell(packet.unit, Event::End(packet.session));
        }
    }

    /// Whether a packet belongs to the current session; begins another if it is to be believed.
    fn is_session(
        &mut self,
        packet: &Packet<'_>,
        arrival: Arrival<'_>,
        out: &mut Vec<Block>,
    ) -> bool {
        let is_silent = arrival.ts_recv.saturating_sub(self.heard_ns) >= SILENT_NS;
        match self.session {
            Some(session) if session == packet.session => {
                self.heard_ns = arrival.ts_recv;
                self.claims
                    .retain(|(_, claim)| !matches!(claim.what, Contradiction::Session(_)));
                true
            }
            Some(_) if !is_silent && self.previous.contains(&packet.session) => {
                self.lines[arrival.line].disbelieved += 1;
                false
            }
            Some(_) if !is_silent && !self.is_over => {
                self.claim(Contradiction::Session(packet.session), packet, arrival, out);
                false
            }
            _ => {
                self.begin_session(packet.session, arrival.ts_recv);
                true
            }
        }
    }

    fn begin_session(&mut self, session: SessionId, ts_recv: i64) {
        if let Some(before) = self.session.replace(session) {
            self.previous
                .retain(|one| *one != before && *one != session);
            self.previous.push_back(before);
            if self.previous.len() > SESSIONS_KEPT {
                self.previous.pop_front();
            }
        }
        (self.is_over, self.heard_ns) = (false, ts_recv);
        self.claims.clear();
        let expected = u64::from(self.is_from_start);
        self.unit(0).begin(session, expected);
        self.tell(0, Event::Session(session));
    }

    /// Gives a believed packet to its unit; true if it brought something new.
    fn apply(
        &mut self,
        packet: &Packet<'_>,
        arrival: Arrival<'_>,
        is_repair: bool,
        out: &mut Vec<Block>,
    ) -> bool {
        let (protocol, limit) = (self.protocol, self.limit);
        let unit = self.unit(packet.unit);
        if packet.count == 0 {
            unit.announce(packet.first, arrival.ts_recv);
            return false;
        }
        let offered = unit.offer(protocol, packet, arrival.ts_recv, limit, is_repair, out);
        if offered.is_full {
            let last = unit.first_hole_last();
            self.tell_too_old(packet.unit, last);
        }
        if !self.unit(packet.unit).compare(packet) {
            let (first, last) = (packet.first, packet.end() - 1);
            self.tell(packet.unit, Event::Conflict { first, last });
        }
        let counts = &mut self.lines[arrival.line];
        if offered.new > 0 {
            counts.won += 1;
        } else if !offered.is_full {
            counts.duplicates += 1;
        }
        offered.new > 0
    }

    // ---------------------------------------------------------------- claims

    /// Keeps a packet that contradicts what is known; acts on the claim when enough packets agree.
    fn claim(
        &mut self,
        what: Contradiction,
        packet: &Packet<'_>,
        arrival: Arrival<'_>,
        out: &mut Vec<Block>,
    ) {
        let agrees = |claim: &Claim| {
            claim.what == what
                && (what != Contradiction::Ahead
                    || claim.newest.abs_diff(packet.first) <= AHEAD_MAX)
        };
        let at = self
            .claims
            .iter()
            .position(|(unit, _)| *unit == packet.unit);
        let mut claim = match at.map(|at| self.claims.swap_remove(at).1) {
            Some(claim) if agrees(&claim) => claim,
            other => {
                self.disbelieve(other);
                Claim {
                    what,
                    line: arrival.line,
                    since: arrival.ts_recv,
                    newest: 0,
                    count: 0,
                    size: 0,
                    kept: Vec::new(),
                }
            }
        };
        claim.count += 1;
        claim.newest = packet.first;
        if claim.size + arrival.bytes.len() <= CLAIM_BYTES {
            claim.size += arrival.bytes.len();
            let Arrival {
                bytes,
                ts_recv,
                line,
            } = arrival;
            claim.kept.push(Kept {
                bytes: bytes.into(),
                ts_recv,
                line,
            });
        }
        let is_proved = match what {
            Contradiction::Session(_) => claim.count >= SESSION_PACKETS,
            Contradiction::Ahead => claim.count >= AHEAD_PACKETS,
            Contradiction::Back => {
                claim.count >= BACK_PACKETS
                    && arrival.ts_recv.saturating_sub(claim.since) >= BACK_NS
            }
        };
        if is_proved {
            self.believe(packet, claim, arrival.ts_recv, out);
        } else {
            self.claims.push((packet.unit, claim));
        }
    }

    fn believe(&mut self, packet: &Packet<'_>, claim: Claim, ts_recv: i64, out: &mut Vec<Block>) {
        let is_from_start = self.is_from_start;
        match claim.what {
            Contradiction::Session(session) => self.begin_session(session, ts_recv),
            Contradiction::Back => {
                let unit = self.unit(packet.unit);
                let (expected, session) = (unit.expected, unit.session);
                unit.begin(session, u64::from(is_from_start));
                self.is_over = false;
                self.tell(
                    packet.unit,
                    Event::Reset {
                        expected,
                        came: packet.first,
                    },
                );
            }
            Contradiction::Ahead => {}
        }
        let lowest = claim
            .kept
            .iter()
            .filter_map(|kept| self.protocol.parse(&kept.bytes).ok());
        let lowest = lowest
            .map(|packet| packet.first)
            .min()
            .unwrap_or(packet.first);
        let unit = self.unit(packet.unit);
        if unit.expected == 0 {
            (unit.expected, unit.top) = (lowest, lowest);
        }
        for kept in &claim.kept {
            let Ok(packet) = self.protocol.parse(&kept.bytes) else {
                continue;
            };
            let unit = self.unit(packet.unit);
            unit.begun = true;
            if unit.line_ends.len() <= kept.line {
                unit.line_ends.resize(kept.line + 1, 0);
            }
            unit.line_ends[kept.line] = unit.line_ends[kept.line].max(packet.end());
            let arrival = Arrival {
                bytes: &kept.bytes,
                ts_recv: kept.ts_recv,
                line: kept.line,
            };
            self.apply(&packet, arrival, false, out);
        }
    }

    /// A line went forward: that the numbers began anew, or that this line jumped ahead, was wrong.
    #[inline]
    fn drop_claim(&mut self, unit: u8, line: usize) {
        if self.claims.is_empty() {
            return;
        }
        let is_refuted = |claim: &Claim| claim.what == Contradiction::Back || claim.line == line;
        let mut claims = self.claims.iter();
        if let Some(at) = claims.position(|(one, claim)| *one == unit && is_refuted(claim)) {
            let claim = self.claims.swap_remove(at).1;
            self.disbelieve(Some(claim));
        }
    }

    /// Counts packets that nobody agreed with; those that fell back were counted as duplicates already.
    fn disbelieve(&mut self, claim: Option<Claim>) {
        for kept in claim
            .into_iter()
            .filter(|claim| claim.what != Contradiction::Back)
            .flat_map(|claim| claim.kept)
        {
            self.lines[kept.line].disbelieved += 1;
        }
    }

    // ---------------------------------------------------------------- small things

    fn unit(&mut self, number: u8) -> &mut Unit {
        self.units[usize::from(number)].get_or_insert_with(|| Box::new(Unit::new(number)))
    }

    fn tell(&mut self, unit: u8, event: Event) {
        if self.events.len() < KEPT_MAX {
            self.events.push((unit, event));
        }
    }

    /// Says once, until it is looked at, that a hole has to be given up.
    fn tell_too_old(&mut self, unit: u8, last: u64) {
        let is_told =
            |&(one, event): &(u8, Event)| one == unit && matches!(event, Event::TooOld { .. });
        if !self.events.iter().any(is_told) {
            self.tell(unit, Event::TooOld { last });
        }
    }

    #[cold]
    fn bury(&mut self, arrival: Arrival<'_>, reason: &'static str) {
        self.lines[arrival.line].damaged += 1;
        if self.damaged.len() < KEPT_MAX {
            self.damaged
                .push((arrival.line, reason, arrival.bytes.to_vec()));
        }
    }
}
