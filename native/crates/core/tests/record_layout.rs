//! The record's declaration in Rust is that of the golden file, which the Python side is held against too.

use std::collections::BTreeMap;
use std::mem::offset_of;

use tickcast_core::record::{self, Record, condition, flag, kind};

/// The golden file, read line by line: one field or one name a line.
const GOLDEN: &str = include_str!("../../../../tests/model/record_layout.json");

/// The lines between `"key"` and the closing bracket.
fn section(key: &str) -> Vec<&'static str> {
    let start = GOLDEN
        .find(&format!("\"{key}\": "))
        .expect("the section is there");
    let lines = GOLDEN[start..].lines().skip(1);
    lines
        .take_while(|line| !line.starts_with("  ]") && !line.starts_with("  }"))
        .map(str::trim)
        .collect()
}

fn numbers(key: &str) -> BTreeMap<&'static str, u64> {
    let parse = |line: &'static str| {
        let (name, value) = line
            .trim_end_matches(',')
            .split_once(": ")
            .expect("a name and a number");
        (name.trim_matches('"'), value.parse().expect("a number"))
    };
    section(key).into_iter().map(parse).collect()
}

macro_rules! names {
    ($module:ident: $($name:ident)*) => {
        BTreeMap::from([$((stringify!($name), u64::from($module::$name))),*])
    };
}

#[test]
fn fields() {
    let record = Record::default();
    macro_rules! fields {
        ($($name:ident)*) => {
            vec![$((stringify!($name), offset_of!(Record, $name), type_of(&record.$name))),*]
        };
    }
    fn type_of<T>(_: &T) -> &'static str {
        std::any::type_name::<T>()
    }
    let declared = fields!(ts_event ts_recv instrument seq id price size kind side price_scale size_scale flags detail);
    let expected: Vec<String> = declared
        .into_iter()
        .map(|(name, offset, kind)| {
            format!(r#"{{"name": "{name}", "offset": {offset}, "type": "{kind}"}}"#)
        })
        .collect();
    let found: Vec<&str> = section("fields")
        .iter()
        .map(|line| line.trim_end_matches(','))
        .collect();
    assert_eq!(found, expected);
    assert!(GOLDEN.contains(&format!("\"size\": {}", record::RECORD_SIZE)));
}

#[test]
fn kinds_flags_and_conditions() {
    let kinds = names!(kind: TRADE BID ASK BOOK_BID BOOK_ASK STATUS GAP READING BUST CORRECTION IMBALANCE PREV_CLOSE
        VOLUME NOTICE MARK INDEX FUNDING OPEN_INTEREST IV DELTA GAMMA THETA VEGA RHO
        BID_IV ASK_IV UNDERLYING FUNDING_NEXT FUNDING_TIME SETTLEMENT OPEN_24H HIGH_24H LOW_24H VOLUME_24H TURNOVER_24H LIQUIDATION);
    assert_eq!(numbers("kinds"), kinds);
    let flags = names!(flag: LAST_OF_EVENT SNAPSHOT HISTORY BACKFILLED INVALID_BOOK NO_PRICE NO_SIZE INEXACT_SIZE
        CLOCK_SKEW REPLAYED);
    assert_eq!(numbers("flags"), flags);
    assert_eq!(
        numbers("conditions"),
        names!(condition: ODD_LOT OUT_OF_SEQUENCE AUCTION OPENING CLOSING HIDDEN BACKFILLED)
    );
}

#[test]
fn states() {
    use record::state;
    let states = names!(state: EMPTY SYNCING LIVE GAP REPAIRING STALE HALTED AUCTION CLOSED UNVERIFIED DELAYED);
    assert_eq!(numbers("states"), states);
    for (name, value) in states {
        assert_eq!(
            state::NAMES[usize::try_from(value).unwrap()],
            name.to_lowercase()
        );
    }
}
