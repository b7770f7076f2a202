//! What PITCH says about symbols and whole units: states, auctions, notices, clearing, and the names of options.

use super::market::{Auction, Decoded, Market, Met, PRICE_MAX, Reason, Stock};
use crate::listing::{Listing, Scale, Stamp, end_event, trim};
use crate::orderbook::{Level, Side};
use crate::record::{Record, flag, instrument_id, kind, state};

impl Market {
    /// The trading status of a symbol, and whether short sales are restricted.
    pub fn status(
        &mut self,
        unit: u8,
        name: [u8; 8],
        reason: [u8; 4],
        code: u8,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let trading = match reason[0] {
            b'T' | b'L' => state::LIVE,
            b'H' | b'S' | b'N' => state::HALTED,
            // Quote-only, queuing, opening rotation; of the markets in Europe the auctions and extensions.
            b'A' | b'Q' | b'R' | b'O' | b'E' | b'V' | b'M' | b'P' => state::AUCTION,
            b'C' => state::CLOSED,
            _ => return Err("unknown trading status"),
        };
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let stock = &mut self.stocks[book as usize];
        let out = &mut decoded.records;
        stock.is_over &= reason[0] == b'S';
        stock.listing.trading = if stock.is_over {
            state::CLOSED
        } else {
            trading
        };
        stock.listing.publish_state(stamp, reason, out);
        if matches!(reason[1], b'0' | b'1') && reason[1] != stock.reg_sho {
            stock.reg_sho = reason[1];
            let mut row = stamp.bare(stock.listing.instrument, kind::NOTICE);
            (row.detail, row.id) = (code.into(), reason[1].into());
            out.push(row);
        }
        Ok(())
    }

    /// The closing auction of a symbol is over: `S` means from here on that it is closed, not that it is suspended.
    pub fn closing(
        &mut self,
        unit: u8,
        name: [u8; 8],
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if let Some(book) = self.stock(unit, name, decoded)? {
            self.stocks[book as usize].is_over = true;
        }
        Ok(())
    }

    /// Price and imbalance of an auction to come.
    pub fn imbalance(
        &mut self,
        unit: u8,
        name: [u8; 8],
        auction: Auction,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if auction.price > PRICE_MAX {
            return Err("impossible price");
        }
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let listing = &self.stocks[book as usize].listing;
        let mut row = stamp.row(listing.instrument, kind::IMBALANCE);
        listing.scale.set(&mut row, auction.price);
        row.flags |= if auction.price == 0 {
            flag::NO_PRICE
        } else {
            0
        };
        row.id = auction.buy.abs_diff(auction.sell).into();
        row.side = match auction.buy.cmp(&auction.sell) {
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Less => 2,
            std::cmp::Ordering::Equal => 0,
        };
        row.detail = auction.letter.into();
        row.size = auction.buy.min(auction.sell).into();
        decoded.records.push(row);
        Ok(())
    }

    /// Something about a symbol that changes neither book nor state; `told` is a price and a size, 0 = none.
    pub fn notice(
        &mut self,
        unit: u8,
        name: [u8; 8],
        (code, id): (u8, u64),
        told: (u64, u32),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if told.0 > PRICE_MAX {
            return Err("impossible price");
        }
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        let listing = &self.stocks[book as usize].listing;
        let row = notice_row(listing.instrument, (code, id), told, self.scale, stamp);
        decoded.records.push(row);
        Ok(())
    }

    /// Something about the market.
    pub fn market_notice(
        &self,
        (code, id): (u8, u64),
        told: (u64, u32),
        stamp: Stamp,
        out: &mut Vec<Record>,
    ) -> Result<(), Reason> {
        if told.0 > PRICE_MAX {
            return Err("impossible price");
        }
        out.push(notice_row(0, (code, id), told, self.scale, stamp));
        Ok(())
    }

