//! A source of ITCH 5.0 for benchmarks: a valid order flow at a given rate over SoupBinTCP 3.00 or MoldUDP64, with its truth.
//!
//! `source STOCKS SLICE_US MIDNIGHT_NS TRUTH [LINE...]`. Without lines it is a SoupBinTCP server on a free port of
//! 127.0.0.1 and prints `{"port":N}`; the first client to log in gets the whole session: the directory of `STOCKS` stocks,
//! their opening books, then the flow. With lines (`127.0.0.1:9001`, all of them get every packet) it prints
//! `{"port":0}` and begins with the first line of its standard input. Nothing is kept for a second client or a request. Commands on the
//! standard input, one a line, each answered by one line of JSON:
//!
//! * `rate N`: from now on `N` messages a second, made and sent every `SLICE_US` microseconds; 0 = none, only heartbeats
//! * `counts`: messages made so far, and how far the source is (and was at worst) behind its rate
//! * `truth`: stop, and write what is true now to the file `TRUTH`
//!
//! It ends with its standard input. The time in a message is the clock's when it was made, right before the write that
//! sends it (`MIDNIGHT_NS` = today's midnight in New York): if the receiver pushes back, the wait counts in the age.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

mod market;

use market::Market;

/// At most so many messages between two reads of the clock.
const STAMPED_TOGETHER: u64 = 64;
/// At most so many messages in one write.
const WRITTEN_TOGETHER: u64 = 4096;
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Bytes of a MoldUDP64 packet: what an Ethernet frame holds.
const PACKET_BYTES: usize = 1400;
const MOLD_HEAD: usize = 20;
/// A datagram line has no flow control: the opening takes its time.
const OPENING_PAUSE: Duration = Duration::from_micros(500);

/// When what is due, at which rate.
struct Pace {
    rate: f64,
    since: Instant,
    /// Messages made before `since`.
    before: u64,
    behind: Duration,
    behind_most: Duration,
}

impl Pace {
    fn new(rate: f64, made: u64) -> Self {
        Self {
            rate,
            since: Instant::now(),
            before: made,
            behind: Duration::ZERO,
            behind_most: Duration::ZERO,
        }
    }

    /// How many messages to make now.
    fn due(&mut self, made: u64) -> u64 {
        if self.rate <= 0.0 {
            return 0;
        }
        let wanted = (self.since.elapsed().as_secs_f64() * self.rate) as u64;
        let due = wanted.saturating_sub(made - self.before);
        self.behind = Duration::from_secs_f64(due as f64 / self.rate);
        self.behind_most = self.behind_most.max(self.behind);
        due
    }
}

/// How it goes out.
enum Wire {
    Soup(TcpStream),
    Mold {
        socket: UdpSocket,
        lines: Vec<String>,
        /// Number of the next message.
        next: u64,
    },
}

impl Wire {
    fn send(&mut self, market: &Market) -> std::io::Result<()> {
        match self {
            Self::Soup(stream) => stream.write_all(&market.out),
            Self::Mold {
                socket,
                lines,
                next,
            } => {
                let (mut first, mut begin) = (0, 0);
                while first < market.ends.len() {
                    let room = begin + PACKET_BYTES - MOLD_HEAD;
                    let count = market.ends[first..].partition_point(|end| *end <= room);
                    let end = market.ends[first + count - 1];
                    let packet = mold(*next, count as u16, &market.out[begin..end]);
                    for line in lines.iter() {
                        socket.send_to(&packet, line)?;
                    }
                    *next += count as u64;
                    (first, begin) = (first + count, end);
                }
                Ok(())
            }
        }
    }

    fn beat(&mut self) -> std::io::Result<()> {
        match self {
            Self::Soup(stream) => stream.write_all(b"\x00\x01H"),
            Self::Mold {
                socket,
                lines,
                next,
            } => {
                for line in lines.iter() {
                    socket.send_to(&mold(*next, 0, b""), line)?;
                }
                Ok(())
            }
        }
    }

    /// Throws away what a client sent (heartbeats); false if it has gone.
    fn listen(&mut self) -> bool {
        let Self::Soup(stream) = self else {
            return true;
        };
        let mut buffer = [0; 256];
        if stream.set_nonblocking(true).is_err() {
            return false;
        }
        let is_there = match stream.read(&mut buffer) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        stream.set_nonblocking(false).is_ok() && is_there
    }
}

/// A MoldUDP64 packet.
fn mold(first: u64, count: u16, blocks: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(PACKET_BYTES);
    packet.extend_from_slice(b"     BENCH");
    packet.extend_from_slice(&first.to_be_bytes());
    packet.extend_from_slice(&count.to_be_bytes());
    packet.extend_from_slice(blocks);
    packet
}

