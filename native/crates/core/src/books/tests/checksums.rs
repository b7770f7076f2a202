//! Checksums: computed over texts that were put together by hand here, with a bitwise CRC32 as the reference.

use super::super::checksum::{Memory, compute};
use super::super::ladder::{Ladder, Packed};
use super::super::*;
use super::venue::{Feed, changes};
use super::{RULE, stream};
use proptest::prelude::*;

/// CRC-32 (IEEE 802.3), bit by bit.
fn crc32(text: &str) -> u32 {
    !text.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

fn ladders(text: &str) -> [Ladder; 2] {
    let mut ladders: [Ladder; 2] = Default::default();
    for side in [Side::Bid, Side::Ask] {
        ladders[side as usize].replace(side, changes(text).iter().map(Packed::new));
    }
    ladders
}

fn checksum(kind: ChecksumKind, text: &str) -> u32 {
    compute(
        kind,
        &ladders(text),
        &mut Memory::default(),
        &mut Vec::new(),
    )
}

#[test]
fn the_reference_is_crc32() {
    assert_eq!(
        crc32("123456789"),
        0xCBF4_3926,
        "the check value of the standard"
    );
}

#[test]
fn kraken_leaves_out_the_point_and_leading_zeros() {
    let book = "b 45283.5 0.10000000, b 0.00005 1.5, a 45285.2 0.00100000, a 45286.4 1.54582015";
    let text = "452852100000452864154582015452835100000005".to_owned() + "15";
    assert_eq!(checksum(ChecksumKind::Kraken, book), crc32(&text));
    assert_eq!(checksum(ChecksumKind::KrakenV1, book), crc32(&text));
}

#[test]
fn kraken_takes_the_ten_best_of_each_side() {
    let side = |word: &str, prices: &mut dyn Iterator<Item = i32>| {
        prices
            .map(|price| format!("{word} {price} 1"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let book = side("b", &mut (1..=12)) + "," + &side("a", &mut (20..=31));
    let asks: String = (20..=29).map(|price| format!("{price}1")).collect();
    let bids: String = (3..=12).rev().map(|price| format!("{price}1")).collect();
    assert_eq!(
        checksum(ChecksumKind::Kraken, &book),
        crc32(&(asks + &bids))
    );
}

#[test]
fn okx_takes_bids_and_asks_by_turns_as_they_were_sent() {
    let book = "b 3366.1 7, b 3366 6.50, b 3365 1, a 3366.8 9";
    assert_eq!(
        checksum(ChecksumKind::Okx, book),
        crc32("3366.1:7:3366.8:9:3366:6.50:3365:1")
    );
    assert_eq!(
        checksum(ChecksumKind::Okx, "a 3 1, a 4 0.10"),
        crc32("3:1:4:0.10"),
        "one side only"
    );
    assert_eq!(checksum(ChecksumKind::Okx, ""), crc32(""));
    let many: Vec<_> = (1..=30).map(|price| format!("a {price} 1")).collect();
    let covered: Vec<_> = (1..=25).map(|price| format!("{price}:1")).collect();
    assert_eq!(
        checksum(ChecksumKind::Okx, &many.join(",")),
        crc32(&covered.join(":"))
    );
}

#[test]
fn bitfinex_writes_numbers_as_javascript_does() {
    // ECMA-262, Number::toString: no zeros at the end, an exponent below a millionth; asks are below zero
    let book = "b 10088.00 0.0130, b 0.0000010 2, a 10089.5 100, a 20000 0.00000056";
    assert_eq!(
        checksum(ChecksumKind::Bitfinex, book),
        crc32("10088:0.013:10089.5:-100:0.000001:2:20000:-5.6e-7")
    );
    for (written, expected) in [
        ("5.6e-7", "5.6e-7"),
        ("0.0000001", "1e-7"),
        ("1e-7", "1e-7"),
        ("0.00000123456789", "0.00000123456789"),
        ("0.000000123456789", "1.23456789e-7"),
        ("1.0e-10", "1e-10"),
        ("4.9E-07", "4.9e-7"),
        ("120.50", "120.5"),
        ("1200", "1200"),
        ("53.053312790000006", "53.053312790000006"),
        ("9223372036854775807", "9223372036854775807"),
    ] {
        assert_eq!(
            checksum(ChecksumKind::Bitfinex, &format!("b {written} 1")),
            crc32(&format!("{expected}:1")),
            "{written}"
        );
    }
}

#[test]
fn a_checksum_in_a_message_of_its_own_checks_what_came_before() {
    let mut feed = Feed::new(Rule {
        checksum: Some(ChecksumKind::Bitfinex),
        ..stream(Chain::None)
    });
    feed.snapshot(None, "b 1 5, a 2 5");
    assert_eq!(
        feed.told(),
        "whole; bid 1 5 @0, ask 2 5 @0; unverified",
        "nothing has proved it yet"
    );
    feed.checksum = Some(crc32("1:5:2:-5").into());
    feed.send(None, None, None, "");
    assert_eq!(feed.told(), "live");
    feed.checksum = None;
    feed.send(None, None, None, "b 1 6");
    assert_eq!(
        feed.told(),
        "bid 1 6 @0",
        "between two checksums a book stays what it was"
    );
    feed.checksum = Some(crc32("1:7:2:-5").into());
    feed.send(None, None, None, "");
    assert!(feed.told().starts_with("break checksum 0 0; gap"));
    let statistics = feed.books.statistics();
    assert_eq!((statistics.verified, statistics.failed), (1, 1));
}

#[test]
fn changes_of_one_moment_may_cross_a_book_until_the_last_of_them_came() {
    let mut feed = Feed::new(Rule {
        checksum: Some(ChecksumKind::Bitfinex),
        ..stream(Chain::None)
    });
    feed.checksum = Some(crc32("1:5:2:-5").into());
    feed.snapshot(None, "b 1 5, a 2 5");
    feed.told();
    feed.checksum = None;
    feed.send(None, None, None, "b 3 1");
    assert_eq!(feed.told(), "", "nothing of a crossed book is told");
    feed.send(None, None, None, "a 4 1, a 2 0");
    assert_eq!(feed.told(), "bid 3 1 @0, ask 4 1 @0");
    feed.send(None, None, None, "b 5 1");
    feed.now += 999_999_999;
    feed.send(None, None, None, "b 0.5 1");
    assert_eq!(feed.told(), "");
    feed.now += 1;
    feed.send(None, None, None, "b 0.5 2");
    assert!(feed.told().starts_with("break crossed"));
    assert_eq!(feed.levels(), " | ");
}

proptest! {
    /// What Rust prints of a float with an exponent is what JavaScript prints, but for the range without one.
    #[test]
    fn bitfinex_writes_floats_as_javascript_does(digits in 1_u64..1_000_000_000_000_000, scale in 0_u8..=15) {
        let text = format!("{digits}e-{scale}");
        let value: f64 = text.parse().unwrap();
        let expected = if value >= 1e-6 { format!("{value}") } else { format!("{value:e}") };
        let book = format!("b {text} 1");
        prop_assert_eq!(
            checksum(ChecksumKind::Bitfinex, &book),
            crc32(&format!("{expected}:1")),
            "{} is {}", text, expected
        );
    }
}

#[test]
fn a_checksum_alone_proves_a_book() {
    let mut feed = Feed::new(Rule {
        checksum: Some(ChecksumKind::Kraken),
        ..stream(Chain::None)
    });
    feed.checksum = Some(crc32("2515").into());
    feed.snapshot(None, "b 1 5, a 2 5");
    assert_eq!(feed.told(), "whole; bid 1 5 @0, ask 2 5 @0; live");
    feed.checksum = None;
    feed.send(None, None, None, "b 1 6");
    assert_eq!(feed.told(), "unverified; bid 1 6 @0");
    feed.checksum = Some(crc32("2517").into());
    feed.send(None, None, None, "b 1 7");
    assert_eq!(feed.told(), "bid 1 7 @0; live");
    feed.send(None, None, None, "b 1 8");
    assert_eq!(
        feed.told(),
        "break checksum 0 0; gap 0 @0, gap",
        "nothing of the wrong book is told"
    );
    assert_eq!(feed.levels(), " | ");
    feed.snapshot(None, "b 1 8");
    assert_eq!(
        feed.told(),
        "break checksum 0 0",
        "a wrong snapshot is no book"
    );
    assert_eq!(feed.levels(), " | ");
    feed.snapshot(None, "b 1 7, a 2 5");
    assert_eq!(feed.told(), "whole; bid 1 7 @0, ask 2 5 @0; live");
    let statistics = feed.books.statistics();
    assert_eq!(
        (statistics.verified, statistics.failed, statistics.breaks),
        (3, 2, 2)
    );
}

#[test]
fn signed_and_unsigned_checksums_are_the_same_and_others_are_none() {
    let mut feed = Feed::new(Rule {
        checksum: Some(ChecksumKind::Okx),
        ..stream(Chain::None)
    });
    let is_negative = |size: &u32| crc32(&format!("1:5:2:{size}")) > u32::MAX / 2;
    let size = (1..100).find(is_negative).unwrap();
    let (book, expected) = (
        &format!("b 1 5, a 2 {size}"),
        crc32(&format!("1:5:2:{size}")),
    );
    for sent in [i64::from(expected), i64::from(expected.cast_signed())] {
        feed.checksum = Some(sent);
        feed.snapshot(None, book);
        assert!(!feed.told().contains("break"));
    }
    feed.checksum = Some(i64::from(expected) + (1 << 32));
    feed.snapshot(None, book);
    assert!(feed.told().contains("break checksum"));
}

#[test]
fn a_retired_checksum_proves_nothing_and_breaks_nothing() {
    let rule = Rule {
        checksum: Some(ChecksumKind::Okx),
        ..stream(Chain::Previous)
    };
    let mut feed = Feed::new(rule);
    feed.checksum = Some(0);
    feed.snapshot(Some(5), "b 1 5");
    feed.linked(5, 6, "b 1 6");
    assert_eq!(
        feed.told(),
        "whole; bid 1 5 @5, ask none @5; live; bid 1 6 @6",
        "the chain proves it"
    );
    feed.send(None, None, None, "b 1 7");
    assert_eq!(feed.told(), "unverified; bid 1 7 @0");
    assert_eq!(feed.books.statistics().zero, 3);
    let mut kraken = Feed::new(Rule {
        checksum: Some(ChecksumKind::Kraken),
        ..RULE
    });
    kraken.checksum = Some(0);
    kraken.snapshot(None, "b 1 5");
    assert!(
        kraken.told().contains("break checksum"),
        "Kraken's 0 is a number as others"
    );
}

proptest! {
    /// The digits of texts survive in mantissa and scale: the checksum over decimals is that over the texts.
    #[test]
    fn decimals_stand_for_their_texts(levels in prop::collection::btree_map(1..100_000_u32, (0..6_usize, "[1-9][0-9]{0,8}", 0..8_usize), 1..40)) {
        let point = |digits: &str, scale: usize| {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, rest) = padded.split_at(padded.len() - scale);
            if scale == 0 { whole.to_owned() } else { format!("{whole}.{rest}") }
        };
        // asks only: one scale for prices, so that their order is that of the numbers
        let texts: Vec<_> = levels.iter()
            .map(|(price, (_, size, scale))| (point(&price.to_string(), 2), point(size, *scale)))
            .collect();
        let book = texts.iter().map(|(price, size)| format!("a {price} {size}")).collect::<Vec<_>>().join(",");
        let okx = texts.iter().take(25).map(|(price, size)| format!("{price}:{size}")).collect::<Vec<_>>().join(":");
        prop_assert_eq!(checksum(ChecksumKind::Okx, &book), crc32(&okx));
        let bare = |text: &str| text.replace('.', "").trim_start_matches('0').to_owned();
        let kraken: String = texts.iter().take(10).map(|(price, size)| bare(price) + &bare(size)).collect();
        prop_assert_eq!(checksum(ChecksumKind::Kraken, &book), crc32(&kraken));
    }

    /// Texts that are remembered from message to message give the checksum of the book as it is.
    #[test]
    fn what_is_remembered_is_what_would_be_written(
        turns in prop::collection::vec(prop::collection::vec((any::<bool>(), 0..60_i64, 0..4_i64, 0..3_u8), 0..6), 1..40),
    ) {
        let (mut ladders, mut memory): ([Ladder; 2], _) = Default::default();
        let long = Decimal::new(i64::MAX, 30); // a level with it is longer than what is kept
        for turn in turns {
            for (is_ask, price, size, scale) in turn {
                let side = if is_ask { Side::Ask } else { Side::Bid };
                let size = if price % 20 == 7 && size > 0 { long } else { Decimal::new(size, scale) };
                let change = Change { side, price: Decimal::new(price + 100 * i64::from(is_ask), 1), size, inexact: false, deleted: false };
                ladders[side as usize].set(Packed::new(&change));
            }
            let [bids, asks] = [0, 1].map(|side: usize| ladders[side].top(25).iter().rev().map(|level| format!("{}:{}", level.price(), level.size())).collect::<Vec<_>>());
            let places = 0..bids.len().max(asks.len());
            let text = places.flat_map(|at| [bids.get(at), asks.get(at)]).flatten().cloned().collect::<Vec<_>>().join(":");
            prop_assert_eq!(compute(ChecksumKind::Okx, &ladders, &mut memory, &mut Vec::new()), crc32(&text));
        }
    }
}
