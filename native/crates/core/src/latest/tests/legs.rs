//! One venue's instrument: quotes, trades, states, busts.

use super::*;
use crate::record::{condition, state};

const A: &str = "XNAS:AAPL";
const T: i64 = MIDNIGHT + 3600 * SECOND;

#[test]
fn a_new_instrument_is_empty_and_all_null() {
    let mut world = World::new(&[]);
    world.define(&definition(A));
    assert_eq!(
        world.take_told(),
        Vec::<String>::new(),
        "nobody can watch a topic that is new"
    );
    assert_eq!(world.latest.topics(), 2);
    world.define(&definition("XSIM:AAPL"));
    assert_eq!(world.take_told(), ["AAPL other legs"]);
    let world = World::new(&[A]);
    assert_eq!(
        world.see(
            A,
            &[
                "price",
                "bid",
                "ask",
                "volume",
                "open",
                "change",
                "exchange_timestamp"
            ]
        ),
        ["null"; 7].join(" ")
    );
    assert_eq!((world.state(A), world.state("AAPL")), ("empty", "empty"));
    assert_eq!(world.see(A, &["venue"]), "XNAS");
    assert_eq!(
        world.see("AAPL", &["venue", "legs"]),
        "null {\"live\":0,\"of\":1}"
    );
    assert!(world.latest.topic("XXXX").is_none());
}

#[test]
fn what_has_values_and_no_market_is_live() {
    const INDEX: &str = "OKX:BTC-USD-INDEX";
    let mut world = World::new(&[INDEX]);
    world.apply(&[status(INDEX, state::LIVE)]);
    assert_eq!(world.state(INDEX), "empty");
    world.take_told();
    let value = other(kind::INDEX, INDEX, 0, "64000.12", "0", T);
    world.apply(&[value]);
    assert_eq!(world.state(INDEX), "live");
    assert_eq!(
        world.take_told(),
        [
            "OKX:BTC-USD-INDEX other state",
            "BTC-USD-INDEX other state legs"
        ]
    );
    world.apply(&[value]);
    assert_eq!(
        world.take_told(),
        Vec::<String>::new(),
        "no price of a market"
    );
    world.apply(&[status(INDEX, state::STALE), value]);
    assert_eq!(world.state(INDEX), "stale", "until the feed says otherwise");
}

#[test]
fn a_quote_event_is_one_change_and_shows_both_sides_at_once() {
    let mut world = World::new(&[A]);
    world.apply(&quote(A, ("185.40", "100"), ("185.42", "7"), T));
    assert_eq!(
        world.take_told(),
        [
            "XNAS:AAPL quote bid bid_size ask ask_size state",
            "AAPL quote bid bid_size ask ask_size state legs"
        ]
    );
    assert_eq!(
        world.see(A, &["bid", "bid_size", "ask", "ask_size", "state"]),
        "185.40 100 185.42 7 live"
    );
    world.apply(&quote(A, ("185.40", "100"), ("185.42", "9"), T));
    assert_eq!(
        world.take_told(),
        ["XNAS:AAPL quote ask_size", "AAPL quote ask_size"]
    );
    world.apply(&quote(A, ("185.40", "100"), ("", ""), T));
    assert_eq!(
        world.take_told(),
        ["XNAS:AAPL quote ask ask_size", "AAPL quote ask ask_size"]
    );
    assert_eq!(world.see("AAPL", &["ask", "ask_size"]), "null null");
}

#[test]
fn what_changes_nothing_visible_is_not_told() {
    let mut world = World::new(&[A]);
    world.apply(&quote(A, ("185.40", "100"), ("185.42", "7"), T));
    world.take_told();
    world.apply(&quote(A, ("185.40", "100"), ("185.42", "7"), T + 1));
    // The same numbers with other digits are no change either, and the digits shown stay.
    world.apply(&quote(A, ("185.4", "100.0"), ("185.420", "7"), T + 2));
    // There and back within one event.
    let away = quote(A, ("100", "1"), ("200", "1"), T);
    let mut event = [
        away.as_slice(),
        &quote(A, ("185.40", "100"), ("185.42", "7"), T),
    ]
    .concat();
    event[1].flags = 0;
    world.apply(&event);
    assert_eq!(world.take_told(), Vec::<String>::new());
    assert_eq!(world.see(A, &["bid", "bid_size"]), "185.40 100");
}

