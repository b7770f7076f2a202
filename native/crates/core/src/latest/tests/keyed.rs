//! Books and bars, told in rows.

use super::*;
use crate::latest::{Bar, Book, Level};
use crate::record::{condition, state};

/// A row of the book; price and size as texts, `-` for the row that takes the side away.
fn level(name: &str, is_bid: bool, price: &str, size: &str) -> Record {
    let mut row = Record {
        instrument: instrument_id(name),
        kind: if is_bid {
            kind::BOOK_BID
        } else {
            kind::BOOK_ASK
        },
        ts_event: MIDNIGHT + SECOND,
        flags: flag::SNAPSHOT,
        ..Record::default()
    };
    if price == "-" {
        row.flags |= flag::NO_PRICE;
        return row;
    }
    let (price, size) = (decimal(price), decimal(size));
    (row.price, row.price_scale) = (price.mantissa, price.scale);
    (row.size, row.size_scale) = (size.mantissa, size.scale);
    row
}

fn decimal(text: &str) -> crate::decimal::Decimal {
    crate::decimal::Decimal::parse(text.as_bytes()).expect("a number")
}

/// A whole book, as one event; a state row makes the instrument live.
fn whole(name: &str, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> Vec<Record> {
    let mut rows = Vec::new();
    for (is_bid, levels) in [(true, bids), (false, asks)] {
        rows.push(level(name, is_bid, "-", ""));
        rows.extend(
            levels
                .iter()
                .map(|(price, size)| level(name, is_bid, price, size)),
        );
    }
    rows.extend([quote(name, kind::BID, 1), quote(name, kind::ASK, 9_999)]);
    rows
}

fn quote(name: &str, kind: u8, price: i64) -> Record {
    Record {
        instrument: instrument_id(name),
        kind,
        price,
        size: 1,
        ..Record::default()
    }
}

fn status(name: &str, state: u8) -> Record {
    Record {
        instrument: instrument_id(name),
        kind: kind::STATUS,
        detail: state.into(),
        ..Record::default()
    }
}

fn book(world: &World, name: &str, depth: u8) -> Book {
    let mut out = Book::default();
    let topic = world.latest.topic(name).expect("a topic");
    world.latest.book(topic, depth, &mut out);
    out
}

fn spell(levels: &[Level]) -> String {
    let mut out = Vec::new();
    for level in levels {
        if !out.is_empty() {
            out.push(b' ');
        }
        encode::text::write_price(&mut out, Some(level.price), false);
        out.push(b'x');
        encode::text::write_amount(&mut out, Some(level.size), false);
    }
    String::from_utf8(out).expect("text")
}

/// Bids, asks, state.
fn see(world: &World, name: &str, depth: u8) -> [String; 3] {
    let book = book(world, name, depth);
    let state = state::NAMES[usize::from(book.state)].to_owned();
    [spell(&book.bids), spell(&book.asks), state]
}

#[test]
fn a_book_is_shown_from_its_whole_rows_on() {
    let mut world = World::new(&["A:X"]);
    world.apply(&[quote("A:X", kind::BID, 1), quote("A:X", kind::ASK, 99)]);
    assert_eq!(see(&world, "A:X", 5), ["", "", "empty"], "no promise");
    world.apply(&[status("A:X", state::GAP)]);
    assert_eq!(see(&world, "A:X", 5), ["", "", "gap"]);
    world.apply(&[status("A:X", state::LIVE)]);
    world.apply(&[level("A:X", true, "10", "1")]);
    assert_eq!(see(&world, "A:X", 5), ["", "", "empty"], "never whole");
    assert!(world.keyed.is_empty(), "nothing changed");
    world.apply(&whole("A:X", &[("10.5", "1"), ("10", "2")], &[("11", "3")]));
    assert_eq!(see(&world, "A:X", 5), ["10.5x1 10x2", "11x3", "live"]);
    assert_eq!(see(&world, "A:X", 1), ["10.5x1", "11x3", "live"]);
    assert_eq!(
        world.keyed.len(),
        2,
        "one change of the instrument, one of the security"
    );
    let told = &world.keyed[0];
    assert!(told.0 == "A:X" && matches!(told.1, Cause::Book));
    assert_eq!(book(&world, "A:X", 5).timestamp_ns, MIDNIGHT + SECOND);
    world.apply(&[
        level("A:X", true, "10.50", "0"),
        level("A:X", true, "9", "4"),
    ]);
    assert_eq!(see(&world, "A:X", 5), ["10x2 9x4", "11x3", "live"]);
    world.keyed.clear();
    world.apply(&[level("A:X", true, "9", "4")]);
    assert!(world.keyed.is_empty(), "told again, nothing changed");
    let invalid = Record {
        flags: flag::NO_PRICE | flag::INVALID_BOOK,
        ..level("A:X", false, "-", "")
    };
    world.apply(&[invalid]);
    assert_eq!(
        see(&world, "A:X", 5),
        ["", "", "syncing"],
        "half a book is none"
    );
}

#[test]
fn the_state_of_the_instrument_hides_its_book() {
    let mut world = World::new(&["A:X"]);
    world.apply(&whole("A:X", &[("10", "2")], &[("11", "3")]));
    for (number, shown) in [
        (state::GAP, ""),
        (state::STALE, ""),
        (state::REPAIRING, ""),
        (state::SYNCING, ""),
        (state::HALTED, "10x2"),
        (state::AUCTION, "10x2"),
        (state::UNVERIFIED, "10x2"),
        (state::LIVE, "10x2"),
    ] {
        world.apply(&[status("A:X", number)]);
        let [bids, _, state] = see(&world, "A:X", 5);
        assert_eq!(
            (bids.as_str(), state.as_str()),
            (shown, state::NAMES[usize::from(number)])
        );
    }
    world.feed("a", state::STALE, "silent");
    assert_eq!(see(&world, "A:X", 5), ["", "", "stale"]);
}

#[test]
fn a_security_merges_its_live_legs() {
    let mut world = World::new(&["A:X", "B:X"]);
    world.apply(&whole("A:X", &[("10", "1.5"), ("9", "1")], &[("11", "1")]));
    assert_eq!(see(&world, "X", 5), ["10x1.5 9x1", "11x1", "live"]);
    world.apply(&whole(
        "B:X",
        &[("10.00", "2.25"), ("9.5", "1")],
        &[("12", "1")],
    ));
    assert_eq!(
        see(&world, "X", 5),
        ["10.00x3.75 9.5x1 9x1", "11x1 12x1", "live"]
    );
    assert_eq!(see(&world, "X", 2)[0], "10.00x3.75 9.5x1");
    world.apply(&[status("A:X", state::HALTED)]);
    assert_eq!(see(&world, "X", 5), ["10.00x2.25 9.5x1", "12x1", "live"]);
    world.apply(&[status("B:X", state::GAP)]);
    assert_eq!(
        see(&world, "X", 5),
        ["", "", "halted"],
        "no live leg, and why"
    );
    world.apply(&[status("B:X", state::LIVE)]);
    for is_bid in [true, false] {
        let mut row = level("B:X", is_bid, "-", "");
        row.flags |= flag::INVALID_BOOK;
        world.apply(&[row]);
    }
    assert_eq!(
        see(&world, "X", 5),
        ["", "", "syncing"],
        "no live leg has a whole book"
    );
}

#[test]
fn nothing_is_promised_where_no_level_was_ever_told() {
    let mut world = World::new(&["A:X", "B:X"]);
    assert_eq!(see(&world, "X", 5), ["", "", "empty"]);
    for name in ["A:X", "B:X"] {
        world.apply(&[quote(name, kind::BID, 1), quote(name, kind::ASK, 99)]);
    }
    assert_eq!(see(&world, "X", 5), ["", "", "empty"]);
    world.apply(&whole("B:X", &[("10", "2")], &[("11", "3")]));
    assert_eq!(see(&world, "A:X", 5), ["", "", "empty"]);
    assert_eq!(see(&world, "X", 5), ["10x2", "11x3", "live"]);
}

#[test]
fn a_difference_turns_one_book_into_the_other() {
    let mut world = World::new(&["A:X"]);
    world.apply(&whole("A:X", &[("10", "1"), ("9", "1")], &[("11", "3")]));
    let before = book(&world, "A:X", 2);
    world.apply(&[
        level("A:X", true, "9.5", "2"),
        level("A:X", false, "11.0", "3"),
    ]);
    let after = book(&world, "A:X", 2);
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    before.difference(&after, &mut bids, &mut asks);
    assert_eq!(spell(&bids), "9.5x2 9x0", "9 fell out of the depth");
    assert_eq!(
        spell(&asks),
        "11x0 11.0x3",
        "the same price in other digits"
    );
    let mut applied = before.clone();
    applied.apply(&bids, &asks);
    assert_eq!((&applied.bids, &applied.asks), (&after.bids, &after.asks));
    assert_eq!(after.digest(), crc32fast::hash(b"10:1,9.5:2,11.0:3"));
    assert_eq!(Book::default().digest(), 0);
}

fn trade(name: &str, id: u64, ms: i64, price: &str, size: &str) -> Record {
    let row = level(name, true, price, size);
    Record {
        kind: kind::TRADE,
        flags: 0,
        id,
        ts_event: MIDNIGHT + 3600 * SECOND + ms * 1_000_000,
        ..row
    }
}

fn bars(world: &World, name: &str, interval: usize) -> Vec<Bar> {
    let mut out = Vec::new();
    let topic = world.latest.topic(name).expect("a topic");
    world.latest.bars(topic, interval, 100, &mut out);
    out
}

/// Start in s, open, high, low, close, volume, notional, trades; `f` final, `c` corrected.
fn see_bars(world: &World, name: &str) -> Vec<String> {
    let bars = bars(world, name, 0).into_iter().map(|bar| {
        let start = (bar.start_ns - MIDNIGHT) / SECOND - 3600;
        let mut out = Vec::new();
        for price in [bar.open, bar.high, bar.low, bar.close] {
            encode::text::write_price(&mut out, Some(price), false);
            out.push(b' ');
        }
        encode::text::write_amount(&mut out, Some(bar.volume), false);
        out.push(b' ');
        encode::text::write_amount(&mut out, bar.notional, false);
        let text = String::from_utf8(out).expect("text");
        let is_final = if bar.is_final { " f" } else { "" };
        let is_corrected = if bar.is_corrected { " c" } else { "" };
        format!("{start} {text} {}{is_final}{is_corrected}", bar.trades)
    });
    bars.collect()
}

#[test]
fn trades_make_bars_by_their_event_time() {
    let mut world = World::new(&["A:X", "B:X"]);
    let odd = Record {
        detail: condition::ODD_LOT,
        ..trade("A:X", 4, 300, "99", "1")
    };
    let history = Record {
        flags: flag::HISTORY,
        ..trade("A:X", 5, 300, "1", "1")
    };
    let repeated = Record {
        flags: flag::SNAPSHOT,
        ..trade("A:X", 6, 300, "1", "1")
    };
    for row in [
        trade("A:X", 1, 200, "10.5", "2"),
        trade("A:X", 2, 100, "10", "1"),
        trade("A:X", 3, 900, "10.2", "1"),
        odd,
        history,
        repeated,
    ] {
        world.apply(&[row]);
    }
    let first = "0 10 10.5 10 10.2 5 140.2 4";
    assert_eq!(
        see_bars(&world, "A:X"),
        [first],
        "the open is the earliest trade"
    );
    world.apply(&[
        trade("B:X", 1, 950, "11", "1"),
        trade("B:X", 2, 2100, "12", "1"),
    ]);
    assert_eq!(
        see_bars(&world, "X"),
        ["0 10 11 10 11 6 151.2 5", "2 12 12 12 12 1 12 1"]
    );
    world.apply(&[odd_alone()]);
    assert_eq!(see_bars(&world, "A:X"), [first], "no price, no bar");
}

fn odd_alone() -> Record {
    Record {
        detail: condition::ODD_LOT,
        ..trade("A:X", 9, 5_000, "99", "1")
    }
}

#[test]
fn a_bar_ends_by_time_and_is_corrected_afterwards() {
    let mut world = World::new(&["A:X"]);
    let begin = world.now;
    world.apply(&[trade("A:X", 1, 0, "10", "1")]);
    world.tick(begin + 1_400_000_000);
    assert_eq!(see_bars(&world, "A:X"), ["0 10 10 10 10 1 10 1"], "not yet");
    world.keyed.clear();
    world.tick(begin + 1_500_000_000);
    assert_eq!(see_bars(&world, "A:X"), ["0 10 10 10 10 1 10 1 f"]);
    assert_eq!(
        world.keyed.len(),
        2,
        "the bar of the instrument and of the security"
    );
    assert!(matches!(world.keyed[1].1, Cause::Bar { interval: 0, start_ns } if start_ns == begin));
    world.apply(&[trade("A:X", 2, 500, "9", "1")]);
    assert_eq!(
        see_bars(&world, "A:X"),
        ["0 10 10 9 9 2 19 2 f c"],
        "a late trade"
    );
    world.keyed.clear();
    let bust = Record {
        kind: kind::BUST,
        ..trade("A:X", 1, 3_000, "1", "1")
    };
    world.apply(&[bust]);
    assert_eq!(see_bars(&world, "A:X"), ["0 9 9 9 9 1 9 1 f c"]);
    assert_eq!(world.keyed.len(), 4, "both intervals of both topics");
    let correction = Record {
        kind: kind::CORRECTION,
        ..trade("A:X", 2, 3_000, "8", "5")
    };
    world.apply(&[correction]);
    assert_eq!(see_bars(&world, "A:X"), ["0 8 8 8 8 5 40 1 f c"]);
    world.apply(&[Record { id: 2, ..bust }]);
    assert!(see_bars(&world, "A:X").is_empty(), "nothing left");
    let topic = world.latest.topic("A:X").expect("a topic");
    let told = world.latest.bar(topic, 0, begin).expect("clients knew it");
    assert_eq!((told.trades, told.volume.mantissa), (0, 0));
}

/// A replay's times are years behind ours: its bars end as its own time passes.
#[test]
fn bars_of_an_old_day_end_by_the_time_of_their_feed() {
    let mut world = World::new(&["A:X"]);
    let old = 86_400_000;
    world.apply(&[trade("A:X", 1, -old, "10", "1")]);
    assert!(!bars(&world, "A:X", 0)[0].is_final);
    world.tick(world.now + 1_400_000_000);
    assert!(!bars(&world, "A:X", 0)[0].is_final);
    world.tick(world.now + 200_000_000);
    assert!(bars(&world, "A:X", 0)[0].is_final);
    assert!(!bars(&world, "A:X", 1)[0].is_final);
    world.tick(world.now + 60 * SECOND);
    assert!(bars(&world, "A:X", 1)[0].is_final);
}

/// A bar that could only end after the last moment there is ends at it, and is not asked for ever.
#[test]
fn at_the_end_of_time_bars_end() {
    let mut world = World::new(&["A:X"]);
    world.now = i64::MAX - 10 * SECOND;
    let late = Record {
        ts_event: world.now - 100 * SECOND,
        ..trade("A:X", 1, 0, "10", "1")
    };
    world.apply(&[late]);
    world.tick(i64::MAX);
    for interval in 0..2 {
        assert!(bars(&world, "A:X", interval)[0].is_final);
    }
}

#[test]
fn old_bars_give_way_to_new_ones() {
    let mut world = World::new(&["A:X"]);
    for second in 0..200 {
        let at = if second % 2 == 0 { second } else { second - 1 };
        world.apply(&[trade("A:X", second as u64, at * 1000, "10", "1")]);
    }
    assert_eq!(bars(&world, "A:X", 0).len(), 60);
    world.apply(&[trade("A:X", 999, 0, "1", "1")]);
    assert_eq!(
        bars(&world, "A:X", 0).len(),
        60,
        "too old for a bar of its own"
    );
    assert_eq!(
        bars(&world, "A:X", 1)[0].trades,
        61,
        "but not for its minute"
    );
}
