//! Messages to records: one message is one event of each instrument it touches, several where LastFragment (893) joins them.
//!
//! The book of an instrument is right if nothing was missed since its last full refresh (35=W). With `wait_for_snapshot`
//! an instrument says nothing of its book before the first one, nor after a loss: what is missing by RptSeq (83), an
//! update of an entry or position that is not there, a crossed book while there is trading, or what the caller says was
//! lost. Trades are told all the same. Without it (logs, which may begin anywhere) a book begins empty and goes on.

use std::collections::{HashMap, HashSet};

use super::book::Level;
use super::definition::{Definition, text};
use super::entry::{Entry, Reason};
use super::fields::{Fields, SOH, number};
use super::instrument::{Instrument, Stamp};
use super::securities::refused;
pub use crate::dead::{DEAD_MAX, Dead};
use crate::decimal::Decimal;
use crate::orderbook::Side;
use crate::record::{Record, flag, kind, state};
use crate::shown::Shown;

/// MDEntryIDs kept of one instrument; beyond it the instrument is lost rather than the memory.
const ENTRIES_MAX: usize = 1 << 20;

/// What an [`Event`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A full refresh came: symbol, MDReqID (262).
    Snapshot,
    /// The instrument waits for a full refresh: symbol, why.
    Lost,
    /// A damaged message of an unknown instrument: anything may be wrong. Empty, why.
    LostAll,
    /// MarketDataRequestReject (35=Y): MDReqID, code and text.
    Refused,
    /// A message of a security list: SecurityReqID (320), `Y` if it is the last, and its result code behind it.
    Listed,
    /// Any other message: its type, empty.
    Other,
}

/// Something that a session has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub subject: Subject,
    pub name: String,
    pub detail: String,
}

/// What one call decoded.
#[derive(Debug, Default)]
pub struct Decoded {
    pub records: Vec<Record>,
    /// Texts of ids and reasons, by record.
    pub texts: Vec<(usize, String)>,
    pub definitions: Vec<Definition>,
    pub events: Vec<Event>,
    pub messages: usize,
    pub dead: Vec<Dead>,
    pub dead_count: usize,
    /// Updates of an entry, a position or a price that the book does not have.
    pub unpriced: usize,
}

impl Decoded {
    fn bury(&mut self, offset: usize, reason: &'static str, raw: &[u8]) {
        self.dead_count += 1;
        if self.dead.len() < DEAD_MAX {
            self.dead.push(Dead {
                offset,
                reason,
                raw: raw.to_vec(),
            });
        }
    }

    pub(super) fn tell(&mut self, subject: Subject, name: &str, detail: &str) {
        self.events.push(Event {
            subject,
            name: name.to_owned(),
            detail: detail.to_owned(),
        });
    }
}

/// How to decode.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these symbols; `None` = all.
    pub symbols: Option<Vec<String>>,
    /// Levels a side that are published.
    pub depth: usize,
    /// Quotes of an instrument begin with its full refresh.
    pub wait_for_snapshot: bool,
    /// Round lot of instruments whose definition has none: trades below it are odd lots. `None` = there are none.
    pub round_lot: Option<Decimal>,
}

/// An event that goes on in the next message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    /// MDReqID, hashed.
    pub request: u64,
    /// The instrument whose full refresh goes on.
    pub snapshot: Option<usize>,
}

/// Decodes the market data of one session or log.
pub struct FixDecoder {
    venue: String,
    symbols: Option<HashSet<String>>,
    pub(super) options: Options,
    shown: Shown,
    pub(super) instruments: Vec<Instrument>,
    pub(super) by_symbol: HashMap<Vec<u8>, usize>,
    by_security_id: HashMap<Vec<u8>, usize>,
    pub(super) touched: Vec<usize>,
    pub(super) fragment: Option<Fragment>,
    held: bool,
    /// MDReqID of full refreshes that count begins so; empty = all count.
    pub(super) expected: Vec<u8>,
    /// Messages so far.
    pub(super) serial: u64,
}

/// The message at the beginning of a block, its terminator included; lines of a bare file end with a line feed.
fn first_message(block: &[u8]) -> Result<&[u8], Reason> {
    if !(block.starts_with(b"8=") || block.starts_with(b"1128=")) {
        let end = block
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(block.len(), |at| at + 1);
        return Ok(&block[..end]);
    }
    let broken = "expected messages as they were split";
    let begin = super::fields::find_soh(block).ok_or(broken)?;
    let rest = block[begin + 1..].strip_prefix(b"9=").ok_or(broken)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = number(&rest[..digits])
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(broken)?;
    let end = (begin + 3 + digits + 1 + 7)
        .checked_add(length)
        .ok_or(broken)?;
    block
        .get(..end)
        .filter(|message| message.last() == Some(&SOH))
        .ok_or(broken)
}

