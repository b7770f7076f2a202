//! Protobuf (protobuf.dev/programming-guides/encoding): the messages of `proto/tickcast.proto`, of which a load client
//! reads what it counts, in one walk; requests are written from their JSON form.

use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::event::{Event, Kind, Malformed};
use crate::time;

/// Calls `visit` with each frame of a `ServerFrame`.
pub fn frames(message: &[u8], mut visit: impl FnMut(Event)) -> Result<(), Malformed> {
    let mut reader = Reader::new(message, 0..message.len());
    while let Some((number, field)) = reader.field()? {
        if let (1, Field::Bytes(entry)) = (number, field) {
            visit(frame(message, entry)?);
        }
    }
    Ok(())
}

/// The JSON form of an acknowledgement, a resume or an error, from its `Message`.
pub fn value(entry: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader::new(entry, 0..entry.len());
    while let Some((number, field)) = reader.field()? {
        if let Field::Bytes(inner) = field {
            return match number {
                16 | 18 => acknowledged(entry, inner, number == 18),
                22 => refused(entry, inner),
                _ => Ok(Value::Null),
            };
        }
    }
    Ok(Value::Null)
}

/// A request as a `ClientFrame`.
pub fn request(request: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(id) = request["id"].as_i64() {
        let mut number = Vec::new();
        put_number(&mut number, 2, ((id << 1) ^ (id >> 63)) as u64);
        put_bytes(&mut out, 1, &number);
    }
    let number = match request["action"].as_str() {
        Some("subscribe") => 2,
        Some("reconnect") => 5,
        _ => 6,
    };
    put_bytes(&mut out, number, &terms(request));
    out
}

fn terms(request: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, key) in [
        (1, "channel"),
        (4, "mode"),
        (5, "numbers"),
        (11, "interval"),
    ] {
        if let Some(text) = request[key].as_str() {
            put_bytes(&mut out, number, text.as_bytes());
        }
    }
    if let Some(rate) = request["rate"].as_f64() {
        put_key(&mut out, 2, 1);
        out.extend_from_slice(&rate.to_le_bytes());
    }
    if let Some(names) = request["fields"].as_array() {
        put_bytes(&mut out, 3, &texts(1, names));
    }
    if let Some(batch) = request["batch"].as_bool() {
        put_number(&mut out, 6, batch.into());
    }
    for (symbol, place) in request["resume"].as_object().into_iter().flatten() {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, symbol.as_bytes());
        let mut counters = Vec::new();
        for (number, key) in [(1, "epoch"), (2, "seq")] {
            put_number(&mut counters, number, place[key].as_u64().unwrap_or(0));
        }
        put_bytes(&mut pair, 2, &counters);
        put_bytes(&mut out, 7, &pair);
    }
    if let Some(symbols) = request["symbols"].as_array() {
        out.extend_from_slice(&texts(9, symbols));
    }
    if let Some(depth) = request["depth"].as_u64() {
        put_number(&mut out, 10, depth);
    }
    out
}

fn texts(number: u32, values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in values.iter().filter_map(Value::as_str) {
        put_bytes(&mut out, number, text.as_bytes());
    }
    out
}

fn put_key(out: &mut Vec<u8>, number: u32, kind: u32) {
    put_varint(out, u64::from(number << 3 | kind));
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, 0);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One field: a varint, the bits of a fixed number, or bytes.
enum Field {
    Number(u64),
    Fixed(u64),
    Bytes(Range<usize>),
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn new(data: &'a [u8], part: Range<usize>) -> Self {
        Self {
            data,
            at: part.start,
            end: part.end,
        }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let place = self.take(1)?;
            let byte = self.data[place.start];
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed(self.at))
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= self.end)
            .ok_or(Malformed(start))?;
        self.at = end;
        Ok(start..end)
    }

    fn fixed(&mut self, length: usize) -> Result<Field, Malformed> {
        let place = self.take(length)?;
        let mut bits = [0; 8];
        bits[..length].copy_from_slice(&self.data[place]);
        Ok(Field::Fixed(u64::from_le_bytes(bits)))
    }

    /// The next field; `None` at the end.
    fn field(&mut self) -> Result<Option<(u64, Field)>, Malformed> {
        if self.at == self.end {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.fixed(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed(self.at))?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.fixed(4)?,
            _ => return Err(Malformed(self.at)),
        };
        Ok(Some((key >> 3, field)))
    }
}

