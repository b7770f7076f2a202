//! ITCH messages to records: one message is at most one event, its trade row first, then state, best bid or ask, levels.

use std::collections::{HashMap, HashSet};

use super::decoded::Decoded;
use super::message::{Fault, Message, UNKNOWN_TYPE};
use crate::listing::{Listing, Scale, Stamp, publish, publish_move, size, trim};
use crate::orderbook::{Level, Order, Orders, Side, Taken};
use crate::record::{Record, condition, flag, kind, state};
use crate::shown::Shown;

/// ITCH prices have 4 decimals.
const PRICE_SCALE: u8 = 4;

type Stock = Listing;

/// Decodes one ITCH stream of a market.
pub struct ItchDecoder {
    venue: String,
    /// Code of this market in operational halts; `None`: any code counts.
    market_code: Option<u8>,
    midnight_ns: i64,
    symbols: Option<HashSet<Vec<u8>>>,
    shown: Shown,
    stocks: Vec<Option<Box<Stock>>>,
    /// Locate of each stock.
    names: HashMap<[u8; 8], u16>,
    /// Locates that may come to stand for another stock: a new day began since their last directory message.
    renamable: HashSet<u16>,
    /// Stocks met since the last block.
    met: Vec<[u8; 8]>,
    /// The message at hand names a stock that has another locate, or a locate of another stock.
    is_misnamed: bool,
    orders: Orders,
}

/// An order message's field that the specification does not allow.
type Reason = &'static str;

/// What an execution prints.
struct Print {
    price: Option<u32>,
    match_number: u64,
    printable: bool,
}

impl ItchDecoder {
    /// `symbols` limits what is decoded; `depth` levels a side are told of every book, see [`Self::watch_books`].
    #[must_use]
    pub fn new(venue: &str, midnight_ns: i64, symbols: Option<Vec<String>>, depth: usize) -> Self {
        let market_code = match venue {
            "XNAS" => Some(b'Q'),
            "XBOS" => Some(b'B'),
            "XPHL" | "XPSX" => Some(b'X'),
            _ => None,
        };
        let symbols = symbols.map(|symbols| symbols.into_iter().map(String::into_bytes).collect());
        let venue = venue.to_owned();
        Self {
            venue,
            market_code,
            midnight_ns,
            symbols,
            shown: Shown::new(depth),
            stocks: Vec::new(),
            names: HashMap::new(),
            renamable: HashSet::new(),
            met: Vec::new(),
            is_misnamed: false,
            orders: Orders::default(),
        }
    }

    /// Orders in all books.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Names of the stocks met so far, without padding.
    pub fn stocks(&self) -> impl Iterator<Item = &[u8]> {
        self.stocks.iter().flatten().map(|stock| trim(&stock.name))
    }

    /// Decodes a block of messages, each preceded by its length.
    #[must_use]
    pub fn decode(&mut self, block: &[u8], first_seq: u64, ts_recv: i64) -> Decoded {
        let mut decoded = Decoded::default();
        decoded.records.reserve(block.len() / 64);
        let mut seq = first_seq;
        for item in super::messages(block) {
            let (offset, bytes) = match item {
                Ok(item) => item,
                Err(offset) => {
                    decoded.bury(
                        offset,
                        "length runs past the end of the block",
                        &block[offset..],
                    );
                    break;
                }
            };
            let start = decoded.records.len();
            let unpriced = decoded.unpriced;
            let result = Message::parse(bytes)
                .map_err(Fault::reason)
                .and_then(|message| {
                    let nanoseconds = i64::try_from(message.timestamp()).unwrap_or(0);
                    let ts_event = self.midnight_ns.wrapping_add(nanoseconds);
                    self.apply(
                        message,
                        Stamp {
                            ts_event,
                            ts_recv,
                            seq,
                        },
                        &mut decoded,
                    )
                });
            let result = match result {
                Ok(()) if self.is_misnamed => {
                    self.is_misnamed = false;
                    Err("stock locate and stock do not belong together")
                }
                other => other,
            };
            if decoded.unpriced > unpriced
                || matches!(result, Err(reason) if reason != UNKNOWN_TYPE)
            {
                decoded.suspect(seq);
            }
            match result {
                Ok(()) => decoded.messages += 1,
                Err(reason) => decoded.bury(offset, reason, bytes),
            }
            if let Some(last) = decoded.records[start..].last_mut() {
                last.flags |= flag::LAST_OF_EVENT;
            }
            seq = seq.wrapping_add(1);
        }
        decoded.met = std::mem::take(&mut self.met);
        decoded
    }

