//! `tickcast._native`: the Python door of the core. Glue only: it converts, releases the GIL and maps errors.

mod bytes;
mod hub;
mod ws;

use pyo3::prelude::*;

/// xxh3-64 of `VENUE:SYMBOL`.
#[pyfunction]
fn instrument_id(name: &str) -> u64 {
    tickcast_core::record::instrument_id(name)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(instrument_id, module)?)?;
    hub::register(module)?;
    ws::register(module)
}
