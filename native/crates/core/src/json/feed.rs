//! A feed of a declared venue: frames in, records out.

mod states;

use super::binding::{Bindings, candidates};
use super::decoded::{Decoded, Print};
use super::dialect::{Dialect, Packing};
use super::drift::is_sampled;
use super::engine::{Call, Engine, Known, Link, no_rows};
use super::path::{Frame, NoRows, Row, Rows};
use super::plan::{CounterPlan, EmitPlan, MessagePlan, Plan};
use super::read::Condition;
use super::tape::{Fault, Tape};
use super::twins::LineCounts;
use crate::books::{Books, Jump, Output, Reason};
use crate::inflate::Inflater;
use crate::record::Record;

/// What one kind of frame brought so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    pub rows: u64,
    pub records: u64,
    pub dead: u64,
}

/// Place of a probe that was not looked up yet, and of one that is not there.
const UNKNOWN: u32 = u32::MAX;
const ABSENT: u32 = u32::MAX - 1;

/// How far a counter may lie behind for its frame to be one that comes late, and not a new count.
const LATE_MAX: i64 = 1_000;

/// See `JsonFeed` in `src/tickcast/_native.pyi`.
pub struct JsonFeed {
    plan: Plan,
    /// Of each message: index of its own market.
    markets: Vec<Option<usize>>,
    engine: Engine,
    tape: Tape,
    /// Where frames come packed.
    inflater: Option<Inflater>,
    probes: Vec<u32>,
    bindings: Bindings,
    /// Messages that a frame can be whose number is bound to nothing.
    unbound: Box<[usize]>,
    rows: Vec<(u32, u32)>,
    /// Those of one emit that has its own.
    own_rows: Vec<(u32, u32)>,
    counts: Vec<Counts>,
    /// Rows of `define`, which knows no time.
    untold: Vec<Record>,
}

impl JsonFeed {
    /// Makes a feed of a declaration in JSON; `depth` levels a side are published.
    ///
    /// # Errors
    /// The declaration makes no sense; says where.
    pub fn new(dialect: &[u8], depth: usize) -> Result<Self, String> {
        let declared: Dialect = serde_json::from_slice(dialect)
            .map_err(|error| format!("expected a dialect, found: {error}"))?;
        let plan = Plan::new(&declared)?;
        let books = Books::new(plan.rules.clone(), depth, plan.buffer_max)
            .with_comparable_quotes(plan.has_comparable_quotes());
        let mut engine = Engine::new(books);
        let markets = plan
            .messages
            .iter()
            .map(|message| {
                message
                    .market
                    .as_ref()
                    .map(|name| engine.names.market(name))
            })
            .collect();
        Ok(Self {
            markets,
            engine,
            tape: Tape::default(),
            inflater: (plan.packing == Packing::Gzip).then(|| Inflater::new(plan.unpacked_max)),
            probes: vec![UNKNOWN; plan.probes.len()],
            bindings: Bindings::default(),
            unbound: candidates(&plan, &[]),
            rows: Vec::new(),
            own_rows: Vec::new(),
            counts: vec![Counts::default(); plan.messages.len()],
            untold: Vec::new(),
            plan,
        })
    }

    /// Makes an instrument known. Again for a known one, only its state changes, which the next frame tells; another name
    /// is one more of it.
    pub fn define(&mut self, market: &str, native: &str, instrument: u64, wanted: Wanted) {
        let engine = &mut self.engine;
        let market = engine.names.market(market);
        if let Some(&index) = engine.indexes.get(&instrument) {
            engine.names.insert(market, native.as_bytes(), index);
            if engine.books.venue_state(index) != wanted.state {
                let untold = &mut self.untold;
                engine.books.set_state(index, wanted.state, 0, untold);
            }
            return;
        }
        let index = engine
            .books
            .define(instrument, wanted.book, wanted.quotes, wanted.state);
        let places = index as usize + 1;
        if engine.known.len() < places {
            engine.known.resize_with(places, Known::default);
        }
        engine.known[index as usize].id = instrument;
        engine.indexes.insert(instrument, index);
        engine.names.insert(market, native.as_bytes(), index);
    }

    /// An instrument is listed and was not asked for: rows of it are no mistake, and nothing is told of them.
    pub fn pass_over(&mut self, market: &str, native: &str) {
        let market = self.engine.names.market(market);
        self.engine.names.pass_over(market, native.as_bytes());
    }