    fn apply(
        &mut self,
        message: Message<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        match message {
            Message::AddOrder(m) => {
                let order = (m.buy_sell_indicator(), m.shares(), m.price().0);
                self.add(
                    m.stock_locate(),
                    *m.stock(),
                    m.order_reference_number(),
                    order,
                    stamp,
                    decoded,
                )
            }
            Message::AddOrderAttributed(m) => {
                let order = (m.buy_sell_indicator(), m.shares(), m.price().0);
                self.add(
                    m.stock_locate(),
                    *m.stock(),
                    m.order_reference_number(),
                    order,
                    stamp,
                    decoded,
                )
            }
            Message::OrderExecuted(m) => {
                let print = Print {
                    price: None,
                    match_number: m.match_number(),
                    printable: true,
                };
                let (reference, shares) = (m.order_reference_number(), m.executed_shares());
                self.reduce(
                    m.stock_locate(),
                    reference,
                    shares,
                    Some(print),
                    stamp,
                    decoded,
                )
            }
            Message::OrderExecutedWithPrice(m) => {
                let print = Print {
                    price: Some(m.execution_price().0),
                    match_number: m.match_number(),
                    printable: m.printable() == b'Y',
                };
                let (reference, shares) = (m.order_reference_number(), m.executed_shares());
                self.reduce(
                    m.stock_locate(),
                    reference,
                    shares,
                    Some(print),
                    stamp,
                    decoded,
                )
            }
            Message::OrderCancel(m) => {
                let (reference, shares) = (m.order_reference_number(), m.cancelled_shares());
                self.reduce(m.stock_locate(), reference, shares, None, stamp, decoded)
            }
            Message::OrderDelete(m) => {
                let Some(taken) = self.take(
                    m.stock_locate(),
                    m.order_reference_number(),
                    u32::MAX,
                    decoded,
                ) else {
                    return Ok(());
                };
                self.change(taken, None, stamp, &mut decoded.records);
                Ok(())
            }
            Message::OrderReplace(m) => {
                let new = (m.new_order_reference_number(), m.shares(), m.price().0);
                self.replace(
                    m.stock_locate(),
                    m.original_order_reference_number(),
                    new,
                    stamp,
                    decoded,
                )
            }
            other => {
                self.apply_rare(other, stamp, decoded);
                Ok(())
            }
        }
    }

