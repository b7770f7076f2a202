//! Binary PITCH to records: one message is at most one event, its trade row first, then state, best bid or ask, levels.

use super::market::{Auction, Decoded, Market, Reason, Stated};
use super::message::{Fault, Message, Price4};
use crate::listing::{Scale, Stamp};
use crate::orderbook::Level;
use crate::record::{Record, flag};

/// Decodes the units of one market.
pub struct PitchDecoder(Market);

/// A six-character symbol as one of eight.
#[inline]
fn wide(symbol: &[u8; 6]) -> [u8; 8] {
    let mut name = [b' '; 8];
    name[..6].copy_from_slice(symbol);
    name
}

impl PitchDecoder {
    /// `symbols` limits what is decoded; `depth` levels a side are published; trades below `round_lot` are odd lots.
    #[must_use]
    pub fn new(
        venue: &str,
        midnight_ns: i64,
        symbols: Option<Vec<String>>,
        depth: usize,
        round_lot: u32,
    ) -> Self {
        Self(Market::new(
            venue,
            midnight_ns,
            symbols,
            depth,
            round_lot,
            Scale::Four,
        ))
    }

    /// Decodes messages, each beginning with its length; `first_seq` 0 = they have no sequence numbers.
    #[must_use]
    pub fn decode(&mut self, block: &[u8], unit: u8, first_seq: u64, ts_recv: i64) -> Decoded {
        let mut decoded = Decoded::default();
        decoded.records.reserve(block.len() / 64);
        let mut seq = first_seq;
        for item in super::messages(block) {
            let (offset, bytes) = match item {
                Ok(item) => item,
                Err(offset) => {
                    let rest = &block[offset..];
                    decoded.bury(offset, "length does not fit in the block", rest);
                    break;
                }
            };
            let start = decoded.records.len();
            let result = Message::parse(bytes)
                .map_err(Fault::reason)
                .and_then(|message| self.apply(message, unit, (seq, ts_recv), &mut decoded));
            match result {
                Ok(()) => decoded.messages += 1,
                Err(reason) => decoded.bury(offset, reason, bytes),
            }
            if let Some(last) = decoded.records[start..].last_mut() {
                last.flags |= flag::LAST_OF_EVENT;
            }
            seq = if first_seq == 0 {
                0
            } else {
                seq.wrapping_add(1)
            };
        }
        decoded
    }

