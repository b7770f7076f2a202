//! Bytes from Python.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::dead::Dead;

/// The bytes of any buffer: borrowed from `bytes`, copied from anything that could change meanwhile.
pub fn bytes_of<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    let buffer = PyBuffer::<u8>::get(object)?;
    Ok(Cow::Owned(buffer.to_vec(object.py())?))
}

/// Offset, reason and raw bytes of each.
pub fn dead_of(py: Python<'_>, dead: &[Dead]) -> Vec<(usize, &'static str, Py<PyBytes>)> {
    dead.iter()
        .map(|dead| {
            let raw = PyBytes::new(py, &dead.raw).unbind();
            (dead.offset, dead.reason, raw)
        })
        .collect()
}
