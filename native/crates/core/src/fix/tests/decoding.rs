use super::{decode, live, log, message, told};
use crate::fix::{FixDecoder, Options, Subject};
use crate::record::{condition, flag, kind, state};

#[test]
fn entries_take_over_from_the_entry_before() {
    let rows = decode(
        &mut log(),
        &message(
            "X",
            4,
            "262=r|268=3|279=0|269=2|55=A|270=10.50|271=7|1003=41|2446=1|60=20260330-13:59:59.5|\
             279=0|270=10.6|271=8|1003=42|5797=2|279=2|55=B|1003=9|",
        ),
    )
    .records;
    assert_eq!(
        told(&rows),
        [
            (kind::TRADE, 1050, 7, 41, false),
            (kind::TRADE, 106, 8, 42, true),
            (kind::BUST, 0, 0, 9, true)
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.ts_event == rows[0].ts_event && row.seq == 4)
    );
    assert_eq!((rows[0].side, rows[1].side), (1, 2));
    assert_ne!(rows[2].instrument, rows[0].instrument);
}

#[test]
fn fragments_are_one_event() {
    let mut decoder = log();
    let first = decode(
        &mut decoder,
        &message("X", 1, "262=r|268=1|279=0|269=0|55=A|270=9|271=1|893=N|"),
    );
    assert_eq!(first.records, []);
    let second = decode(
        &mut decoder,
        &message("X", 2, "262=r|268=1|279=0|269=1|55=A|270=10|271=2|893=Y|"),
    );
    assert_eq!(
        told(&second.records),
        [(kind::BID, 9, 1, 0, false), (kind::ASK, 10, 2, 0, true)]
    );
    let open = decode(
        &mut decoder,
        &message("X", 3, "262=r|268=1|279=1|269=0|55=A|270=9|271=5|893=N|"),
    );
    assert_eq!(open.records, []);
    let other = decode(
        &mut decoder,
        &message("X", 4, "262=other|268=1|279=0|269=1|55=B|270=3|271=3|"),
    );
    assert_eq!(
        told(&other.records),
        [(kind::BID, 9, 5, 0, true), (kind::ASK, 3, 3, 0, true)]
    );
    decode(
        &mut decoder,
        &message("X", 5, "262=r|268=1|279=2|269=0|55=A|270=9|893=N|"),
    );
    let rest = decoder.flush().records;
    assert_eq!(
        (rest[0].kind, rest[0].flags),
        (
            kind::BID,
            flag::NO_PRICE | flag::NO_SIZE | flag::LAST_OF_EVENT
        )
    );
}

#[test]
fn times_by_the_most_precise_word_there_is() {
    let body = |times: &str| {
        message(
            "X",
            1,
            &format!("268=1|279=0|269=2|55=A|270=1|271=1|1003=1|{times}"),
        )
    };
    let at = |times: &str| decode(&mut log(), &body(times)).records[0].ts_event;
    let day = 1_774_828_800_000_000_000;
    assert_eq!(at(""), day + 14 * 3_600_000_000_000);
    assert_eq!(
        at("272=20260329|273=23:59:59.000000001|"),
        day - 999_999_999
    );
    assert_eq!(at("273=13:00:00|"), day + 13 * 3_600_000_000_000);
    assert_eq!(at("273=13:00:00|60=20260330-00:00:00|"), day);
    assert_eq!(at("272=20260329|"), day + 14 * 3_600_000_000_000);
}

#[test]
fn an_instrument_waits_for_its_refresh() {
    let mut decoder = live();
    let update = "268=2|279=0|269=0|55=A|270=9|271=1|279=0|269=2|270=9|271=3|1003=5|";
    let early = decode(&mut decoder, &message("X", 1, update));
    assert_eq!(told(&early.records), [(kind::TRADE, 9, 3, 5, true)]);
    let refresh = decode(
        &mut decoder,
        &message(
            "W",
            2,
            "262=1-1|55=A|268=2|269=0|270=8|271=4|269=2|270=9|271=3|1003=5|",
        ),
    );
    let kinds: Vec<_> = refresh
        .records
        .iter()
        .map(|row| (row.kind, row.detail))
        .collect();
    assert_eq!(
        kinds,
        [
            (kind::TRADE, 0),
            (kind::STATUS, u16::from(state::LIVE)),
            (kind::BID, 0),
            (kind::ASK, 0)
        ]
    );
    assert_ne!(refresh.records[0].flags & flag::SNAPSHOT, 0);
    assert_eq!(refresh.records[2].flags & flag::SNAPSHOT, 0);
    assert_eq!(
        (refresh.events[0].subject, &refresh.events[0].detail[..]),
        (Subject::Snapshot, "1-1")
    );
    decoder.expect("2-");
    assert_eq!(
        decode(
            &mut decoder,
            &message("W", 3, "262=1-1|55=A|268=1|269=0|270=1|271=1|")
        )
        .records,
        []
    );
}

