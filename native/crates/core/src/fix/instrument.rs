//! What the decoder keeps of one instrument, and the rows it writes.

use super::book::{Book, Level};
use crate::decimal::Decimal;
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
            shown: Default::default(),
        }
    }

    /// The next event tells both sides, empty ones too.
    pub const fn tell_all(&mut self) {
        self.untold = true;
    }

    /// Nothing is known of the book until a snapshot comes.
    pub fn lose(&mut self) {
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

    /// Writes the event in hand: staged rows, best bid and ask if they changed, the best `depth` levels that changed.
    ///
    /// `book_flags` go on what comes from the book. Texts are put beside the rows they belong to.
    pub fn emit(
        &mut self,
        depth: usize,
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
            self.untold = false;
            if depth > 0 {
                for side in SIDES {
                    self.emit_levels(side, depth, stamp, out);
                }
            }
        }
        if out.len() > start {
            out.last_mut().expect("just pushed").flags |= flag::LAST_OF_EVENT;
        }
    }

    /// Levels that entered, changed or left the best `depth`.
    fn emit_levels(&mut self, side: Side, depth: usize, stamp: Stamp, out: &mut Vec<Record>) {
        let kind = if side == Side::Bid {
            kind::BOOK_BID
        } else {
            kind::BOOK_ASK
        };
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