fn frame(data: &[u8], entry: Range<usize>) -> Result<Event, Malformed> {
    let mut event = Event {
        whole: entry.clone(),
        ..Event::default()
    };
    let mut reader = Reader::new(data, entry);
    while let Some((number, field)) = reader.field()? {
        let Field::Bytes(inner) = field else {
            continue;
        };
        event.kind = match number {
            1 | 6 | 7 => Kind::Snapshot,
            2 | 4 => Kind::Update,
            3 => Kind::Trade,
            5 => Kind::Bar,
            8 => Kind::Status,
            9 => Kind::Lost,
            16 => Kind::Subscribed,
            18 => Kind::Resumed,
            20 => Kind::Pong,
            22 => Kind::Error,
            23 => Kind::Heartbeat,
            _ => Kind::Other,
        };
        if !matches!(
            event.kind,
            Kind::Subscribed | Kind::Resumed | Kind::Error | Kind::Other
        ) {
            fields(data, inner, number, &mut event)?;
        }
    }
    Ok(event)
}

/// Reads what is counted of a message: `kind` is its number in `Message`.
fn fields(data: &[u8], part: Range<usize>, kind: u64, event: &mut Event) -> Result<(), Malformed> {
    let mut reader = Reader::new(data, part);
    while let Some((number, field)) = reader.field()? {
        match (kind, number, field) {
            (1 | 6, 1, Field::Bytes(name)) | (7..=9, 2 | 3, Field::Bytes(name)) => {
                event.symbol = Some(name)
            }
            (1, 3, Field::Bytes(values)) | (6, 6, Field::Bytes(values)) => {
                fields(data, values, 2, event)?
            }
            (1 | 6, 2, Field::Number(epoch))
            | (7, 4, Field::Number(epoch))
            | (9, 7, Field::Number(epoch)) => event.epoch = Some(epoch),
            (2..=5 | 7..=9, 1, Field::Number(handle)) => event.handle = u32::try_from(handle).ok(),
            (2..=5 | 7 | 9, 2, Field::Number(seq)) => event.seq = Some(seq),
            (9, 6, Field::Number(count)) => event.count = count,
            (2, 9, Field::Fixed(ns)) | (3, 6, Field::Fixed(ns)) | (4, 5, Field::Fixed(ns)) => {
                event.exchange_ns = Some(ns as i64)
            }
            (2, 21, Field::Fixed(ns)) => event.server_ns = Some(ns as i64),
            (20, 2, Field::Bytes(text)) => event.server_ns = time::parse(&data[text]),
            _ => {}
        }
    }
    // proto3 leaves zeros out
    if matches!(kind, 2..=5 | 7 | 9) {
        event.handle = event.handle.or(Some(0));
        event.seq = event.seq.or(Some(0));
    }
    Ok(())
}

fn acknowledged(data: &[u8], part: Range<usize>, is_resume: bool) -> Result<Value, Malformed> {
    let mut symbols = Map::new();
    let mut reader = Reader::new(data, part);
    while let Some((number, field)) = reader.field()? {
        let (3, Field::Bytes(pair)) = (number, field) else {
            continue;
        };
        let (mut name, mut place) = (String::new(), Map::new());
        if is_resume {
            place.insert("recovered".into(), false.into());
        }
        let mut reader = Reader::new(data, pair);
        while let Some((number, field)) = reader.field()? {
            match (number, field) {
                (1, Field::Bytes(text)) => name = String::from_utf8_lossy(&data[text]).into(),
                (2, Field::Bytes(inner)) => standing(data, inner, is_resume, &mut place)?,
                _ => {}
            }
        }
        symbols.insert(name, Value::Object(place));
    }
    Ok(json!({"symbols": symbols}))
}

/// Where a symbol stands; a `Recovery` begins with one field more than a `Standing`, and has the reason.
fn standing(
    data: &[u8],
    part: Range<usize>,
    is_resume: bool,
    place: &mut Map<String, Value>,
) -> Result<(), Malformed> {
    let names: &[&str] = if is_resume {
        &["recovered", "reason", "state", "epoch", "seq", "handle"]
    } else {
        &["state", "epoch", "seq", "handle"]
    };
    let mut reader = Reader::new(data, part);
    while let Some((number, field)) = reader.field()? {
        let Some(name) = usize::try_from(number)
            .ok()
            .and_then(|number| names.get(number.wrapping_sub(1)))
        else {
            continue;
        };
        let value = match field {
            Field::Number(flag) if *name == "recovered" => (flag != 0).into(),
            Field::Number(number) | Field::Fixed(number) => number.into(),
            Field::Bytes(text) => String::from_utf8_lossy(&data[text]).into(),
        };
        place.insert((*name).to_owned(), value);
    }
    Ok(())
}

