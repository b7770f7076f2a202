//! `tickcast._native`: the Python door of the core. Glue only: it converts, releases the GIL and maps errors.

mod arbiter;
mod bytes;
mod decode;
mod export;
mod fix;
mod hub;
mod intake;
mod json;
mod link;
mod load;
mod packets;
mod pitch;
mod ws;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    arbiter::register(module)?;
    decode::register(module)?;
    export::register(module)?;
    fix::register(module)?;
    hub::register(module)?;
    intake::register(module)?;
    json::register(module)?;
    link::register(module)?;
    load::register(module)?;
    packets::register(module)?;
    pitch::register(module)?;
    ws::register(module)
}
