//! Rows to records: the state of a feed, and what each kind of row does to it.

mod books;
mod missed;
mod overlap;

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use self::missed::Late;
use super::binding::Bound;
use super::decoded::{Decoded, Hole, Print};
use super::drift::Drift;
use super::levels::Levels;
use super::names::Names;
use super::path::{Frame, Row, is_nested, says_something};
use super::plan::{EmitPlan, MeasuresPlan, MessagePlan, QuotesPlan, TradesPlan};
use super::read::{KeyPlan, Trouble, all_hold, sequence, shown, time_of};
use super::trades::{self, Id, LastSide};
use super::twins::{Missing, TradeChain, Twins, Unnumbered};
use crate::books::{Books, Event, Provenance, Quote, Source};
use crate::decimal::Decimal;
use crate::record::{Record, flag, kind};

/// Values of measures that are remembered, by kind.
const MEASURES: usize = (kind::TURNOVER_24H - kind::MARK) as usize + 2;

/// Where the value of a kind is remembered; the kinds are checked when a declaration is compiled.
const fn slot(kind: u8) -> usize {
    if kind == kind::PREV_CLOSE {
        MEASURES - 1
    } else {
        (kind - kind::MARK) as usize
    }
}

/// What is remembered of an instrument.
#[derive(Default)]
pub struct Known {
    pub id: u64,
    quote: [LastSide; 2],
    measures: Option<Box<[Option<Decimal>; MEASURES]>>,
    /// Numbers of chained trades.
    chain: TradeChain,
    unnumbered: Unnumbered,
    /// Who feeds its measures, by the kind of the first of a message.
    measured: Vec<(u8, Source)>,
    /// Of messages whose texts the venue class wants to see when they change: index and hash of what they were.
    seen_texts: Vec<(usize, u64)>,
    /// The trade that was told last.
    newest: Option<Print>,
    /// The last one before [`Engine::mark`], and the first one since.
    marked: Option<Print>,
    first: Option<Print>,
    /// Trades since then that a subscription told as history, and that were missed.
    refilled: u64,
    /// The frame that told the first trade ever: history in it is of before the subscription.
    begun: u64,
    /// The frame that told trades again which were told before the mark.
    retelling: u64,
    /// Rows that came, by [`Heard`], and the connection that brought the newest.
    pub heard: [(u64, u32); HEARD],
}

/// What is told apart where streams are counted.
#[derive(Clone, Copy, Debug)]
enum Heard {
    Trades,
    Quotes,
    Book,
    Measures,
}

const HEARD: usize = 4;

/// A connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub market: usize,
    /// What its counter says next.
    pub next: Option<i64>,
}

/// A frame at hand.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub frame: Frame<'a>,
    /// Its index among those of the call.
    pub index: usize,
    pub ts_recv: i64,
    pub link: u32,
    pub market: usize,
    /// Index of its declaration.
    pub message: usize,
    /// It comes late or again by the connection's counter: books have gone on without it.
    pub late: bool,
    /// It has the connection's counter.
    pub counted: bool,
    /// What the number of the frame stands for.
    pub bound: Option<&'a Bound>,
}

/// The state of a feed.
pub struct Engine {
    pub books: Books,
    pub known: Vec<Known>,
    /// Index of an instrument.
    pub indexes: HashMap<u64, u32>,
    pub names: Names,
    pub links: HashMap<u32, Link>,
    pub drift: Drift,
    pub twins: Twins,
    pub events: Vec<Event>,
    /// Counts frames.
    pub frames: u64,
    levels: Levels,
    /// Rows of a frame that are levels, by instrument.
    grouped: Vec<(u32, (u32, u32))>,
    /// Texts of a row, joined.
    joined: Vec<u8>,
    missing: Vec<Missing>,
    /// Trades without a number that another connection had brought before.
    pub repeated: u64,
}

/// The rows of one instrument and emit of a frame are one event: this joins them.
struct Joiner {
    index: u32,
    end: usize,
}

