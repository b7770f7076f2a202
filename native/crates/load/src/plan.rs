//! What a process shall do, and which symbols each of its clients watches.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::Value;

use crate::{msgpack, proto, wire};

/// Everything that a process is told. It is made by `tickcast load`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub address: SocketAddr,
    /// For the `Host` header.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Local addresses to connect from, in turn; none = the kernel's choice.
    pub sources: Vec<IpAddr>,
    /// `Sec-WebSocket-Key`, and what a WebSocket server makes of it.
    pub key: String,
    pub accept: String,
    /// Whom the gateway lets in; empty = it asks for nothing.
    pub token: String,
    pub codec: Codec,
    pub clients: u32,
    /// Number of the first client among those of all processes.
    pub first: u32,
    pub seed: u64,
    pub symbols: Vec<String>,
    /// Symbols of each client.
    pub each: u32,
    pub spread: Spread,
    /// Keys of `subscribe` beside `action` and `symbols`.
    pub terms: serde_json::Map<String, serde_json::Value>,
    /// Every update is due (mode `all`), so that a jump of `seq` is a loss.
    pub every: bool,
    /// What was missed comes again after a resume (channel `trades`).
    pub replayed: bool,
    /// Measure by the exchange's `timestamp`.
    pub exchange: bool,
    /// New connections a second, at most.
    pub connect_rate: f64,
    /// Clients that leave and come back, a second.
    pub churn: f64,
    /// A ping of one client every so often; 0 = none.
    pub ping_ms: u64,
    /// Time for a connection, a handshake, an acknowledgement, a close.
    pub timeout_ms: u64,
    /// Come back after a close.
    pub reconnect: bool,
    /// Tries of a client to connect, one after another, before it is given up.
    pub tries: u8,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    Json,
    Msgpack,
    /// MessagePack whose updates are arrays.
    Compact,
    Proto,
}

impl Codec {
    /// Opcode of its messages.
    pub fn opcode(self) -> u8 {
        match self {
            Self::Json => wire::TEXT,
            Self::Msgpack | Self::Compact | Self::Proto => wire::BINARY,
        }
    }

    /// A request as its bytes.
    pub fn write(self, request: &Value) -> Vec<u8> {
        match self {
            Self::Json => request.to_string().into_bytes(),
            Self::Msgpack | Self::Compact => {
                let mut out = Vec::new();
                msgpack::write(&mut out, request);
                out
            }
            Self::Proto => proto::request(request),
        }
    }

    /// A reply; `None` if it is none of the codec.
    pub fn read(self, reply: &[u8]) -> Option<Value> {
        match self {
            Self::Json => serde_json::from_slice(reply).ok(),
            Self::Msgpack | Self::Compact => msgpack::value(reply).ok(),
            Self::Proto => proto::value(reply).ok(),
        }
    }

    /// The WebSocket subprotocol.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Json => "tickcast.json",
            Self::Msgpack | Self::Compact => "tickcast.msgpack",
            Self::Proto => "tickcast.proto",
        }
    }
}

/// How symbols are spread over clients.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// All watch the first ones.
    Same,
    /// Each goes on where the one before it ended.
    RoundRobin,
    /// Each draws; the n-th symbol is drawn in proportion to 1/n.
    Zipf,
}

/// Chooses symbols of clients.
pub struct Chooser {
    spread: Spread,
    symbols: usize,
    each: usize,
    seed: u64,
    /// Sums of weights up to each symbol.
    sums: Vec<f64>,
}

impl Chooser {
    pub fn new(plan: &Plan) -> Self {
        let mut sum = 0.0;
        let sums = match plan.spread {
            Spread::Zipf => (1..=plan.symbols.len())
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect(),
            Spread::Same | Spread::RoundRobin => Vec::new(),
        };
        let symbols = plan.symbols.len();
        Self {
            spread: plan.spread,
            symbols,
            each: (plan.each as usize).min(symbols),
            seed: plan.seed,
            sums,
        }
    }

    /// Numbers of the symbols of a client, ascending; the same for the same client, always.
    pub fn choose(&self, client: u32) -> Vec<u32> {
        let mut chosen: Vec<u32> = match self.spread {
            Spread::Same => (0..self.each as u32).collect(),
            Spread::RoundRobin => {
                let start = client as usize * self.each;
                (0..self.each)
                    .map(|step| ((start + step) % self.symbols) as u32)
                    .collect()
            }
            Spread::Zipf => self.draw(client),
        };
        chosen.sort_unstable();
        chosen
    }

    fn draw(&self, client: u32) -> Vec<u32> {
        let mut random = Random(self.seed ^ (u64::from(client) << 20));
        let total = self.sums.last().copied().unwrap_or(0.0);
        let mut chosen: Vec<u32> = Vec::with_capacity(self.each);
        for _ in 0..self.each * 8 {
            let wanted = random.unit() * total;
            let symbol = self
                .sums
                .partition_point(|sum| *sum <= wanted)
                .min(self.symbols - 1) as u32;
            if !chosen.contains(&symbol) {
                chosen.push(symbol);
            }
            if chosen.len() == self.each {
                return chosen;
            }
        }
        // Nearly all are chosen: the rest are the most frequent ones that are left.
        for symbol in 0..self.symbols as u32 {
            if chosen.len() < self.each && !chosen.contains(&symbol) {
                chosen.push(symbol);
            }
        }
        chosen
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for masks, jitter and draws.
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// At least 0, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn mask(&mut self) -> [u8; 4] {
        (self.word() as u32).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chooser(spread: Spread, symbols: usize, each: usize) -> Chooser {
        let mut sum = 0.0;
        let sums = (1..=symbols)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Chooser {
            spread,
            symbols,
            each,
            seed: 1,
            sums,
        }
    }

    #[test]
    fn clients_watch_the_same_or_one_after_another() {
        assert_eq!(chooser(Spread::Same, 5, 3).choose(7), [0, 1, 2]);
        let turn = chooser(Spread::RoundRobin, 5, 3);
        assert_eq!(
            (turn.choose(0), turn.choose(1)),
            (vec![0, 1, 2], vec![0, 3, 4])
        );
    }

    #[test]
    fn frequent_symbols_are_drawn_more_often_and_none_twice() {
        let chooser = chooser(Spread::Zipf, 100, 10);
        let mut counts = [0; 100];
        for client in 0..1_000 {
            let chosen = chooser.choose(client);
            assert_eq!(chosen, chooser.choose(client));
            assert_eq!(chosen.len(), 10);
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            for symbol in chosen {
                counts[symbol as usize] += 1;
            }
        }
        assert!(
            counts[0] > 2 * counts[9] && counts[9] > 2 * counts[99],
            "{counts:?}"
        );
    }

    #[test]
    fn all_symbols_can_be_drawn() {
        assert_eq!(
            chooser(Spread::Zipf, 40, 40).choose(3),
            (0..40).collect::<Vec<u32>>()
        );
    }
}
