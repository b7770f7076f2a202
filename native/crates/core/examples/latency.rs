//! Latency client: one probe and many conflated clients, who take the age of what arrives.
//!
//! `latency PORT CLIENTS EACH PROBED WARM_S SECONDS FILE`: `FILE` names the symbols, one a line. Client `c` watches `EACH`
//! of the `N` symbols, `(7 c + i N / EACH) mod N`, at 20 updates a second; the probe, in a thread of its own, watches
//! `PROBED` of them at rate 0. After `WARM_S` seconds it prints `measuring`, and after `SECONDS` more what it found, as
//! one line of JSON.
//!
//! Age = the wall clock right after the `recv` that completed a frame, less the frame's own `timestamp`: the exchange's time
//! of its newest trade. Only update frames that carry one have an age: the others changed nothing but the quote. Age
//! beyond the interval is what is left of it without the 50 ms that rate 20 may hold an update back.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod websocket;

use websocket::Frames;

const INTERVAL_NS: i64 = 50_000_000;
const UPDATE: &[u8] = b"{\"type\":\"update\"";
const SYNCED: &[u8] = b"{\"type\":\"synced\"";
const TIMESTAMP: &[u8] = b",\"timestamp\":\"";

struct Connection {
    stream: TcpStream,
    frames: Frames,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    is_on: bool,
    /// Update frames while on, and from the beginning.
    updates: u64,
    updates_ever: u64,
    bytes: u64,
    ages_ns: Vec<i64>,
    synced: String,
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

impl Connection {
    fn open(port: u16, symbols: &[&str], rate: u32) -> std::io::Result<Self> {
        let mut stream = websocket::upgrade(port, "/stream")?;
        let names = symbols.join("\",\"");
        let text =
            format!("{{\"action\":\"subscribe\",\"symbols\":[\"{names}\"],\"rate\":{rate}}}");
        websocket::send(&mut stream, 0x81, text.as_bytes())?;
        Ok(Self {
            stream,
            frames: Frames::default(),
            tally: Tally::default(),
        })
    }

    /// Reads once, and takes the age of every frame that is complete.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        let read = match self.stream.read(buffer) {
            Ok(0) => {
                return Err(std::io::Error::other(
                    "the gateway closed a connection: too slow?",
                ));
            }
            Ok(read) => read,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let now = now_ns();
        if self.tally.is_on {
            self.tally.bytes += read as u64;
        }
        let mut pings = Vec::new();
        let tally = &mut self.tally;
        self.frames
            .feed(&buffer[..read], |opcode, payload| match opcode {
                1 => tally.take(payload, now),
                9 => pings.push(payload.to_vec()),
                _ => {}
            });
        for ping in pings {
            websocket::send(&mut self.stream, 0x8a, &ping)?;
        }
        Ok(())
    }
}

impl Tally {
    fn take(&mut self, payload: &[u8], now: i64) {
        if !self.synced.is_empty() {
            // Behind the barrier: in none of its counts.
        } else if payload.starts_with(UPDATE) {
            self.updates_ever += 1;
            if self.is_on {
                self.updates += 1;
                if let Some(event) = timestamp(payload) {
                    self.ages_ns.push(now - event);
                }
            }
        } else if payload.starts_with(SYNCED) {
            self.synced = String::from_utf8_lossy(payload).into_owned();
        }
    }
}

