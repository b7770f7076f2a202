//! Deterministic, time-bounded fuzzing on stable: damaged valid streams and pure noise into everything that reads bytes.
//!
//! `TICKCAST_FUZZ_SECONDS` sets the length (2 by default), `TICKCAST_FUZZ_SEED` the seed; the seed is printed.

mod itch_stream;
mod pitch_stream;

use std::env;
use std::time::{Duration, Instant};

use itch_stream::{Random, stream};
use tickcast_core::arbiter::{LineArbiter, Protocol};
use tickcast_core::decimal::Decimal;
use tickcast_core::itch::{self, ItchDecoder};
use tickcast_core::pitch::{self, PitchDecoder, PitchTextDecoder};
use tickcast_core::record::{Record, flag};
use tickcast_core::{dedup::Dedup, last::LastRecords, soup};

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Overwrites, cuts out or inserts a few bytes.
fn damage(random: &mut Random, block: &mut Vec<u8>) -> usize {
    let mut first = block.len();
    for _ in 0..1 + random.below(4) {
        let at = random.below(block.len() + 1);
        first = first.min(at);
        match random.below(3) {
            0 => block.insert(at, random.next() as u8),
            _ if at == block.len() => {}
            1 => drop(block.remove(at)),
            _ => block[at] ^= 1 << random.below(8),
        }
    }
    first
}

/// Rows of whole messages before `end`, decoded from the undamaged block.
fn rows_before(block: &[u8], end: usize) -> Vec<Record> {
    let whole = itch::messages(block)
        .filter_map(Result::ok)
        .map(|(start, message)| start + 2 + message.len());
    let cut = whole.take_while(|&stop| stop <= end).last().unwrap_or(0);
    ItchDecoder::new("XNAS", 0, None, 3)
        .decode(&block[..cut], 1, 0)
        .records
}

fn decode(block: &[u8], depth: usize) -> itch::Decoded {
    let mut decoder = ItchDecoder::new("XNAS", 0, None, depth);
    let decoded = decoder.decode(block, 1, 0);
    assert_eq!(
        decoded.messages + decoded.dead_count,
        itch::messages(block).count()
    );
    assert!(
        decoded
            .records
            .last()
            .is_none_or(|row| row.flags & flag::LAST_OF_EVENT != 0)
    );
    drop(decoder.snapshot(0));
    decoded
}

/// Datagrams of both protocols, some damaged, in a random order: no panic, the bound holds, every block is whole.
fn arbitrate(random: &mut Random, noise: &[u8]) {
    for protocol in [Protocol::MoldUdp64, Protocol::Pitch] {
        let limit = random.below(3_000);
        let mut arbiter = LineArbiter::new(protocol, limit, random.below(2) == 0);
        for _ in 0..20 {
            let first = match random.below(8) {
                0 => random.next(),
                _ => random.below(60) as u64,
            };
            let mut datagram = datagram(protocol, first, random.below(6) as u8);
            match random.below(6) {
                0 => drop(damage(random, &mut datagram)),
                1 => datagram = noise.to_vec(),
                _ => {}
            }
            let now = random.next() as i64 >> 32;
            let packets = [(datagram.as_slice(), now)].into_iter();
            let mut blocks = arbiter.take(packets, random.below(3), random.below(4) == 0);
            if random.below(10) == 0 {
                blocks.extend(arbiter.skip(random.next() as u8, random.below(80) as u64));
                arbiter.rewind(random.below(2) as u8, random.below(9) as u64, now);
            }
            for block in blocks {
                let whole = protocol.skip(&block.messages, block.count);
                assert_eq!(whole, Some(block.messages.len()));
            }
            for unit in 0..=255 {
                assert!(arbiter.unit_counts(unit).2 <= limit);
            }
        }
    }
}

fn datagram(protocol: Protocol, first: u64, count: u8) -> Vec<u8> {
    let count_bytes = u16::from(count).to_be_bytes();
    match protocol {
        Protocol::MoldUdp64 => {
            let message = [0, 3, 1, 2, 3];
            let header = [&[b'S'; 10][..], &first.to_be_bytes(), &count_bytes].concat();
            [header, message.repeat(count.into())].concat()
        }
        Protocol::Pitch => {
            let length = (8 + 4 * u16::from(count)).to_le_bytes();
            let header = [&length[..], &[count, 1], &(first as u32).to_le_bytes()].concat();
            [header, [4, 0x20, 1, 2].repeat(count.into())].concat()
        }
    }
}