#[test]
fn a_hole_of_one_instrument_is_repaired_alone() {
    let mut decoder = live();
    decode(
        &mut decoder,
        &message("W", 1, "55=A|83=4|268=1|269=0|270=8|271=4|"),
    );
    decode(
        &mut decoder,
        &message("W", 2, "55=B|83=9|268=1|269=0|270=8|271=4|"),
    );
    let found = decode(
        &mut decoder,
        &message(
            "X",
            3,
            "268=3|279=1|269=0|55=A|270=8|271=5|83=5|279=1|269=0|55=B|270=8|271=6|83=12|279=0|269=2|270=8|271=1|83=13|1003=77|",
        ),
    );
    let kinds: Vec<_> = found
        .records
        .iter()
        .map(|row| (row.kind, row.detail, row.id))
        .collect();
    assert_eq!(
        kinds,
        [
            (kind::BID, 0, 0),
            (kind::GAP, 0, 2),
            (kind::STATUS, u16::from(state::GAP), 0),
            (kind::TRADE, 0, 77)
        ]
    );
    assert_eq!((found.events.len(), &found.events[0].name[..]), (1, "B"));
    let again = decode(
        &mut decoder,
        &message("W", 4, "55=B|83=13|268=1|269=0|270=8|271=9|"),
    );
    assert_eq!(again.records[0].detail, u16::from(state::LIVE));
    // what the refresh holds already is left out, but for trades
    let old = decode(
        &mut decoder,
        &message(
            "X",
            5,
            "268=2|279=1|269=0|55=B|270=8|271=6|83=13|279=0|269=2|270=8|271=1|83=13|1003=78|",
        ),
    );
    assert_eq!(told(&old.records), [(kind::TRADE, 8, 1, 78, true)]);
}

#[test]
fn a_crossed_book_is_lost_while_it_trades() {
    let crossed = "55=A|268=2|269=0|270=8|271=4|269=1|270=8|271=4|";
    let mut decoder = live();
    let found = decode(&mut decoder, &message("W", 1, crossed));
    assert_eq!(found.records.last().unwrap().detail, u16::from(state::GAP));
    assert!(found.records.iter().all(|row| row.kind != kind::BID));
    decode(&mut decoder, &message("f", 2, "55=A|326=21|"));
    let found = decode(&mut decoder, &message("W", 3, crossed));
    assert_eq!(found.records[0].detail, u16::from(state::AUCTION));
    let found = decode(&mut log(), &message("W", 1, crossed));
    let quotes = found
        .records
        .iter()
        .filter(|row| row.kind == kind::BID || row.kind == kind::ASK);
    assert!(
        quotes.clone().count() == 2
            && quotes
                .into_iter()
                .all(|row| row.flags & flag::INVALID_BOOK != 0)
    );
}

#[test]
fn states_their_reasons_and_notices() {
    let mut decoder = log();
    let halted = decode(
        &mut decoder,
        &message("f", 1, "55=A|326=2|327=P|60=20260330-13:00:00|"),
    );
    assert_eq!(
        (halted.records[0].kind, halted.records[0].detail),
        (kind::STATUS, u16::from(state::HALTED))
    );
    assert_eq!(halted.texts, [(0, "news pending".to_owned())]);
    assert_eq!(
        decode(&mut decoder, &message("f", 2, "55=A|326=2|")).records,
        []
    );
    let notice = decode(&mut decoder, &message("f", 3, "55=A|326=5|"));
    assert_eq!(
        (notice.records[0].kind, notice.records[0].id),
        (kind::NOTICE, 5)
    );
}

#[test]
fn statistics() {
    let found = decode(
        &mut log(),
        &message(
            "W",
            1,
            "55=A|268=6|269=4|270=1|269=5|270=2.50|269=B|271=60|269=A|270=3|271=4|277=P|269=C|271=9|269=3|270=5|",
        ),
    );
    let kinds: Vec<_> = found
        .records
        .iter()
        .map(|row| (row.kind, row.price, row.size, row.detail))
        .filter(|row| row.0 != kind::STATUS)
        .collect();
    assert_eq!(
        kinds,
        [
            (kind::NOTICE, 1, 0, u16::from(b'4')),
            (kind::PREV_CLOSE, 250, 0, 0),
            (kind::VOLUME, 0, 60, 0),
            (kind::IMBALANCE, 3, 4, u16::from(b'A')),
            (kind::OPEN_INTEREST, 9, 0, 0),
            (kind::INDEX, 5, 0, 0)
        ]
    );
    let close = decode(
        &mut log(),
        &message("X", 1, "268=1|279=0|269=5|55=A|270=2|"),
    );
    assert_eq!(close.records[0].kind, kind::NOTICE);
}