impl Joiner {
    const fn new() -> Self {
        Self { index: 0, end: 0 }
    }

    /// Takes the end of the event before off if it was of the same instrument and records of this one follow it directly.
    fn joined(&mut self, index: u32, start: usize, records: &mut [Record]) {
        if records.len() == start {
            return;
        }
        if self.index == index && self.end == start && start > 0 {
            records[start - 1].flags &= !flag::LAST_OF_EVENT;
        }
        *self = Self {
            index,
            end: records.len(),
        };
    }
}

impl Engine {
    #[must_use]
    pub fn new(books: Books) -> Self {
        Self {
            books,
            known: Vec::new(),
            indexes: HashMap::new(),
            names: Names::default(),
            links: HashMap::new(),
            drift: Drift::default(),
            twins: Twins::default(),
            events: Vec::new(),
            frames: 0,
            levels: Levels::default(),
            grouped: Vec::new(),
            joined: Vec::new(),
            missing: Vec::new(),
            repeated: 0,
        }
    }

    /// The instrument of a row; otherwise the row is a dead letter.
    #[inline]
    fn instrument(
        &self,
        key: &KeyPlan,
        row: Row<'_>,
        call: &Call<'_>,
        out: &mut Decoded,
    ) -> Option<u32> {
        match key.read(row, call.bound) {
            Ok(name) => {
                let found = self.names.find(call.market, &name);
                if found.is_none() && !self.names.is_passed_over(call.market, &name) {
                    refuse_name(&name, call, out);
                }
                found
            }
            Err(trouble) => {
                out.refuse(call.index, || trouble.reason(call.frame));
                None
            }
        }
    }

    #[inline]
    fn hear(&mut self, index: u32, what: Heard, link: u32) {
        let heard = &mut self.known[index as usize].heard[what as usize];
        *heard = (heard.0 + 1, link);
    }

    pub fn trades(
        &mut self,
        plan: &TradesPlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        for row in rows_of(rows, call) {
            if !plan.only.is_empty() && !all_hold(&plan.only, row) {
                continue;
            }
            let Some(index) = self.instrument(&plan.key, row, call, out) else {
                continue;
            };
            let (mut record, id) = match trades::trade(plan, row, call.ts_recv) {
                Ok(read) => read,
                Err(trouble) => {
                    out.refuse(call.index, || trouble.reason(call.frame));
                    continue;
                }
            };
            if record.side == 0 {
                self.look_at_side(plan, row, call);
            }
            self.books.arrived(index, call.ts_recv, &mut out.records);
            if plan.kind == kind::TRADE {
                self.hear(index, Heard::Trades, call.link);
            }
            let has_twin = self.twins.has(call.link);
            if has_twin && self.is_twice(index, plan.kind, &record, &id, call) {
                continue;
            }
            let is_history = record.flags & flag::HISTORY != 0;
            let number = match &id {
                _ if !plan.chained => None,
                _ if plan.chained_by_seq => (record.seq != 0).then_some(record.seq),
                Id::Number(number) => Some(*number),
                _ => None,
            };
            let print = Print {
                id: record.id,
                seq: record.seq,
                ts_event: record.ts_event,
                covers: trades::covers(plan, row),
            };
            let mut is_late = is_history;
            if is_history && !plan.chained && !has_twin && self.was_missed(index, print) {
                record.flags ^= flag::HISTORY | flag::BACKFILLED;
            }
            if let Some(number) = number {
                is_late = self.chain_trade(index, number, print, call, out);
                if is_history && is_late {
                    continue; // history that a subscription tells anew
                }
                let begun = self.known[index as usize].begun;
                if is_history && begun != 0 && begun != self.frames {
                    // of after the first subscription: it was missed when it happened
                    record.flags ^= flag::HISTORY | flag::BACKFILLED;
                    self.known[index as usize].refilled += 1;
                }
            }
            if plan.kind == kind::TRADE {
                let late = Late {
                    is_late,
                    is_history,
                    is_numbered: matches!(id, Id::Number(_)),
                };
                if self.remember(index, print, late) {
                    record.flags |= flag::BACKFILLED;
                }
            }
            if let Id::Text(text) = id {
                let text = String::from_utf8_lossy(&text).into_owned();
                out.texts.push((out.records.len(), text));
            }
            record.instrument = self.known[index as usize].id;
            out.records.push(record);
        }
    }

