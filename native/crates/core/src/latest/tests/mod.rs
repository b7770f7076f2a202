//! Scenarios of the latest state, told in rows and in what clients see.

mod consolidation;
mod demand;
mod fuzz;
mod keyed;
mod late;
mod legs;
mod sessions;

use serde_json::Value;

use super::{Applied, Cause, Change, Definition, Latest, PRICE_FIELDS, Settings, TradeRow, field};
use crate::encode;
use crate::record::{Record, flag, instrument_id, kind};

pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;
/// 2026-03-29, midnight UTC.
pub const MIDNIGHT: i64 = 20_541 * DAY;

/// A latest state with everything that it told.
pub struct World {
    pub latest: Latest,
    pub now: i64,
    /// Topic, fields, cause (`trade`, `quote`, `other`).
    pub told: Vec<(String, Vec<&'static str>, &'static str)>,
    pub trades: Vec<TradeRow>,
    /// Changes of books and bars.
    pub keyed: Vec<(String, Cause)>,
}

impl World {
    pub fn new(names: &[&str]) -> Self {
        let mut world = Self {
            latest: Latest::new(Settings::default()),
            now: MIDNIGHT + 3600 * SECOND,
            told: Vec::new(),
            trades: Vec::new(),
            keyed: Vec::new(),
        };
        for name in names {
            world.define(&definition(name));
        }
        world.told.clear();
        world
    }

    pub fn define(&mut self, definition: &Definition) -> bool {
        let mut changes = Vec::new();
        let is_new = self
            .latest
            .define(definition, self.now, &mut |_, change| changes.push(change));
        self.note(changes);
        is_new
    }

    pub fn apply(&mut self, rows: &[Record]) -> Applied {
        self.apply_with(rows, None)
    }

    pub fn apply_with(&mut self, rows: &[Record], texts: Option<&[Option<String>]>) -> Applied {
        let mut changes = Vec::new();
        let applied = self
            .latest
            .apply(rows, texts, self.now, &mut |_, change| changes.push(change));
        self.note(changes);
        applied
    }

    pub fn feed(&mut self, feed: &str, state: u8, reason: &str) -> u32 {
        let mut changes = Vec::new();
        let count = self
            .latest
            .set_feed_state(feed, state, reason, self.now, &mut |_, change| {
                changes.push(change)
            });
        self.note(changes);
        count
    }

    pub fn tick(&mut self, now: i64) {
        self.now = now;
        let mut changes = Vec::new();
        self.latest.tick(now, &mut |_, change| changes.push(change));
        self.note(changes);
    }

    fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            let cause = match change.cause {
                Cause::Trade(trade) => {
                    self.trades.push(trade);
                    "trade"
                }
                Cause::Quote => "quote",
                Cause::Other => "other",
                Cause::Book | Cause::Bar { .. } => {
                    let name = self.latest.name(change.topic).to_owned();
                    self.keyed.push((name, change.cause));
                    continue;
                }
            };
            let name = self.latest.name(change.topic).to_owned();
            self.told.push((name, names(change.fields), cause));
        }
    }

    /// What was told since the last call, in short: `topic cause field field`.
    pub fn take_told(&mut self) -> Vec<String> {
        self.told
            .drain(..)
            .map(|(topic, fields, cause)| {
                [&[topic.as_str(), cause][..], &fields].concat().join(" ")
            })
            .collect()
    }

    /// REST's object, with numbers as their texts.
    pub fn price(&self, name: &str) -> Value {
        let topic = self.latest.topic(name).expect("a topic");
        let mut out = Vec::new();
        encode::write_price(&mut out, &self.latest, topic, true, 7, 9, self.now);
        serde_json::from_slice(&out).expect("valid JSON")
    }

    /// Some fields of a topic: texts as they are, everything else as JSON.
    pub fn see(&self, name: &str, fields: &[&str]) -> String {
        let price = self.price(name);
        let texts = fields.iter().map(|field| match &price[*field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    pub fn state(&self, name: &str) -> &'static str {
        self.latest
            .state_name(self.latest.topic(name).expect("a topic"))
    }

    pub fn reason(&self, name: &str) -> &str {
        self.latest
            .reason(self.latest.topic(name).expect("a topic"))
    }
}

pub fn names(fields: u32) -> Vec<&'static str> {
    (0..PRICE_FIELDS.len())
        .filter(|bit| fields & (1 << bit) != 0)
        .map(|bit| PRICE_FIELDS[bit])
        .collect()
}

/// The feed is the venue in lower case, the security the symbol, days are UTC.
pub fn definition(name: &str) -> Definition {
    let (venue, symbol) = name.split_once(':').expect("VENUE:SYMBOL");
    Definition {
        instrument: instrument_id(name),
        venue: venue.to_owned(),
        symbol: symbol.to_owned(),
        feed: venue.to_lowercase(),
        security: symbol.to_owned(),
        asset_class: "equity".to_owned(),
        currency: "USD".to_owned(),
        tick_size: Some("0.01".to_owned()),
        calendar: "24/7".to_owned(),
        time_precision: 3,
        primary: false,
        on_demand: false,
    }
}

fn scaled(text: &str) -> (i64, u8) {
    let decimal = crate::decimal::Decimal::parse(text.as_bytes()).expect("a decimal");
    (decimal.mantissa, decimal.scale)
}

/// One row that is a whole event; `at` in ns.
fn row(kind: u8, name: &str, price: &str, size: &str, at: i64) -> Record {
    let (price, price_scale) = scaled(price);
    let (size, size_scale) = scaled(size);
    Record {
        ts_event: at,
        ts_recv: at,
        instrument: instrument_id(name),
        price,
        size,
        kind,
        price_scale,
        size_scale,
        flags: flag::LAST_OF_EVENT,
        ..Record::default()
    }
}

pub fn trade(name: &str, id: u64, price: &str, size: &str, at: i64) -> Record {
    Record {
        id,
        side: 1,
        ..row(kind::TRADE, name, price, size, at)
    }
}

/// Both sides in one event; an empty price is an empty side.
pub fn quote(name: &str, bid: (&str, &str), ask: (&str, &str), at: i64) -> [Record; 2] {
    let side = |kind, (price, size): (&str, &str)| {
        if price.is_empty() {
            let row = row(kind, name, "0", "0", at);
            Record {
                flags: row.flags | flag::NO_PRICE,
                ..row
            }
        } else {
            row(kind, name, price, size, at)
        }
    };
    let mut rows = [side(kind::BID, bid), side(kind::ASK, ask)];
    rows[0].flags &= !flag::LAST_OF_EVENT;
    rows
}

pub fn status(name: &str, state: u8) -> Record {
    Record {
        detail: state.into(),
        ..row(kind::STATUS, name, "0", "0", MIDNIGHT)
    }
}

pub fn other(kind: u8, name: &str, id: u64, price: &str, size: &str, at: i64) -> Record {
    Record {
        id,
        ..row(kind, name, price, size, at)
    }
}

pub fn flagged(record: Record, flags: u16) -> Record {
    Record {
        flags: record.flags | flags,
        ..record
    }
}

#[test]
fn field_names_and_bits_agree() {
    assert_eq!(names(field::ALL), PRICE_FIELDS);
    for (bit, name) in [
        (field::PRICE, "price"),
        (field::TIMESTAMP, "timestamp"),
        (field::SERVER_TIMESTAMP, "server_timestamp"),
        (field::STATE, "state"),
        (field::VOLUME, "volume"),
        (field::CHANGE_PCT, "change_pct"),
        (field::LEGS, "legs"),
    ] {
        assert_eq!(names(bit), [name]);
    }
}
