//! Which books of an order-by-order decoder are told level by level: those that somebody watches, and to the depth that the
//! feed's config asks for all others.

use std::collections::HashSet;

/// Best levels a side that are told of a book that is watched.
pub const WATCHED_LEVELS: usize = 50;

/// See the module.
#[derive(Debug, Default)]
pub struct Shown {
    depth: usize,
    watched: HashSet<u64>,
    is_muted: bool,
}

impl Shown {
    /// `depth`: levels a side of every book, watched or not.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self {
            depth,
            ..Self::default()
        }
    }

    /// Best levels a side to tell of an instrument; 0 = none.
    #[must_use]
    pub fn levels(&self, instrument: u64) -> usize {
        if self.is_muted {
            0
        } else if !self.watched.is_empty() && self.watched.contains(&instrument) {
            self.depth.max(WATCHED_LEVELS)
        } else {
            self.depth
        }
    }

    /// These are watched, and no others.
    pub fn watch(&mut self, instruments: impl IntoIterator<Item = u64>) {
        self.watched = instruments.into_iter().collect();
    }

    /// No levels are told while this is so: books that are being built say nothing.
    pub const fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }
}
