//! 35=W and 35=X: entries to books, trades and statistics.

use super::book::{Action, Address, Level};
use super::conditions::{trade_conditions, trade_type};
use super::decoder::{Decoded, FixDecoder, Fragment, Subject, identity};
use super::definition::text;
use super::entry::{Entry, Reason};
use super::fields::{Fields, number};
use super::instrument::{Instrument, Stamp, set_price, set_size};
use super::time;
use crate::decimal::Decimal;
use crate::orderbook::Side;
use crate::record::{condition, flag, kind};

/// Rows of an event that LastFragment keeps open; beyond it the event ends.
const FRAGMENT_ROWS_MAX: usize = 65_536;

/// What is the same for all entries of a message.
#[derive(Clone, Copy, Default)]
struct Head<'a> {
    seq: u64,
    sending_ns: i64,
    request: &'a [u8],
    last_fragment: bool,
}

impl FixDecoder {
    pub(super) fn market_data<'a>(
        &mut self,
        fields: Fields<'a>,
        is_snapshot: bool,
        stamp: Stamp,
        entries: &mut Vec<Entry<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let (head, base) = collect(fields, is_snapshot, entries)?;
        if is_snapshot && !head.request.is_empty() && !head.request.starts_with(&self.expected) {
            return Ok(());
        }
        let request = xxhash_rust::xxh3::xxh3_64(head.request);
        let stamp = Stamp {
            seq: head.seq,
            ts_event: base.ts_event(&base, head.sending_ns),
            ..stamp
        };
        if self
            .fragment
            .is_some_and(|fragment| fragment.request != request)
        {
            self.end_event(decoded);
        }
        let mut snapshot = None;
        if is_snapshot {
            let named = entries.first().unwrap_or(&base);
            let place = self.resolve(named.symbol, named.security_id)?;
            self.begin_snapshot(place, entries, &head, &base, stamp, decoded);
            snapshot = Some(place);
        }
        let mut last: Option<(&[u8], &[u8], usize)> = None;
        for entry in entries.iter() {
            let place = match last {
                Some((symbol, id, place)) if symbol == entry.symbol && id == entry.security_id => {
                    place
                }
                _ => self.resolve(entry.symbol, entry.security_id)?,
            };
            last = Some((entry.symbol, entry.security_id, place));
            if !self.instruments[place].wanted {
                continue;
            }
            let ts_event = entry.ts_event(&base, head.sending_ns);
            let stamp = Stamp { ts_event, ..stamp };
            self.touch(place, stamp);
            self.entry(place, entry, is_snapshot, stamp, decoded);
        }
        if let Some(place) = snapshot.filter(|_| head.last_fragment)
            && self.instruments[place].wanted
        {
            let instrument = &mut self.instruments[place];
            instrument.waiting = false;
            instrument.lost = false;
            self.touch(place, stamp);
            self.stage_state(place, stamp, None);
            decoded.tell(
                Subject::Snapshot,
                &self.instruments[place].symbol,
                &text(head.request),
            );
        }
        let rows: usize = self
            .touched
            .iter()
            .map(|&place| self.instruments[place].staged.len())
            .sum();
        if head.last_fragment || rows > FRAGMENT_ROWS_MAX {
            self.end_event(decoded);
        } else {
            self.fragment = Some(Fragment { request, snapshot });
        }
        Ok(())
    }

    /// A full refresh takes the place of the book, unless it is a further part of one.
    fn begin_snapshot(
        &mut self,
        place: usize,
        entries: &[Entry<'_>],
        head: &Head<'_>,
        base: &Entry<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) {
        let strict = self.options.wait_for_snapshot;
        let goes_on = self
            .fragment
            .is_some_and(|fragment| fragment.snapshot == Some(place));
        if goes_on || !self.instruments[place].wanted {
            return;
        }
        if self.fragment.is_some() {
            self.end_event(decoded);
        }
        self.touch(place, stamp);
        let instrument = &mut self.instruments[place];
        // in a log a refresh without bids and offers is one of something else
        if strict
            || entries
                .iter()
                .any(|entry| matches!(entry.kind, b'0' | b'1' | b'J'))
        {
            instrument.book.clear();
            instrument.tell_all();
        }
        instrument.waiting = strict && !head.last_fragment;
        instrument.rpt_seq = base
            .rpt_seq
            .or_else(|| entries.iter().filter_map(|entry| entry.rpt_seq).max());
        instrument.rpt_message = self.serial;
    }

    fn entry(
        &mut self,
        place: usize,
        entry: &Entry<'_>,
        is_snapshot: bool,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) {
        if !is_snapshot && !self.in_sequence(place, entry, stamp, decoded) {
            return;
        }
        let instrument = &mut self.instruments[place];
        let (id, _) = identity(entry.id);
        let side = match entry.kind {
            b'0' => Some(Side::Bid),
            b'1' => Some(Side::Ask),
            0 => instrument.book.side_of(id),
            _ => None,
        };
        match (side, entry.kind) {
            (Some(side), _) => {
                if instrument.waiting && !is_snapshot {
                    return; // the refresh that is to come holds it
                }
                let address = self.address(place, entry, id, is_snapshot);
                let action = if is_snapshot {
                    Action::New
                } else {
                    entry.action.unwrap_or(Action::New)
                };
                let size = entry.size.map(|(size, exact)| Level {
                    price: Decimal::default(),
                    size,
                    orders: entry.orders.unwrap_or(0),
                    flags: if exact { 0 } else { flag::INEXACT_SIZE },
                });
                let book = &mut self.instruments[place].book;
                if book
                    .apply(side, action, address, entry.price, size)
                    .is_err()
                {
                    decoded.unpriced += 1;
                    // what is not there cannot be deleted by its price either: the book ends up the same
                    if self.options.wait_for_snapshot && address != Address::Price {
                        self.lose_one(
                            place,
                            0,
                            stamp,
                            "an update of an entry that is not in the book",
                            decoded,
                        );
                    }
                }
            }
            (None, 0) => {
                decoded.unpriced += 1;
                if self.options.wait_for_snapshot && !self.instruments[place].waiting {
                    self.lose_one(
                        place,
                        0,
                        stamp,
                        "an update of an entry that is not in the book",
                        decoded,
                    );
                }
            }
            (None, b'J') => {
                instrument.book.clear();
                instrument.tell_all();
            }
            (None, b'2') => instrument.trade(entry, is_snapshot, stamp),
            (None, _) => instrument.statistic(entry, is_snapshot, stamp),
        }
    }

    /// How this entry names its level.
    fn address(&self, place: usize, entry: &Entry<'_>, id: u64, is_snapshot: bool) -> Address {
        if let Some(position) = entry.position {
            // a refresh may list levels in any order: their prices say where they are
            return if is_snapshot {
                Address::Price
            } else {
                Address::Position(position)
            };
        }
        if entry.id.is_empty() {
            return Address::Price;
        }
        let book = &self.instruments[place].book;
        let by_price =
            book.entries() == 0 && book.best(Side::Bid).or(book.best(Side::Ask)).is_some();
        if by_price && entry.price.is_some() {
            return Address::Price;
        }
        let replaced = (!entry.replaced.is_empty()).then(|| identity(entry.replaced).0);
        Address::Id(
            id,
            replaced.filter(|&replaced| replaced != id && book.side_of(replaced).is_some()),
        )
    }

    /// Checks RptSeq (83), which counts the updates of one instrument. False: in the book already.
    fn in_sequence(
        &mut self,
        place: usize,
        entry: &Entry<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> bool {
        let serial = self.serial;
        let instrument = &mut self.instruments[place];
        let Some(number) = entry.rpt_seq else {
            return true;
        };
        let fresh = match instrument.rpt_seq {
            Some(last) if number == last => instrument.rpt_message == serial,
            Some(last) => number > last,
            None => true,
        };
        if !fresh {
            // a trade may be told again after a refresh that is newer: its id says whether it was counted
            return entry.kind == b'2';
        }
        let missing = instrument
            .rpt_seq
            .map_or(0, |last| number.saturating_sub(last + 1));
        (instrument.rpt_seq, instrument.rpt_message) = (Some(number), serial);
        if missing > 0 && !instrument.waiting {
            self.lose_one(place, missing, stamp, "RptSeq (83) has a hole", decoded);
        } else if missing > 0 {
            let mut row = stamp.row(instrument.id, kind::GAP);
            row.id = missing;
            instrument.staged.push(row);
        }
        true
    }
}

/// Reads the entries of a message, inheritance carried out; the second value is what stands outside of them.
fn collect<'a>(
    fields: Fields<'a>,
    is_snapshot: bool,
    entries: &mut Vec<Entry<'a>>,
) -> Result<(Head<'a>, Entry<'a>), Reason> {
    entries.clear();
    let mut head = Head {
        last_fragment: true,
        ..Head::default()
    };
    let mut base = Entry::default();
    let mut announced = None;
    let mut delimiter = 0;
    for field in fields {
        let field = field?;
        match field.tag {
            34 => head.seq = number(field.value).ok_or("MsgSeqNum (34) is no number")?,
            52 => {
                head.sending_ns =
                    time::timestamp(field.value).ok_or("SendingTime (52) is no time")?
            }
            262 => head.request = field.value,
            893 => head.last_fragment = field.value != b"N",
            10 => break,
            268 => announced = Some(number(field.value).ok_or("NoMDEntries (268) is no number")?),
            tag if announced.is_some() => {
                if delimiter == 0 {
                    delimiter = tag;
                }
                if tag == delimiter {
                    let before = entries.last().unwrap_or(&base);
                    entries.push(before.inherited());
                }
                if let Some(entry) = entries.last_mut() {
                    entry.take(field)?;
                }
            }
            _ => {
                base.take(field)?;
            }
        }
    }
    let announced = announced.ok_or("NoMDEntries (268) is missing")?;
    if announced != entries.len() as u64 {
        return Err("NoMDEntries (268) is not the number of entries");
    }
    for entry in entries.iter() {
        let is_new = is_snapshot || matches!(entry.action, None | Some(Action::New));
        if is_snapshot && entry.kind == 0 {
            return Err("an entry without MDEntryType (269)");
        }
        if is_new && entry.price.is_none() && matches!(entry.kind, b'0' | b'1' | b'2') {
            return Err("an entry without MDEntryPx (270)");
        }
    }
    Ok((head, base))
}

