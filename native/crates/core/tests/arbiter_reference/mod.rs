//! Packets whose messages say their own numbers, and the slow reference: a set of numbers.

use std::collections::BTreeSet;

pub const SESSION: [u8; 10] = *b"TODAY00001";

/// A message is its length, then its number; sizes differ so that cuts show. Both framings read it: the u16 length
/// of `MoldUDP64` is followed by a number of eight bytes, the u8 length of PITCH is the first byte.
pub fn mold(first: u64, count: u64) -> Vec<u8> {
    let mut bytes = SESSION.to_vec();
    bytes.extend(first.to_be_bytes());
    bytes.extend((count as u16).to_be_bytes());
    for number in (first..).take(count as usize) {
        let padding = (number % 5) as usize;
        bytes.extend((8 + padding as u16).to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.resize(bytes.len() + padding, 0xee);
    }
    bytes
}

pub fn pitch(unit: u8, first: u64, count: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for number in (first..).take(count as usize) {
        let padding = (number % 5) as usize;
        body.extend([10 + padding as u8, 0x21]);
        body.extend(number.to_le_bytes());
        body.resize(body.len() + padding, 0xee);
    }
    let mut bytes = (8 + body.len() as u16).to_le_bytes().to_vec();
    bytes.extend([count as u8, unit]);
    bytes.extend((first as u32).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// The numbers that the messages of a block say.
pub fn split(mut block: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !block.is_empty() {
        let (number, length) = if block[0] == 0 {
            let length = usize::from(u16::from_be_bytes([block[0], block[1]]));
            (
                u64::from_be_bytes(block[2..10].try_into().unwrap()),
                2 + length,
            )
        } else {
            (
                u64::from_le_bytes(block[2..10].try_into().unwrap()),
                block[0].into(),
            )
        };
        numbers.push(number);
        block = &block[length..];
    }
    numbers
}

/// Next number and missing numbers after packets of (first, count, line), whatever their order.
pub fn reference(packets: &[(u64, u64, usize)]) -> (u64, Vec<u64>) {
    let came: BTreeSet<u64> = packets
        .iter()
        .flat_map(|(first, count, _)| *first..first + count)
        .collect();
    let top = packets
        .iter()
        .map(|(first, count, _)| first + count)
        .max()
        .unwrap_or(1);
    let missing: Vec<u64> = (1..top).filter(|number| !came.contains(number)).collect();
    (missing.first().copied().unwrap_or(top), missing)
}