/// A number as it is, a text by its hash.
pub(super) fn identity(id: &[u8]) -> (u64, bool) {
    let plain = (id.first() != Some(&b'0') || id.len() == 1) && id.len() <= 18;
    match number(id).filter(|_| plain) {
        Some(number) => (number, true),
        None => (xxhash_rust::xxh3::xxh3_64(id), false),
    }
}

impl FixDecoder {
    #[must_use]
    pub fn new(venue: &str, options: Options) -> Self {
        Self {
            venue: venue.to_owned(),
            symbols: options
                .symbols
                .clone()
                .map(|symbols| symbols.into_iter().collect()),
            shown: Shown::new(options.depth),
            options,
            instruments: Vec::new(),
            by_symbol: HashMap::new(),
            by_security_id: HashMap::new(),
            touched: Vec::new(),
            fragment: None,
            held: false,
            expected: Vec::new(),
            serial: 0,
        }
    }

    /// Decodes whole messages, one behind the other, as [`super::split`] found them; `flags` go on all rows.
    #[must_use]
    pub fn decode(&mut self, block: &[u8], ts_recv: i64, flags: u16) -> Decoded {
        let mut decoded = Decoded::default();
        decoded.records.reserve(block.len() / 64);
        let mut entries = Vec::new();
        let mut offset = 0;
        while offset < block.len() {
            if matches!(block[offset], b'\n' | b'\r') {
                offset += 1;
                continue;
            }
            let message = match first_message(&block[offset..]) {
                Ok(message) => message,
                Err(reason) => {
                    decoded.bury(offset, reason, &block[offset..]);
                    break;
                }
            };
            self.serial += 1;
            let stamp = Stamp {
                ts_recv,
                flags,
                ..Stamp::default()
            };
            match self.message(
                message.trim_ascii_end_lines(),
                stamp,
                &mut entries,
                &mut decoded,
            ) {
                Ok(()) => decoded.messages += 1,
                Err(reason) => {
                    decoded.bury(offset, reason, message);
                    self.lose_named(message, reason, ts_recv, &mut decoded);
                }
            }
            offset += message.len();
        }
        decoded
    }