impl Instrument {
    /// A trade, its correction or its bust.
    fn trade(&mut self, entry: &Entry<'_>, is_snapshot: bool, stamp: Stamp) {
        let action = if is_snapshot {
            Action::New
        } else {
            entry.action.unwrap_or(Action::New)
        };
        let name = if entry.trade_id.is_empty() {
            entry.id
        } else {
            entry.trade_id
        };
        let mut row = match action {
            Action::New => stamp.row(self.id, kind::TRADE),
            Action::Change | Action::Overlay => stamp.row(self.id, kind::CORRECTION),
            _ => stamp.row(self.id, kind::BUST),
        };
        if !name.is_empty() {
            let (id, is_number) = identity(name);
            row.id = id;
            if !is_number {
                self.texts.push((self.staged.len(), text(name)));
            }
        }
        if row.kind == kind::BUST {
            row.flags |= flag::NO_PRICE | flag::NO_SIZE;
        } else {
            set_price(&mut row, entry.price);
            set_size(&mut row, entry.size);
            row.side = entry.aggressor;
            row.detail = trade_conditions(entry.conditions, entry.session_sub)
                | trade_type(entry.trade_type);
            let odd = match (self.round_lot, entry.size) {
                (Some(lot), Some((size, _))) => size.compare(lot).is_lt(),
                _ => false,
            };
            if odd && row.detail & condition::AUCTION == 0 {
                row.detail |= condition::ODD_LOT;
            }
        }
        // the last trade of a refresh is no news: it sets the price and counts in nothing
        row.flags |= if is_snapshot { flag::SNAPSHOT } else { 0 };
        self.staged.push(row);
    }

