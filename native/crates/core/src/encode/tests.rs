//! Frames as clients get them.

use serde_json::{Value, json};

use super::*;
use crate::latest::{Definition, Latest, Settings};
use crate::record::{Record, condition, flag, instrument_id, kind, state};

const NOW: i64 = 1_774_794_601_999_000_000; // 2026-03-29T14:30:01.999Z

fn definition(venue: &str, time_precision: u8) -> Definition {
    Definition {
        instrument: instrument_id(&format!("{venue}:A\"B")),
        venue: venue.to_owned(),
        symbol: "A\"B".to_owned(),
        feed: "feed".to_owned(),
        security: String::new(),
        asset_class: "equity".to_owned(),
        currency: "USD".to_owned(),
        tick_size: None,
        calendar: "24/7".to_owned(),
        time_precision,
        primary: false,
        on_demand: false,
    }
}

/// Two venues; XNAS has a quote and a trade, and a previous close.
fn world() -> Latest {
    let mut latest = Latest::new(Settings::default());
    for (venue, precision) in [("XNAS", 9), ("XSIM", 3)] {
        latest.define(&definition(venue, precision), NOW, &mut |_, _| {});
    }
    let of = |kind, price, size| Record {
        ts_event: NOW - 765_432_109,
        ts_recv: NOW,
        instrument: instrument_id("XNAS:A\"B"),
        kind,
        price,
        price_scale: 2,
        size,
        id: 12,
        side: 2,
        ..Record::default()
    };
    let last = Record {
        flags: flag::LAST_OF_EVENT,
        ..of(kind::TRADE, 18_542, 100)
    };
    let rows = [
        of(kind::PREV_CLOSE, 18_400, 0),
        of(kind::BID, 18_540, 3),
        of(kind::ASK, 18_543, 4),
        last,
    ];
    latest.apply(&rows, None, NOW, &mut |_, _| {});
    latest
}

fn stamp(topic: Topic, strings: bool, epoch: u64, seq: u64) -> Stamp {
    let codec = if strings {
        Codec::JsonStrings
    } else {
        Codec::Json
    };
    Stamp {
        topic,
        epoch,
        seq,
        now_ns: NOW,
        codec,
        class: 0,
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<Value>(&text).unwrap_or_else(|wrong| panic!("{wrong}: {text}"));
    text
}

fn status_of(latest: &Latest, topic: Topic) -> Status<'_> {
    Status {
        quoted_name: latest.quoted_name(topic),
        state: latest.state(topic),
        since_ns: latest.since(topic),
        reason: latest.reason(topic),
    }
}

#[test]
fn a_snapshot_holds_every_field_with_its_digits() {
    let latest = world();
    let topic = latest.topic("XNAS:A\"B").unwrap();
    assert_eq!(
        text(|out| snapshot(out, stamp(topic, false, 7, 912), &latest.view(topic), 0)),
        r#"{"type":"snapshot","symbol":"XNAS:A\"B","price":185.42,"size":100,"side":"sell","bid":185.40,"bid_size":3,"ask":185.43,"ask_size":4,"timestamp":"2026-03-29T14:30:01.233567891Z","server_timestamp":"2026-03-29T14:30:01.999Z","venue":"XNAS","open":185.42,"high":185.42,"low":185.42,"prev_close":184.00,"volume":100,"change":1.42,"change_pct":0.7717,"epoch":7,"seq":912,"state":"live"}"#
    );
    let security = latest.topic("A\"B").unwrap();
    let parsed: Value = serde_json::from_str(&text(|out| {
        snapshot(out, stamp(security, true, 1, 2), &latest.view(security), 0)
    }))
    .unwrap();
    assert_eq!(parsed["bid"], json!("185.40"));
    assert_eq!(parsed["change_pct"], json!("0.7717"));
    assert_eq!(parsed["legs"], json!({"live": 1, "of": 2}));
    assert_eq!(parsed["crossed"], json!(false));
    assert_eq!(parsed["seq"], json!(2), "counters are no strings");
}

