//! A security over its venues.

use super::*;
use crate::record::state;

const N: &str = "XNAS:AAPL";
const S: &str = "XSIM:AAPL";
const B: &str = "BINANCE:AAPL";
const T: i64 = MIDNIGHT + 3600 * SECOND;

#[test]
fn best_is_over_live_venues_and_sizes_add_up() {
    let mut world = World::new(&[N, S, B]);
    world.apply(&quote(N, ("185.40", "100"), ("185.44", "5"), T));
    world.apply(&quote(S, ("185.4", "0.25"), ("185.43", "7"), T));
    world.apply(&quote(
        B,
        ("185.39999999", "9"),
        ("185.430", "0.00000001"),
        T,
    ));
    let fields = ["bid", "bid_size", "ask", "ask_size", "crossed", "legs"];
    assert_eq!(
        world.see("AAPL", &fields),
        "185.40 100.25 185.43 7.00000001 false {\"live\":3,\"of\":3}"
    );
    world.take_told();
    world.apply(&quote(B, ("185.39", "9"), ("185.430", "0.00000001"), T));
    assert_eq!(
        world.take_told(),
        ["BINANCE:AAPL quote bid"],
        "behind the best: no change of the security"
    );
    world.apply(&[status(N, state::HALTED)]);
    assert_eq!(
        world.take_told(),
        ["XNAS:AAPL other state", "AAPL other bid_size legs"]
    );
    assert_eq!(
        world.see("AAPL", &["bid", "bid_size", "state"]),
        "185.40 0.25 live"
    );
}

#[test]
fn venues_may_cross_each_other_but_not_themselves() {
    let mut world = World::new(&[N, S]);
    world.apply(&quote(N, ("10", "1"), ("11", "1"), T));
    world.apply(&quote(S, ("11", "1"), ("12", "1"), T));
    assert_eq!(
        world.see("AAPL", &["bid", "ask", "crossed", "state"]),
        "11 11 true live"
    );
    world.apply(&quote(S, ("12", "1"), ("12", "1"), T));
    assert_eq!(
        world.see("AAPL", &["bid", "ask", "crossed", "legs"]),
        "10 11 false {\"live\":1,\"of\":2}"
    );
    assert_eq!(world.state(S), "repairing");
    world.apply(&quote(S, ("10.5", "1"), ("12", "1"), T));
    assert_eq!(
        (world.state(S), world.see("AAPL", &["bid"]).as_str()),
        ("live", "10.5")
    );
}

#[test]
fn an_older_trade_within_a_second_is_late_and_after_it_wins() {
    let mut world = World::new(&[N, S]);
    world.apply(&[trade(N, 1, "10", "1", T)]);
    world.take_told();
    world.now += SECOND / 2;
    let late = Record {
        ts_recv: T + SECOND / 2,
        ..trade(S, 2, "9", "1", T - 1)
    };
    assert_eq!(world.apply(&[late]).late, 1);
    let told = world.take_told();
    assert_eq!(told[1], "AAPL trade volume legs");
    assert_eq!(
        world.see("AAPL", &["price", "venue", "volume"]),
        "10 XNAS 2"
    );
    assert_eq!(world.see(S, &["price"]), "9");
    world.now += SECOND;
    let after = Record {
        ts_recv: T + SECOND + 1,
        ..trade(S, 3, "8", "1", T - 1)
    };
    assert_eq!(world.apply(&[after]).late, 0);
    assert_eq!(world.see("AAPL", &["price", "venue", "volume"]), "8 XSIM 3");
    // A venue's own order is never doubted.
    world.apply(&[trade(S, 4, "7", "1", T - 2)]);
    assert_eq!(world.see("AAPL", &["price"]), "7");
}

#[test]
fn no_clock_can_freeze_the_price() {
    let mut world = World::new(&[N, S]);
    // The socket's host is an hour ahead, so the skew cannot be seen.
    world.apply(&[trade(N, 1, "10", "1", T + 3600 * SECOND)]);
    world.now += SECOND + 1;
    world.apply(&[trade(S, 2, "9", "1", T + SECOND)]);
    assert_eq!(world.see("AAPL", &["price"]), "9");
    // Our own clock was set back.
    world.apply(&[trade(N, 3, "11", "1", T + 2 * SECOND)]);
    world.now -= 3600 * SECOND;
    world.apply(&[trade(S, 4, "12", "1", T)]);
    assert_eq!(world.see("AAPL", &["price"]), "12");
}

#[test]
fn the_same_instant_belongs_to_the_later_arrival() {
    let mut world = World::new(&[N, S]);
    world.apply(&[trade(N, 1, "10", "1", T), trade(S, 2, "10", "1", T)]);
    assert_eq!(world.see("AAPL", &["venue"]), "XSIM");
    assert!(
        world
            .take_told()
            .last()
            .expect("told")
            .contains("timestamp venue")
    );
}

#[test]
fn a_stale_leg_expires_from_the_best_and_not_from_the_last_trade() {
    let mut world = World::new(&[N, S]);
    world.apply(&quote(N, ("10", "1"), ("12", "1"), T));
    world.apply(&quote(S, ("11", "1"), ("12", "3"), T));
    world.apply(&[trade(S, 1, "11.5", "1", T)]);
    world.take_told();
    world.feed("xsim", state::STALE, "quiet");
    assert_eq!(
        world.take_told(),
        ["XSIM:AAPL other state", "AAPL other bid ask_size legs"]
    );
    assert_eq!(
        world.see("AAPL", &["price", "venue", "bid", "ask_size", "state"]),
        "11.5 XSIM 10 1 live"
    );
    // What a stale venue still sends is old: it sets no price while another venue is live.
    world.now += 5 * SECOND;
    world.apply(&[Record {
        ts_recv: world.now,
        ..trade(S, 2, "5", "1", T + 1)
    }]);
    assert_eq!(world.see("AAPL", &["price", "volume"]), "11.5 2");
    world.feed("xnas", state::STALE, "quiet");
    world.apply(&[trade(S, 3, "6", "1", T + 2)]);
    assert_eq!(
        world.see("AAPL", &["price", "bid", "state"]),
        "6 null stale"
    );
}