    /// The unit's orders are gone: a notice, and what was quoted is taken back, each symbol an event of its own.
    pub fn clear_unit(&mut self, unit: u8, code: u8, stamp: Stamp, out: &mut Vec<Record>) {
        if let Some(unit) = self.known_unit(unit) {
            unit.orders.clear();
        }
        push_event(out, stamp, (code, unit));
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            empty(&mut stock.listing, stamp, out);
        }
    }

    /// The symbol's orders are gone.
    pub fn clear_symbol(
        &mut self,
        unit: u8,
        name: [u8; 8],
        code: u8,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let Some(book) = self.stock(unit, name, decoded)? else {
            return Ok(());
        };
        self.unit(unit).orders.forget(book);
        let listing = &mut self.stocks[book as usize].listing;
        let out = &mut decoded.records;
        out.push(notice_row(
            listing.instrument,
            (code, 0),
            (0, 0),
            self.scale,
            stamp,
        ));
        empty(listing, stamp, out);
        Ok(())
    }

    /// The unit shuts down: a notice, and its symbols are closed, each an event of its own.
    pub fn end_of_session(&mut self, unit: u8, code: u8, stamp: Stamp, out: &mut Vec<Record>) {
        push_event(out, stamp, (code, unit));
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            stock.is_over = true;
            stock.listing.trading = state::CLOSED;
            stock.listing.publish_state(stamp, *b"    ", out);
            if let Some(last) = out.last_mut() {
                last.flags |= flag::LAST_OF_EVENT;
            }
        }
    }

    /// What an option's symbol of the feed stands for.
    pub fn map(
        &mut self,
        unit: u8,
        feed: [u8; 8],
        osi: &[u8; 21],
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let symbol = option_symbol(osi).ok_or("not an OSI symbol")?;
        let wanted = self.symbols.as_ref().is_none_or(|symbols| {
            symbols.contains(trim(&feed)) || symbols.contains(symbol.as_bytes())
        });
        if !wanted {
            return Ok(());
        }
        let book = self.place(unit, feed, true, &mut decoded.records)?;
        let stock = &mut self.stocks[book as usize];
        if stock.mapped == symbol {
            return Ok(());
        }
        let listing = &mut stock.listing;
        let out = &mut decoded.records;
        let quoted = [Side::Bid, Side::Ask].map(|side| (side, listing.book.best(side).is_some()));
        let took_back = quoted.iter().filter(|(_, had)| *had);
        for &(side, _) in took_back.clone() {
            let mut row = listing.quote_row(side, stamp);
            (row.price, row.price_scale, row.size, row.detail) = (0, 0, 0, 0);
            row.flags |= flag::NO_PRICE | flag::NO_SIZE | flag::LAST_OF_EVENT;
            out.push(row);
        }
        let start = out.len();
        listing.forget_book(stamp, out);
        end_event(out, start);
        listing.instrument = instrument_id(&format!("{}:{symbol}", self.venue));
        listing.shown = self.shown.levels(listing.instrument);
        listing.round_lot = 1;
        listing.wanted = true;
        if listing.state != state::EMPTY {
            out.push(listing.status_row(stamp, *b"    "));
        }
        out.extend(took_back.map(|&(side, _)| listing.quote_row(side, stamp)));
        if listing.shown > 0 {
            listing.publish_book(stamp, out);
        }
        stock.mapped.clone_from(&symbol);
        decoded.met.push(Met {
            symbol,
            feed_symbol: text(trim(&feed)),
            unit,
            round_lot: 1,
            osi_symbol: text(osi),
        });
        Ok(())
    }

    /// The book of a symbol, known from now on; `None` if it is not among those asked for.
    #[inline]
    pub(super) fn stock(
        &mut self,
        unit: u8,
        name: [u8; 8],
        decoded: &mut Decoded,
    ) -> Result<Option<u32>, Reason> {
        let book = match self.index.get(&u64::from_le_bytes(name)) {
            Some(&book) if self.stocks[book as usize].unit == unit => book,
            _ => self.meet(unit, name, decoded)?,
        };
        Ok(Some(book).filter(|&book| self.stocks[book as usize].listing.wanted))
    }

    #[cold]
    fn meet(&mut self, unit: u8, name: [u8; 8], decoded: &mut Decoded) -> Result<u32, Reason> {
        let wanted = self
            .symbols
            .as_ref()
            .is_none_or(|symbols| symbols.contains(trim(&name)));
        let book = self.place(unit, name, wanted, &mut decoded.records)?;
        let stock = &self.stocks[book as usize];
        if stock.listing.wanted && stock.mapped.is_empty() {
            decoded.met.push(Met {
                symbol: text(trim(&name)),
                feed_symbol: text(trim(&name)),
                unit,
                round_lot: stock.listing.round_lot,
                osi_symbol: String::new(),
            });
        }
        Ok(book)
    }

    /// Index of a symbol's book, made if it is new; a symbol that comes in another unit belongs to that one, and its levels
    /// are not known any more.
    fn place(
        &mut self,
        unit: u8,
        name: [u8; 8],
        wanted: bool,
        out: &mut Vec<Record>,
    ) -> Result<u32, Reason> {
        let key = u64::from_le_bytes(name);
        if let Some(&book) = self.index.get(&key) {
            let stock = &mut self.stocks[book as usize];
            let before = std::mem::replace(&mut stock.unit, unit);
            if before != unit {
                let start = out.len();
                stock.listing.book.clear();
                stock.listing.forget_book(stock.listing.last, out);
                end_event(out, start);
                if let Some(before) = self.known_unit(before) {
                    before.orders.forget(book);
                }
            }
            return Ok(book);
        }
        let symbol = trim(&name);
        if symbol.is_empty() || !symbol.iter().all(u8::is_ascii_graphic) {
            return Err("not a symbol");
        }
        let book = u32::try_from(self.stocks.len()).map_err(|_| "too many symbols")?;
        let mut listing = Listing::new(&self.venue, name, wanted, self.scale);
        listing.set_round_lot(self.round_lot);
        listing.shown = self.shown.levels(listing.instrument);
        self.stocks.push(Stock {
            listing,
            unit,
            reg_sho: b'0',
            is_over: false,
            mapped: String::new(),
        });
        self.index.insert(key, book);
        Ok(book)
    }

    /// Forgets the orders and books of a unit, without a word: an image takes their place. States stay.
    pub fn reset(&mut self, unit: u8) {
        if let Some(unit) = self.known_unit(unit) {
            unit.orders.clear();
        }
        for stock in self.stocks.iter_mut().filter(|stock| stock.unit == unit) {
            stock.listing.book.clear();
            stock.listing.begun = false;
        }
    }

    // -------------------------------------------------------------- looking

    /// Orders in all books.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.units
            .iter()
            .flatten()
            .map(|unit| unit.orders.len())
            .sum()
    }

    /// Instruments of a unit, as far as they were asked for and met.
    #[must_use]
    pub fn instruments(&self, unit: u8) -> Vec<u64> {
        let of_unit = |stock: &&Stock| stock.unit == unit && stock.listing.wanted;
        self.stocks
            .iter()
            .filter(of_unit)
            .map(|stock| stock.listing.instrument)
            .collect()
    }

    /// The best `depth` levels of a symbol (the feed's, or an option's mapped one), bids and asks, best first.
    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level<u64>>; 2] {
        let stock = self.stocks.iter().find(|stock| {
            trim(&stock.listing.name) == symbol.as_bytes()
                || (stock.mapped == symbol && !symbol.is_empty())
        });
        [Side::Bid, Side::Ask].map(|side| {
            stock.map_or_else(Vec::new, |stock| {
                stock.listing.book.top(side, depth).collect()
            })
        })
    }

    /// Price of a level as mantissa and scale.
    #[must_use]
    pub fn price(&self, price: u64) -> (i64, u8) {
        let mut row = Record::default();
        self.scale.set(&mut row, price);
        (row.price, row.price_scale)
    }

    /// Status, best bid and best ask of every symbol (of one unit), and its whole book where levels are told, one event a
    /// symbol.
    #[must_use]
    pub fn snapshot(&mut self, ts_recv: i64, unit: Option<u8>) -> Vec<Record> {
        let mut out = Vec::new();
        for stock in &mut self.stocks {
            if !stock.listing.wanted || unit.is_some_and(|unit| unit != stock.unit) {
                continue;
            }
            let stamp = Stamp {
                ts_recv,
                ..stock.listing.last
            };
            stock.listing.publish_all(stamp, &mut out);
        }
        out
    }

    /// From now on the best levels of these instruments' books are told, and of no others beyond the depth given at the
    /// beginning: whole books of those that are new, that the others are not known any more.
    #[must_use]
    pub fn watch_books(
        &mut self,
        instruments: impl IntoIterator<Item = u64>,
        ts_recv: i64,
    ) -> Vec<Record> {
        self.shown.watch(instruments);
        let mut out = Vec::new();
        for listing in self.stocks.iter_mut().map(|stock| &mut stock.listing) {
            if listing.wanted {
                let stamp = Stamp {
                    ts_event: ts_recv,
                    ts_recv,
                    ..listing.last
                };
                listing.show(self.shown.levels(listing.instrument), stamp, &mut out);
            }
        }
        out
    }
}

