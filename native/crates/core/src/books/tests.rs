//! What the engine says to sequences of messages, rule by rule.

mod checksums;
mod first;
mod model;
mod named;
mod ordered;
mod states;
mod venue;

use super::*;
use crate::record::state;
use venue::Feed;

pub(super) const RULE: Rule = Rule {
    chain: Chain::Range,
    snapshot: SnapshotFrom::Rest,
    checksum: None,
    scope: Scope::Instrument,
    first_at: None,
    same_is_empty: false,
    overlaps: false,
    depth: 0,
    counted: false,
};

fn stream(chain: Chain) -> Rule {
    Rule {
        chain,
        snapshot: SnapshotFrom::Stream,
        ..RULE
    }
}

/// A subscription begins with a whole book, which is written as a difference.
fn first() -> Rule {
    Rule {
        snapshot: SnapshotFrom::First,
        overlaps: true,
        ..stream(Chain::Previous)
    }
}

// -------------------------------------------------------------------- snapshots over REST

#[test]
fn differences_wait_for_their_snapshot() {
    let mut feed = Feed::new(RULE);
    feed.diff((90, 99), "b 1 1");
    feed.diff((100, 105), "b 2 2");
    feed.diff((106, 110), "a 9 1, b 1 0");
    assert_eq!(feed.told(), "");
    assert_eq!(feed.books.statistics().buffered, 3);
    feed.rest(101, "b 1 5, a 8 5");
    assert_eq!(feed.told(), "whole; bid 2 2 @110, ask 8 5 @110; live");
    assert_eq!(feed.levels(), "2 2 | 8 5, 9 1");
    feed.diff((111, 120), "b 3 1");
    assert_eq!(feed.told(), "bid 3 1 @120");
    feed.diff((122, 130), "b 4 1");
    assert_eq!(feed.told(), "break chain 121 122; gap 1 @122, gap");
    assert_eq!(feed.levels(), " | ");
    // the difference that told of the gap is the first that waits
    feed.rest(120, "b 3 1");
    assert_eq!(feed.told(), "short");
    feed.rest(121, "b 3 1, a 9 9");
    assert_eq!(feed.told(), "whole; bid 4 1 @130, ask 9 9 @130; live");
}

#[test]
fn the_first_difference_after_a_snapshot_may_straddle_it_and_later_ones_may_not() {
    let mut feed = Feed::live(RULE, 100);
    feed.diff((90, 100), "b 5 5");
    assert_eq!(feed.told(), "", "the book has it");
    feed.diff((98, 103), "b 2 1");
    assert_eq!(feed.told(), "bid 2 1 @103");
    feed.diff((103, 105), "");
    assert_eq!(feed.told(), "break chain 104 103; gap 0 @103, gap");
}