#[test]
fn the_state_is_that_of_the_best_leg() {
    let mut world = World::new(&[N, S]);
    world.apply(&quote(N, ("10", "1"), ("12", "1"), T));
    world.apply(&quote(S, ("10", "1"), ("12", "1"), T));
    let order = [
        state::AUCTION,
        state::HALTED,
        state::CLOSED,
        state::DELAYED,
        state::UNVERIFIED,
        state::REPAIRING,
    ];
    world.apply(&[status(S, state::STALE)]);
    for pair in order.windows(2) {
        world.apply(&[status(N, pair[1])]);
        assert_eq!(world.state("AAPL"), state::NAMES[usize::from(pair[1])]);
        world.apply(&[status(S, pair[0])]);
        assert_eq!(world.state("AAPL"), state::NAMES[usize::from(pair[0])]);
        world.apply(&[status(S, state::STALE)]);
    }
}

#[test]
fn session_prices_are_the_primary_venues() {
    let mut world = World::new(&[N, S]);
    world.apply(&[trade(N, 1, "10", "1", T), trade(S, 2, "20", "1", T + 1)]);
    world.apply(&[
        other(kind::PREV_CLOSE, N, 0, "8.00", "0", T),
        other(kind::PREV_CLOSE, S, 0, "5", "0", T),
    ]);
    assert_eq!(
        world.see(
            "AAPL",
            &[
                "price",
                "open",
                "high",
                "prev_close",
                "change",
                "change_pct"
            ]
        ),
        "20 10 10 8.00 12.00 150.00"
    );
    world.take_told();
    world.define(&Definition {
        primary: true,
        ..definition(S)
    });
    assert_eq!(
        world.take_told(),
        ["AAPL other open high low prev_close change change_pct"]
    );
    assert_eq!(
        world.see("AAPL", &["open", "prev_close", "change", "change_pct"]),
        "20 5 15 300.00"
    );
    world.apply(&[trade(N, 3, "30", "1", T + 2)]);
    assert_eq!(world.see("AAPL", &["price", "high"]), "30 20");
}

#[test]
fn a_bust_falls_back_to_what_other_venues_know() {
    let mut world = World::new(&[N, S]);
    world.apply(&[
        trade(N, 1, "10", "1", T),
        trade(S, 2, "20", "2", T + 1),
        trade(S, 3, "30", "4", T + 2),
    ]);
    world.take_told();
    world.apply(&[other(kind::BUST, S, 3, "0", "0", T + 3)]);
    assert_eq!(
        world.take_told()[1],
        "AAPL other price size timestamp volume"
    );
    assert_eq!(
        world.see("AAPL", &["price", "venue", "volume"]),
        "20 XSIM 3"
    );
    world.apply(&[other(kind::BUST, S, 2, "0", "0", T + 4)]);
    assert_eq!(
        world.see("AAPL", &["price", "venue", "volume"]),
        "10 XNAS 1"
    );
    world.apply(&[other(kind::CORRECTION, N, 1, "10.5", "3", T + 5)]);
    assert_eq!(
        world.see("AAPL", &["price", "size", "volume", "high"]),
        "10.5 3 3 10.5"
    );
    // A trade that is not the one shown changes no price.
    world.apply(&[
        trade(S, 5, "11", "1", T + 6),
        other(kind::BUST, N, 1, "0", "0", T + 7),
    ]);
    assert_eq!(
        world.see("AAPL", &["price", "venue", "volume"]),
        "11 XSIM 1"
    );
}

#[test]
fn definitions_may_repeat_and_move() {
    let mut world = World::new(&[N, S]);
    assert!(!world.define(&definition(N)));
    assert_eq!(world.take_told(), Vec::<String>::new());
    world.apply(&quote(N, ("10", "1"), ("12", "1"), T));
    world.apply(&quote(S, ("11", "1"), ("12", "1"), T));
    world.take_told();
    let moved = Definition {
        security: "APPLE".to_owned(),
        ..definition(N)
    };
    assert!(!world.define(&moved));
    assert_eq!(
        world.see("AAPL", &["bid", "ask_size", "legs"]),
        "11 1 {\"live\":1,\"of\":1}"
    );
    assert_eq!(
        world.see("APPLE", &["bid", "legs", "state"]),
        "10 {\"live\":1,\"of\":1} live"
    );
    // Another currency has no common best: the instrument stands alone.
    assert!(world.define(&Definition {
        currency: "EUR".to_owned(),
        ..definition(B)
    }));
    assert_eq!(world.latest.foreign(), 1);
    world.apply(&quote(B, ("99", "1"), ("100", "1"), T));
    assert_eq!(
        world.see("AAPL", &["bid", "legs"]),
        "11 {\"live\":1,\"of\":1}"
    );
    assert_eq!(world.see(B, &["bid", "currency"]), "99 EUR");
    // A feed that takes an instrument over brings its own health.
    world.feed("other", state::STALE, "quiet");
    world.define(&Definition {
        feed: "other".to_owned(),
        ..definition(S)
    });
    assert_eq!((world.state(S), world.reason(S)), ("stale", "quiet"));
}
