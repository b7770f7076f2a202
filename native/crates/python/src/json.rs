//! Glue for declared JSON venues.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickcast_core::books::Level;
use tickcast_core::decimal::format_decimal;
use tickcast_core::inflate::Inflater;
use tickcast_core::json::{self, Decoded, Foreign, NamedBreak, Print, Wanted};
use tickcast_core::record::as_bytes;

use crate::intake::ALONE_BYTES;

type Side = Vec<(String, String)>;

/// Id, sequence, event time and ids covered of a trade.
type PrintTuple = (u64, u64, i64, u64);

const fn told(print: Print) -> PrintTuple {
    (print.id, print.seq, print.ts_event, print.covers)
}

#[pyclass(frozen, get_all, module = "tickcast._native")]
struct JsonBreak {
    instrument: u64,
    reason: &'static str,
    scope: &'static str,
    text: String,
    message: String,
    expected: i64,
    found: i64,
    frame: u32,
    cause: u64,
}

impl From<NamedBreak> for JsonBreak {
    fn from(NamedBreak { message, event }: NamedBreak) -> Self {
        Self {
            instrument: event.instrument,
            reason: event.reason.word(),
            scope: event.scope.word(),
            text: event.text,
            message,
            expected: event.expected,
            found: event.found,
            frame: event.frame,
            cause: event.cause,
        }
    }
}

#[pyclass(frozen, get_all, module = "tickcast._native")]
struct JsonDecoded {
    is_plain: bool,
    records: Py<PyBytes>,
    texts: Py<PyDict>,
    cold: Vec<(usize, usize)>,
    unpacked: Py<PyDict>,
    control: u64,
    dead: Vec<(usize, String)>,
    dead_count: u64,
    breaks: Vec<Py<JsonBreak>>,
    whole: Vec<u64>,
    short: Vec<u64>,
    holes: Vec<(u64, usize, PrintTuple, PrintTuple, u64)>,
    losses: Vec<(u64, usize, PrintTuple, Option<PrintTuple>)>,
}

fn handed_over(py: Python<'_>, decoded: Decoded) -> PyResult<JsonDecoded> {
    let is_plain = decoded.is_plain();
    let texts = PyDict::new(py);
    for (index, text) in decoded.texts {
        texts.set_item(index, text)?;
    }
    let unpacked = PyDict::new(py);
    for (index, text) in decoded.unpacked {
        unpacked.set_item(index, PyBytes::new(py, &text))?;
    }
    let breaks = decoded.breaks.into_iter();
    Ok(JsonDecoded {
        is_plain,
        records: PyBytes::new(py, as_bytes(&decoded.records)).unbind(),
        texts: texts.unbind(),
        cold: decoded.cold,
        unpacked: unpacked.unbind(),
        control: decoded.control,
        dead: decoded.dead,
        dead_count: decoded.dead_count,
        breaks: breaks
            .map(|each| Py::new(py, JsonBreak::from(each)))
            .collect::<PyResult<_>>()?,
        whole: decoded.whole,
        short: decoded.short,
        holes: decoded
            .holes
            .into_iter()
            .map(|hole| {
                let (after, before) = (told(hole.after), told(hole.before));
                (hole.instrument, hole.frame, after, before, hole.missing)
            })
            .collect(),
        losses: decoded
            .losses
            .into_iter()
            .map(|loss| {
                (
                    loss.instrument,
                    loss.frame,
                    told(loss.after),
                    loss.first.map(told),
                )
            })
            .collect(),
    })
}

fn side(levels: &[Level]) -> Side {
    let text = |level: &Level| {
        (
            format_decimal(level.price.mantissa, level.price.scale),
            format_decimal(level.size.mantissa, level.size.scale),
        )
    };
    levels.iter().map(text).collect()
}

#[pyclass(module = "tickcast._native")]
struct JsonFeed(json::JsonFeed);

#[pymethods]
impl JsonFeed {
    #[new]
    #[pyo3(signature = (dialect, *, depth=0))]
    fn new(dialect: &[u8], depth: usize) -> PyResult<Self> {
        json::JsonFeed::new(dialect, depth)
            .map(Self)
            .map_err(PyValueError::new_err)
    }

