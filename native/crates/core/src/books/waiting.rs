//! Differences that wait: for a snapshot over REST, or for another connection to come to where they begin.

use std::collections::VecDeque;

use super::BookMessage;
use super::book::packed;
use super::chain::{self, Ids};
use super::ladder::Packed;
use super::rule::{Chain, Rule};

/// A difference that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub ids: Ids,
    pub ts_event: i64,
    pub changes: Box<[Packed]>,
}

/// The differences of one book, bounded: beyond the bound the oldest are dropped, which a newer snapshot makes good.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    waiting: VecDeque<Waiting>,
    overflowed: bool,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn bytes(&self) -> usize {
        let changes: usize = self.waiting.iter().map(|one| one.changes.len()).sum();
        self.waiting.capacity() * size_of::<Waiting>() + changes * size_of::<Packed>()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps a difference. True = the oldest had to go, for the first time since the buffer was empty.
    pub fn push(&mut self, message: &BookMessage<'_>, max: usize) -> bool {
        let ids = Ids::of(message);
        match self.waiting.back().map(|newest| newest.ids) {
            Some(newest) if newest == ids && ids.last.is_some() => return false, // told twice
            Some(newest) if ids.last < newest.last => self.waiting.clear(), // the numbers began anew, or order is lost
            _ => {}
        }
        self.waiting.push_back(Waiting {
            ids,
            ts_event: message.origin.ts_event,
            changes: packed(message).collect(),
        });
        if self.waiting.len() <= max {
            return false;
        }
        self.waiting.pop_front();
        !core::mem::replace(&mut self.overflowed, true)
    }

    /// Takes out the difference that follows `end`; what is not behind it is dropped.
    pub fn next_after(&mut self, rule: &Rule, end: i64) -> Option<Waiting> {
        let is_behind = |one: &Waiting| one.ids.last.unwrap_or(i64::MIN) <= end;
        while self.waiting.front().is_some_and(is_behind) {
            self.waiting.pop_front();
        }
        self.overflowed = false;
        let next = self.waiting.front()?;
        if !chain::follows(rule.chain, end, next.ids) {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Takes out what is to be applied on top of a snapshot of id `last`. `None`: the snapshot does not join, and what it can
    /// never join with is dropped.
    pub fn join(&mut self, rule: &Rule, last: i64) -> Option<VecDeque<Waiting>> {
        let begins = self.waiting.front().and_then(|one| one.ids.last);
        if rule.chain == Chain::Ordered && begins.is_some_and(|begins| begins > last) {
            return None; // nobody knows what was between the two
        }
        while self
            .waiting
            .front()
            .is_some_and(|one| one.ids.last.unwrap_or(i64::MIN) <= last)
        {
            self.waiting.pop_front();
        }
        let mut end = last;
        for (place, one) in self.waiting.iter().enumerate() {
            let joins = if place == 0 || rule.overlaps {
                chain::straddles(rule.chain, end, one.ids)
            } else {
                chain::follows(rule.chain, end, one.ids)
            };
            if !joins {
                self.waiting.drain(..place);
                return None;
            }
            end = one.ids.last.unwrap_or(end);
        }
        self.overflowed = false;
        Some(core::mem::take(&mut self.waiting))
    }
}