#[test]
fn fields_filter_but_state_and_place_stay() {
    let latest = world();
    let topic = latest.topic("XNAS:A\"B").unwrap();
    let fields = field::ASK | field::CROSSED;
    assert_eq!(
        text(|out| snapshot(out, stamp(topic, false, 7, 9), &latest.view(topic), fields)),
        r#"{"type":"snapshot","symbol":"XNAS:A\"B","ask":185.43,"epoch":7,"seq":9,"state":"live"}"#
    );
    let unknown = latest.topic("XSIM:A\"B").unwrap();
    assert_eq!(
        text(|out| update(
            out,
            stamp(unknown, true, 1, 5),
            &latest.view(unknown),
            field::BID | field::STATE | field::VENUE
        )),
        r#"{"type":"update","symbol":"XSIM:A\"B","bid":null,"venue":"XSIM","state":"empty","seq":5}"#
    );
    assert_eq!(
        text(|out| update(out, stamp(topic, true, 1, u64::MAX), &latest.view(topic), 0)),
        r#"{"type":"update","symbol":"XNAS:A\"B","seq":18446744073709551615}"#
    );
}

#[test]
fn rest_shows_everything() {
    let latest = world();
    let topic = latest.topic("A\"B").unwrap();
    let price: Value = serde_json::from_str(&text(|out| {
        write_price(out, &latest, topic, true, 3, 4, NOW)
    }))
    .unwrap();
    let mut keys = PRICE_FIELDS.to_vec();
    keys.retain(|key| *key != "timestamp");
    keys.extend(["symbol", "currency", "exchange_timestamp", "epoch", "seq"]);
    for key in &keys {
        assert!(price.get(key).is_some(), "{key}");
    }
    assert_eq!(price.as_object().unwrap().len(), keys.len());
    assert_eq!(
        price["exchange_timestamp"],
        json!("2026-03-29T14:30:01.233567891Z")
    );
    assert_eq!(price["currency"], json!("USD"));
}