#[test]
fn damaged_streams_and_noise() {
    let seed = number("TICKCAST_FUZZ_SEED", 0x5eed_cafe);
    let until = Instant::now() + Duration::from_secs(number("TICKCAST_FUZZ_SECONDS", 2));
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    let mut rounds = 0_u64;
    while rounds < 10 || Instant::now() < until {
        rounds += 1;
        let good = stream(&mut random, 60, 3);
        assert_eq!(decode(&good, 3).dead_count, 0, "seed {seed} round {rounds}");
        let mut block = good.clone();
        let first = damage(&mut random, &mut block);
        let decoded = decode(&block, 3);
        let kept = rows_before(&good, first);
        assert_eq!(
            decoded.records[..kept.len()],
            kept,
            "seed {seed} round {rounds}: what came before is kept"
        );
        Dedup::new(1 + random.below(100)).filter(&decoded.records);
        LastRecords::default().update(&decoded.records);

        let noise: Vec<u8> = (0..random.below(200))
            .map(|_| random.next() as u8)
            .collect();
        decode(&noise, 0);
        if let Ok(frames) = soup::split(&noise) {
            assert!(frames.consumed <= noise.len());
            decode(&frames.messages, 0);
        }
        arbitrate(&mut random, &noise);
        let _ = Decimal::parse_rounded(&noise); // only that it returns
    }
    println!("{rounds} rounds");
}

fn decode_pitch(block: &[u8], depth: usize) -> pitch::Decoded {
    let mut decoder = PitchDecoder::new("BATS", 0, None, depth, 100);
    let decoded = decoder.decode(block, 1, 1, 0);
    assert_eq!(
        decoded.messages + decoded.dead_count,
        pitch::messages(block).count()
    );
    assert!(
        decoded
            .records
            .last()
            .is_none_or(|row| row.flags & flag::LAST_OF_EVENT != 0)
    );
    drop(decoder.snapshot(0, Some(1)));
    decoder.reset(1);
    assert_eq!(decoder.orders(), 0);
    decoded
}

#[test]
fn damaged_pitch_and_noise() {
    let seed = number("TICKCAST_FUZZ_SEED", 0x5eed_cafe);
    let until = Instant::now() + Duration::from_secs(number("TICKCAST_FUZZ_SECONDS", 2));
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    let mut rounds = 0_u64;
    while rounds < 10 || Instant::now() < until {
        rounds += 1;
        let good = pitch_stream::stream(&mut random, 60, 3);
        let dead = decode_pitch(&good, 3).dead;
        assert!(dead.is_empty(), "seed {seed} round {rounds}: {dead:?}");
        let mut block = good.clone();
        let first = damage(&mut random, &mut block);
        let decoded = decode_pitch(&block, 3);
        let whole = pitch::messages(&good).filter_map(Result::ok);
        let ends = whole.map(|(start, message)| start + message.len());
        let cut = ends.take_while(|&end| end <= first).last().unwrap_or(0);
        let kept = decode_pitch(&good[..cut], 3).records;
        assert_eq!(
            decoded.records[..kept.len()],
            kept,
            "seed {seed} round {rounds}: what came before is kept"
        );

        let noise: Vec<u8> = (0..random.below(200))
            .map(|_| random.next() as u8)
            .collect();
        decode_pitch(&noise, 0);
        let mut text = PitchTextDecoder::new("BATS", 0, None, 1, 100);
        let mut line = b"S28800011AAK27GA0000DTS000100SH    0000619200Y\n".repeat(2);
        damage(&mut random, &mut line);
        let lines = [&line[..], &noise].concat();
        let found = text.decode(&lines, 1, 0);
        assert!(found.messages + found.dead_count <= lines.len());
        drop(text.finish(9, 0));
    }
    println!("{rounds} rounds");
}

#[test]
fn a_long_pitch_stream_leaves_no_order_unknown() {
    let block = pitch_stream::stream(&mut Random(99), 20_000, 50);
    let decoded = PitchDecoder::new("BATS", 0, None, 0, 100).decode(&block, 1, 1, 0);
    assert_eq!(
        (decoded.messages, decoded.dead_count, decoded.unpriced),
        (20_000, 0, 0)
    );
}

#[test]
fn a_long_stream_leaves_no_order_unknown() {
    let block = stream(&mut Random(99), 20_000, 50);
    let decoded = ItchDecoder::new("XNAS", 0, None, 0).decode(&block, 1, 0);
    assert_eq!(
        (decoded.messages, decoded.dead_count, decoded.unpriced),
        (20_000, 0, 0)
    );
}
