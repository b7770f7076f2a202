//! The splitter and the decoder against texts written by hand and against slow references.

mod books;
mod decoding;
mod splitting;

use super::{Decoded, FixDecoder, Options};
use crate::record::Record;

/// A message from its body, with `|` for SOH.
pub fn framed(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\u{1}");
    let mut message = format!("8=FIX.4.4\u{1}9={}\u{1}{body}", body.len()).into_bytes();
    let sum = message.iter().map(|&byte| u32::from(byte)).sum::<u32>() % 256;
    message.extend_from_slice(format!("10={sum:03}\u{1}").as_bytes());
    message
}

/// A market data message: type, number and the rest of the body.
pub fn message(msg_type: &str, seq: u64, rest: &str) -> Vec<u8> {
    framed(&format!(
        "35={msg_type}|49=XNYS|56=ME|34={seq}|52=20260330-14:00:00.000|{rest}"
    ))
}

pub fn live() -> FixDecoder {
    FixDecoder::new(
        "XNYS",
        Options {
            wait_for_snapshot: true,
            ..Options::default()
        },
    )
}

pub fn log() -> FixDecoder {
    FixDecoder::new("XNYS", Options::default())
}

/// Kind, price, size, id of each row, and whether the event ends with it.
pub fn told(rows: &[Record]) -> Vec<(u8, i64, i64, u64, bool)> {
    let last = |row: &Record| row.flags & crate::record::flag::LAST_OF_EVENT != 0;
    rows.iter()
        .map(|row| (row.kind, row.price, row.size, row.id, last(row)))
        .collect()
}

pub fn decode(decoder: &mut FixDecoder, block: &[u8]) -> Decoded {
    let decoded = decoder.decode(block, 7, 0);
    assert_eq!(decoded.dead, []);
    decoded
}
