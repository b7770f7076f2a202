//! Reading a topic, whether it is an instrument or a security.

use super::apply::own_reason;
use super::depth::Book;
use super::memory::Last;
use super::types::{Bar, Topic};
use super::value::{Amount, Price};
use super::{Latest, Leg, Meta, Of, TopicEntry};
use crate::record::state;

/// Everything that clients can see of a topic, values not yet texts.
pub struct View<'a> {
    pub name: &'a str,
    /// The topic's name as JSON, quotes included.
    pub quoted_name: &'a [u8],
    pub last: Option<&'a Last>,
    /// Digits of a second in `last`'s time.
    pub time_precision: u8,
    /// Venue of the last trade as JSON, quotes included.
    pub venue: Option<&'a [u8]>,
    pub venue_name: Option<&'a str>,
    pub bid: Option<Price>,
    pub bid_size: Option<Amount>,
    pub ask: Option<Price>,
    pub ask_size: Option<Amount>,
    /// Of the session, as far as they are known.
    pub open: Option<Price>,
    pub high: Option<Price>,
    pub low: Option<Price>,
    pub prev_close: Option<Price>,
    pub volume: Option<Amount>,
    pub state: u8,
    pub currency: &'a str,
    /// What only a security has.
    pub consolidated: Option<Consolidated>,
}

/// What only a security has.
#[derive(Clone, Copy, Debug)]
pub struct Consolidated {
    /// Best bid at or above best ask, over venues.
    pub crossed: bool,
    pub live: u32,
    pub of: u32,
}

impl View<'_> {
    /// Price less previous close, exact.
    #[must_use]
    pub fn change(&self) -> Option<Amount> {
        Some(Amount::from(self.last?.price()).minus(self.prev_close?.into()))
    }

    /// The change in percent of the previous close, 2 to 4 decimals; `None` where the close is 0.
    #[must_use]
    pub fn change_percent(&self) -> Option<Amount> {
        self.change()?.percent_of(self.prev_close?.into())
    }
}

/// Newest state that can be read topic by topic: the owner's, or what a gateway worker was told of it.
pub trait Viewed {
    fn view(&self, topic: Topic) -> View<'_>;
    /// When the state became what it is, ns of the owner's clock.
    fn since(&self, topic: Topic) -> i64;
    /// Why the state is what it is; empty if nobody said.
    fn reason(&self, topic: Topic) -> &str;
    /// The book as it is now, at most `depth` levels a side.
    fn book(&self, topic: Topic, depth: u8, out: &mut Book);
    /// The bar of a begin, by number of the interval; `None` where there is none (any more).
    fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar>;
    /// The newest `limit` bars, oldest first.
    fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>);
}

impl Viewed for Latest {
    fn view(&self, topic: Topic) -> View<'_> {
        Self::view(self, topic)
    }

    fn since(&self, topic: Topic) -> i64 {
        Self::since(self, topic)
    }

    fn reason(&self, topic: Topic) -> &str {
        Self::reason(self, topic)
    }

    fn book(&self, topic: Topic, depth: u8, out: &mut Book) {
        Self::book(self, topic, depth, out);
    }

    fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar> {
        Self::bar(self, topic, interval, start_ns)
    }

    fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>) {
        Self::bars(self, topic, interval, limit, out);
    }
}

impl Latest {
    #[must_use]
    pub fn view(&self, topic: Topic) -> View<'_> {
        let entry = &self.topics[topic as usize];
        match entry.of {
            Of::Leg(place) => {
                let (leg, meta) = (&self.legs[place as usize], &self.metas[place as usize]);
                View {
                    state: self.shown(leg.effective),
                    ..view_leg(entry, leg, meta)
                }
            }
            Of::Security(place) => self.view_security(entry, place),
        }
    }

    fn view_security<'a>(&'a self, entry: &'a TopicEntry, place: u32) -> View<'a> {
        let security = &self.securities[place as usize];
        let last_leg = security.last_leg as usize;
        let session = self
            .legs
            .get(security.primary as usize)
            .map(|leg| &leg.session);
        let range = session.and_then(|session| session.range);
        View {
            name: &entry.name,
            quoted_name: &entry.quoted,
            last: security.last.as_ref(),
            time_precision: self.legs.get(last_leg).map_or(9, |leg| leg.precision),
            venue: self.metas.get(last_leg).map(|meta| meta.venue.as_slice()),
            venue_name: self
                .metas
                .get(last_leg)
                .map(|meta| meta.definition.venue.as_str()),
            bid: security.bid.price,
            bid_size: security.bid.size,
            ask: security.ask.price,
            ask_size: security.ask.size,
            open: range.map(|range| range.open),
            high: range.map(|range| range.high),
            low: range.map(|range| range.low),
            prev_close: session.and_then(|session| session.prev_close),
            volume: security.volume,
            state: self.shown(security.effective),
            currency: &security.currency,
            consolidated: Some(Consolidated {
                crossed: security.crossed,
                live: security.live,
                of: super::define::index(security.legs.len()),
            }),
        }
    }

    /// Why the state is what it is; empty if nobody said.
    #[must_use]
    pub fn reason(&self, topic: Topic) -> &str {
        match self.topics[topic as usize].of {
            Of::Leg(leg) => self.leg_reason(&self.legs[leg as usize], &self.metas[leg as usize]),
            Of::Security(place) => {
                let security = &self.securities[place as usize];
                let best = security
                    .legs
                    .iter()
                    .find(|leg| self.legs[**leg as usize].effective == security.effective);
                match best {
                    Some(leg) => {
                        self.leg_reason(&self.legs[*leg as usize], &self.metas[*leg as usize])
                    }
                    None => "",
                }
            }
        }
    }

    fn leg_reason<'a>(&'a self, leg: &Leg, meta: &'a Meta) -> &'a str {
        if leg.effective == state::LIVE {
            return &self.settings.late;
        }
        let feed = &self.feeds[leg.feed as usize];
        if leg.effective == leg.own_state() {
            own_reason(leg, &meta.reason)
        } else {
            &feed.reason
        }
    }
}

fn view_leg<'a>(entry: &'a TopicEntry, leg: &'a Leg, meta: &'a Meta) -> View<'a> {
    let range = leg.session.range;
    View {
        name: &entry.name,
        quoted_name: &entry.quoted,
        last: leg.last.as_ref(),
        time_precision: leg.precision,
        venue: Some(&meta.venue),
        venue_name: Some(&meta.definition.venue),
        bid: leg.bid.price(),
        bid_size: leg.bid.size(),
        ask: leg.ask.price(),
        ask_size: leg.ask.size(),
        open: range.map(|range| range.open),
        high: range.map(|range| range.high),
        low: range.map(|range| range.low),
        prev_close: leg.session.prev_close,
        volume: leg.session.volume,
        state: leg.effective,
        currency: &meta.definition.currency,
        consolidated: None,
    }
}
