//! Checksums that venues send with their books, computed from exact decimals: the digits of a text survive in mantissa and
//! scale, so that no text has to be kept.

use super::ladder::{Ladder, Packed};
use super::{ChecksumKind, Side};
use crate::decimal::write_decimal;

/// Levels a side that Kraken's checksum covers.
const KRAKEN_LEVELS: usize = 10;
/// Levels a side that OKX's checksum covers.
const OKX_LEVELS: usize = 25;

/// What a checksum said of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message has none.
    Absent,
    /// The venue has retired it: it proves nothing.
    Zero,
    Verified,
    Failed {
        computed: u32,
    },
}

/// Verifies the checksum of a message; `scratch` is overwritten.
pub(super) fn verify(
    kind: Option<ChecksumKind>,
    sent: Option<i64>,
    ladders: &[Ladder; 2],
    scratch: &mut Vec<u8>,
) -> Verdict {
    let (Some(kind), Some(sent)) = (kind, sent) else {
        return Verdict::Absent;
    };
    if kind == ChecksumKind::Okx && sent == 0 {
        return Verdict::Zero;
    }
    let computed = compute(kind, ladders, scratch);
    // signed or unsigned, the low 32 bits are the same
    let fits = i64::from(i32::MIN) <= sent && sent <= i64::from(u32::MAX);
    if fits && sent as u32 == computed {
        Verdict::Verified
    } else {
        Verdict::Failed { computed }
    }
}

pub(super) fn compute(kind: ChecksumKind, ladders: &[Ladder; 2], scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    match kind {
        ChecksumKind::Kraken | ChecksumKind::KrakenV1 => write_kraken(ladders, scratch),
        ChecksumKind::Okx => write_okx(ladders, scratch),
    }
    crc32fast::hash(scratch)
}

/// The ten best asks, then bids: price and size without the point and leading zeros, which is the mantissa.
fn write_kraken(ladders: &[Ladder; 2], out: &mut Vec<u8>) {
    for side in [Side::Ask, Side::Bid] {
        for level in ladders[side as usize].top(KRAKEN_LEVELS).iter().rev() {
            write_decimal(out, level.price().mantissa, 0);
            write_decimal(out, level.size().mantissa, 0);
        }
    }
}

/// The 25 best levels, bid and ask by turns, as `price:size`, joined by colons; a side with fewer is passed over.
fn write_okx(ladders: &[Ladder; 2], out: &mut Vec<u8>) {
    let [bids, asks] = [0, 1].map(|side: usize| ladders[side].top(OKX_LEVELS));
    let mut write = |level: Option<&Packed>| {
        let Some(level) = level else { return };
        if !out.is_empty() {
            out.push(b':');
        }
        write_decimal(out, level.price().mantissa, level.price().scale);
        out.push(b':');
        write_decimal(out, level.size().mantissa, level.size().scale);
    };
    for place in 1..=bids.len().max(asks.len()) {
        for side in [bids, asks] {
            write(side.len().checked_sub(place).map(|at| &side[at]));
        }
    }
}
