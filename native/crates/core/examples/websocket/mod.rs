//! What the native clients of the benchmarks share: the handshake, frames out and in, and waiting for many sockets.

#![allow(dead_code)] // each client uses its part

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Connects and upgrades; `path` is the one of the stream.
pub fn upgrade(port: u16, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101") {
        Ok(stream)
    } else {
        Err(std::io::Error::other(String::from_utf8_lossy(&head)))
    }
}

/// Sends a frame (0x81: a text, 0x8a: a pong); a mask of zeros leaves the payload as it is.
pub fn send(stream: &mut TcpStream, head: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(payload.len()).map_err(std::io::Error::other)?;
    let mut frame = vec![head, 0x80 | u8::try_from(length.min(126)).unwrap_or(126)];
    if length > 125 {
        frame.extend_from_slice(&length.to_be_bytes());
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    stream.write_all(&frame)
}

/// Frames out of reads: holds what is no whole frame yet.
#[derive(Default)]
pub struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// Calls `take` with the opcode and payload of every frame that is complete now.
    pub fn feed(&mut self, read: &[u8], mut take: impl FnMut(u8, &[u8])) {
        let mut joined = core::mem::take(&mut self.rest);
        let data = if joined.is_empty() {
            read
        } else {
            joined.extend_from_slice(read);
            &joined
        };
        let mut at = 0;
        while let Some((head, from, to)) = frame(&data[at..]) {
            take(head & 0x0f, &data[at + from..at + to]);
            at += to;
        }
        self.rest.extend_from_slice(&data[at..]);
    }
}

/// First byte, begin and end of the payload of the frame that `data` begins with.
fn frame(data: &[u8]) -> Option<(u8, usize, usize)> {
    let (from, length) = match *data.get(1)? {
        127 => (10, u64::from_be_bytes(data.get(2..10)?.try_into().ok()?)),
        126 => (
            4,
            u64::from(u16::from_be_bytes(data.get(2..4)?.try_into().ok()?)),
        ),
        short => (2, u64::from(short)),
    };
    let to = from + usize::try_from(length).ok()?;
    (data.len() >= to).then(|| (data[0], from, to))
}

/// What to wait for with [`wait`], in the order of the sockets.
pub fn polls<'a>(streams: impl Iterator<Item = &'a TcpStream>) -> Vec<libc::pollfd> {
    streams
        .map(|stream| libc::pollfd {
            fd: stream.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect()
}

/// Waits until one of the sockets can be read, or some milliseconds have passed; whether one can.
pub fn wait(polls: &mut [libc::pollfd], timeout_ms: i32) -> bool {
    // SAFETY: as many live pollfds as said.
    unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout_ms) > 0 }
}

/// The value at a part (0 to 1) of ascending values; 0 if there are none.
pub fn quantile(ascending: &[i64], part: f64) -> i64 {
    let place = (ascending.len() as f64 * part).ceil() as usize;
    ascending
        .get(place.clamp(1, ascending.len().max(1)) - 1)
        .copied()
        .unwrap_or(0)
}
