//! Scopes, states, links, quotes and published levels.

use super::super::*;
use super::venue::{Feed, decimal};
use super::{RULE, stream};
use crate::record::state;

fn level(price: &str, size: &str) -> QuoteSide {
    QuoteSide::Level {
        price: decimal(price),
        size: Some(decimal(size)),
        inexact: false,
    }
}

/// Four live books of two kinds on two links: indices 0 and 1 are of kind 0 on link 1, 2 of kind 1 on link 1, 3 of kind 0 on
/// link 2.
fn four(scope: Scope) -> Feed {
    let rule = Rule {
        scope,
        ..stream(Chain::Consecutive)
    };
    let mut feed = Feed::with(Books::new(vec![rule; 2], 0, 8), false);
    for (index, (kind, link)) in (0..).zip([(0, 1), (0, 1), (1, 1), (0, 2)]) {
        if index > 0 {
            assert_eq!(
                feed.books
                    .define(u64::from(index) + 1, true, false, state::LIVE),
                index
            );
        }
        feed.index = index;
        let message = feed.message(&[]);
        feed.take(&BookMessage {
            kind,
            link,
            snapshot: true,
            last: Some(1),
            ..message
        });
    }
    feed.index = 0;
    feed.told();
    feed
}

// -------------------------------------------------------------------- scopes

#[test]
fn a_break_concerns_its_scope_at_once_and_each_book_comes_back_alone() {
    for (scope, broken) in [
        (Scope::Instrument, vec![0]),
        (Scope::Channel, vec![0, 1]),
        (Scope::Connection, vec![0, 1, 2]),
    ] {
        let mut feed = four(scope);
        feed.numbered(5, "");
        let events = feed.events();
        let found: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Break(found) => {
                    assert_eq!((found.scope, found.cause, found.found), (scope, 1, 5));
                    found.index
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, broken);
        assert_eq!(feed.told(), vec!["gap 3 @5, gap"; broken.len()].join("; "));
        let states = |feed: &Feed| {
            (0..4)
                .map(|index| feed.books.state(index))
                .collect::<Vec<_>>()
        };
        let gaps = (0..4).map(|index| {
            if broken.contains(&index) {
                state::GAP
            } else {
                state::LIVE
            }
        });
        assert_eq!(states(&feed), gaps.collect::<Vec<_>>());
        feed.snapshot(Some(9), "b 1 1");
        assert_eq!(feed.told(), "whole; bid 1 1 @9, ask none @9; live");
        assert_eq!(
            feed.books.state(1),
            if broken.contains(&1) {
                state::GAP
            } else {
                state::LIVE
            }
        );
    }
}

#[test]
fn a_jump_of_the_counter_breaks_the_link_and_no_other() {
    let mut feed = four(Scope::Instrument);
    feed.jump(1, 10, 12);
    assert_eq!(
        feed.told(),
        "break counter 10 12; break counter 10 12 of 1; break counter 10 12 of 2; gap 2 @12, gap; gap 2 @12, gap; gap 2 @12, gap"
    );
    assert_eq!(feed.books.state(3), state::LIVE);
    feed.jump(1, 13, 14);
    assert_eq!(
        feed.told(),
        "break counter 13 14; break counter 13 14 of 1; break counter 13 14 of 2",
        "told once, but the snapshots may be lost"
    );
    feed.index = 3;
    feed.jump(2, 4, 3);
    assert_eq!(
        feed.told(),
        "break counter 4 3; gap 0 @3, gap",
        "a counter that falls back says no number"
    );
}

#[test]
fn a_message_that_cannot_be_read_breaks_the_book() {
    let mut feed = Feed::live(RULE, 100);
    feed.diff((101, 101), "");
    feed.malformed();
    assert_eq!(feed.told(), "break malformed 0 0; gap 0 @0, gap");
    feed.diff((103, 104), "");
    feed.malformed();
    assert_eq!(feed.told(), "break malformed 0 0");
    assert_eq!(
        feed.books.statistics().buffered,
        0,
        "what waited has a hole"
    );
}

