//! A seeded stream of PITCH messages with consistent books, for fuzzing.

use crate::itch_stream::Random;

fn message(block: &mut Vec<u8>, code: u8, offset: u64, parts: &[&[u8]]) {
    let length: usize = 6 + parts.iter().map(|part| part.len()).sum::<usize>();
    block.extend_from_slice(&[length as u8, code]);
    block.extend_from_slice(&((offset % 1_000_000_000) as u32).to_le_bytes());
    parts.iter().for_each(|part| block.extend_from_slice(part));
}

/// `count` messages over `stocks` symbols: about half adds in every form, then executions, reductions, changes, deletes,
/// trades and what else there is.
pub fn stream(random: &mut Random, count: u64, stocks: usize) -> Vec<u8> {
    let mut block = vec![6, 0x20, 0x98, 0x85, 0, 0];
    let mut open: Vec<(u64, u32)> = Vec::new();
    for number in 1..count {
        let id = number.to_le_bytes();
        let name = format!("S{:<7}", random.below(stocks));
        let name = name.as_bytes();
        let shares = 2 + random.below(500) as u32;
        let cents = 9_960 + random.below(30) as u16;
        let long = (u64::from(cents) * 100 + random.below(100) as u64).to_le_bytes();
        let wide = shares.to_le_bytes();
        let choice = random.below(100);
        if open.is_empty() || choice < 46 {
            let (side, short): (&[u8], _) = match random.below(2) {
                0 => (b"B", cents.to_le_bytes()),
                _ => (b"S", (cents + 40).to_le_bytes()),
            };
            open.push((number, shares));
            match random.below(3) {
                0 => message(
                    &mut block,
                    0x21,
                    number,
                    &[&id, side, &wide, &name[..6], &long, &[1]],
                ),
                1 => message(
                    &mut block,
                    0x22,
                    number,
                    &[&id, side, &wide[..2], &name[..6], &short, &[1]],
                ),
                _ => message(
                    &mut block,
                    0x2f,
                    number,
                    &[&id, side, &wide, name, &long, &[1], b"FIRM "],
                ),
            }
            continue;
        }
        let at = random.below(open.len());
        let (order, left) = open[at];
        let order = order.to_le_bytes();
        let one = 1_u32.to_le_bytes();
        if (70..=84).contains(&choice) {
            open[at].1 -= u32::from(left > 1);
        }
        match choice {
            46..=69 => {
                open.swap_remove(at);
                message(&mut block, 0x29, number, &[&order]);
            }
            70..=84 if left == 1 => {
                open.swap_remove(at);
                message(&mut block, 0x29, number, &[&order]);
            }
            70..=74 => message(&mut block, 0x23, number, &[&order, &one, &id]),
            75..=79 => {
                let rest = (left - 1).to_le_bytes();
                message(&mut block, 0x24, number, &[&order, &one, &rest, &id, &long]);
            }
            80..=84 => message(&mut block, 0x26, number, &[&order, &one[..2]]),
            85..=90 => {
                open[at].1 = shares;
                message(&mut block, 0x27, number, &[&order, &wide, &long, &[3]]);
            }
            91..=93 => message(
                &mut block,
                0x30,
                number,
                &[&order, b"B", &wide, name, &long, &id],
            ),
            94..=95 => message(&mut block, 0x31, number, &[name, b"T0  "]),
            96..=97 => message(&mut block, 0x2c, number, &[&id]),
            98 => message(&mut block, 0x96, number, &[name, b"O", &long, &wide]),
            _ => {
                open.clear();
                message(&mut block, 0x97, number, &[]);
            }
        }
    }
    block
}
