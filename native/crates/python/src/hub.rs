//! Glue for `Hub` and what it answers with.

use std::collections::BTreeMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tickcast_core::encode::Codec;
use tickcast_core::hub::{self, ClientId, Remembered, Wish};
use tickcast_core::latest::{self, Definition, PRICE_FIELDS};
use tickcast_core::link::{OwnerFrame, Request};
use tickcast_core::record;

use crate::bytes::bytes_of;

#[pyclass(module = "tickcast._native", frozen, get_all)]
struct Applied {
    records: u64,
    unknown: u64,
    late: u64,
    unmatched: u64,
    malformed: u64,
    changed: u64,
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
pub struct Position {
    state: &'static str,
    handle: u32,
    epoch: u64,
    seq: u64,
    rate: u8,
    fields: u32,
    mode: u8,
}

impl From<(&'static str, hub::Position)> for Position {
    fn from((state, position): (&'static str, hub::Position)) -> Self {
        let hub::Position {
            topic,
            epoch,
            seq,
            rate,
            fields,
            mode,
        } = position;
        Self {
            state,
            handle: topic,
            epoch,
            seq,
            rate,
            fields,
            mode,
        }
    }
}

#[pyclass(module = "tickcast._native", frozen, get_all)]
pub struct Flushed {
    unsent: Vec<(ClientId, Py<PyBytes>)>,
    slow: Vec<ClientId>,
    broken: Vec<ClientId>,
    shifted: Vec<(ClientId, u8, &'static str)>,
    next_ns: i64,
    is_partial: bool,
    frames: u64,
    updates: u64,
    bytes: u64,
    writes: u64,
}

impl Flushed {
    pub fn new(py: Python<'_>, flushed: hub::Flushed) -> Self {
        let unsent = flushed.unsent.into_iter();
        Self {
            unsent: unsent
                .map(|(client, bytes)| (client, PyBytes::new(py, &bytes).unbind()))
                .collect(),
            slow: flushed.slow,
            broken: flushed.broken,
            shifted: flushed
                .shifted
                .into_iter()
                .map(|(client, rate, reason)| (client, rate, reason.word()))
                .collect(),
            next_ns: flushed.next_ns,
            is_partial: flushed.is_partial,
            frames: flushed.frames,
            updates: flushed.updates,
            bytes: flushed.bytes,
            writes: flushed.writes,
        }
    }
}

#[pyclass(module = "tickcast._native")]
struct Hub(hub::Hub);

pub type Subscription = (u8, String, u8, u32, u8);
pub type Counted = (u8, String, u64, u64, u64, u64, u64, u64);

#[pymethods]
impl Hub {
    #[new]
    #[pyo3(signature = (
        *, epoch, history_count = 256, history_ns = 300_000_000_000, quantum_max_ns = 10_000_000, buffer_max = 262_144,
        unsent_max = 1_048_576, undrained_max_ns = 30_000_000_000, field_sets_max = 16, exclude_conditions = 3,
        trade_memory = 64, sends_max = 256, watermark = 65_536, slow_blocked_ns = 250_000_000,
        slow_recover_ns = 5_000_000_000,
        digest_every = 50, bars_kept = (60, 120), late = String::new(),
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        epoch: u64,
        history_count: usize,
        history_ns: i64,
        quantum_max_ns: i64,
        buffer_max: usize,
        unsent_max: usize,
        undrained_max_ns: i64,
        field_sets_max: usize,
        exclude_conditions: u16,
        trade_memory: usize,
        sends_max: usize,
        watermark: usize,
        slow_blocked_ns: i64,
        slow_recover_ns: i64,
        digest_every: u64,
        bars_kept: (usize, usize),
        late: String,
    ) -> Self {
        let settings = hub::Settings {
            epoch,
            history_count,
            history_ns,
            quantum_max_ns,
            buffer_max,
            unsent_max,
            undrained_max_ns,
            field_sets_max,
            sends_max,
            watermark,
            slow_blocked_ns,
            slow_recover_ns,
            digest_every,
        };
        Self(hub::Hub::new(
            settings,
            latest::Settings {
                exclude_conditions,
                memory_max: trade_memory,
                bars_kept: [bars_kept.0, bars_kept.1],
                late,
                ..latest::Settings::default()
            },
        ))
    }

    fn save<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let saved = py.detach(|| self.0.save());
        Ok(PyBytes::new(py, &saved.map_err(PyValueError::new_err)?))
    }

    fn restore(&mut self, saved: &[u8]) -> PyResult<()> {
        self.0.restore(saved).map_err(PyValueError::new_err)
    }

    fn define(&mut self, definitions: Vec<Bound<'_, PyAny>>, now_ns: i64) -> PyResult<usize> {
        let definitions = definitions
            .iter()
            .map(definition_of)
            .collect::<PyResult<Vec<_>>>()?;
        Ok(definitions
            .iter()
            .filter(|definition| self.0.define(definition, now_ns))
            .count())
    }

    fn set_calendar(&mut self, name: &str, starts: Vec<i64>, wall_clock: bool) {
        self.0.set_calendar(name, &starts, wall_clock);
    }

    #[pyo3(signature = (records, now_ns, texts = None))]
    fn apply(
        &mut self,
        py: Python<'_>,
        records: &Bound<'_, PyAny>,
        now_ns: i64,
        texts: Option<Vec<Option<String>>>,
    ) -> PyResult<Applied> {
        let records = record::from_bytes(&bytes_of(records)?)
            .ok_or_else(|| PyValueError::new_err("expected whole records of 64 bytes"))?;
        if let Some(texts) = &texts
            && texts.len() != records.len()
        {
            let (found, expected) = (texts.len(), records.len());
            return Err(PyValueError::new_err(format!(
                "expected {expected} texts, one a record, found {found}"
            )));
        }
        let (applied, changed) = py.detach(|| self.0.apply(&records, texts.as_deref(), now_ns));
        let latest::Applied {
            records,
            unknown,
            late,
            unmatched,
            malformed,
        } = applied;
        Ok(Applied {
            records,
            unknown,
            late,
            unmatched,
            malformed,
            changed,
        })
    }

    fn set_feed_state(
        &mut self,
        py: Python<'_>,
        feed: &str,
        state: u8,
        reason: &str,
        now_ns: i64,
    ) -> u32 {
        py.detach(|| self.0.set_feed_state(feed, state, reason, now_ns))
    }

    fn set_feed_clock(&mut self, feed: &str, ahead_ns: i64) {
        self.0.set_feed_clock(feed, ahead_ns);
    }

    fn tick(&mut self, py: Python<'_>, now_ns: i64) {
        py.detach(|| self.0.tick(now_ns));
    }

    #[pyo3(signature = (symbol, strings = false))]
    fn price<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        strings: bool,
    ) -> Option<Bound<'py, PyBytes>> {
        self.0
            .price(symbol, strings)
            .map(|body| PyBytes::new(py, &body))
    }

    #[pyo3(signature = (symbol, depth, strings = false))]
    fn book<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        depth: u8,
        strings: bool,
    ) -> Option<Bound<'py, PyBytes>> {
        let body = self.0.book(symbol, depth, strings)?;
        Some(PyBytes::new(py, &body))
    }

    #[pyo3(signature = (symbol, channel, limit, strings = false))]
    fn bars<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        channel: u8,
        limit: usize,
        strings: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if !(hub::CHANNEL_BARS_1S..=hub::CHANNEL_BARS_1M).contains(&channel) {
            return Err(PyValueError::new_err(format!(
                "expected a channel of bars, found {channel}"
            )));
        }
        let body = self.0.bars(symbol, channel, limit, strings);
        Ok(body.map(|body| PyBytes::new(py, &body)))
    }

    fn position(&self, symbol: &str, channel: u8) -> PyResult<Option<Position>> {
        check_channel(channel)?;
        Ok(self.0.position(symbol, channel).map(Position::from))
    }

    fn topics(&self) -> usize {
        self.0.latest().topics()
    }

    fn watched(&self) -> Vec<(String, usize)> {
        let watched = self.0.fanout().watched();
        watched
            .map(|(topic, count)| (self.0.latest().name(topic).to_owned(), count))
            .collect()
    }

    fn watched_books(&self) -> Vec<String> {
        let books = self.0.fanout().watched_books();
        books
            .map(|topic| self.0.latest().name(topic).to_owned())
            .collect()
    }

    fn renew(&mut self, symbol: &str) -> Option<u64> {
        self.0.renew(symbol)
    }

    fn open(&mut self, fd: i32) -> ClientId {
        self.0.fanout_mut().open(fd)
    }

    fn close(&mut self, client: ClientId) {
        self.0.fanout_mut().close(client);
    }

    #[pyo3(signature = (client, *, codec, batch))]
    fn configure(&mut self, client: ClientId, codec: u8, batch: bool) -> PyResult<()> {
        let codec = codec_of(codec)?;
        self.0.fanout_mut().configure(client, codec, batch);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn subscribe(
        &mut self,
        client: ClientId,
        channel: u8,
        symbol: &str,
        rate: u8,
        fields: u32,
        mode: u8,
        now_ns: i64,
    ) -> PyResult<Option<Position>> {
        check_channel(channel)?;
        check_terms(rate, mode)?;
        // The topic is put in by its name.
        let wish = Wish {
            channel,
            topic: 0,
            rate,
            fields,
            mode,
        };
        Ok(self
            .0
            .subscribe(client, symbol, wish, now_ns)
            .map(Position::from))
    }

    fn unsubscribe(&mut self, client: ClientId, channel: u8, symbol: &str) -> PyResult<bool> {
        check_channel(channel)?;
        Ok(self.0.unsubscribe(client, channel, symbol))
    }

    fn subscriptions(&self, client: ClientId) -> Vec<Subscription> {
        subscriptions_of(self.0.fanout().subscriptions(client), |topic| {
            self.0.latest().name(topic)
        })
    }

    #[pyo3(signature = (client, channel, symbol, now_ns, *, epoch = 0, seq = 0, last_seen_ns = 0, precision_ns = 1))]
    #[allow(clippy::too_many_arguments)]
    fn resume(
        &mut self,
        client: ClientId,
        channel: u8,
        symbol: &str,
        now_ns: i64,
        epoch: u64,
        seq: u64,
        last_seen_ns: i64,
        precision_ns: i64,
    ) -> PyResult<Option<&'static str>> {
        check_channel(channel)?;
        let memory = if epoch == 0 && last_seen_ns != 0 {
            Remembered::LastSeen {
                timestamp_ns: last_seen_ns,
                precision_ns,
            }
        } else {
            Remembered::Position { epoch, seq }
        };
        Ok(self
            .0
            .resume(client, channel, symbol, memory, now_ns)
            .err()
            .map(hub::Refusal::word))
    }

    fn sync(&mut self, client: ClientId, now_ns: i64) -> Vec<Counted> {
        let counters = self.0.sync(client, now_ns);
        counted_of(counters, |topic| self.0.latest().name(topic))
    }

    fn reply(&mut self, client: ClientId, payload: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.fanout_mut().reply(client, &bytes_of(payload)?);
        Ok(())
    }

    #[pyo3(signature = (client, opcode, payload = None))]
    fn control(
        &mut self,
        client: ClientId,
        opcode: u8,
        payload: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        check_control(opcode)?;
        let payload = payload.map_or_else(|| Ok(Default::default()), bytes_of)?;
        self.0.fanout_mut().control(client, opcode, &payload);
        Ok(())
    }

    #[pyo3(signature = (client, prefix, most, *, each = false))]
    fn set_ids(
        &mut self,
        client: ClientId,
        prefix: &Bound<'_, PyAny>,
        most: usize,
        each: bool,
    ) -> PyResult<()> {
        let prefix = bytes_of(prefix)?;
        self.0.fanout_mut().set_ids(client, &prefix, most, each);
        Ok(())
    }

    fn place_of<'py>(&self, py: Python<'py>, client: ClientId) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.fanout().place_of(client))
    }

    fn encode(&mut self, py: Python<'_>, now_ns: i64) -> i64 {
        py.detach(|| self.0.encode(now_ns))
    }

    fn send(&mut self, py: Python<'_>, now_ns: i64) -> Flushed {
        let flushed = py.detach(|| self.0.send(now_ns));
        Flushed::new(py, flushed)
    }

    #[pyo3(signature = (now_ns, only = -1))]
    fn flush(&mut self, py: Python<'_>, now_ns: i64, only: i64) -> Flushed {
        let flushed = py.detach(|| self.0.flush(now_ns, ClientId::try_from(only).ok()));
        Flushed::new(py, flushed)
    }

    fn set_hidden(&mut self, client: ClientId, hidden: bool) {
        self.0.fanout_mut().set_hidden(client, hidden);
    }

    fn set_cap(&mut self, rate: u8) -> PyResult<()> {
        if !hub::RATE_CLASSES.contains(&rate) {
            return Err(PyValueError::new_err(format!(
                "expected a rate class, found {rate}"
            )));
        }
        self.0.fanout_mut().set_cap(rate);
        Ok(())
    }

    fn set_wall_ahead(&mut self, ahead_ns: i64) {
        self.0.fanout_mut().set_wall_ahead(ahead_ns);
    }

    fn set_quantum_floor(&mut self, floor_ns: i64) {
        self.0.fanout_mut().set_quantum_floor(floor_ns);
    }

    fn frame_bytes(&self) -> usize {
        self.0.fanout().frame_bytes()
    }

    fn drained(&mut self, client: ClientId) {
        self.0.fanout_mut().drained(client);
    }

    fn unsent(&self, client: ClientId) -> usize {
        self.0.fanout().unsent(client)
    }

    fn quiet(&self, before_ns: i64) -> Vec<ClientId> {
        self.0.fanout().quiet(before_ns)
    }

    fn memory(&self) -> BTreeMap<&'static str, i64> {
        memory_of(self.0.fanout().memory())
    }

    // links to gateway workers
    fn serve(
        &mut self,
        py: Python<'_>,
        link: ClientId,
        kind: u8,
        message: &Bound<'_, PyAny>,
        now_ns: i64,
    ) -> PyResult<Option<(&'static str, u64, String, u64)>> {
        let message = bytes_of(message)?;
        let request = py
            .detach(|| self.0.serve(link, kind, &message, now_ns))
            .map_err(crate::link::broken)?;
        Ok(request.map(|request| match request {
            Request::Hello { name, pid } => ("hello", pid, name, 0),
            Request::Match {
                token,
                pattern,
                limit,
            } => ("match", token, pattern, limit),
        }))
    }

    fn tell_matched(&mut self, link: ClientId, token: u64, symbols: Vec<String>) {
        self.0.tell(link, &OwnerFrame::Matched { token, symbols });
    }

    fn tell_listed(&mut self, link: ClientId, pattern: String, symbols: Vec<String>) {
        self.0.tell_listed(link, pattern, symbols);
    }

    fn tell_notes(&mut self, link: ClientId, texts: Vec<String>, is_whole: bool) {
        self.0.tell(link, &OwnerFrame::Note { is_whole, texts });
    }

    fn tell_refused(&mut self, link: ClientId, reason: String) {
        self.0.tell(link, &OwnerFrame::Refused(reason));
    }
}

