//! PITCH as text, the TCP form: one message a line, `S`, eight digits of milliseconds since midnight, a letter, fields.
//!
//! A line may lack the `S`, which is the packet type of the transport (Soup 2.0), and may end in `\r\n`. Lines of the
//! other packet types (`+` debug, `A` and `J` login, `H` heartbeat alone) are control, not messages. Ids are numbers in base
//! 36, prices have 4 decimals, those of the extended forms (`1` to `4`) 6.

use super::market::{Auction, Decoded, Market, Reason, Stated};
use crate::listing::{Scale, Stamp};
use crate::orderbook::Level;
use crate::record::{Record, flag};

/// The text form has no units.
const UNIT: u8 = 0;
const MILLISECOND_NS: i64 = 1_000_000;
const DAY_MS: u64 = 86_400_000;
const CUT: Reason = "too short for its type";

/// Decodes one stream of lines.
pub struct PitchTextDecoder {
    market: Market,
    midnight_ns: i64,
    last_ms: u64,
    days: i64,
    tail: Vec<u8>,
}

/// The fields of a line, taken from the left.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Reason> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(CUT)?;
        self.0 = rest;
        Ok(field)
    }

    fn letter(&mut self) -> Result<u8, Reason> {
        self.take::<1>().map(|&[letter]| letter)
    }

    /// A number, padded on the left with zeros or spaces.
    fn number<const N: usize>(&mut self) -> Result<u64, Reason> {
        digits(self.take::<N>()?).ok_or("not a number")
    }

    fn shares<const N: usize>(&mut self) -> Result<u32, Reason> {
        u32::try_from(self.number::<N>()?).map_err(|_| "impossible size")
    }

    /// A price with 6 + 4 digits at 6 decimals.
    fn price(&mut self) -> Result<u64, Reason> {
        Ok(self.number::<10>()? * 100)
    }

    /// A price with 8 + 6 digits.
    fn long_price(&mut self) -> Result<u64, Reason> {
        self.number::<14>()
    }

    fn id(&mut self) -> Result<u64, Reason> {
        let digit = |id: u64, &byte: &u8| {
            let digit = char::from(byte).to_digit(36)?;
            (!byte.is_ascii_lowercase()).then_some(())?;
            id.checked_mul(36)?.checked_add(digit.into())
        };
        self.take::<12>()?
            .iter()
            .try_fold(0, digit)
            .ok_or("not an id in base 36")
    }

    fn symbol(&mut self) -> Result<[u8; 8], Reason> {
        self.take().copied()
    }

    fn short_symbol(&mut self) -> Result<[u8; 8], Reason> {
        let mut name = [b' '; 8];
        name[..6].copy_from_slice(self.take::<6>()?);
        Ok(name)
    }

    /// Order, symbol, and what is stated of it: as orders and trades begin.
    fn stated(
        &mut self,
        is_short_symbol: bool,
        is_long_price: bool,
    ) -> Result<(u64, [u8; 8], Stated), Reason> {
        let (id, side, shares) = (self.id()?, self.letter()?, self.shares::<6>()?);
        let name = if is_short_symbol {
            self.short_symbol()?
        } else {
            self.symbol()?
        };
        let price = if is_long_price {
            self.long_price()?
        } else {
            self.price()?
        };
        let stated = Stated {
            side,
            shares,
            price,
        };
        Ok((id, name, stated))
    }
}

