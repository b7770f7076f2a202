//! The latest state against a slow model of it: whatever rows come, in whatever order, every field of every topic agrees,
//! and what the sink was told is exactly what changed.

mod model;

use std::collections::BTreeSet;

use model::{DAY, SECOND, Trade, World};
use proptest::prelude::*;
use serde_json::Value;
use tickcast_core::encode::write_price;
use tickcast_core::latest::{Cause, Definition, Latest, PRICE_FIELDS, Settings};
use tickcast_core::record::{Record, flag, instrument_id, kind, state};

const VENUES: [&str; 3] = ["XNAS", "XSIM", "BINANCE"];
const START: i64 = 20_541 * DAY + DAY - 20 * SECOND;
const MEMORY: usize = 5;

/// A value with one of several spellings: hundredths, at a scale of 2 to 6.
type Spelt = (i64, u8);

#[derive(Clone, Debug)]
enum Step {
    Quote {
        leg: usize,
        bid: Option<Option<(Spelt, Spelt)>>,
        ask: Option<Option<(Spelt, Spelt)>>,
        flags: u16,
    },
    Trade {
        leg: usize,
        price: Spelt,
        size: Spelt,
        ago: i64,
        flags: u16,
        conditions: u16,
    },
    Bust {
        leg: usize,
        back: usize,
    },
    Correction {
        leg: usize,
        back: usize,
        price: Spelt,
        size: Spelt,
    },
    Status {
        leg: usize,
        state: u8,
    },
    Gap {
        leg: usize,
    },
    Volume {
        leg: usize,
        size: Spelt,
    },
    PrevClose {
        leg: usize,
        price: Spelt,
    },
    Feed {
        leg: usize,
        state: u8,
    },
    Wait {
        ns: i64,
    },
}

fn spelt(values: std::ops::Range<i64>) -> impl Strategy<Value = Spelt> {
    (values, 2u8..=6)
}

fn mantissa((hundredths, scale): Spelt) -> i64 {
    hundredths * 10_i64.pow(u32::from(scale) - 2)
}

fn millionths((hundredths, _): Spelt) -> i128 {
    i128::from(hundredths) * 10_000
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leg = 0..VENUES.len();
    let price = || spelt(990..1000);
    let size = || spelt(1..400);
    let side =
        || proptest::option::weighted(0.8, proptest::option::weighted(0.9, (price(), size())));
    let trade_flags = prop_oneof![
        6 => Just(0),
        1 => Just(flag::BACKFILLED),
        1 => Just(flag::SNAPSHOT),
        1 => Just(flag::HISTORY),
    ];
    let quote_flags =
        prop_oneof![8 => Just(0), 1 => Just(flag::SNAPSHOT), 1 => Just(flag::INVALID_BOOK)];
    let ago = prop_oneof![
        2 => Just(0),3 => 0..SECOND / 2, 2 => 0..3 * SECOND, 1 => 0..30 * SECOND];
    let step = prop_oneof![
        6 => (leg.clone(), side(), side(), quote_flags)
            .prop_map(|(leg, bid, ask, flags)| Step::Quote { leg, bid, ask, flags }),
        8 => (leg.clone(), price(), size(), ago, trade_flags, prop_oneof![4 => Just(0u16), 1 => 0u16..64])
            .prop_map(|(leg, price, size, ago, flags, conditions)| Step::Trade { leg, price, size, ago, flags, conditions }),
        2 => (leg.clone(), 0..MEMORY).prop_map(|(leg, back)| Step::Bust { leg, back }),
        1 => (leg.clone(), 0..MEMORY, price(), size())
            .prop_map(|(leg, back, price, size)| Step::Correction { leg, back, price, size }),
        2 => (leg.clone(), prop_oneof![3 => Just(state::LIVE), 1 => 0u8..=10]).prop_map(|(leg, state)| Step::Status { leg, state }),
        1 => leg.clone().prop_map(|leg| Step::Gap { leg }),
        1 => (leg.clone(), size()).prop_map(|(leg, size)| Step::Volume { leg, size }),
        1 => (leg.clone(), price()).prop_map(|(leg, price)| Step::PrevClose { leg, price }),
        1 => (leg, prop_oneof![2 => Just(state::LIVE), 1 => Just(state::STALE), 1 => 2u8..=10])
            .prop_map(|(leg, state)| Step::Feed { leg, state }),
        4 => prop_oneof![4 => 1..2 * SECOND, 1 => 1..10 * SECOND, 1 => Just(DAY / 3)].prop_map(|ns| Step::Wait { ns }),
    ];
    proptest::collection::vec(step, 1..80)
}