#[test]
fn what_goes_on_behind_a_snapshot_says_that_it_was_wrong() {
    let mut feed = Feed::live(RULE, 1_000_000);
    for at in 0..5 {
        feed.now = (10 + at) * 1_000_000_000;
        feed.diff((101 + at, 101 + at), "");
        assert_eq!(feed.told(), "", "the snapshot may be newer than the stream");
    }
    feed.now = 15_000_000_000;
    feed.diff((106, 106), "b 2 2");
    assert_eq!(feed.told(), "break chain 1000001 106; gap 0 @106, gap");
    feed.rest(105, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 2 2 @106, ask none @106; live");
}

#[test]
fn a_hole_among_those_that_wait_wants_a_newer_snapshot() {
    let mut feed = Feed::new(RULE);
    for ids in [(100, 105), (106, 107), (110, 112)] {
        feed.diff(ids, "");
    }
    feed.rest(99, "b 1 1");
    assert_eq!(
        (feed.told().as_str(), feed.books.statistics().buffered),
        ("short", 1)
    );
    feed.rest(109, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @112, ask none @112; live");
}

#[test]
fn repeats_are_left_out_live_or_waiting() {
    let mut feed = Feed::new(RULE);
    feed.diff((101, 102), "b 1 1");
    feed.diff((101, 102), "b 1 1");
    feed.rest(100, "");
    assert_eq!(feed.told(), "whole; bid 1 1 @102, ask none @102; live");
    feed.diff((101, 102), "b 1 7");
    assert_eq!(feed.told(), "");
    feed.diff((100, 101), "b 1 7");
    assert_eq!(
        feed.told(),
        "break chain 103 100; gap 0 @100, gap",
        "an old one is no repeat"
    );
}

#[test]
fn the_buffer_is_bounded_and_says_so_once() {
    let mut feed = Feed::new(RULE);
    for id in 1..=20 {
        feed.diff((id, id), "");
    }
    assert_eq!(feed.told(), "break overflow 0 0");
    assert_eq!(feed.books.statistics().buffered, venue::BUFFER_MAX as u64);
    feed.rest(5, "b 1 1");
    assert_eq!(feed.told(), "short");
    feed.rest(12, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @20, ask none @20; live");
}

#[test]
fn an_old_answer_is_asked_for_again_and_believed_in_the_end() {
    let mut feed = Feed::live(RULE, 100);
    feed.suspend(state::REPAIRING);
    assert_eq!(feed.told(), "repairing");
    for _ in 0..2 {
        feed.rest(7, "b 3 3");
        assert_eq!(feed.told(), "short");
    }
    feed.rest(7, "b 3 3");
    assert_eq!(feed.told(), "whole; bid 3 3 @7, ask none @7; live");
    feed.rest(6, "b 4 4");
    assert_eq!(feed.told(), "", "older than what a whole book has");
}

#[test]
fn futures_chain_by_the_previous_id() {
    let mut feed = Feed::new(RULE);
    feed.chained(90, (95, 99), "");
    feed.chained(99, (107, 110), "b 2 2");
    feed.rest(103, "b 1 1");
    assert_eq!(
        feed.told(),
        "whole; bid 2 2 @110, ask none @110; live",
        "ids between 99 and 107 are other books'"
    );
    feed.chained(110, (150, 160), "b 3 3");
    assert_eq!(feed.told(), "bid 3 3 @160");
    feed.chained(161, (162, 163), "b 3 0");
    assert_eq!(feed.told(), "break chain 160 161; gap 0 @162, gap");
}

#[test]
fn a_snapshot_before_the_previous_id_is_too_old() {
    let mut feed = Feed::new(RULE);
    feed.chained(99, (107, 110), "b 2 2");
    feed.rest(98, "b 1 1");
    assert_eq!(feed.told(), "short");
    feed.rest(99, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 2 2 @110, ask none @110; live");
}

#[test]
fn numbers_that_begin_anew_while_waiting_leave_the_old_ones_behind() {
    let mut feed = Feed::new(RULE);
    feed.diff((100, 105), "b 9 9");
    feed.diff((1, 3), "b 2 2");
    feed.rest(2, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 2 2 @3, ask none @3; live");
}

#[test]
fn a_difference_without_ids_cannot_join_a_snapshot_over_rest() {
    let mut feed = Feed::live(RULE, 100);
    feed.send(None, None, None, "b 2 2");
    assert_eq!(feed.told(), "break malformed 0 0; gap 0 @0, gap");
}

#[test]
fn ids_may_be_told_again_where_the_rule_says_so() {
    let overlapping = Rule {
        overlaps: true,
        ..RULE
    };
    let mut feed = Feed::live(overlapping, 100);
    feed.told();
    feed.diff((101, 103), "b 2 2");
    feed.diff((102, 105), "b 2 3");
    feed.diff((102, 105), "b 2 9");
    feed.diff((106, 106), "b 2 4");
    assert_eq!(feed.told(), "bid 2 2 @103; bid 2 3 @105; bid 2 4 @106");
    feed.diff((108, 109), "b 2 5");
    assert_eq!(feed.told(), "break chain 107 108; gap 1 @108, gap");
    feed.diff((105, 112), "b 2 6");
    feed.rest(110, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 2 6 @112, ask none @112; live");
}

// -------------------------------------------------------------------- snapshots in the stream

#[test]
fn previous_ids_chain() {
    let mut feed = Feed::new(Rule {
        same_is_empty: true,
        ..stream(Chain::Previous)
    });
    feed.linked(5, 6, "b 9 9");
    assert_eq!(feed.told(), "", "no book yet");
    feed.snapshot(Some(10), "b 1 1, a 2 2");
    assert_eq!(feed.told(), "whole; bid 1 1 @10, ask 2 2 @10; live");
    feed.linked(10, 15, "b 1 3");
    feed.linked(15, 15, "");
    feed.linked(15, 3, "b 1 4");
    feed.linked(3, 5, "b 1 5");
    assert_eq!(
        feed.told(),
        "bid 1 3 @15; bid 1 4 @3; bid 1 5 @5",
        "numbers may fall back, the chain holds"
    );
    feed.linked(3, 5, "b 1 6");
    assert_eq!(feed.told(), "", "told twice");
    feed.linked(6, 7, "b 1 6");
    assert_eq!(feed.told(), "break chain 5 6; gap 0 @7, gap");
    feed.linked(7, 8, "b 1 6");
    assert_eq!(feed.told(), "");
    feed.snapshot(Some(20), "b 1 7");
    assert_eq!(feed.told(), "whole; bid 1 7 @20, ask none @20; live");
}

#[test]
fn consecutive_ids_chain_and_begin_anew_at_the_first() {
    let mut feed = Feed::new(Rule {
        first_at: Some(1),
        ..stream(Chain::Consecutive)
    });
    feed.snapshot(Some(7), "b 1 1");
    feed.numbered(8, "b 1 2");
    feed.told();
    feed.numbered(8, "b 1 9");
    assert_eq!(feed.told(), "");
    feed.numbered(1, "b 4 4, a 5 5");
    assert_eq!(feed.told(), "bid 4 4 @1, ask 5 5 @1");
    assert_eq!(feed.levels(), "4 4 | 5 5");
    feed.numbered(2, "b 4 3");
    assert_eq!(feed.told(), "bid 4 3 @2");
    feed.numbered(5, "");
    assert_eq!(feed.told(), "break chain 3 5; gap 2 @5, gap");
}

#[test]
fn a_reorder_is_a_gap_and_what_comes_late_changes_nothing() {
    let mut feed = Feed::new(stream(Chain::Consecutive));
    feed.snapshot(Some(1), "b 1 1");
    feed.told();
    feed.numbered(3, "b 1 3");
    feed.numbered(2, "b 1 2");
    assert_eq!(feed.told(), "break chain 2 3; gap 1 @3, gap");
    assert_eq!(feed.levels(), " | ");
}

#[test]
fn every_message_may_be_a_whole_book() {
    let mut feed = Feed::new(Rule {
        snapshot: SnapshotFrom::Every,
        ..stream(Chain::None)
    });
    feed.numbered(4, "b 1 1, b 2 1");
    assert_eq!(feed.told(), "whole; bid 2 1 @4, ask none @4; live");
    feed.numbered(9, "b 1 1");
    assert_eq!(
        (feed.told().as_str(), feed.levels().as_str()),
        ("bid 1 1 @9", "1 1 | ")
    );
}

#[test]
fn a_snapshot_of_a_live_book_takes_its_place() {
    let mut feed = Feed::new(stream(Chain::Previous));
    feed.snapshot(Some(10), "b 1 1, a 2 2");
    feed.told();
    feed.snapshot(Some(50), "b 1 1, a 3 3");
    assert_eq!(feed.told(), "ask 3 3 @50");
    feed.linked(50, 51, "b 1 4");
    assert_eq!(feed.told(), "bid 1 4 @51");
}

// -------------------------------------------------------------------- what nothing proves

#[test]
fn a_book_without_any_proof_is_unverified() {
    let mut feed = Feed::new(stream(Chain::None));
    feed.snapshot(None, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @0, ask none @0; unverified");
    feed.send(None, None, None, "b 1 2");
    assert_eq!(feed.told(), "bid 1 2 @0");
    feed.suspend(state::STALE);
    feed.send(None, None, None, "b 1 3");
    assert_eq!(
        feed.told(),
        "break chain 0 0; stale; gap 0 @0, gap",
        "nothing joins it"
    );
}

#[test]
fn messages_without_ids_make_a_chained_book_unverified_until_something_proves_it() {
    let mut feed = Feed::new(stream(Chain::Previous));
    feed.snapshot(Some(10), "b 1 1");
    feed.told();
    feed.send(None, None, None, "b 1 2");
    assert_eq!(feed.told(), "unverified; bid 1 2 @0");
    feed.linked(11, 12, "b 1 3");
    feed.linked(12, 13, "b 1 4");
    assert_eq!(feed.told(), "bid 1 3 @12; bid 1 4 @13");
    feed.snapshot(Some(20), "b 1 5");
    assert_eq!(feed.told(), "bid 1 5 @20; live");
}

#[test]
fn a_counter_of_the_connection_proves_books_that_have_no_ids() {
    let mut feed = Feed::new(Rule {
        counted: true,
        scope: Scope::Connection,
        ..stream(Chain::None)
    });
    feed.snapshot(None, "b 1 1");
    feed.send(None, None, None, "b 1 2");
    assert_eq!(
        feed.told(),
        "whole; bid 1 1 @0, ask none @0; live; bid 1 2 @0"
    );
    feed.jump(1, 7, 9);
    assert_eq!(feed.told(), "break counter 7 9; gap 2 @9, gap");
}
