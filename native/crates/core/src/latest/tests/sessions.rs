//! Sessions: rolls by event time and by the clock.

use super::*;

const N: &str = "XNAS:AAPL";
const S: &str = "XSIM:AAPL";
const T: i64 = MIDNIGHT + 3600 * SECOND;
const FIELDS: [&str; 7] = [
    "price",
    "open",
    "high",
    "low",
    "prev_close",
    "volume",
    "change",
];

#[test]
fn a_trade_of_the_next_session_rolls_first() {
    let mut world = World::new(&[N]);
    world.apply(&[trade(N, 1, "10", "1", T), trade(N, 2, "12", "2", T + 1)]);
    assert_eq!(world.see("AAPL", &FIELDS), "12 10 12 10 null 3 null");
    world.take_told();
    world.apply(&[trade(N, 3, "11", "4", MIDNIGHT + DAY)]);
    let told = world.take_told();
    assert_eq!(
        told[0],
        "XNAS:AAPL other open high low prev_close volume change change_pct"
    );
    assert_eq!(
        told[1],
        "AAPL other open high low prev_close volume change change_pct"
    );
    assert_eq!(
        told[2],
        "XNAS:AAPL trade price size timestamp open high low volume change change_pct"
    );
    assert_eq!(world.see("AAPL", &FIELDS), "11 11 11 11 12 4 -1");
    assert_eq!(world.see("AAPL", &["change_pct"]), "-8.3333");
}

#[test]
fn the_clock_rolls_too_and_a_straggler_is_the_close() {
    let mut world = World::new(&[N, S]);
    world
        .latest
        .set_calendar("24/7", &[MIDNIGHT, MIDNIGHT + DAY], true);
    world.tick(T);
    world.apply(&[trade(N, 1, "10", "1", T)]);
    world.take_told();
    world.tick(MIDNIGHT + DAY - 1);
    assert_eq!(world.take_told(), Vec::<String>::new());
    world.tick(MIDNIGHT + DAY);
    assert_eq!(
        world.take_told(),
        [
            "XNAS:AAPL other open high low prev_close volume change change_pct",
            "AAPL other open high low prev_close volume change change_pct"
        ]
    );
    assert_eq!(world.see("AAPL", &FIELDS), "10 null null null 10 null 0");
    world.apply(&[trade(N, 2, "9", "1", MIDNIGHT + DAY - 5)]);
    assert_eq!(world.see("AAPL", &FIELDS), "9 null null null 9 null 0");
    world.apply(&[trade(N, 3, "8", "1", MIDNIGHT + DAY + 5)]);
    assert_eq!(world.see("AAPL", &FIELDS), "8 8 8 8 9 1 -1");
    // Beyond the list UTC days go on.
    world.tick(MIDNIGHT + 2 * DAY);
    assert_eq!(world.see("AAPL", &FIELDS), "8 null null null 8 null 0");
    // A bust of the close changes the close.
    world.apply(&[other(kind::BUST, N, 3, "0", "0", MIDNIGHT + 2 * DAY)]);
    assert_eq!(world.see("AAPL", &FIELDS), "9 null null null 9 null 0");
}

#[test]
fn without_a_clock_only_trades_roll() {
    let mut world = World::new(&[N]);
    world
        .latest
        .set_calendar("24/7", &[MIDNIGHT, MIDNIGHT + DAY], false);
    world.apply(&[trade(N, 1, "10", "1", T)]);
    world.tick(MIDNIGHT + 5 * DAY);
    assert_eq!(world.see(N, &["open", "volume"]), "10 1");
}

#[test]
fn a_market_calendar_decides_and_may_grow() {
    let mut world = World::new(&[]);
    let opens = [MIDNIGHT + 10 * SECOND, MIDNIGHT + 20 * SECOND];
    world.latest.set_calendar("XNYS", &opens, true);
    world.now = MIDNIGHT + 15 * SECOND;
    world.define(&Definition {
        calendar: "XNYS".to_owned(),
        ..definition(N)
    });
    world.apply(&[trade(N, 1, "10", "1", MIDNIGHT + 15 * SECOND)]);
    // A list that begins later does not touch the session in hand.
    world.latest.set_calendar(
        "XNYS",
        &[MIDNIGHT + 20 * SECOND, MIDNIGHT + 30 * SECOND],
        true,
    );
    world.tick(MIDNIGHT + 19 * SECOND);
    assert_eq!(world.see(N, &["open", "volume"]), "10 1");
    world.tick(MIDNIGHT + 20 * SECOND);
    assert_eq!(world.see(N, &["open", "prev_close"]), "null 10");
    world.tick(MIDNIGHT + 31 * SECOND);
    world.apply(&[trade(N, 2, "11", "1", MIDNIGHT + 29 * SECOND)]);
    assert_eq!(
        world.see(N, &["price", "open", "prev_close"]),
        "11 null 11",
        "of the session before"
    );
}

#[test]
fn a_calendar_may_come_after_the_first_trades() {
    let mut world = World::new(&[]);
    world.define(&Definition {
        calendar: "XNYS".to_owned(),
        ..definition(N)
    });
    world.apply(&[trade(N, 1, "10", "1", T)]);
    world
        .latest
        .set_calendar("XNYS", &[MIDNIGHT, MIDNIGHT + DAY], true);
    world.tick(T + 1);
    assert_eq!(world.see(N, &["open", "volume"]), "10 1");
    world.tick(MIDNIGHT + DAY);
    assert_eq!(world.see(N, &["open", "prev_close"]), "null 10");
}

#[test]
fn the_venues_own_figures_replace_ours() {
    let mut world = World::new(&[N]);
    world.apply(&[
        other(kind::PREV_CLOSE, N, 0, "9.5", "0", T),
        trade(N, 1, "10", "1", T),
    ]);
    world.take_told();
    world.apply(&[other(kind::VOLUME, N, 0, "0", "500", T + 1)]);
    assert_eq!(
        world.take_told(),
        ["XNAS:AAPL other volume", "AAPL other volume"]
    );
    world.apply(&[
        other(kind::VOLUME, N, 0, "0", "500.0", T + 1),
        trade(N, 2, "10", "2.5", T + 2),
    ]);
    assert_eq!(
        world.see("AAPL", &["prev_close", "volume", "change"]),
        "9.5 502.5 0.5"
    );
    // The next session's close comes before its first trade and stays.
    world.apply(&[
        other(kind::PREV_CLOSE, N, 0, "9.75", "0", MIDNIGHT + DAY),
        trade(N, 3, "11", "1", MIDNIGHT + DAY + 1),
    ]);
    assert_eq!(
        world.see("AAPL", &["prev_close", "volume", "open"]),
        "9.75 1 11"
    );
    // Yesterday's figures are not today's.
    world.apply(&[
        other(kind::VOLUME, N, 0, "0", "9999", T + 3),
        other(kind::PREV_CLOSE, N, 0, "1", "0", T + 3),
    ]);
    assert_eq!(world.see("AAPL", &["prev_close", "volume"]), "9.75 1");
}