/// Both, side by side.
struct Pair {
    latest: Latest,
    model: World,
    now: i64,
    next_id: u64,
    /// Ids of each leg's remembered trades, as the memory should hold them.
    remembered: Vec<Vec<u64>>,
    rolled: bool,
}

fn name(leg: usize) -> String {
    format!("{}:AAPL", VENUES[leg])
}

impl Pair {
    fn new() -> Self {
        let settings = Settings {
            memory_max: MEMORY,
            ..Settings::default()
        };
        let mut latest = Latest::new(settings);
        for (leg, venue) in VENUES.iter().enumerate() {
            let definition = Definition {
                instrument: instrument_id(&name(leg)),
                venue: (*venue).to_owned(),
                symbol: "AAPL".to_owned(),
                feed: venue.to_lowercase(),
                security: "AAPL".to_owned(),
                asset_class: "equity".to_owned(),
                currency: "USD".to_owned(),
                tick_size: None,
                calendar: "24/7".to_owned(),
                time_precision: 9,
                primary: leg == 1,
                on_demand: false,
            };
            assert!(latest.define(&definition, START, &mut |_, _| {}));
        }
        let leg = model::Leg {
            feed: state::LIVE,
            ..model::Leg::default()
        };
        let model = World {
            legs: vec![leg; VENUES.len()],
            last: None,
        };
        let remembered = vec![Vec::new(); VENUES.len()];
        Self {
            latest,
            model,
            now: START,
            next_id: 1,
            remembered,
            rolled: false,
        }
    }

    fn row(&self, leg: usize, kind: u8) -> Record {
        Record {
            ts_event: self.now,
            ts_recv: self.now,
            instrument: instrument_id(&name(leg)),
            kind,
            flags: flag::LAST_OF_EVENT,
            ..Record::default()
        }
    }

    /// The rows of a step, once the model has taken it.
    fn rows(&mut self, step: &Step) -> Vec<Record> {
        match *step {
            Step::Quote {
                leg,
                bid,
                ask,
                flags,
            } => self.quote(leg, bid, ask, flags),
            Step::Trade {
                leg,
                price,
                size,
                ago,
                flags,
                conditions,
            } => self.trade(leg, price, size, self.now - ago, flags, conditions),
            Step::Bust { leg, back } => {
                let Some(id) = self.pick(leg, back) else {
                    return Vec::new();
                };
                self.remembered[leg].retain(|other| *other != id);
                self.model.amend(leg, id, None);
                vec![Record {
                    id,
                    ..self.row(leg, kind::BUST)
                }]
            }
            Step::Correction {
                leg,
                back,
                price,
                size,
            } => {
                let Some(id) = self.pick(leg, back) else {
                    return Vec::new();
                };
                self.model
                    .amend(leg, id, Some((millionths(price), millionths(size))));
                vec![valued(
                    Record {
                        id,
                        ..self.row(leg, kind::CORRECTION)
                    },
                    price,
                    size,
                )]
            }
            Step::Status { leg, state } => {
                let entry = &mut self.model.legs[leg];
                entry.status = state;
                match state {
                    state::EMPTY => entry.seen = false,
                    state::LIVE => (entry.gap, entry.invalid) = (false, false),
                    _ => {}
                }
                vec![Record {
                    detail: state.into(),
                    ..self.row(leg, kind::STATUS)
                }]
            }
            Step::Gap { leg } => {
                self.model.legs[leg].gap = true;
                vec![self.row(leg, kind::GAP)]
            }
            Step::Volume { leg, size } => {
                self.rolled |= self.model.legs[leg].roll(self.now);
                self.model.legs[leg].volume = Some(millionths(size));
                vec![valued(self.row(leg, kind::VOLUME), (0, 2), size)]
            }
            Step::PrevClose { leg, price } => {
                self.rolled |= self.model.legs[leg].roll(self.now);
                (self.model.legs[leg].close, self.model.legs[leg].close_id) =
                    (Some(millionths(price)), None);
                vec![valued(self.row(leg, kind::PREV_CLOSE), price, (0, 2))]
            }
            Step::Feed { .. } | Step::Wait { .. } => Vec::new(),
        }
    }

