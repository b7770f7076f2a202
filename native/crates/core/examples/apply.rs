//! What the newest state costs, without clients: `apply INSTRUMENTS EVENTS`.
//!
//! Flows over all instruments, each of which belongs to a security of its own, in batches of 64 events: trades while time
//! goes on by a millisecond a batch (most meet a bar that is there), trades at half a second a batch (each begins bars, and
//! they end), quotes of both sides, and level rows (one level of a book of fifty a side). Prints a JSON object: CPU time of this thread in ns for each event, and bytes of resident memory
//! for each instrument after the definitions, after the trades and after the books.

use tickcast_core::hub::{self, Hub};
use tickcast_core::latest::{self, Definition};
use tickcast_core::record::{Record, flag, instrument_id, kind};

const BATCH: usize = 64;
const SECOND: i64 = 1_000_000_000;
/// 2026-03-29 14:00 UTC.
const BEGIN: i64 = 1_774_792_800 * SECOND;

fn cpu_ns() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on Linux, and `time` is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec * SECOND + time.tv_nsec
}

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("pages");
    pages * 4096
}

fn name(index: usize) -> String {
    format!("BENCH:S{index:06}")
}

/// Numbers that look random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

struct Run {
    hub: Hub,
    ids: Vec<u64>,
    now_ns: i64,
    dice: Dice,
    rows: Vec<Record>,
}

impl Run {
    /// Applies batches of events that `make` writes; CPU ns for each event.
    fn flow(
        &mut self,
        events: usize,
        step_ns: i64,
        make: impl Fn(&mut Dice, u64, i64, &mut Vec<Record>),
    ) -> f64 {
        let mut used_ns = 0;
        for _ in 0..events / BATCH {
            self.now_ns += step_ns;
            self.rows.clear();
            for _ in 0..BATCH {
                let id = self.ids[self.dice.below(self.ids.len())];
                make(&mut self.dice, id, self.now_ns, &mut self.rows);
                if let Some(last) = self.rows.last_mut() {
                    last.flags |= flag::LAST_OF_EVENT;
                }
            }
            let begin = cpu_ns();
            self.hub.apply(&self.rows, None, self.now_ns);
            self.hub.tick(self.now_ns);
            used_ns += cpu_ns() - begin;
        }
        used_ns as f64 / (events / BATCH * BATCH) as f64
    }
}

fn row(dice: &mut Dice, id: u64, kind: u8, now_ns: i64) -> Record {
    Record {
        instrument: id,
        kind,
        ts_event: now_ns - 1_000_000,
        ts_recv: now_ns,
        price: 18_000 + dice.below(50) as i64,
        price_scale: 2,
        size: 1 + dice.below(1_000) as i64,
        ..Record::default()
    }
}

fn trade(dice: &mut Dice, id: u64, now_ns: i64, rows: &mut Vec<Record>) {
    let mut trade = row(dice, id, kind::TRADE, now_ns);
    trade.id = dice.0;
    rows.push(trade);
}

fn quotes(dice: &mut Dice, id: u64, now_ns: i64, rows: &mut Vec<Record>) {
    rows.push(row(dice, id, kind::BID, now_ns));
    let mut ask = row(dice, id, kind::ASK, now_ns);
    ask.price += 50;
    rows.push(ask);
}

fn level(dice: &mut Dice, id: u64, now_ns: i64, rows: &mut Vec<Record>) {
    let mut level = row(dice, id, kind::BOOK_BID, now_ns);
    if dice.below(2) == 1 {
        level.kind = kind::BOOK_ASK;
        level.price += 50;
    }
    if dice.below(4) == 0 {
        level.size = 0;
    }
    rows.push(level);
}

fn whole(id: u64, now_ns: i64) -> Vec<Record> {
    let mut rows = Vec::new();
    for (kind, first) in [(kind::BOOK_BID, 18_049), (kind::BOOK_ASK, 18_050)] {
        let clear = Record {
            instrument: id,
            kind,
            ts_event: now_ns,
            flags: flag::SNAPSHOT | flag::NO_PRICE,
            ..Record::default()
        };
        rows.push(clear);
        rows.extend((0..50).map(|at| Record {
            price: if kind == kind::BOOK_BID {
                first - at
            } else {
                first + at
            },
            price_scale: 2,
            size: 100,
            flags: flag::SNAPSHOT,
            ..clear
        }));
    }
    rows.last_mut().expect("rows").flags |= flag::LAST_OF_EVENT;
    rows
}

fn main() {
    let mut asked = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut number = || asked.next().and_then(Result::ok);
    let (count, events) = (number().expect("INSTRUMENTS"), number().expect("EVENTS"));
    let settings = latest::Settings::default();
    let before = resident();
    let mut hub = Hub::new(hub::Settings::default(), settings);
    for index in 0..count {
        let definition = Definition {
            instrument: instrument_id(&name(index)),
            venue: "BENCH".to_owned(),
            symbol: format!("S{index:06}"),
            feed: "bench".to_owned(),
            security: format!("S{index:06}"),
            asset_class: "equity".to_owned(),
            currency: "USD".to_owned(),
            time_precision: 9,
            primary: true,
            on_demand: false,
            tick_size: None,
            calendar: "24/7".to_owned(),
        };
        hub.define(&definition, BEGIN);
    }
    let ids = (0..count)
        .map(|index| instrument_id(&name(index)))
        .collect();
    let mut run = Run {
        hub,
        ids,
        now_ns: BEGIN,
        dice: Dice(1),
        rows: Vec::new(),
    };
    let each = |bytes: usize| bytes.saturating_sub(before) / count;
    let defined = each(resident());
    let trade_ns = run.flow(events, SECOND / 1_000, trade);
    let bar_ns = run.flow(events, SECOND / 2, trade);
    let traded = each(resident());
    let quotes_ns = run.flow(events, SECOND / 1_000, quotes);
    let ids = run.ids.clone();
    for id in &ids {
        run.hub.apply(&whole(*id, run.now_ns), None, run.now_ns);
    }
    let levels_ns = run.flow(events, SECOND / 1_000, level);
    let booked = each(resident());
    println!(
        "{{\"instruments\":{count},\"events\":{events},\"trade_ns\":{trade_ns:.1},\"trade_and_bar_ns\":{bar_ns:.1},\"quotes_ns\":{quotes_ns:.1},\
         \"level_ns\":{levels_ns:.1},\"defined_bytes\":{defined},\"traded_bytes\":{traded},\"booked_bytes\":{booked}}}"
    );
}