    #[inline]
    fn apply(
        &mut self,
        message: Message<'_>,
        unit: u8,
        (seq, ts_recv): (u64, i64),
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let market = &mut self.0;
        let stamp = |market: &Market, offset_ns: u32| market.stamp(unit, offset_ns, seq, ts_recv);
        match message {
            Message::Time(m) => market.time(unit, m.time()),
            Message::AddOrderShort(m) => {
                let at = stamp(market, m.time_offset());
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity().into(),
                    price: Price4::from(m.price()).0,
                };
                market.add(unit, wide(m.symbol()), m.order_id(), stated, at, out)
            }
            Message::AddOrderLong(m) => {
                let at = stamp(market, m.time_offset());
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity(),
                    price: m.price().0,
                };
                market.add(unit, wide(m.symbol()), m.order_id(), stated, at, out)
            }
            Message::AddOrderExpanded(m) => {
                let at = stamp(market, m.time_offset());
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity(),
                    price: m.price().0,
                };
                market.add(unit, *m.symbol(), m.order_id(), stated, at, out)
            }
            Message::OrderExecuted(m) => {
                let at = stamp(market, m.time_offset());
                let print = (m.executed_quantity(), m.execution_id());
                market.execute(unit, m.order_id(), print, at, out)
            }
            Message::OrderExecutedAtPriceSize(m) => {
                let at = stamp(market, m.time_offset());
                let print = (m.executed_quantity(), m.execution_id());
                let rest = (m.price().0, m.remaining_quantity());
                market.execute_at(unit, m.order_id(), print, rest, at, out)
            }
            Message::ReduceSizeShort(m) => {
                let at = stamp(market, m.time_offset());
                market.reduce(unit, m.order_id(), m.canceled_quantity().into(), at, out)
            }
            Message::ReduceSizeLong(m) => {
                let at = stamp(market, m.time_offset());
                market.reduce(unit, m.order_id(), m.canceled_quantity(), at, out)
            }
            Message::ModifyOrderShort(m) => {
                let at = stamp(market, m.time_offset());
                let to = (m.quantity().into(), Price4::from(m.price()).0);
                market.modify(unit, m.order_id(), to, at, out)
            }
            Message::ModifyOrderLong(m) => {
                let at = stamp(market, m.time_offset());
                let to = (m.quantity(), m.price().0);
                market.modify(unit, m.order_id(), to, at, out)
            }
            Message::DeleteOrder(m) => {
                let at = stamp(market, m.time_offset());
                market.delete(unit, m.order_id(), at, out);
                Ok(())
            }
            other => Self::apply_trade(market, other, unit, &stamp, out),
        }
    }

    fn apply_trade(
        market: &mut Market,
        message: Message<'_>,
        unit: u8,
        stamp: &dyn Fn(&Market, u32) -> Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let (offset, name, stated, execution) = match message {
            Message::TradeShort(m) => {
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity().into(),
                    price: Price4::from(m.price()).0,
                };
                (m.time_offset(), wide(m.symbol()), stated, m.execution_id())
            }
            Message::TradeLong(m) => {
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity(),
                    price: m.price().0,
                };
                (m.time_offset(), wide(m.symbol()), stated, m.execution_id())
            }
            Message::TradeExpanded(m) => {
                let stated = Stated {
                    side: m.side_indicator().0,
                    shares: m.quantity(),
                    price: m.price().0,
                };
                (m.time_offset(), *m.symbol(), stated, m.execution_id())
            }
            other => return Self::apply_rare(market, other, unit, stamp, out),
        };
        let at = stamp(market, offset);
        market.trade(unit, name, stated, execution, at, out)
    }

    fn apply_rare(
        market: &mut Market,
        message: Message<'_>,
        unit: u8,
        stamp: &dyn Fn(&Market, u32) -> Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let code = message.code();
        match message {
            Message::TradeBreak(m) => {
                let at = stamp(market, m.time_offset());
                market.bust(unit, m.execution_id(), code, at, &mut out.records);
                Ok(())
            }
            Message::UnitClear(m) => {
                let at = stamp(market, m.time_offset());
                market.clear_unit(unit, code, at, &mut out.records);
                Ok(())
            }
            Message::EndOfSession(m) => {
                let at = stamp(market, m.time_offset());
                market.end_of_session(unit, code, at, &mut out.records);
                Ok(())
            }
            Message::TradingStatus(m) => {
                let at = stamp(market, m.time_offset());
                let letters = [
                    m.trading_status(),
                    m.reg_sho_action(),
                    m.reserved1(),
                    m.reserved2(),
                ];
                let reason = letters.map(|letter| letter.0);
                market.status(unit, *m.symbol(), reason, code, at, out)
            }
            Message::AuctionUpdate(m) => {
                let at = stamp(market, m.time_offset());
                let auction = Auction {
                    letter: m.auction_type().0,
                    buy: m.buy_shares(),
                    sell: m.sell_shares(),
                    price: m.indicative_price().0,
                };
                market.imbalance(unit, *m.symbol(), auction, at, out)
            }
            Message::OptionsAuctionUpdate(m) => {
                let at = stamp(market, m.time_offset());
                let auction = Auction {
                    letter: m.auction_type().0,
                    buy: m.buy_contracts(),
                    sell: m.sell_contracts(),
                    price: m.indicative_price().0,
                };
                market.imbalance(unit, *m.symbol(), auction, at, out)
            }
            Message::SymbolMapping(m) => {
                let at = stamp(market, 0);
                market.map(unit, wide(m.symbol()), m.osi_symbol(), at, out)
            }
            Message::ConstituentSymbolMapping(m) => {
                let at = stamp(market, 0);
                market.map(unit, wide(m.symbol()), m.osi_symbol(), at, out)
            }
            other => Self::apply_notice(market, other, unit, stamp, out),
        }
    }

    /// Messages that change neither book nor state; those of the TCP servers say nothing about the market.
    fn apply_notice(
        market: &mut Market,
        message: Message<'_>,
        unit: u8,
        stamp: &dyn Fn(&Market, u32) -> Stamp,
        out: &mut Decoded,
    ) -> Result<(), Reason> {
        let code = message.code();
        if let Message::AuctionSummary(m) = message
            && m.auction_type().0 == b'C'
        {
            market.closing(unit, *m.symbol(), out)?;
        }
        let (offset, name, id, told) = match message {
            Message::AuctionSummary(m) => (
                m.time_offset(),
                Some(*m.symbol()),
                m.auction_type().0.into(),
                (m.price().0, m.shares()),
            ),
            Message::RetailPriceImprovement(m) => (
                m.time_offset(),
                Some(*m.symbol()),
                m.retail_price_improvement().0.into(),
                (0, 0),
            ),
            Message::AuctionNotification(m) => (
                m.time_offset(),
                Some(wide(m.symbol())),
                m.auction_id(),
                (m.price().0, m.contracts()),
            ),
            Message::AuctionCancel(m) => (m.time_offset(), None, m.auction_id(), (0, 0)),
            Message::AuctionTrade(m) => (
                m.time_offset(),
                None,
                m.execution_id(),
                (m.price().0, m.contracts()),
            ),
            Message::SoqStrikeRangeUpdate(m) => {
                (m.time_offset(), None, 0, (m.lower_strike_price().0, 0))
            }
            Message::WidthUpdate(m) => (
                m.time_offset(),
                None,
                m.width_type().0.into(),
                (0, m.multiplier()),
            ),
            _ => return Ok(()), // transaction brackets, and what the TCP servers say
        };
        let at = stamp(market, offset);
        match name {
            Some(name) => market.notice(unit, name, (code, id), told, at, out),
            None => market.market_notice((code, id), told, at, &mut out.records),
        }
    }

    /// Forgets the orders and books of a unit, without a word: an image takes their place. States stay.
    pub fn reset(&mut self, unit: u8) {
        self.0.reset(unit);
    }

    #[must_use]
    pub fn orders(&self) -> usize {
        self.0.orders()
    }

    /// Seconds of the unit's last Time message.
    #[must_use]
    pub fn clock(&self, unit: u8) -> Option<u32> {
        self.0.clock(unit)
    }

    /// Sets a unit's clock, and the day if one is given, without the passing of a midnight.
    pub fn set_clock(&mut self, unit: u8, seconds: Option<u32>, midnight_ns: Option<i64>) {
        self.0.set_clock(unit, seconds, midnight_ns);
    }

    #[must_use]
    pub fn instruments(&self, unit: u8) -> Vec<u64> {
        self.0.instruments(unit)
    }

    #[must_use]
    pub fn book(&self, symbol: &str, depth: usize) -> [Vec<Level<u64>>; 2] {
        self.0.book(symbol, depth)
    }

    #[must_use]
    pub fn price(&self, price: u64) -> (i64, u8) {
        self.0.price(price)
    }

    #[must_use]
    pub fn snapshot(&mut self, ts_recv: i64, unit: Option<u8>) -> Vec<Record> {
        self.0.snapshot(ts_recv, unit)
    }

    /// See [`Market::watch_books`].
    #[must_use]
    pub fn watch_books(
        &mut self,
        instruments: impl IntoIterator<Item = u64>,
        ts_recv: i64,
    ) -> Vec<Record> {
        self.0.watch_books(instruments, ts_recv)
    }
}