    /// Everything that is neither book nor trade; a kind of row of its own where there is one, else a notice.
    fn statistic(&mut self, entry: &Entry<'_>, is_snapshot: bool, stamp: Stamp) {
        let previous = entry.close_flag == b"4" || (entry.close_flag.is_empty() && is_snapshot);
        let row_kind = match entry.kind {
            b'5' if previous => kind::PREV_CLOSE,
            b'e' => kind::PREV_CLOSE,
            b'3' => kind::INDEX,
            b'A' => kind::IMBALANCE,
            b'B' => kind::VOLUME,
            b'C' => kind::OPEN_INTEREST,
            _ => kind::NOTICE,
        };
        let mut row = stamp.row(self.id, row_kind);
        match row_kind {
            // the quantity is a size, though some venues write it where prices go
            kind::VOLUME => {
                set_size(
                    &mut row,
                    entry.size.or(entry.price.map(|price| (price, true))),
                );
                row.flags |= flag::NO_PRICE;
            }
            kind::OPEN_INTEREST => {
                set_price(&mut row, entry.size.map(|(size, _)| size).or(entry.price));
            }
            _ => {
                set_price(&mut row, entry.price);
                if row_kind != kind::PREV_CLOSE {
                    set_size(&mut row, entry.size);
                }
            }
        }
        if matches!(row_kind, kind::NOTICE | kind::IMBALANCE) {
            row.detail = entry.kind.into();
        }
        if row_kind == kind::IMBALANCE {
            row.side = match entry.conditions {
                b"P" => 1,
                b"Q" => 2,
                _ => 0,
            };
        }
        self.staged.push(row);
    }
}