#[test]
fn a_trade_and_the_quote_of_its_event_are_one_change() {
    let mut world = World::new(&[A]);
    let mut rows = vec![trade(A, 1, "185.42", "5", T)];
    rows[0].flags = 0;
    rows.extend(quote(A, ("185.40", "100"), ("185.42", "2"), T));
    world.apply(&rows);
    let told = world.take_told();
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with(
            "XNAS:AAPL trade price size side bid bid_size ask ask_size timestamp state open"
        ),
        "{told:?}"
    );
    assert!(told[1].starts_with("AAPL trade price"), "{told:?}");
}

#[test]
fn each_trade_of_an_event_counts() {
    let mut world = World::new(&[A]);
    let mut rows = vec![trade(A, 1, "10", "5", T), trade(A, 2, "11", "5", T)];
    rows[0].flags = 0;
    rows[1].flags = 0;
    rows.extend(quote(A, ("9", "1"), ("12", "1"), T));
    world.apply(&rows);
    let told = world.take_told();
    let causes = told
        .iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    assert_eq!(
        causes.collect::<Vec<_>>(),
        [
            "XNAS:AAPL trade",
            "AAPL trade",
            "XNAS:AAPL trade",
            "AAPL trade"
        ]
    );
    assert!(!told[0].contains("bid") && told[2].contains("bid"));
    assert_eq!(
        world.see("AAPL", &["price", "high", "low", "open", "volume"]),
        "11 11 10 10 10"
    );
}

#[test]
fn excluded_trades_count_and_set_nothing_but_volume() {
    let mut world = World::new(&[A]);
    world.apply(&[trade(A, 1, "10", "5", T)]);
    world.take_told();
    for (id, detail) in [
        (2, condition::ODD_LOT),
        (3, condition::OUT_OF_SEQUENCE | condition::AUCTION),
    ] {
        world.apply(&[Record {
            detail,
            ..trade(A, id, "99", "2", T + 1)
        }]);
    }
    assert_eq!(
        world.take_told(),
        [
            "XNAS:AAPL trade volume",
            "AAPL trade volume",
            "XNAS:AAPL trade volume",
            "AAPL trade volume"
        ]
    );
    assert_eq!(world.see("AAPL", &["price", "high", "volume"]), "10 10 9");
    // An auction may set the price.
    world.apply(&[Record {
        detail: condition::AUCTION,
        ..trade(A, 4, "12", "1", T + 2)
    }]);
    assert_eq!(world.see(A, &["price", "high"]), "12 12");
    // No size, no volume; no price, no price.
    world.apply(&[flagged(trade(A, 5, "13", "1", T + 3), flag::NO_SIZE)]);
    world.apply(&[flagged(trade(A, 6, "14", "1", T + 4), flag::NO_PRICE)]);
    assert_eq!(world.see(A, &["price", "size", "volume"]), "13 null 11");
}

#[test]
fn history_sets_nothing_and_a_snapshot_counts_nowhere() {
    let mut world = World::new(&[A]);
    world.apply(&[flagged(trade(A, 1, "10", "5", T), flag::HISTORY)]);
    assert_eq!(world.take_told(), Vec::<String>::new());
    world.apply(&[flagged(trade(A, 2, "11", "5", T), flag::SNAPSHOT)]);
    world.apply(&quote(A, ("10", "1"), ("12", "1"), T).map(|row| flagged(row, flag::SNAPSHOT)));
    assert_eq!(
        world.take_told(),
        [
            "XNAS:AAPL other price size side timestamp state",
            "AAPL other price size side timestamp venue state legs",
            "XNAS:AAPL other bid bid_size ask ask_size",
            "AAPL other bid bid_size ask ask_size"
        ]
    );
    world.apply(&[
        flagged(trade(A, 3, "9", "5", T - 1), flag::SNAPSHOT),
        flagged(trade(A, 2, "11", "5", T), flag::SNAPSHOT),
    ]);
    assert_eq!(world.take_told(), Vec::<String>::new());
    assert_eq!(
        world.see("AAPL", &["price", "volume", "open", "state"]),
        "11 null null live"
    );
}

