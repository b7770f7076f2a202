//! Glue for packets out of capture files.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::packets::{self, Packet, Protocol};

use crate::bytes::bytes_of;

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct Packets {
    datagrams: Vec<Py<PyBytes>>,
    times: Vec<i64>,
    offsets: Vec<u64>,
    flows: Vec<u32>,
    segments: Vec<(u32, i64, u64, u32, bool, Py<PyBytes>)>,
    damaged: Vec<(u64, &'static str, Py<PyBytes>, bool)>,
    other: usize,
}

#[pyclass(module = "tickcast._native")]
struct PacketReader(packets::PacketReader);

#[pymethods]
impl PacketReader {
    #[new]
    fn new(protocol: &str) -> PyResult<Self> {
        let known = Protocol::named(protocol).ok_or_else(|| {
            PyValueError::new_err(format!("expected moldudp64 or pitch, found {protocol:?}"))
        })?;
        Ok(Self(packets::PacketReader::new(known)))
    }

    #[pyo3(signature = (data, *, is_end=false))]
    fn feed(&mut self, py: Python<'_>, data: &Bound<'_, PyAny>, is_end: bool) -> PyResult<Packets> {
        let bytes = bytes_of(data)?;
        let (bytes, reader) = (bytes.as_ref(), &mut self.0);
        let found = py.detach(move || reader.feed(bytes, is_end));
        let raw = |packet: &Packet| PyBytes::new(py, &packet.payload).unbind();
        let datagrams = found.datagrams.iter();
        let segments = found.segments.iter();
        let damaged = found.damaged.iter();
        Ok(Packets {
            times: datagrams.clone().map(|packet| packet.ts_ns).collect(),
            offsets: datagrams.clone().map(|packet| packet.offset).collect(),
            flows: datagrams.clone().map(|packet| packet.flow).collect(),
            datagrams: datagrams.map(raw).collect(),
            segments: segments
                .map(|one| {
                    (
                        one.flow,
                        one.ts_ns,
                        one.offset,
                        one.sequence,
                        one.begins,
                        raw(one),
                    )
                })
                .collect(),
            damaged: damaged
                .map(|one| {
                    (
                        one.offset,
                        one.reason,
                        PyBytes::new(py, &one.raw).unbind(),
                        one.foreign,
                    )
                })
                .collect(),
            other: found.other,
        })
    }

    fn next_file(&mut self) {
        self.0.next_file();
    }

    fn flows(&self) -> Vec<String> {
        self.0.flows().iter().map(ToString::to_string).collect()
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Packets>()?;
    module.add_class::<PacketReader>()
}
