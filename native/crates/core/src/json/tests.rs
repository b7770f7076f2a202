//! The tape and the paths, held against `serde_json`; times and strings at their edges.

use proptest::prelude::*;
use serde_json::Value;

use super::dialect::TimeUnit;
use super::path::{Frame, Path, Row, Rows};
use super::tape::{DEPTH_MAX, Kind, Tape, raw_of, text_of};
use super::{read, string, time};

/// What the tape says of a value, as `serde_json` has it.
fn value(frame: Frame<'_>, place: u32) -> Value {
    let token = frame.token(place);
    let text = || String::from_utf8(text_of(frame.bytes, token).into_owned()).unwrap();
    match token.kind {
        Kind::Null => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Number => Value::Number(serde_json::from_str(&text()).unwrap()),
        Kind::Text | Kind::Escaped => Value::String(text()),
        Kind::Key | Kind::EscapedKey => panic!("a key where a value belongs"),
        Kind::List => frame
            .entries(place)
            .map(|entry| value(frame, entry))
            .collect(),
        Kind::Object => {
            let mut object = serde_json::Map::new();
            let mut at = place + 1;
            while at < token.next {
                let key = frame.text(at).into_owned();
                object.insert(String::from_utf8(key).unwrap(), value(frame, at + 1));
                at = frame.token(at).next_of_key(frame);
            }
            Value::Object(object)
        }
    }
}

impl super::tape::Token {
    fn next_of_key(self, frame: Frame<'_>) -> u32 {
        // a key's value is the token behind it
        frame.token(self.next).next
    }
}

