//! What the decoder keeps of one instrument, and the rows it writes.

use super::book::{Book, Level};
use crate::decimal::Decimal;
use crate::listing::{end_event, level_kind};
use crate::orderbook::Side;
use crate::record::{Record, flag, instrument_id, kind, state};

const SIDES: [Side; 2] = [Side::Bid, Side::Ask];

/// When and as what number a message came, and what all of its rows are flagged with.
#[derive(Clone, Copy, Default)]
pub struct Stamp {
    pub ts_event: i64,
    pub ts_recv: i64,
    pub seq: u64,
    pub flags: u16,
}

impl Stamp {
    /// A row with nothing but its origin.
    pub fn row(self, instrument: u64, kind: u8) -> Record {
        Record {
            ts_event: self.ts_event,
            ts_recv: self.ts_recv,
            seq: self.seq,
            instrument,
            kind,
            flags: self.flags,
            ..Record::default()
        }
    }

    /// A row without price and size.
    pub fn bare(self, instrument: u64, kind: u8) -> Record {
        let row = self.row(instrument, kind);
        Record {
            flags: row.flags | flag::NO_PRICE | flag::NO_SIZE,
            ..row
        }
    }
}

pub fn set_price(row: &mut Record, price: Option<Decimal>) {
    match price {
        Some(price) => (row.price, row.price_scale) = (price.mantissa, price.scale),
        None => row.flags |= flag::NO_PRICE,
    }
}

pub fn set_size(row: &mut Record, size: Option<(Decimal, bool)>) {
    match size {
        Some((size, exact)) => {
            (row.size, row.size_scale) = (size.mantissa, size.scale);
            row.flags |= if exact { 0 } else { flag::INEXACT_SIZE };
        }
        None => row.flags |= flag::NO_SIZE,
    }
}

pub struct Instrument {
    pub symbol: String,
    pub id: u64,
    pub wanted: bool,
    pub book: Book,
    /// A snapshot has to come before the book says anything.
    pub waiting: bool,
    /// It waits because something was lost, not because nothing has come yet.
    pub lost: bool,
    /// By security statuses.
    pub trading: u8,
    /// As last told.
    pub state: u8,
    pub rpt_seq: Option<u64>,
    /// The message that brought `rpt_seq`: its entries may share one number.
    pub rpt_message: u64,
    pub round_lot: Option<Decimal>,
    /// The event in hand touched it.
    pub touched: bool,
    pub stamp: Stamp,
    /// Rows of the event in hand, with texts by row.
    pub staged: Vec<Record>,
    pub texts: Vec<(usize, String)>,
    told: [Option<Level>; 2],
    untold: bool,
    /// Best levels a side that are told; 0 = none.
    pub depth: usize,
    /// The whole book was told: from here on changes are.
    begun: bool,
    shown: [Vec<Level>; 2],
}

impl Instrument {
    pub fn new(venue: &str, symbol: String, wanted: bool, strict: bool) -> Self {
        Self {
            id: instrument_id(&format!("{venue}:{symbol}")),
            symbol,
            wanted,
            book: Book::default(),
            waiting: strict,
            lost: false,
            trading: state::LIVE,
            state: state::EMPTY,
            rpt_seq: None,
            rpt_message: 0,
            round_lot: None,
            touched: false,
            stamp: Stamp::default(),
            staged: Vec::new(),
            texts: Vec::new(),
            told: [None; 2],
            untold: false,
            depth: 0,
            begun: false,
            shown: Default::default(),
        }
    }

    /// The next event tells both sides, empty ones too, and the whole book where levels are told.
    pub const fn tell_all(&mut self) {
        self.untold = true;
        self.begun = false;
    }

    /// Tells the best `levels` from now on: the whole book, or that it is not known any more, as an event.
    pub fn show(&mut self, levels: usize, stamp: Stamp, out: &mut Vec<Record>) {
        if levels == self.depth {
            return;
        }
        self.depth = levels;
        let start = out.len();
        if levels == 0 {
            self.forget_levels(stamp, out);
        } else if !self.waiting && !self.touched {
            self.emit_book(stamp, out); // otherwise the event in hand brings it
        }
        end_event(out, start);
    }

    /// Nothing is known of the book until a snapshot comes.
    pub fn lose(&mut self, stamp: Stamp) {
        let mut rows = core::mem::take(&mut self.staged);
        self.forget_levels(stamp, &mut rows);
        self.staged = rows;
        self.book.clear();
        self.rpt_seq = None;
        self.waiting = true;
        self.lost = true;
    }

