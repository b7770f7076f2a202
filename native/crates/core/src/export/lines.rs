//! One record, one line.

use super::{ById, kind_name};
use crate::decimal::write_decimal;
use crate::encode::text::{quote, write_u64};
use crate::record::{Record, flag, kind, state};

/// The first line of a CSV.
pub const HEADER: &str = "kind,venue,symbol,ts_event,ts_recv,price,size,side,seq,id,detail,flags\n";

/// Words of `flags`, by bit.
const FLAGS: [&str; 10] = [
    "last_of_event",
    "snapshot",
    "history",
    "backfilled",
    "invalid_book",
    "no_price",
    "no_size",
    "inexact_size",
    "clock_skew",
    "replayed",
];
/// Words of a trade's conditions, by bit.
const CONDITIONS: [&str; 7] = [
    "odd_lot",
    "out_of_sequence",
    "auction",
    "opening",
    "closing",
    "hidden",
    "backfilled",
];

/// What a column means for this venue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// An event time equal to the receive time stands in for one that the venue did not give: null.
    pub substitute_times: bool,
    /// The low four bytes of a status' id are its reason in letters.
    pub reasons: bool,
}

/// A name in both forms.
struct Name {
    json: Vec<u8>,
    csv: Vec<u8>,
}

/// Writes records as lines.
pub struct Writer {
    options: Options,
    names: ById<Name>,
    market: Name,
    /// The instrument of the last record: most records follow one of the same.
    last: u64,
}

impl Writer {
    #[must_use]
    pub fn new(venue: &str, options: Options) -> Self {
        let market = Name::new(venue, None);
        Self {
            options,
            names: ById::default(),
            market,
            last: 0,
        }
    }

    /// Names an instrument.
    pub fn define(&mut self, instrument: u64, venue: &str, symbol: &str) {
        self.names
            .insert(instrument, Name::new(venue, Some(symbol)));
    }

    /// Instruments of these records that have no name yet, each once.
    pub fn unknown(&mut self, records: &[Record]) -> Vec<u64> {
        let mut unknown = Vec::new();
        for record in records {
            if record.instrument == self.last || record.instrument == 0 {
                continue;
            }
            if self.names.contains_key(&record.instrument) {
                self.last = record.instrument;
            } else if !unknown.contains(&record.instrument) {
                unknown.push(record.instrument);
            }
        }
        unknown
    }

