//! Glue for the link between an owner's hub and a gateway worker: `WorkerHub`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickcast_core::encode::Codec;
use tickcast_core::hub::{self, ClientId, Wish};
use tickcast_core::link::{self, Event, LinkError, OwnerFrame, Want};

use crate::bytes::bytes_of;
use crate::hub::{
    Counted, Flushed, Position, Subscription, check_channel, check_terms, codec_of, counted_of,
    memory_of, subscriptions_of,
};

pyo3::create_exception!(
    tickcast._native,
    LinkBroken,
    pyo3::exceptions::PyException,
    "What came over a link is none of its frames: the link is to be closed."
);

pub fn broken(error: LinkError) -> PyErr {
    LinkBroken::new_err(error.0)
}

/// (kind, token, texts): `done`, `matched`, `listed`, `note`, `notes`, `welcome`, `refused`.
type Told = (&'static str, u64, Vec<String>);

/// (channel, symbol, rate, mode, epoch, seq, `last_seen_ns`, `precision_ns`).
type WantTuple = (u8, String, u8, u8, u64, u64, i64, i64);

#[pyclass(module = "tickcast._native")]
struct WorkerHub(link::WorkerHub);

fn told_of(event: Event) -> Told {
    match event {
        Event::Done { token } => ("done", token, Vec::new()),
        Event::Told(frame) => match frame {
            OwnerFrame::Welcome { version } => ("welcome", version, Vec::new()),
            OwnerFrame::Done { token } => ("done", token, Vec::new()),
            OwnerFrame::Matched { token, symbols } => ("matched", token, symbols),
            OwnerFrame::Listed(symbols) => ("listed", 0, symbols),
            OwnerFrame::Note { is_whole, texts } => ("note", u64::from(is_whole), texts),
            OwnerFrame::Refused(reason) => ("refused", 0, vec![reason]),
        },
    }
}

#[pymethods]
impl WorkerHub {
    #[new]
    #[pyo3(signature = (
        *, history_count = 256, history_ns = 300_000_000_000, quantum_max_ns = 10_000_000, buffer_max = 262_144,
        unsent_max = 1_048_576, undrained_max_ns = 30_000_000_000, field_sets_max = 16, sends_max = 256,
        watermark = 65_536, slow_blocked_ns = 250_000_000, slow_recover_ns = 5_000_000_000, digest_every = 50,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        history_count: usize,
        history_ns: i64,
        quantum_max_ns: i64,
        buffer_max: usize,
        unsent_max: usize,
        undrained_max_ns: i64,
        field_sets_max: usize,
        sends_max: usize,
        watermark: usize,
        slow_blocked_ns: i64,
        slow_recover_ns: i64,
        digest_every: u64,
    ) -> Self {
        Self(link::WorkerHub::new(hub::Settings {
            epoch: 0,
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
        }))
    }

    // the link
    fn linked(&mut self, name: &str, pid: u64, now_ns: i64) {
        self.0.linked(name, pid, now_ns);
    }

    fn unlinked(&mut self, py: Python<'_>, reason: &str, now_ns: i64) {
        py.detach(|| self.0.unlinked(reason, now_ns));
    }

    fn feed(
        &mut self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        now_ns: i64,
    ) -> PyResult<Option<Told>> {
        let data = bytes_of(data)?;
        let event = py.detach(|| self.0.feed(&data, now_ns)).map_err(broken)?;
        Ok(event.map(told_of))
    }

    fn outbox<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.take_outbox())
    }

    fn prepare(&mut self, client: ClientId, wants: Vec<WantTuple>) -> PyResult<u64> {
        let mut asked = Vec::with_capacity(wants.len());
        for (channel, symbol, rate, mode, epoch, seq, last_seen_ns, precision_ns) in wants {
            check_channel(channel)?;
            check_terms(rate, mode)?;
            asked.push(Want {
                symbol,
                channel,
                class: hub::class_of(channel, rate, mode),
                epoch,
                seq,
                last_seen_ns,
                precision_ns,
                ..Want::default()
            });
        }
        Ok(self.0.prepare(client, asked))
    }

    fn barrier(&mut self, client: ClientId) -> u64 {
        self.0.barrier(client)
    }

    fn ask_match(&mut self, pattern: &str, limit: u64) -> u64 {
        self.0.ask_match(pattern, limit)
    }

    fn settle(&mut self, token: u64) {
        self.0.settle(token);
    }

    fn sweep(&mut self, now_ns: i64, idle_ns: i64) {
        self.0.sweep(now_ns, idle_ns);
    }

    fn interests(&self) -> usize {
        self.0.interests()
    }

    // lookups
    #[pyo3(signature = (symbol, strings = false))]
    fn price<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        strings: bool,
    ) -> Option<Bound<'py, PyBytes>> {
        let body = self.0.price(symbol, strings)?;
        Some(PyBytes::new(py, &body))
    }

    fn position(&self, symbol: &str, channel: u8) -> PyResult<Option<Position>> {
        check_channel(channel)?;
        Ok(self.0.position(symbol, channel).map(Position::from))
    }

    fn topics(&self) -> usize {
        self.0.mirror().topics()
    }

    // clients
    fn open(&mut self, fd: i32) -> ClientId {
        self.0.fanout_mut().open(fd)
    }

    fn close(&mut self, client: ClientId) {
        self.0.fanout_mut().close(client);
    }

    #[pyo3(signature = (client, *, codec, batch))]
    fn configure(&mut self, client: ClientId, codec: u8, batch: bool) -> PyResult<()> {
        let codec: Codec = codec_of(codec)?;
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
            self.0.mirror().name(topic)
        })
    }

    #[pyo3(signature = (client, channel, symbol, now_ns, *, epoch = 0, seq = 0, last_seen_ns = 0, precision_ns = 1))]
    #[allow(clippy::too_many_arguments, unused_variables)]
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
        // Where the client stopped was told to the owner by `prepare`.
        let refusal = self.0.resume(client, channel, symbol).err();
        Ok(refusal.map(hub::Refusal::word))
    }

    fn sync(&mut self, client: ClientId, now_ns: i64) -> Vec<Counted> {
        let counters = self.0.sync(client, now_ns);
        counted_of(counters, |topic| self.0.mirror().name(topic))
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
        crate::hub::check_control(opcode)?;
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
        check_terms(rate, hub::MODE_MERGE)?;
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

    fn memory(&self) -> std::collections::BTreeMap<&'static str, i64> {
        memory_of(self.0.fanout().memory())
    }
}

/// Cuts what a worker sends into frames.
#[pyclass(module = "tickcast._native")]
struct LinkReader(link::Frames);

#[pymethods]
impl LinkReader {
    #[new]
    fn new() -> Self {
        Self(link::Frames::default())
    }

    fn feed<'py>(
        &mut self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(u8, Bound<'py, PyBytes>)>> {
        self.0.push(&bytes_of(data)?);
        let mut frames = Vec::new();
        while let Some((kind, message)) = self.0.next_frame().map_err(broken)? {
            frames.push((kind, PyBytes::new(py, message)));
        }
        Ok(frames)
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<WorkerHub>()?;
    module.add_class::<LinkReader>()?;
    module.add("LinkBroken", module.py().get_type::<LinkBroken>())
}
