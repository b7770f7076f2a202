//! Instruments that are streamed while somebody watches them.

use super::*;
use crate::record::state;

const A: &str = "OKX:BTC-USDT";
const B: &str = "KRAKEN:BTC-USDT";
const T: i64 = MIDNIGHT + 3600 * SECOND;

fn world() -> World {
    let mut world = World::new(&[A]);
    world.define(&Definition {
        on_demand: true,
        ..definition(B)
    });
    world.apply_with(
        &[status(B, state::EMPTY)],
        Some(&[Some("streamed on demand".to_owned())]),
    );
    world.apply(&[status(A, state::EMPTY)]);
    world.told.clear();
    world
}

fn awaken(world: &mut World, name: &str) {
    let topic = world.latest.topic(name).expect("a topic");
    let mut changes = Vec::new();
    world
        .latest
        .awaken(topic, world.now, &mut |_, change| changes.push(change));
    world.note(changes);
}

#[test]
fn who_asks_for_what_is_not_streamed_yet_finds_it_syncing() {
    let mut world = world();
    assert_eq!(
        (world.state(B), world.reason(B)),
        ("empty", "streamed on demand")
    );
    awaken(&mut world, B);
    assert_eq!((world.state(B), world.reason(B)), ("syncing", ""));
    assert_eq!(
        world.take_told(),
        [&format!("{B} other state"), "BTC-USDT other state"]
    );
    awaken(&mut world, B);
    assert_eq!(world.take_told(), Vec::<String>::new(), "told once");
    world.apply(&[status(B, state::LIVE)]);
    world.apply(&quote(B, ("10", "1"), ("11", "1"), T));
    awaken(&mut world, B);
    assert_eq!(world.state(B), "live");
}

#[test]
fn others_stay_as_they_are() {
    let mut world = world();
    awaken(&mut world, A);
    assert_eq!(
        (world.state(A), world.reason(A)),
        ("empty", "nothing heard yet")
    );
    assert_eq!(world.take_told(), Vec::<String>::new());
}

#[test]
fn who_asks_for_a_security_asks_for_each_of_its_venues() {
    let mut world = world();
    awaken(&mut world, "BTC-USDT");
    assert_eq!((world.state(A), world.state(B)), ("empty", "syncing"));
    assert_eq!(world.state("BTC-USDT"), "syncing");
}

#[test]
fn a_feed_that_cannot_says_why() {
    let mut world = world();
    awaken(&mut world, B);
    world.take_told();
    world.apply_with(
        &[status(B, state::EMPTY)],
        Some(&[Some("100 are streamed already".to_owned())]),
    );
    assert_eq!(
        (world.state(B), world.reason(B)),
        ("empty", "100 are streamed already")
    );
    assert_eq!(
        world.take_told(),
        [&format!("{B} other state"), "BTC-USDT other state"]
    );
}

#[test]
fn a_feed_that_is_away_shows_through() {
    let mut world = world();
    world.feed("kraken", state::STALE, "feed process is gone");
    awaken(&mut world, B);
    assert_eq!(world.state(B), "stale");
    world.feed("kraken", state::LIVE, "");
    assert_eq!(world.state(B), "syncing");
}