pub fn memory_of(memory: hub::Memory) -> BTreeMap<&'static str, i64> {
    let hub::Memory {
        clients,
        blocked,
        subscriptions,
        topics,
        groups,
        field_sets,
        frame_bytes,
        buffered_bytes,
        unsent_bytes,
        price_history,
        trade_history,
        quantum_ns,
    } = memory;
    let sizes = [
        ("clients", clients),
        ("blocked", blocked),
        ("subscriptions", subscriptions),
        ("topics", topics),
        ("groups", groups),
        ("field_sets", field_sets),
        ("frame_bytes", frame_bytes),
        ("buffered_bytes", buffered_bytes),
        ("unsent_bytes", unsent_bytes),
        ("price_history", price_history),
        ("trade_history", trade_history),
    ];
    let sizes = sizes
        .into_iter()
        .map(|(name, size)| (name, i64::try_from(size).unwrap_or(i64::MAX)));
    sizes.chain([("quantum_ns", quantum_ns)]).collect()
}

/// Names of topics come from where the hub's state is.
pub fn subscriptions_of<'a>(
    subscriptions: Vec<(u8, latest::Topic, hub::Position)>,
    name: impl Fn(latest::Topic) -> &'a str,
) -> Vec<Subscription> {
    let subscriptions = subscriptions.into_iter();
    subscriptions
        .map(|(channel, topic, position)| {
            let name = name(topic).to_owned();
            (channel, name, position.rate, position.fields, position.mode)
        })
        .collect()
}

