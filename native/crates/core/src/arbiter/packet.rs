//! The headers of the two packet protocols, read into one shape.
//!
//! - `MoldUDP64` 1.00, downstream packet: session (10 bytes), sequence number (u64), message count (u16), then that many
//!   blocks of length (u16) and message; numbers are big-endian. Count 0 is a heartbeat, 0xFFFF the end of the session;
//!   both carry the next sequence number.
//! - Cboe Multicast PITCH, sequenced unit header: length of the whole (u16), count (u8), unit (u8), sequence (u32),
//!   little-endian, then that many messages which begin with their own length (u8, itself included). Count 0 is a
//!   heartbeat with the next sequence number, or with 0 outside trading hours.

use crate::{itch, pitch};

/// Ten bytes that name a `MoldUDP64` session; zeros for PITCH, which has none.
pub type SessionId = [u8; 10];

/// Which packets the lines carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    MoldUdp64,
    Pitch,
}

/// A packet that is whole: its messages fill it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0 for `MoldUDP64`.
    pub unit: u8,
    pub session: SessionId,
    /// Of the first message, or of the next one if there is none; 0 = the packet has no place in a sequence.
    pub first: u64,
    pub count: u64,
    /// `MoldUDP64`: nothing follows in this session.
    pub is_end: bool,
    /// The messages, each with the length that the protocol puts before it.
    pub body: &'a [u8],
}

impl Packet<'_> {
    /// One past the last number.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.count
    }
}

/// Length of each ITCH message by its letter; 0 = there is none.
const ITCH: [usize; 256] = {
    let (mut lengths, mut index) = ([0; 256], 0);
    while index < itch::message::TYPES.len() {
        let (letter, length) = itch::message::TYPES[index];
        lengths[letter as usize] = length;
        index += 1;
    }
    lengths
};

/// Least length of each PITCH message by its type; 0 = there is none.
const PITCH: [usize; 256] = {
    let (mut lengths, mut index) = ([0; 256], 0);
    while index < pitch::message::TYPES.len() {
        let (code, _, length) = pitch::message::TYPES[index];
        lengths[code as usize] = length;
        index += 1;
    }
    lengths
};

const MOLD_HEADER: usize = 20;
const MOLD_END: u16 = 0xffff;
const PITCH_HEADER: usize = 8;

impl Protocol {
    /// Reads a datagram.
    ///
    /// # Errors
    /// What is wrong with it: nothing of a packet whose messages do not fill it exactly can be believed, its number
    /// least of all.
    pub fn parse(self, bytes: &[u8]) -> Result<Packet<'_>, &'static str> {
        let packet = match self {
            Self::MoldUdp64 => parse_mold(bytes)?,
            Self::Pitch => parse_pitch(bytes)?,
        };
        if packet.first.checked_add(packet.count).is_none() {
            return Err("sequence number runs past the last one");
        }
        match self.skip(packet.body, packet.count) {
            Some(length) if length == packet.body.len() => Ok(packet),
            Some(_) => Err("more bytes than the counted messages have"),
            None => Err("fewer bytes than the counted messages have"),
        }
    }

    /// Whether every message of a packet is of a type that the payload's specification has, and long enough for it.
    /// Lengths alone do not show a type that was damaged on the way.
    #[must_use]
    pub fn knows(self, packet: &Packet<'_>) -> bool {
        let mut rest = packet.body;
        while !rest.is_empty() {
            let Some((message, tail)) = self.skip(rest, 1).map(|at| rest.split_at(at)) else {
                return false;
            };
            let is_known = match self {
                Self::MoldUdp64 => message
                    .get(2)
                    .is_some_and(|&letter| ITCH[usize::from(letter)] == message.len() - 2),
                Self::Pitch => message
                    .get(1)
                    .is_some_and(|&code| (1..=message.len()).contains(&PITCH[usize::from(code)])),
            };
            if !is_known {
                return false;
            }
            rest = tail;
        }
        true
    }

    /// Bytes of the first `count` messages of a body; `None` if there are not so many.
    #[must_use]
    #[inline]
    pub fn skip(self, body: &[u8], count: u64) -> Option<usize> {
        let mut at = 0;
        for _ in 0..count {
            at += match self {
                Self::MoldUdp64 => {
                    let length = body.get(at..at + 2)?;
                    2 + usize::from(u16::from_be_bytes([length[0], length[1]]))
                }
                // a length counts itself and the type
                Self::Pitch => match usize::from(*body.get(at)?) {
                    0 | 1 => return None,
                    length => length,
                },
            };
        }
        (at <= body.len()).then_some(at)
    }
}

fn parse_mold(bytes: &[u8]) -> Result<Packet<'_>, &'static str> {
    let Some((header, body)) = bytes.split_first_chunk::<MOLD_HEADER>() else {
        return Err("shorter than a MoldUDP64 header (20 bytes)");
    };
    let mut session = [0; 10];
    session.copy_from_slice(&header[..10]);
    let mut first = [0; 8];
    first.copy_from_slice(&header[10..18]);
    let count = u16::from_be_bytes([header[18], header[19]]);
    Ok(Packet {
        unit: 0,
        session,
        first: u64::from_be_bytes(first),
        count: if count == MOLD_END { 0 } else { count.into() },
        is_end: count == MOLD_END,
        body,
    })
}

fn parse_pitch(bytes: &[u8]) -> Result<Packet<'_>, &'static str> {
    let Some((header, body)) = bytes.split_first_chunk::<PITCH_HEADER>() else {
        return Err("shorter than a sequenced unit header (8 bytes)");
    };
    if usize::from(u16::from_le_bytes([header[0], header[1]])) != bytes.len() {
        return Err("length of the sequenced unit header is not the packet's");
    }
    Ok(Packet {
        unit: header[3],
        session: [0; 10],
        first: u32::from_le_bytes([header[4], header[5], header[6], header[7]]).into(),
        count: header[2].into(),
        is_end: false,
        body,
    })
}
