//! What is remembered of trades to find out which were missed: the newest, and the first behind a break.

use super::super::decoded::{Decoded, Loss};
use super::{Engine, Heard, Print};

/// How a trade came.
#[derive(Clone, Copy)]
pub(super) struct Late {
    /// Newer ones were told before it.
    pub is_late: bool,
    /// It is history that a subscription told.
    pub is_history: bool,
    /// Its id is a number.
    pub is_numbered: bool,
}

impl Engine {
    /// Keeps what tells the newest trade from the others, and the first since the mark; true: it was missed when it
    /// happened, since it comes among trades that a subscription tells again.
    #[inline]
    pub(super) fn remember(&mut self, index: u32, print: Print, late: Late) -> bool {
        let known = &mut self.known[index as usize];
        if known.begun == 0 {
            known.begun = self.frames;
        }
        let is_newer = |newest: Print| late.is_history && newest.ts_event <= print.ts_event;
        if !late.is_late || known.newest.is_none_or(is_newer) {
            known.newest = Some(print);
        }
        if known.first.is_some() || late.is_late || late.is_history {
            return false;
        }
        // some venues tell the last trades again when they are subscribed to, without a mark
        let is_again = known.marked.is_some_and(|marked| {
            print.ts_event < marked.ts_event
                || (print.id != 0 && print.id == marked.id)
                || (late.is_numbered && print.ts_event == marked.ts_event && print.id < marked.id)
        });
        if is_again {
            known.retelling = self.frames;
        } else if known.retelling == self.frames {
            return true;
        } else {
            known.first = Some(print);
        }
        false
    }

    /// Whether history that a later subscription tells happened behind the trade told last: it was missed. That no number
    /// counts it, and it may be told again, is what the dedup is for.
    pub(super) fn was_missed(&self, index: u32, print: Print) -> bool {
        let known = &self.known[index as usize];
        let is_behind = |newest: Print| print.ts_event >= newest.ts_event && print.id != newest.id;
        known.begun != 0 && known.begun != self.frames && known.newest.is_some_and(is_behind)
    }

    /// Messages of a connection are missing: trades of every instrument that it told trades of may be among them.
    #[cold]
    pub fn lose_trades(&mut self, link: u32, frame: usize, out: &mut Decoded) {
        if self.twins.has(link) {
            return; // its twin has them
        }
        for known in &mut self.known {
            let (count, newest) = known.heard[Heard::Trades as usize];
            let Some(after) = known.newest.filter(|_| count != 0 && newest == link) else {
                continue;
            };
            out.losses.push(Loss {
                instrument: known.id,
                frame,
                after,
                first: known.first,
            });
            known.marked = Some(after);
            known.first = None;
            known.refilled = 0;
        }
    }

    /// The trade told last of an instrument; from now on the first one behind it is looked for.
    pub fn mark(&mut self, index: u32) -> Option<Print> {
        let known = &mut self.known[index as usize];
        known.marked = known.newest;
        known.first = None;
        known.refilled = 0;
        known.newest
    }

    /// Missed trades since [`Engine::mark`] that a subscription told as history.
    #[must_use]
    pub fn refilled(&self, index: u32) -> u64 {
        self.known[index as usize].refilled
    }

    /// The first trade since [`Engine::mark`].
    #[must_use]
    pub fn first_trade(&self, index: u32) -> Option<Print> {
        self.known[index as usize].first
    }

    /// Trades up to this one were fetched: what follows it is in its place.
    pub fn filled(&mut self, index: u32, print: Print, number: u64) {
        let known = &mut self.known[index as usize];
        known.chain.advance(number);
        if known
            .newest
            .is_some_and(|newest| newest.ts_event <= print.ts_event)
        {
            known.newest = Some(print);
        }
    }
}
