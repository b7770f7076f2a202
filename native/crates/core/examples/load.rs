//! Load client of the benchmarks: many WebSocket connections in one thread, which counts the updates it receives.
//!
//! `load PORT CLIENTS SYMBOLS EACH CREDIT`: client `c` watches `EACH` symbols, `(7 c + i SYMBOLS / EACH) mod SYMBOLS`, named
//! `S0000` and so on. `CREDIT` is a file of 8 bytes, little-endian, that always holds the updates received so far.
//! Prints `ready` when every client has subscribed; ends with its standard input.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::Duration;

mod websocket;

/// What every update holds once.
const MARK: &[u8] = b"\"type\":\"update\"";

struct Connection {
    stream: TcpStream,
    /// The end of what was read, where a mark may have begun.
    tail: Vec<u8>,
}

fn connect(port: u16, symbols: &[String]) -> std::io::Result<Connection> {
    let mut stream = websocket::upgrade(port, "/ws")?;
    let text = format!(
        "{{\"action\":\"subscribe\",\"symbols\":[\"{}\"]}}",
        symbols.join("\",\"")
    );
    websocket::send(&mut stream, 0x81, text.as_bytes())?;
    stream.set_nonblocking(true)?;
    Ok(Connection {
        stream,
        tail: Vec::new(),
    })
}

/// Counts marks, also one that is cut by the end of a read.
fn count(connection: &mut Connection, data: &[u8]) -> u64 {
    let joined;
    let whole = if connection.tail.is_empty() {
        data
    } else {
        joined = [&connection.tail[..], data].concat();
        &joined
    };
    let (mut found, mut at) = (0, 0);
    while let Some(offset) = find(&whole[at..]) {
        found += 1;
        at += offset + MARK.len();
    }
    let keep = at.max(whole.len().saturating_sub(MARK.len() - 1));
    let tail = whole[keep..].to_vec();
    connection.tail = tail;
    found
}

/// Where the mark begins. What is searched for is `"u`, which is rare.
fn find(data: &[u8]) -> Option<usize> {
    const ANCHOR: usize = 7;
    let mut at = 0;
    loop {
        let offset = data
            .get(at + ANCHOR..)?
            .windows(2)
            .position(|pair| pair == b"\"u")?;
        at += offset;
        if data[at..].starts_with(MARK) {
            return Some(at);
        }
        at += 1;
    }
}

fn is_input_over() -> bool {
    let mut poll = libc::pollfd {
        fd: 0,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd; no wait.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0
        && std::io::stdin()
            .read(&mut [0; 64])
            .is_ok_and(|read| read == 0)
}

fn run(connections: &mut [Connection], credit: &File) -> std::io::Result<()> {
    let mut polls = websocket::polls(connections.iter().map(|connection| &connection.stream));
    let mut buffer = vec![0; 256 << 10];
    let mut updates = 0;
    while !is_input_over() {
        // A look every half a millisecond, so that hardly a write of the server has to wake us.
        std::thread::sleep(Duration::from_micros(500));
        if !websocket::wait(&mut polls, 0) {
            continue;
        }
        for (poll, connection) in polls.iter_mut().zip(connections.iter_mut()) {
            if poll.revents == 0 {
                continue;
            }
            match connection.stream.read(&mut buffer) {
                Ok(0) => poll.fd = -1,
                Ok(read) => updates += count(connection, &buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        credit.write_all_at(&u64::to_le_bytes(updates), 0)?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| {
        arguments[at]
            .parse::<usize>()
            .map_err(std::io::Error::other)
    };
    let (port, clients, symbols, each) = (number(1)?, number(2)?, number(3)?, number(4)?);
    let credit = OpenOptions::new().write(true).open(&arguments[5])?;
    let mut connections = Vec::with_capacity(clients);
    for client in 0..clients {
        let watched: Vec<String> = (0..each)
            .map(|i| format!("S{:04}", (7 * client + i * (symbols / each)) % symbols))
            .collect();
        let port = u16::try_from(port).map_err(std::io::Error::other)?;
        connections.push(connect(port, &watched)?);
    }
    println!("ready");
    run(&mut connections, &credit)
}
