//! Whatever numbers rows hold, nothing panics, and every frame is valid JSON.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["XNAS:AAPL", "XSIM:AAPL", "BINANCE:BTC-USDT"];

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0),
        Just(MIDNIGHT),
        0i64..1000
    ]
}

fn any_row() -> impl Strategy<Value = Record> {
    let times = (extreme(), extreme());
    let values = (
        extreme(),
        extreme(),
        prop_oneof![0u8..6, any::<u8>()],
        prop_oneof![0u8..6, any::<u8>()],
    );
    let rest = (
        0u64..4,
        prop_oneof![0u8..16, any::<u8>()],
        any::<u8>(),
        any::<u16>(),
        any::<u16>(),
    );
    (0usize..3, times, values, rest).prop_map(
        |(
            name,
            (ts_event, ts_recv),
            (price, size, price_scale, size_scale),
            (id, kind, side, flags, detail),
        )| Record {
            ts_event,
            ts_recv,
            instrument: instrument_id(NAMES[name]),
            seq: 0,
            id,
            price,
            size,
            kind,
            side,
            price_scale,
            size_scale,
            flags,
            detail,
        },
    )
}

proptest! {
    #[test]
    fn any_rows_leave_valid_json(rows in proptest::collection::vec(any_row(), 0..60), now in extreme()) {
        let mut world = World::new(&NAMES);
        world.latest.set_calendar("24/7", &[MIDNIGHT, MIDNIGHT + DAY], true);
        world.tick(now);
        for batch in rows.chunks(7) {
            world.now = now;
            let applied = world.apply(batch);
            prop_assert_eq!(applied.records, batch.len() as u64);
            for name in NAMES.iter().copied().chain(["AAPL", "BTC-USDT"]) {
                let price = world.price(name);
                prop_assert!(price["state"].is_string());
            }
        }
        world.tick(now.saturating_add(DAY));
        for row in &world.trades {
            for codec in encode::Codec::ALL {
                let mut out = Vec::new();
                let stamp = encode::Stamp {
                    topic: 0,
                    epoch: 1,
                    seq: 1,
                    now_ns: 0,
                    codec,
                    class: 0,
                };
                encode::trade(&mut out, stamp, b"\"A\"", row, None);
                if codec.is_json() {
                    serde_json::from_slice::<Value>(&out).expect("valid JSON");
                }
            }
        }
    }
}
