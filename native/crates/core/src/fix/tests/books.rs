//! Books by every kind of address against lists that are searched from end to end.

use proptest::prelude::*;

use super::{log, message};
use crate::fix::FixDecoder;

/// What a test does to one side.
#[derive(Clone, Debug)]
enum Op {
    New(u32, u32),
    Change(u32, u32),
    Delete(u32),
    Thru(u32),
    From(u32),
}

fn ops(range: u32) -> impl Strategy<Value = Vec<(bool, Op)>> {
    let op = prop_oneof![
        3 => (1..range, 1..9_u32).prop_map(|(at, size)| Op::New(at, size)),
        2 => (1..range, 1..9_u32).prop_map(|(at, size)| Op::Change(at, size)),
        2 => (1..range).prop_map(Op::Delete),
        1 => (1..range).prop_map(Op::Thru),
        1 => (1..range).prop_map(Op::From),
    ];
    prop::collection::vec((any::<bool>(), op), 0..60)
}

/// (price, size), best first.
type Side = Vec<(u32, u32)>;

fn found(decoder: &FixDecoder) -> [Side; 2] {
    decoder.book("A", 100).map(|side| {
        let number = |decimal: crate::decimal::Decimal| {
            u32::try_from(decimal.mantissa / 10_i64.pow(decimal.scale.into())).unwrap()
        };
        side.iter()
            .map(|level| (number(level.price), number(level.size)))
            .collect()
    })
}

fn send(decoder: &mut FixDecoder, seq: usize, entry: &str) {
    let decoded = decoder.decode(&message("X", seq as u64, &format!("268=1|{entry}")), 1, 0);
    assert_eq!(decoded.dead, []);
}

proptest! {
    #[test]
    fn by_price(ops in ops(12)) {
        let mut decoder = log();
        let mut sides = [Side::new(), Side::new()];
        for (seq, (ask, op)) in ops.into_iter().enumerate() {
            let side = &mut sides[usize::from(ask)];
            let better = |a: u32, b: u32| if ask { a < b } else { a > b };
            let (action, price, size) = match op {
                Op::New(price, size) => (0, price, size),
                Op::Change(price, size) => (1, price, size),
                Op::Delete(price) => (2, price, 0),
                Op::Thru(price) => (3, price, 0),
                Op::From(price) => (4, price, 0),
            };
            // the same price is written in two ways
            let zeros = if seq % 2 == 0 { "" } else { ".00" };
            send(&mut decoder, seq, &format!("279={action}|269={}|55=A|270={price}{zeros}|271={size}|", u8::from(ask)));
            match action {
                0 | 1 => {
                    side.retain(|level| level.0 != price);
                    side.push((price, size));
                }
                2 => side.retain(|level| level.0 != price),
                3 => side.retain(|level| better(price, level.0)),
                _ => side.retain(|level| better(level.0, price)),
            }
            side.sort_unstable();
            if !ask { side.reverse(); }
        }
        prop_assert_eq!(found(&decoder), sides);
    }

    #[test]
    fn by_position(ops in ops(6)) {
        let mut decoder = log();
        let mut sides = [Side::new(), Side::new()];
        for (seq, (ask, op)) in ops.into_iter().enumerate() {
            let side = &mut sides[usize::from(ask)];
            let price = 100 + seq as u32;
            let (action, at, size) = match op {
                Op::New(at, size) => (0, at as usize, size),
                Op::Change(at, size) => (1, at as usize, size),
                Op::Delete(at) => (2, at as usize, 0),
                Op::Thru(at) => (3, at as usize, 0),
                Op::From(at) => (4, at as usize, 0),
            };
            send(&mut decoder, seq, &format!("279={action}|269={}|55=A|270={price}|271={size}|1023={at}|", u8::from(ask)));
            match action {
                0 if at <= side.len() + 1 => side.insert(at - 1, (price, size)),
                1 if at <= side.len() => side[at - 1] = (price, size),
                2 if at <= side.len() => { side.remove(at - 1); }
                3 => { side.drain(..at.min(side.len())); }
                4 => side.truncate(at - 1),
                _ => {}
            }
        }
        prop_assert_eq!(found(&decoder), sides);
    }

    #[test]
    fn by_id(ops in prop::collection::vec((any::<bool>(), 0..3_u8, 1..8_u32, 1..6_u32, 1..9_u32), 0..60)) {
        let mut decoder = log();
        // id, side, price, size
        let mut entries: Vec<(u32, bool, u32, u32)> = Vec::new();
        for (seq, (ask, action, id, price, size)) in ops.into_iter().enumerate() {
            let known = entries.iter().position(|entry| entry.0 == id);
            let side = u8::from(ask);
            match action {
                0 => {
                    send(&mut decoder, seq, &format!("279=0|269={side}|278=e{id}|55=A|270={price}|271={size}|"));
                    if let Some(at) = known { entries.remove(at); }
                    entries.push((id, ask, price, size));
                }
                1 => {
                    let Some(at) = known else { continue };
                    send(&mut decoder, seq, &format!("279=1|278=e{id}|55=A|271={size}|"));
                    entries[at].3 = size;
                }
                _ => {
                    let Some(at) = known else { continue };
                    send(&mut decoder, seq, &format!("279=2|278=e{id}|55=A|"));
                    entries.remove(at);
                }
            }
        }
        let mut sides = [Side::new(), Side::new()];
        for (_, ask, price, size) in entries {
            let side = &mut sides[usize::from(ask)];
            match side.iter_mut().find(|level| level.0 == price) {
                Some(level) => level.1 += size,
                None => side.push((price, size)),
            }
        }
        for side in &mut sides { side.sort_unstable(); }
        sides[0].reverse();
        prop_assert_eq!(found(&decoder), sides);
    }

    #[test]
    fn levels_that_are_told_rebuild_the_book(ops in ops(10), depth in 1..5_usize) {
        use crate::fix::Options;
        use crate::record::kind;
        let mut decoder = FixDecoder::new("XNYS", Options { depth, ..Options::default() });
        let mut shown: [std::collections::BTreeMap<u32, u32>; 2] = Default::default();
        for (seq, (ask, op)) in ops.into_iter().enumerate() {
            let (action, price, size) = match op {
                Op::New(price, size) | Op::Change(price, size) => (0, price, size),
                Op::Delete(price) | Op::Thru(price) | Op::From(price) => (2, price, 0),
            };
            let price = if ask { price + 20 } else { price };
            let text = format!("268=1|279={action}|269={}|55=A|270={price}|271={size}|", u8::from(ask));
            for row in decoder.decode(&message("X", seq as u64, &text), 1, 0).records {
                let side = match row.kind { kind::BOOK_BID => 0, kind::BOOK_ASK => 1, _ => continue };
                let (price, size) = (row.price as u32, row.size as u32);
                if size == 0 { shown[side].remove(&price); } else { shown[side].insert(price, size); }
            }
            let book = found(&decoder);
            for side in 0..2 {
                let mut best: Vec<_> = book[side].iter().copied().take(depth).collect();
                best.sort_unstable();
                prop_assert_eq!(&shown[side].clone().into_iter().collect::<Vec<_>>(), &best);
            }
        }
    }
}
