//! Deterministic, time-bounded fuzzing of the FIX splitter and decoder: damaged streams, fields changed under a right
//! CheckSum, and noise.
//!
//! `TICKCAST_FUZZ_SECONDS` sets the length (1 by default), `TICKCAST_FUZZ_SEED` the seed; the seed is printed.

use std::env;
use std::time::{Duration, Instant};

use tickcast_core::fix::{FixDecoder, Mode, Options, is_bare, split};
use tickcast_core::record::{Record, flag};

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut message = format!("8=FIX.4.4\u{1}9={}\u{1}", body.len()).into_bytes();
    message.extend_from_slice(body);
    let sum = message
        .iter()
        .fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    message.extend_from_slice(format!("10={sum:03}\u{1}").as_bytes());
    message
}

/// A message of fields that belong somewhere, in an order that may not make sense.
fn body(random: &mut Random, seq: usize) -> Vec<u8> {
    const FIELDS: [&str; 36] = [
        "279=0",
        "279=1",
        "279=2",
        "279=3",
        "279=4",
        "279=5",
        "269=0",
        "269=1",
        "269=2",
        "269=J",
        "269=B",
        "55=A",
        "55=B",
        "48=7",
        "270=10.5",
        "270=10",
        "270=9.99",
        "271=5",
        "271=0",
        "278=a",
        "278=b",
        "280=a",
        "1023=1",
        "1023=3",
        "83=4",
        "83=9",
        "893=N",
        "893=Y",
        "346=2",
        "1003=77",
        "2446=1",
        "60=20260330-14:00:00",
        "326=2",
        "146=1",
        "277=E M",
        "95=2\u{1}96=\u{1}=",
    ];
    let kinds = ["W", "X", "X", "X", "f", "d", "y", "Y", "0"];
    let kind = kinds[random.below(kinds.len())];
    let mut text =
        format!("35={kind}\u{1}49=A\u{1}56=B\u{1}34={seq}\u{1}52=20260330-14:00:00.5\u{1}");
    if random.below(2) == 0 {
        text.push_str("55=A\u{1}");
    }
    let entries = 1 + random.below(3);
    if matches!(kind, "W" | "X") {
        text.push_str(&format!("268={entries}\u{1}"));
    }
    for _ in 0..entries {
        text.push_str(if kind == "W" {
            "269=0\u{1}"
        } else {
            "279=0\u{1}"
        });
        for _ in 0..random.below(7) {
            text.push_str(FIELDS[random.below(FIELDS.len())]);
            text.push('\u{1}');
        }
    }
    text.into_bytes()
}

fn check(records: &[Record]) {
    assert!(
        records
            .last()
            .is_none_or(|row| row.flags & flag::LAST_OF_EVENT != 0)
    );
    assert!(
        records
            .iter()
            .all(|row| row.price_scale <= 38 && row.size_scale <= 38)
    );
}

/// Reads a stream in two pieces, decodes it, and gives back how many messages were whole.
fn run(random: &mut Random, stream: &[u8], mode: Mode) -> usize {
    let options = Options {
        depth: random.below(3),
        wait_for_snapshot: random.below(2) == 0,
        ..Options::default()
    };
    let mut decoder = FixDecoder::new("X", options);
    let cut = random.below(stream.len() + 1);
    let head = split(&stream[..cut], mode, 4_096, false);
    let tail = &stream[head.consumed..];
    let rest = split(tail, mode, 4_096, true);
    assert_eq!(rest.consumed, tail.len());
    let mut whole = 0;
    for (data, frames) in [(&stream[..cut], &head), (tail, &rest)] {
        for run in &frames.runs {
            whole += run.count;
            let decoded = decoder.decode(&data[run.start..run.end], 1, 0);
            assert_eq!(decoded.messages + decoded.dead_count, run.count);
            check(&decoded.records);
        }
    }
    check(&decoder.lose(None, 1, 1, 1));
    check(&decoder.hold(true, 1));
    check(&decoder.snapshot(1));
    check(&decoder.flush().records);
    whole
}

#[test]
fn damaged_streams_and_noise() {
    let seed = number("TICKCAST_FUZZ_SEED", 0x5eed_f1f1);
    let until = Instant::now() + Duration::from_secs(number("TICKCAST_FUZZ_SECONDS", 1));
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    let mut rounds = 0_u64;
    while rounds < 10 || Instant::now() < until {
        rounds += 1;
        let count = 1 + random.below(20);
        let bodies: Vec<Vec<u8>> = (1..=count).map(|seq| body(&mut random, seq)).collect();
        let mut stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        assert_eq!(
            run(&mut random, &stream, Mode::Stream),
            count,
            "seed {seed} round {rounds}"
        );

        let damages = 1 + random.below(3);
        for _ in 0..damages {
            let at = random.below(stream.len());
            match random.below(3) {
                0 => stream.insert(at, random.below(256) as u8),
                1 => drop(stream.remove(at)),
                _ => stream[at] ^= 1 << random.below(8),
            }
        }
        let found = run(&mut random, &stream, Mode::Log);
        assert!(
            found + 2 * damages >= count,
            "seed {seed} round {rounds}: {found} of {count}"
        );

        // damage that the sums do not show
        let stream: Vec<u8> = bodies
            .iter()
            .flat_map(|body| {
                let mut body = body.clone();
                let at = random.below(body.len());
                body[at] = b"\x01=0123456789AZ"[random.below(14)];
                framed(&body)
            })
            .collect();
        run(&mut random, &stream, Mode::Stream);

        let noise: Vec<u8> = (0..random.below(300))
            .map(|_| random.below(256) as u8)
            .collect();
        assert!(!is_bare(&noise) || !noise.starts_with(b"8="));
        run(&mut random, &noise, Mode::Bare);
        run(&mut random, &noise, Mode::Stream);
        drop(FixDecoder::new("X", Options::default()).decode(&noise, 1, 0));
    }
    println!("{rounds} rounds");
}
