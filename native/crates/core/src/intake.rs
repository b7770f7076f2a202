//! What a feed's records pass before they are batches, in one walk over the rows of a read: event times that cannot be are
//! replaced, rows of unknown instruments put aside, what was seen before dropped; the newest state is kept, and the places
//! found at which a batch may end. `src/tickcast/normalise/pipeline.py` says why, and does what is rare.

use std::collections::HashSet;

use crate::dedup::Dedup;
use crate::last::LastRecords;
use crate::levels::LevelBooks;
use crate::record::{Record, flag, kind};

/// The instrument of what concerns the market as a whole: nobody defines it.
const MARKET: u64 = 0;

/// What became of the rows of a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub records: Vec<Record>,
    /// Rows of instruments that are not known.
    pub unknown: Vec<Record>,
    /// Of each record its index among the rows given; empty if nothing was left out.
    pub places: Vec<u32>,
    /// Records that are no different from the rows given, and in the same places.
    pub unchanged: bool,
    /// Where batches end, each behind the last row of an event; no rows, no batches.
    pub ends: Vec<usize>,
    /// Records that the ledger wants to see.
    pub notable: usize,
}

/// The state of a feed.
pub struct Intake {
    dedup: Dedup,
    window: usize,
    last: LastRecords,
    books: LevelBooks,
    known: HashSet<u64>,
    /// Instrument of the newest row that was found to be known.
    newest: u64,
    skew_ns: i64,
    batch_max: usize,
    duplicates_before: u64,
    /// Event times before this are of no use to compare clocks: they are told again.
    since_ns: i64,
    lead_ns: Option<i64>,
    /// Rows whose event time was not believed, so far.
    pub skewed: u64,
    /// Gap rows of messages that were missing and did not come after all, so far.
    pub gaps: u64,
}

impl Intake {
    /// `window`: keys of the dedup; `skew_ns`: how far an event time may be ahead of the receive time; `batch_max`: rows of a
    /// batch, unless one event has more.
    #[must_use]
    pub fn new(window: usize, skew_ns: i64, batch_max: usize) -> Self {
        Self {
            dedup: Dedup::new(window),
            window,
            last: LastRecords::default(),
            books: LevelBooks::default(),
            known: HashSet::from([MARKET]),
            newest: MARKET,
            skew_ns,
            batch_max: batch_max.max(1),
            duplicates_before: 0,
            since_ns: 0,
            lead_ns: None,
            skewed: 0,
            gaps: 0,
        }
    }

    /// A new feed session: its numbers mean something else; it begins at `since_ns`.
    pub fn begin_session(&mut self, since_ns: i64) {
        self.since_ns = since_ns;
        self.duplicates_before += self.dedup.duplicates;
        self.dedup = Dedup::new(self.window);
    }

    /// Instruments that have a definition.
    pub fn learn(&mut self, instruments: impl IntoIterator<Item = u64>) {
        self.known.extend(instruments);
    }

    /// The most that an event time was ahead of its receipt since the last call (nearly always it is behind, so this is
    /// the least delay, negative); `None`: nothing came whose event time is the venue's word of now.
    pub fn take_lead(&mut self) -> Option<i64> {
        self.lead_ns.take()
    }

