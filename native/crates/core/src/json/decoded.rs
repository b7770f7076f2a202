//! What a call hands back.

use crate::books::{Break, Event};
use crate::dead::DEAD_MAX;
use crate::record::Record;

/// A break, with the name of the message that made it known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBreak {
    pub message: String,
    pub event: Break,
}

/// What tells a trade from the others of its instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print {
    pub id: u64,
    pub seq: u64,
    pub ts_event: i64,
    /// Ids that it stands for, the last of them its own; 1 where the venue does not say.
    pub covers: u64,
}

/// Trades that are missing between two, because numbers that count up by one jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub instrument: u64,
    /// Index of the frame.
    pub frame: usize,
    pub after: Print,
    pub before: Print,
    pub missing: u64,
}

/// Messages of a connection are missing, and trades that nothing counts may have been among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub instrument: u64,
    /// Index of the frame behind them.
    pub frame: usize,
    /// The trade told last before it.
    pub after: Print,
    /// The first one since the mark before this one.
    pub first: Option<Print>,
}

/// What one call decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Whole events, in order.
    pub records: Vec<Record>,
    /// Texts of ids that are no numbers, by index of the record; ascending.
    pub texts: Vec<(usize, String)>,
    /// Frames that no declared message matches, and how many records go before what they will give.
    pub cold: Vec<(usize, usize)>,
    /// Of the cold frames that came packed, what they are, by index of the frame.
    pub unpacked: Vec<(usize, Vec<u8>)>,
    /// Frames understood that tell nothing.
    pub control: u64,
    /// Index of the frame, and why it or a row of it was not understood: the first [`DEAD_MAX`].
    pub dead: Vec<(usize, String)>,
    pub dead_count: u64,
    pub breaks: Vec<NamedBreak>,
    /// Instruments whose books became whole, in order.
    pub whole: Vec<u64>,
    /// Instruments whose differences begin behind the snapshot that was given.
    pub short: Vec<u64>,
    pub holes: Vec<Hole>,
    pub losses: Vec<Loss>,
}

impl Decoded {
    /// There is nothing but records.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.texts.is_empty()
            && self.cold.is_empty()
            && self.dead_count == 0
            && self.breaks.is_empty()
            && self.whole.is_empty()
            && self.short.is_empty()
            && self.holes.is_empty()
            && self.losses.is_empty()
    }

    /// Counts a dead letter; the reason is written only while it is handed back.
    pub fn refuse(&mut self, frame: usize, reason: impl FnOnce() -> String) {
        self.dead_count += 1;
        if self.dead.len() < DEAD_MAX {
            self.dead.push((frame, reason()));
        }
    }

    /// Takes what the continuity engine told.
    pub fn take(
        &mut self,
        events: &mut Vec<Event>,
        message: &str,
        instrument: impl Fn(u32) -> u64,
    ) {
        for event in events.drain(..) {
            match event {
                Event::Break(event) => self.breaks.push(NamedBreak {
                    message: message.to_owned(),
                    event,
                }),
                Event::Whole(index) => self.whole.push(instrument(index)),
                Event::Short(index) => self.short.push(instrument(index)),
            }
        }
    }
}
