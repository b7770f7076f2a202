//! Glue for `FrameReader` and `ProtocolError`.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::ws;

use crate::bytes::bytes_of;

create_exception!(
    tickcast._native,
    ProtocolError,
    PyException,
    "The peer broke RFC 6455: (close code, reason)."
);

#[pyclass(module = "tickcast._native")]
struct FrameReader(ws::FrameReader);

#[pymethods]
impl FrameReader {
    #[new]
    fn new(max_size: usize) -> Self {
        Self(ws::FrameReader::new(max_size))
    }

    fn feed<'py>(
        &mut self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(u8, Bound<'py, PyBytes>)>> {
        match self.0.feed(&bytes_of(data)?) {
            Ok(messages) => Ok(messages
                .iter()
                .map(|message| (message.opcode, PyBytes::new(py, &message.payload)))
                .collect()),
            Err(error) => Err(ProtocolError::new_err((error.code, error.reason))),
        }
    }

    #[getter]
    fn error(&self) -> Option<(u16, &'static str)> {
        self.0.error().map(|error| (error.code, error.reason))
    }

    #[getter]
    fn pending(&self) -> usize {
        self.0.pending()
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FrameReader>()?;
    module.add("ProtocolError", module.py().get_type::<ProtocolError>())
}