    /// Rows that were seen before, so far.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates_before + self.dedup.duplicates
    }

    /// Newest state of every instrument, see [`LastRecords::snapshot`], and the whole books of those whose levels are told.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let mut rows = self.last.snapshot();
        self.books.tell(&mut rows);
        rows
    }

    /// What was told, for a process that takes over: see [`Dedup::told`].
    #[must_use]
    pub fn told(&self) -> Vec<u8> {
        self.dedup.told()
    }

    /// Takes the rows of a read.
    pub fn take(&mut self, rows: &[Record]) -> Taken {
        let mut taken = Taken::default();
        let mut kept: Vec<Record> = Vec::with_capacity(rows.len());
        let skewed = self.skewed;
        for row in rows {
            let mut row = *row;
            self.compare_clocks(&row);
            self.believe(&mut row);
            if self.is_known(row.instrument) {
                if !taken.unknown.is_empty() {
                    taken
                        .places
                        .push(kept.len() as u32 + taken.unknown.len() as u32);
                }
                kept.push(row);
            } else {
                if taken.unknown.is_empty() {
                    taken.places = (0..kept.len() as u32).collect();
                }
                taken.unknown.push(row);
            }
        }
        self.drop_repeats(&mut kept, &mut taken.places);
        taken.unchanged = kept.len() == rows.len() && skewed == self.skewed;
        for row in &kept {
            self.books.apply(row);
            taken.notable += usize::from(matches!(row.kind, kind::GAP | kind::STATUS));
            self.gaps += u64::from(row.kind == kind::GAP && row.flags & flag::BACKFILLED == 0);
        }
        self.last.update(&kept);
        taken.ends = ends(&kept, self.batch_max);
        taken.records = kept;
        taken
    }

    /// Takes what a row says of the venue's clock. A time that is equal to that of the receipt stands in for one that the
    /// venue did not tell.
    #[inline]
    fn compare_clocks(&mut self, row: &Record) {
        const TOLD_AGAIN: u16 = flag::SNAPSHOT | flag::HISTORY | flag::BACKFILLED | flag::REPLAYED;
        let lead_ns = row.ts_event.saturating_sub(row.ts_recv);
        if lead_ns == 0
            || row.ts_event < self.since_ns
            || row.flags & TOLD_AGAIN != 0
            || !matches!(row.kind, kind::TRADE | kind::BID | kind::ASK)
        {
            return;
        }
        if self.lead_ns.is_none_or(|most| most < lead_ns) {
            self.lead_ns = Some(lead_ns);
        }
    }

    #[inline]
    fn believe(&mut self, row: &mut Record) {
        if row.ts_event > row.ts_recv.saturating_add(self.skew_ns) {
            row.ts_event = row.ts_recv;
            row.flags |= flag::CLOCK_SKEW;
            self.skewed += 1;
        }
    }

    #[inline]
    fn is_known(&mut self, instrument: u64) -> bool {
        if instrument != self.newest {
            if !self.known.contains(&instrument) {
                return false;
            }
            self.newest = instrument;
        }
        true
    }

    /// Drops events that were seen before; `places` (if there are any) are of the rows that stay.
    fn drop_repeats(&mut self, rows: &mut Vec<Record>, places: &mut Vec<u32>) {
        let (mut begin, mut end) = (0, 0);
        while begin < rows.len() {
            let rest = &rows[begin..];
            let is_last = |row: &Record| row.flags & flag::LAST_OF_EVENT != 0;
            let length = rest
                .iter()
                .position(is_last)
                .map_or(rest.len(), |at| at + 1);
            if self.dedup.passes(&rest[..length]) {
                if end != begin {
                    rows.copy_within(begin..begin + length, end);
                    places.copy_within(begin..begin + length, end);
                }
                end += length;
            } else if places.is_empty() {
                *places = (0..rows.len() as u32).collect();
            }
            begin += length;
        }
        rows.truncate(end);
        places.truncate(end);
    }
}

/// Ends of batches of at most `batch_max` rows, each behind the last row of an event; a larger event is a batch of its own.
fn ends(rows: &[Record], batch_max: usize) -> Vec<usize> {
    let is_last = |row: &Record| row.flags & flag::LAST_OF_EVENT != 0;
    let (mut ends, mut begin) = (Vec::new(), 0);
    while begin < rows.len() {
        let wanted = begin + batch_max;
        let end = if wanted >= rows.len() {
            rows.len()
        } else if let Some(at) = rows[begin..wanted].iter().rposition(is_last) {
            begin + at + 1
        } else {
            let later = rows[wanted..].iter().position(is_last);
            later.map_or(rows.len(), |at| wanted + at + 1)
        };
        ends.push(end);
        begin = end;
    }
    ends
}