fn read_all(bytes: &[u8]) -> Result<Value, String> {
    let mut tape = Tape::default();
    tape.read(bytes).map_err(|fault| fault.reason.to_owned())?;
    assert_eq!(tape.token(0).next as usize, tape.len());
    Ok(value(Frame { bytes, tape: &tape }, 0))
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = "-?(0|[1-9][0-9]{0,30})([.][0-9]{1,30})?([eE][-+]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(|text| Value::Number(serde_json::from_str(&text).unwrap())),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that look like JSON without being it most of the time.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"a\"",
        b"\"",
        b"\\",
        b"\\u00e9",
        b"\\ud83d\\ude00",
        b"\\udc00",
        b"null",
        b"true",
        b"fals",
        b"0",
        b"-",
        b"1.5",
        b"1e-7",
        b"01",
        b".5",
        b" ",
        b"\n",
        b"\x00",
        b"\xc3\xa9",
        b"\xff",
        b"\"12345678\"",
        b"NaN",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_value_reads_as_serde_json_reads_it(expected in any_value(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&expected).unwrap()
        } else {
            expected.to_string()
        };
        prop_assert_eq!(read_all(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_no_json_is_refused_where_serde_json_refuses_it(bytes in near_json()) {
        let expected = serde_json::from_slice::<Value>(&bytes).ok();
        prop_assert_eq!(read_all(&bytes).ok(), expected);
    }

    #[test]
    fn a_damaged_text_is_read_as_serde_json_reads_it(
        expected in any_value(), at: prop::sample::Index, byte: u8, cut: bool,
    ) {
        let mut bytes = expected.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        prop_assert_eq!(read_all(&bytes).ok(), serde_json::from_slice(&bytes).ok());
    }

    #[test]
    fn any_bytes_are_safe(bytes: Vec<u8>) {
        prop_assert_eq!(read_all(&bytes).ok(), serde_json::from_slice(&bytes).ok());
    }

    #[test]
    fn a_path_finds_what_a_pointer_finds(expected in any_value(), other in any_value(), steps in prop::collection::vec(0..8_usize, 1..4)) {
        // keys are made short, so that paths meet them
        let (first, second) = (renamed(&other), renamed(&expected));
        let dotted: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let path = Path::new(&dotted.join(".")).unwrap().unwrap();
        let mut tape = Tape::default();
        for value in [&first, &second, &second, &first] {
            let text = value.to_string();
            tape.read(text.as_bytes()).unwrap();
            let frame = Frame { bytes: text.as_bytes(), tape: &tape };
            let found = path.find(Row::alone(frame, 0)).map(|place| super::tests::value(frame, place));
            prop_assert_eq!(found.as_ref(), value.pointer(&format!("/{}", dotted.join("/"))));
        }
    }

    #[test]
    fn whole_numbers_are_those_that_print_the_same(text in "[0-9]{0,22}|-[0-9]{1,3}|[0-9 ]{1,4}") {
        let expected = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        prop_assert_eq!(read::whole(text.as_bytes()), expected);
    }

    #[test]
    fn any_text_as_a_time_is_safe(text: Vec<u8>) {
        for unit in [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns, TimeUnit::Iso] {
            let _ = time::parse(&text, unit);
        }
    }

    #[test]
    fn seconds_and_iso_agree(seconds in 0..4_000_000_000_i64, fraction in "[0-9]{1,12}", hours in 0..24_i64, east: bool) {
        let kept: String = format!("{fraction}00000000").chars().take(9).collect();
        let expected = seconds * 1_000_000_000 + kept.parse::<i64>().unwrap();
        prop_assert_eq!(time::parse(format!("{seconds}.{fraction}").as_bytes(), TimeUnit::S), Some(expected));
        let shift = if east { hours } else { -hours };
        let zone = format!("{}{hours:02}:00", if east { '+' } else { '-' });
        let clock = iso(seconds + shift * 3_600);
        prop_assert_eq!(time::parse(format!("{clock}.{fraction}{zone}").as_bytes(), TimeUnit::Iso), Some(expected));
    }
}

/// The same value with keys `0` to `7`, the first of which wins.
fn renamed(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(renamed).collect(),
        Value::Object(members) => {
            let named = members.values().enumerate();
            Value::Object(
                named
                    .map(|(index, value)| ((index % 8).to_string(), renamed(value)))
                    .collect(),
            )
        }
        leaf => leaf.clone(),
    }
}

/// Day by day, the slow way.
fn iso(seconds: i64) -> String {
    let (mut days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if days < 0 {
        (year, days) = (1969, days + 365);
    }
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}",
        month + 1,
        days + 1
    )
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert!(read_all(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(
        read_all(&nested(DEPTH_MAX + 1)),
        Err("nested too deeply".to_owned())
    );
    // as serde_json has it
    assert!(serde_json::from_slice::<Value>(&nested(DEPTH_MAX)).is_ok());
    assert!(serde_json::from_slice::<Value>(&nested(DEPTH_MAX + 1)).is_err());
    assert!(read_all(&b"[".repeat(1_000_000)).is_err());
}

#[test]
fn faults_say_where() {
    let fault = |text: &str| Tape::default().read(text.as_bytes()).unwrap_err();
    for (text, offset, reason) in [
        ("", 0, "expected a JSON value, found the end"),
        ("<html>", 0, "expected a JSON value"),
        ("{\"a\":1}}", 7, "expected the end of the text"),
        ("{\"a\":NaN}", 5, "expected a JSON value"),
        ("{\"a\":01}", 6, "expected a comma or a closing brace"),
        ("[1,]", 3, "expected a JSON value"),
        ("{\"a\":1,}", 7, "expected a key"),
        ("{\"a\"1}", 4, "expected a colon"),
        ("[1 2]", 3, "expected a comma or a closing bracket"),
        ("[1", 2, "expected more, found the end"),
        ("\"abc", 4, "string without an end"),
        ("\"a\tb\"", 2, "control character in a string"),
        ("\"a\\x\"", 2, "unknown escape"),
        ("\"\\ud800\"", 1, "escape is no character"),
        ("-", 1, "expected a digit"),
        ("1.", 2, "expected a digit"),
        ("1e+", 3, "expected a digit"),
    ] {
        let found = fault(text);
        assert_eq!((found.offset, found.reason), (offset, reason), "{text:?}");
    }
    let found = Tape::default().read(b"[\"abc\xff\"]").unwrap_err();
    assert_eq!((found.offset, found.reason), (5, "string is no UTF-8"));
}

#[test]
fn numbers_keep_their_text() {
    let bytes =
        b"[1e-7, 123456789012345678901234, 0.00000000000000000000000000000000000001, 185.40]";
    let mut tape = Tape::default();
    tape.read(bytes).unwrap();
    let frame = Frame { bytes, tape: &tape };
    let texts: Vec<&[u8]> = frame
        .entries(0)
        .map(|entry| raw_of(bytes, tape.token(entry)))
        .collect();
    assert_eq!(texts[0], b"1e-7");
    assert_eq!(texts[1], b"123456789012345678901234");
    assert_eq!(texts[2].len(), 40);
    assert_eq!(texts[3], b"185.40");
}

#[test]
fn a_remembered_place_never_finds_a_key_of_another_object() {
    let path = Path::new("p").unwrap().unwrap();
    let find = |text: &str| {
        let mut tape = Tape::default();
        tape.read(text.as_bytes()).unwrap();
        let frame = Frame {
            bytes: text.as_bytes(),
            tape: &tape,
        };
        path.find(Row::alone(frame, 0))
            .map(|place| value(frame, place).to_string())
    };
    assert_eq!(find(r#"{"a":1,"b":2,"p":3}"#).as_deref(), Some("3"));
    // the same place holds a key of an object inside
    assert_eq!(
        find(r#"{"a":1,"b":{"x":0,"p":9},"p":4}"#).as_deref(),
        Some("4")
    );
    assert_eq!(find(r#"{"a":{"x":1,"p":9}}"#), None);
    // a value that is the key's text is no key
    assert_eq!(find(r#"{"a":1,"b":"p","c":"p"}"#), None);
    assert_eq!(find(r#"["p"]"#), None);
}

#[test]
fn rows_walk_through_lists() {
    let text = br#"{"events":[{"type":"a","trades":[1,2]},{"type":"b","trades":[]},{"type":"c","trades":[3]}],"n":0,"z":null}"#;
    let mut tape = Tape::default();
    tape.read(text).unwrap();
    let frame = Frame {
        bytes: text,
        tape: &tape,
    };
    let collect = |path: &str| {
        let mut out = Vec::new();
        let done = Rows::new(path).unwrap().collect(frame, &mut out);
        let shown: Vec<String> = out
            .iter()
            .map(|&(row, _)| value(frame, row).to_string())
            .collect();
        (done.is_ok(), shown.join(" "), out)
    };
    let (ok, shown, rows) = collect("events.trades");
    assert_eq!((ok, shown.as_str()), (true, "1 2 3"));
    let kind = Path::new("^type").unwrap().unwrap();
    let kinds = rows.iter().map(|&(place, outer)| {
        kind.find(Row {
            frame,
            place,
            outer,
        })
    });
    let kinds: Vec<String> = kinds
        .map(|place| value(frame, place.unwrap()).to_string())
        .collect();
    assert_eq!(kinds.join(" "), r#""a" "a" "c""#);
    assert_eq!(collect("").2, [(0, 0)]);
    assert_eq!(collect("events.0.trades").1, "1 2");
    assert_eq!(collect("events.-1.trades").1, "3");
    assert_eq!(
        collect("events.1").1.len(),
        r#"{"trades":[],"type":"b"}"#.len()
    );
    for nothing in ["events.other", "n", "z", "n.x", "events.9", "events.-4"] {
        assert!(!collect(nothing).0, "{nothing}");
    }
    assert!(Rows::new("a..b").is_err());
    assert!(Path::new("a.").is_err());
    assert!(Path::new("").unwrap().is_none());
}

#[test]
fn times_of_every_unit() {
    let parse = |text: &str, unit| time::parse(text.as_bytes(), unit);
    assert_eq!(
        parse("1618678135.123456", TimeUnit::S),
        Some(1_618_678_135_123_456_000)
    );
    assert_eq!(
        parse("1617647603483", TimeUnit::Ms),
        Some(1_617_647_603_483_000_000)
    );
    assert_eq!(
        parse("1617647603483.25", TimeUnit::Ms),
        Some(1_617_647_603_483_250_000)
    );
    assert_eq!(
        parse("1617647603483251", TimeUnit::Us),
        Some(1_617_647_603_483_251_000)
    );
    assert_eq!(
        parse("1617647603483251999", TimeUnit::Ns),
        Some(1_617_647_603_483_251_999)
    );
    assert_eq!(parse("1.6e9", TimeUnit::S), Some(1_600_000_000_000_000_000));
    assert_eq!(parse("-1.5", TimeUnit::S), Some(-1_500_000_000));
    assert_eq!(parse("99999999999999999999", TimeUnit::Ms), None);
    assert_eq!(parse("9223372036855", TimeUnit::Ms), None);
    for no_time in ["", "x", ".", "1.x", "NaN", "1..2"] {
        assert_eq!(parse(no_time, TimeUnit::S), None, "{no_time:?}");
    }
    let iso = |text| parse(text, TimeUnit::Iso);
    assert_eq!(iso("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(
        iso("2026-08-09T21:05:48.228568804Z"),
        Some(1_786_309_548_228_568_804)
    );
    assert_eq!(
        iso("2026-08-09T21:05:48.2285688049Z"),
        iso("2026-08-09T21:05:48.228568804Z")
    );
    assert_eq!(
        iso("2026-08-09T23:05:48.5+02:00"),
        iso("2026-08-09T21:05:48.500Z")
    );
    assert_eq!(iso("2024-02-29T23:59:60Z"), iso("2024-03-01T00:00:00Z"));
    for no_time in [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+2:00",
        "2026-01-01",
        "9999-01-01T00:00:00Z",
        "2026-01-01T00:00:00Zx",
        "2026-01-01Tab:00:00Z",
    ] {
        assert_eq!(iso(no_time), None, "{no_time}");
    }
}

#[test]
fn escapes_mean_what_they_mean() {
    let text = br#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z"#;
    assert_eq!(
        string::unescape(text),
        "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z".as_bytes()
    );
    assert_eq!(string::unescape(b"\\"), "\u{fffd}".as_bytes());
}
