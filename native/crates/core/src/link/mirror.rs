//! What a worker knows of the owner's state: the newest that any of its classes was told.
//!
//! A frame of one class has every field that changed since that class's last frame, as of its seq. The stream of a link
//! is in the order in which the owner wrote it, so whichever class's frame came last, the mirror is whole as of its seq.

use std::collections::HashMap;

use super::encode::{LAST, digits_of};
use super::keyed::{BARS_MAX, ToldBars, ToldBook};
use super::message::LinkError;
use super::wire::{Fields, Value};
use crate::encode::quote;
use crate::hub;
use crate::latest::{Amount, Bar, Book, Consolidated, Last, Price, Topic, View, Viewed, field};
use crate::record::state;

/// A topic as the owner told it.
#[derive(Debug)]
struct Entry {
    name: String,
    /// The name as JSON, quotes included.
    quoted: Vec<u8>,
    currency: String,
    last: Option<Last>,
    time_precision: u8,
    venue: String,
    /// The venue as JSON, quotes included.
    venue_quoted: Vec<u8>,
    bid: Option<Price>,
    ask: Option<Price>,
    open: Option<Price>,
    high: Option<Price>,
    low: Option<Price>,
    prev_close: Option<Price>,
    bid_size: Option<Amount>,
    ask_size: Option<Amount>,
    volume: Option<Amount>,
    state: u8,
    since_ns: i64,
    reason: String,
    consolidated: Option<Consolidated>,
    /// By channel and class, with the seq of the newest frame: a difference fits its own class only.
    books: Vec<(u8, u8, u64, Book)>,
    /// By number of the interval, oldest first.
    bars: [Vec<Bar>; 2],
}

/// Every topic that the owner ever told of; numbered here, since another owner numbers otherwise.
#[derive(Debug, Default)]
pub struct Mirror {
    entries: Vec<Entry>,
    by_name: HashMap<String, Topic>,
}

/// A price or status frame, read but not yet believed.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub topic: u32,
    pub class: u8,
    pub epoch: u64,
    pub seq: u64,
    pub fields: u32,
    pub name: String,
    currency: String,
    last: Option<Last>,
    time_precision: u8,
    venue: String,
    prices: [Option<Price>; 6],
    amounts: [Option<Amount>; 3],
    state: u8,
    since_ns: i64,
    reason: String,
    consolidated: Option<Consolidated>,
}

impl Told {
    pub fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut told = Self::default();
        let (mut ts, mut id, mut price, mut size, mut side) = (0, 0, None, None, 0);
        let (mut crossed, mut live, mut of) = (false, None, None);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => told.topic = value.small()?,
                2 => told.class = super::message::class_of(value)?,
                3 => told.epoch = value.number()?,
                4 => told.seq = value.number()?,
                5 => told.fields = value.small::<u32>()? & field::ALL,
                6 => told.name = value.text()?.to_owned(),
                7 => told.currency = value.text()?.to_owned(),
                10 => ts = value.signed()?,
                11 => id = value.number()?,
                12 => price = Some(value.price()?),
                13 => size = Some(value.price()?),
                14 => side = value.small()?,
                15 => told.time_precision = digits_of(value)?,
                16 => told.venue = value.text()?.to_owned(),
                20..=25 => told.prices[number as usize - 20] = Some(value.price()?),
                26..=28 => told.amounts[number as usize - 26] = Some(value.amount()?),
                30 => told.state = state_of(value)?,
                31 => told.since_ns = value.signed()?,
                32 => told.reason = value.text()?.to_owned(),
                33 => crossed = value.number()? != 0,
                34 => live = Some(value.small()?),
                35 => of = Some(value.small()?),
                _ => {}
            }
        }
        told.last = price.map(|price: Price| {
            let size: Option<Price> = size;
            Last {
                ts,
                id,
                price: price.mantissa,
                price_scale: price.scale,
                size: size.map_or(0, |size| size.mantissa),
                size_scale: size.map_or(0, |size| size.scale),
                side,
                has_size: size.is_some(),
            }
        });
        if let (Some(live), Some(of)) = (live, of) {
            told.consolidated = Some(Consolidated { crossed, live, of });
        }
        Ok(told)
    }
}

