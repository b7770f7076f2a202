//! Books whose levels the venue names by ids: `+7 b 1.5 2` inserts, `=7 b - 3` changes without a price, `-7 b - -` deletes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::venue::{Feed, decimal};
use super::*;

const NAMED: Rule = Rule {
    chain: Chain::None,
    snapshot: SnapshotFrom::Stream,
    ..RULE
};

fn rows(text: &str) -> (Vec<Change>, Vec<Name>) {
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let [id, side, price, size] = part.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{part:?}");
            };
            let verb = match &id[..1] {
                "+" => Verb::Insert,
                "=" => Verb::Update,
                _ => Verb::Delete,
            };
            let number = |text: &str| {
                if text == "-" {
                    Decimal::default()
                } else {
                    decimal(text)
                }
            };
            let change = Change {
                side: if side == "b" { Side::Bid } else { Side::Ask },
                price: number(price),
                size: number(size),
                inexact: false,
                deleted: verb == Verb::Delete,
            };
            let name = Name {
                id: id[1..].parse().unwrap(),
                verb,
                priced: price != "-",
            };
            (change, name)
        })
        .unzip()
}

fn say(feed: &mut Feed, snapshot: bool, text: &str) {
    let (changes, names) = rows(text);
    feed.take(&BookMessage {
        snapshot,
        names: &names,
        ..feed.message(&changes)
    });
}

fn begun(text: &str) -> Feed {
    let mut feed = Feed::new(NAMED);
    say(&mut feed, true, text);
    feed.told();
    feed
}

#[test]
fn rows_without_a_price_have_that_of_their_insertion() {
    let mut feed = Feed::new(NAMED);
    say(&mut feed, false, "=1 b - 5");
    assert_eq!(feed.told(), "", "before the whole book nothing counts");
    say(&mut feed, true, "+1 b 10 1, +2 b 9 1, +1 a 11 1");
    assert_eq!(
        feed.told(),
        "whole; bid 10 1 @0, ask 11 1 @0; unverified",
        "an id is of one side"
    );
    say(&mut feed, false, "=1 b - 5");
    say(&mut feed, false, "-1 a - -, +3 a 12 4");
    assert_eq!(feed.levels(), "10 5, 9 1 | 12 4");
    say(&mut feed, false, "-1 b - -");
    say(&mut feed, false, "+1 b 9.5 2");
    assert_eq!(
        feed.levels(),
        "9.5 2, 9 1 | 12 4",
        "an id may be used again"
    );
}

#[test]
fn a_row_that_is_told_at_another_price_has_moved() {
    let mut feed = begun("+1 b 10 1, +1 a 11 1");
    say(&mut feed, false, "=1 b 10.0 2");
    assert_eq!(feed.levels(), "10 2 | 11 1", "the same price");
    say(&mut feed, false, "=1 b 9 3");
    assert_eq!(feed.levels(), "9 3 | 11 1");
    say(&mut feed, false, "-1 b 9 -");
    assert_eq!(feed.levels(), " | 11 1");
}

#[test]
fn rows_that_do_not_fit_say_that_something_was_missed() {
    for (text, reason) in [
        (
            "=7 b - 1",
            "found bid 7 that changes and was never inserted",
        ),
        (
            "-7 a - -",
            "found ask 7 that is deleted and was never inserted",
        ),
        (
            "+1 b 10 2",
            "found bid 1 that is inserted and is there already",
        ),
    ] {
        let mut feed = begun("+1 b 10 1, +1 a 11 1");
        say(&mut feed, false, text);
        let [Event::Break(found)] = &feed.events()[..] else {
            panic!("{text}");
        };
        assert_eq!(found.reason, Reason::Chain);
        assert!(found.text.ends_with(reason), "{}", found.text);
        assert_eq!(feed.told(), "gap 0 @0, gap");
        assert_eq!(feed.levels(), " | ");
        say(&mut feed, true, "+7 b 5 1");
        assert_eq!(feed.levels(), "5 1 | ", "a whole book makes all good");
    }
    let mut feed = begun("+1 b 10 1, +1 a 11 1");
    say(&mut feed, false, "+7 b - 1");
    assert!(feed.told().starts_with("break malformed"));
}

#[test]
fn a_message_that_comes_again_changes_nothing() {
    let mut feed = begun("+1 b 10 1, +1 a 11 1");
    for text in ["+2 b 9 1", "=2 b - 4", "-2 b - -"] {
        say(&mut feed, false, text);
        let told = feed.levels();
        say(&mut feed, false, text);
        assert_eq!(feed.levels(), told);
    }
    assert_eq!(feed.books.statistics().breaks, 0);
    assert!(feed.books.statistics().bytes > 0);
}

proptest! {
    /// Whatever a table does, the book is the table; without a price the rows say as much.
    #[test]
    fn the_book_is_the_table(steps in prop::collection::vec((0..6_u64, any::<bool>(), 1..9_i64, 0..4_u8, any::<bool>()), 0..60)) {
        let mut feed = begun("");
        let mut table: BTreeMap<(u64, bool), (i64, i64)> = BTreeMap::new();
        for (number, (id, ask, size, act, priced)) in steps.into_iter().enumerate() {
            // sizes differ from message to message: one that says the same would be a repeat
            let size = size * 1000 + number as i64;
            let key = (id, ask);
            let side = if ask { "a" } else { "b" };
            let price = if ask { 100 + id as i64 } else { 10 + id as i64 };
            let text = match (table.contains_key(&key), act) {
                (false, _) => {
                    table.insert(key, (price, size));
                    format!("+{id} {side} {price} {size}")
                }
                (true, 0) => {
                    table.remove(&key);
                    format!("-{id} {side} - {size}")
                }
                (true, _) => {
                    table.insert(key, (price, size));
                    let price = if priced { price.to_string() } else { "-".to_owned() };
                    format!("={id} {side} {price} {size}")
                }
            };
            say(&mut feed, false, &text);
            let level = |(price, size): &(i64, i64)| format!("{price} {size}");
            let mut bids: Vec<_> = table.iter().filter(|((_, ask), _)| !ask).map(|(_, level)| *level).collect();
            let mut asks: Vec<_> = table.iter().filter(|((_, ask), _)| *ask).map(|(_, level)| *level).collect();
            bids.sort_unstable_by(|a, b| b.cmp(a));
            asks.sort_unstable();
            let [bids, asks] = [bids, asks].map(|side| side.iter().map(level).collect::<Vec<_>>().join(", "));
            prop_assert_eq!(feed.levels(), format!("{bids} | {asks}"));
        }
        prop_assert_eq!(feed.books.statistics().breaks, 0);
    }
}
