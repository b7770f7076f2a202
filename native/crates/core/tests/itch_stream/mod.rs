//! A seeded stream of ITCH messages with consistent books, for fuzzing.

/// Xorshift: enough randomness for test streams, the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn message(block: &mut Vec<u8>, letter: u8, locate: u16, number: u64, parts: &[&[u8]]) {
    let length: usize = 11 + parts.iter().map(|part| part.len()).sum::<usize>();
    block.extend_from_slice(&(length as u16).to_be_bytes());
    block.push(letter);
    block.extend_from_slice(&locate.to_be_bytes());
    block.extend_from_slice(&[0, 0]);
    block.extend_from_slice(&number.to_be_bytes()[2..]);
    parts.iter().for_each(|part| block.extend_from_slice(part));
}

/// `count` messages over `stocks` stocks: about half adds, the rest executions, cancels, deletes, replaces and trades.
pub fn stream(random: &mut Random, count: u64, stocks: usize) -> Vec<u8> {
    let mut block = Vec::new();
    let mut open: Vec<(u64, u16, u32)> = Vec::new();
    for number in 1..=count {
        let locate = random.below(stocks) as u16 + 1;
        let name = format!("S{locate:<7}");
        let price =
            |base: u32, random: &mut Random| (base + 100 * random.below(40) as u32).to_be_bytes();
        let count = 1 + random.below(500) as u32;
        let shares = count.to_be_bytes();
        let choice = random.below(100);
        if open.is_empty() || choice < 46 {
            let (letter, base) = if random.below(2) == 0 {
                (b"B", 996_000)
            } else {
                (b"S", 1_000_100)
            };
            let parts: [&[u8]; 5] = [
                &number.to_be_bytes(),
                letter,
                &shares,
                name.as_bytes(),
                &price(base, random),
            ];
            message(&mut block, b'A', locate, number, &parts);
            open.push((number, locate, count));
            continue;
        }
        let at = random.below(open.len());
        let (reference, locate, left) = open[at];
        let reference = reference.to_be_bytes();
        if (85..=92).contains(&choice) {
            open[at].2 -= u32::from(left > 1);
        }
        match choice {
            46..=92 if left == 1 || choice < 85 => {
                open.swap_remove(at);
                message(&mut block, b'D', locate, number, &[&reference]);
            }
            85..=89 => message(
                &mut block,
                b'E',
                locate,
                number,
                &[&reference, &1_u32.to_be_bytes(), &[7; 8]],
            ),
            90..=92 => message(
                &mut block,
                b'X',
                locate,
                number,
                &[&reference, &1_u32.to_be_bytes()],
            ),
            93..=97 => {
                (open[at].0, open[at].2) = (number, count);
                let parts: [&[u8]; 4] = [
                    &reference,
                    &number.to_be_bytes(),
                    &shares,
                    &price(998_000, random),
                ];
                message(&mut block, b'U', locate, number, &parts);
            }
            _ => {
                let name = format!("S{locate:<7}");
                let parts: [&[u8]; 6] = [
                    &[0; 8],
                    b"B",
                    &shares,
                    name.as_bytes(),
                    &price(998_000, random),
                    &[9; 8],
                ];
                message(&mut block, b'P', locate, number, &parts);
            }
        }
    }
    block
}
