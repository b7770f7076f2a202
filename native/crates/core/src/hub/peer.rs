//! What the hub's tests share: a state that is a few numbers, and a client behind a real socket pair.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::{Source, Stamp};
use crate::latest::{Bar, Book, BookFrame, Topic, TradeRow, field};
use crate::ws;

/// The fields that the tests' topics have.
pub const FIELDS: [u32; 4] = [field::PRICE, field::BID, field::TIMESTAMP, field::STATE];
pub type Values = [u64; FIELDS.len()];

/// The state: one number a field.
pub struct World {
    pub values: Vec<Values>,
}

impl World {
    fn write_values(&self, out: &mut Vec<u8>, topic: Topic, fields: u32) {
        for (index, field) in FIELDS.iter().enumerate() {
            if fields & field != 0 {
                write!(out, " {index}={}", self.values[topic as usize][index]).expect("memory");
            }
        }
    }
}

fn head(out: &mut Vec<u8>, kind: &str, stamp: Stamp) {
    let spelling = if stamp.codec.strings() {
        "strings"
    } else {
        "numbers"
    };
    write!(
        out,
        "{kind} {} {} {} {} {spelling}",
        stamp.topic, stamp.epoch, stamp.seq, stamp.now_ns
    )
    .expect("memory");
}

impl Source for World {
    fn last_trade_ns(&self, topic: Topic) -> i64 {
        self.values[topic as usize][2] as i64
    }
    fn write_snapshot(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32) {
        head(out, "snapshot", stamp);
        self.write_values(out, stamp.topic, fields);
    }
    fn write_update(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32) {
        head(out, "update", stamp);
        self.write_values(out, stamp.topic, fields);
    }
    fn write_status(&self, out: &mut Vec<u8>, stamp: Stamp) {
        let topic = stamp.topic;
        write!(out, "status {topic} {}", self.values[topic as usize][3]).expect("memory");
    }
    fn write_trade(&self, out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, text: Option<&str>) {
        head(out, "trade", stamp);
        write!(out, " {} {}", row.id, text.unwrap_or("-")).expect("memory");
    }
    fn write_lost(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, count: u64) {
        head(out, "lost", stamp);
        write!(out, " {channel} {count}").expect("memory");
    }
    fn book(&self, _: Topic, _: u8, _: &mut Book) {
        unreachable!("no books here")
    }
    fn bar(&self, _: Topic, _: usize, _: i64) -> Option<Bar> {
        None
    }
    fn bars(&self, _: Topic, _: usize, _: usize, _: &mut Vec<Bar>) {}
    fn write_book(&self, _: &mut Vec<u8>, _: Stamp, _: &BookFrame<'_>) {
        unreachable!("no books here")
    }
    fn write_bar(&self, _: &mut Vec<u8>, _: Stamp, _: u8, _: &Bar) {
        unreachable!("no bars here")
    }
    fn write_bars(&self, _: &mut Vec<u8>, _: Stamp, _: u8, _: &[Bar]) {
        unreachable!("no bars here")
    }
}

/// A trade whose id and time are all that matters.
pub fn trade(id: u64, ts_event: i64) -> TradeRow {
    TradeRow {
        ts_event,
        id,
        price: 0,
        size: 0,
        text: TradeRow::NO_TEXT,
        conditions: 0,
        flags: 0,
        price_scale: 0,
        size_scale: 0,
        side: 0,
        time_precision: 9,
    }
}

/// A client's end of a connection, with the transport that keeps what the socket did not take.
pub struct Peer {
    pub ours: UnixStream,
    theirs: UnixStream,
    /// What the transport still has to write.
    pub backlog: Vec<u8>,
    received: Vec<u8>,
}

impl Peer {
    /// With the smallest send buffer the kernel grants.
    pub fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        ours.set_nonblocking(true).expect("an option");
        theirs.set_nonblocking(true).expect("an option");
        let smallest: libc::c_int = 1;
        // SAFETY: the option's value is a live c_int of the size given.
        let set = unsafe {
            libc::setsockopt(
                ours.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw const smallest).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        Self {
            ours,
            theirs,
            backlog: Vec::new(),
            received: Vec::new(),
        }
    }

    pub fn fd(&self) -> i32 {
        self.ours.as_raw_fd()
    }

    /// Writes what the transport has; true when that is all gone.
    pub fn drain(&mut self) -> bool {
        while !self.backlog.is_empty() {
            match self.ours.write(&self.backlog) {
                Ok(count) => drop(self.backlog.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
        true
    }

    /// Bytes that are no frames of a WebSocket.
    pub fn raw(&mut self) -> Vec<u8> {
        let mut chunk = [0; 4096];
        let count = self.theirs.read(&mut chunk).expect("something came");
        chunk[..count].to_vec()
    }

    /// Every message that is whole: (opcode, payload); arrays are taken apart.
    pub fn read(&mut self) -> Vec<(u8, String)> {
        let mut chunk = [0; 4096];
        loop {
            match self.theirs.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut messages = Vec::new();
        while let Some((used, opcode, payload)) = self.next_message() {
            self.received.drain(..used);
            match payload
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                Some(items) => {
                    messages.extend(items.split(',').map(|item| (opcode, item.to_owned())))
                }
                None => messages.push((opcode, payload)),
            }
        }
        messages
    }

    fn next_message(&self) -> Option<(usize, u8, String)> {
        let bytes = &self.received;
        let header = ws::header_length(*bytes.get(1)?);
        let length = match (bytes[1], bytes.get(2..header)?) {
            (126, rest) => usize::from(u16::from_be_bytes([rest[0], rest[1]])),
            (127, rest) => u64::from_be_bytes(rest.try_into().ok()?) as usize,
            (short, _) => usize::from(short),
        };
        assert_eq!(bytes[0] & 0xF0, 0x80, "whole, nothing reserved");
        let payload = bytes.get(header..header + length)?;
        let text = String::from_utf8(payload.to_vec()).expect("text");
        Some((header + length, bytes[0] & 0x0F, text))
    }

    pub fn has_part_of_a_message(&self) -> bool {
        !self.received.is_empty()
    }
}

/// A position's fields: 0 stands for all.
pub fn granted(fields: u32) -> u32 {
    if fields == 0 { field::ALL } else { fields }
}