fn refused(data: &[u8], part: Range<usize>) -> Result<Value, Malformed> {
    let mut found = json!({"code": 0, "reason": ""});
    let mut reader = Reader::new(data, part);
    while let Some((number, field)) = reader.field()? {
        match (number, field) {
            // what it is does not matter: the only request with an id is the one to watch
            (1, Field::Bytes(_)) => found["id"] = true.into(),
            (2, Field::Number(code)) => found["code"] = code.into(),
            (3, Field::Bytes(text)) => {
                found["reason"] = String::from_utf8_lossy(&data[text]).into()
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One entry of a `ServerFrame`.
    fn message(kind: u32, inner: &[u8]) -> Vec<u8> {
        let (mut entry, mut out) = (Vec::new(), Vec::new());
        put_bytes(&mut entry, kind, inner);
        put_bytes(&mut out, 1, &entry);
        out
    }

    fn events(data: &[u8]) -> Vec<Event> {
        let mut found = Vec::new();
        frames(data, |event| found.push(event)).unwrap();
        found
    }

    #[test]
    fn updates_and_snapshots_are_understood_alone_and_joined() {
        let mut price = Vec::new();
        put_number(&mut price, 1, 7);
        put_number(&mut price, 2, 915);
        put_number(&mut price, 3, 593_346);
        put_key(&mut price, 21, 1);
        price.extend_from_slice(&2_500_000_000_i64.to_le_bytes());
        let mut snapshot = Vec::new();
        put_bytes(&mut snapshot, 1, b"AAPL");
        put_number(&mut snapshot, 2, 3);
        put_bytes(&mut snapshot, 3, &price);

        let joined = [message(1, &snapshot), message(2, &price), message(23, b"")].concat();
        let [first, second, third] = &events(&joined)[..] else {
            panic!("three frames");
        };
        assert_eq!((first.kind, first.epoch), (Kind::Snapshot, Some(3)));
        assert_eq!(&joined[first.symbol.clone().unwrap()], b"AAPL");
        assert_eq!((second.kind, second.epoch), (Kind::Update, None));
        for event in [first, second] {
            assert_eq!((event.handle, event.seq), (Some(7), Some(915)));
            assert_eq!(event.server_ns, Some(2_500_000_000));
        }
        assert_eq!(third.kind, Kind::Heartbeat);
        assert!(frames(&joined[..joined.len() - 1], |_| ()).is_err());
    }

    #[test]
    fn zeros_that_are_not_written_are_zeros() {
        let found = &events(&message(2, b""))[0];
        assert_eq!((found.handle, found.seq), (Some(0), Some(0)));
    }

    #[test]
    fn replies_are_told_in_their_json_form() {
        let (mut place, mut pair, mut resumed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, value) in [(4, 3), (5, 915), (6, 7)] {
            put_number(&mut place, number, value);
        }
        put_bytes(&mut place, 2, b"too_old");
        put_bytes(&mut pair, 1, b"AAPL");
        put_bytes(&mut pair, 2, &place);
        put_bytes(&mut resumed, 3, &pair);
        let data = message(18, &resumed);
        let event = &events(&data)[0];
        assert_eq!(event.kind, Kind::Resumed);
        assert_eq!(
            value(&data[event.whole.clone()]).unwrap(),
            json!({"symbols": {"AAPL": {"recovered": false, "reason": "too_old", "epoch": 3, "seq": 915, "handle": 7}}})
        );

        let mut error = Vec::new();
        put_number(&mut error, 2, 4004);
        put_bytes(&mut error, 3, b"no such channel");
        let data = message(22, &error);
        assert_eq!(
            value(&data[events(&data)[0].whole.clone()]).unwrap(),
            json!({"code": 4004, "reason": "no such channel"})
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = frames(&data, |event| { let _ = value(&data[event.whole]); });
            let _ = value(&data);
        }

        #[test]
        fn numbers_survive(number in any::<u64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            prop_assert_eq!(Reader::new(&out, 0..out.len()).varint(), Ok(number));
        }
    }
}
