//! What a client has of one subscription, built from what it reads alone.

use super::*;

/// What a client has of one subscription: texts.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) has_snapshot: bool,
    pub(super) needs_snapshot: bool,
    pub(super) snapshots: usize,
    pub(super) updates: usize,
    seq: u64,
    state: String,
    sides: [HashMap<String, String>; 2],
    pub(super) bars: BTreeMap<String, Value>,
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

impl Seen {
    fn ordered(&self, is_bid: bool) -> Vec<(&str, &str)> {
        let side = &self.sides[usize::from(!is_bid)];
        let mut levels: Vec<(&str, &str)> = side
            .iter()
            .map(|(price, size)| (price.as_str(), size.as_str()))
            .collect();
        levels.sort_by(|left, right| number(left.0).total_cmp(&number(right.0)));
        if is_bid {
            levels.reverse();
        }
        levels
    }

    fn text(&self) -> String {
        let levels = [self.ordered(true), self.ordered(false)].concat();
        let levels = levels.iter().map(|(price, size)| format!("{price}:{size}"));
        levels.collect::<Vec<_>>().join(",")
    }

    fn apply_book(&mut self, message: &Value, depth: usize) {
        let is_snapshot = message["type"] == "snapshot";
        if is_snapshot {
            assert_eq!(message["depth"], depth);
            assert_eq!(message["last"], true);
            self.sides = <[HashMap<String, String>; 2]>::default();
            message["state"]
                .as_str()
                .expect("a state")
                .clone_into(&mut self.state);
        }
        let mut count = 0;
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in message[name].as_array().expect("levels") {
                count += 1;
                let (price, size) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
                if size == "0" {
                    assert!(side.remove(price).is_some(), "{price} was there: {message}");
                } else {
                    let old = side.insert(price.to_owned(), size.to_owned());
                    assert_ne!(old.as_deref(), Some(size), "nothing is told twice");
                }
            }
            assert!(side.len() <= depth, "{message}");
        }
        assert!(is_snapshot || count > 0, "an update says something");
        if let Some(digest) = message["digest"].as_u64() {
            assert_eq!(digest, u64::from(crc32fast::hash(self.text().as_bytes())));
        } else {
            assert!(!is_snapshot);
        }
    }

    pub(super) fn take(&mut self, message: &Value, channel: u8) {
        let seq = message["seq"].as_u64().expect("a seq");
        match message["type"].as_str().expect("a type") {
            "snapshot" => {
                (self.has_snapshot, self.needs_snapshot) = (true, false);
                self.snapshots += 1;
            }
            _ => {
                self.updates += 1;
                assert!(!self.needs_snapshot, "it shows again: {message}");
                assert!(self.has_snapshot, "first a snapshot: {message}");
                assert!(seq > self.seq, "{} then {message}", self.seq);
            }
        }
        self.seq = seq;
        if channel < CHANNEL_BARS_1S {
            self.apply_book(message, depth(channel).into());
            return;
        }
        match message["bars"].as_array() {
            Some(bars) => {
                self.bars.clear();
                for bar in bars {
                    self.put(bar);
                }
            }
            None => self.put(message),
        }
    }

    fn put(&mut self, bar: &Value) {
        let mut bar = bar.clone();
        for name in ["type", "symbol", "channel", "interval", "seq"] {
            bar.as_object_mut().expect("a bar").remove(name);
        }
        let start = bar["start"].as_str().expect("a time").to_owned();
        if bar["trades"] == 0 {
            self.bars.remove(&start);
        } else {
            self.bars.insert(start, bar);
        }
    }

    /// Holds it against the model's book, and against REST's object.
    pub(super) fn check(&self, channel: u8, rest: &Value, model: &Sides) {
        assert!(self.has_snapshot, "a barrier comes behind the snapshot");
        if channel >= CHANNEL_BARS_1S {
            for bar in rest["bars"].as_array().expect("bars") {
                assert_eq!(Some(bar), self.bars.get(bar["start"].as_str().unwrap()));
            }
            return;
        }
        assert_eq!(rest["state"], self.state.as_str());
        for (is_bid, name) in [(true, "bids"), (false, "asks")] {
            let seen = self.ordered(is_bid);
            let told = rest[name].as_array().expect("levels").iter();
            let told = told.map(|level| (level[0].as_str().unwrap(), level[1].as_str().unwrap()));
            assert_eq!(seen, told.collect::<Vec<_>>());
            let side = model[usize::from(!is_bid)].iter();
            let expected: Vec<(i64, i64)> = if is_bid {
                side.rev()
                    .take(depth(channel).into())
                    .map(|(price, size)| (*price, *size))
                    .collect()
            } else {
                side.take(depth(channel).into())
                    .map(|(price, size)| (*price, *size))
                    .collect()
            };
            let seen: Vec<(i64, i64)> = seen
                .iter()
                .map(|(price, size)| ((number(price) * 10.0).round() as i64, number(size) as i64))
                .collect();
            assert_eq!(seen, expected);
        }
    }
}