    pub fn forget(&mut self, market: &str, native: &str) {
        let engine = &mut self.engine;
        let market = engine.names.market(market);
        engine.names.remove_passed(market, native.as_bytes());
        if let Some(index) = engine.names.find(market, native.as_bytes()) {
            engine.names.remove(index);
            engine.books.forget(index);
            let known = core::mem::take(&mut engine.known[index as usize]);
            engine.indexes.remove(&known.id);
            engine.twins.forget(index);
        }
    }

    pub fn open_link(&mut self, link: u32, market: &str) {
        let market = self.engine.names.market(market);
        let next = self.plan.counter.as_ref().and_then(|counter| counter.first);
        self.engine.links.insert(link, Link { market, next });
        self.bindings.open(link);
        self.engine.books.open_link(link);
    }

    /// These two connections bring the same: one takes the other's place, or they are lines A and B of instruments.
    pub fn pair(&mut self, one: u32, other: u32) {
        self.engine.twins.pair(one, other);
    }

    /// An instrument comes over both of these connections: how they do is counted.
    pub fn line_up(&mut self, instrument: u64, one: u32, other: u32) {
        if let Some(index) = self.index(instrument) {
            self.engine.twins.line_up(index, one, other);
        }
    }

    /// A connection takes the place of another one as a line of instruments; its counts go on.
    pub fn succeed(&mut self, old: u32, new: u32) {
        self.engine.twins.succeed(old, new);
    }

    /// A connection is over and does not come back: what it brought comes over another one.
    pub fn close_link(&mut self, link: u32, ts_recv: i64) -> Vec<Record> {
        let mut records = Vec::new();
        self.engine.close_link(link, ts_recv, &mut records);
        records
    }

    /// Counts of each line at a time, by its connection.
    pub fn lines(&mut self, ts_recv: i64) -> impl Iterator<Item = (u32, &LineCounts)> {
        self.engine.twins.counts(ts_recv)
    }

