//! The order flow of `source.rs`: a valid one, cheap to make, whose truth is known.
//!
//! Adds 46 %, deletes 41 %, replaces 6 %, executions of the best order (the oldest of the best price) 5 %, partial
//! cancels 1 %, trades with hidden orders 1 %. The first hundredth of the stocks gets a fifth of the messages. The truth is
//! computed from the orders that rest at the end, by nothing of the crate.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Resting orders of a stock: about so many.
const RESTING: usize = 48;
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

pub struct Market {
    stocks: Vec<Stock>,
    dice: Dice,
    midnight_ns: i64,
    reference: u64,
    matched: u64,
    /// Messages made.
    pub made: u64,
    /// The messages made since it was last cleared, each in its frame.
    pub out: Vec<u8>,
    /// End of each of them in `out`, if there is no frame but the length (`is_bare`).
    pub ends: Vec<usize>,
    is_bare: bool,
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

impl Market {
    /// `is_bare`: messages behind their own lengths, as MoldUDP64 has them, not as SoupBinTCP packets.
    pub fn new(count: usize, midnight_ns: i64, is_bare: bool) -> Self {
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
            ends: Vec::new(),
            is_bare,
        }
    }

    /// Nanoseconds since midnight, now.
    pub fn stamp(&self) -> u64 {
        (now_ns() - self.midnight_ns).max(0) as u64
    }

    /// The frame's and the message's head.
    fn head(&mut self, letter: u8, length: u16, locate: usize, stamp: u64) {
        self.made += 1;
        if self.is_bare {
            self.out.extend_from_slice(&length.to_be_bytes());
            self.ends.push(self.out.len() + usize::from(length));
        } else {
            self.out.extend_from_slice(&(length + 1).to_be_bytes());
            self.out.push(b'S');
        }
        let mut head = [0; 11];
        head[0] = letter;
        head[1..3].copy_from_slice(&(locate as u16).to_be_bytes());
        head[5..].copy_from_slice(&stamp.to_be_bytes()[2..]);
        self.out.extend_from_slice(&head);
    }

    /// Begin of the day, and the directory.
    pub fn open(&mut self) {
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
    }

    /// The opening book of a stock.
    pub fn open_book(&mut self, locate: usize) {
        let stamp = self.stamp();
        for _ in 0..RESTING {
            self.add(locate, stamp);
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
    pub fn step(&mut self, stamp: u64) {
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

    /// Forgets what was sent.
    pub fn sent(&mut self) {
        self.out.clear();
        self.ends.clear();
    }

    /// Orders that rest in all books.
    pub fn resting(&self) -> usize {
        self.stocks.iter().map(|stock| stock.orders.len()).sum()
    }

    /// What is true now, by stock: bid, bid size, ask, ask size, last price, volume, trades. Prices in ten-thousandths.
    pub fn truth(&self) -> String {
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
