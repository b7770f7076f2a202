//! All books of a feed: what a message does, and whom a break concerns.

mod questions;
mod twins;

use super::book::{Book, Phase, Telling, packed};
use super::chain::{Fault, Ids, Step};
use super::checksum::{self, Verdict};
use super::ladder::Packed;
use super::rule::{Chain, Rule, Scope, SnapshotFrom};
use super::{
    BookMessage, Break, Change, ChecksumKind, Event, Jump, Output, Quote, Reason, Statistics, rows,
};
use crate::record::{Record, state};
use crate::shown::Shown;

/// Snapshots in a row that are asked for once more because they are older than what was seen.
const DOUBTED_MAX: u8 = 2;

/// Changes of one moment are all there after so long.
const CROSSED_MAX_NS: i64 = 1_000_000_000;

/// All books of a feed; each is known by the index that [`Books::define`] gave.
pub struct Books {
    rules: Vec<Rule>,
    shown: Shown,
    buffer_max: usize,
    /// The numbers of quotes count with the ids of books.
    comparable: bool,
    books: Vec<Option<Box<Book>>>,
    causes: u64,
    statistics: Statistics,
    scratch: Vec<u8>,
    /// Changes with the prices of named levels.
    resolved: Vec<Change>,
}

/// Where a fault came from, and when.
#[derive(Clone, Copy)]
struct Place {
    link: u32,
    kind: u16,
    frame: u32,
    ts_recv: i64,
    /// Next id in hand.
    next: i64,
}

impl Place {
    fn of(message: &BookMessage<'_>) -> Self {
        Self {
            link: message.link,
            kind: message.kind,
            frame: message.frame,
            ts_recv: message.origin.ts_recv,
            next: message.first.or(message.last).unwrap_or_default(),
        }
    }
}

impl Books {
    /// `rules`: one for each declared book, that of [`BookMessage::kind`]; `depth` levels a side of every book are told, see
    /// [`Books::watch`]; `buffer_max` differences of a book wait for a snapshot over REST.
    #[must_use]
    pub fn new(rules: Vec<Rule>, depth: usize, buffer_max: usize) -> Self {
        Self {
            rules,
            shown: Shown::new(depth),
            buffer_max: buffer_max.max(1),
            comparable: false,
            books: Vec::new(),
            causes: 0,
            statistics: Statistics::default(),
            scratch: Vec::new(),
            resolved: Vec::new(),
        }
    }

    /// Says that quotes and books count with the same ids (a declared quote is `comparable`): the newer of the two is the
    /// best bid and offer.
    #[must_use]
    pub fn with_comparable_quotes(mut self, comparable: bool) -> Self {
        self.comparable = comparable;
        self
    }

    /// Adds an instrument. `has_book`: a book is subscribed to; `has_quotes`: so is a stream of best bids and offers, otherwise
    /// the book gives them; `state`: by the venue's list.
    ///
    /// # Panics
    /// More than 2^32 instruments.
    pub fn define(&mut self, instrument: u64, has_book: bool, has_quotes: bool, state: u8) -> u32 {
        let shown = self.shown.levels(instrument);
        self.books.push(Some(Box::new(Book::new(
            instrument, has_book, has_quotes, state, shown,
        ))));
        u32::try_from(self.books.len() - 1).expect("fewer instruments than 2^32")
    }

    /// Drops an instrument; its index is not used again, and what is told of it after that is ignored.
    pub fn forget(&mut self, index: u32) {
        if let Some(slot) = self.books.get_mut(index as usize) {
            *slot = None;
        }
    }