#[test]
fn definitions_tie_ids_to_symbols_and_bring_lots() {
    let mut decoder = log();
    let found = decode(
        &mut decoder,
        &message("d", 1, "320=q|55=ES|48=736|15=USD|969=0.25|561=10|264=2|"),
    );
    assert_eq!(found.definitions[0].tick_size, "0.25");
    let trade = decode(
        &mut decoder,
        &message(
            "X",
            2,
            "268=2|279=0|269=2|48=736|270=1|271=9|278=x1|279=0|269=2|270=1|271=10|",
        ),
    );
    assert_eq!(
        decoder.names().map(|(_, name)| name).collect::<Vec<_>>(),
        ["ES"]
    );
    assert_eq!(
        (trade.records[0].detail, trade.records[1].detail),
        (condition::ODD_LOT, 0)
    );
    assert_eq!(trade.texts, [(0, "x1".to_owned())]);
    let listed = decode(
        &mut decoder,
        &message("y", 3, "320=q|560=0|893=N|146=2|55=A|15=USD|55=B|15=EUR|"),
    );
    assert_eq!(listed.definitions[1].currency, "EUR");
    assert_eq!(
        (listed.events[0].subject, &listed.events[0].detail[..]),
        (Subject::Listed, "N0")
    );
}

#[test]
fn what_cannot_be_read_changes_nothing_and_is_told() {
    for (body, reason) in [
        (
            "268=2|279=0|269=0|55=A|270=8|271=4|",
            "NoMDEntries (268) is not the number of entries",
        ),
        (
            "268=1|279=7|269=0|55=A|270=8|271=4|",
            "MDUpdateAction (279) is none of 0 to 5",
        ),
        (
            "268=1|279=0|269=0|55=A|270=x|271=4|",
            "MDEntryPx (270) is no price that fits",
        ),
        (
            "268=1|279=0|269=0|55=A|270=1|271=-4|",
            "MDEntrySize (271) is below 0",
        ),
        (
            "268=1|279=0|269=0|55=A|271=4|",
            "an entry without MDEntryPx (270)",
        ),
        (
            "268=1|279=0|269=0|270=1|271=4|",
            "neither Symbol (55) nor SecurityID (48)",
        ),
        ("55=A|", "NoMDEntries (268) is missing"),
    ] {
        let mut decoder = live();
        decode(
            &mut decoder,
            &message("W", 1, "55=A|268=1|269=0|270=8|271=4|"),
        );
        let found = decoder.decode(&message("X", 2, body), 7, 0);
        assert_eq!((found.dead_count, found.dead[0].reason), (1, reason));
        if body.contains("55=A") {
            assert_eq!(
                found.records.last().unwrap().detail,
                u16::from(state::GAP),
                "{body}"
            );
            assert_eq!(found.events[0].subject, Subject::Lost);
        } else {
            assert_eq!(found.events[0].subject, Subject::LostAll);
        }
    }
}

#[test]
fn losses_and_holes_that_are_told_from_outside() {
    let mut decoder = live();
    for symbol in ["A", "B"] {
        decode(
            &mut decoder,
            &message("W", 1, &format!("55={symbol}|268=1|269=0|270=8|271=4|")),
        );
    }
    let states = |rows: &[crate::record::Record]| {
        rows.iter()
            .filter(|row| row.kind == kind::STATUS)
            .map(|row| row.detail as u8)
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&decoder.hold(true, 9)), [state::GAP, state::GAP]);
    let lost = decoder.lose(Some(&["B".to_owned()]), 3, 17, 9);
    assert_eq!((lost[0].kind, lost[0].id, lost[0].seq), (kind::GAP, 3, 17));
    assert_eq!(states(&decoder.hold(false, 9)), [state::LIVE]);
    assert_eq!(states(&decoder.snapshot(10)), [state::LIVE, state::GAP]);
    assert_eq!(states(&decoder.lose(None, 0, 18, 11)), [state::GAP]);
}

#[test]
fn only_wanted_symbols() {
    let options = Options {
        symbols: Some(vec!["B".to_owned()]),
        ..Options::default()
    };
    let mut decoder = FixDecoder::new("XNYS", options);
    let found = decode(
        &mut decoder,
        &message(
            "X",
            1,
            "268=2|279=0|269=0|55=A|270=8|271=4|279=0|269=0|55=B|270=7|271=4|",
        ),
    );
    assert_eq!(told(&found.records), [(kind::BID, 7, 4, 0, true)]);
}

#[test]
fn refusals_and_other_messages_are_events() {
    let found = decode(
        &mut log(),
        &[
            message("Y", 1, "262=r|281=0|58=Unknown symbol|"),
            message("0", 2, ""),
        ]
        .concat(),
    );
    let events: Vec<_> = found
        .events
        .iter()
        .map(|event| (event.subject, &event.name[..], &event.detail[..]))
        .collect();
    assert_eq!(
        events,
        [
            (Subject::Refused, "r", "0 Unknown symbol"),
            (Subject::Other, "0", "")
        ]
    );
}