    /// JSON lines; `texts` are texts of ids by index, in order.
    #[must_use]
    pub fn jsonl(&self, records: &[Record], texts: &[(usize, String)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(records.len() * 256);
        let mut texts = texts.iter().peekable();
        for (index, record) in records.iter().enumerate() {
            let text = texts
                .next_if(|(at, _)| *at == index)
                .map(|(_, text)| text.as_str());
            self.json_line(&mut out, record, text);
        }
        out
    }

    /// CSV lines without the header; empty cells where JSON has null, words separated by spaces.
    #[must_use]
    pub fn csv(&self, records: &[Record], texts: &[(usize, String)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(records.len() * 160);
        let mut texts = texts.iter().peekable();
        for (index, record) in records.iter().enumerate() {
            let text = texts
                .next_if(|(at, _)| *at == index)
                .map(|(_, text)| text.as_str());
            self.csv_line(&mut out, record, text);
        }
        out
    }

    fn json_line(&self, out: &mut Vec<u8>, record: &Record, text: Option<&str>) {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(kind_name(record.kind).as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&self.name(record).json);
        out.extend_from_slice(b",\"ts_event\":");
        number_or_null(out, self.event_time(record));
        out.extend_from_slice(b",\"ts_recv\":");
        number_or_null(out, (record.ts_recv != 0).then_some(record.ts_recv));
        out.extend_from_slice(b",\"price\":");
        decimal_or_null(out, price(record));
        out.extend_from_slice(b",\"size\":");
        decimal_or_null(out, size(record));
        out.extend_from_slice(match record.side {
            1 => b",\"side\":\"buy\",\"seq\":",
            2 => b",\"side\":\"sell\",\"seq\":",
            _ => b",\"side\":null,\"seq\":".as_slice(),
        });
        match record.seq {
            0 => out.extend_from_slice(b"null"),
            seq => write_u64(out, seq),
        }
        out.extend_from_slice(b",\"id\":");
        match (text, self.reason(record)) {
            (Some(text), _) => out.extend_from_slice(&quote(text)),
            (None, Some(reason)) if !reason.is_empty() => out.extend_from_slice(&quote(&reason)),
            (None, Some(_)) => out.extend_from_slice(b"null"),
            (None, None) if record.id == 0 => out.extend_from_slice(b"null"),
            (None, None) => {
                out.push(b'"');
                write_u64(out, record.id);
                out.push(b'"');
            }
        }
        out.extend_from_slice(b",\"detail\":");
        json_detail(out, record);
        out.extend_from_slice(b",\"flags\":[");
        words(out, record.flags, &FLAGS, b",", b"\"");
        out.extend_from_slice(b"]}\n");
    }

    fn csv_line(&self, out: &mut Vec<u8>, record: &Record, text: Option<&str>) {
        out.extend_from_slice(kind_name(record.kind).as_bytes());
        out.push(b',');
        out.extend_from_slice(&self.name(record).csv);
        out.push(b',');
        if let Some(time) = self.event_time(record) {
            write_decimal(out, time, 0);
        }
        out.push(b',');
        if record.ts_recv != 0 {
            write_decimal(out, record.ts_recv, 0);
        }
        for value in [price(record), size(record)] {
            out.push(b',');
            if let Some((mantissa, scale)) = value {
                write_decimal(out, mantissa, scale);
            }
        }
        out.extend_from_slice(match record.side {
            1 => b",buy,",
            2 => b",sell,",
            _ => b",,".as_slice(),
        });
        if record.seq != 0 {
            write_u64(out, record.seq);
        }
        out.push(b',');
        match (text, self.reason(record)) {
            (Some(text), _) => out.extend_from_slice(&cell(text)),
            (None, Some(reason)) => out.extend_from_slice(&cell(&reason)),
            (None, None) if record.id == 0 => {}
            (None, None) => write_u64(out, record.id),
        }
        out.push(b',');
        csv_detail(out, record);
        out.push(b',');
        words(out, record.flags, &FLAGS, b" ", b"");
        out.push(b'\n');
    }

    fn name(&self, record: &Record) -> &Name {
        self.names.get(&record.instrument).unwrap_or(&self.market)
    }

    fn event_time(&self, record: &Record) -> Option<i64> {
        let is_substitute = self.options.substitute_times && record.ts_event == record.ts_recv;
        (record.ts_event != 0 && !is_substitute).then_some(record.ts_event)
    }

    /// The letters of a status' reason; `None` where the id is none.
    fn reason(&self, record: &Record) -> Option<String> {
        if record.kind != kind::STATUS || !self.options.reasons {
            return None;
        }
        let letters = u32::try_from(record.id).ok()?.to_be_bytes();
        let text = core::str::from_utf8(&letters).ok()?;
        let text = text.trim_matches([' ', '\0']);
        text.bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then(|| text.to_owned())
    }
}

impl Name {
    /// `None`: the market as a whole.
    fn new(venue: &str, symbol: Option<&str>) -> Self {
        let mut json = b"\"venue\":".to_vec();
        json.extend_from_slice(&quote(venue));
        json.extend_from_slice(b",\"symbol\":");
        match symbol {
            Some(symbol) => json.extend_from_slice(&quote(symbol)),
            None => json.extend_from_slice(b"null"),
        }
        let mut csv = cell(venue);
        csv.push(b',');
        csv.extend_from_slice(&cell(symbol.unwrap_or_default()));
        Self { json, csv }
    }
}

/// A CSV cell (RFC 4180): in quotes if it has to be.
fn cell(text: &str) -> Vec<u8> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into_bytes()
    } else {
        text.as_bytes().to_vec()
    }
}

/// Price of a record; `None` where its kind or its flags say that there is none.
fn price(record: &Record) -> Option<(i64, u8)> {
    let has = record.flags & flag::NO_PRICE == 0
        && !matches!(
            record.kind,
            kind::STATUS | kind::GAP | kind::VOLUME | kind::BUST
        );
    has.then_some((record.price, record.price_scale))
}

