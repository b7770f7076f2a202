//! The hub with its state: what Python holds.

use super::clients::ClientId;
use super::resume::{Memory, Refusal};
use super::subscribe::{Position, Wish};
use super::{CHANNELS, Counters, Fanout, Flushed, Settings, Source, Stamp};
use crate::encode::{self, Codec};
use crate::latest::{
    self, Applied, Bar, Book, BookFrame, Definition, Latest, Topic, TradeRow, Viewed,
};
use crate::link;
use crate::record::Record;

impl<S: Viewed> Source for S {
    fn last_trade_ns(&self, topic: Topic) -> i64 {
        self.view(topic).last.map_or(0, |last| last.ts)
    }

    fn write_snapshot(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32) {
        if stamp.codec == Codec::Link {
            return link::encode::snapshot(out, self, stamp);
        }
        encode::snapshot(out, stamp, &self.view(stamp.topic), fields);
    }

    fn write_update(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32) {
        if stamp.codec == Codec::Link {
            return link::encode::update(out, self, stamp, fields);
        }
        encode::update(out, stamp, &self.view(stamp.topic), fields);
    }

    fn write_status(&self, out: &mut Vec<u8>, stamp: Stamp) {
        if stamp.codec == Codec::Link {
            return link::encode::status(out, self, stamp);
        }
        let view = self.view(stamp.topic);
        let status = encode::Status {
            quoted_name: view.quoted_name,
            state: view.state,
            since_ns: self.since(stamp.topic),
            reason: self.reason(stamp.topic),
        };
        encode::status(out, stamp, &status);
    }

    fn write_trade(&self, out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, text: Option<&str>) {
        if stamp.codec == Codec::Link {
            return link::encode::trade(out, stamp, row, text);
        }
        encode::trade(out, stamp, self.view(stamp.topic).quoted_name, row, text);
    }

    fn write_lost(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, count: u64) {
        if stamp.codec == Codec::Link {
            return link::encode::lost(out, stamp, channel, count);
        }
        let channel = CHANNELS[usize::from(channel)];
        encode::lost(
            out,
            stamp,
            self.view(stamp.topic).quoted_name,
            channel,
            count,
        );
    }

    fn book(&self, topic: Topic, depth: u8, out: &mut Book) {
        Viewed::book(self, topic, depth, out);
    }

    fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar> {
        Viewed::bar(self, topic, interval, start_ns)
    }

    fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>) {
        Viewed::bars(self, topic, interval, limit, out);
    }

    fn write_book(&self, out: &mut Vec<u8>, stamp: Stamp, frame: &BookFrame<'_>) {
        if stamp.codec == Codec::Link {
            return link::keyed::write_book(out, stamp, frame);
        }
        encode::book(out, stamp, self.view(stamp.topic).quoted_name, frame);
    }

    fn write_bar(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, bar: &Bar) {
        if stamp.codec == Codec::Link {
            return link::keyed::write_bars(out, stamp, channel, core::slice::from_ref(bar), false);
        }
        let quoted_name = self.view(stamp.topic).quoted_name;
        encode::bar(out, stamp, quoted_name, interval_name(channel), bar);
    }

    fn write_bars(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, bars: &[Bar]) {
        if stamp.codec == Codec::Link {
            return link::keyed::write_bars(out, stamp, channel, bars, true);
        }
        let view = self.view(stamp.topic);
        let bars = encode::Bars {
            interval: interval_name(channel),
            bars,
            state: view.state,
        };
        encode::bars(out, stamp, view.quoted_name, &bars);
    }
}

/// What is behind the colon in a channel's name.
fn interval_name(channel: u8) -> &'static str {
    let name = CHANNELS[usize::from(channel)];
    name.split_once(':').map_or(name, |(_, interval)| interval)
}

/// Newest state of everything, and everyone who watches it.
pub struct Hub {
    latest: Latest,
    fanout: Fanout,
}

impl Hub {
    #[must_use]
    pub fn new(settings: Settings, latest: latest::Settings) -> Self {
        Self {
            latest: Latest::new(latest),
            fanout: Fanout::new(settings),
        }
    }