#[test]
fn backfilled_trades_find_their_place() {
    let mut world = World::new(&[A]);
    world.apply(&[trade(A, 1, "10", "1", T), trade(A, 3, "12", "1", T + 20)]);
    let applied = world.apply(&[flagged(trade(A, 2, "20", "1", T + 10), flag::BACKFILLED)]);
    assert_eq!(applied.late, 1);
    assert_eq!(
        world.see(A, &["price", "high", "open", "volume"]),
        "12 20 10 3"
    );
    world.apply(&[flagged(trade(A, 4, "13", "1", T + 30), flag::BACKFILLED)]);
    assert_eq!(world.see("AAPL", &["price", "volume"]), "13 4");
    let applied = world.apply(&[flagged(trade(A, 5, "1", "1", T - DAY), flag::BACKFILLED)]);
    assert_eq!(applied.late, 1);
    assert_eq!(world.see(A, &["price", "low", "volume"]), "13 10 4");
    assert_eq!(world.told.last().expect("told").2, "trade");
}

#[test]
fn an_incredible_event_time_is_replaced() {
    let mut world = World::new(&[A]);
    world.apply(&[Record {
        ts_recv: T,
        ..trade(A, 1, "10", "1", T + 3600 * SECOND)
    }]);
    assert_eq!(world.trades[0].ts_event, T);
    assert_ne!(world.trades[0].flags & flag::CLOCK_SKEW, 0);
    world.apply(&[Record {
        ts_recv: T,
        ..trade(A, 2, "11", "1", T + SECOND)
    }]);
    assert_eq!(world.latest.last_trade_ns(0), T + SECOND);
    assert_eq!(
        world.see(A, &["exchange_timestamp"]),
        "2026-03-29T01:00:01.000Z"
    );
}

#[test]
fn states_follow_status_book_gap_and_feed() {
    let mut world = World::new(&[A]);
    world.apply(&[status(A, state::LIVE)]);
    assert_eq!(
        world.state(A),
        "empty",
        "tradable, but nothing is known yet"
    );
    world.apply(&quote(A, ("10", "1"), ("12", "1"), T));
    assert_eq!(world.state(A), "live");
    let texts = [Some("news pending".to_owned())];
    world.apply_with(&[status(A, state::HALTED)], Some(&texts));
    assert_eq!(
        (world.state(A), world.reason(A), world.reason("AAPL")),
        ("halted", "news pending", "news pending")
    );
    assert_eq!(
        world.see("AAPL", &["bid", "legs"]),
        "null {\"live\":0,\"of\":1}"
    );
    // Within a halt orders may cross.
    world.apply(&quote(A, ("13", "1"), ("12", "1"), T));
    assert_eq!(world.state(A), "halted");
    world.apply(&[status(A, state::LIVE)]);
    assert_eq!(
        (world.state(A), world.reason(A)),
        ("repairing", "own book is crossed")
    );
    world.apply(&quote(A, ("11", "1"), ("12", "1"), T));
    world.apply(&[Record {
        kind: kind::GAP,
        ..status(A, 0)
    }]);
    assert_eq!(
        (world.state(A), world.reason(A)),
        ("gap", "messages are missing")
    );
    world.apply(&quote(A, ("11", "1"), ("12", "1"), T).map(|row| flagged(row, flag::INVALID_BOOK)));
    assert_eq!(world.state(A), "gap");
    world.apply(&quote(A, ("11", "1"), ("12", "1"), T));
    assert_eq!(
        (
            world.state(A),
            world.see("AAPL", &["bid", "state"]).as_str()
        ),
        ("live", "11 live")
    );
    world.apply(&quote(A, ("11", "1"), ("12", "1"), T).map(|row| flagged(row, flag::INVALID_BOOK)));
    assert_eq!(
        (world.state(A), world.reason(A)),
        ("repairing", "book is not valid")
    );
}

#[test]
fn a_feed_is_laid_over_its_instruments() {
    let mut world = World::new(&[A, "XNAS:MSFT"]);
    world.apply(&quote(A, ("10", "1"), ("12", "1"), T));
    world.take_told();
    world.now += SECOND;
    assert_eq!(world.feed("xnas", state::STALE, "quiet 5 s"), 2);
    assert_eq!(
        world.take_told(),
        [
            "XNAS:AAPL other state",
            "AAPL other bid bid_size ask ask_size state legs"
        ]
    );
    assert_eq!(
        (
            world.state(A),
            world.state("XNAS:MSFT"),
            world.reason("AAPL")
        ),
        ("stale", "empty", "quiet 5 s")
    );
    assert_eq!(world.latest.since(0), world.now);
    assert_eq!(world.feed("xnas", state::STALE, "quiet 5 s"), 0);
    assert_eq!(
        world.feed("xnas", state::STALE, "connection lost"),
        1,
        "another reason is told"
    );
    assert_eq!(world.feed("xnas", state::LIVE, ""), 2);
    assert_eq!((world.state(A), world.reason(A)), ("live", ""));
    world.apply(&[status(A, state::HALTED)]);
    world.feed("xnas", state::STALE, "");
    world.feed("xnas", state::LIVE, "");
    assert_eq!(world.state(A), "halted");
    assert_eq!(world.feed("unheard", state::STALE, ""), 0);
}