    fn get(&self, index: u32) -> Option<&Book> {
        self.books.get(index as usize)?.as_deref()
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut Book> {
        self.books.get_mut(index as usize)?.as_deref_mut()
    }

    /// From now on the best levels of these instruments' books are told, and of no others beyond the depth given at the
    /// beginning: whole books of those that are new and whole, that the others are not known any more.
    pub fn watch(
        &mut self,
        instruments: impl IntoIterator<Item = u64>,
        ts_recv: i64,
        records: &mut Vec<Record>,
    ) {
        self.shown.watch(instruments);
        for book in self.books.iter_mut().flatten() {
            if book.has_book {
                book.show(self.shown.levels(book.instrument), ts_recv, records);
            }
        }
    }

    /// A connection begins (anew): its books must be joined by their chain, or begin anew.
    pub fn open_link(&mut self, link: u32) {
        for book in self.books.iter_mut().flatten() {
            if book.link == Some(link) {
                book.resume();
            }
            book.quotes.renew(link);
        }
    }

    /// Counts a row (of any kind) of an instrument: call it for every one, before what it tells. One without a book is up to
    /// date with the first: its state is told.
    pub fn arrived(&mut self, index: u32, ts_recv: i64, records: &mut Vec<Record>) {
        let Some(book) = self.get_mut(index) else {
            return;
        };
        book.rows += 1;
        if !book.has_book {
            book.is_stale = false;
        }
        if !book.has_book || book.told == state::EMPTY {
            book.tell_state(ts_recv, records);
        }
    }

    // ---------------------------------------------------------------- messages

    /// The venue's word for an instrument, as it was given last.
    #[must_use]
    pub fn venue_state(&self, index: u32) -> u8 {
        self.get(index)
            .map_or(state::EMPTY, |book| book.venue_state)
    }

    /// Takes a message of a book from the stream.
    pub fn message(&mut self, index: u32, message: &BookMessage<'_>, output: &mut Output<'_>) {
        if let Some(fault) = self.take(index, message, output) {
            self.fail(index, message, fault, output);
        }
    }

    fn take(
        &mut self,
        index: u32,
        message: &BookMessage<'_>,
        output: &mut Output<'_>,
    ) -> Option<Fault> {
        let rule = *self.rules.get(usize::from(message.kind))?;
        let book = self
            .books
            .get_mut(index as usize)?
            .as_deref_mut()
            .filter(|book| book.has_book)?;
        let is_unasked = rule.snapshot == SnapshotFrom::First && book.goes_on_at(message.link);
        let begins = (message.snapshot && !is_unasked) || rule.snapshot == SnapshotFrom::Every;
        let is_left_out = if begins {
            book.is_outdone(&rule, message)
        } else {
            book.is_foreign(rule.chain, message)
        };
        if is_left_out {
            if !begins && book.is_ahead(rule.chain, message) {
                book.waiting.push(message, self.buffer_max);
            } else {
                self.statistics.left_out += 1;
            }
            return None;
        }
        book.kind = Some(message.kind);
        (book.link, book.heard_ns) = (Some(message.link), message.origin.ts_recv);
        if message.snapshot && rule.snapshot == SnapshotFrom::Asked {
            self.rest(index, message, output);
            return None;
        }
        let ts_recv = message.origin.ts_recv;
        if begins || (rule.first_at.is_some() && rule.first_at == message.last) {
            let every = rule.snapshot == SnapshotFrom::Every && rule.chain == Chain::Ordered;
            if every && book.is_whole() && book.position.is_past(message.last, ts_recv) {
                return None;
            }
            return self.replace(index, &rule, message, output);
        }
        if !book.is_whole() {
            if rule.snapshot.is_waited_for() && book.waiting.push(message, self.buffer_max) {
                return Some(overflow(self.buffer_max));
            }
            return None;
        }
        match book.position.step(&rule, Ids::of(message), ts_recv) {
            Step::Ignore => None,
            Step::Break(fault) => Some(fault),
            Step::Apply { chained } => self
                .apply(index, &rule, message, chained, output)
                .or_else(|| self.catch_up(index, &rule, message, output)),
        }
    }

    /// Applies a difference that is in its place.
    fn apply(
        &mut self,
        index: u32,
        rule: &Rule,
        message: &BookMessage<'_>,
        chained: bool,
        output: &mut Output<'_>,
    ) -> Option<Fault> {
        let book = self.books[index as usize].as_deref_mut()?;
        let touched = if message.names.is_empty() {
            book.apply(packed(message))
        } else if let Err(fault) = book.named.resolve(message, &mut self.resolved) {
            return Some(fault);
        } else {
            book.apply(self.resolved.iter().map(Packed::new))
        };
        book.cut(depth_of(rule, message));
        match verify(rule, message, book, &mut self.scratch, &mut self.statistics) {
            Ok(true) => book.is_proved = true,
            Ok(false) => {
                let is_counted = rule.counted && message.counted;
                let is_checked_later = rule.checksum.is_some_and(ChecksumKind::is_apart);
                book.is_proved &= chained || is_counted || is_checked_later;
            }
            Err(fault) => return Some(fault),
        }
        let was_crossed = core::mem::take(&mut book.crossed_ns);
        if let Some(fault) = crossed(book) {
            if !is_of_one_moment(rule, was_crossed, message.origin.ts_recv) {
                return Some(fault);
            }
            book.crossed_ns = if was_crossed > 0 {
                was_crossed
            } else {
                message.origin.ts_recv.max(1)
            };
            return None;
        }
        let telling = Telling {
            origin: message.origin,
            follow: self.comparable,
            whole: false,
            touched: if was_crossed > 0 { [true; 2] } else { touched },
        };
        finish(index, book, &telling, output);
        None
    }

    /// Takes a whole book from the stream.
    fn replace(
        &mut self,
        index: u32,
        rule: &Rule,
        message: &BookMessage<'_>,
        output: &mut Output<'_>,
    ) -> Option<Fault> {
        let book = self.books[index as usize].as_deref_mut()?;
        book.waiting.clear();
        if let Err(fault) = book.named.begin(message) {
            return Some(fault);
        }
        book.crossed_ns = 0;
        book.replace(packed(message));
        book.cut(depth_of(rule, message));
        book.position = super::chain::Position {
            last: message.last,
            // what was on its way when it was made is in it, or begins before it
            after_snapshot: rule.snapshot == SnapshotFrom::First,
            ..Default::default()
        };
        (book.seen, book.doubted) = (message.last.unwrap_or_default(), 0);
        let is_chained = rule.chain.proves() && message.last.is_some();
        let is_counted = rule.counted && message.counted;
        let is_proved = is_chained || is_counted || rule.snapshot == SnapshotFrom::Every;
        match verify(rule, message, book, &mut self.scratch, &mut self.statistics) {
            Ok(verified) => book.is_proved = verified || is_proved,
            Err(fault) => return Some(fault),
        }
        if let Some(fault) = crossed(book) {
            return Some(fault);
        }
        let telling = Telling {
            origin: message.origin,
            follow: self.comparable,
            // where every message is the whole book, it says what changed
            whole: rule.snapshot != SnapshotFrom::Every,
            touched: [true; 2],
        };
        finish(index, book, &telling, output);
        None
    }

    /// Takes a whole book that was asked for, over REST or the connection: `last` is its id, `changes` its levels. (`snapshot`, `link` and the like do not matter.)
    /// The differences that waited are applied on top of it. One older than what a whole book has changes nothing.
    pub fn rest(&mut self, index: u32, message: &BookMessage<'_>, output: &mut Output<'_>) {
        let Some(book) = self
            .books
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let message = &BookMessage {
            kind: book.kind.unwrap_or(message.kind),
            ..*message
        };
        let Some(rule) = self
            .rules
            .get(usize::from(message.kind))
            .filter(|_| book.has_book)
        else {
            return;
        };
        let last = message.last.unwrap_or_default();
        if book.is_whole() && message.last.is_some() {
            let held = book.position.last.unwrap_or_default();
            if book.position.resumed && last == held {
                book.position.resumed = false; // nothing happened since
                became_whole(index, book, message.origin.ts_recv, output);
                return;
            }
            if !book.position.resumed && last <= held {
                return;
            }
        }
        let newest = book.seen.max(book.position.last.unwrap_or_default());
        let is_old = message.last.is_some() && last < newest && book.waiting.len() == 0;
        if is_old && book.doubted < DOUBTED_MAX {
            // a cache on the way may give old answers; what stays older is taken in the end: the numbers began anew
            book.doubted += 1;
            output.events.push(Event::Short(index));
            return;
        }
        book.doubted = 0;
        let Some(ready) = book.waiting.join(rule, last) else {
            output.events.push(Event::Short(index));
            return;
        };
        book.replace(packed(message));
        let mut origin = message.origin;
        let mut position = super::chain::Position {
            last: message.last,
            after_snapshot: true,
            ..Default::default()
        };
        for difference in ready {
            book.apply(difference.changes.iter().copied());
            position = super::chain::Position {
                last: difference.ids.last,
                ..Default::default()
            };
            origin.ts_event = difference.ts_event;
        }
        book.cut(depth_of(rule, message));
        (book.position, book.seen) = (position, position.last.unwrap_or_default());
        book.is_proved = rule.counted || (rule.chain.proves() && message.last.is_some());
        if let Some(fault) = crossed(book) {
            self.break_scope(
                Some(index),
                Scope::Instrument,
                Place::of(message),
                &fault,
                output,
            );
            return;
        }
        let telling = Telling {
            origin,
            follow: self.comparable,
            whole: true,
            touched: [true; 2],
        };
        finish(index, book, &telling, output);
    }

    // ---------------------------------------------------------------- breaks

    /// A message of a book could not be read: it breaks, in the scope of its rule. Of `message` the kind, link, frame and
    /// times count.
    pub fn malformed(
        &mut self,
        index: u32,
        message: &BookMessage<'_>,
        text: &str,
        output: &mut Output<'_>,
    ) {
        let fault = Fault {
            reason: Reason::Malformed,
            text: text.to_owned(),
            expected: 0,
            found: 0,
            missing: 0,
        };
        let Some(book) = self.get_mut(index).filter(|book| book.has_book) else {
            return;
        };
        if book.is_foreign(Chain::None, message) {
            return;
        }
        (book.kind, book.link) = (Some(message.kind), Some(message.link));
        self.fail(index, message, fault, output);
    }

    /// Breaks all books of a connection.
    pub fn break_link(&mut self, link: u32, jump: &Jump<'_>, output: &mut Output<'_>) {
        let missing = if jump.expected > 0 {
            jump.found.saturating_sub(jump.expected).max(0)
        } else {
            0
        };
        let fault = Fault {
            reason: jump.reason,
            text: jump.text.to_owned(),
            expected: jump.expected,
            found: jump.found,
            missing,
        };
        let place = Place {
            link,
            kind: jump.kind,
            frame: jump.frame,
            ts_recv: jump.ts_recv,
            next: jump.found,
        };
        self.break_scope(None, Scope::Connection, place, &fault, output);
    }

    /// Breaks a book, and the others in the scope of its rule.
    fn fail(
        &mut self,
        index: u32,
        message: &BookMessage<'_>,
        fault: Fault,
        output: &mut Output<'_>,
    ) {
        let rule = self.rules.get(usize::from(message.kind)).copied();
        let scope = match (rule, fault.reason) {
            (_, Reason::Overflow) | (None, _) => Scope::Instrument,
            (Some(rule), _) => rule.scope,
        };
        self.break_scope(Some(index), scope, Place::of(message), &fault, output);
        let Some(rule) = rule else { return };
        if rule.snapshot.is_waited_for() && fault.reason == Reason::Chain {
            // the first of what goes on from here
            if let Some(book) = self.books[index as usize].as_deref_mut() {
                book.waiting.push(message, self.buffer_max);
            }
        }
    }

    fn break_scope(
        &mut self,
        index: Option<u32>,
        scope: Scope,
        place: Place,
        fault: &Fault,
        output: &mut Output<'_>,
    ) {
        self.causes += 1;
        let concerned = |at: u32, book: &Book| {
            book.has_book
                && (Some(at) == index
                    || (scope != Scope::Instrument
                        && book.link == Some(place.link)
                        && (scope == Scope::Connection || book.kind == Some(place.kind))))
        };
        for (at, slot) in (0_u32..).zip(&mut self.books) {
            let Some(book) = slot.as_deref_mut().filter(|book| concerned(at, book)) else {
                continue;
            };
            self.statistics.breaks += 1;
            break_book(book, place, fault, output.records);
            output.events.push(Event::Break(Break {
                index: at,
                instrument: book.instrument,
                reason: fault.reason,
                scope,
                text: fault.text.clone(),
                kind: place.kind,
                expected: fault.expected,
                found: fault.found,
                frame: place.frame,
                cause: self.causes,
            }));
        }
    }

    // ---------------------------------------------------------------- quotes and states

    /// Takes a best bid and offer: the sides that changed are told. Not where the book gives them: a message that has
    /// them too (a ticker) is behind the book, and says nothing of a book that is not whole.
    pub fn quote(&mut self, index: u32, quote: &Quote, records: &mut Vec<Record>) {
        if let Some(book) = self.get_mut(index)
            && (book.has_quotes || !book.has_book)
        {
            book.quote(quote, records);
        }
    }

    /// Tells that a book is not up to date now: a status row if that is news. STALE keeps a book (a chain that goes on
    /// proves that nothing was missed), every other state drops it.
    pub fn suspend(&mut self, index: u32, state: u8, ts_recv: i64, records: &mut Vec<Record>) {
        let Some(book) = self.get_mut(index) else {
            return;
        };
        if !book.has_book {
            (book.is_stale, book.lost) = (state != state::LIVE, state);
        } else if state == state::LIVE {
            return; // nobody can say so but the book itself
        } else if book.is_whole() && state == state::STALE {
            (book.is_stale, book.lost) = (true, state);
            book.resume();
        } else if book.is_whole() {
            book.drop_levels(state);
            book.forget_levels(ts_recv, records);
        } else {
            book.lost = state;
            if state == state::STALE {
                book.resume();
            }
        }
        book.tell_state(ts_recv, records);
    }

    /// Tells that what a book says may be old, because its stream fell silent (STALE), though nothing says that something
    /// was missed: the next message that is in its place shows it again. One that is not whole stays what it is.
    pub fn doubt(&mut self, index: u32, ts_recv: i64, records: &mut Vec<Record>) {
        let Some(book) = self.get_mut(index) else {
            return;
        };
        if !book.is_stale && (book.is_whole() || !book.has_book) {
            (book.is_stale, book.lost) = (true, state::STALE);
            book.tell_state(ts_recv, records);
        }
    }

    /// Takes the doubt of [`Books::doubt`] back: the venue has nothing newer.
    pub fn trust(&mut self, index: u32, ts_recv: i64, records: &mut Vec<Record>) {
        let Some(book) = self.get_mut(index) else {
            return;
        };
        if book.is_stale && !book.position.resumed && (book.is_whole() || !book.has_book) {
            (book.is_stale, book.lost) = (false, state::SYNCING);
            book.tell_state(ts_recv, records);
        }
    }

    /// Takes the venue's word for an instrument; a status row if what is seen changes.
    pub fn set_state(&mut self, index: u32, state: u8, ts_recv: i64, records: &mut Vec<Record>) {
        if let Some(book) = self.get_mut(index) {
            book.venue_state = state;
            book.tell_state(ts_recv, records);
        }
    }
}

fn depth_of(rule: &Rule, message: &BookMessage<'_>) -> usize {
    (if message.depth > 0 {
        message.depth
    } else {
        rule.depth
    }) as usize
}

fn overflow(buffer_max: usize) -> Fault {
    Fault {
        reason: Reason::Overflow,
        text: format!(
            "expected a snapshot, found more than {buffer_max} differences that wait for it: the oldest are dropped"
        ),
        expected: 0,
        found: 0,
        missing: 0,
    }
}

/// Verifies a message's checksum. True = it proves the book.
fn verify(
    rule: &Rule,
    message: &BookMessage<'_>,
    book: &mut Book,
    scratch: &mut Vec<u8>,
    statistics: &mut Statistics,
) -> Result<bool, Fault> {
    match checksum::verify(
        rule.checksum,
        message.checksum,
        &book.ladders,
        &mut book.memory,
        scratch,
    ) {
        Verdict::Absent => Ok(false),
        Verdict::Zero => {
            statistics.zero += 1;
            Ok(false)
        }
        Verdict::Verified => {
            statistics.verified += 1;
            Ok(true)
        }
        Verdict::Failed { computed } => {
            statistics.failed += 1;
            let sent = message.checksum.unwrap_or_default();
            Err(Fault {
                reason: Reason::Checksum,
                text: format!(
                    "expected checksum {sent}, found {computed} ({}) of our book",
                    computed.cast_signed()
                ),
                expected: 0,
                found: message.last.unwrap_or_default(),
                missing: 0,
            })
        }
    }
}

/// Whether a crossed book may be in the midst of changes of one moment, which come in messages of their own with a checksum
/// behind them: nothing is told of it until it is not crossed any more. `since`: since when it is; 0 = since now.
fn is_of_one_moment(rule: &Rule, since: i64, ts_recv: i64) -> bool {
    let is_apart = rule.checksum.is_some_and(ChecksumKind::is_apart);
    is_apart && (since == 0 || ts_recv.saturating_sub(since) < CROSSED_MAX_NS)
}

/// A book of an open market whose best bid is at or above its best ask is wrong; before an auction it may be so.
fn crossed(book: &Book) -> Option<Fault> {
    let (bid, ask) = book.crossed().filter(|_| book.venue_state == state::LIVE)?;
    Some(Fault {
        reason: Reason::Crossed,
        text: format!("expected the best bid below the best ask, found {bid} and {ask}"),
        expected: 0,
        found: book.position.last.unwrap_or_default(),
        missing: 0,
    })
}

/// Tells a book that is whole: what it changed, and its state behind that; a worse state goes before.
fn finish(index: u32, book: &mut Book, telling: &Telling, output: &mut Output<'_>) {
    let ts_recv = telling.origin.ts_recv;
    if book.is_whole() && !book.is_stale && book.state() != state::LIVE {
        book.tell_state(ts_recv, output.records);
    }
    book.tell(telling, output.records);
    became_whole(index, book, ts_recv, output);
}

fn became_whole(index: u32, book: &mut Book, ts_recv: i64, output: &mut Output<'_>) {
    if book.become_whole() {
        output.events.push(Event::Whole(index));
    }
    book.tell_state(ts_recv, output.records);
}

/// Breaks one book: the gap is told before anything else; one that was not whole has nothing to lose but what waits.
fn break_book(book: &mut Book, place: Place, fault: &Fault, records: &mut Vec<Record>) {
    if fault.reason == Reason::Overflow {
        return; // the newest differences still wait
    }
    if book.phase != Phase::Whole {
        let (phase, lost) = (book.phase, book.lost);
        book.drop_levels(lost);
        book.phase = phase;
        return;
    }
    book.drop_levels(state::GAP);
    records.push(rows::gap(
        book.instrument,
        fault.missing,
        place.next,
        place.ts_recv,
    ));
    book.forget_levels(place.ts_recv, records);
    book.tell_state(place.ts_recv, records);
}
