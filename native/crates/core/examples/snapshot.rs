//! Snapshot client: many clients that are connected already subscribe at the same moment.
//!
//! `snapshot PORT CLIENTS EACH ROUNDS FILE`: `FILE` names the symbols, one a line. Client `c` asks for `EACH` of the `N`
//! symbols, `(7 c + i N / EACH) mod N`, at the default rate. Its time is that from its own request's write to the `recv`
//! that completed its last snapshot; nobody reads before all have asked. Then all unsubscribe and, in the next round, ask
//! again. Prints a JSON array, one object a round.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

mod websocket;

use websocket::{Frames, quantile};

const SNAPSHOT: &[u8] = b"{\"type\":\"snapshot\"";
const ACK: &[u8] = b"{\"type\":\"unsubscribed\"";
const PATIENCE: Duration = Duration::from_secs(20);

struct Client {
    stream: TcpStream,
    frames: Frames,
    names: String,
    snapshots: usize,
    acks: usize,
    asked: Instant,
    took_ns: i64,
}

impl Client {
    fn ask(&mut self, action: &str) -> std::io::Result<()> {
        (self.snapshots, self.acks, self.took_ns) = (0, 0, 0);
        let text = format!(
            "{{\"action\":\"{action}\",\"symbols\":[\"{}\"]}}",
            self.names
        );
        self.asked = Instant::now();
        self.stream.set_nonblocking(false)?;
        websocket::send(&mut self.stream, 0x81, text.as_bytes())?;
        self.stream.set_nonblocking(true)
    }

    fn read(&mut self, buffer: &mut [u8], each: usize) -> std::io::Result<()> {
        let read = match self.stream.read(buffer) {
            Ok(0) => return Err(std::io::Error::other("the gateway closed a connection")),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let (mut snapshots, mut acks) = (0, 0);
        self.frames.feed(&buffer[..read], |_, payload| {
            snapshots += usize::from(payload.starts_with(SNAPSHOT));
            acks += usize::from(payload.starts_with(ACK));
        });
        self.acks += acks;
        self.snapshots += snapshots;
        if self.took_ns == 0 && self.snapshots >= each {
            self.took_ns = self.asked.elapsed().as_nanos() as i64;
        }
        Ok(())
    }
}

/// Reads until `is_done` holds for every client.
fn until(
    clients: &mut [Client],
    each: usize,
    is_done: impl Fn(&Client) -> bool,
) -> std::io::Result<()> {
    let mut polls = websocket::polls(clients.iter().map(|client| &client.stream));
    let mut buffer = vec![0; 256 << 10];
    let deadline = Instant::now() + PATIENCE;
    while !clients.iter().all(&is_done) {
        if Instant::now() > deadline {
            return Err(std::io::Error::other("some clients got no answer"));
        }
        websocket::wait(&mut polls, 20);
        for (poll, client) in polls.iter().zip(clients.iter_mut()) {
            if poll.revents != 0 {
                client.read(&mut buffer, each)?;
            }
        }
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
    let port = u16::try_from(number(1)?).map_err(std::io::Error::other)?;
    let (count, each, rounds) = (number(2)?, number(3)?, number(4)?);
    let text = std::fs::read_to_string(&arguments[5])?;
    let symbols: Vec<&str> = text.lines().collect();
    let mut clients = Vec::with_capacity(count);
    for client in 0..count {
        let names: Vec<&str> = (0..each)
            .map(|i| symbols[(7 * client + i * symbols.len() / each) % symbols.len()])
            .collect();
        clients.push(Client {
            stream: websocket::upgrade(port, "/stream")?,
            frames: Frames::default(),
            names: names.join("\",\""),
            snapshots: 0,
            acks: 0,
            asked: Instant::now(),
            took_ns: 0,
        });
    }
    let mut rows = Vec::new();
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        for client in &mut clients {
            client.ask("subscribe")?;
        }
        let asked_ms = began.elapsed().as_secs_f64() * 1e3;
        until(&mut clients, each, |client| client.took_ns > 0)?;
        let all_ms = began.elapsed().as_secs_f64() * 1e3;
        let mut times: Vec<i64> = clients.iter().map(|client| client.took_ns).collect();
        times.sort_unstable();
        let [p50, p95, p99, max] =
            [0.5, 0.95, 0.99, 1.0].map(|part| quantile(&times, part) as f64 / 1e6);
        rows.push(format!(
            "{{\"p50_ms\":{p50:.2},\"p95_ms\":{p95:.2},\"p99_ms\":{p99:.2},\"max_ms\":{max:.2},\
             \"asking_took_ms\":{asked_ms:.2},\"all_took_ms\":{all_ms:.2}}}"
        ));
        for client in &mut clients {
            client.ask("unsubscribe")?;
        }
        until(&mut clients, each, |client| client.acks > 0)?;
    }
    println!("[{}]", rows.join(","));
    Ok(())
}
