//! Deterministic, time-bounded fuzzing of declared JSON venues: frames of every emit, damaged ones among them, and noise.
//!
//! `TICKCAST_FUZZ_SECONDS` sets the length (1 by default), `TICKCAST_FUZZ_SEED` the seed; the seed is printed.

use std::cmp::Ordering;
use std::env;
use std::time::{Duration, Instant};

use serde_json::Value;
use tickcast_core::json::{Decoded, JsonFeed, Wanted};
use tickcast_core::record::{Record, flag, kind, state};

const DIALECT: &str = r#"{
  "messages": [
    {"name": "trades", "when": [{"path": "c", "prefix": "trades."}], "rows": "events.rows", "newest_first": true,
     "fields": ["x"], "emits": [
      {"type": "trades", "key": {"path": "/c", "split": ".", "part": -1}, "price": "p", "size": "q", "id": "i",
       "aggressor": {"path": "m", "buyer": ["false"], "seller": ["true"]}, "time": {"path": "t", "unit": "iso"},
       "history": [{"path": "^k", "equals": ["snapshot"]}], "chained": true}]},
    {"name": "ticker", "when": [{"path": "c", "equals": ["ticker"]}], "rows": "data", "emits": [
      {"type": "quotes", "key": {"path": "s"}, "bid": "b", "ask": "a", "bid_size": "B", "ask_size": "A", "seq": "u",
       "comparable": true, "time": {"path": "t", "unit": "ms"}},
      {"type": "measures", "key": {"path": "s"}, "values": [{"kind": 32, "path": "m"}, {"kind": 46, "path": "t", "unit": "s"}]}]},
    {"name": "book", "when": [{"path": "c", "suffix": "ook"}], "emits": [
      {"type": "book", "key": {"path": "s"}, "levels": {"bids": "b", "asks": "a"}, "first": "f", "last": "u",
       "snapshot": [{"path": "k", "equals": ["snapshot"]}],
       "rule": {"chain": "range", "snapshot": "stream", "scope": "channel"}}]},
    {"name": "mixed", "when": [{"path": "c", "equals": ["mixed"]}], "rows": "data", "emits": [
      {"type": "book", "key": {"path": "s"}, "levels": {"mixed": "l", "side": "0", "price": "1", "size": "2"},
       "snapshot": [{"path": "/k", "equals": ["snapshot"]}], "last": "u", "checksum": "h",
       "rule": {"chain": "none", "snapshot": "rest", "checksum": "okx"}}]},
    {"name": "beat", "when": [{"path": "c", "equals": ["beat"]}]}
  ],
  "counter": {"path": "n", "first": 0},
  "plain": ["pong"],
  "rest_book": {"type": "book", "key": {"path": ""}, "levels": {"bids": "b", "asks": "a"}, "last": "u",
    "rule": {"chain": "none", "snapshot": "rest"}},
  "buffer_max": 4
}"#;
const NAMES: [&str; 3] = ["AAA", "BBB", "CCC"];

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn decimal(random: &mut Random) -> &'static str {
    random.pick(&[
        "\"185.40\"",
        "185.4",
        "1",
        "\"0\"",
        "0.5",
        "2",
        "\"1e-7\"",
        "-1",
        "\"NaN\"",
        "null",
        "\"\"",
        "[]",
        "1e400",
        "123456789012345678901234",
        "\"0.00000000000000000000000000000000000001\"",
        "true",
    ])
}

fn good(random: &mut Random) -> &'static str {
    random.pick(&["\"1.5\"", "1.25", "\"2\"", "1", "\"0\""])
}

fn levels(random: &mut Random, prices: &[&str]) -> String {
    let level = |random: &mut Random| {
        let size = if random.below(20) == 0 {
            decimal(random)
        } else {
            good(random)
        };
        format!("[{},{size}]", random.pick(prices))
    };
    let all: Vec<String> = (0..random.below(4)).map(|_| level(random)).collect();
    format!("[{}]", all.join(","))
}

fn frame(random: &mut Random, count: usize) -> Vec<u8> {
    let name = random.pick(&["AAA", "BBB", "CCC", "AAA", "DDD"]);
    let kind = random.pick(&["snapshot", "update", "update"]);
    let any = |random: &mut Random| {
        if random.below(4) == 0 {
            decimal(random)
        } else {
            good(random)
        }
    };
    let counted = count + usize::from(random.below(15) == 0);
    let text = match random.below(7) {
        0 => format!(
            r#"{{"n":{counted},"c":"trades.{name}","events":[{{"k":"{kind}","rows":[{{"p":{},"q":{},"i":{count},"m":true,"t":"2026-08-09T21:05:48.5Z"}},{{"p":{},"q":{},"i":"\u00e9{count}"}}]}}]}}"#,
            any(random),
            any(random),
            any(random),
            any(random),
        ),
        1 => format!(
            r#"{{"n":{counted},"c":"ticker","data":[{{"s":"{name}","b":{},"B":{},"a":{},"A":{},"u":{count},"m":{},"t":{}}}]}}"#,
            any(random),
            any(random),
            any(random),
            any(random),
            any(random),
            any(random),
        ),
        2 | 3 => format!(
            r#"{{"n":{counted},"c":"book","s":"{name}","k":"{kind}","f":{count},"u":{count},"b":{},"a":{}}}"#,
            levels(random, &["1", "1.0", "\"2\"", "3"]),
            levels(random, &["2", "3.5", "4", "\"5\""]),
        ),
        4 => format!(
            r#"{{"n":{counted},"c":"mixed","k":"{kind}","data":[{{"s":"{name}","u":{count},"h":{},"l":[["bid",1,{}],["ask",2,{}]]}}]}}"#,
            random.pick(&["0", "0", "-5", "\"x\""]),
            any(random),
            any(random),
        ),
        5 => format!(
            r#"{{"n":{counted},"c":"{}"}}"#,
            random.pick(&["beat", "other"])
        ),
        _ => "pong".to_owned(),
    };
    text.into_bytes()
}