    fn apply_rare(&mut self, message: Message<'_>, stamp: Stamp, decoded: &mut Decoded) {
        let out = &mut decoded.records;
        match message {
            Message::Trade(m) => {
                let Some(stock) = self.stock(m.stock_locate(), *m.stock()) else {
                    return;
                };
                let lot = if m.shares() < stock.round_lot {
                    condition::ODD_LOT
                } else {
                    0
                };
                let mut row = stamp.row(stock.instrument, kind::TRADE);
                (row.id, row.price, row.price_scale) =
                    (m.match_number(), m.price().0.into(), PRICE_SCALE);
                row.detail = condition::HIDDEN | lot;
                size(&mut row, m.shares().into());
                out.push(row);
            }
            Message::CrossTrade(m) => {
                let Some(stock) = self.stock(m.stock_locate(), *m.stock()) else {
                    return;
                };
                if m.shares() == 0 {
                    return;
                }
                let mut row = stamp.row(stock.instrument, kind::TRADE);
                (row.id, row.price, row.price_scale) =
                    (m.match_number(), m.cross_price().0.into(), PRICE_SCALE);
                row.detail = condition::AUCTION
                    | match m.cross_type() {
                        b'O' => condition::OPENING,
                        b'C' => condition::CLOSING,
                        _ => 0,
                    };
                size(&mut row, m.shares());
                out.push(row);
            }
            Message::BrokenTrade(m) => {
                if let Some(stock) = self.known(m.stock_locate()).filter(|stock| stock.wanted) {
                    let mut row = stamp.bare(stock.instrument, kind::BUST);
                    row.id = m.match_number();
                    out.push(row);
                }
            }
            Message::NetOrderImbalance(m) => {
                let Some(stock) = self.stock(m.stock_locate(), *m.stock()) else {
                    return;
                };
                let mut row = stamp.row(stock.instrument, kind::IMBALANCE);
                row.id = m.imbalance_shares();
                (row.price, row.price_scale) = (m.near_price().0.into(), PRICE_SCALE);
                row.flags |= if row.price == 0 { flag::NO_PRICE } else { 0 };
                row.side = match m.imbalance_direction() {
                    b'B' => 1,
                    b'S' => 2,
                    _ => 0,
                };
                row.detail = m.cross_type().into();
                size(&mut row, m.paired_shares());
                out.push(row);
            }
            Message::StockDirectory(m) => {
                if let Some(stock) = self.stock(m.stock_locate(), *m.stock()) {
                    stock.set_round_lot(m.round_lot_size());
                    self.renamable.remove(&m.stock_locate());
                    decoded.directory.push(*m.bytes());
                }
            }
            other => self.apply_administrative(other, stamp, out),
        }
    }

    fn apply_administrative(&mut self, message: Message<'_>, stamp: Stamp, out: &mut Vec<Record>) {
        match message {
            Message::SystemEvent(m) => self.system_event(m.event_code(), stamp, out),
            Message::StockTradingAction(m) => {
                let Some(stock) = self.stock(m.stock_locate(), *m.stock()) else {
                    return;
                };
                stock.trading = match m.trading_state() {
                    b'H' | b'P' => state::HALTED,
                    b'Q' => state::AUCTION,
                    b'T' => state::LIVE,
                    _ => return,
                };
                stock.publish_state(stamp, *m.reason(), out);
            }
            Message::OperationalHalt(m) => {
                let ours = self.market_code.is_none_or(|code| code == m.market_code());
                let Some(stock) = self.stock(m.stock_locate(), *m.stock()).filter(|_| ours) else {
                    return;
                };
                stock.halted = m.operational_halt_action() == b'H';
                if !stock.halted && stock.trading == state::EMPTY {
                    stock.trading = state::LIVE;
                }
                stock.publish_state(
                    stamp,
                    [b'h', m.market_code(), m.operational_halt_action(), b' '],
                    out,
                );
            }
            Message::MwcbStatus(m) => {
                let mut row = stamp.bare(0, kind::NOTICE);
                (row.detail, row.id) = (b'W'.into(), m.breached_level().into());
                out.push(row);
            }
            Message::MwcbDeclineLevel(m) => {
                for (number, level) in (1..).zip([m.level_1(), m.level_2(), m.level_3()]) {
                    let mut row = stamp.row(0, kind::NOTICE);
                    (row.detail, row.id, row.price_scale) = (b'V'.into(), number, 8);
                    row.flags |= flag::NO_SIZE;
                    row.price = i64::try_from(level.0).unwrap_or_else(|_| {
                        row.flags |= flag::NO_PRICE;
                        0
                    });
                    out.push(row);
                }
            }
            other => self.stock_notice(other, stamp, out),
        }
    }