    /// Rows and messages that another connection had brought before, and that are told by no key.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.engine.repeated + self.engine.books.left_out()
    }

    /// Whether no difference of a book waits for another connection to come to where it begins.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.engine.books.is_joined()
    }

    /// Connection that feeds the book of an instrument.
    #[must_use]
    pub fn book_link(&self, instrument: u64) -> Option<u32> {
        self.index(instrument)
            .and_then(|index| self.engine.books.link(index))
    }

    /// Decodes whole frames in order, with the times of their receipt.
    pub fn decode<'f>(
        &mut self,
        link: u32,
        frames: impl Iterator<Item = (&'f [u8], i64)>,
    ) -> Decoded {
        let mut out = Decoded::default();
        let (expected, _) = frames.size_hint();
        out.records.reserve(expected);
        let mut opened = self.engine.links.get(&link).copied().unwrap_or_default();
        let mut inflater = self.inflater.take();
        for (index, (bytes, ts_recv)) in frames.enumerate() {
            if !self.untold.is_empty() {
                self.tell(ts_recv, &mut out.records);
            }
            let Some(inflater) = inflater.as_mut().filter(|_| Inflater::is_packed(bytes)) else {
                self.frame(&mut opened, link, index, (bytes, ts_recv), &mut out);
                continue;
            };
            match inflater.inflate(bytes) {
                Ok(text) => {
                    let cold = out.cold.len();
                    self.frame(&mut opened, link, index, (text, ts_recv), &mut out);
                    if out.cold.len() > cold {
                        out.unpacked.push((index, text.to_vec()));
                    }
                }
                Err(reason) => out.refuse(index, || reason),
            }
        }
        self.inflater = inflater;
        self.engine.links.insert(link, opened);
        out
    }

    fn frame(
        &mut self,
        opened: &mut Link,
        link: u32,
        index: usize,
        (bytes, ts_recv): (&[u8], i64),
        out: &mut Decoded,
    ) {
        if let Err(fault) = self.tape.read(bytes) {
            not_json(&self.plan, bytes, fault, index, out);
            return;
        }
        self.engine.frames += 1;
        let frame = Frame {
            bytes,
            tape: &self.tape,
        };
        let binding = self.plan.binding.as_ref();
        let bound = binding.and_then(|plan| self.bindings.of(&self.plan, plan, link, frame));
        let candidates = bound.map_or(&*self.unbound, |bound| &*bound.candidates);
        let message = matching(&self.plan, candidates, &mut self.probes, frame);
        let mut call = Call {
            frame,
            index,
            ts_recv,
            link,
            market: opened.market,
            message: message.unwrap_or_default(),
            late: false,
            counted: false,
            bound,
        };
        let name = message.map_or("", |message| self.plan.messages[message].name.as_str());
        if let Some(counter) = &self.plan.counter {
            let place = place_of(&self.plan, counter, &mut self.probes, frame);
            call.counted = place.is_some();
            call.late = count(counter, place, opened, &mut self.engine, &call, out);
            let books = &self.engine.books;
            out.take(&mut self.engine.events, name, |index| {
                books.instrument(index)
            });
        }
        let Some(message) = message else {
            if let Some(binding) = binding {
                self.bindings.take(&self.plan, binding, link, frame);
            }
            out.cold.push((index, out.records.len()));
            return;
        };
        let plan = &self.plan.messages[message];
        if let Some(market) = self.markets[message] {
            call.market = market;
        }
        let counts = &mut self.counts[message];
        counts.frames += 1;
        if plan.emits.is_empty() {
            out.control += 1;
            return;
        }
        let (records, dead) = (out.records.len(), out.dead_count);
        self.rows.clear();
        rows(plan, &call, &mut self.rows, &mut self.engine, out);
        if is_sampled(counts.frames - 1) {
            self.engine.drift.look(message, plan, frame, &self.rows);
        }
        for emit in &plan.emits {
            match emit {
                EmitPlan::Trades(emit) => {
                    let rows = match &emit.rows {
                        None => &self.rows,
                        Some(path) => {
                            own_rows(path, plan, &call, &mut self.own_rows, out);
                            &self.own_rows
                        }
                    };
                    self.engine.trades(emit, rows, &call, out);
                }
                EmitPlan::Quotes(emit) => self.engine.quotes(emit, &self.rows, &call, out),
                EmitPlan::Book(emit) => self.engine.book(emit, &self.rows, &call, out),
                EmitPlan::Measures(emit) => self.engine.measures(emit, &self.rows, &call, out),
            }
        }
        if !self.engine.events.is_empty() {
            let books = &self.engine.books;
            out.take(&mut self.engine.events, name, |index| {
                books.instrument(index)
            });
        }
        if !plan.cold_when_changed.is_empty()
            && self.engine.changed(message, plan, &self.rows, &call)
        {
            out.cold.push((index, out.records.len()));
        }
        counts.rows += self.rows.len() as u64;
        counts.records += (out.records.len() - records) as u64;
        counts.dead += out.dead_count - dead;
    }

    /// Tells what `define` changed.
    fn tell(&mut self, ts_recv: i64, records: &mut Vec<Record>) {
        records.extend(self.untold.drain(..).map(|row| Record {
            ts_event: ts_recv,
            ts_recv,
            ..row
        }));
    }

    /// Takes a book from REST: differences that waited are applied on top of it.
    pub fn rest_book(&mut self, instrument: u64, body: &[u8], ts_recv: i64) -> Decoded {
        let mut out = Decoded::default();
        match self.rest_row(instrument, body) {
            Ok((index, place)) => {
                let frame = Frame {
                    bytes: body,
                    tape: &self.tape,
                };
                if let Some(plan) = &self.plan.rest_book {
                    let row = Row::alone(frame, place);
                    self.engine.rest(plan, index, row, ts_recv, &mut out);
                }
            }
            Err(reason) => out.refuse(0, || reason),
        }
        let books = &self.engine.books;
        out.take(&mut self.engine.events, "", |index| books.instrument(index));
        out
    }

    /// Compares a book with one from REST.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn compare(
        &mut self,
        instrument: u64,
        body: &[u8],
        levels: usize,
        ts_recv: i64,
    ) -> Result<String, String> {
        let (index, place) = self.rest_row(instrument, body)?;
        let Some(plan) = &self.plan.rest_book else {
            return Err("expected a declared rest_book, found none".to_owned());
        };
        let frame = Frame {
            bytes: body,
            tape: &self.tape,
        };
        let row = Row::alone(frame, place);
        self.engine.compare(plan, index, row, levels, ts_recv)
    }

    /// Whether a book that fell silent misses what one from REST has; see [`Books::misses`].
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn misses(
        &mut self,
        instrument: u64,
        body: &[u8],
        levels: usize,
    ) -> Result<String, String> {
        let (index, place) = self.rest_row(instrument, body)?;
        let Some(plan) = &self.plan.rest_book else {
            return Err("expected a declared rest_book, found none".to_owned());
        };
        let frame = Frame {
            bytes: body,
            tape: &self.tape,
        };
        let row = Row::alone(frame, place);
        self.engine.misses(plan, index, row, levels)
    }

    /// Reads trades of an instrument from REST, oldest first, flagged as fetched; what was told before is among them.
    pub fn rest_trades(&mut self, instrument: u64, body: &[u8], ts_recv: i64) -> Decoded {
        let mut out = Decoded::default();
        let Some(plan) = &self.plan.rest_trades else {
            out.refuse(0, || {
                "expected a declared rest_trades, found none".to_owned()
            });
            return out;
        };
        if let Err(fault) = self.tape.read(body) {
            out.refuse(0, || no_json(fault));
            return out;
        }
        let frame = Frame {
            bytes: body,
            tape: &self.tape,
        };
        let all = Row::alone(frame, 0);
        if !plan.when.iter().all(|each| each.holds(all)) {
            let found = super::read::shown(frame, 0);
            out.refuse(0, || format!("expected trades, found {found}"));
            return out;
        }
        self.rows.clear();
        if plan.rows.collect_list(frame, &mut self.rows).is_err() {
            out.refuse(0, || no_rows(plan.rows.text(), frame));
            return out;
        }
        if plan.newest_first {
            self.rows.reverse();
        }
        super::trades::fetched(plan, frame, &self.rows, (instrument, ts_recv), &mut out);
        out
    }

    /// The trade told last of an instrument; the first one behind it is what [`JsonFeed::first_trade`] says.
    pub fn mark_trades(&mut self, instrument: u64) -> Option<Print> {
        let index = self.index(instrument)?;
        self.engine.mark(index)
    }

    /// Missed trades that a subscription told as history since [`JsonFeed::mark_trades`].
    #[must_use]
    pub fn refilled_trades(&self, instrument: u64) -> u64 {
        self.index(instrument)
            .map_or(0, |index| self.engine.refilled(index))
    }

    /// The first trade told since [`JsonFeed::mark_trades`].
    #[must_use]
    pub fn first_trade(&self, instrument: u64) -> Option<Print> {
        self.engine.first_trade(self.index(instrument)?)
    }

    /// Trades up to this one were fetched; `number`: where trades are chained, its own.
    pub fn filled_trades(&mut self, instrument: u64, print: Print, number: u64) {
        if let Some(index) = self.index(instrument) {
            self.engine.filled(index, print, number);
        }
    }

    /// Index of the instrument, and where the book stands in an answer.
    fn rest_row(&mut self, instrument: u64, body: &[u8]) -> Result<(u32, u32), String> {
        if self.plan.rest_book.is_none() {
            return Err("expected a declared rest_book, found none".to_owned());
        }
        let index = self
            .index(instrument)
            .ok_or("expected a known instrument")?;
        self.tape.read(body).map_err(no_json)?;
        let frame = Frame {
            bytes: body,
            tape: &self.tape,
        };
        let Some(rows) = &self.plan.rest_rows else {
            return Ok((index, 0));
        };
        let place = rows
            .find_from(frame, 0)
            .ok_or_else(|| no_rows(rows.text(), frame))?;
        Ok((index, place))
    }

    /// Index of an instrument that is known.
    fn index(&self, instrument: u64) -> Option<u32> {
        self.engine.indexes.get(&instrument).copied()
    }
}