    #[pyo3(signature = (market, native, instrument, *, book, quotes, state))]
    fn define(
        &mut self,
        market: &str,
        native: &str,
        instrument: u64,
        book: bool,
        quotes: bool,
        state: u8,
    ) {
        let wanted = Wanted {
            book,
            quotes,
            state,
        };
        self.0.define(market, native, instrument, wanted);
    }

    fn pass_over(&mut self, market: &str, native: &str) {
        self.0.pass_over(market, native);
    }

    fn forget(&mut self, market: &str, native: &str) {
        self.0.forget(market, native);
    }

    fn open_link(&mut self, link: u32, market: &str) {
        self.0.open_link(link, market);
    }

    fn pair(&mut self, one: u32, other: u32) {
        self.0.pair(one, other);
    }

    fn line_up(&mut self, instrument: u64, one: u32, other: u32) {
        self.0.line_up(instrument, one, other);
    }

    fn succeed(&mut self, old: u32, new: u32) {
        self.0.succeed(old, new);
    }

    fn close_link<'py>(&mut self, py: Python<'py>, link: u32, ts_recv: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.close_link(link, ts_recv)))
    }

    fn lines(&mut self, ts_recv: i64) -> Vec<(u32, u64, u64, u64, i64)> {
        let counted = self.0.lines(ts_recv);
        let mut lines: Vec<_> = counted
            .map(|(link, line)| (link, line.first, line.late, line.missing, line.lead_ns()))
            .collect();
        lines.sort_unstable();
        lines
    }

    fn left_out(&self) -> u64 {
        self.0.left_out()
    }

    fn is_joined(&self) -> bool {
        self.0.is_joined()
    }

    fn book_link(&self, instrument: u64) -> Option<u32> {
        self.0.book_link(instrument)
    }

    fn decode(
        &mut self,
        py: Python<'_>,
        link: u32,
        frames: Vec<Bound<'_, PyBytes>>,
        times: Vec<i64>,
    ) -> PyResult<JsonDecoded> {
        if frames.len() != times.len() {
            return Err(PyValueError::new_err(format!(
                "expected a time for each of {} frames, found {}",
                frames.len(),
                times.len()
            )));
        }
        let bytes: Vec<&[u8]> = frames.iter().map(|frame| frame.as_bytes()).collect();
        let feed = &mut self.0;
        let decoded = if bytes.iter().map(|frame| frame.len()).sum::<usize>() < ALONE_BYTES {
            feed.decode(link, bytes.into_iter().zip(times))
        } else {
            py.detach(move || feed.decode(link, bytes.into_iter().zip(times)))
        };
        handed_over(py, decoded)
    }

    fn rest_book(
        &mut self,
        py: Python<'_>,
        instrument: u64,
        body: &[u8],
        ts_recv: i64,
    ) -> PyResult<JsonDecoded> {
        let feed = &mut self.0;
        let decoded = py.detach(move || feed.rest_book(instrument, body, ts_recv));
        handed_over(py, decoded)
    }

    fn rest_trades(
        &mut self,
        py: Python<'_>,
        instrument: u64,
        body: &[u8],
        ts_recv: i64,
    ) -> PyResult<JsonDecoded> {
        let feed = &mut self.0;
        let decoded = py.detach(move || feed.rest_trades(instrument, body, ts_recv));
        handed_over(py, decoded)
    }

    fn mark_trades(&mut self, instrument: u64) -> Option<PrintTuple> {
        self.0.mark_trades(instrument).map(told)
    }

    fn first_trade(&self, instrument: u64) -> Option<PrintTuple> {
        self.0.first_trade(instrument).map(told)
    }

    fn refilled_trades(&self, instrument: u64) -> u64 {
        self.0.refilled_trades(instrument)
    }

    fn filled_trades(&mut self, instrument: u64, newest: PrintTuple, number: u64) {
        let (id, seq, ts_event, covers) = newest;
        let newest = Print {
            id,
            seq,
            ts_event,
            covers,
        };
        self.0.filled_trades(instrument, newest, number);
    }

    fn compare(
        &mut self,
        py: Python<'_>,
        instrument: u64,
        body: &[u8],
        levels: usize,
        ts_recv: i64,
    ) -> PyResult<String> {
        let feed = &mut self.0;
        py.detach(move || feed.compare(instrument, body, levels, ts_recv))
            .map_err(PyValueError::new_err)
    }

    fn misses(
        &mut self,
        py: Python<'_>,
        instrument: u64,
        body: &[u8],
        levels: usize,
    ) -> PyResult<String> {
        let feed = &mut self.0;
        py.detach(move || feed.misses(instrument, body, levels))
            .map_err(PyValueError::new_err)
    }

    fn watch_books<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.watch_books(&instruments, ts_recv)))
    }

    fn doubt<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.doubt(&instruments, ts_recv)))
    }

    fn trust<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.trust(&instruments, ts_recv)))
    }

    fn suspend<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        state: u8,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        let records = self.0.suspend(&instruments, state, ts_recv);
        PyBytes::new(py, as_bytes(&records))
    }

    fn set_state<'py>(
        &mut self,
        py: Python<'py>,
        instrument: u64,
        state: u8,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.set_state(instrument, state, ts_recv)))
    }

    fn state(&self, instrument: u64) -> u8 {
        self.0.state(instrument)
    }

    fn book(&self, instrument: u64, depth: usize) -> (Side, Side) {
        let [bids, asks] = self.0.book(instrument, depth);
        (side(&bids), side(&asks))
    }

    fn last_id(&self, instrument: u64) -> i64 {
        self.0.last_id(instrument)
    }

    fn activity(&self) -> Vec<(u64, u64)> {
        self.0.activity().collect()
    }

    fn heard(&self) -> Vec<(u64, u8, u32, u64)> {
        self.0.heard().collect()
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, counts) in self.0.counts() {
            let known = [
                ("frames", counts.frames),
                ("rows", counts.rows),
                ("records", counts.records),
                ("dead", counts.dead),
            ];
            let dict = PyDict::new(py);
            let before = all.get_item(name)?;
            for (key, value) in known {
                // messages of one name, in several declarations, are counted together
                let sum: u64 = match &before {
                    Some(before) => before.get_item(key)?.extract()?,
                    None => 0,
                };
                dict.set_item(key, sum + value)?;
            }
            all.set_item(name, dict)?;
        }
        let books = self.0.books();
        let checksums = PyDict::new(py);
        checksums.set_item("verified", books.verified)?;
        checksums.set_item("failed", books.failed)?;
        checksums.set_item("zero", books.zero)?;
        all.set_item("checksums", checksums)?;
        let sums = PyDict::new(py);
        sums.set_item("breaks", books.breaks)?;
        sums.set_item("levels", books.levels)?;
        sums.set_item("buffered", books.buffered)?;
        sums.set_item("bytes", books.bytes)?;
        all.set_item("books", sums)?;
        Ok(all)
    }

    fn drift(&self, py: Python<'_>) -> Vec<ForeignTuple> {
        foreign(py, self.0.drift())
    }

    fn foreign_values(&self, py: Python<'_>) -> Vec<ForeignTuple> {
        foreign(py, self.0.foreign_values())
    }
}

/// Message, key, how often seen, one frame.
type ForeignTuple = (String, String, u64, Py<PyBytes>);

fn foreign(py: Python<'_>, found: Vec<Foreign>) -> Vec<ForeignTuple> {
    found
        .into_iter()
        .map(|each| {
            let frame = PyBytes::new(py, &each.frame).unbind();
            (each.message, each.key, each.count, frame)
        })
        .collect()
}

/// One packed frame, unpacked; others as they are.
#[pyfunction]
fn unpack_frame<'py>(frame: &Bound<'py, PyBytes>, max: usize) -> PyResult<Bound<'py, PyBytes>> {
    if !Inflater::is_packed(frame.as_bytes()) {
        return Ok(frame.clone());
    }
    let mut inflater = Inflater::new(max);
    let text = inflater
        .inflate(frame.as_bytes())
        .map_err(PyValueError::new_err)?;
    Ok(PyBytes::new(frame.py(), text))
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(unpack_frame, module)?)?;
    module.add_class::<JsonBreak>()?;
    module.add_class::<JsonDecoded>()?;
    module.add_class::<JsonFeed>()
}