    /// Messages about a stock that change neither book nor state; what they carry is in the stub's text.
    fn stock_notice(&mut self, message: Message<'_>, stamp: Stamp, out: &mut Vec<Record>) {
        let (locate, name, id, price, number) = match message {
            Message::RegShoRestriction(m) => (
                m.stock_locate(),
                m.stock(),
                m.reg_sho_action().into(),
                None,
                None,
            ),
            Message::RetailInterest(m) => (
                m.stock_locate(),
                m.stock(),
                m.interest_flag().into(),
                None,
                None,
            ),
            Message::MarketParticipantPosition(m) => {
                let maker = [
                    m.primary_market_maker(),
                    m.market_maker_mode(),
                    m.market_participant_state(),
                ];
                let id = m
                    .mpid()
                    .iter()
                    .chain(&maker)
                    .fold(0_u64, |id, &byte| id << 8 | u64::from(byte));
                (m.stock_locate(), m.stock(), id, None, None)
            }
            Message::IpoQuotingPeriod(m) => {
                let seconds = u64::from(m.ipo_quotation_release_time());
                let id = m.ipo_quotation_release_qualifier().into();
                (
                    m.stock_locate(),
                    m.stock(),
                    id,
                    Some(m.ipo_price()),
                    Some(seconds),
                )
            }
            Message::LuldAuctionCollar(m) => {
                let id = u64::from(m.upper_auction_collar_price().0) << 32
                    | u64::from(m.lower_auction_collar_price().0);
                let extension = u64::from(m.auction_collar_extension());
                (
                    m.stock_locate(),
                    m.stock(),
                    id,
                    Some(m.auction_collar_reference_price()),
                    Some(extension),
                )
            }
            Message::DirectListing(m) => {
                let id = m.open_eligibility_status().into();
                (
                    m.stock_locate(),
                    m.stock(),
                    id,
                    Some(m.near_execution_price()),
                    Some(m.near_execution_time()),
                )
            }
            _ => return, // handled by the callers
        };
        let letter = message.bytes()[0];
        let Some(stock) = self.stock(locate, *name) else {
            return;
        };
        let mut row = stamp.row(stock.instrument, kind::NOTICE);
        (row.detail, row.id) = (letter.into(), id);
        match price {
            Some(price) => (row.price, row.price_scale) = (price.0.into(), PRICE_SCALE),
            None => row.flags |= flag::NO_PRICE,
        }
        match number {
            Some(number) => size(&mut row, number),
            None => row.flags |= flag::NO_SIZE,
        }
        out.push(row);
    }

    fn system_event(&mut self, letter: u8, stamp: Stamp, out: &mut Vec<Record>) {
        let mut row = stamp.bare(0, kind::NOTICE);
        (row.detail, row.flags) = (letter.into(), row.flags | flag::LAST_OF_EVENT);
        out.push(row);
        if letter == b'O' {
            self.orders.clear();
            self.renamable.extend(self.names.values());
        }
        for stock in self
            .stocks
            .iter_mut()
            .flatten()
            .filter(|stock| stock.wanted)
        {
            match letter {
                b'O' => {
                    // A new day: nothing of an earlier one may linger.
                    let had =
                        [Side::Bid, Side::Ask].map(|side| (side, stock.book.best(side).is_some()));
                    stock.book.clear();
                    (stock.trading, stock.halted, stock.state) =
                        (state::EMPTY, false, state::EMPTY);
                    out.extend(
                        had.iter()
                            .filter(|(_, had)| *had)
                            .map(|&(side, _)| stock.quote_row(side, stamp)),
                    );
                    if stock.begun {
                        stock.publish_book(stamp, out);
                    }
                }
                b'E' | b'C' => {
                    stock.trading = state::CLOSED;
                    stock.publish_state(stamp, *b"    ", out);
                }
                _ => return,
            }
            if let Some(last) = out.last_mut() {
                last.flags |= flag::LAST_OF_EVENT; // each stock is an event of its own
            }
        }
    }