    /// Counts the word of a side that is neither the buyer's nor the seller's.
    #[cold]
    fn look_at_side(&mut self, plan: &TradesPlan, row: Row<'_>, call: &Call<'_>) {
        let Some(aggressor) = &plan.aggressor else {
            return;
        };
        if let Some(place) = aggressor.path.said(row) {
            let word = row.frame.text(place);
            self.drift
                .value(call.message, aggressor.path.text(), &word, row.frame);
        }
    }

    pub fn quotes(
        &mut self,
        plan: &QuotesPlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let mut joiner = Joiner::new();
        for row in rows_of(rows, call) {
            let Some(index) = self.instrument(&plan.key, row, call, out) else {
                continue;
            };
            let quote = match self.read_quote(plan, index, row, call) {
                Ok(Some(quote)) => quote,
                Ok(None) => {
                    self.books.arrived(index, call.ts_recv, &mut out.records);
                    continue;
                }
                Err(trouble) => {
                    out.refuse(call.index, || trouble.reason(call.frame));
                    continue;
                }
            };
            self.books.arrived(index, call.ts_recv, &mut out.records);
            self.hear(index, Heard::Quotes, call.link);
            let start = out.records.len();
            self.books.quote(index, &quote, &mut out.records);
            joiner.joined(index, start, &mut out.records);
        }
    }

    #[inline]
    fn read_quote<'p>(
        &mut self,
        plan: &'p QuotesPlan,
        index: u32,
        row: Row<'_>,
        call: &Call<'_>,
    ) -> Result<Option<Quote>, Trouble<'p>> {
        let ts_event = time_of(plan.time.as_ref(), row, call.ts_recv)?;
        let seq = sequence(plan.seq.as_ref(), row)?;
        let has_twin = self.twins.has(call.link);
        if let (true, Some(number)) = (has_twin, seq) {
            self.twins
                .note(index, kind::BID, number, call.link, call.ts_recv);
        }
        let news = provenance(seq, plan.time.is_some().then_some(ts_event), call);
        if !self.books.takes_quote(index, &news, has_twin) {
            return Ok(None);
        }
        let [bid, ask] = trades::quote(plan, row, &mut self.known[index as usize].quote)?;
        Ok(Some(Quote {
            bid,
            ask,
            seq,
            comparable: plan.comparable,
            origin: origin(ts_event, call),
        }))
    }

    pub fn measures(
        &mut self,
        plan: &MeasuresPlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let mut joiner = Joiner::new();
        for row in rows_of(rows, call) {
            let Some(index) = self.instrument(&plan.key, row, call, out) else {
                continue;
            };
            let read = check_measures(plan, row, call);
            let ts_event = match read {
                Ok(ts_event) => ts_event,
                Err(trouble) => {
                    out.refuse(call.index, || trouble.reason(call.frame));
                    continue;
                }
            };
            self.books.arrived(index, call.ts_recv, &mut out.records);
            self.hear(index, Heard::Measures, call.link);
            if !self.takes_measures(plan, index, ts_event, call) {
                continue;
            }
            let start = out.records.len();
            self.tell_measures(plan, index, row, origin(ts_event, call), &mut out.records);
            joiner.joined(index, start, &mut out.records);
        }
    }

    /// Appends the values that changed, as one event.
    #[inline]
    fn tell_measures(
        &mut self,
        plan: &MeasuresPlan,
        index: u32,
        row: Row<'_>,
        origin: Record,
        records: &mut Vec<Record>,
    ) {
        let known = &mut self.known[index as usize];
        let remembered = known
            .measures
            .get_or_insert_with(|| Box::new([None; MEASURES]));
        let start = records.len();
        for value in &plan.values {
            let Ok(Some((decimal, exact))) = trades::measure(value, row) else {
                continue;
            };
            let last = &mut remembered[slot(value.kind)];
            if last.is_some_and(|last| last.compare(decimal).is_eq()) {
                continue;
            }
            *last = Some(decimal);
            records.push(Record {
                instrument: known.id,
                price: decimal.mantissa,
                price_scale: decimal.scale,
                kind: value.kind,
                flags: if exact { 0 } else { flag::INEXACT_SIZE },
                ..origin
            });
        }
        if records.len() > start
            && let Some(last) = records.last_mut()
        {
            last.flags |= flag::LAST_OF_EVENT;
        }
    }

    /// Whether a row has a text, of those that the venue class wants to see, that is not what it was for its instrument.
    pub fn changed(
        &mut self,
        message: usize,
        plan: &MessagePlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
    ) -> bool {
        let Some(key) = plan.emits.first().and_then(EmitPlan::key) else {
            return false;
        };
        let mut changed = false;
        for row in rows_of(rows, call) {
            let name = key.read(row, call.bound).ok();
            let Some(index) = name.and_then(|name| self.names.find(call.market, &name)) else {
                continue;
            };
            self.joined.clear();
            for path in &plan.cold_when_changed {
                let place = path.said(row).filter(|&at| !is_nested(row.frame.token(at)));
                if let Some(place) = place {
                    self.joined.extend_from_slice(&row.frame.text(place));
                }
                self.joined.push(0);
            }
            let hash = xxh3_64(&self.joined);
            let seen = &mut self.known[index as usize].seen_texts;
            match seen.iter_mut().find(|(of, _)| *of == message) {
                Some((_, before)) => changed |= core::mem::replace(before, hash) != hash,
                None => {
                    seen.push((message, hash));
                    changed = true;
                }
            }
        }
        changed
    }
}

