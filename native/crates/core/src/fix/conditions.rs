//! What codes of FIX mean here: trade conditions, trading states, halt reasons.

use crate::record::{condition, state};

/// Bits of a trade from TradeCondition (277, several apart by spaces) and TradingSessionSubID (625).
///
/// FIX 5.0 SP2 names the codes; those of FIX 4.4 (A to R) are among them.
#[must_use]
pub fn trade_conditions(conditions: &[u8], session_sub: &[u8]) -> u16 {
    let mut bits = match session_sub {
        b"2" => condition::AUCTION | condition::OPENING,
        b"4" => condition::AUCTION | condition::CLOSING,
        b"6" | b"8" | b"9" => condition::AUCTION,
        _ => 0,
    };
    if conditions.is_empty() {
        return bits;
    }
    for code in conditions.split(|&byte| byte == b' ') {
        bits |= match code {
            // opening or reopening trade, opening price
            b"E" | b"R" => condition::AUCTION | condition::OPENING,
            b"w" | b"x" | b"AW" => condition::AUCTION,
            b"V" | b"AJ" => condition::AUCTION | condition::CLOSING,
            b"AN" => condition::AUCTION | condition::CLOSING | condition::OUT_OF_SEQUENCE,
            // reported late, sold out of sequence, prior reference price
            b"I" | b"K" | b"M" | b"k" | b"m" | b"o" | b"r" | b"u" | b"AK" | b"AL" | b"AM" => {
                condition::OUT_OF_SEQUENCE
            }
            _ => 0,
        };
    }
    bits
}

/// Bits of a trade from TrdType (828): a dark trade, late trades.
#[must_use]
pub fn trade_type(code: &[u8]) -> u16 {
    match code {
        b"62" => condition::HIDDEN,
        b"4" | b"8" | b"9" => condition::OUT_OF_SEQUENCE,
        _ => 0,
    }
}

/// State of SecurityTradingStatus (326); `None`: it says nothing about whether there is trading.
#[must_use]
pub fn trading_state(code: u64) -> Option<u8> {
    match code {
        1 | 2 | 4 => Some(state::HALTED), // opening delay, halt, no open or resume
        3 | 17 | 23 => Some(state::LIVE), // resume, ready to trade, fast market
        18 | 19 | 26 => Some(state::CLOSED),
        20 => Some(state::UNVERIFIED),
        14 | 21 | 22 | 24 | 25 | 27 => Some(state::AUCTION),
        _ => None,
    }
}

/// Words for HaltReason (327): letters in FIX 4.4, numbers in FIX 5.0 SP2.
#[must_use]
pub fn halt_reason(code: &[u8]) -> Option<&'static str> {
    Some(match code {
        b"D" | b"0" => "news dissemination",
        b"E" | b"1" => "order influx",
        b"I" | b"2" => "order imbalance",
        b"M" | b"3" => "additional information",
        b"P" | b"4" => "news pending",
        b"X" | b"5" => "equipment changeover",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        assert_eq!(
            trade_conditions(b"E", b""),
            condition::AUCTION | condition::OPENING
        );
        assert_eq!(
            trade_conditions(b"Z M", b"4"),
            condition::AUCTION | condition::CLOSING | condition::OUT_OF_SEQUENCE
        );
        assert_eq!(trade_conditions(b"", b"3"), 0);
        assert_eq!(trade_type(b"62"), condition::HIDDEN);
        assert_eq!(trading_state(2), Some(state::HALTED));
        assert_eq!(trading_state(5), None);
        assert_eq!(halt_reason(b"P"), halt_reason(b"4"));
        assert_eq!(halt_reason(b"?"), None);
    }
}