fn notice_row(
    instrument: u64,
    (code, id): (u8, u64),
    (price, shares): (u64, u32),
    scale: Scale,
    stamp: Stamp,
) -> Record {
    let mut row = stamp.row(instrument, kind::NOTICE);
    (row.detail, row.id, row.size) = (code.into(), id, shares.into());
    if price == 0 {
        row.flags |= flag::NO_PRICE;
    } else {
        scale.set(&mut row, price);
    }
    if shares == 0 {
        row.flags |= flag::NO_SIZE;
    }
    row
}

/// A notice of a unit as an event of its own.
fn push_event(out: &mut Vec<Record>, stamp: Stamp, (code, unit): (u8, u8)) {
    let mut row = stamp.bare(0, kind::NOTICE);
    (row.detail, row.id) = (code.into(), unit.into());
    row.flags |= flag::LAST_OF_EVENT;
    out.push(row);
}

/// Empties a book and takes back what was quoted, as an event.
fn empty(listing: &mut Listing<u64>, stamp: Stamp, out: &mut Vec<Record>) {
    let had = [Side::Bid, Side::Ask].map(|side| (side, listing.book.best(side).is_some()));
    listing.book.clear();
    if !had.iter().any(|(_, had)| *had) {
        return;
    }
    let start = out.len();
    listing.last = stamp;
    out.extend(
        had.iter()
            .filter(|(_, had)| *had)
            .map(|&(side, _)| listing.quote_row(side, stamp)),
    );
    if listing.begun {
        listing.publish_book(stamp, out);
    }
    end_event(out, start);
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// House symbol of an OSI symbol: root (6), expiry `yymmdd`, `C` or `P`, strike with 3 decimals (8 digits).
fn option_symbol(osi: &[u8; 21]) -> Option<String> {
    let root = trim(&osi[..6]);
    let (date, strike) = (&osi[6..12], &osi[13..]);
    let digits = date.iter().chain(strike).all(u8::is_ascii_digit);
    if root.is_empty()
        || !root.iter().all(u8::is_ascii_alphanumeric)
        || !digits
        || !matches!(osi[12], b'C' | b'P')
    {
        return None;
    }
    let strike = text(strike);
    let whole = strike[..5].trim_start_matches('0');
    let part = strike[5..].trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if part.is_empty() { "" } else { "." };
    let right = char::from(osi[12]);
    Some(format!(
        "{}-USD-20{}-{whole}{point}{part}-{right}",
        text(root),
        text(date)
    ))
}

#[cfg(test)]
mod tests {
    use super::option_symbol;

    #[test]
    fn osi_symbols_become_house_symbols() {
        let house = |osi: &[u8; 21]| option_symbol(osi);
        assert_eq!(
            house(b"AAPL  240119C00150000").as_deref(),
            Some("AAPL-USD-20240119-150-C")
        );
        assert_eq!(
            house(b"SPXW  260918P04512500").as_deref(),
            Some("SPXW-USD-20260918-4512.5-P")
        );
        assert_eq!(
            house(b"F     260918P00000500").as_deref(),
            Some("F-USD-20260918-0.5-P")
        );
        assert_eq!(house(b"      260918P00000500"), None);
        assert_eq!(house(b"AAPL  26091XP00000500"), None);
        assert_eq!(house(b"AAPL  260918X00000500"), None);
    }
}
