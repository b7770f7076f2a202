//! MessagePack (github.com/msgpack/msgpack, spec.md): maps with the keys of the JSON messages, read in one walk; requests are
//! written from their JSON form.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::event::{Event, Kind, Malformed};
use crate::time;

/// Numbers that compact frames begin with.
pub const PRICE: u64 = 0;
pub const TRADE: u64 = 1;
pub const BOOK: u64 = 2;
pub const BAR: u64 = 3;

/// Bits of the mask of a compact update of prices.
const TIMESTAMP: u32 = 7;
const SERVER_TIMESTAMP: u32 = 8;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 32;

/// Calls `visit` with each frame of a message: a map, or an array of maps (`batch`).
pub fn frames(message: &[u8], mut visit: impl FnMut(Event)) -> Result<(), Malformed> {
    let mut reader = Reader {
        data: message,
        at: 0,
    };
    match reader.item()? {
        Item::Map(pairs) => visit(reader.frame(pairs, 0)?),
        Item::Array(length) if reader.is_number() => visit(reader.places(length, 0)?),
        Item::Array(length) => {
            for _ in 0..length {
                let start = reader.at;
                match reader.item()? {
                    Item::Map(pairs) => visit(reader.frame(pairs, start)?),
                    Item::Array(places) => visit(reader.places(places, start)?),
                    _ => return Err(Malformed(start)),
                }
            }
        }
        _ => return Err(Malformed(0)),
    }
    if reader.at == message.len() {
        Ok(())
    } else {
        Err(Malformed(reader.at))
    }
}

/// The JSON value that a message stands for.
pub fn value(data: &[u8]) -> Result<Value, Malformed> {
    Reader { data, at: 0 }.value(0)
}

