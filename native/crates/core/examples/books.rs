//! Memory and speed of the continuity engine: `books [BOOKS] [LEVELS] [MESSAGES]`, 1,000 books of 1,000 levels a side and
//! 4,000,000 messages unless told otherwise. Prints one line of JSON.
//!
//! Memory is what the process grew by (resident set) from before the first book to after the last message, beside what the
//! engine itself says; the pace is by processor time. A message sets one level a side, most of them near the best price, and publishes ten levels.

use tickcast_core::books::{
    BookMessage, Books, Chain, Change, Event, Output, Rule, Scope, Side, SnapshotFrom,
};
use tickcast_core::decimal::Decimal;
use tickcast_core::record::{Record, state};

const RULE: Rule = Rule {
    chain: Chain::Range,
    snapshot: SnapshotFrom::Stream,
    checksum: None,
    scope: Scope::Instrument,
    first_at: None,
    same_is_empty: false,
    overlaps: false,
    depth: 0,
    counted: false,
};
/// Price in ticks in the middle of every book.
const MIDDLE: i64 = 1_000_000;

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

/// Time that this process had a processor, so that others on the machine do not count.
fn processor_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let on_processor_ns: u64 = schedstat
        .split_whitespace()
        .next()
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    on_processor_ns as f64 / 1e9
}

/// A small generator: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn change(side: Side, distance: i64, size: i64) -> Change {
    let price = if side == Side::Bid {
        MIDDLE - distance
    } else {
        MIDDLE + distance
    };
    Change {
        side,
        price: Decimal::new(price, 2),
        size: Decimal::new(size, 8),
        inexact: false,
        deleted: false,
    }
}

fn message(changes: &[Change], id: i64, snapshot: bool) -> BookMessage<'_> {
    BookMessage {
        kind: 0,
        link: 0,
        frame: 0,
        snapshot,
        first: Some(id),
        last: Some(id),
        previous: None,
        checksum: None,
        counted: false,
        depth: 0,
        changes,
        names: &[],
        origin: Record {
            ts_event: id,
            ts_recv: id,
            ..Record::default()
        },
    }
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<i64>().expect("a number"));
    let mut next = |default: i64| arguments.next().unwrap_or(default);
    let (count, levels, messages) = (next(1_000), next(1_000), next(4_000_000));
    let before = resident_bytes();
    let mut books = Books::new(vec![RULE], 10, 4096);
    let (mut records, mut events): (Vec<Record>, Vec<Event>) = (Vec::new(), Vec::new());
    for index in 0..count {
        let whole: Vec<Change> = (1..=levels)
            .flat_map(|distance| {
                [Side::Bid, Side::Ask].map(|side| change(side, 2 * distance, distance))
            })
            .collect();
        let index = books.define(index as u64 + 1, true, false, state::LIVE);
        let mut output = Output {
            records: &mut records,
            events: &mut events,
        };
        books.message(index, &message(&whole, 0, true), &mut output);
        records.clear();
        events.clear();
    }
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut told = 0_u64;
    let began_s = processor_s();
    for number in 0..messages {
        let index = (number % count) as u32;
        // one in eight somewhere, the others near the best price; one in three deletes
        let reach = if dice.below(8) == 0 {
            2 * levels as u64
        } else {
            20
        };
        let distance = 1 + dice.below(reach) as i64;
        let size = if dice.below(3) == 0 {
            0
        } else {
            1 + dice.below(1 << 40) as i64
        };
        let changes = [
            change(Side::Bid, distance, size),
            change(Side::Ask, distance, size),
        ];
        let id = number / count + 1;
        let mut output = Output {
            records: &mut records,
            events: &mut events,
        };
        books.message(index, &message(&changes, id, false), &mut output);
        told += records.len() as u64;
        records.clear();
    }
    let elapsed_s = processor_s() - began_s;
    let statistics = books.statistics();
    assert!(events.is_empty(), "every message was in its place");
    println!(
        "{{\"books\":{count},\"levels\":{},\"engine_bytes\":{},\"resident_bytes\":{},\"bytes_a_level\":{:.1},\
         \"messages\":{messages},\"records\":{told},\"messages_per_cpu_s\":{:.0}}}",
        statistics.levels,
        statistics.bytes,
        resident_bytes() - before,
        (resident_bytes() - before) as f64 / statistics.levels as f64,
        messages as f64 / elapsed_s,
    );
}