pub fn counted_of<'a>(
    counters: Vec<hub::Counters>,
    name: impl Fn(latest::Topic) -> &'a str,
) -> Vec<Counted> {
    let counters = counters.into_iter();
    counters
        .map(|count| {
            let name = name(count.topic).to_owned();
            let hub::Counters {
                channel,
                epoch,
                seq,
                published,
                delivered,
                merged,
                lost,
                ..
            } = count;
            (
                channel, name, epoch, seq, published, delivered, merged, lost,
            )
        })
        .collect()
}

pub fn codec_of(codec: u8) -> PyResult<Codec> {
    Codec::from_number(codec).ok_or_else(|| {
        PyValueError::new_err(format!("expected the number of a codec, found {codec}"))
    })
}

pub fn check_terms(rate: u8, mode: u8) -> PyResult<()> {
    if hub::RATE_CLASSES.contains(&rate) && mode <= hub::MODE_ALL {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "expected a rate class and a mode, found {rate} and {mode}"
    )))
}

pub fn check_control(opcode: u8) -> PyResult<()> {
    if (8..=10).contains(&opcode) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "expected opcode 8, 9 or 10, found {opcode}"
    )))
}

pub fn check_channel(channel: u8) -> PyResult<()> {
    if usize::from(channel) < hub::CHANNELS.len() {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!(
            "expected a channel below {}, found {channel}",
            hub::CHANNELS.len()
        )))
    }
}

