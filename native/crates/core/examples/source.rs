//! A source of ITCH 5.0 for benchmarks: one SoupBinTCP 3.00 server, a valid order flow at a given rate, and its own truth.
//!
//! `source STOCKS SLICE_US MIDNIGHT_NS TRUTH` listens on a free port of 127.0.0.1 and prints `{"port":N}`. The first client
//! to log in gets the whole session: the directory of `STOCKS` stocks, their opening books, then the flow. Nothing is kept
//! for a second client. Commands on the standard input, one a line, each answered by one line of JSON:
//!
//! * `rate N`: from now on `N` messages a second, made and sent every `SLICE_US` microseconds; 0 = none, only heartbeats
//! * `counts`: messages made so far, and how far the source is (and was at worst) behind its rate
//! * `truth`: stop, and write what is true now to the file `TRUTH`
//!
//! It ends with its standard input. The time in a message is the clock's when it was made, right before the write that
//! sends it (`MIDNIGHT_NS` = today's midnight in New York): if the receiver pushes back, the wait counts in the age.
//!
//! The flow: adds 46 %, deletes 41 %, replaces 6 %, executions of the best order (the oldest of the best price) 5 %, partial
//! cancels 1 %, trades with hidden orders 1 %. The first hundredth of the stocks gets a fifth of the messages. The truth is
//! computed from the orders that rest at the end, by nothing of the crate.

use std::fmt::Write as _;
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Resting orders of a stock: about so many.
const RESTING: usize = 48;
/// At most so many messages between two reads of the clock.
const STAMPED_TOGETHER: u64 = 64;
/// At most so many messages in one write.
const WRITTEN_TOGETHER: u64 = 4096;
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A step of the price, in ten-thousandths.
const CENT: u32 = 100;

#[derive(Clone, Copy)]
struct Order {
    reference: u64,
    price: u32,
    shares: u32,
    is_bid: bool,
}

struct Stock {
    name: [u8; 8],
    middle: u32,
    orders: Vec<Order>,
    last: u32,
    volume: u64,
    trades: u64,
}

/// xorshift64*: fast, and the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (((self.roll() & 0xffff_ffff) * limit as u64) >> 32) as usize
    }

    /// Below `limit`, small numbers far more often than large ones.
    fn skewed(&mut self, limit: usize) -> usize {
        let part = self.roll() & 0xffff_ffff;
        let cube = (((part * part) >> 32) * part) >> 32;
        ((cube * limit as u64) >> 32) as usize
    }
}

struct Market {
    stocks: Vec<Stock>,
    dice: Dice,
    midnight_ns: i64,
    reference: u64,
    matched: u64,
    /// Sequenced messages made.
    made: u64,
    out: Vec<u8>,
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

impl Market {
    fn new(count: usize, midnight_ns: i64) -> Self {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let stocks = (0..count)
            .map(|number| {
                let mut name = [b' '; 8];
                let text = format!("B{number:05}");
                name[..text.len()].copy_from_slice(text.as_bytes());
                Stock {
                    name,
                    middle: (1_000 + dice.below(40_000) as u32) * CENT,
                    orders: Vec::with_capacity(RESTING + 16),
                    last: 0,
                    volume: 0,
                    trades: 0,
                }
            })
            .collect();
        Self {
            stocks,
            dice,
            midnight_ns,
            reference: 0,
            matched: 0,
            made: 0,
            out: Vec::with_capacity(1 << 18),
        }
    }

    fn stamp(&self) -> u64 {
        (now_ns() - self.midnight_ns).max(0) as u64
    }

    /// Head of a sequenced packet and of the ITCH message in it.
    fn head(&mut self, letter: u8, length: u16, locate: usize, stamp: u64) {
        self.made += 1;
        let mut head = [0; 14];
        head[..2].copy_from_slice(&(length + 1).to_be_bytes());
        head[2] = b'S';
        head[3] = letter;
        head[4..6].copy_from_slice(&(locate as u16).to_be_bytes());
        head[8..].copy_from_slice(&stamp.to_be_bytes()[2..]);
        self.out.extend_from_slice(&head);
    }

