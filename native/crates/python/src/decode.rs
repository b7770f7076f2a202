//! Glue for values, wire formats, dedup, last records and the sequence check.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickcast_core::decimal::{self, Decimal};
use tickcast_core::itch::{self, Message, Value};
use tickcast_core::record::{Record, as_bytes, from_bytes};
use tickcast_core::sequence::{self, Verdict};
use tickcast_core::{dedup, last, soup};

use crate::arbiter::LineBlock;
use crate::bytes::{bytes_of, dead_of};

pub fn records_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<Record>> {
    let bytes = bytes_of(object)?;
    from_bytes(&bytes).ok_or_else(|| {
        PyValueError::new_err(format!(
            "expected a multiple of 64 bytes of records, found {}",
            bytes.len()
        ))
    })
}

/// xxh3-64 of `VENUE:SYMBOL`.
#[pyfunction]
fn instrument_id(name: &str) -> u64 {
    tickcast_core::record::instrument_id(name)
}

#[pyfunction]
fn parse_decimal(text: &str) -> PyResult<(i64, u8)> {
    let decimal = Decimal::parse(text.as_bytes()).map_err(|error| {
        PyValueError::new_err(format!(
            "expected a decimal number, found {text:?}: {error}"
        ))
    })?;
    Ok((decimal.mantissa, decimal.scale))
}

#[pyfunction]
fn format_decimal(mantissa: i64, scale: u8) -> String {
    decimal::format_decimal(mantissa, scale)
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct SoupFrames {
    consumed: usize,
    messages: Py<PyBytes>,
    sequenced: usize,
    control: Vec<(char, Py<PyBytes>)>,
}

#[pyfunction]
fn soup_split(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<SoupFrames> {
    let bytes = bytes_of(data)?;
    let frames = soup::split(&bytes).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let control = frames.control.iter();
    Ok(SoupFrames {
        consumed: frames.consumed,
        messages: PyBytes::new(py, &frames.messages).unbind(),
        sequenced: frames.sequenced,
        control: control
            .map(|(letter, payload)| (char::from(*letter), PyBytes::new(py, payload).unbind()))
            .collect(),
    })
}

/// A message's fields by name, put into a dict as they are visited.
pub struct Fields<'py> {
    pub dict: Bound<'py, PyDict>,
    pub result: PyResult<()>,
}

impl<'py> Fields<'py> {
    pub fn new(py: Python<'py>) -> Self {
        Self {
            dict: PyDict::new(py),
            result: Ok(()),
        }
    }

    pub fn set(&mut self, name: &str, value: Value<'_>) {
        let dict = &self.dict;
        let set = match value {
            Value::Number(number) => dict.set_item(name, number),
            Value::Letter(letter) => dict.set_item(name, char::from(letter)),
            Value::Text(text) => dict.set_item(
                name,
                text.iter().copied().map(char::from).collect::<String>(),
            ),
            Value::Price(mantissa, scale) => dict.set_item(name, price_text(mantissa, scale)),
        };
        if self.result.is_ok() {
            self.result = set;
        }
    }

    pub fn finish(self) -> PyResult<Bound<'py, PyDict>> {
        self.result.map(|()| self.dict)
    }
}

fn fields<'py>(py: Python<'py>, message: Message<'_>) -> PyResult<Bound<'py, PyDict>> {
    let mut fields = Fields::new(py);
    message.visit(&mut |name, value| fields.set(name, value));
    fields.finish()
}