    /// What its state is; `held`: a hole of the whole connection is being filled.
    pub const fn state_now(&self, held: bool) -> u8 {
        if held || self.lost {
            state::GAP
        } else if self.waiting {
            state::SYNCING
        } else {
            self.trading
        }
    }

    pub fn status_row(&self, stamp: Stamp) -> Record {
        let mut row = stamp.bare(self.id, kind::STATUS);
        row.detail = self.state.into();
        row
    }

    pub fn quote_row(&self, side: Side, stamp: Stamp) -> Record {
        let kind = if side == Side::Bid {
            kind::BID
        } else {
            kind::ASK
        };
        self.book.best(side).map_or_else(
            || stamp.bare(self.id, kind),
            |level| self.level_row(kind, level, stamp),
        )
    }

    fn level_row(&self, kind: u8, level: Level, stamp: Stamp) -> Record {
        let mut row = stamp.row(self.id, kind);
        (row.price, row.price_scale) = (level.price.mantissa, level.price.scale);
        (row.size, row.size_scale) = (level.size.mantissa, level.size.scale);
        row.flags |= level.flags;
        row.detail = u16::try_from(level.orders).unwrap_or(u16::MAX);
        row
    }

    /// Writes the event in hand: staged rows, best bid and ask if they changed, the levels that changed or the whole book.
    ///
    /// `book_flags` go on what comes from the book. Texts are put beside the rows they belong to.
    pub fn emit(
        &mut self,
        book_flags: u16,
        out: &mut Vec<Record>,
        texts: &mut Vec<(usize, String)>,
    ) {
        let start = out.len();
        texts.extend(self.texts.drain(..).map(|(row, text)| (start + row, text)));
        out.append(&mut self.staged);
        self.touched = false;
        if !self.waiting {
            let stamp = Stamp {
                flags: self.stamp.flags | book_flags,
                ..self.stamp
            };
            for side in SIDES {
                let best = self.book.best(side);
                if self.untold || best != self.told[side as usize] {
                    self.told[side as usize] = best;
                    out.push(self.quote_row(side, stamp));
                }
            }
            let has_book =
                core::mem::take(&mut self.untold) || self.told.iter().any(Option::is_some);
            if self.depth > 0 && !self.begun && has_book {
                self.emit_book(stamp, out);
            } else if self.depth > 0 && self.begun {
                for side in SIDES {
                    self.emit_levels(side, stamp, out);
                }
            }
        }
        end_event(out, start);
    }

    /// The whole book: each side begins anew.
    fn emit_book(&mut self, stamp: Stamp, out: &mut Vec<Record>) {
        self.begun = true;
        let stamp = Stamp {
            flags: stamp.flags | flag::SNAPSHOT,
            ..stamp
        };
        for side in SIDES {
            let mut row = stamp.bare(self.id, level_kind(side));
            row.flags &= !flag::INVALID_BOOK;
            out.push(row);
            self.shown[side as usize] = self.book.top(side, self.depth).copied().collect();
            let levels = self.shown[side as usize].iter();
            out.extend(levels.map(|level| self.level_row(level_kind(side), *level, stamp)));
        }
    }

    /// Writes that the levels told so far are not the book's any more, if there are any.
    fn forget_levels(&mut self, stamp: Stamp, out: &mut Vec<Record>) {
        if !core::mem::take(&mut self.begun) {
            return;
        }
        self.shown = Default::default();
        out.extend(SIDES.map(|side| {
            let mut row = stamp.bare(self.id, level_kind(side));
            row.flags |= flag::SNAPSHOT | flag::INVALID_BOOK;
            row
        }));
    }

    /// Levels that entered, changed or left the best ones.
    fn emit_levels(&mut self, side: Side, stamp: Stamp, out: &mut Vec<Record>) {
        let (depth, kind) = (self.depth, level_kind(side));
        let before = core::mem::take(&mut self.shown[side as usize]);
        let now: Vec<Level> = self.book.top(side, depth).copied().collect();
        let same_price = |a: &Level, b: &Level| a.price.compare(b.price).is_eq();
        if before.len() == now.len() && before == now {
            self.shown[side as usize] = now;
            return;
        }
        for level in &now {
            if !before.contains(level) {
                out.push(self.level_row(kind, *level, stamp));
            }
        }
        for level in &before {
            if !now.iter().any(|other| same_price(level, other)) {
                let gone = Level {
                    size: Decimal::default(),
                    orders: 0,
                    ..*level
                };
                out.push(self.level_row(kind, gone, stamp));
            }
        }
        self.shown[side as usize] = now;
    }
}