    fn add(
        &mut self,
        locate: u16,
        name: [u8; 8],
        reference: u64,
        (letter, shares, price): (u8, u32, u32),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let side = match letter {
            b'B' => Side::Bid,
            b'S' => Side::Ask,
            _ => return Err("side is neither B nor S"),
        };
        if shares == 0 {
            return Err("order of 0 shares");
        }
        if self.stock(locate, name).is_none() {
            return Ok(());
        }
        if !self.orders.add(
            reference,
            Order {
                price,
                shares,
                book: locate.into(),
                side,
            },
        ) {
            return Err("order reference is in use");
        }
        let Some(stock) = self.known(locate) else {
            return Ok(());
        };
        let before = stock.book.best(side);
        let touch = stock.book.add(side, price, shares);
        publish(
            stock,
            side,
            before,
            &[(price, touch)],
            stamp,
            &mut decoded.records,
        );
        Ok(())
    }

    /// Executes or cancels shares of an order.
    fn reduce(
        &mut self,
        locate: u16,
        reference: u64,
        shares: u32,
        print: Option<Print>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let before = decoded.unpriced;
        let Some(taken) = self.take(locate, reference, shares, decoded) else {
            if print.is_some_and(|print| print.printable) {
                decoded.unpriced_trades += decoded.unpriced - before;
            }
            return Ok(());
        };
        let trade = print.filter(|print| print.printable).map(|print| {
            let mut row = stamp.row(0, kind::TRADE);
            (row.id, row.price_scale) = (print.match_number, PRICE_SCALE);
            row.price = print.price.unwrap_or(taken.order.price).into();
            row.side = match taken.order.side {
                Side::Bid => 2,
                Side::Ask => 1,
            };
            size(&mut row, shares.into());
            row
        });
        self.change(taken, trade, stamp, &mut decoded.records);
        if shares > taken.shares {
            Err("more shares than the order had; it was removed")
        } else {
            Ok(())
        }
    }

    fn replace(
        &mut self,
        locate: u16,
        original: u64,
        (reference, shares, price): (u64, u32, u32),
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        if shares == 0 {
            return Err("order of 0 shares");
        }
        if reference != original && self.orders.contains(reference) {
            return Err("order reference is in use");
        }
        let Some(taken) = self.take(locate, original, u32::MAX, decoded) else {
            return Ok(());
        };
        let Order { side, book, .. } = taken.order;
        self.orders.add(
            reference,
            Order {
                price,
                shares,
                book,
                side,
            },
        );
        if let Some(stock) = self.known(book) {
            publish_move(stock, taken, (price, shares), stamp, &mut decoded.records);
        }
        Ok(())
    }

    /// Takes shares off an order; an order that was never seen is counted.
    fn take(
        &mut self,
        locate: u16,
        reference: u64,
        shares: u32,
        decoded: &mut Decoded,
    ) -> Option<Taken> {
        let taken = self.orders.take(reference, shares);
        if taken.is_none() {
            let wanted = self.known(locate).map(|stock| stock.wanted);
            decoded.unpriced += usize::from(wanted.unwrap_or(self.symbols.is_none()));
        }
        taken
    }

    /// Takes shares off the book, after the trade row if there is one.
    fn change(&mut self, taken: Taken, trade: Option<Record>, stamp: Stamp, out: &mut Vec<Record>) {
        let Order {
            book, side, price, ..
        } = taken.order;
        let Some(stock) = self.known(book) else {
            return;
        };
        if let Some(mut row) = trade {
            row.instrument = stock.instrument;
            row.detail = if row.size < i64::from(stock.round_lot) {
                condition::ODD_LOT
            } else {
                0
            };
            out.push(row);
        }
        let before = stock.book.best(side);
        if let Some(touch) = stock.book.take(taken) {
            publish(stock, side, before, &[(price, touch)], stamp, out);
        }
    }