    fn quote(
        &mut self,
        leg: usize,
        bid: Option<Option<(Spelt, Spelt)>>,
        ask: Option<Option<(Spelt, Spelt)>>,
        flags: u16,
    ) -> Vec<Record> {
        let mut rows = Vec::new();
        for (kind, side) in [(kind::BID, bid), (kind::ASK, ask)] {
            let row = Record {
                flags,
                ..self.row(leg, kind)
            };
            match side {
                None => continue,
                Some(None) => rows.push(Record {
                    flags: flags | flag::NO_PRICE,
                    ..row
                }),
                Some(Some((price, size))) => rows.push(valued(row, price, size)),
            }
            let value = side
                .flatten()
                .map(|(price, size)| (millionths(price), millionths(size)));
            let entry = &mut self.model.legs[leg];
            *(if kind == kind::BID {
                &mut entry.bid
            } else {
                &mut entry.ask
            }) = value;
        }
        if let Some(last) = rows.last_mut() {
            last.flags |= flag::LAST_OF_EVENT;
            let entry = &mut self.model.legs[leg];
            entry.invalid = flags & flag::INVALID_BOOK != 0;
            entry.gap &= entry.invalid;
            entry.seen |= entry.bid.is_some() || entry.ask.is_some();
        }
        rows
    }

    fn trade(
        &mut self,
        leg: usize,
        price: Spelt,
        size: Spelt,
        ts: i64,
        flags: u16,
        conditions: u16,
    ) -> Vec<Record> {
        let id = self.next_id;
        self.next_id += 1;
        if flags & flag::HISTORY == 0 {
            if flags & flag::SNAPSHOT == 0 {
                self.rolled |= self.model.legs[leg].roll(ts);
            }
            let (price, size) = (millionths(price), millionths(size));
            let trade = Trade {
                id,
                ts,
                price,
                size,
                conditions,
                flags,
                gone: false,
                session: None,
            };
            let before = self.model.legs[leg].trades.len();
            self.model.trade(leg, &trade, self.now);
            if self.model.legs[leg].trades.len() > before {
                self.remembered[leg].push(id);
                if self.remembered[leg].len() > MEMORY {
                    self.remembered[leg].remove(0);
                }
            }
        }
        let row = self.row(leg, kind::TRADE);
        vec![valued(
            Record {
                id,
                ts_event: ts,
                flags: row.flags | flags,
                detail: conditions,
                ..row
            },
            price,
            size,
        )]
    }

    fn pick(&self, leg: usize, back: usize) -> Option<u64> {
        self.remembered[leg].iter().rev().nth(back).copied()
    }

    fn json(&self, topic: &str) -> Value {
        let mut out = Vec::new();
        write_price(
            &mut out,
            &self.latest,
            self.latest.topic(topic).unwrap(),
            true,
            1,
            1,
            0,
        );
        serde_json::from_slice(&out).unwrap()
    }

    fn all(&self) -> Vec<(String, Value)> {
        let names = (0..VENUES.len()).map(name).chain(["AAPL".to_owned()]);
        names.map(|name| (name.clone(), self.json(&name))).collect()
    }