#[test]
fn busts_take_back_and_corrections_replace() {
    let mut world = World::new(&[A]);
    let prices = [("10", "1.5"), ("14", "2"), ("9", "0.25"), ("12", "4")];
    for (id, (price, size)) in (1..).zip(prices) {
        world.apply(&[trade(A, id, price, size, T + id.cast_signed())]);
    }
    let fields = ["price", "open", "high", "low", "volume"];
    assert_eq!(world.see("AAPL", &fields), "12 10 14 9 7.75");
    world.take_told();
    world.apply(&[other(kind::BUST, A, 4, "0", "0", T + 10)]);
    assert_eq!(world.see("AAPL", &fields), "9 10 14 9 3.75");
    assert_eq!(
        world.take_told()[0],
        "XNAS:AAPL other price size timestamp volume"
    );
    world.apply(&[other(kind::BUST, A, 2, "0", "0", T + 11)]);
    assert_eq!(world.see("AAPL", &fields), "9 10 10 9 1.75");
    world.apply(&[other(kind::CORRECTION, A, 3, "11.5", "1", T + 12)]);
    assert_eq!(world.see("AAPL", &fields), "11.5 10 11.5 10 2.50");
    let applied = world.apply(&[other(kind::BUST, A, 99, "0", "0", T + 13)]);
    assert_eq!(applied.unmatched, 1);
    for id in [1, 3] {
        world.apply(&[other(kind::BUST, A, id, "0", "0", T + 14)]);
    }
    assert_eq!(
        world.see("AAPL", &["price", "open", "high", "low", "venue"]),
        "null null null null null"
    );
}

#[test]
fn a_bust_beyond_the_memory_takes_its_size_if_told() {
    let mut world = World::new(&[A]);
    world.apply(&[trade(A, 1, "50", "7", T)]);
    for id in 2..=70 {
        world.apply(&[trade(A, id, "10", "1", T + id.cast_signed())]);
    }
    assert_eq!(world.latest.remembered(), 64);
    assert_eq!(world.see(A, &["high", "volume"]), "50 76");
    assert_eq!(
        world
            .apply(&[other(kind::BUST, A, 1, "50", "7", T + 99)])
            .unmatched,
        1
    );
    assert_eq!(world.see(A, &["price", "high", "volume"]), "10 50 69");
}

#[test]
fn unknown_and_malformed_rows_are_counted() {
    let mut world = World::new(&[A]);
    let market_wide = Record {
        instrument: 0,
        kind: kind::NOTICE,
        ..status(A, 0)
    };
    let rows = [
        trade("XNAS:NOPE", 1, "1", "1", T),
        market_wide,
        Record {
            price_scale: 39,
            ..trade(A, 1, "1", "1", T)
        },
    ];
    let applied = world.apply(&rows);
    assert_eq!(
        (applied.records, applied.unknown, applied.malformed),
        (3, 1, 1)
    );
    assert_eq!(world.take_told(), Vec::<String>::new());
    world.apply(&[
        Record {
            detail: 77,
            ..status(A, 0)
        },
        Record {
            kind: 255,
            ..status(A, 0)
        },
    ]);
    assert_eq!(world.take_told(), Vec::<String>::new());
}

#[test]
fn ids_with_a_text_point_into_the_batch() {
    let mut world = World::new(&[A]);
    let texts = [None, Some("T-000123-AAPL".to_owned())];
    world.apply_with(
        &[trade(A, 1, "1", "1", T), trade(A, 2, "1", "1", T)],
        Some(&texts),
    );
    assert_eq!(world.trades[0].id_text(Some(&texts)), None);
    assert_eq!(world.trades[2].id_text(Some(&texts)), Some("T-000123-AAPL"));
    assert_eq!(world.trades[2].id_text(None), None);
}