/// The exchange's time in an update, ns since 1970.
fn timestamp(payload: &[u8]) -> Option<i64> {
    let at = payload
        .windows(TIMESTAMP.len())
        .position(|part| part == TIMESTAMP)?;
    let text = &payload[at + TIMESTAMP.len()..];
    let digits = |from: usize, to: usize| -> Option<i64> {
        std::str::from_utf8(text.get(from..to)?).ok()?.parse().ok()
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let mut fraction = 0;
    let mut scale = 1_000_000_000;
    for byte in text
        .get(20..)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
    {
        scale /= 10;
        fraction += i64::from(byte - b'0') * scale;
    }
    // Days of the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + fraction)
}

/// One object of JSON: counts and percentiles.
fn report(tallies: Vec<Tally>, beyond_ns: i64) -> String {
    let mut text = String::from("{");
    let updates: u64 = tallies.iter().map(|tally| tally.updates).sum();
    let ever: u64 = tallies.iter().map(|tally| tally.updates_ever).sum();
    let bytes: u64 = tallies.iter().map(|tally| tally.bytes).sum();
    let mut ages: Vec<i64> = tallies
        .into_iter()
        .flat_map(|tally| tally.ages_ns)
        .collect();
    ages.sort_unstable();
    let _ = write!(
        text,
        "\"updates\":{updates},\"updates_ever\":{ever},\"bytes\":{bytes},\"aged\":{}",
        ages.len()
    );
    for (name, part) in [
        ("p50", 0.5),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p999", 0.999),
        ("max", 1.0),
    ] {
        let age = websocket::quantile(&ages, part);
        let _ = write!(text, ",\"{name}_ms\":{:.3}", age as f64 / 1e6);
        if beyond_ns > 0 {
            let beyond = (age - beyond_ns).max(0) as f64 / 1e6;
            let _ = write!(text, ",\"{name}_beyond_ms\":{beyond:.3}");
        }
    }
    text.push('}');
    text
}

/// The probe: blocks in `recv`, so that it is woken by each write; then asks for the barrier.
fn probe(
    mut connection: Connection,
    measured: (Instant, Instant),
) -> std::io::Result<(String, String)> {
    let mut buffer = vec![0; 256 << 10];
    let (from, to) = measured;
    connection
        .stream
        .set_read_timeout(Some(Duration::from_millis(20)))?;
    while Instant::now() < to {
        connection.tally.is_on = Instant::now() >= from;
        connection.read(&mut buffer)?;
    }
    connection.tally.is_on = false;
    websocket::send(&mut connection.stream, 0x81, b"{\"action\":\"sync\"}")?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while connection.tally.synced.is_empty() && Instant::now() < deadline {
        connection.read(&mut buffer)?;
    }
    let synced = core::mem::take(&mut connection.tally.synced);
    Ok((report(vec![connection.tally], 0), synced))
}

fn conflated(connections: &mut [Connection], measured: (Instant, Instant)) -> std::io::Result<()> {
    let mut polls = websocket::polls(connections.iter().map(|connection| &connection.stream));
    let mut buffer = vec![0; 256 << 10];
    let mut is_said = false;
    while Instant::now() < measured.1 {
        let is_ready = websocket::wait(&mut polls, 20);
        let is_on = Instant::now() >= measured.0;
        if is_on && !is_said {
            is_said = true;
            println!("measuring");
        }
        if !is_ready {
            continue;
        }
        for (poll, connection) in polls.iter().zip(connections.iter_mut()) {
            if poll.revents != 0 {
                connection.tally.is_on = is_on;
                connection.read(&mut buffer)?;
            }
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments[at].parse::<u64>().map_err(std::io::Error::other);
    let port = u16::try_from(number(1)?).map_err(std::io::Error::other)?;
    let (clients, each, probed) = (
        number(2)? as usize,
        number(3)? as usize,
        number(4)? as usize,
    );
    let (warm_s, seconds) = (number(5)?, number(6)?);
    let text = std::fs::read_to_string(&arguments[7])?;
    let symbols: Vec<&str> = text.lines().collect();
    let watched = |client: usize, each: usize| -> Vec<&str> {
        (0..each)
            .map(|i| symbols[(7 * client + i * symbols.len() / each) % symbols.len()])
            .collect()
    };
    let mut connections = Vec::with_capacity(clients);
    for client in 0..clients {
        let connection = Connection::open(port, &watched(client, each), 20)?;
        connection.stream.set_nonblocking(true)?;
        connections.push(connection);
    }
    let alone = Connection::open(port, &watched(0, probed), 0)?;
    let from = Instant::now() + Duration::from_secs(warm_s);
    let measured = (from, from + Duration::from_secs(seconds));
    let thread = std::thread::spawn(move || probe(alone, measured));
    conflated(&mut connections, measured)?;
    println!("measured");
    let (probe, synced) = thread
        .join()
        .map_err(|_| std::io::Error::other("the probe failed"))??;
    let many = report(
        connections.into_iter().map(|one| one.tally).collect(),
        INTERVAL_NS,
    );
    let synced = if synced.is_empty() { "null" } else { &synced };
    println!(
        "{{\"seconds\":{seconds},\"probe\":{probe},\"conflated\":{many},\"synced\":{synced}}}"
    );
    Ok(())
}