/// The login of the first client; answered with a session that begins now.
fn log_in(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet)?;
    if packet.first() != Some(&b'L') {
        return Err(std::io::Error::other("expected a login first"));
    }
    let mut answer = vec![0, 31, b'A'];
    answer.extend_from_slice(format!("{:>10}{:>20}", "BENCH", 1).as_bytes());
    stream.write_all(&answer)
}

struct Source {
    market: Market,
    wire: Wire,
    pace: Pace,
    spoke: Instant,
    listened: Instant,
}

impl Source {
    /// Directory and opening books.
    fn open(&mut self, stocks: usize) -> std::io::Result<()> {
        self.market.open();
        self.send()?;
        for locate in 0..stocks {
            self.market.open_book(locate);
            self.send()?;
            if matches!(self.wire, Wire::Mold { .. }) {
                std::thread::sleep(OPENING_PAUSE);
            }
        }
        Ok(())
    }

    /// Makes and sends what is due; false if nothing was.
    fn turn(&mut self) -> std::io::Result<bool> {
        let due = self.pace.due(self.market.made).min(WRITTEN_TOGETHER);
        for number in 0..due {
            if number % STAMPED_TOGETHER == 0 {
                let stamp = self.market.stamp();
                for _ in 0..STAMPED_TOGETHER.min(due - number) {
                    self.market.step(stamp);
                }
            }
        }
        self.send()?;
        let now = Instant::now();
        if now - self.spoke >= HEARTBEAT {
            self.wire.beat()?;
            self.spoke = now;
        }
        if now - self.listened >= HEARTBEAT {
            self.listened = now;
            if !self.wire.listen() {
                return Err(std::io::Error::other("the client has gone"));
            }
        }
        Ok(due == WRITTEN_TOGETHER)
    }

    fn send(&mut self) -> std::io::Result<()> {
        if !self.market.out.is_empty() {
            self.wire.send(&self.market)?;
            self.market.sent();
            self.spoke = Instant::now();
        }
        Ok(())
    }

    /// Answers one command.
    fn obey(&mut self, command: &str, truth: &str) -> std::io::Result<()> {
        let mut words = command.split_whitespace();
        match (words.next(), words.next()) {
            (Some("rate"), Some(rate)) => {
                let rate = rate.parse().map_err(std::io::Error::other)?;
                self.pace = Pace::new(rate, self.market.made);
            }
            (Some("counts"), None) => {}
            (Some("truth"), None) => {
                self.pace = Pace::new(0.0, self.market.made);
                std::fs::write(truth, self.market.truth())?;
            }
            _ => {
                return Err(std::io::Error::other(format!(
                    "unknown command {command:?}"
                )));
            }
        }
        println!(
            "{{\"made\":{},\"resting\":{},\"behind_ms\":{:.3},\"behind_most_ms\":{:.3}}}",
            self.market.made,
            self.market.resting(),
            self.pace.behind.as_secs_f64() * 1e3,
            self.pace.behind_most.as_secs_f64() * 1e3
        );
        self.pace.behind_most = Duration::ZERO;
        Ok(())
    }
}

fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || line.is_ok_and(|line| sender.send(line).is_err()) {
                return;
            }
        }
    });
    receiver
}

/// The wire to whoever comes first: a client, or the word to begin.
fn wire(lines: &[String], commands: &Receiver<String>) -> std::io::Result<Wire> {
    if !lines.is_empty() {
        println!("{{\"port\":0}}");
        commands.recv().map_err(std::io::Error::other)?;
        return Ok(Wire::Mold {
            socket: UdpSocket::bind("127.0.0.1:0")?,
            lines: lines.to_vec(),
            next: 1,
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    log_in(&mut stream)?;
    Ok(Wire::Soup(stream))
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments[at].parse::<i64>().map_err(std::io::Error::other);
    let (stocks, midnight_ns) = (number(1)? as usize, number(3)?);
    let slice = Duration::from_micros(number(2)? as u64);
    let (commands, lines) = (commands(), &arguments[5..]);
    let mut source = Source {
        wire: wire(lines, &commands)?,
        market: Market::new(stocks, midnight_ns, !lines.is_empty()),
        pace: Pace::new(0.0, 0),
        spoke: Instant::now(),
        listened: Instant::now(),
    };
    source.open(stocks)?;
    let mut next = Instant::now();
    loop {
        match commands.try_recv() {
            Ok(command) => source.obey(&command, &arguments[4])?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        if source.turn()? {
            continue; // behind: no rest
        }
        next = (next + slice).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