fn rows_of<'a>(rows: &[(u32, u32)], call: &Call<'a>) -> impl Iterator<Item = Row<'a>> {
    let frame = call.frame;
    rows.iter().map(move |&(place, outer)| Row {
        frame,
        place,
        outer,
    })
}

#[cold]
fn refuse_name(name: &[u8], call: &Call<'_>, out: &mut Decoded) {
    out.refuse(call.index, || {
        let shown = String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned();
        format!("expected an instrument of the list, found {shown:?}")
    });
}

/// Reads all values, so that half an event is never told; the time of the row.
#[inline]
fn check_measures<'p>(
    plan: &'p MeasuresPlan,
    row: Row<'_>,
    call: &Call<'_>,
) -> Result<i64, Trouble<'p>> {
    for value in &plan.values {
        trades::measure(value, row)?;
    }
    time_of(plan.time.as_ref(), row, call.ts_recv)
}

const fn provenance(seq: Option<i64>, ts_event: Option<i64>, call: &Call<'_>) -> Provenance {
    Provenance {
        link: call.link,
        seq,
        ts_event,
        ts_recv: call.ts_recv,
    }
}

const fn origin(ts_event: i64, call: &Call<'_>) -> Record {
    Record {
        ts_event,
        ts_recv: call.ts_recv,
        instrument: 0,
        seq: 0,
        id: 0,
        price: 0,
        size: 0,
        kind: 0,
        side: 0,
        price_scale: 0,
        size_scale: 0,
        flags: 0,
        detail: 0,
    }
}

/// What a path of rows found instead of rows, for people.
#[must_use]
pub fn no_rows(path: &str, frame: Frame<'_>) -> String {
    let found = if says_something(frame.token(0)) {
        shown(frame, 0)
    } else {
        "nothing".to_owned()
    };
    format!("expected rows at {path:?}, found none in {found}")
}