fn state_of(value: Value<'_>) -> Result<u8, LinkError> {
    let number: u8 = value.small()?;
    if usize::from(number) < state::NAMES.len() {
        Ok(number)
    } else {
        Err(LinkError(format!("expected a state, found {number}")))
    }
}

impl Mirror {
    #[must_use]
    pub fn topic(&self, symbol: &str) -> Option<Topic> {
        self.by_name.get(symbol).copied()
    }

    #[must_use]
    pub fn topics(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        &self.entries[topic as usize].name
    }

    #[must_use]
    pub fn state(&self, topic: Topic) -> u8 {
        self.entries[topic as usize].state
    }

    #[must_use]
    pub fn state_name(&self, topic: Topic) -> &'static str {
        state::NAMES[usize::from(self.state(topic))]
    }

    /// Takes a snapshot in; the topic's number here.
    pub(super) fn define(&mut self, told: &Told) -> Topic {
        if let Some(topic) = self.by_name.get(&told.name) {
            return *topic;
        }
        let topic = self.entries.len() as Topic;
        self.by_name.insert(told.name.clone(), topic);
        self.entries.push(Entry {
            name: told.name.clone(),
            quoted: quote(&told.name),
            currency: String::new(),
            last: None,
            time_precision: 9,
            venue: String::new(),
            venue_quoted: Vec::new(),
            bid: None,
            ask: None,
            open: None,
            high: None,
            low: None,
            prev_close: None,
            bid_size: None,
            ask_size: None,
            volume: None,
            state: state::STALE,
            since_ns: 0,
            reason: String::new(),
            consolidated: None,
            books: Vec::new(),
            bars: [Vec::new(), Vec::new()],
        });
        topic
    }

    /// Takes the fields of a frame in. True where state, time or reason are others now.
    pub(super) fn apply(&mut self, topic: Topic, told: Told) -> bool {
        let fields = told.fields;
        let entry = &mut self.entries[topic as usize];
        if !told.currency.is_empty() {
            entry.currency = told.currency;
        }
        if fields & LAST != 0 {
            entry.last = told.last;
            if told.last.is_some() {
                entry.time_precision = told.time_precision;
            }
            if entry.venue != told.venue {
                entry.venue_quoted = quote(&told.venue);
                entry.venue = told.venue;
            }
        }
        let Entry {
            bid,
            ask,
            open,
            high,
            low,
            prev_close,
            bid_size,
            ask_size,
            volume,
            ..
        } = entry;
        let prices = [
            (field::BID, bid),
            (field::ASK, ask),
            (field::OPEN, open),
            (field::HIGH, high),
            (field::LOW, low),
            (field::PREV_CLOSE, prev_close),
        ];
        for ((bit, place), value) in prices.into_iter().zip(told.prices) {
            if fields & bit != 0 {
                *place = value;
            }
        }
        let amounts = [
            (field::BID_SIZE, bid_size),
            (field::ASK_SIZE, ask_size),
            (field::VOLUME, volume),
        ];
        for ((bit, place), value) in amounts.into_iter().zip(told.amounts) {
            if fields & bit != 0 {
                *place = value;
            }
        }
        if told.consolidated.is_some() {
            entry.consolidated = told.consolidated;
        }
        fields & field::STATE != 0 && self.set_state(topic, told.state, told.since_ns, &told.reason)
    }

    /// True where one of these is another one now.
    pub(super) fn set_state(
        &mut self,
        topic: Topic,
        state: u8,
        since_ns: i64,
        reason: &str,
    ) -> bool {
        let entry = &mut self.entries[topic as usize];
        let is_news = (entry.state, entry.since_ns) != (state, since_ns) || entry.reason != reason;
        if is_news {
            (entry.state, entry.since_ns) = (state, since_ns);
            entry.reason = reason.to_owned();
        }
        is_news
    }

    /// Takes a frame of a book in.
    pub(super) fn apply_book(&mut self, topic: Topic, told: &ToldBook) -> Result<(), LinkError> {
        let books = &mut self.entries[topic as usize].books;
        let place = books
            .iter()
            .position(|book| (book.0, book.1) == (told.channel, told.class));
        let place = match place {
            Some(place) => place,
            None if told.state.is_some() => {
                books.push((told.channel, told.class, 0, Book::default()));
                books.len() - 1
            }
            None => {
                return Err(LinkError(
                    "expected a snapshot of a book first, found a change".into(),
                ));
            }
        };
        let (_, _, seq, book) = &mut books[place];
        if let Some(state) = told.state {
            book.clear();
            book.state = state;
        }
        book.apply(&told.bids, &told.asks);
        (book.timestamp_ns, book.time_precision) = (told.timestamp_ns, told.time_precision);
        *seq = told.seq;
        match told.digest {
            Some(digest) if digest != book.digest() => Err(LinkError(format!(
                "expected a book with digest {digest}, found {}",
                book.digest()
            ))),
            _ => Ok(()),
        }
    }

    /// Takes bars in.
    pub(super) fn apply_bars(&mut self, topic: Topic, told: &ToldBars) {
        let bars = &mut self.entries[topic as usize].bars[hub::interval(told.channel)];
        if told.is_whole {
            bars.clear();
        }
        for bar in &told.bars {
            match bars.binary_search_by_key(&bar.start_ns, |known| known.start_ns) {
                Ok(place) => bars[place] = *bar,
                Err(place) => bars.insert(place, *bar),
            }
        }
        if bars.len() > BARS_MAX {
            bars.drain(..bars.len() - BARS_MAX);
        }
    }

    /// Nobody is told of it any more.
    pub(super) fn forget(&mut self, topic: Topic, channel: u8, class: u8) {
        self.entries[topic as usize]
            .books
            .retain(|book| (book.0, book.1) != (channel, class));
    }

    /// The owner is gone: books are empty and say why. The channels that were kept.
    pub(super) fn break_books(&mut self, topic: Topic) -> Vec<(u8, u8, u64)> {
        let books = &mut self.entries[topic as usize].books;
        for (_, _, _, book) in books.iter_mut() {
            book.clear();
            book.state = state::STALE;
        }
        books.iter().map(|book| (book.0, book.1, book.2)).collect()
    }

    /// What a status frame says.
    pub(super) fn status(&mut self, topic: Topic, told: &Told) -> bool {
        self.set_state(topic, told.state, told.since_ns, &told.reason)
    }
}