    fn message<'a>(
        &mut self,
        message: &'a [u8],
        stamp: Stamp,
        entries: &mut Vec<Entry<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let mut fields = Fields::new(message);
        let mut msg_type: &[u8] = b"";
        for field in fields.by_ref() {
            let field = field?;
            match field.tag {
                8 | 9 | 1128 => {}
                35 => {
                    msg_type = field.value;
                    break;
                }
                _ => break,
            }
        }
        match msg_type {
            b"W" | b"X" => self.market_data(fields, msg_type == b"W", stamp, entries, decoded),
            b"f" => self.security_status(fields, stamp, decoded),
            b"d" => self.security_definition(fields, stamp, decoded),
            b"y" => self.security_list(fields, stamp, decoded),
            b"Y" => refused(fields, decoded),
            b"" => Err("MsgType (35) is not the first field of the body"),
            other => {
                // every field is looked at: a log's message has to be well formed, whatever it is
                for field in fields {
                    field?;
                }
                decoded.tell(Subject::Other, &text(other), "");
                Ok(())
            }
        }
    }

    // ------------------------------------------------------------------ instruments

    /// The place of an instrument by its symbol or its SecurityID (48); both together are learnt.
    #[inline]
    pub(super) fn resolve(&mut self, symbol: &[u8], security_id: &[u8]) -> Result<usize, Reason> {
        let symbol = if symbol == b"[N/A]" { b"" } else { symbol };
        if symbol.is_empty() {
            if security_id.is_empty() {
                return Err("neither Symbol (55) nor SecurityID (48)");
            }
            if let Some(&place) = self.by_security_id.get(security_id) {
                return Ok(place);
            }
        }
        let name = if symbol.is_empty() {
            security_id
        } else {
            symbol
        };
        if let Some(&place) = self.by_symbol.get(name) {
            if !security_id.is_empty()
                && !symbol.is_empty()
                && !self.by_security_id.contains_key(security_id)
            {
                self.by_security_id.insert(security_id.to_vec(), place);
            }
            return Ok(place);
        }
        let place = self.instruments.len();
        let symbol_text = text(name);
        let wanted = self
            .symbols
            .as_ref()
            .is_none_or(|symbols| symbols.contains(&symbol_text));
        let mut instrument = Instrument::new(
            &self.venue,
            symbol_text,
            wanted,
            self.options.wait_for_snapshot,
        );
        instrument.round_lot = self.options.round_lot;
        instrument.depth = self.shown.levels(instrument.id);
        self.instruments.push(instrument);
        self.by_symbol.insert(name.to_vec(), place);
        if !security_id.is_empty() {
            self.by_security_id.insert(security_id.to_vec(), place);
        }
        Ok(place)
    }

    /// The instrument is part of the event in hand.
    #[inline]
    pub(super) fn touch(&mut self, place: usize, stamp: Stamp) {
        let instrument = &mut self.instruments[place];
        instrument.stamp = stamp;
        if !instrument.touched {
            instrument.touched = true;
            self.touched.push(place);
        }
    }

    /// Stages a status row if the state changed.
    pub(super) fn stage_state(&mut self, place: usize, stamp: Stamp, reason: Option<&str>) {
        let held = self.held;
        let instrument = &mut self.instruments[place];
        let now = instrument.state_now(held);
        if instrument.state == now {
            return;
        }
        instrument.state = now;
        if let Some(reason) = reason {
            instrument
                .texts
                .push((instrument.staged.len(), reason.to_owned()));
        }
        let row = instrument.status_row(stamp);
        instrument.staged.push(row);
    }

    /// Ends the event in hand.
    pub(super) fn end_event(&mut self, decoded: &mut Decoded) {
        self.fragment = None;
        let mut touched = core::mem::take(&mut self.touched);
        for place in touched.drain(..) {
            let instrument = &mut self.instruments[place];
            let trading = instrument.trading == state::LIVE;
            let crossed = !instrument.waiting && trading && instrument.book.crossed();
            let overfull = instrument.book.entries() > ENTRIES_MAX;
            let mut book_flags = 0;
            if overfull || (crossed && self.options.wait_for_snapshot) {
                let stamp = instrument.stamp;
                let reason = if overfull {
                    "too many entries"
                } else {
                    "the book is crossed"
                };
                self.lose_one(place, 0, stamp, reason, decoded);
            } else if crossed {
                book_flags = flag::INVALID_BOOK;
            }
            let (records, texts) = (&mut decoded.records, &mut decoded.texts);
            self.instruments[place].emit(book_flags, records, texts);
        }
        self.touched = touched;
    }

    // ------------------------------------------------------------------ loss

    /// One instrument has to wait for a full refresh; `missing` updates, 0 = unknown number.
    pub(super) fn lose_one(
        &mut self,
        place: usize,
        missing: u64,
        stamp: Stamp,
        reason: &str,
        decoded: &mut Decoded,
    ) {
        let strict = self.options.wait_for_snapshot;
        let instrument = &mut self.instruments[place];
        let mut row = Stamp { flags: 0, ..stamp }.row(instrument.id, kind::GAP);
        row.id = missing;
        instrument.staged.push(row);
        decoded.tell(Subject::Lost, &instrument.symbol, reason);
        if strict {
            instrument.lose(stamp);
            self.stage_state(place, stamp, Some(reason));
        }
    }

    /// A message could not be read: what it named is in doubt, or everything if it named nothing.
    fn lose_named(&mut self, message: &[u8], reason: Reason, ts_recv: i64, decoded: &mut Decoded) {
        if !self.options.wait_for_snapshot {
            return;
        }
        let mut is_market_data = false;
        let mut named = Vec::new();
        let mut seq = 0;
        for field in Fields::new(message).map_while(Result::ok) {
            match field.tag {
                35 => is_market_data = matches!(field.value, b"W" | b"X"),
                34 => seq = number(field.value).unwrap_or(0),
                55 => named.extend(self.by_symbol.get(field.value).copied()),
                48 => named.extend(self.by_security_id.get(field.value).copied()),
                _ => {}
            }
        }
        if !is_market_data {
            return;
        }
        named.sort_unstable();
        named.dedup();
        if named.is_empty() {
            decoded.tell(Subject::LostAll, "", reason);
        }
        for place in named {
            let stamp = Stamp {
                ts_event: ts_recv,
                ts_recv,
                seq,
                flags: 0,
            };
            self.touch(place, stamp);
            self.lose_one(place, 1, stamp, reason, decoded);
        }
        self.end_event(decoded);
    }

    /// Everything (or these symbols) was hit by a loss of `missing` messages before number `next_seq`.
    #[must_use]
    pub fn lose(
        &mut self,
        symbols: Option<&[String]>,
        missing: u64,
        next_seq: u64,
        ts_recv: i64,
    ) -> Vec<Record> {
        let mut decoded = Decoded::default();
        self.end_event(&mut decoded);
        let stamp = Stamp {
            ts_event: ts_recv,
            ts_recv,
            seq: next_seq,
            flags: 0,
        };
        let places: Vec<usize> = match symbols {
            None => (0..self.instruments.len()).collect(),
            Some(symbols) => {
                let places = symbols.iter();
                places
                    .filter_map(|symbol| self.by_symbol.get(symbol.as_bytes()).copied())
                    .collect()
            }
        };
        for place in places {
            if self.instruments[place].wanted {
                self.touch(place, stamp);
                self.lose_one(place, missing, stamp, "messages were lost", &mut decoded);
            }
        }
        self.end_event(&mut decoded);
        decoded.records
    }

    /// While a hole of the connection is being filled, nothing is live; what was not lost is live again afterwards.
    #[must_use]
    pub fn hold(&mut self, held: bool, ts_recv: i64) -> Vec<Record> {
        let mut decoded = Decoded::default();
        self.end_event(&mut decoded);
        self.held = held;
        let stamp = Stamp {
            ts_event: ts_recv,
            ts_recv,
            ..Stamp::default()
        };
        for place in 0..self.instruments.len() {
            if self.instruments[place].wanted && self.instruments[place].state != state::EMPTY {
                self.touch(place, stamp);
                self.stage_state(place, stamp, None);
            }
        }
        self.end_event(&mut decoded);
        decoded.records
    }

    /// From now on only full refreshes whose MDReqID (262) begins so count: one that answers a request of an earlier
    /// connection, sent again, says how the book was then.
    pub fn expect(&mut self, request: &str) {
        self.expected = request.as_bytes().to_vec();
    }

    /// Ends an event whose last fragment has not come: at the end of a log.
    #[must_use]
    pub fn flush(&mut self) -> Decoded {
        let mut decoded = Decoded::default();
        self.end_event(&mut decoded);
        decoded
    }

    // ------------------------------------------------------------------ lookups

    /// Names by instrument id, of everything that was met.
    pub fn names(&self) -> impl Iterator<Item = (u64, &str)> {
        self.instruments
            .iter()
            .map(|instrument| (instrument.id, instrument.symbol.as_str()))
    }

    /// Bids and asks of an instrument, best first.
    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level>; 2] {
        let place = self.by_symbol.get(symbol.as_bytes());
        [Side::Bid, Side::Ask].map(|side| {
            place.map_or_else(Vec::new, |&place| {
                self.instruments[place]
                    .book
                    .top(side, depth)
                    .copied()
                    .collect()
            })
        })
    }

    /// From now on the best levels of these instruments' books are told, and of no others beyond the depth given at the
    /// beginning: whole books of those that are new and whole, that the others are not known any more.
    #[must_use]
    pub fn watch_books(
        &mut self,
        instruments: impl IntoIterator<Item = u64>,
        ts_recv: i64,
    ) -> Vec<Record> {
        let mut out = Vec::new();
        self.shown.watch(instruments);
        let stamp = Stamp {
            ts_event: ts_recv,
            ts_recv,
            ..Stamp::default()
        };
        for instrument in self.instruments.iter_mut().filter(|one| one.wanted) {
            let levels = self.shown.levels(instrument.id);
            instrument.show(levels, stamp, &mut out);
        }
        out
    }

    /// Best bid and ask and status of every instrument that has any, flagged `SNAPSHOT`.
    #[must_use]
    pub fn snapshot(&self, ts_recv: i64) -> Vec<Record> {
        let mut out = Vec::new();
        for instrument in &self.instruments {
            if !instrument.wanted || instrument.state == state::EMPTY {
                continue;
            }
            let stamp = Stamp {
                ts_event: ts_recv,
                ts_recv,
                seq: 0,
                flags: flag::SNAPSHOT,
            };
            if !instrument.waiting {
                out.push(instrument.quote_row(Side::Bid, stamp));
                out.push(instrument.quote_row(Side::Ask, stamp));
            }
            let mut row = instrument.status_row(stamp);
            row.flags |= flag::LAST_OF_EVENT;
            out.push(row);
        }
        out
    }
}

/// Lines end in CR LF or LF.
trait TrimLine {
    fn trim_ascii_end_lines(&self) -> &[u8];
}

impl TrimLine for [u8] {
    fn trim_ascii_end_lines(&self) -> &[u8] {
        let line = self.strip_suffix(b"\n").unwrap_or(self);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}