    /// Do a step on both, and hold what was told against what can be seen.
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let before = self.all();
        self.rolled = false;
        let rows = self.rows(step);
        let mut told: Vec<(String, u32, bool)> = Vec::new();
        let mut sink = |latest: &Latest, change: tickcast_core::latest::Change| {
            let is_trade = match change.cause {
                Cause::Trade(_) => true,
                Cause::Quote | Cause::Other => false,
                Cause::Book | Cause::Bar { .. } => return,
            };
            told.push((
                latest.name(change.topic).to_owned(),
                change.fields,
                is_trade,
            ));
        };
        match *step {
            Step::Feed { leg, state } => {
                self.model.legs[leg].feed = state;
                self.latest.set_feed_state(
                    &VENUES[leg].to_lowercase(),
                    state,
                    "",
                    self.now,
                    &mut sink,
                );
            }
            Step::Wait { ns } => self.now += ns,
            _ => {
                self.latest.apply(&rows, None, self.now, &mut sink);
            }
        }
        let trades = told.iter().filter(|(_, _, is_trade)| *is_trade).count();
        let is_counted = matches!(step, Step::Trade { flags, .. } if flags & (flag::HISTORY | flag::SNAPSHOT) == 0);
        prop_assert_eq!(trades, if is_counted { 2 } else { 0 });
        for ((topic, old), (_, new)) in before.iter().zip(self.all()) {
            let own = told.iter().filter(|(name, _, _)| name == topic);
            let fields = own.clone().fold(0, |all, (_, fields, _)| all | fields);
            // Without a roll, an event changes a topic once.
            prop_assert!(own.count() <= 1 + usize::from(self.rolled), "{told:?}");
            self.check_told(topic, fields, old, &new)?;
        }
        Ok(())
    }

    fn check_told(
        &self,
        topic: &str,
        fields: u32,
        old: &Value,
        new: &Value,
    ) -> Result<(), TestCaseError> {
        let key = |name: &'static str| {
            if name == "timestamp" {
                "exchange_timestamp"
            } else {
                name
            }
        };
        let told: BTreeSet<_> = (0..PRICE_FIELDS.len())
            .filter(|bit| fields & (1 << bit) != 0)
            .map(|bit| key(PRICE_FIELDS[bit]))
            .collect();
        let differs = PRICE_FIELDS
            .iter()
            .map(|name| key(name))
            .filter(|name| old.get(name) != new.get(name));
        let differs: BTreeSet<_> = differs.collect();
        prop_assert!(
            told.is_superset(&differs),
            "{topic}: told {told:?}, but {differs:?}: {old} {new}"
        );
        // These may be told though their value is the same.
        let derived = ["change", "change_pct", "exchange_timestamp"];
        let too_many: Vec<_> = told
            .difference(&differs)
            .filter(|name| !derived.contains(name))
            .collect();
        prop_assert!(
            self.rolled || too_many.is_empty(),
            "{topic}: told {too_many:?} in vain: {old} {new}"
        );
        Ok(())
    }

    fn check_values(&self) -> Result<(), TestCaseError> {
        for (leg, entry) in self.model.legs.iter().enumerate() {
            let json = self.json(&name(leg));
            check_last(&json, entry.last().as_ref())?;
            check_session(&json, entry)?;
            check_sides(&json, entry.bid, entry.ask)?;
            prop_assert_eq!(number(&json["volume"]), entry.volume);
            prop_assert_eq!(&json["state"], state::NAMES[usize::from(entry.state())]);
        }
        let json = self.json("AAPL");
        let last = self.model.last.as_ref();
        check_last(&json, last.map(|(_, trade, _)| trade))?;
        check_session(&json, &self.model.legs[1])?;
        let (bid, ask) = (self.model.best(1), self.model.best(-1));
        check_sides(&json, bid, ask)?;
        prop_assert_eq!(number(&json["volume"]), self.model.volume());
        prop_assert_eq!(json["venue"].as_str(), last.map(|(leg, _, _)| VENUES[*leg]));
        prop_assert_eq!(
            &json["state"],
            state::NAMES[usize::from(self.model.state())]
        );
        prop_assert_eq!(
            &json["legs"],
            &serde_json::json!({"live": self.model.live().len(), "of": VENUES.len()})
        );
        let crossed = matches!((bid, ask), (Some(bid), Some(ask)) if bid.0 >= ask.0);
        prop_assert_eq!(json["crossed"].as_bool(), Some(crossed));
        Ok(())
    }
}

fn valued(record: Record, price: Spelt, size: Spelt) -> Record {
    Record {
        price: mantissa(price),
        price_scale: price.1,
        size: mantissa(size),
        size_scale: size.1,
        ..record
    }
}

/// A decimal text in millionths.
fn number(value: &Value) -> Option<i128> {
    let text = value.as_str()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<6}");
    Some(digits.parse().unwrap())
}

fn check_last(json: &Value, last: Option<&Trade>) -> Result<(), TestCaseError> {
    prop_assert_eq!(number(&json["price"]), last.map(|trade| trade.price));
    prop_assert_eq!(number(&json["size"]), last.map(|trade| trade.size));
    prop_assert_eq!(json["exchange_timestamp"].is_null(), last.is_none());
    let (price, close) = (number(&json["price"]), number(&json["prev_close"]));
    let change = price.and_then(|price| Some(price - close?));
    prop_assert_eq!(number(&json["change"]), change);
    Ok(())
}

fn check_session(json: &Value, leg: &model::Leg) -> Result<(), TestCaseError> {
    let range = leg.range();
    prop_assert_eq!(number(&json["open"]), range.map(|range| range[0]));
    prop_assert_eq!(number(&json["high"]), range.map(|range| range[1]));
    prop_assert_eq!(number(&json["low"]), range.map(|range| range[2]));
    prop_assert_eq!(number(&json["prev_close"]), leg.close);
    Ok(())
}

fn check_sides(
    json: &Value,
    bid: Option<(i128, i128)>,
    ask: Option<(i128, i128)>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(number(&json["bid"]), bid.map(|side| side.0));
    prop_assert_eq!(number(&json["bid_size"]), bid.map(|side| side.1));
    prop_assert_eq!(number(&json["ask"]), ask.map(|side| side.0));
    prop_assert_eq!(number(&json["ask_size"]), ask.map(|side| side.1));
    Ok(())
}

proptest! {
    #[test]
    fn latest_agrees_with_the_slow_model(steps in steps()) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step)?;
            pair.check_values()?;
        }
    }
}