/// A price of the wire as text; a circuit breaker level may be above an `i64`.
pub fn price_text(mantissa: u64, scale: u8) -> String {
    i64::try_from(mantissa).map_or_else(
        |_| {
            let power = 10_u64.pow(scale.into());
            format!(
                "{}.{:0width$}",
                mantissa / power,
                mantissa % power,
                width = usize::from(scale)
            )
        },
        |mantissa| decimal::format_decimal(mantissa, scale),
    )
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
pub struct Decoded {
    pub records: Py<PyBytes>,
    pub instruments: Vec<Py<PyDict>>,
    pub messages: usize,
    pub dead: Vec<(usize, &'static str, Py<PyBytes>)>,
    pub dead_count: usize,
    pub unpriced: usize,
    pub unknown: usize,
    pub unpriced_trades: usize,
    pub suspects: Vec<u64>,
    pub met: Vec<String>,
}

fn handed_over(py: Python<'_>, decoded: &itch::Decoded) -> PyResult<Decoded> {
    let mut instruments = Vec::with_capacity(decoded.directory.len());
    for bytes in &decoded.directory {
        let message =
            Message::parse(bytes).map_err(|fault| PyValueError::new_err(fault.reason()))?;
        instruments.push(fields(py, message)?.unbind());
    }
    Ok(Decoded {
        records: PyBytes::new(py, as_bytes(&decoded.records)).unbind(),
        instruments,
        messages: decoded.messages,
        dead: dead_of(py, &decoded.dead),
        dead_count: decoded.dead_count,
        unknown: decoded.unknown,
        unpriced: decoded.unpriced,
        unpriced_trades: decoded.unpriced_trades,
        suspects: decoded.suspects.clone(),
        met: decoded
            .met
            .iter()
            .map(|name| name.iter().copied().map(char::from).collect::<String>())
            .collect(),
    })
}

#[pyclass(module = "tickcast._native")]
struct ItchDecoder(itch::ItchDecoder);

#[pymethods]
impl ItchDecoder {
    #[new]
    #[pyo3(signature = (venue, midnight_ns, *, symbols=None, depth=0))]
    fn new(venue: &str, midnight_ns: i64, symbols: Option<Vec<String>>, depth: usize) -> Self {
        Self(itch::ItchDecoder::new(venue, midnight_ns, symbols, depth))
    }

    fn decode(
        &mut self,
        py: Python<'_>,
        block: &Bound<'_, PyAny>,
        first_seq: u64,
        ts_recv: i64,
    ) -> PyResult<Decoded> {
        let bytes = bytes_of(block)?;
        let (bytes, decoder) = (bytes.as_ref(), &mut self.0);
        let decoded = py.detach(move || decoder.decode(bytes, first_seq, ts_recv));
        handed_over(py, &decoded)
    }

    fn decode_lines(
        &mut self,
        py: Python<'_>,
        blocks: Vec<PyRef<'_, LineBlock>>,
    ) -> PyResult<Decoded> {
        let mut decoded = itch::Decoded::default();
        for block in &blocks {
            let messages = block.messages.as_bytes(py);
            decoded.absorb(self.0.decode(messages, block.first_seq, block.ts_recv));
        }
        handed_over(py, &decoded)
    }

    #[expect(clippy::type_complexity, reason = "the stub's tuple")]
    fn book(
        &self,
        symbol: &str,
        depth: usize,
    ) -> (Vec<(String, u64, u32)>, Vec<(String, u64, u32)>) {
        let [bids, asks] = self.0.book(symbol, depth).map(|levels| {
            let levels = levels.iter();
            levels
                .map(|level| {
                    (
                        decimal::format_decimal(level.price.into(), 4),
                        level.shares,
                        level.orders,
                    )
                })
                .collect()
        });
        (bids, asks)
    }

    fn watch_books<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.watch_books(instruments, ts_recv)))
    }

    #[pyo3(signature = (*, is_muted, ts_recv))]
    fn mute_books<'py>(
        &mut self,
        py: Python<'py>,
        is_muted: bool,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.mute_books(is_muted, ts_recv)))
    }

    fn snapshot<'py>(&mut self, py: Python<'py>, ts_recv: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot(ts_recv)))
    }

    fn stocks(&self) -> Vec<String> {
        let names = self.0.stocks();
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    #[getter]
    fn orders(&self) -> usize {
        self.0.orders()
    }
}

