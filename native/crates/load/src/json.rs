//! A scanner of JSON messages: only the keys that are counted by, each frame walked through once, nothing allocated.
//!
//! It checks structure no further than it needs to find the end of each value. Values of keys that it does not know are
//! skipped, whatever they are.

use std::ops::Range;

use crate::event::{Event, Kind, Malformed};
use crate::time;

/// Calls `visit` with each frame of a message: an object, or an array of objects (`batch`).
pub fn frames(text: &[u8], mut visit: impl FnMut(Event)) -> Result<(), Malformed> {
    let mut scanner = Scanner { text, at: 0 };
    if scanner.peek() != Some(b'[') {
        visit(scanner.object()?);
        return scanner.end();
    }
    scanner.at += 1;
    if scanner.peek() == Some(b']') {
        scanner.at += 1;
        return scanner.end();
    }
    loop {
        visit(scanner.object()?);
        match scanner.take()? {
            b',' => {}
            b']' => return scanner.end(),
            _ => return Err(Malformed(scanner.at - 1)),
        }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek().ok_or(Malformed(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.take()? == wanted {
            Ok(())
        } else {
            Err(Malformed(self.at - 1))
        }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(Malformed(self.at))
        }
    }

    fn object(&mut self) -> Result<Event, Malformed> {
        let mut event = Event::default();
        self.expect(b'{')?;
        let start = self.at - 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.expect(b'"')?;
                let key = self.string()?;
                self.expect(b':')?;
                self.member(key, &mut event)?;
                match self.take()? {
                    b',' => {}
                    b'}' => break,
                    _ => return Err(Malformed(self.at - 1)),
                }
            }
        }
        event.whole = start..self.at;
        Ok(event)
    }

    fn member(&mut self, key: Range<usize>, event: &mut Event) -> Result<(), Malformed> {
        self.peek();
        let value = self.value()?;
        let text = &self.text[value.clone()];
        match &self.text[key] {
            b"type" => event.kind = inner(text).map_or(Kind::Other, Kind::of),
            b"symbol" => {
                event.symbol = inner(text).map(|_| value.start + 1..value.end - 1);
            }
            b"seq" => event.seq = number(text),
            b"epoch" => event.epoch = number(text),
            b"count" => event.count = number(text).unwrap_or(0),
            b"handle" => event.handle = number(text).and_then(|handle| u32::try_from(handle).ok()),
            b"server_timestamp" => event.server_ns = inner(text).and_then(time::parse),
            b"timestamp" => event.exchange_ns = inner(text).and_then(time::parse),
            _ => {}
        }
        Ok(())
    }

    /// Goes behind the value that begins here; where it was.
    fn value(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        match self.text.get(start) {
            Some(b'"') => {
                self.at += 1;
                self.string()?;
            }
            Some(b'{' | b'[') => self.nested()?,
            _ => {
                while let Some(&byte) = self.text.get(self.at) {
                    if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
                        break;
                    }
                    self.at += 1;
                }
                if self.at == start {
                    return Err(Malformed(start));
                }
            }
        }
        Ok(start..self.at)
    }

    /// Goes behind the closing quote; what was between, as it was written.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        Err(Malformed(start))
    }

    /// Goes behind an object or array.
    fn nested(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Err(Malformed(start))
    }
}

/// What stands between the quotes; `None` if it is no string.
fn inner(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', inner @ .., b'"'] => Some(inner),
        _ => None,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0, |sum: u64, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Event>, Malformed> {
        let mut found = Vec::new();
        frames(text.as_bytes(), |event| found.push(event)).map(|()| found)
    }

    #[test]
    fn an_update_is_understood() {
        let text = r#"{"type":"update","symbol":"AAPL","price":185.43,"legs":{"live":2,"seq":9},"timestamp":"1970-01-01T00:00:01Z","server_timestamp":"1970-01-01T00:00:02.500Z","seq":915}"#;
        let event = all(text).unwrap().remove(0);
        assert_eq!(event.kind, Kind::Update);
        assert_eq!(&text[event.symbol.unwrap()], "AAPL");
        assert_eq!((event.seq, event.epoch), (Some(915), None));
        assert_eq!(event.exchange_ns, Some(1_000_000_000));
        assert_eq!(event.server_ns, Some(2_500_000_000));
        assert_eq!(&text[event.whole], text);
    }

    #[test]
    fn an_array_holds_several_and_white_space_is_allowed() {
        let text = " [ {\"type\" : \"lost\" , \"count\":12,\"epoch\":7,\"seq\":43} ,\n{}, {\"type\":\"hb\"}] ";
        let events = all(text).unwrap();
        assert_eq!(events.len(), 3);
        assert_eq!(
            (
                events[0].kind,
                events[0].count,
                events[0].epoch,
                events[0].seq
            ),
            (Kind::Lost, 12, Some(7), Some(43))
        );
        assert_eq!(
            (events[1].kind, events[2].kind),
            (Kind::Other, Kind::Heartbeat)
        );
        assert_eq!(all("[]").unwrap(), []);
    }

    #[test]
    fn escapes_do_not_end_a_string() {
        let text = r#"{"reason":"a \"quoted\\\" seq\":1,","symbol":"a\"b","type":"status"}"#;
        let event = all(text).unwrap().remove(0);
        assert_eq!(&text[event.symbol.unwrap()], r#"a\"b"#);
        assert_eq!((event.kind, event.seq), (Kind::Status, None));
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in [
            "",
            "{",
            "[",
            "[{}",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":\"",
            "[{},]",
            "null",
            "{\"a\":[1}",
            "{\"a\\",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_full_parser(
            kind in "update|snapshot|trade|bar|lost|status|hb|pong|subscribed|resumed|error|new",
            symbol in ".{0,12}",
            seq in 0_u64..10_000_000_000_000_000_000,
            extra in prop::collection::vec(("[a-z]{3,9}[0-9]", json()), 0..5),
            batch in any::<bool>(),
        ) {
            let mut object: serde_json::Map<String, serde_json::Value> = extra.into_iter().collect();
            object.insert("type".into(), kind.as_str().into());
            object.insert("symbol".into(), symbol.as_str().into());
            object.insert("seq".into(), seq.into());
            let one = serde_json::Value::Object(object);
            let text = if batch { serde_json::json!([one, one]).to_string() } else { one.to_string() };
            let events = all(&text).unwrap();
            prop_assert_eq!(events.len(), if batch { 2 } else { 1 });
            for event in events {
                prop_assert_eq!(event.kind, Kind::of(kind.as_bytes()));
                prop_assert_eq!(event.seq, Some(seq));
                let quoted = format!("\"{}\"", &text[event.symbol.unwrap()]);
                prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), symbol.clone());
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text[event.whole]).unwrap(), one.clone());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = frames(&data, |_| ());
        }
    }
}