/// Size of a record, likewise: measures have none, liquidations do.
fn size(record: &Record) -> Option<(i64, u8)> {
    let has = record.flags & flag::NO_SIZE == 0
        && (record.kind < kind::MARK || record.kind == kind::LIQUIDATION)
        && !matches!(
            record.kind,
            kind::STATUS | kind::GAP | kind::PREV_CLOSE | kind::READING | kind::BUST
        );
    has.then_some((record.size, record.size_scale))
}

fn number_or_null(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => write_decimal(out, value, 0),
        None => out.extend_from_slice(b"null"),
    }
}

fn decimal_or_null(out: &mut Vec<u8>, value: Option<(i64, u8)>) {
    let Some((mantissa, scale)) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'"');
    write_decimal(out, mantissa, scale);
    out.push(b'"');
}

/// The word of a state, if the number is one.
fn state_name(detail: u16) -> &'static str {
    state::NAMES
        .get(usize::from(detail))
        .copied()
        .unwrap_or_default()
}

fn json_detail(out: &mut Vec<u8>, record: &Record) {
    match record.kind {
        kind::STATUS => {
            out.push(b'"');
            out.extend_from_slice(state_name(record.detail).as_bytes());
            out.push(b'"');
        }
        kind::TRADE => {
            out.push(b'[');
            words(out, record.detail, &CONDITIONS, b",", b"\"");
            out.push(b']');
        }
        kind::NOTICE | kind::IMBALANCE => match letter(record.detail) {
            Some(letter) => out.extend_from_slice(&quote(&char::from(letter).to_string())),
            None => number_or_null(out, Some(record.detail.into())),
        },
        _ if record.detail == 0 => out.extend_from_slice(b"null"),
        _ => write_decimal(out, record.detail.into(), 0),
    }
}

fn csv_detail(out: &mut Vec<u8>, record: &Record) {
    match record.kind {
        kind::STATUS => out.extend_from_slice(state_name(record.detail).as_bytes()),
        kind::TRADE => words(out, record.detail, &CONDITIONS, b" ", b""),
        kind::NOTICE | kind::IMBALANCE => match letter(record.detail) {
            Some(letter) => out.extend_from_slice(&cell(&char::from(letter).to_string())),
            None => write_decimal(out, record.detail.into(), 0),
        },
        _ if record.detail == 0 => {}
        _ => write_decimal(out, record.detail.into(), 0),
    }
}

/// A message's letter as a notice carries it.
fn letter(detail: u16) -> Option<u8> {
    u8::try_from(detail).ok().filter(u8::is_ascii_graphic)
}