    /// Directory, begin of the day, and the opening books.
    fn open(&mut self) {
        let stamp = self.stamp();
        for event in *b"OSQ" {
            self.head(b'S', 12, 0, stamp);
            self.out.push(event);
        }
        for locate in 0..self.stocks.len() {
            self.head(b'R', 39, locate + 1, stamp);
            self.out.extend_from_slice(&self.stocks[locate].name);
            self.out
                .extend_from_slice(b"QN\x00\x00\x00\x64NCZ PNN1N\x00\x00\x00\x00N");
        }
        for locate in 0..self.stocks.len() {
            for _ in 0..RESTING {
                self.add(locate, stamp);
            }
        }
    }

    fn add(&mut self, locate: usize, stamp: u64) {
        self.reference += 1;
        let is_bid = self.dice.roll() & 1 == 0;
        let (price, shares) = self.offer(locate, is_bid);
        let order = Order {
            reference: self.reference,
            price,
            shares,
            is_bid,
        };
        self.stocks[locate].orders.push(order);
        self.head(b'A', 36, locate + 1, stamp);
        self.out.extend_from_slice(&order.reference.to_be_bytes());
        self.out.push(if is_bid { b'B' } else { b'S' });
        self.out.extend_from_slice(&shares.to_be_bytes());
        self.out.extend_from_slice(&self.stocks[locate].name);
        self.out.extend_from_slice(&price.to_be_bytes());
    }

    /// Price and shares of a new order: never across the middle, so that no book is ever crossed.
    fn offer(&mut self, locate: usize, is_bid: bool) -> (u32, u32) {
        let away = (1 + self.dice.skewed(30) as u32) * CENT;
        let middle = self.stocks[locate].middle;
        let price = if is_bid { middle - away } else { middle + away };
        (price, 100 * (1 + self.dice.below(9) as u32))
    }

    /// One message.
    fn step(&mut self, stamp: u64) {
        let locate = self.dice.skewed(self.stocks.len());
        let count = self.stocks[locate].orders.len();
        let choice = self.dice.below(1000);
        if choice < 10 {
            self.trade_hidden(locate, stamp);
        } else if count + 12 < RESTING || (choice < 470 && count < RESTING + 12) {
            self.add(locate, stamp);
        } else if choice < 890 {
            let at = self.dice.below(count);
            let order = self.stocks[locate].orders.swap_remove(at);
            self.head(b'D', 19, locate + 1, stamp);
            self.out.extend_from_slice(&order.reference.to_be_bytes());
        } else if choice < 950 {
            self.replace(locate, stamp);
        } else {
            self.take(locate, choice >= 990, stamp);
        }
    }

    fn replace(&mut self, locate: usize, stamp: u64) {
        let at = self.dice.below(self.stocks[locate].orders.len());
        let old = self.stocks[locate].orders[at];
        let (price, shares) = self.offer(locate, old.is_bid);
        self.reference += 1;
        self.stocks[locate].orders[at] = Order {
            reference: self.reference,
            price,
            shares,
            is_bid: old.is_bid,
        };
        self.head(b'U', 35, locate + 1, stamp);
        self.out.extend_from_slice(&old.reference.to_be_bytes());
        self.out.extend_from_slice(&self.reference.to_be_bytes());
        self.out.extend_from_slice(&shares.to_be_bytes());
        self.out.extend_from_slice(&price.to_be_bytes());
    }

    /// Takes shares off an order: a partial cancel of any, or an execution of the first in line of a side.
    fn take(&mut self, locate: usize, is_cancel: bool, stamp: u64) {
        let at = if is_cancel {
            let at = self.dice.below(self.stocks[locate].orders.len());
            (self.stocks[locate].orders[at].shares > 100).then_some(at)
        } else {
            let is_bid = self.dice.roll() & 1 == 0;
            first_in_line(&self.stocks[locate].orders, is_bid)
        };
        let Some(at) = at else {
            return self.add(locate, stamp);
        };
        let lots = self.stocks[locate].orders[at].shares / 100;
        let most = if is_cancel { lots - 1 } else { lots };
        let shares = 100 * (1 + self.dice.below(most as usize) as u32);
        let letter = if is_cancel { b'X' } else { b'E' };
        self.head(letter, if is_cancel { 23 } else { 31 }, locate + 1, stamp);
        let stock = &mut self.stocks[locate];
        let order = &mut stock.orders[at];
        order.shares -= shares;
        let (order, is_gone) = (*order, order.shares == 0);
        if is_gone {
            stock.orders.swap_remove(at);
        }
        self.out.extend_from_slice(&order.reference.to_be_bytes());
        self.out.extend_from_slice(&shares.to_be_bytes());
        if !is_cancel {
            self.matched += 1;
            self.out.extend_from_slice(&self.matched.to_be_bytes());
            stock.traded(order.price, shares);
        }
    }