/// Overwrites, cuts out or inserts a few bytes.
fn damage(random: &mut Random, frame: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(frame.len() + 1);
        match random.below(4) {
            0 => frame.insert(at, b"{}[],:\"\\0e\xff"[random.below(11)]),
            1 => frame.truncate(at),
            _ if at == frame.len() => {}
            2 => drop(frame.remove(at)),
            _ => frame[at] ^= 1 << random.below(8),
        }
    }
}

fn feed() -> JsonFeed {
    let mut feed = JsonFeed::new(DIALECT.as_bytes(), 2).unwrap();
    for (index, name) in NAMES.into_iter().enumerate() {
        let wanted = Wanted {
            book: true,
            quotes: index == 0,
            state: state::LIVE,
        };
        feed.define("", name, index as u64 + 1, wanted);
    }
    feed.open_link(7, "");
    feed
}

/// What holds of every answer.
fn check(decoded: &Decoded, feed: &JsonFeed) {
    let is_last = |row: &Record| row.flags & flag::LAST_OF_EVENT != 0;
    assert!(decoded.records.last().is_none_or(is_last));
    assert!(
        decoded
            .records
            .iter()
            .all(|row| (1..=3).contains(&row.instrument))
    );
    for (index, _) in &decoded.texts {
        assert_eq!(decoded.records[*index].kind, kind::TRADE);
    }
    assert!(decoded.dead.len() as u64 <= decoded.dead_count);
    for instrument in 1..=3 {
        let [bids, asks] = feed.book(instrument, 1);
        if let (state::LIVE, Some(bid), Some(ask)) =
            (feed.state(instrument), bids.first(), asks.first())
        {
            assert_eq!(
                bid.price.compare(ask.price),
                Ordering::Less,
                "crossed while live"
            );
        }
    }
}

/// Every frame is understood, cold, control or dead: counted once.
fn account(frames: &[Vec<u8>], decoded: &Decoded, feed: &JsonFeed) {
    let is_json = |frame: &&Vec<u8>| serde_json::from_slice::<Value>(frame).is_ok();
    let is_plain = |frame: &&Vec<u8>| **frame == *b"pong";
    let (json, plain) = (
        frames.iter().filter(is_json).count(),
        frames.iter().filter(is_plain).count(),
    );
    let counts: Vec<_> = feed.counts().collect();
    let matched: u64 = counts.iter().map(|(_, counts)| counts.frames).sum();
    assert_eq!(matched as usize + decoded.cold.len(), json);
    let beats = counts
        .iter()
        .find(|(name, _)| *name == "beat")
        .map(|(_, counts)| counts.frames);
    assert_eq!(
        decoded.control as usize,
        plain + beats.unwrap_or_default() as usize
    );
    assert!(decoded.dead_count as usize >= frames.len() - json - plain);
}

fn rest(random: &mut Random, feed: &mut JsonFeed, count: usize) {
    let instrument = random.below(5) as u64;
    let mut body = format!(
        r#"{{"u":{count},"b":{},"a":{}}}"#,
        levels(random, &["1", "2", "3"]),
        levels(random, &["2.5", "4"]),
    )
    .into_bytes();
    if random.below(2) == 0 {
        damage(random, &mut body);
    }
    check(&feed.rest_book(instrument, &body, 1), feed);
    drop(feed.compare(instrument, &body, 5, 7));
    let state = [state::STALE, state::REPAIRING, state::SYNCING][random.below(3)];
    drop(feed.suspend(&[instrument], state, 1));
    if random.below(4) == 0 {
        feed.open_link(7, "");
    }
}

#[test]
fn damaged_frames_and_noise() {
    let seed = number("TICKCAST_FUZZ_SEED", 0x5eed_cafe);
    let until = Instant::now() + Duration::from_secs(number("TICKCAST_FUZZ_SECONDS", 1));
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    let (mut rounds, mut inputs) = (0_u64, 0);
    while rounds < 10 || Instant::now() < until {
        rounds += 1;
        let mut frames: Vec<Vec<u8>> = (0..40).map(|count| frame(&mut random, count)).collect();
        for frame in &mut frames {
            match random.below(12) {
                0 => damage(&mut random, frame),
                1 => {
                    *frame = (0..random.below(60))
                        .map(|_| random.below(256) as u8)
                        .collect()
                }
                _ => {}
            }
        }
        inputs += frames.len();
        let mut whole = feed();
        let decoded = whole.decode(7, frames.iter().map(|frame| (frame.as_slice(), 1)));
        check(&decoded, &whole);
        account(&frames, &decoded, &whole);
        // the same, frame by frame
        let mut single = feed();
        let mut records = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            let part = single.decode(7, core::iter::once((frame.as_slice(), 1)));
            check(&part, &single);
            records.extend(part.records);
            if index % 10 == 9 && index + 1 < frames.len() {
                assert_eq!(
                    records,
                    decoded.records[..records.len()],
                    "seed {seed} round {rounds}"
                );
            }
        }
        assert_eq!(records, decoded.records, "seed {seed} round {rounds}");
        rest(&mut random, &mut single, 40);
        drop(single.drift());
    }
    println!("{rounds} rounds, {inputs} frames");
}
