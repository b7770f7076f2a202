//! Messages that only a time orders: what is lost shows nowhere, what is out of its order does.

use super::venue::Feed;
use super::*;

const DIFFERENCES: Rule = Rule {
    chain: Chain::Ordered,
    ..RULE
};
const WHOLE: Rule = Rule {
    chain: Chain::Ordered,
    snapshot: SnapshotFrom::Every,
    ..RULE
};

#[test]
fn a_snapshot_over_rest_must_not_be_older_than_the_first_that_waits() {
    let mut feed = Feed::new(DIFFERENCES);
    feed.numbered(100, "b 1 1");
    feed.numbered(130, "b 2 2");
    feed.rest(99, "b 5 5");
    assert_eq!(feed.told(), "short", "between 99 and 100 anything may be");
    assert_eq!(feed.books.statistics().buffered, 2);
    feed.rest(110, "b 5 5");
    assert_eq!(
        feed.told(),
        "whole; bid 5 5 @130, ask none @130; unverified"
    );
    assert_eq!(feed.levels(), "5 5, 2 2 | ");
}

#[test]
fn nothing_proves_what_follows_and_what_falls_back_is_a_break() {
    let mut feed = Feed::new(DIFFERENCES);
    feed.rest(100, "b 1 1");
    assert_eq!(
        feed.told(),
        "whole; bid 1 1 @100, ask none @100; unverified"
    );
    feed.numbered(99, "b 9 9");
    assert_eq!(feed.told(), "", "the snapshot has it");
    feed.numbered(170, "b 2 1");
    assert_eq!(feed.told(), "bid 2 1 @170");
    feed.numbered(170, "b 2 1");
    assert_eq!(feed.told(), "", "told twice");
    feed.numbered(150, "b 3 1");
    assert_eq!(feed.told(), "break chain 171 150; gap 0 @150, gap");
    feed.numbered(180, "b 4 1");
    feed.rest(175, "b 2 1");
    assert_eq!(
        feed.told(),
        "whole; bid 4 1 @180, ask none @180; unverified"
    );
}

#[test]
fn nothing_joins_a_book_behind_a_lost_link() {
    let mut feed = Feed::new(DIFFERENCES);
    feed.rest(100, "b 1 1");
    feed.told();
    feed.suspend(state::STALE);
    feed.books.open_link(1);
    feed.told();
    feed.numbered(110, "b 2 1");
    let told = feed.told();
    assert!(told.starts_with("break chain 0 0"), "{told}");
}

#[test]
fn every_message_is_the_book_and_an_older_one_says_nothing() {
    let mut feed = Feed::new(WHOLE);
    feed.numbered(100, "b 1 1, a 9 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @100, ask 9 1 @100; live");
    feed.numbered(90, "b 2 1, a 9 1");
    feed.numbered(100, "b 3 1, a 9 1");
    assert_eq!(feed.told(), "");
    feed.numbered(150, "b 4 1");
    assert_eq!(feed.told(), "bid 4 1 @150, ask none @150");
    assert_eq!(feed.levels(), "4 1 | ");
}

#[test]
fn whole_books_whose_times_stay_lower_begin_anew() {
    let mut feed = Feed::new(WHOLE);
    feed.numbered(100, "b 1 1");
    feed.told();
    for second in 0..5 {
        feed.now = 10_000_000_000 + second * 1_000_000_000;
        feed.numbered(20 + second, "b 2 1");
        assert_eq!(feed.told(), "");
    }
    feed.now = 15_000_000_000;
    feed.numbered(25, "b 3 1");
    assert_eq!(feed.told(), "bid 3 1 @25");
    feed.numbered(24, "b 4 1");
    assert_eq!(feed.told(), "");
}

#[test]
fn a_book_over_rest_stands_in_for_the_first_whole_one() {
    let mut feed = Feed::new(WHOLE);
    feed.rest(100, "b 1 1");
    assert_eq!(
        feed.told(),
        "whole; bid 1 1 @100, ask none @100; unverified"
    );
    feed.numbered(110, "b 2 1");
    assert_eq!(feed.told(), "bid 2 1 @110; live");
    feed.rest(105, "b 9 9");
    assert_eq!(feed.told(), "", "it is older");
}
