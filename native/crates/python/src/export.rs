//! Glue for records as lines and their sums.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::decimal::format_decimal;
use tickcast_core::export::{self, Options};
use tickcast_core::record::{Record, state};

use crate::decode::records_of;

type Texts = BTreeMap<usize, String>;
type Lines = fn(&export::Writer, &[Record], &[(usize, String)]) -> Vec<u8>;

#[pyclass(module = "tickcast._native")]
struct RecordWriter(export::Writer);

impl RecordWriter {
    fn write<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PyAny>,
        texts: Option<Texts>,
        lines: Lines,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let records = records_of(records)?;
        let texts: Vec<_> = texts.unwrap_or_default().into_iter().collect();
        let writer = &self.0;
        let out = py.detach(move || lines(writer, &records, &texts));
        Ok(PyBytes::new(py, &out))
    }
}

#[pymethods]
impl RecordWriter {
    #[classattr]
    const CSV_HEADER: &'static str = export::HEADER;

    #[new]
    #[pyo3(signature = (venue, *, substitute_times=false, reasons=false))]
    fn new(venue: &str, substitute_times: bool, reasons: bool) -> Self {
        Self(export::Writer::new(
            venue,
            Options {
                substitute_times,
                reasons,
            },
        ))
    }

    fn define(&mut self, instrument: u64, venue: &str, symbol: &str) {
        self.0.define(instrument, venue, symbol);
    }

    fn unknown(&mut self, records: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
        Ok(self.0.unknown(&records_of(records)?))
    }

    #[pyo3(signature = (records, texts=None))]
    fn jsonl<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PyAny>,
        texts: Option<Texts>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.write(py, records, texts, export::Writer::jsonl)
    }

    #[pyo3(signature = (records, texts=None))]
    fn csv<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PyAny>,
        texts: Option<Texts>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.write(py, records, texts, export::Writer::csv)
    }
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct RecordSums {
    instrument: u64,
    trades: u64,
    size: Vec<(u8, i128)>,
    notional: Vec<(u8, i128)>,
    quotes: u64,
    book_changes: u64,
    gaps: u64,
    bid: Option<String>,
    ask: Option<String>,
    state: &'static str,
}

#[pyclass(module = "tickcast._native")]
#[derive(Default)]
struct RecordTally(export::Tally);

#[pymethods]
impl RecordTally {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn define(&mut self, instrument: u64) {
        self.0.define(instrument);
    }

    fn update(&mut self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<()> {
        let records = records_of(records)?;
        let tally = &mut self.0;
        py.detach(move || tally.update(&records));
        Ok(())
    }

    fn kinds(&self) -> Vec<(&'static str, u64)> {
        let kinds = self.0.kinds();
        kinds
            .map(|(number, count)| (export::kind_name(number), count))
            .collect()
    }

    fn instruments(&self) -> Vec<RecordSums> {
        let text =
            |best: Option<(i64, u8)>| best.map(|(mantissa, scale)| format_decimal(mantissa, scale));
        let instruments = self.0.instruments().iter();
        instruments
            .map(|(instrument, sums)| RecordSums {
                instrument: *instrument,
                trades: sums.trades,
                size: sums.size.parts().to_vec(),
                notional: sums.notional.parts().to_vec(),
                quotes: sums.quotes,
                book_changes: sums.book_changes,
                gaps: sums.gaps,
                bid: text(sums.bid),
                ask: text(sums.ask),
                state: state::NAMES
                    .get(usize::from(sums.state))
                    .copied()
                    .unwrap_or("empty"),
            })
            .collect()
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RecordWriter>()?;
    module.add_class::<RecordSums>()?;
    module.add_class::<RecordTally>()
}