    #[must_use]
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// See [`Hub::restore`].
    pub(super) fn restore_latest(&mut self, saved: latest::saved::Restored) -> Result<(), String> {
        self.latest.restore(saved)
    }

    #[must_use]
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// For all that concerns clients alone.
    pub fn fanout_mut(&mut self) -> &mut Fanout {
        &mut self.fanout
    }

    /// True if the instrument is new.
    pub fn define(&mut self, definition: &Definition, now_ns: i64) -> bool {
        let wall_ns = self.fanout.wall(now_ns);
        let fanout = &mut self.fanout;
        let is_new = self
            .latest
            .define(definition, wall_ns, &mut |latest, change| {
                fanout.change(latest, change, None, now_ns)
            });
        self.fanout.grow_topics(self.latest.topics());
        is_new
    }

    pub fn set_calendar(&mut self, name: &str, starts: &[i64], wall_clock: bool) {
        self.latest.set_calendar(name, starts, wall_clock);
    }

    /// Applies whole events; also says how many topics changed.
    pub fn apply(
        &mut self,
        records: &[Record],
        texts: Option<&[Option<String>]>,
        now_ns: i64,
    ) -> (Applied, u64) {
        let wall_ns = self.fanout.wall(now_ns);
        let fanout = &mut self.fanout;
        fanout.begin_batch();
        let applied = self
            .latest
            .apply(records, texts, wall_ns, &mut |latest, change| {
                let text = match &change.cause {
                    latest::Cause::Trade(row) => row.id_text(texts),
                    _ => None,
                };
                fanout.change(latest, change, text, now_ns);
            });
        (applied, fanout.changed())
    }

    pub fn set_feed_state(&mut self, feed: &str, state: u8, reason: &str, now_ns: i64) -> u32 {
        let wall_ns = self.fanout.wall(now_ns);
        let fanout = &mut self.fanout;
        self.latest
            .set_feed_state(feed, state, reason, wall_ns, &mut |latest, change| {
                fanout.change(latest, change, None, now_ns);
            })
    }

    pub fn set_feed_clock(&mut self, feed: &str, ahead_ns: i64) {
        self.latest.set_feed_clock(feed, ahead_ns);
    }

    pub fn tick(&mut self, now_ns: i64) {
        let wall_ns = self.fanout.wall(now_ns);
        let fanout = &mut self.fanout;
        self.latest.tick(wall_ns, &mut |latest, change| {
            fanout.change(latest, change, None, now_ns)
        });
    }

    /// REST's object of a topic, as of the newest time the hub was told.
    #[must_use]
    pub fn price(&self, symbol: &str, strings: bool) -> Option<Vec<u8>> {
        let topic = self.latest.topic(symbol)?;
        let position = self.fanout.position(topic, super::CHANNEL_PRICE);
        let mut out = Vec::with_capacity(512);
        let now_ns = self.fanout.wall_now();
        encode::write_price(
            &mut out,
            &self.latest,
            topic,
            strings,
            position.epoch,
            position.seq,
            now_ns,
        );
        Some(out)
    }

    /// REST's object of a topic's book.
    #[must_use]
    pub fn book(&self, symbol: &str, depth: u8, strings: bool) -> Option<Vec<u8>> {
        let topic = self.latest.topic(symbol)?;
        let position = self.fanout.position(topic, super::CHANNEL_BOOK_50);
        let mut book = Book::default();
        self.latest.book(topic, depth, &mut book);
        let frame = BookFrame {
            depth,
            bids: &book.bids,
            asks: &book.asks,
            timestamp_ns: book.timestamp_ns,
            time_precision: book.time_precision,
            state: Some(book.state),
            is_last: true,
            digest: None,
        };
        let mut out = Vec::with_capacity(1024);
        let symbol = self.latest.quoted_name(topic);
        let (epoch, seq) = (position.epoch, position.seq);
        encode::write_book_object(&mut out, symbol, &frame, strings, epoch, seq);
        Some(out)
    }