#[test]
fn a_crossed_book_is_wrong_unless_the_market_is_not_open() {
    let mut feed = Feed::live(RULE, 100);
    feed.diff((101, 101), "a 1 1");
    assert_eq!(feed.told(), "break crossed 0 101; gap 0 @101, gap");
    feed.rest(101, "b 2 1, a 1 1");
    assert_eq!(feed.told(), "break crossed 0 101");
    assert_eq!(feed.levels(), " | ");
    feed.set_state(state::AUCTION);
    feed.rest(102, "b 2 1, a 1 1");
    assert_eq!(feed.told(), "whole; bid 2 1 @102, ask 1 1 @102; auction");
    feed.diff((103, 103), "b 2 0, b 0.5 1");
    feed.set_state(state::LIVE);
    assert_eq!(feed.told(), "bid 0.5 1 @103; live");
}

// -------------------------------------------------------------------- states

#[test]
fn the_venue_s_word_stands_where_the_book_has_nothing_to_say() {
    let mut feed = Feed::new(RULE);
    feed.arrived();
    assert_eq!(feed.told(), "syncing");
    feed.arrived();
    feed.set_state(state::CLOSED);
    assert_eq!(
        feed.told(),
        "closed",
        "a closed market may never send a book"
    );
    feed.set_state(state::LIVE);
    feed.rest(5, "");
    assert_eq!(
        feed.told(),
        "whole; syncing; bid none @5, ask none @5; live"
    );
    feed.set_state(state::HALTED);
    feed.diff((9, 9), "");
    feed.set_state(state::LIVE);
    assert_eq!(
        feed.told(),
        "break chain 6 9; halted; gap 3 @9, gap",
        "a gap is a gap in a halt too"
    );
    feed.set_state(state::HALTED);
    feed.rest(9, "");
    assert_eq!(feed.told(), "whole; bid none @9, ask none @9; halted");
    assert_eq!(feed.books.activity().collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn an_instrument_without_a_book_is_up_to_date_with_what_comes() {
    let mut feed = Feed::new(RULE);
    feed.index = feed.books.define(2, false, true, state::LIVE);
    feed.arrived();
    assert_eq!(feed.told(), "live");
    feed.suspend(state::STALE);
    feed.suspend(state::STALE);
    feed.set_state(state::HALTED);
    assert_eq!(feed.told(), "stale");
    feed.arrived();
    feed.suspend(state::LIVE);
    assert_eq!(feed.told(), "halted");
    feed.diff((1, 1), "b 1 1");
    feed.snapshot(Some(1), "b 1 1");
    assert_eq!(feed.told(), "", "no book was asked for");
}

#[test]
fn a_forgotten_instrument_says_nothing() {
    let mut feed = Feed::live(RULE, 100);
    feed.books.forget(feed.index);
    feed.books.forget(77);
    feed.diff((101, 101), "b 2 2");
    feed.rest(200, "");
    feed.arrived();
    feed.suspend(state::STALE);
    feed.set_state(state::HALTED);
    feed.malformed();
    assert_eq!(
        (
            feed.told().as_str(),
            feed.books.state(0),
            feed.books.last_id(0)
        ),
        ("", state::EMPTY, 0)
    );
    assert_eq!(
        feed.books.define(2, true, false, state::LIVE),
        1,
        "an index is not used again"
    );
}

// -------------------------------------------------------------------- links

#[test]
fn a_chain_that_goes_on_proves_that_nothing_was_missed() {
    let mut feed = Feed::live(RULE, 100);
    feed.suspend(state::STALE);
    assert_eq!(feed.told(), "stale");
    feed.suspend(state::LIVE);
    assert_eq!(feed.told(), "", "nobody can say so but the book");
    feed.diff((101, 103), "b 2 2");
    assert_eq!(feed.told(), "whole; bid 2 2 @103; live");
    feed.suspend(state::STALE);
    feed.diff((105, 106), "");
    assert_eq!(feed.told(), "break chain 104 105; stale; gap 1 @105, gap");
}

#[test]
fn what_comes_back_behind_has_begun_anew() {
    let mut feed = Feed::live(RULE, 100);
    feed.books.open_link(1);
    feed.diff((100, 100), "");
    assert_eq!(
        feed.told(),
        "",
        "not on that link yet: a book over REST has none"
    );
    feed.diff((101, 101), "");
    feed.books.open_link(1);
    feed.diff((3, 4), "b 4 4");
    assert_eq!(feed.told(), "break chain 102 3; gap 0 @3, gap");
    feed.rest(3, "");
    feed.rest(3, "");
    assert_eq!(feed.told(), "whole; bid 4 4 @4, ask none @4; live");
}

#[test]
fn a_quiet_book_is_proved_by_a_snapshot_of_the_same_id() {
    let mut feed = Feed::live(RULE, 100);
    feed.suspend(state::STALE);
    feed.rest(100, "b 1 1");
    assert_eq!(feed.told(), "whole; stale; live");
    assert_eq!(feed.levels(), "1 1 | ");
    feed.suspend(state::STALE);
    feed.rest(120, "b 1 5");
    assert_eq!(feed.told(), "whole; stale; bid 1 5 @120; live");
}

#[test]
fn what_is_subscribed_anew_begins_with_a_snapshot() {
    let mut feed = Feed::new(stream(Chain::Consecutive));
    feed.snapshot(Some(7), "b 1 1");
    feed.told();
    feed.suspend(state::SYNCING);
    feed.numbered(8, "b 1 2");
    assert_eq!(
        (feed.told().as_str(), feed.levels().as_str()),
        ("syncing", " | ")
    );
    feed.snapshot(Some(9), "b 1 3");
    assert_eq!(feed.told(), "whole; bid 1 3 @9, ask none @9; live");
    feed.numbered(11, "");
    feed.suspend(state::REPAIRING);
    feed.suspend(state::STALE);
    assert_eq!(
        feed.told(),
        "break chain 10 11; gap 1 @11, gap; repairing; stale"
    );
}

#[test]
fn of_two_links_that_bring_a_book_one_is_enough() {
    let mut feed = Feed::new(stream(Chain::Consecutive));
    feed.snapshot(Some(1), "b 1 1");
    feed.told();
    feed.numbered(2, "b 1 2");
    feed.link = 2;
    feed.numbered(2, "b 1 9");
    feed.numbered(3, "b 1 3");
    feed.link = 1;
    feed.numbered(3, "b 1 9");
    feed.malformed();
    assert_eq!(
        feed.told(),
        "bid 1 2 @2; bid 1 3 @3",
        "whichever comes first"
    );
    feed.link = 2;
    feed.numbered(4, "");
    feed.link = 1;
    feed.now += 6_000_000_000;
    feed.numbered(7, "");
    assert_eq!(
        feed.told(),
        "break chain 5 7; gap 2 @7, gap",
        "the other has fallen silent"
    );
}

#[test]
fn unchained_books_stay_with_their_link() {
    let mut feed = Feed::new(stream(Chain::None));
    feed.snapshot(None, "b 1 1");
    feed.told();
    feed.link = 2;
    feed.send(None, None, None, "b 1 9");
    assert_eq!(feed.told(), "");
    feed.snapshot(None, "b 1 2");
    feed.send(None, None, None, "b 1 3");
    feed.link = 1;
    feed.send(None, None, None, "b 1 9");
    assert_eq!(feed.told(), "bid 1 2 @0; bid 1 3 @0", "a snapshot moves it");
}

// -------------------------------------------------------------------- quotes

#[test]
fn quotes_tell_the_sides_that_changed() {
    let mut feed = Feed::with(Books::new(vec![RULE], 0, 8), true);
    feed.quote(Some(5), false, level("1.5", "2"), QuoteSide::Empty);
    feed.quote(Some(6), false, level("1.5", "2"), level("1.6", "1"));
    feed.quote(Some(7), false, QuoteSide::Unchanged, level("0", "1"));
    let bare = QuoteSide::Level {
        price: decimal("1.4"),
        size: None,
        inexact: false,
    };
    feed.quote(None, false, bare, QuoteSide::Unchanged);
    feed.quote(None, false, bare, QuoteSide::Unchanged);
    assert_eq!(
        feed.told(),
        "bid 1.5 2 @5, ask none @5; ask 1.6 1 @6; ask none @7; bid 1.4 @0"
    );
    feed.rest(9, "b 3 3");
    feed.diff((10, 10), "b 4 4");
    assert_eq!(feed.told(), "whole; live", "the book's best is the quotes'");
}

#[test]
fn the_newer_of_quote_and_book_is_the_best() {
    let mut feed = Feed::with(
        Books::new(vec![RULE], 0, 8).with_comparable_quotes(true),
        true,
    );
    let empty = QuoteSide::Empty;
    feed.rest(100, "b 1 1");
    assert_eq!(
        feed.told(),
        "whole; bid 1 1 @100, ask none @100; live",
        "no quote has spoken yet"
    );
    feed.quote(Some(99), true, level("9", "9"), empty);
    assert_eq!(feed.told(), "", "the book is newer");
    feed.quote(Some(105), true, level("2", "2"), empty);
    feed.diff((101, 103), "b 3 3");
    assert_eq!(feed.told(), "bid 2 2 @105", "the quote is newer");
    feed.diff((104, 106), "b 4 4");
    feed.quote(Some(104), true, level("9", "9"), empty);
    assert_eq!(
        feed.told(),
        "bid 4 4 @106; bid 9 9 @104",
        "its numbers fell back: they began anew"
    );
    feed.diff((107, 107), "b 4 5");
    feed.quote(Some(106), true, level("9", "9"), empty);
    assert_eq!(feed.told(), "bid 4 5 @107");
    feed.suspend(state::STALE);
    feed.quote(Some(3), true, level("5", "5"), empty);
    assert_eq!(
        feed.told(),
        "stale; bid 5 5 @3",
        "what a stale book says is old"
    );
}

// -------------------------------------------------------------------- levels

#[test]
fn published_levels_follow_the_best_of_the_book() {
    let mut feed = Feed::with(Books::new(vec![stream(Chain::Consecutive)], 2, 8), true);
    feed.snapshot(Some(1), "b 1 1, b 2 1, b 3 1");
    assert_eq!(
        feed.told(),
        "whole; bids begin @1, level bid 3 1 @1, level bid 2 1 @1, asks begin @1; live"
    );
    feed.numbered(2, "b 4 1, b 1 7, a 9 1");
    assert_eq!(
        feed.told(),
        "level bid 4 1 @2, level bid 2 0 @2, level ask 9 1 @2",
        "pushed out of the depth"
    );
    feed.numbered(3, "b 4 0");
    assert_eq!(
        feed.told(),
        "level bid 4 0 @3, level bid 2 1 @3",
        "and in again"
    );
    feed.numbered(4, "b 1 8");
    assert_eq!(feed.told(), "", "below the depth");
    feed.numbered(5, "b 3 2, b 3 1");
    assert_eq!(feed.told(), "");
    feed.numbered(7, "");
    feed.snapshot(Some(9), "b 2 1, b 1 1");
    assert_eq!(
        feed.told(),
        "break chain 6 7; whole; gap 1 @7, bids unknown @0, asks unknown @0; gap; \
         bids begin @9, level bid 2 1 @9, level bid 1 1 @9, asks begin @9; live",
        "not known until it is whole again"
    );
}

#[test]
fn levels_are_told_while_somebody_watches() {
    let mut feed = Feed::with(Books::new(vec![stream(Chain::Consecutive)], 0, 8), true);
    feed.watch(&[1]);
    feed.snapshot(Some(1), "b 1 1, b 2 1, a 5 1");
    assert_eq!(
        feed.told(),
        "whole; bids begin @1, level bid 2 1 @1, level bid 1 1 @1, asks begin @1, level ask 5 1 @1; live"
    );
    feed.watch(&[1]);
    assert_eq!(feed.told(), "", "as before");
    feed.watch(&[]);
    assert_eq!(feed.told(), "bids unknown @0, asks unknown @0");
    feed.numbered(2, "b 2 0");
    assert_eq!(feed.told(), "");
    feed.watch(&[1]);
    assert_eq!(
        feed.told(),
        "bids begin @2, level bid 1 1 @2, asks begin @2, level ask 5 1 @2"
    );
    feed.numbered(3, "a 5 0");
    assert_eq!(feed.told(), "level ask 5 0 @3");
    feed.watch(&[]);
    feed.numbered(5, "");
    feed.told();
    feed.watch(&[1]);
    assert_eq!(feed.told(), "", "nothing is known of it");
    feed.snapshot(Some(9), "a 6 1");
    assert_eq!(
        feed.told(),
        "whole; bids begin @9, asks begin @9, level ask 6 1 @9; live"
    );
}

#[test]
fn whole_books_of_the_venue_say_what_changed() {
    let every = Rule {
        snapshot: SnapshotFrom::Every,
        ..stream(Chain::None)
    };
    let mut feed = Feed::with(Books::new(vec![every], 5, 8), true);
    feed.snapshot(Some(1), "b 1 1, a 5 1, a 6 1");
    feed.told();
    feed.snapshot(Some(2), "b 1 1, a 5 2, a 7 1");
    assert_eq!(
        feed.told(),
        "level ask 5 2 @2, level ask 6 0 @2, level ask 7 1 @2"
    );
}

#[test]
fn what_the_venue_pushes_out_is_cut_off() {
    let mut feed = Feed::new(Rule {
        depth: 2,
        ..stream(Chain::Consecutive)
    });
    feed.snapshot(Some(1), "b 1 1, b 2 1, b 3 1, a 5 1");
    assert_eq!(feed.levels(), "3 1, 2 1 | 5 1");
    feed.numbered(2, "b 4 1, a 6 1, a 7 1");
    assert_eq!(feed.levels(), "4 1, 3 1 | 5 1, 6 1");
    feed.numbered(3, "b 4 0");
    assert_eq!(
        feed.levels(),
        "3 1 | 5 1, 6 1",
        "the venue tells again what comes in"
    );
    let changes = super::venue::changes("b 2 1, b 1 1, b 0.5 1");
    let message = BookMessage {
        depth: 3,
        last: Some(4),
        ..feed.message(&changes)
    };
    feed.take(&message);
    assert_eq!(
        feed.levels(),
        "3 1, 2 1, 1 1 | 5 1, 6 1",
        "the message's depth counts"
    );
}

// -------------------------------------------------------------------- comparison

fn compare(feed: &Feed, last: Option<i64>, text: &str) -> String {
    compare_after(0, feed, last, text)
}

fn compare_after(seconds: i64, feed: &Feed, last: Option<i64>, text: &str) -> String {
    let now_ns = feed.now + seconds * 1_000_000_000;
    feed.books
        .compare(0, last, &super::venue::changes(text), 3, now_ns)
}

#[test]
fn a_book_that_nothing_proves_is_compared() {
    let mut feed = Feed::new(stream(Chain::None));
    assert_eq!(compare(&feed, None, "b 1 1"), "", "not whole");
    feed.snapshot(None, "b 1 1, b 2 1, b 3 1, b 4 1, a 5 1");
    assert_eq!(compare(&feed, None, "b 2 1, b 3 1, b 4 1.0, a 5 1"), "");
    assert_eq!(
        compare(&feed, None, "b 2 1, b 3 1, b 4 2, a 5 1"),
        "bid 4: the venue's book has 2, ours 1"
    );
    assert_eq!(
        compare(&feed, None, "b 3 1, b 4 1"),
        "bid 2: the venue's book has nothing, ours 1 (and 1 more levels)"
    );
    assert_eq!(
        compare(&feed, None, "b 2 1, b 3 1, b 4 1, a 5 1, a 4.5 2"),
        "ask 4.5: the venue's book has 2, ours nothing"
    );
    feed.send(None, None, None, "b 4 7, a 4.5 0");
    assert_eq!(
        compare(&feed, None, "b 2 1, b 3 1, b 4 1, a 5 1, a 4.5 2"),
        "",
        "both changed a moment ago"
    );
    assert_eq!(
        compare_after(11, &feed, None, "b 2 1, b 3 1, b 4 1, a 5 1, a 4.5 2"),
        "bid 4: the venue's book has 1, ours 7 (and 1 more levels)",
        "a race does not last so long"
    );
}

#[test]
fn books_with_ids_are_compared_at_the_same_id_only() {
    let feed = Feed::live(RULE, 100);
    assert_eq!(
        compare(&feed, Some(100), "b 1 2"),
        "bid 1: the venue's book has 2, ours 1"
    );
    assert_eq!(compare(&feed, Some(99), "b 1 2"), "");
    assert_eq!(compare(&feed, Some(101), "b 1 2"), "");
}
