//! Glue for FIX: messages out of a stream, fields, and the market data decoder.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickcast_core::decimal::Decimal;
use tickcast_core::fix::{self, Mode, Options, Subject};
use tickcast_core::record::as_bytes;

use crate::bytes::{bytes_of, dead_of};

type Levels = Vec<(String, String, u32)>;

/// FIX text is Latin-1 where nothing else was agreed upon.
fn text(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct FixRun {
    msg_type: String,
    begin: String,
    sender: String,
    target: String,
    first_seq: u64,
    count: usize,
    poss_dup: bool,
    sending_min_ns: i64,
    sending_max_ns: i64,
    offset: usize,
    raw: Py<PyBytes>,
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct FixFrames {
    consumed: usize,
    messages: usize,
    runs: Vec<Py<FixRun>>,
    damaged: Vec<(usize, &'static str, Py<PyBytes>, usize)>,
}

#[pyfunction]
#[pyo3(signature = (data, *, mode="stream", message_max=1_048_576, at_end=false))]
fn fix_split(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    mode: &str,
    message_max: usize,
    at_end: bool,
) -> PyResult<FixFrames> {
    let mode = match mode {
        "stream" => Mode::Stream,
        "log" => Mode::Log,
        "bare" => Mode::Bare,
        other => {
            return Err(PyValueError::new_err(format!(
                "expected the mode stream, log or bare, found {other:?}"
            )));
        }
    };
    let bytes = bytes_of(data)?;
    let bytes: &[u8] = bytes.as_ref();
    let frames = py.detach(|| fix::split(bytes, mode, message_max, at_end));
    let raw = |start: usize, end: usize| PyBytes::new(py, &bytes[start..end]).unbind();
    let mut runs = Vec::with_capacity(frames.runs.len());
    for run in &frames.runs {
        runs.push(Py::new(
            py,
            FixRun {
                msg_type: text(run.msg_type),
                begin: text(run.begin),
                sender: text(run.sender),
                target: text(run.target),
                first_seq: run.first_seq,
                count: run.count,
                poss_dup: run.poss_dup,
                sending_min_ns: run.sending_min_ns,
                sending_max_ns: run.sending_max_ns,
                offset: run.start,
                raw: raw(run.start, run.end),
            },
        )?);
    }
    Ok(FixFrames {
        consumed: frames.consumed,
        messages: frames.runs.iter().map(|run| run.count).sum(),
        runs,
        damaged: frames
            .damaged
            .iter()
            .map(|damage| {
                let raw = raw(damage.start, damage.end);
                (damage.start, damage.reason, raw, damage.after)
            })
            .collect(),
    })
}

#[pyfunction]
fn fix_is_bare(head: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(fix::is_bare(&bytes_of(head)?))
}

#[pyfunction]
fn fix_fields(message: &Bound<'_, PyAny>) -> PyResult<Vec<(u32, String)>> {
    let bytes = bytes_of(message)?;
    let fields = fix::Fields::new(&bytes).map(|field| {
        let field = field.map_err(|reason| {
            PyValueError::new_err(format!("expected tag=value fields: {reason}"))
        })?;
        Ok((field.tag, text(field.value)))
    });
    fields.collect()
}

#[pyfunction]
fn fix_time(value: &str) -> Option<i64> {
    fix::timestamp(value.as_bytes())
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct FixDecoded {
    records: Py<PyBytes>,
    texts: Vec<(usize, String)>,
    instruments: Vec<Py<PyDict>>,
    events: Vec<(&'static str, String, String)>,
    messages: usize,
    dead: Vec<(usize, &'static str, Py<PyBytes>)>,
    dead_count: usize,
    unpriced: usize,
}

const fn subject(subject: Subject) -> &'static str {
    match subject {
        Subject::Snapshot => "snapshot",
        Subject::Lost => "lost",
        Subject::LostAll => "lost_all",
        Subject::Refused => "refused",
        Subject::Listed => "listed",
        Subject::Other => "other",
    }
}

fn decoded_of(py: Python<'_>, decoded: fix::Decoded) -> PyResult<FixDecoded> {
    let mut instruments = Vec::with_capacity(decoded.definitions.len());
    for definition in &decoded.definitions {
        let dict = PyDict::new(py);
        for (name, value) in definition.fields() {
            dict.set_item(name, value)?;
        }
        instruments.push(dict.unbind());
    }
    let events = decoded.events.into_iter();
    Ok(FixDecoded {
        records: PyBytes::new(py, as_bytes(&decoded.records)).unbind(),
        texts: decoded.texts,
        instruments,
        events: events
            .map(|event| (subject(event.subject), event.name, event.detail))
            .collect(),
        messages: decoded.messages,
        dead: dead_of(py, &decoded.dead),
        dead_count: decoded.dead_count,
        unpriced: decoded.unpriced,
    })
}

#[pyclass(module = "tickcast._native")]
struct FixDecoder(fix::FixDecoder);

#[pymethods]
impl FixDecoder {
    #[new]
    #[pyo3(signature = (venue, *, symbols=None, depth=0, wait_for_snapshot=false, round_lot=None))]
    fn new(
        venue: &str,
        symbols: Option<Vec<String>>,
        depth: usize,
        wait_for_snapshot: bool,
        round_lot: Option<&str>,
    ) -> PyResult<Self> {
        let round_lot = round_lot
            .map(|lot| Decimal::parse(lot.as_bytes()))
            .transpose()
            .map_err(|error| {
                PyValueError::new_err(format!(
                    "expected a round lot, found {round_lot:?}: {error}"
                ))
            })?;
        Ok(Self(fix::FixDecoder::new(
            venue,
            Options {
                symbols,
                depth,
                wait_for_snapshot,
                round_lot,
            },
        )))
    }

    #[pyo3(signature = (messages, ts_recv, *, flags=0))]
    fn decode(
        &mut self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        ts_recv: i64,
        flags: u16,
    ) -> PyResult<FixDecoded> {
        let bytes = bytes_of(messages)?;
        let (bytes, decoder) = (bytes.as_ref(), &mut self.0);
        let decoded = py.detach(move || decoder.decode(bytes, ts_recv, flags));
        decoded_of(py, decoded)
    }

    fn flush(&mut self, py: Python<'_>) -> PyResult<FixDecoded> {
        decoded_of(py, self.0.flush())
    }

    #[pyo3(signature = (symbols, *, missing, next_seq, ts_recv))]
    fn lose<'py>(
        &mut self,
        py: Python<'py>,
        symbols: Option<Vec<String>>,
        missing: u64,
        next_seq: u64,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(
            py,
            as_bytes(&self.0.lose(symbols.as_deref(), missing, next_seq, ts_recv)),
        )
    }

    fn expect(&mut self, request: &str) {
        self.0.expect(request);
    }

    #[pyo3(signature = (*, held, ts_recv))]
    fn hold<'py>(&mut self, py: Python<'py>, held: bool, ts_recv: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.hold(held, ts_recv)))
    }

    fn watch_books<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.watch_books(instruments, ts_recv)))
    }

    fn snapshot<'py>(&self, py: Python<'py>, ts_recv: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot(ts_recv)))
    }

    fn book(&self, symbol: &str, depth: usize) -> (Levels, Levels) {
        let [bids, asks] = self.0.book(symbol, depth).map(|levels| {
            let levels = levels.iter();
            levels
                .map(|level| {
                    (
                        level.price.to_string(),
                        level.size.to_string(),
                        level.orders,
                    )
                })
                .collect()
        });
        (bids, asks)
    }

    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (id, symbol) in self.0.names() {
            dict.set_item(id, symbol)?;
        }
        Ok(dict)
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fix_split, module)?)?;
    module.add_function(wrap_pyfunction!(fix_is_bare, module)?)?;
    module.add_function(wrap_pyfunction!(fix_fields, module)?)?;
    module.add_function(wrap_pyfunction!(fix_time, module)?)?;
    module.add_class::<FixRun>()?;
    module.add_class::<FixFrames>()?;
    module.add_class::<FixDecoded>()?;
    module.add_class::<FixDecoder>()
}