    /// REST's object of a topic's newest bars; `channel` is one of bars.
    #[must_use]
    pub fn bars(&self, symbol: &str, channel: u8, limit: usize, strings: bool) -> Option<Vec<u8>> {
        let topic = self.latest.topic(symbol)?;
        let position = self.fanout.position(topic, channel);
        let mut bars = Vec::new();
        self.latest
            .bars(topic, super::interval(channel), limit, &mut bars);
        let mut out = Vec::with_capacity(160 * bars.len() + 128);
        let bars = encode::Bars {
            interval: interval_name(channel),
            bars: &bars,
            state: self.latest.state(topic),
        };
        let symbol = self.latest.quoted_name(topic);
        let (epoch, seq) = (position.epoch, position.seq);
        encode::write_bars_object(&mut out, symbol, &bars, strings, epoch, seq);
        Some(out)
    }

    /// State and counters of a topic.
    #[must_use]
    pub fn position(&self, symbol: &str, channel: u8) -> Option<(&'static str, Position)> {
        let topic = self.latest.topic(symbol)?;
        Some((
            self.latest.state_name(topic),
            self.fanout.position(topic, channel),
        ))
    }

    /// `None` = no such symbol, or no such client. `wish.topic` is that of the symbol, whatever it holds.
    pub fn subscribe(
        &mut self,
        client: ClientId,
        symbol: &str,
        wish: Wish,
        now_ns: i64,
    ) -> Option<(&'static str, Position)> {
        let topic = self.latest.topic(symbol)?;
        self.fanout.advance(now_ns);
        self.awaken(topic, now_ns);
        let position = self.fanout.subscribe(client, Wish { topic, ..wish })?;
        Some((self.latest.state_name(topic), position))
    }

    /// Somebody asks for a topic: what is streamed on demand begins.
    pub(crate) fn awaken(&mut self, topic: Topic, now_ns: i64) {
        let wall_ns = self.fanout.wall(now_ns);
        let fanout = &mut self.fanout;
        self.latest.awaken(topic, wall_ns, &mut |latest, change| {
            fanout.change(latest, change, None, now_ns);
        });
    }

    pub fn unsubscribe(&mut self, client: ClientId, channel: u8, symbol: &str) -> bool {
        let topic = self.latest.topic(symbol);
        topic.is_some_and(|topic| self.fanout.unsubscribe(client, channel, topic))
    }

    /// # Errors
    /// The reason why nothing could be picked up.
    pub fn resume(
        &mut self,
        client: ClientId,
        channel: u8,
        symbol: &str,
        memory: Memory,
        now_ns: i64,
    ) -> Result<(), Refusal> {
        self.fanout.advance(now_ns);
        let topic = self.latest.topic(symbol).ok_or(Refusal::Unknown)?;
        self.fanout.resume(client, channel, topic, memory)
    }

    /// Everything of a link's subscription until now.
    pub(crate) fn bring(&mut self, link: ClientId, key: (Topic, u8, u8), now_ns: i64) {
        self.fanout.bring(&self.latest, link, key, now_ns);
    }

    /// A topic's names and state for a link.
    pub(crate) fn introduce(&mut self, link: ClientId, topic: Topic) {
        self.fanout.introduce(&self.latest, link, topic);
    }

    /// A new epoch for a topic; `None` if there is no such symbol.
    pub fn renew(&mut self, symbol: &str) -> Option<u64> {
        self.fanout.renew(self.latest.topic(symbol)?)
    }

    pub fn sync(&mut self, client: ClientId, now_ns: i64) -> Vec<Counters> {
        self.fanout.sync(&self.latest, client, now_ns)
    }

    /// First half of a flush: 0 = encoded, go on with `send`; else when to come back.
    pub fn encode(&mut self, now_ns: i64) -> i64 {
        self.fanout.encode(&self.latest, now_ns)
    }

    /// Second half of a flush.
    pub fn send(&mut self, now_ns: i64) -> Flushed {
        self.fanout.send_all(now_ns)
    }

    pub fn flush(&mut self, now_ns: i64, only: Option<ClientId>) -> Flushed {
        self.fanout.flush(&self.latest, now_ns, only)
    }
}
