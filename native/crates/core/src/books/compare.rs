//! A book that nothing proves, held against the venue's own from REST.
//!
//! The two are never of the same moment. What differs at a price that changed in the stream a moment ago is a race and no
//! error; and where both have ids, a book from REST that is newer than ours cannot be compared at all.

use core::fmt::Write;

use super::book::Book;
use super::ladder::{Ladder, Packed, order};
use super::{Change, Side};
use core::cmp::Ordering;

/// What changed so short a time before the answer came may be on its way in one of the two.
const RACE_NS: i64 = 10_000_000_000;

/// Differences over the best `levels`, as a text; empty = none.
pub(super) fn compare(
    book: &Book,
    last: Option<i64>,
    changes: &[Change],
    levels: usize,
    now_ns: i64,
) -> String {
    let held = book.position.last;
    let is_newer = matches!((last, held), (Some(last), Some(held)) if last > held);
    let is_strict = last.is_some() && last == held;
    if !book.is_whole() || is_newer || (!is_strict && book.is_proved) {
        return String::new();
    }
    let since_ns = (!is_strict).then(|| now_ns.saturating_sub(RACE_NS));
    differences(book, changes, levels, since_ns)
}

/// What a silent book misses of one from REST; empty = nothing. Where both have ids, these say it: a REST answer that is
/// older than ours is a cache's.
pub(super) fn misses(book: &Book, last: Option<i64>, changes: &[Change], levels: usize) -> String {
    if !book.is_whole() {
        return "our book is not whole".to_owned();
    }
    match (last, book.position.last) {
        (Some(last), Some(held)) if last > held => {
            format!("the venue's book is at {last}, ours at {held}")
        }
        (Some(_), Some(_)) => String::new(),
        _ => differences(book, changes, levels, None),
    }
}

/// Differences over the best `levels`, beside those at prices that changed after `since_ns`: a race explains them.
fn differences(book: &Book, changes: &[Change], levels: usize, since_ns: Option<i64>) -> String {
    let mut found = Found {
        text: String::new(),
        more: 0,
    };
    for (side, word) in [(Side::Bid, "bid"), (Side::Ask, "ask")] {
        let mut theirs = Ladder::default();
        theirs.replace(side, changes.iter().map(Packed::new));
        let ours = &book.ladders[side as usize];
        let excused = |level: &Packed| {
            since_ns.is_some_and(|since_ns| book.changed_since(since_ns, side, level.price()))
        };
        for level in theirs
            .top(levels)
            .iter()
            .rev()
            .filter(|level| !excused(level))
        {
            let mine = ours.get(side, level.price());
            if mine.is_none_or(|mine| mine.size().compare(level.size()) != Ordering::Equal) {
                found.add(word, level, mine.as_ref(), Some(level));
            }
        }
        // what the venue gave ends somewhere: worse levels of ours are nothing to it
        let worst = theirs.top(levels).first().copied();
        let is_full = theirs.len() >= levels;
        for level in ours
            .top(levels)
            .iter()
            .rev()
            .filter(|level| !excused(level))
        {
            let is_beyond = is_full
                && worst.is_some_and(|worst| {
                    order(side, level.price(), worst.price()) == Ordering::Less
                });
            if !is_beyond && theirs.get(side, level.price()).is_none() {
                found.add(word, level, Some(level), None);
            }
        }
    }
    found.finish()
}

struct Found {
    text: String,
    more: usize,
}

impl Found {
    fn add(&mut self, side: &str, at: &Packed, ours: Option<&Packed>, theirs: Option<&Packed>) {
        if !self.text.is_empty() {
            self.more += 1;
            return;
        }
        let size = |level: Option<&Packed>| {
            level.map_or("nothing".to_owned(), |level| level.size().to_string())
        };
        self.text = format!(
            "{side} {}: the venue's book has {}, ours {}",
            at.price(),
            size(theirs),
            size(ours)
        );
    }

    fn finish(mut self) -> String {
        if self.more > 0 {
            let _ = write!(self.text, " (and {} more levels)", self.more);
        }
        self.text
    }
}