    fn trade_hidden(&mut self, locate: usize, stamp: u64) {
        self.matched += 1;
        let shares = 100 * (1 + self.dice.below(9) as u32);
        self.head(b'P', 44, locate + 1, stamp);
        self.out.extend_from_slice(&[0; 8]);
        self.out.push(b'B');
        let stock = &mut self.stocks[locate];
        self.out.extend_from_slice(&shares.to_be_bytes());
        self.out.extend_from_slice(&stock.name);
        self.out.extend_from_slice(&stock.middle.to_be_bytes());
        self.out.extend_from_slice(&self.matched.to_be_bytes());
        stock.traded(stock.middle, shares);
    }

    /// What is true now, by stock: bid, bid size, ask, ask size, last price, volume, trades. Prices in ten-thousandths.
    fn truth(&self) -> String {
        let mut text = format!("{{\"messages\":{},\"stocks\":{{", self.made);
        for (number, stock) in self.stocks.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let (bid, bid_size) = best(&stock.orders, true);
            let (ask, ask_size) = best(&stock.orders, false);
            let _ = write!(
                text,
                "{comma}\"{}\":[{bid},{bid_size},{ask},{ask_size},{},{},{}]",
                String::from_utf8_lossy(&stock.name).trim_end(),
                stock.last,
                stock.volume,
                stock.trades
            );
        }
        text.push_str("}}\n");
        text
    }
}

impl Stock {
    fn traded(&mut self, price: u32, shares: u32) {
        self.last = price;
        self.volume += u64::from(shares);
        self.trades += 1;
    }
}

/// Whether a price is better than another for those who trade with it.
fn is_better(is_bid: bool, price: u32, than: u32) -> bool {
    if is_bid { price > than } else { price < than }
}

fn first_in_line(orders: &[Order], is_bid: bool) -> Option<usize> {
    let mut first: Option<usize> = None;
    for (at, order) in orders.iter().enumerate() {
        if order.is_bid == is_bid
            && first.is_none_or(|found| {
                let known = &orders[found];
                is_better(is_bid, order.price, known.price)
                    || (order.price == known.price && order.reference < known.reference)
            })
        {
            first = Some(at);
        }
    }
    first
}

/// Price and shares of the best level; zeros for an empty side.
fn best(orders: &[Order], is_bid: bool) -> (u32, u64) {
    let side = || orders.iter().filter(|order| order.is_bid == is_bid);
    let prices = side().map(|order| order.price);
    let best = if is_bid { prices.max() } else { prices.min() };
    let Some(price) = best else { return (0, 0) };
    let shares = side()
        .filter(|order| order.price == price)
        .map(|order| u64::from(order.shares))
        .sum();
    (price, shares)
}

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

/// Throws away what the client sent (heartbeats); false if it has gone.
fn listen(stream: &mut TcpStream) -> bool {
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

struct Source {
    market: Market,
    stream: TcpStream,
    pace: Pace,
    spoke: Instant,
    listened: Instant,
}

impl Source {
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
            self.market.out.extend_from_slice(b"\x00\x01H");
            self.send()?;
        }
        if now - self.listened >= HEARTBEAT {
            self.listened = now;
            if !listen(&mut self.stream) {
                return Err(std::io::Error::other("the client has gone"));
            }
        }
        Ok(due == WRITTEN_TOGETHER)
    }

    fn send(&mut self) -> std::io::Result<()> {
        if !self.market.out.is_empty() {
            self.stream.write_all(&self.market.out)?;
            self.market.out.clear();
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
            self.market
                .stocks
                .iter()
                .map(|stock| stock.orders.len())
                .sum::<usize>(),
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

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments[at].parse::<i64>().map_err(std::io::Error::other);
    let (stocks, midnight_ns) = (number(1)? as usize, number(3)?);
    let slice = Duration::from_micros(number(2)? as u64);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    let commands = commands();
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    log_in(&mut stream)?;
    let mut source = Source {
        market: Market::new(stocks, midnight_ns),
        stream,
        pace: Pace::new(0.0, 0),
        spoke: Instant::now(),
        listened: Instant::now(),
    };
    source.market.open();
    source.send()?;
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