impl Viewed for Mirror {
    fn view(&self, topic: Topic) -> View<'_> {
        let entry = &self.entries[topic as usize];
        let has_venue = !entry.venue.is_empty();
        View {
            name: &entry.name,
            quoted_name: &entry.quoted,
            last: entry.last.as_ref(),
            time_precision: entry.time_precision,
            venue: has_venue.then_some(entry.venue_quoted.as_slice()),
            venue_name: has_venue.then_some(entry.venue.as_str()),
            bid: entry.bid,
            bid_size: entry.bid_size,
            ask: entry.ask,
            ask_size: entry.ask_size,
            open: entry.open,
            high: entry.high,
            low: entry.low,
            prev_close: entry.prev_close,
            volume: entry.volume,
            state: entry.state,
            currency: &entry.currency,
            consolidated: entry.consolidated,
        }
    }

    fn book(&self, topic: Topic, depth: u8, out: &mut Book) {
        let books = self.entries[topic as usize].books.iter();
        let newest = books
            .filter(|book| hub::depth(book.0) == depth)
            .max_by_key(|book| book.2);
        out.clear();
        match newest {
            Some((_, _, _, book)) => out.clone_from(book),
            None => out.state = state::STALE,
        }
    }

    fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar> {
        let bars = &self.entries[topic as usize].bars[interval];
        let place = bars.binary_search_by_key(&start_ns, |bar| bar.start_ns);
        place.ok().map(|place| bars[place])
    }

    fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>) {
        let bars = &self.entries[topic as usize].bars[interval];
        out.clear();
        out.extend_from_slice(&bars[bars.len().saturating_sub(limit)..]);
    }

    fn since(&self, topic: Topic) -> i64 {
        self.entries[topic as usize].since_ns
    }

    fn reason(&self, topic: Topic) -> &str {
        &self.entries[topic as usize].reason
    }
}
