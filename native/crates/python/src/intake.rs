//! Glue for what records pass before they are batches.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::intake;
use tickcast_core::record::as_bytes;

use crate::decode::records_of;

/// Below so many bytes, work is done before another thread could have taken over.
pub const ALONE_BYTES: usize = 16_384;

#[pyclass(frozen, get_all, module = "tickcast._native")]
struct Taken {
    records: Py<PyBytes>,
    unknown: Option<Py<PyBytes>>,
    places: Option<Vec<u32>>,
    ends: Vec<usize>,
    notable: usize,
}

#[pyclass(module = "tickcast._native")]
struct Intake(intake::Intake);

#[pymethods]
impl Intake {
    #[new]
    #[pyo3(signature = (*, window, skew_ns, batch_max))]
    fn new(window: usize, skew_ns: i64, batch_max: usize) -> Self {
        Self(intake::Intake::new(window, skew_ns, batch_max))
    }

    #[pyo3(signature = (since_ns=0))]
    fn begin_session(&mut self, since_ns: i64) {
        self.0.begin_session(since_ns);
    }

    fn take_lead(&mut self) -> Option<i64> {
        self.0.take_lead()
    }

    fn learn(&mut self, instruments: Vec<u64>) {
        self.0.learn(instruments);
    }

    fn take(&mut self, py: Python<'_>, records: &Bound<'_, PyBytes>) -> PyResult<Taken> {
        let rows = records_of(records)?;
        let intake = &mut self.0;
        let taken = if records.as_bytes().len() < ALONE_BYTES {
            intake.take(&rows)
        } else {
            py.detach(move || intake.take(&rows))
        };
        let bytes = |rows: &[_]| PyBytes::new(py, as_bytes(rows)).unbind();
        Ok(Taken {
            records: if taken.unchanged {
                records.clone().unbind()
            } else {
                bytes(&taken.records)
            },
            unknown: (!taken.unknown.is_empty()).then(|| bytes(&taken.unknown)),
            places: (taken.records.len() < rows_in(records)).then_some(taken.places),
            ends: taken.ends,
            notable: taken.notable,
        })
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, as_bytes(&self.0.snapshot()))
    }

    fn told<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.told())
    }

    #[getter]
    fn duplicates(&self) -> u64 {
        self.0.duplicates()
    }

    #[getter]
    fn skewed(&self) -> u64 {
        self.0.skewed
    }

    #[getter]
    fn gaps(&self) -> u64 {
        self.0.gaps
    }
}

/// What another process of the feed told.
#[pyclass(module = "tickcast._native")]
struct Told(tickcast_core::dedup::Told);

#[pymethods]
impl Told {
    #[new]
    fn new(told: &[u8]) -> PyResult<Self> {
        tickcast_core::dedup::Told::read(told)
            .map(Self)
            .map_err(pyo3::exceptions::PyValueError::new_err)
    }

    fn untold(&mut self, records: &Bound<'_, PyBytes>) -> PyResult<Vec<usize>> {
        let rows = records_of(records)?;
        Ok(self.0.untold(&rows))
    }
}

fn rows_in(records: &Bound<'_, PyBytes>) -> usize {
    records.as_bytes().len() / size_of::<tickcast_core::record::Record>()
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Taken>()?;
    module.add_class::<Told>()?;
    module.add_class::<Intake>()
}