/// What [`itch_split`] found: whole messages, and what is none.
#[pyclass(module = "tickcast._native", frozen, get_all)]
struct ItchFrames {
    consumed: usize,
    blocks: Vec<(usize, usize, usize)>,
    damaged: Vec<(usize, usize, &'static str)>,
    ended: usize,
}

#[pyfunction]
#[pyo3(signature = (data, *, is_end=false))]
fn itch_split(py: Python<'_>, data: &Bound<'_, PyAny>, is_end: bool) -> PyResult<ItchFrames> {
    let bytes = bytes_of(data)?;
    let bytes = bytes.as_ref();
    let found = py.detach(move || itch::file::split(bytes, is_end));
    Ok(ItchFrames {
        consumed: found.consumed,
        blocks: found.blocks,
        damaged: found.damaged,
        ended: found.ended,
    })
}

#[pyfunction]
fn itch_messages<'py>(
    py: Python<'py>,
    block: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let bytes = bytes_of(block)?;
    itch::messages(&bytes)
        .map(|item| {
            let refuse = |offset: usize, reason: &str| {
                PyValueError::new_err(format!(
                    "expected an ITCH 5.0 message at offset {offset}, found: {reason}"
                ))
            };
            let (offset, message) =
                item.map_err(|offset| refuse(offset, "length runs past the end of the block"))?;
            fields(
                py,
                Message::parse(message).map_err(|fault| refuse(offset, fault.reason()))?,
            )
        })
        .collect()
}

#[pyclass(module = "tickcast._native")]
struct Dedup(dedup::Dedup);

#[pymethods]
impl Dedup {
    #[new]
    fn new(window: usize) -> PyResult<Self> {
        if window == 0 {
            return Err(PyValueError::new_err(
                "expected a window of at least 1 key, found 0",
            ));
        }
        Ok(Self(dedup::Dedup::new(window)))
    }

    fn filter<'py>(
        &mut self,
        py: Python<'py>,
        records: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let records = records_of(records)?;
        let dedup = &mut self.0;
        let passed = py.detach(move || dedup.filter(&records));
        Ok(PyBytes::new(py, as_bytes(&passed)))
    }

    #[getter]
    fn duplicates(&self) -> u64 {
        self.0.duplicates
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.len()
    }
}

#[pyclass(module = "tickcast._native")]
#[derive(Default)]
struct LastRecords(last::LastRecords);

#[pymethods]
impl LastRecords {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn update(&mut self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<()> {
        let records = records_of(records)?;
        let last = &mut self.0;
        py.detach(move || last.update(&records));
        Ok(())
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot()))
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[pyclass(module = "tickcast._native")]
struct SequenceCheck(sequence::SequenceCheck);

#[pymethods]
impl SequenceCheck {
    #[new]
    #[pyo3(signature = (expected=0, *, reset_below=0))]
    fn new(expected: u64, reset_below: u64) -> Self {
        Self(sequence::SequenceCheck::new(expected, reset_below))
    }

    fn check(&mut self, first: u64, count: u64) -> (&'static str, u64, u64) {
        match self.0.check(first, count) {
            Verdict::Next => ("next", 0, 0),
            Verdict::Gap { from, to } => ("gap", from, to),
            Verdict::Duplicate { from, to } => ("duplicate", from, to),
            Verdict::Overlap { from, to } => ("overlap", from, to),
            Verdict::Reset { from, to } => ("reset", from, to),
        }
    }

    #[pyo3(signature = (expected=0))]
    fn reset(&mut self, expected: u64) {
        self.0.reset(expected);
    }

    #[getter]
    fn expected(&self) -> u64 {
        self.0.expected
    }

    #[getter]
    fn gaps(&self) -> u64 {
        self.0.gaps
    }

    #[getter]
    fn missing(&self) -> u64 {
        self.0.missing
    }

    #[getter]
    fn duplicates(&self) -> u64 {
        self.0.duplicates
    }

    #[getter]
    fn resets(&self) -> u64 {
        self.0.resets
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(instrument_id, module)?)?;
    module.add_function(wrap_pyfunction!(parse_decimal, module)?)?;
    module.add_function(wrap_pyfunction!(format_decimal, module)?)?;
    module.add_function(wrap_pyfunction!(soup_split, module)?)?;
    module.add_function(wrap_pyfunction!(itch_messages, module)?)?;
    module.add_function(wrap_pyfunction!(itch_split, module)?)?;
    module.add_class::<ItchFrames>()?;
    module.add_class::<SoupFrames>()?;
    module.add_class::<Decoded>()?;
    module.add_class::<ItchDecoder>()?;
    module.add_class::<Dedup>()?;
    module.add_class::<LastRecords>()?;
    module.add_class::<SequenceCheck>()
}
