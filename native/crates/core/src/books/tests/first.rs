//! Books whose beginning is the first message of a subscription, written as a difference.

use super::venue::Feed;
use super::*;

fn live() -> Feed {
    let mut feed = Feed::new(first());
    feed.beginning(10, "b 1 1, a 9 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @10, ask 9 1 @10; live");
    feed
}

#[test]
fn differences_of_the_subscription_before_begin_nothing() {
    let mut feed = Feed::new(first());
    feed.linked(3, 7, "b 2 2");
    feed.linked(7, 9, "b 3 3");
    assert_eq!(feed.told(), "");
    feed.beginning(10, "b 1 1");
    assert_eq!(feed.told(), "whole; bid 1 1 @10, ask none @10; live");
    assert_eq!(feed.levels(), "1 1 | ");
}

#[test]
fn the_first_differences_behind_it_may_be_in_it_or_begin_before_it() {
    let mut feed = live();
    feed.linked(2, 6, "b 5 5");
    feed.linked(6, 10, "b 6 6");
    assert_eq!(feed.told(), "", "the book has them");
    feed.linked(8, 14, "b 2 2");
    assert_eq!(feed.told(), "bid 2 2 @14");
    feed.linked(14, 20, "b 2 3");
    assert_eq!(feed.told(), "bid 2 3 @20");
    feed.linked(14, 20, "b 2 3");
    assert_eq!(feed.told(), "", "told twice");
    assert_eq!(feed.levels(), "2 3, 1 1 | 9 1");
}

#[test]
fn what_is_missing_breaks_it_until_a_subscription_begins_anew() {
    let mut feed = live();
    feed.linked(10, 14, "b 2 2");
    feed.told();
    feed.linked(15, 18, "b 3 3");
    assert_eq!(feed.told(), "break chain 14 15; gap 0 @18, gap");
    feed.linked(18, 20, "b 4 4");
    assert_eq!(feed.told(), "");
    feed.beginning(25, "b 4 1, a 9 1");
    assert_eq!(feed.told(), "whole; bid 4 1 @25, ask 9 1 @25; live");
}

#[test]
fn one_that_nobody_asked_for_is_a_difference_like_any_other() {
    let mut feed = live();
    feed.beginning(10, "b 2 2");
    assert_eq!(feed.told(), "bid 2 2 @10", "it follows");
    assert_eq!(feed.levels(), "2 2, 1 1 | 9 1", "and takes nothing away");
    feed.beginning(12, "b 3 3");
    assert_eq!(feed.told(), "break chain 10 12; gap 0 @12, gap");
    assert_eq!(feed.levels(), " | ");
}

#[test]
fn a_connection_that_is_opened_anew_begins_with_another() {
    let mut feed = live();
    feed.suspend(state::STALE);
    feed.books.open_link(1);
    feed.told();
    feed.beginning(30, "b 7 7");
    assert_eq!(feed.told(), "whole; bid 7 7 @30, ask none @30; live");
    assert_eq!(feed.levels(), "7 7 | ");
}

#[test]
fn of_two_connections_each_begins_with_its_own() {
    let mut feed = live();
    feed.link = 2;
    feed.beginning(8, "b 5 5");
    assert_eq!(feed.told(), "", "it is older than what is known");
    feed.beginning(16, "b 5 5, a 9 1");
    assert_eq!(feed.told(), "bid 5 5 @16");
    feed.link = 1;
    feed.linked(10, 14, "b 2 2");
    assert_eq!(feed.told(), "", "the other one is ahead");
    feed.link = 2;
    feed.linked(16, 19, "b 5 6");
    assert_eq!(feed.told(), "bid 5 6 @19");
}