fn digits(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|&byte| byte != b' ')?;
    field[start..].iter().try_fold(0, |number, &byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

impl PitchTextDecoder {
    #[must_use]
    pub fn new(
        venue: &str,
        midnight_ns: i64,
        symbols: Option<Vec<String>>,
        depth: usize,
        round_lot: u32,
    ) -> Self {
        Self {
            market: Market::new(venue, midnight_ns, symbols, depth, round_lot, Scale::Six),
            midnight_ns,
            last_ms: 0,
            days: 0,
            tail: Vec::new(),
        }
    }

    /// Decodes lines; a line without its end waits for the next call. `first_seq` is the number of the first message.
    #[must_use]
    pub fn decode(&mut self, data: &[u8], first_seq: u64, ts_recv: i64) -> Decoded {
        let mut decoded = Decoded::default();
        let mut seq = first_seq;
        let mut block = std::mem::take(&mut self.tail);
        let carried = block.len();
        block.extend_from_slice(data);
        let mut start = 0;
        while let Some(length) = block[start..].iter().position(|&byte| byte == b'\n') {
            let line = &block[start..start + length];
            let offset = start.saturating_sub(carried);
            seq += u64::from(self.line(line, offset, (seq, ts_recv), &mut decoded));
            start += length + 1;
        }
        self.tail = block.split_off(start);
        decoded
    }

    /// Decodes a last line that has no end, if there is one.
    #[must_use]
    pub fn finish(&mut self, seq: u64, ts_recv: i64) -> Decoded {
        let mut decoded = Decoded::default();
        let line = std::mem::take(&mut self.tail);
        self.line(&line, 0, (seq, ts_recv), &mut decoded);
        decoded
    }

    /// Decodes a line; whether it was a message.
    fn line(
        &mut self,
        line: &[u8],
        offset: usize,
        (seq, ts_recv): (u64, i64),
        decoded: &mut Decoded,
    ) -> bool {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let message = match text.first() {
            None | Some(b'+' | b'J') => return false,
            Some(b'A') if text.len() == 21 => return false,
            Some(b'H' | b'R' | b'O') if text.len() == 1 => return false,
            Some(b'S') => &text[1..],
            Some(_) => text,
        };
        let start = decoded.records.len();
        match self.apply(Fields(message), (seq, ts_recv), decoded) {
            Ok(()) => decoded.messages += 1,
            Err(reason) => decoded.bury(offset, reason, line),
        }
        if let Some(last) = decoded.records[start..].last_mut() {
            last.flags |= flag::LAST_OF_EVENT;
        }
        true
    }

    fn apply(
        &mut self,
        mut fields: Fields<'_>,
        (seq, ts_recv): (u64, i64),
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let time_ms = fields.number::<8>()?;
        if time_ms >= 2 * DAY_MS {
            return Err("time is beyond the day");
        }
        if time_ms + DAY_MS / 2 < self.last_ms {
            self.days += 1;
        }
        self.last_ms = time_ms;
        let passed_ms = i64::try_from(time_ms + DAY_MS * self.days.unsigned_abs()).unwrap_or(0);
        let stamp = Stamp {
            ts_event: self.midnight_ns.wrapping_add(passed_ms * MILLISECOND_NS),
            ts_recv,
            seq,
        };
        let letter = fields.letter()?;
        match letter {
            b'A' | b'd' | b'1' => self.add(letter, fields, stamp, out),
            b'P' | b'r' | b'2' => self.trade(letter, fields, stamp, out),
            b'E' => {
                let (id, shares) = (fields.id()?, fields.shares::<6>()?);
                let print = (shares, fields.id()?);
                self.market.execute(UNIT, id, print, stamp, out)
            }
            b'X' => {
                let (id, shares) = (fields.id()?, fields.shares::<6>()?);
                self.market.reduce(UNIT, id, shares, stamp, out)
            }
            b'B' => {
                let execution = fields.id()?;
                self.market
                    .bust(UNIT, execution, letter, stamp, &mut out.records);
                Ok(())
            }
            b's' => {
                let name = fields.symbol()?;
                self.market.clear_symbol(UNIT, name, letter, stamp, out)
            }
            b'H' => {
                let (name, reason) = (fields.symbol()?, *fields.take::<4>()?);
                self.market.status(UNIT, name, reason, letter, stamp, out)
            }
            b'I' | b'3' => self.auction(letter, fields, stamp, out),
            b'J' | b'4' => {
                let (name, auction) = (fields.symbol()?, fields.letter()?);
                let price = match letter {
                    b'J' => fields.price()?,
                    _ => fields.long_price()?,
                };
                let told = (price, fields.shares::<10>()?);
                let about = (letter, auction.into());
                self.market.notice(UNIT, name, about, told, stamp, out)
            }
            b'R' => {
                let (name, side) = (fields.symbol()?, fields.letter()?);
                let about = (letter, side.into());
                self.market.notice(UNIT, name, about, (0, 0), stamp, out)
            }
            _ => Err("unknown type"),
        }
    }

    fn add(
        &mut self,
        letter: u8,
        mut fields: Fields<'_>,
        stamp: Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let (id, name, stated) = fields.stated(letter == b'A', letter == b'1')?;
        self.market.add(UNIT, name, id, stated, stamp, out)
    }

    fn trade(
        &mut self,
        letter: u8,
        mut fields: Fields<'_>,
        stamp: Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let (_, name, stated) = fields.stated(letter == b'P', letter == b'2')?;
        let execution = fields.id()?;
        self.market.trade(UNIT, name, stated, execution, stamp, out)
    }

    fn auction(
        &mut self,
        letter: u8,
        mut fields: Fields<'_>,
        stamp: Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let (name, auction) = (fields.symbol()?, fields.letter()?);
        let price = |fields: &mut Fields<'_>| match letter {
            b'I' => fields.price(),
            _ => fields.long_price(),
        };
        price(&mut fields)?; // the reference price
        let (buy, sell) = (fields.shares::<10>()?, fields.shares::<10>()?);
        let auction = Auction {
            letter: auction,
            buy,
            sell,
            price: price(&mut fields)?,
        };
        price(&mut fields)?; // the price of the auction alone
        self.market.imbalance(UNIT, name, auction, stamp, out)
    }

    #[must_use]
    pub fn orders(&self) -> usize {
        self.market.orders()
    }

    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level<u64>>; 2] {
        self.market.book(symbol, depth)
    }

    #[must_use]
    pub fn price(&self, price: u64) -> (i64, u8) {
        self.market.price(price)
    }

    #[must_use]
    pub fn snapshot(&mut self, ts_recv: i64) -> Vec<Record> {
        self.market.snapshot(ts_recv, None)
    }
}