/// Appends a JSON value.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(is_true) => out.push(0xc2 + u8::from(*is_true)),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => {
                out.push(0xcf);
                out.extend_from_slice(&whole.to_be_bytes());
            }
            None => {
                out.push(0xcb);
                out.extend_from_slice(&number.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            write_length(out, 0xdd, items.len());
            items.iter().for_each(|item| write(out, item));
        }
        Value::Object(members) => {
            write_length(out, 0xdf, members.len());
            for (key, member) in members {
                write_text(out, key);
                write(out, member);
            }
        }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    write_length(out, 0xdb, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn write_length(out: &mut Vec<u8>, format: u8, length: usize) {
    out.push(format);
    out.extend_from_slice(&(length as u32).to_be_bytes());
}

/// The n-th bit that is set, from the lowest.
fn set_bit(mask: u64, n: usize) -> Option<u32> {
    (0..u64::BITS).filter(|bit| mask >> bit & 1 == 1).nth(n)
}

/// One value, or the head of one that holds others.
enum Item {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Range<usize>),
    Bytes,
    Array(usize),
    Map(usize),
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= self.data.len())
            .ok_or(Malformed(start))?;
        self.at = end;
        Ok(start..end)
    }

    /// A big-endian number of so many bytes.
    fn number(&mut self, length: usize) -> Result<u64, Malformed> {
        let place = self.take(length)?;
        Ok(self.data[place]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn length(&mut self, length: usize) -> Result<usize, Malformed> {
        Ok(self.number(length)? as usize)
    }

    fn bytes(&mut self, length: usize) -> Result<Item, Malformed> {
        self.take(length).map(|_| Item::Bytes)
    }

    fn item(&mut self) -> Result<Item, Malformed> {
        let start = self.at;
        let format = self.number(1)? as u8;
        Ok(match format {
            0x00..=0x7f => Item::Unsigned(format.into()),
            0x80..=0x8f => Item::Map(usize::from(format & 0x0f)),
            0x90..=0x9f => Item::Array(usize::from(format & 0x0f)),
            0xa0..=0xbf => Item::Text(self.take(usize::from(format & 0x1f))?),
            0xc0 => Item::Nil,
            0xc1 => return Err(Malformed(start)),
            0xc2 | 0xc3 => Item::Bool(format == 0xc3),
            0xc4..=0xc6 => {
                let length = self.length(1 << (format - 0xc4))?;
                self.bytes(length)?
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (format - 0xc7))?;
                self.bytes(length + 1)?
            }
            0xca => Item::Float(f32::from_bits(self.number(4)? as u32).into()),
            0xcb => Item::Float(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => Item::Unsigned(self.number(1 << (format - 0xcc))?),
            0xd0 => Item::Signed((self.number(1)? as i8).into()),
            0xd1 => Item::Signed((self.number(2)? as i16).into()),
            0xd2 => Item::Signed((self.number(4)? as i32).into()),
            0xd3 => Item::Signed(self.number(8)? as i64),
            0xd4..=0xd8 => self.bytes(1 + (1 << (format - 0xd4)))?,
            0xd9..=0xdb => {
                let length = self.length(1 << (format - 0xd9))?;
                Item::Text(self.take(length)?)
            }
            0xdc | 0xdd => Item::Array(self.length(2 << (format - 0xdc))?),
            0xde | 0xdf => Item::Map(self.length(2 << (format - 0xde))?),
            0xe0..=0xff => Item::Signed((format as i8).into()),
        })
    }

    /// Goes behind what an item holds.
    fn skip(&mut self, item: &Item, depth: usize) -> Result<(), Malformed> {
        let inner = match item {
            Item::Array(length) => *length,
            Item::Map(pairs) => 2 * pairs,
            _ => return Ok(()),
        };
        if depth >= DEPTH_MAX {
            return Err(Malformed(self.at));
        }
        for _ in 0..inner {
            let item = self.item()?;
            self.skip(&item, depth + 1)?;
        }
        Ok(())
    }

    fn frame(&mut self, pairs: usize, start: usize) -> Result<Event, Malformed> {
        let mut event = Event::default();
        for _ in 0..pairs {
            let Item::Text(key) = self.item()? else {
                return Err(Malformed(self.at));
            };
            let item = self.item()?;
            self.skip(&item, 0)?;
            match (&self.data[key], item) {
                (b"type", Item::Text(name)) => event.kind = Kind::of(&self.data[name]),
                (b"symbol", Item::Text(name)) => event.symbol = Some(name),
                (b"seq", Item::Unsigned(seq)) => event.seq = Some(seq),
                (b"epoch", Item::Unsigned(epoch)) => event.epoch = Some(epoch),
                (b"count", Item::Unsigned(count)) => event.count = count,
                (b"handle", Item::Unsigned(handle)) => event.handle = u32::try_from(handle).ok(),
                (b"server_timestamp", Item::Text(text)) => {
                    event.server_ns = time::parse(&self.data[text])
                }
                (b"timestamp", Item::Text(text)) => {
                    event.exchange_ns = time::parse(&self.data[text])
                }
                _ => {}
            }
        }
        event.whole = start..self.at;
        Ok(event)
    }

    /// Whether a number is next.
    fn is_number(&self) -> bool {
        matches!(self.data.get(self.at), Some(0x00..=0x7f))
    }

    /// A compact frame: kind, handle and `seq` first, then what the kind says (`docs/protocol.md`).
    fn places(&mut self, length: usize, start: usize) -> Result<Event, Malformed> {
        let mut event = Event::default();
        let (mut code, mut mask) = (0, 0);
        for place in 0..length {
            let item = self.item()?;
            self.skip(&item, 0)?;
            match (place, item) {
                (0, Item::Unsigned(kind)) => {
                    (code, event.kind) = (kind, Kind::of_compact(kind));
                }
                (1, Item::Unsigned(handle)) => event.handle = u32::try_from(handle).ok(),
                (2, Item::Unsigned(seq)) => event.seq = Some(seq),
                (0..=2, _) => return Err(Malformed(start)),
                (3, Item::Unsigned(fields)) if code == PRICE => mask = fields,
                (_, Item::Unsigned(ns)) if code == PRICE => match set_bit(mask, place - 4) {
                    Some(TIMESTAMP) => event.exchange_ns = i64::try_from(ns).ok(),
                    Some(SERVER_TIMESTAMP) => event.server_ns = i64::try_from(ns).ok(),
                    _ => {}
                },
                (3, Item::Unsigned(ns)) if code == BOOK => {
                    event.exchange_ns = i64::try_from(ns).ok();
                }
                (7, Item::Unsigned(ns)) if code == TRADE => {
                    event.exchange_ns = i64::try_from(ns).ok();
                }
                _ => {}
            }
        }
        if event.seq.is_none() {
            return Err(Malformed(start));
        }
        event.whole = start..self.at;
        Ok(event)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed(self.at));
        }
        Ok(match self.item()? {
            Item::Nil | Item::Bytes => Value::Null,
            Item::Bool(is_true) => is_true.into(),
            Item::Unsigned(number) => number.into(),
            Item::Signed(number) => number.into(),
            Item::Float(number) => number.into(),
            Item::Text(text) => String::from_utf8_lossy(&self.data[text]).into(),
            Item::Array(length) => {
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(self.value(depth + 1)?);
                }
                items.into()
            }
            Item::Map(pairs) => {
                let mut members = Map::new();
                for _ in 0..pairs {
                    let Item::Text(key) = self.item()? else {
                        return Err(Malformed(self.at));
                    };
                    let key = String::from_utf8_lossy(&self.data[key]).into_owned();
                    members.insert(key, self.value(depth + 1)?);
                }
                members.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn frames_are_understood_alone_and_in_a_batch() {
        let update = json!({"type": "update", "symbol": "AAPL", "legs": {"live": [2, null]}, "seq": 915, "price": "1.50",
            "server_timestamp": "1970-01-01T00:00:02.500Z", "crossed": false});
        for (message, count) in [
            (update.clone(), 1),
            (json!([update, update]), 2),
            (json!([]), 0),
        ] {
            let bytes = written(&message);
            let mut events = Vec::new();
            frames(&bytes, |event| events.push(event)).unwrap();
            assert_eq!(events.len(), count);
            for event in events {
                assert_eq!(
                    (event.kind, event.seq, event.server_ns),
                    (Kind::Update, Some(915), Some(2_500_000_000))
                );
                assert_eq!(&bytes[event.symbol.unwrap()], b"AAPL");
                assert_eq!(value(&bytes[event.whole]).unwrap(), update);
            }
            assert!(frames(&bytes[..bytes.len() - 1], |_| ()).is_err());
        }
    }

    #[test]
    fn compact_frames_are_understood_alone_and_in_a_batch() {
        let update = json!([
            0,
            7,
            915,
            0b1_1000_0001,
            593_346,
            2_000_000_000_u64,
            2_500_000_000_u64
        ]);
        let trade = json!([1, 7, 916, 12, 593_346, 64, 1, 3_000_000_000_u64, 0]);
        let book = json!([
            2,
            7,
            917,
            4_000_000_000_u64,
            [593_346, 64],
            [],
            5_000_000_000_u64
        ]);
        let bar = json!([3, 7, 918, 1, 60, null, null, null, null, null, null, 0, 1]);
        let mut found = Vec::new();
        for message in [update.clone(), json!([update, trade, book, bar])] {
            frames(&compact(&message), |event| {
                found.push((
                    event.kind,
                    event.handle,
                    event.seq,
                    event.exchange_ns,
                    event.server_ns,
                ));
            })
            .unwrap();
        }
        let price = (
            Kind::Update,
            Some(7),
            Some(915),
            Some(2_000_000_000),
            Some(2_500_000_000),
        );
        assert_eq!(
            found,
            [
                price,
                price,
                (Kind::Trade, Some(7), Some(916), Some(3_000_000_000), None),
                (Kind::Update, Some(7), Some(917), Some(4_000_000_000), None),
                (Kind::Bar, Some(7), Some(918), None, None),
            ]
        );
        for broken in [
            json!([0]),
            json!([0, 7]),
            json!([0, 7, "x"]),
            json!([["x", 7, 915]]),
        ] {
            assert!(frames(&compact(&broken), |_| ()).is_err());
        }
    }

    /// As the gateway writes it: small integers are one byte.
    fn compact(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        match value {
            Value::Number(number) if number.as_u64().is_some_and(|small| small < 128) => {
                out.push(number.as_u64().unwrap() as u8);
            }
            Value::Array(items) => {
                write_length(&mut out, 0xdd, items.len());
                for item in items {
                    out.extend(compact(item));
                }
            }
            _ => write(&mut out, value),
        }
        out
    }

    #[test]
    fn values_survive() {
        let all = json!({"a": [1, 1.5, "x", null, true, false, u64::MAX], "b": {"c": {}}, "d": []});
        assert_eq!(value(&written(&all)).unwrap(), all);
        assert_eq!(value(&[0xd1, 0xff, 0xfe]).unwrap(), json!(-2));
        assert_eq!(value(&[0xff]).unwrap(), json!(-1));
        assert!(value(&[0x91; 100]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = frames(&data, |_| ());
            let _ = value(&data);
        }
    }
}
