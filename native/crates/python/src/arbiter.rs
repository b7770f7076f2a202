//! Glue for the arbitration of redundant lines.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickcast_core::arbiter::{self, Block, Event, Protocol, SessionId};

use crate::bytes::bytes_of;

/// The ten bytes as the venue wrote them; nothing for PITCH.
fn session_text(session: &SessionId, protocol: Protocol) -> String {
    match protocol {
        Protocol::MoldUdp64 => session.iter().copied().map(char::from).collect(),
        Protocol::Pitch => String::new(),
    }
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
pub struct LineBlock {
    pub unit: u8,
    pub session: String,
    pub epoch: u32,
    pub first_seq: u64,
    pub count: u64,
    pub messages: Py<PyBytes>,
    pub ts_recv: i64,
}

#[pyclass(module = "tickcast._native")]
struct LineArbiter {
    inner: arbiter::LineArbiter,
    protocol: Protocol,
}

impl LineArbiter {
    fn blocks(&self, py: Python<'_>, blocks: &[Block]) -> Vec<LineBlock> {
        let convert = |block: &Block| LineBlock {
            unit: block.unit,
            session: session_text(&block.session, self.protocol),
            epoch: block.epoch,
            first_seq: block.first,
            count: block.count,
            messages: PyBytes::new(py, &block.messages).unbind(),
            ts_recv: block.ts_recv,
        };
        blocks.iter().map(convert).collect()
    }
}

#[pymethods]
impl LineArbiter {
    #[new]
    #[pyo3(signature = (protocol, *, buffer_bytes=33_554_432, from_start=false, recorded=false, known_types=false))]
    fn new(
        protocol: &str,
        buffer_bytes: usize,
        from_start: bool,
        recorded: bool,
        known_types: bool,
    ) -> PyResult<Self> {
        let protocol = match protocol {
            "moldudp64" => Protocol::MoldUdp64,
            "pitch" => Protocol::Pitch,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "expected moldudp64 or pitch, found {protocol:?}"
                )));
            }
        };
        let inner = arbiter::LineArbiter::new(protocol, buffer_bytes, from_start);
        let inner = if recorded {
            inner.of_recording()
        } else {
            inner
        };
        let inner = if known_types {
            inner.of_known_types()
        } else {
            inner
        };
        Ok(Self { inner, protocol })
    }

    #[pyo3(signature = (packets, times, line=0, *, repair=false))]
    fn take(
        &mut self,
        py: Python<'_>,
        packets: Vec<Bound<'_, PyAny>>,
        times: Vec<i64>,
        line: u8,
        repair: bool,
    ) -> PyResult<Vec<LineBlock>> {
        if packets.len() != times.len() {
            return Err(PyValueError::new_err(format!(
                "expected a time for each of {} packets, found {}",
                packets.len(),
                times.len()
            )));
        }
        let bytes = packets.iter().map(bytes_of).collect::<PyResult<Vec<_>>>()?;
        let arrivals: Vec<(&[u8], i64)> = bytes.iter().map(AsRef::as_ref).zip(times).collect();
        let inner = &mut self.inner;
        let blocks = py.detach(move || inner.take(arrivals.into_iter(), line.into(), repair));
        Ok(self.blocks(py, &blocks))
    }

    fn holes(&self) -> Vec<(u8, u64, u64, i64)> {
        let holes = self.inner.holes();
        holes
            .map(|(unit, hole)| (unit, hole.first, hole.last, hole.since))
            .collect()
    }

    fn skip(&mut self, py: Python<'_>, unit: u8, last: u64) -> Vec<LineBlock> {
        let blocks = self.inner.skip(unit, last);
        self.blocks(py, &blocks)
    }

    fn rewind(&mut self, unit: u8, first: u64, now_ns: i64) {
        self.inner.rewind(unit, first, now_ns);
    }

    fn notices(&mut self) -> Vec<(&'static str, u8, String)> {
        let events = self.inner.take_events();
        let protocol = self.protocol;
        let convert = |(unit, event)| match event {
            Event::Session(session) => ("session", unit, session_text(&session, protocol)),
            Event::End(session) => ("end", unit, session_text(&session, protocol)),
            Event::Reset { expected, came } => {
                ("reset", unit, format!("expected {expected}, came {came}"))
            }
            Event::Conflict { first, last } => ("conflict", unit, format!("{first} to {last}")),
            Event::TooOld { last } => ("too_old", unit, last.to_string()),
        };
        events.into_iter().map(convert).collect()
    }

    fn damaged(&mut self, py: Python<'_>) -> Vec<(usize, &'static str, Py<PyBytes>)> {
        let damaged = self.inner.take_damaged();
        let convert = |(line, reason, raw): (usize, &'static str, Vec<u8>)| {
            (line, reason, PyBytes::new(py, &raw).unbind())
        };
        damaged.into_iter().map(convert).collect()
    }

    fn line<'py>(&self, py: Python<'py>, line: u8) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.inner.line_counts(line.into());
        let dict = PyDict::new(py);
        dict.set_item("packets", counts.packets)?;
        dict.set_item("won", counts.won)?;
        dict.set_item("duplicates", counts.duplicates)?;
        dict.set_item("damaged", counts.damaged)?;
        dict.set_item("disbelieved", counts.disbelieved)?;
        Ok(dict)
    }

    fn unit<'py>(&self, py: Python<'py>, unit: u8) -> PyResult<Bound<'py, PyDict>> {
        let (expected, top, waiting_bytes, counts) = self.inner.unit_counts(unit);
        let dict = PyDict::new(py);
        dict.set_item("expected", expected)?;
        dict.set_item("top", top)?;
        dict.set_item("waiting_bytes", waiting_bytes)?;
        dict.set_item("gaps", counts.gaps)?;
        dict.set_item("missing", counts.missing)?;
        dict.set_item("recovered", counts.recovered)?;
        dict.set_item("lost", counts.lost)?;
        dict.set_item("overflowed", counts.overflowed)?;
        Ok(dict)
    }

    #[getter]
    fn units(&self) -> Vec<u8> {
        self.inner.units().collect()
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LineBlock>()?;
    module.add_class::<LineArbiter>()
}