fn words(out: &mut Vec<u8>, bits: u16, names: &[&str], between: &[u8], around: &[u8]) {
    let mut rest = bits;
    let mut is_first = true;
    while rest != 0 {
        let bit = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        if let Some(name) = names.get(bit) {
            if !is_first {
                out.extend_from_slice(between);
            }
            is_first = false;
            out.extend_from_slice(around);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(around);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::condition;

    fn record(kind: u8) -> Record {
        Record {
            ts_event: 1_000,
            ts_recv: 2_000,
            instrument: 7,
            seq: 3,
            id: 4,
            price: 18_540,
            size: 100,
            kind,
            price_scale: 2,
            flags: flag::LAST_OF_EVENT,
            ..Record::default()
        }
    }

    fn writer(options: Options) -> Writer {
        let mut writer = Writer::new("XNAS", options);
        writer.define(7, "XNAS", "A\"B,C");
        writer
    }

    fn json(record: &Record, options: Options) -> serde_json::Value {
        let lines = writer(options).jsonl(std::slice::from_ref(record), &[]);
        assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(&lines).unwrap()
    }

    #[test]
    fn a_trade_in_both_forms() {
        let trade = Record {
            side: 2,
            detail: condition::ODD_LOT | condition::HIDDEN,
            ..record(kind::TRADE)
        };
        let text = serde_json::json!({
            "kind": "trade", "venue": "XNAS", "symbol": "A\"B,C", "ts_event": 1000, "ts_recv": 2000, "price": "185.40",
            "size": "100", "side": "sell", "seq": 3, "id": "4", "detail": ["odd_lot", "hidden"], "flags": ["last_of_event"],
        });
        assert_eq!(json(&trade, Options::default()), text);
        let cells = writer(Options::default()).csv(&[trade], &[]);
        assert_eq!(
            String::from_utf8(cells).unwrap(),
            "trade,XNAS,\"A\"\"B,C\",1000,2000,185.40,100,sell,3,4,odd_lot hidden,last_of_event\n"
        );
    }

    #[test]
    fn what_the_venue_has_not_is_null() {
        let empty = Record {
            ts_recv: 0,
            seq: 0,
            id: 0,
            flags: flag::NO_PRICE | flag::NO_SIZE,
            ..record(kind::BID)
        };
        let found = json(&empty, Options::default());
        for name in ["ts_recv", "price", "size", "side", "seq", "id", "detail"] {
            assert!(found[name].is_null(), "{name}");
        }
        assert_eq!(found["flags"], serde_json::json!(["no_price", "no_size"]));
        let cells = writer(Options::default()).csv(&[empty], &[]);
        assert_eq!(
            String::from_utf8(cells).unwrap(),
            "bid,XNAS,\"A\"\"B,C\",1000,,,,,,,,no_price no_size\n"
        );
        let gap = json(&record(kind::GAP), Options::default());
        assert_eq!(
            (&gap["price"], &gap["id"]),
            (&serde_json::Value::Null, &"4".into())
        );
    }

    #[test]
    fn a_receive_time_that_stands_in_is_no_event_time() {
        let quote = Record {
            ts_event: 2_000,
            ..record(kind::BID)
        };
        let options = Options {
            substitute_times: true,
            ..Options::default()
        };
        assert!(json(&quote, options)["ts_event"].is_null());
        assert_eq!(json(&quote, Options::default())["ts_event"], 2000);
        assert_eq!(json(&record(kind::BID), options)["ts_event"], 1000);
    }

    #[test]
    fn a_status_has_a_word_and_perhaps_a_reason() {
        let status = |letters: &[u8; 4]| Record {
            id: u32::from_be_bytes(*letters).into(),
            detail: state::HALTED.into(),
            ..record(kind::STATUS)
        };
        let options = Options {
            reasons: true,
            ..Options::default()
        };
        let found = json(&status(b"T1  "), options);
        assert_eq!(
            (&found["id"], &found["detail"]),
            (&"T1".into(), &"halted".into())
        );
        assert!(json(&status(b"    "), options)["id"].is_null());
        assert_eq!(
            json(&status(b"T1  "), Options::default())["id"],
            "1412505632"
        );
        let notice = Record {
            detail: b'Y'.into(),
            ..record(kind::NOTICE)
        };
        assert_eq!(json(&notice, options)["detail"], "Y");
    }

    #[test]
    fn unknown_instruments_are_told_once_and_the_market_has_no_symbol() {
        let mut writer = writer(Options::default());
        let other = Record {
            instrument: 9,
            ..record(kind::BID)
        };
        let market = Record {
            instrument: 0,
            ..record(kind::NOTICE)
        };
        assert_eq!(
            writer.unknown(&[record(kind::BID), other, other, market]),
            [9]
        );
        assert!(json(&market, Options::default())["symbol"].is_null());
        writer.define(9, "XNAS", "Z");
        assert!(writer.unknown(&[other]).is_empty());
        let lines = writer.jsonl(&[other, other], &[(1, "text".into())]);
        let second = lines.split(|&byte| byte == b'\n').nth(1).unwrap();
        let second: serde_json::Value = serde_json::from_slice(second).unwrap();
        assert_eq!(
            (&second["symbol"], &second["id"]),
            (&"Z".into(), &"text".into())
        );
    }

    proptest! {
        #[test]
        fn every_record_is_one_json_object(
            kind in 1_u8..42, side: u8, price: i64, size: i64, scales in (0_u8..39, 0_u8..39), flags: u16, detail: u16, id: u64, seq: u64,
            times: (i64, i64), is_substituted: bool,
        ) {
            let (price_scale, size_scale) = scales;
            let record = Record {
                ts_event: times.0, ts_recv: times.1, instrument: 7, seq, id, price, size, kind, side, price_scale, size_scale, flags, detail,
            };
            let options = Options { substitute_times: is_substituted, reasons: true };
            let found = json(&record, options);
            prop_assert_eq!(found.as_object().unwrap().len(), 12);
            let cells = writer(options).csv(&[record], &[]);
            prop_assert_eq!(cells.iter().filter(|&&byte| byte == b'\n').count(), 1);
        }
    }
}
