//! What a hub knows, as bytes for the process that takes over: the newest state, and of each topic its epoch, its counters
//! and what a client can resume from. Clients are not in it: they come back, and go on where they stood.

use serde::{Deserialize, Serialize};

use super::history::{PriceHistory, TradeHistory};
use super::market::Hub;
use super::topics::{Groups, TopicState};
use super::{COUNTERS, Fanout};
use crate::latest::saved::{Restored, Saved};

/// Counts up with every change of meaning; a change of form is noticed by itself.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct SavedTopic<'a> {
    epoch: u64,
    seq: [u64; COUNTERS],
    prices: &'a PriceHistory,
    trades: &'a TradeHistory,
}

#[derive(Deserialize)]
struct RestoredTopic {
    epoch: u64,
    seq: [u64; COUNTERS],
    prices: PriceHistory,
    trades: TradeHistory,
}

#[derive(Serialize)]
struct SavedHub<'a> {
    format: u32,
    record: usize,
    now_ns: i64,
    latest: Saved<'a>,
    topics: Vec<SavedTopic<'a>>,
}

#[derive(Deserialize)]
struct RestoredHub {
    format: u32,
    record: usize,
    now_ns: i64,
    latest: Restored,
    topics: Vec<RestoredTopic>,
}

impl Fanout {
    fn save_topics(&self) -> Vec<SavedTopic<'_>> {
        let topics = self.topics.iter();
        topics
            .map(|topic| SavedTopic {
                epoch: topic.epoch,
                seq: topic.seq,
                prices: &topic.prices,
                trades: &topic.trades,
            })
            .collect()
    }

    fn restore_topics(&mut self, saved: Vec<RestoredTopic>) {
        let topics = saved.into_iter();
        self.topics = topics
            .map(|topic| TopicState {
                epoch: topic.epoch,
                seq: topic.seq,
                groups: Groups::default(),
                all: [Vec::new(), Vec::new()],
                prices: topic.prices,
                trades: topic.trades,
                batch: 0,
            })
            .collect();
    }
}

impl Hub {
    /// What this hub knows.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn save(&self) -> Result<Vec<u8>, String> {
        let saved = SavedHub {
            format: FORMAT,
            record: size_of::<crate::record::Record>(),
            now_ns: self.fanout().now_ns,
            latest: self.latest().save(),
            topics: self.fanout().save_topics(),
        };
        serde_json::to_vec(&saved).map_err(|wrong| wrong.to_string())
    }

    /// Takes over what another hub knew; this one must know nothing yet. Epochs and counters go on.
    ///
    /// # Errors
    /// The bytes are of another release, damaged or contradict themselves: this hub still knows nothing.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let saved: RestoredHub =
            serde_json::from_slice(saved).map_err(|wrong| wrong.to_string())?;
        let form = (FORMAT, size_of::<crate::record::Record>());
        if (saved.format, saved.record) != form {
            return Err(format!(
                "expected a state of form {form:?}, found {:?}",
                (saved.format, saved.record)
            ));
        }
        let known = saved.topics.iter();
        let holds = |topic: &RestoredTopic| topic.trades.len() as u64 <= topic.seq[1];
        if !known.clone().all(holds) {
            return Err("expected no more trades than were counted, found some".to_owned());
        }
        self.restore_latest(saved.latest)?;
        let fanout = self.fanout_mut();
        fanout.restore_topics(saved.topics);
        fanout.advance(saved.now_ns);
        let count = self.latest().topics();
        self.fanout_mut().grow_topics(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Settings;
    use crate::latest::{self, Definition};
    use crate::record::{Record, flag, kind, state};

    const NAMES: [&str; 3] = ["A:BTC-USDT", "B:BTC-USDT", "BTC-USDT"];

    fn definition(instrument: u64, venue: &str) -> Definition {
        Definition {
            instrument,
            venue: venue.to_owned(),
            symbol: "BTC-USDT".to_owned(),
            feed: venue.to_lowercase(),
            security: String::new(),
            asset_class: "crypto".to_owned(),
            currency: "USDT".to_owned(),
            tick_size: None,
            calendar: "24/7".to_owned(),
            time_precision: 3,
            primary: venue == "A",
            on_demand: false,
        }
    }

    fn row(instrument: u64, kind: u8, price: i64, number: u64) -> Record {
        Record {
            ts_event: 1_000 + number as i64,
            ts_recv: 1_000 + number as i64,
            instrument,
            seq: number,
            id: number,
            price,
            size: 5,
            price_scale: 1,
            kind,
            flags: flag::LAST_OF_EVENT,
            ..Record::default()
        }
    }

    fn empty() -> Hub {
        let settings = Settings {
            epoch: 77,
            ..Settings::default()
        };
        Hub::new(settings, latest::Settings::default())
    }

    fn filled() -> Hub {
        let mut hub = empty();
        for (instrument, venue) in [(1, "A"), (2, "B")] {
            hub.define(&definition(instrument, venue), 1);
            let live = Record {
                detail: u16::from(state::LIVE),
                ..row(instrument, kind::STATUS, 0, 1)
            };
            let begin = Record {
                flags: flag::NO_PRICE,
                ..row(instrument, kind::BOOK_BID, 0, 2)
            };
            let rows = [
                live,
                begin,
                row(instrument, kind::BOOK_BID, 90, 2),
                row(instrument, kind::BID, 90, 3),
                row(instrument, kind::ASK, 110, 3),
                row(instrument, kind::TRADE, 100, 4),
                row(instrument, kind::TRADE, 101, 5),
            ];
            hub.apply(&rows, None, 2_000);
            hub.set_feed_state(&venue.to_lowercase(), state::LIVE, "", 2_000);
        }
        hub
    }

    fn shown(hub: &Hub) -> Vec<Option<Vec<u8>>> {
        NAMES
            .iter()
            .flat_map(|name| {
                [
                    hub.price(name, true),
                    hub.book(name, 10, true),
                    hub.bars(name, crate::hub::CHANNEL_BARS_1S, 10, true),
                ]
            })
            .collect()
    }

    #[test]
    fn a_hub_that_takes_over_knows_what_the_other_knew_and_goes_on() {
        let mut hub = filled();
        let bytes = hub.save().unwrap();
        let mut next = empty();
        next.restore(&bytes).unwrap();
        assert_eq!(shown(&next), shown(&hub));
        assert_eq!(next.save().unwrap(), bytes);
        for one in [&mut hub, &mut next] {
            one.define(&definition(1, "A"), 3_000);
            one.apply(&[row(1, kind::TRADE, 120, 6)], None, 3_000);
        }
        assert_eq!(shown(&next), shown(&hub));
        assert!(next.restore(&bytes).is_err(), "it knows something already");
    }

    #[test]
    fn what_is_damaged_is_refused_as_a_whole() {
        let text = String::from_utf8(filled().save().unwrap()).unwrap();
        for (old, new) in [
            ("\"format\":1", "\"format\":2"),
            ("\"legs\":[{", "\"legs\":[{\"no\":1},{"),
            ("{\"Leg\":0}", "{\"Leg\":99}"),
        ] {
            let damaged = text.replacen(old, new, 1);
            assert_ne!(damaged, text);
            let mut next = empty();
            assert!(next.restore(damaged.as_bytes()).is_err(), "{old}");
            assert!(next.price(NAMES[0], true).is_none());
        }
        assert!(empty().restore(&text.as_bytes()[..text.len() / 2]).is_err());
    }
}