#[test]
fn states_trades_and_losses() {
    let mut latest = world();
    let topic = latest.topic("XNAS:A\"B").unwrap();
    assert_eq!(
        text(|out| status(out, stamp(topic, false, 1, 1), &status_of(&latest, topic))),
        r#"{"type":"status","symbol":"XNAS:A\"B","state":"live","since":"2026-03-29T14:30:01.999Z","reason":null}"#
    );
    let mut rows = Vec::new();
    latest.set_feed_state(
        "feed",
        state::STALE,
        "feed \"quiet\"\n5 s",
        NOW + 1_000_000_000,
        &mut |_, _| {},
    );
    assert_eq!(
        text(|out| status(out, stamp(topic, false, 1, 1), &status_of(&latest, topic))),
        r#"{"type":"status","symbol":"XNAS:A\"B","state":"stale","since":"2026-03-29T14:30:02.999Z","reason":"feed \"quiet\"\n5 s"}"#
    );
    let row = Record {
        ts_event: NOW,
        instrument: instrument_id("XSIM:A\"B"),
        kind: kind::TRADE,
        price: -5,
        price_scale: 3,
        id: 77,
        detail: condition::ODD_LOT | condition::HIDDEN,
        flags: flag::LAST_OF_EVENT | flag::NO_SIZE,
        ..Record::default()
    };
    latest.apply(&[row], None, NOW, &mut |_, change| {
        if let crate::latest::Cause::Trade(row) = change.cause {
            rows.push(row);
        }
    });
    assert_eq!(rows.len(), 2);
    assert_eq!(
        text(|out| trade(out, stamp(0, true, 1, 8), br#""A\"B""#, &rows[1], None)),
        r#"{"type":"trade","symbol":"A\"B","channel":"trades","seq":8,"id":"77","price":"-0.005","size":null,"side":null,"timestamp":"2026-03-29T14:30:01.999Z","conditions":["odd_lot","hidden"]}"#
    );
    let named = text(|out| {
        trade(
            out,
            stamp(0, false, 1, 8),
            br#""X""#,
            &rows[1],
            Some("T-\u{e9}\u{1}"),
        )
    });
    assert!(
        named.contains("\"id\":\"T-\u{e9}\\u0001\",\"price\":-0.005"),
        "{named}"
    );
    assert_eq!(
        text(|out| lost(out, stamp(0, false, 7, 12), br#""A""#, "trades", 3)),
        r#"{"type":"lost","symbol":"A","channel":"trades","count":3,"epoch":7,"seq":12}"#
    );
}

#[test]
fn books_and_bars_are_written_as_the_protocol_says() {
    use crate::latest::{Amount, Bar, BookFrame, Level, Price};
    let level = |price: i64, size: i64| Level {
        price: Price::new(price, 2),
        size: Amount::new(size, 0),
    };
    let (bids, asks) = ([level(18540, 3), level(18530, 0)], [level(18550, 7)]);
    let frame = BookFrame {
        depth: 10,
        bids: &bids,
        asks: &asks,
        timestamp_ns: 1_774_794_601_234_000_000,
        time_precision: 3,
        state: None,
        is_last: true,
        digest: None,
    };
    assert_eq!(
        text(|out| book(out, stamp(0, false, 7, 104), b"\"X\"", &frame)),
        r#"{"type":"update","symbol":"X","channel":"book","bids":[[185.40,3],[185.30,0]],"asks":[[185.50,7]],"timestamp":"2026-03-29T14:30:01.234Z","seq":104}"#
    );
    let whole = BookFrame {
        bids: &[],
        timestamp_ns: 0,
        state: Some(state::LIVE),
        digest: Some(12),
        ..frame
    };
    assert_eq!(
        text(|out| book(out, stamp(0, true, 7, 104), b"\"X\"", &whole)),
        r#"{"type":"snapshot","symbol":"X","channel":"book","depth":10,"bids":[],"asks":[["185.50","7"]],"timestamp":null,"epoch":7,"seq":104,"state":"live","last":true,"digest":12}"#
    );
    assert_eq!(
        text(|out| write_book_object(out, b"\"X\"", &whole, false, 7, 104)),
        r#"{"symbol":"X","depth":10,"bids":[],"asks":[[185.50,7]],"timestamp":null,"state":"live","epoch":7,"seq":104}"#
    );
    let bar = Bar {
        start_ns: 1_774_794_600_000_000_000,
        open: Price::new(1854, 1),
        high: Price::new(18543, 2),
        low: Price::new(1853, 1),
        close: Price::new(1854, 1),
        volume: Amount::new(1200, 0),
        notional: None,
        trades: 14,
        is_final: true,
        is_corrected: false,
    };
    let recent = Bars {
        interval: "1m",
        bars: &[bar, bar],
        state: state::LIVE,
    };
    let none = Bars {
        bars: &[],
        state: state::GAP,
        ..recent
    };
    let values = r#""start":"2026-03-29T14:30:00Z","open":185.4,"high":185.43,"low":185.3,"close":185.4,"volume":1200,"notional":null,"trades":14,"final":true"#;
    assert_eq!(
        text(|out| super::bar(out, stamp(0, false, 7, 9), b"\"X\"", "1m", &bar)),
        format!(
            r#"{{"type":"bar","symbol":"X","channel":"bars","interval":"1m",{values},"seq":9}}"#
        )
    );
    assert_eq!(
        text(|out| bars(out, stamp(0, false, 7, 9), b"\"X\"", &recent)),
        format!(
            r#"{{"type":"snapshot","symbol":"X","channel":"bars","interval":"1m","bars":[{{{values}}},{{{values}}}],"epoch":7,"seq":9,"state":"live"}}"#
        )
    );
    assert_eq!(
        text(|out| write_bars_object(out, b"\"X\"", &none, false, 7, 9)),
        r#"{"symbol":"X","interval":"1m","bars":[],"state":"gap","epoch":7,"seq":9}"#
    );
    let taken_back = Bar {
        trades: 0,
        is_corrected: true,
        ..bar
    };
    let written = text(|out| super::bar(out, stamp(0, true, 7, 9), b"\"X\"", "1s", &taken_back));
    assert!(written.contains(r#""open":null,"high":null,"low":null,"close":null,"#));
    assert!(written.ends_with(r#""trades":0,"final":true,"corrected":true,"seq":9}"#));
}
