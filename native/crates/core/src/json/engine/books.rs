//! Books of a frame: whole messages, rows that are levels, and answers over REST.

use super::{Call, Engine, Heard, origin, rows_of};
use crate::books::{BookMessage, Output};
use crate::json::decoded::Decoded;
use crate::json::levels::{self, BookRow, Levels};
use crate::json::path::Row;
use crate::json::plan::BookPlan;
use crate::json::read::{KeyPlan, Trouble};
use crate::record::kind;

impl Engine {
    pub fn book(
        &mut self,
        plan: &BookPlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let Some(key) = &plan.key else { return };
        if plan.has_rows() {
            self.book_of_rows(plan, key, rows, call, out);
            return;
        }
        for row in rows_of(rows, call) {
            let Some(index) = self.instrument(key, row, call, out) else {
                continue;
            };
            self.hear(index, Heard::Book, call.link);
            let read = levels::read(plan, row, call.ts_recv, &mut self.levels);
            if !call.late {
                self.take_book(plan, index, read, call, out);
            }
        }
    }

    /// Takes a message of a book whose levels were read, or could not be.
    #[inline]
    fn take_book(
        &mut self,
        plan: &BookPlan,
        index: u32,
        read: Result<BookRow, Trouble<'_>>,
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let mut output = Output {
            records: &mut out.records,
            events: &mut self.events,
        };
        match read {
            Ok(read) => {
                if let (true, Some(last)) = (self.twins.has(call.link), read.last) {
                    self.twins
                        .note(index, kind::BOOK_BID, last, call.link, call.ts_recv);
                }
                let message = book_message(plan, &read, call, &self.levels);
                self.books.arrived(index, call.ts_recv, output.records);
                self.books.message(index, &message, &mut output);
            }
            Err(trouble) => {
                let reason = trouble.reason(call.frame);
                let message = unread(plan, call);
                self.books.malformed(index, &message, &reason, &mut output);
                out.refuse(call.index, || reason);
            }
        }
    }

    /// Takes rows that are levels: those of one instrument are one message. A frame without any may say that a book is empty.
    fn book_of_rows(
        &mut self,
        plan: &BookPlan,
        key: &KeyPlan,
        rows: &[(u32, u32)],
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let mut grouped = core::mem::take(&mut self.grouped);
        grouped.clear();
        for (row, &place) in rows_of(rows, call).zip(rows) {
            if let Some(index) = self.instrument(key, row, call, out) {
                grouped.push((index, place));
            }
        }
        if !grouped.is_sorted_by_key(|&(index, _)| index) {
            grouped.sort_by_key(|&(index, _)| index); // stable: rows of an instrument keep their order
        }
        for group in grouped.chunk_by(|one, next| one.0 == next.0) {
            let index = group[0].0;
            self.hear(index, Heard::Book, call.link);
            let rows = group.iter().map(|&(_, (place, outer))| Row {
                frame: call.frame,
                place,
                outer,
            });
            let read = levels::read_rows(plan, rows, call.ts_recv, &mut self.levels);
            if let Some(read) = read.transpose().filter(|_| !call.late) {
                self.take_book(plan, index, read, call, out);
            }
        }
        self.grouped = grouped;
        if rows.is_empty() {
            self.empty_book(plan, call, out);
        }
    }

    /// Takes a frame that has no levels.
    #[cold]
    fn empty_book(&mut self, plan: &BookPlan, call: &Call<'_>, out: &mut Decoded) {
        let row = Row::alone(call.frame, 0);
        let Some(key) = plan.empty.as_ref().filter(|_| levels::is_empty(plan, row)) else {
            return;
        };
        let Some(index) = self.instrument(key, row, call, out) else {
            return;
        };
        self.hear(index, Heard::Book, call.link);
        self.levels = Levels::default();
        let read = BookRow {
            snapshot: true,
            first: None,
            last: None,
            previous: None,
            checksum: None,
            depth: 0,
            ts_event: call.ts_recv,
        };
        if !call.late {
            self.take_book(plan, index, Ok(read), call, out);
        }
    }

    /// A message of a book has no rows that could be read: the book breaks, if the frame itself names it.
    pub fn book_without_rows(
        &mut self,
        plan: &BookPlan,
        reason: &str,
        call: &Call<'_>,
        out: &mut Decoded,
    ) {
        let Some(key) = plan.key.as_ref().filter(|key| key.path.is_of_frame()) else {
            return;
        };
        let Ok(name) = key.read(Row::alone(call.frame, 0), call.bound) else {
            return;
        };
        let Some(index) = self.names.find(call.market, &name) else {
            return;
        };
        let mut output = Output {
            records: &mut out.records,
            events: &mut self.events,
        };
        self.books
            .malformed(index, &unread(plan, call), reason, &mut output);
    }

    /// Takes a book from REST.
    pub fn rest(
        &mut self,
        plan: &BookPlan,
        index: u32,
        row: Row<'_>,
        ts_recv: i64,
        out: &mut Decoded,
    ) {
        let call = Call {
            frame: row.frame,
            index: 0,
            ts_recv,
            link: 0,
            market: 0,
            message: 0,
            late: false,
            counted: false,
            bound: None,
        };
        match levels::read(plan, row, ts_recv, &mut self.levels) {
            Ok(read) => {
                let message = book_message(plan, &read, &call, &self.levels);
                let mut output = Output {
                    records: &mut out.records,
                    events: &mut self.events,
                };
                self.books.rest(index, &message, &mut output);
            }
            Err(trouble) => out.refuse(0, || trouble.reason(row.frame)),
        }
    }

    /// Whether a book that fell silent misses what one from REST has; see [`Books::misses`].
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn misses(
        &mut self,
        plan: &BookPlan,
        index: u32,
        row: Row<'_>,
        levels: usize,
    ) -> Result<String, String> {
        let read = levels::read(plan, row, 0, &mut self.levels)
            .map_err(|trouble| trouble.reason(row.frame))?;
        let changes = &self.levels.changes;
        Ok(self.books.misses(index, read.last, changes, levels))
    }

    /// Compares a book with one from REST; see [`Books::compare`].
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn compare(
        &mut self,
        plan: &BookPlan,
        index: u32,
        row: Row<'_>,
        levels: usize,
        now_ns: i64,
    ) -> Result<String, String> {
        let read = levels::read(plan, row, now_ns, &mut self.levels)
            .map_err(|trouble| trouble.reason(row.frame))?;
        let changes = &self.levels.changes;
        Ok(self
            .books
            .compare(index, read.last, changes, levels, now_ns))
    }
}

fn book_message<'c>(
    plan: &BookPlan,
    read: &BookRow,
    call: &Call<'_>,
    levels: &'c Levels,
) -> BookMessage<'c> {
    BookMessage {
        kind: plan.kind,
        link: call.link,
        frame: call.index as u32,
        snapshot: read.snapshot,
        first: read.first,
        last: read.last,
        previous: read.previous,
        checksum: read.checksum,
        counted: call.counted,
        depth: read.depth,
        changes: &levels.changes,
        names: &levels.names,
        origin: origin(read.ts_event, call),
    }
}

/// What is known of a message of a book that could not be read.
fn unread(plan: &BookPlan, call: &Call<'_>) -> BookMessage<'static> {
    BookMessage {
        kind: plan.kind,
        link: call.link,
        frame: call.index as u32,
        snapshot: false,
        first: None,
        last: None,
        previous: None,
        checksum: None,
        counted: call.counted,
        depth: 0,
        changes: &[],
        names: &[],
        origin: origin(call.ts_recv, call),
    }
}
