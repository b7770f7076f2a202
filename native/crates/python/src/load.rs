//! Glue for `tickcast load`: `LoadEngine`, its bins, and the scanner for tests.

use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_load as load;

/// What the scanner found in a frame: type, symbol, handle, epoch, seq, count, `server_timestamp`, `timestamp`.
type Scanned = (
    &'static str,
    Option<String>,
    Option<u32>,
    Option<u64>,
    Option<u64>,
    u64,
    Option<i64>,
    Option<i64>,
);

#[pyclass(module = "tickcast._native")]
struct LoadEngine(load::Engine);

#[pymethods]
impl LoadEngine {
    #[new]
    fn new(plan: &[u8]) -> PyResult<Self> {
        let plan = serde_json::from_slice(plan)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self(load::Engine::new(plan).map_err(PyOSError::new_err)?))
    }

    fn run(&mut self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let duration = Duration::try_from_secs_f64(seconds)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(py.detach(|| self.0.run(duration))?)
    }

    fn stop(&mut self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let report = serde_json::json!({"phases": self.0.phases(), "tally": self.0.tally()});
        Ok(PyBytes::new(py, report.to_string().as_bytes()))
    }
}

#[pyfunction]
fn load_bins() -> Vec<f64> {
    load::middles()
}

#[pyfunction]
#[pyo3(signature = (message, *, msgpack=false))]
fn load_scan(message: &[u8], msgpack: bool) -> PyResult<Vec<Scanned>> {
    let mut found = Vec::new();
    let visit = |event: load::Event| {
        let symbol = event
            .symbol
            .map(|place| String::from_utf8_lossy(&message[place]).into_owned());
        let (server_ns, exchange_ns) = (event.server_ns, event.exchange_ns);
        found.push((
            event.kind.name(),
            symbol,
            event.handle,
            event.epoch,
            event.seq,
            event.count,
            server_ns,
            exchange_ns,
        ));
    };
    let scanned = if msgpack {
        load::scan_msgpack(message, visit)
    } else {
        load::scan_json(message, visit)
    };
    scanned.map_err(|error| PyValueError::new_err(format!("malformed at byte {}", error.0)))?;
    Ok(found)
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoadEngine>()?;
    module.add_function(wrap_pyfunction!(load_bins, module)?)?;
    module.add_function(wrap_pyfunction!(load_scan, module)?)
}