/// What is wanted of an instrument.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub book: bool,
    pub quotes: bool,
    /// By the venue's list.
    pub state: u8,
}

fn no_json(fault: Fault) -> String {
    format!(
        "expected JSON, found at byte {}: {}",
        fault.offset, fault.reason
    )
}

/// A frame that is no JSON: one of the declared words, or a dead letter.
#[cold]
fn not_json(plan: &Plan, bytes: &[u8], fault: Fault, index: usize, out: &mut Decoded) {
    if plan.plain.iter().any(|plain| **plain == *bytes) {
        out.control += 1;
    } else {
        out.refuse(index, || no_json(fault));
    }
}

/// The first declared message whose conditions hold.
#[inline]
fn matching(
    plan: &Plan,
    candidates: &[usize],
    probes: &mut [u32],
    frame: Frame<'_>,
) -> Option<usize> {
    probes.fill(UNKNOWN);
    let mut candidates = candidates.iter().copied();
    candidates.find(|&index| hold(plan, &plan.messages[index].when, probes, frame))
}

/// Whether all conditions hold; each path is looked up once for each frame.
#[inline]
fn hold(
    plan: &Plan,
    conditions: &[(usize, Condition)],
    probes: &mut [u32],
    frame: Frame<'_>,
) -> bool {
    conditions.iter().all(|(probe, condition)| {
        if probes[*probe] == UNKNOWN {
            let row = Row::alone(frame, 0);
            probes[*probe] = plan.probes[*probe].find(row).unwrap_or(ABSENT);
        }
        let found = Some(probes[*probe]).filter(|&place| place != ABSENT);
        condition.holds(frame, found)
    })
}