/// A `tickcast.model.instrument.Definition` as the core knows it.
fn definition_of(object: &Bound<'_, PyAny>) -> PyResult<Definition> {
    fn field<'py, T: for<'a> FromPyObject<'a, 'py, Error = PyErr>>(
        object: &Bound<'py, PyAny>,
        name: &str,
    ) -> PyResult<T> {
        object.getattr(name)?.extract::<T>()
    }
    Ok(Definition {
        instrument: field(object, "instrument")?,
        venue: field(object, "venue")?,
        symbol: field(object, "symbol")?,
        feed: field(object, "feed")?,
        security: field(object, "security")?,
        asset_class: field(object, "asset_class")?,
        currency: field(object, "currency")?,
        tick_size: field(object, "tick_size")?,
        calendar: field(object, "calendar")?,
        time_precision: field(object, "time_precision")?,
        primary: field(object, "primary")?,
        on_demand: field(object, "on_demand")?,
    })
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Hub>()?;
    module.add_class::<Applied>()?;
    module.add_class::<Position>()?;
    module.add_class::<Flushed>()?;
    module.add("CHANNELS", PyTuple::new(py, hub::CHANNELS)?)?;
    module.add("CHANNEL_PRICE", hub::CHANNEL_PRICE)?;
    module.add("CHANNEL_TRADES", hub::CHANNEL_TRADES)?;
    module.add("MODE_MERGE", hub::MODE_MERGE)?;
    module.add("MODE_ALL", hub::MODE_ALL)?;
    module.add("RATE_CLASSES", PyTuple::new(py, hub::RATE_CLASSES)?)?;
    module.add("PRICE_FIELDS", PyTuple::new(py, PRICE_FIELDS)?)
}