    #[inline]
    fn known(&mut self, locate: impl Into<u32>) -> Option<&mut Stock> {
        self.stocks.get_mut(locate.into() as usize)?.as_deref_mut()
    }

    /// The stock of a locate, known from now on; `None` if it is not among the symbols asked for, or misnamed.
    #[inline]
    fn stock(&mut self, locate: u16, name: [u8; 8]) -> Option<&mut Stock> {
        let index = usize::from(locate);
        if !matches!(self.stocks.get(index), Some(Some(stock)) if stock.name == name)
            && !self.meet(locate, name)
        {
            self.is_misnamed = true;
            return None;
        }
        self.stocks[index]
            .as_deref_mut()
            .filter(|stock| stock.wanted)
    }

    /// Takes up a locate that is new, or stands for another stock since the day began; false if it may not.
    #[cold]
    fn meet(&mut self, locate: u16, name: [u8; 8]) -> bool {
        let index = usize::from(locate);
        if self.stocks.len() <= index {
            self.stocks.resize_with(index + 1, || None);
        }
        let elsewhere = self
            .names
            .get(&name)
            .copied()
            .filter(|other| *other != locate);
        let is_free = |place: u16| self.renamable.contains(&place);
        if elsewhere.is_some_and(|other| !is_free(other))
            || (self.stocks[index].is_some() && !is_free(locate))
        {
            return false;
        }
        for place in elsewhere.into_iter().chain([locate]) {
            if let Some(before) = self.stocks[usize::from(place)].take() {
                self.orders.forget(place.into());
                self.names.remove(&before.name);
            }
            self.renamable.remove(&place);
        }
        let wanted = self
            .symbols
            .as_ref()
            .is_none_or(|symbols| symbols.contains(trim(&name)));
        if wanted {
            self.met.push(name);
        }
        self.names.insert(name, locate);
        let mut stock = Stock::new(&self.venue, name, wanted, Scale::Four);
        stock.shown = self.shown.levels(stock.instrument);
        self.stocks[index] = Some(Box::new(stock));
        true
    }

    /// The best `depth` levels of a stock, bids and asks, best first.
    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level>; 2] {
        let stock = self
            .stocks
            .iter()
            .flatten()
            .find(|stock| trim(&stock.name) == symbol.as_bytes());
        [Side::Bid, Side::Ask]
            .map(|side| stock.map_or_else(Vec::new, |stock| stock.book.top(side, depth).collect()))
    }

    fn wanted(&mut self) -> impl Iterator<Item = &mut Stock> {
        self.stocks
            .iter_mut()
            .flatten()
            .map(Box::as_mut)
            .filter(|stock| stock.wanted)
    }

    /// Status, best bid and best ask of every stock, and its whole book where levels are told, one event a stock.
    #[must_use]
    pub fn snapshot(&mut self, ts_recv: i64) -> Vec<Record> {
        let mut out = Vec::new();
        for stock in self.wanted() {
            let stamp = Stamp {
                ts_recv,
                ..stock.last
            };
            stock.publish_all(stamp, &mut out);
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
        self.show(ts_recv)
    }

    /// While the books are being built no levels are told; whole ones follow behind it.
    #[must_use]
    pub fn mute_books(&mut self, is_muted: bool, ts_recv: i64) -> Vec<Record> {
        self.shown.mute(is_muted);
        self.show(ts_recv)
    }

    fn show(&mut self, ts_recv: i64) -> Vec<Record> {
        let shown = std::mem::take(&mut self.shown);
        let mut out = Vec::new();
        for stock in self.wanted() {
            let stamp = Stamp {
                ts_event: ts_recv,
                ts_recv,
                ..stock.last
            };
            stock.show(shown.levels(stock.instrument), stamp, &mut out);
        }
        self.shown = shown;
        out
    }
}