/// Where the connection's counter stands in a frame.
#[inline]
fn place_of(
    plan: &Plan,
    counter: &CounterPlan,
    probes: &mut [u32],
    frame: Frame<'_>,
) -> Option<u32> {
    let mut places = counter.places.iter();
    let path = places
        .find(|(conditions, _)| hold(plan, conditions, probes, frame))
        .map_or(&counter.path, |(_, path)| path);
    path.said(Row::alone(frame, 0))
}

/// Collects the rows of one emit; where nothing stands there, there are none.
fn own_rows(
    path: &Rows,
    plan: &MessagePlan,
    call: &Call<'_>,
    rows: &mut Vec<(u32, u32)>,
    out: &mut Decoded,
) {
    rows.clear();
    if path.collect(call.frame, rows) == Err(NoRows::Scalar) {
        out.refuse(call.index, || no_rows(path.text(), call.frame));
    }
    if plan.newest_first {
        rows.reverse();
    }
}

/// Collects the rows of a frame; where there are none, it is a dead letter, and breaks the book that it names.
#[inline]
fn rows(
    plan: &MessagePlan,
    call: &Call<'_>,
    rows: &mut Vec<(u32, u32)>,
    engine: &mut Engine,
    out: &mut Decoded,
) {
    if plan.rows.collect(call.frame, rows).is_err() {
        let reason = no_rows(plan.rows.text(), call.frame);
        for emit in &plan.emits {
            if let EmitPlan::Book(book) = emit {
                engine.book_without_rows(book, &reason, call, out);
            }
        }
        out.refuse(call.index, || reason);
    }
    if plan.newest_first {
        for list in rows.chunk_by_mut(|one, next| one.1 == next.1) {
            list.reverse();
        }
    }
}

/// Checks the connection's counter; true: the frame comes late or again.
fn count(
    plan: &CounterPlan,
    place: Option<u32>,
    link: &mut Link,
    engine: &mut Engine,
    call: &Call<'_>,
    out: &mut Decoded,
) -> bool {
    let Some(place) = place else { return false };
    let next = &mut link.next;
    let text = call.frame.text(place);
    let Some(found) = super::read::whole(&text).and_then(|found| i64::try_from(found).ok()) else {
        out.refuse(call.index, || {
            let text = super::read::shown(call.frame, place);
            format!(
                "expected a whole number at {:?}, found {text}",
                plan.path.text()
            )
        });
        return false;
    };
    let Some(expected) = *next else {
        *next = found.checked_add(1);
        return false;
    };
    let begins_anew = plan.first == Some(found) && found + 1 != expected;
    if found < expected && expected - found <= LATE_MAX && !begins_anew {
        return true;
    }
    *next = found.checked_add(1);
    if found != expected {
        let text = format!(
            "expected {expected} at {:?}, found {found}",
            plan.path.text()
        );
        let jump = Jump {
            reason: Reason::Counter,
            text: &text,
            kind: u16::MAX,
            expected,
            found,
            frame: call.index as u32,
            ts_recv: call.ts_recv,
        };
        let mut output = Output {
            records: &mut out.records,
            events: &mut engine.events,
        };
        engine.books.break_link(call.link, &jump, &mut output);
        if plan.counts_trades {
            engine.lose_trades(call.link, call.index, out);
        }
    }
    false
}
