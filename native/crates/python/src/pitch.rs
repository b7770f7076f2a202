//! Glue for PITCH, binary and text.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickcast_core::decimal::format_decimal;
use tickcast_core::listing::ROUND_LOT;
use tickcast_core::orderbook::Level;
use tickcast_core::pitch::{self, Message};
use tickcast_core::record::as_bytes;

use crate::arbiter::LineBlock;
use crate::bytes::{bytes_of, dead_of};
use crate::decode::{Decoded, Fields};

type Rows = Vec<(String, u64, u32)>;

fn handed_over(py: Python<'_>, decoded: &pitch::Decoded) -> PyResult<Decoded> {
    let mut instruments = Vec::with_capacity(decoded.met.len());
    for met in &decoded.met {
        let dict = PyDict::new(py);
        dict.set_item("symbol", &met.symbol)?;
        dict.set_item("feed_symbol", &met.feed_symbol)?;
        dict.set_item("unit", met.unit)?;
        dict.set_item("round_lot", met.round_lot)?;
        dict.set_item("osi_symbol", &met.osi_symbol)?;
        instruments.push(dict.unbind());
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
        suspects: Vec::new(),
        met: Vec::new(),
    })
}

fn rows(levels: &[Level<u64>], price: impl Fn(u64) -> (i64, u8)) -> Rows {
    let row = |level: &Level<u64>| {
        let (mantissa, scale) = price(level.price);
        (format_decimal(mantissa, scale), level.shares, level.orders)
    };
    levels.iter().map(row).collect()
}

#[pyclass(module = "tickcast._native")]
struct PitchDecoder(pitch::PitchDecoder);

#[pymethods]
impl PitchDecoder {
    #[new]
    #[pyo3(signature = (venue, midnight_ns, *, symbols=None, depth=0, round_lot=ROUND_LOT))]
    fn new(
        venue: &str,
        midnight_ns: i64,
        symbols: Option<Vec<String>>,
        depth: usize,
        round_lot: u32,
    ) -> Self {
        Self(pitch::PitchDecoder::new(
            venue,
            midnight_ns,
            symbols,
            depth,
            round_lot,
        ))
    }

    fn decode(
        &mut self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        unit: u8,
        first_seq: u64,
        ts_recv: i64,
    ) -> PyResult<Decoded> {
        let bytes = bytes_of(messages)?;
        let (bytes, decoder) = (bytes.as_ref(), &mut self.0);
        let decoded = py.detach(move || decoder.decode(bytes, unit, first_seq, ts_recv));
        handed_over(py, &decoded)
    }

    fn decode_lines(
        &mut self,
        py: Python<'_>,
        blocks: Vec<PyRef<'_, LineBlock>>,
    ) -> PyResult<Decoded> {
        let mut decoded = pitch::Decoded::default();
        for block in &blocks {
            let messages = block.messages.as_bytes(py);
            let (unit, first) = (block.unit, block.first_seq);
            decoded.absorb(self.0.decode(messages, unit, first, block.ts_recv));
        }
        handed_over(py, &decoded)
    }

    fn reset(&mut self, unit: u8) {
        self.0.reset(unit);
    }

    fn clock(&self, unit: u8) -> Option<u32> {
        self.0.clock(unit)
    }

    #[pyo3(signature = (unit, seconds, midnight_ns=None))]
    fn set_clock(&mut self, unit: u8, seconds: Option<u32>, midnight_ns: Option<i64>) {
        self.0.set_clock(unit, seconds, midnight_ns);
    }

    fn instruments(&self, unit: u8) -> Vec<u64> {
        self.0.instruments(unit)
    }

    fn book(&self, symbol: &str, depth: usize) -> (Rows, Rows) {
        let [bids, asks] = self.0.book(symbol, depth);
        let price = |price| self.0.price(price);
        (rows(&bids, price), rows(&asks, price))
    }

    fn watch_books<'py>(
        &mut self,
        py: Python<'py>,
        instruments: Vec<u64>,
        ts_recv: i64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.watch_books(instruments, ts_recv)))
    }

    #[pyo3(signature = (ts_recv, unit=None))]
    fn snapshot<'py>(
        &mut self,
        py: Python<'py>,
        ts_recv: i64,
        unit: Option<u8>,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot(ts_recv, unit)))
    }

    #[getter]
    fn orders(&self) -> usize {
        self.0.orders()
    }
}

#[pyclass(module = "tickcast._native")]
struct PitchTextDecoder(pitch::PitchTextDecoder);

#[pymethods]
impl PitchTextDecoder {
    #[new]
    #[pyo3(signature = (venue, midnight_ns, *, symbols=None, depth=0, round_lot=ROUND_LOT))]
    fn new(
        venue: &str,
        midnight_ns: i64,
        symbols: Option<Vec<String>>,
        depth: usize,
        round_lot: u32,
    ) -> Self {
        Self(pitch::PitchTextDecoder::new(
            venue,
            midnight_ns,
            symbols,
            depth,
            round_lot,
        ))
    }

    fn decode(
        &mut self,
        py: Python<'_>,
        lines: &Bound<'_, PyAny>,
        first_seq: u64,
        ts_recv: i64,
    ) -> PyResult<Decoded> {
        let bytes = bytes_of(lines)?;
        let (bytes, decoder) = (bytes.as_ref(), &mut self.0);
        let decoded = py.detach(move || decoder.decode(bytes, first_seq, ts_recv));
        handed_over(py, &decoded)
    }

    fn finish(&mut self, py: Python<'_>, seq: u64, ts_recv: i64) -> PyResult<Decoded> {
        handed_over(py, &self.0.finish(seq, ts_recv))
    }

    fn book(&self, symbol: &str, depth: usize) -> (Rows, Rows) {
        let [bids, asks] = self.0.book(symbol, depth);
        let price = |price| self.0.price(price);
        (rows(&bids, price), rows(&asks, price))
    }

    fn snapshot<'py>(&mut self, py: Python<'py>, ts_recv: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot(ts_recv)))
    }

    #[getter]
    fn orders(&self) -> usize {
        self.0.orders()
    }
}

#[pyfunction]
fn pitch_messages<'py>(
    py: Python<'py>,
    messages: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let bytes = bytes_of(messages)?;
    pitch::messages(&bytes)
        .map(|item| {
            let refuse = |offset: usize, reason: &str| {
                PyValueError::new_err(format!(
                    "expected a PITCH message at offset {offset}, found: {reason}"
                ))
            };
            let (offset, message) =
                item.map_err(|offset| refuse(offset, "length does not fit in the block"))?;
            let message =
                Message::parse(message).map_err(|fault| refuse(offset, fault.reason()))?;
            let mut fields = Fields::new(py);
            fields.dict.set_item("type", message.code())?;
            fields.dict.set_item("name", message.name())?;
            message.visit(&mut |name, value| fields.set(name, value));
            fields.finish()
        })
        .collect()
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pitch_messages, module)?)?;
    module.add_class::<PitchDecoder>()?;
    module.add_class::<PitchTextDecoder>()
}
