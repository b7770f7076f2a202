//! The slow model: it keeps every trade for ever and tells everything anew from the start. Values are whole numbers of
//! millionths, so that nothing here knows of scales.

use tickcast_core::record::{condition, flag, state};

pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;
const EXCLUDED: u16 = condition::ODD_LOT | condition::OUT_OF_SEQUENCE;
/// Best first.
const ORDER: [u8; 11] = [
    state::LIVE,
    state::AUCTION,
    state::HALTED,
    state::CLOSED,
    state::DELAYED,
    state::UNVERIFIED,
    state::REPAIRING,
    state::GAP,
    state::SYNCING,
    state::STALE,
    state::EMPTY,
];

fn place(state: u8) -> usize {
    ORDER.iter().position(|other| *other == state).unwrap()
}

#[derive(Clone, Debug)]
pub struct Trade {
    pub id: u64,
    pub ts: i64,
    pub price: i128,
    pub size: i128,
    pub conditions: u16,
    pub flags: u16,
    pub gone: bool,
    /// In the statistics of the session with this start.
    pub session: Option<i64>,
}

impl Trade {
    fn sets_price(&self) -> bool {
        !self.gone && self.conditions & EXCLUDED == 0
    }

    fn yields(&self) -> bool {
        self.flags & (flag::BACKFILLED | flag::SNAPSHOT) != 0
    }
}

#[derive(Clone, Debug, Default)]
pub struct Leg {
    pub status: u8,
    pub feed: u8,
    pub seen: bool,
    pub gap: bool,
    pub invalid: bool,
    pub bid: Option<(i128, i128)>,
    pub ask: Option<(i128, i128)>,
    pub trades: Vec<Trade>,
    pub session: Option<i64>,
    pub volume: Option<i128>,
    pub close: Option<i128>,
    /// The trade that the close was taken from.
    pub close_id: Option<u64>,
}

impl Leg {
    fn told(trades: impl Iterator<Item = Trade>) -> Option<Trade> {
        let mut last: Option<Trade> = None;
        for trade in trades.filter(Trade::sets_price) {
            if !(trade.yields() && last.as_ref().is_some_and(|last| trade.ts < last.ts)) {
                last = Some(trade);
            }
        }
        last
    }

    pub fn last(&self) -> Option<Trade> {
        Self::told(self.trades.iter().cloned())
    }

    /// Open, high, low.
    pub fn range(&self) -> Option<[i128; 3]> {
        let of_session = |trade: &&Trade| {
            trade.sets_price() && trade.session.is_some() && trade.session == self.session
        };
        let trades: Vec<_> = self.trades.iter().filter(of_session).collect();
        let prices = || trades.iter().map(|trade| trade.price);
        Some([
            trades.iter().min_by_key(|trade| trade.ts)?.price,
            prices().max()?,
            prices().min()?,
        ])
    }

    pub fn state(&self) -> u8 {
        let mut all = vec![self.feed];
        let is_free = self.status == state::LIVE || self.status == state::EMPTY;
        all.push(match is_free {
            true if self.seen => state::LIVE,
            true if self.feed == state::SYNCING => return state::SYNCING,
            true => return state::EMPTY,
            false => self.status,
        });
        let is_crossed = matches!((self.bid, self.ask), (Some(bid), Some(ask)) if bid.0 >= ask.0);
        if self.invalid || (is_crossed && is_free) {
            all.push(state::REPAIRING);
        }
        if self.gap {
            all.push(state::GAP);
        }
        all.into_iter().max_by_key(|state| place(*state)).unwrap()
    }

    /// True if a session ended.
    pub fn roll(&mut self, ts: i64) -> bool {
        let start = ts.div_euclid(DAY) * DAY;
        match self.session {
            None => self.session = Some(start),
            Some(current) if start > current => {
                self.session = Some(start);
                self.volume = None;
                if let Some(last) = self.last() {
                    (self.close, self.close_id) = (Some(last.price), Some(last.id));
                }
                return true;
            }
            Some(_) => {}
        }
        false
    }

    /// True if it is the leg's last trade now.
    pub fn trade(&mut self, mut trade: Trade) -> bool {
        let is_snapshot = trade.flags & flag::SNAPSHOT != 0;
        let before = self.last();
        self.seen = true;
        if self.bid.is_none() && self.ask.is_none() {
            self.gap = false;
        }
        let in_session = self.session.is_some_and(|start| trade.ts >= start);
        if is_snapshot
            && (!trade.sets_price() || before.as_ref().is_some_and(|last| trade.ts <= last.ts))
        {
            return false;
        }
        if in_session && !is_snapshot {
            trade.session = self.session;
            self.volume = Some(self.volume.unwrap_or(0) + trade.size);
        }
        let had_range = self.range().is_some();
        self.trades.push(trade.clone());
        let is_last = trade.sets_price() && self.last().is_some_and(|last| last.id == trade.id);
        let is_before = self.session.is_some_and(|start| trade.ts < start);
        if is_last && is_before && !had_range && self.close_id.is_some() {
            (self.close, self.close_id) = (Some(trade.price), Some(trade.id));
        }
        is_last
    }

    pub fn amend(&mut self, id: u64, new: Option<(i128, i128)>) {
        let Some(trade) = self
            .trades
            .iter_mut()
            .find(|trade| trade.id == id && !trade.gone)
        else {
            return;
        };
        let old_size = trade.size;
        let counted = trade.session.is_some() && trade.session == self.session;
        match new {
            Some((price, size)) => (trade.price, trade.size) = (price, size),
            None => trade.gone = true,
        }
        let delta = new.map_or(0, |(_, size)| size) - old_size;
        if counted && let Some(volume) = &mut self.volume {
            *volume = (*volume + delta).max(0);
        }
        if self.close_id == Some(id) {
            let is_older =
                |trade: &&Trade| trade.session.is_none() || trade.session != self.session;
            if let Some(close) = Self::told(self.trades.iter().filter(is_older).cloned()) {
                (self.close, self.close_id) = (Some(close.price), Some(close.id));
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub legs: Vec<Leg>,
    /// Leg, trade, arrival.
    pub last: Option<(usize, Trade, i64)>,
}

impl World {
    pub fn live(&self) -> Vec<&Leg> {
        self.legs
            .iter()
            .filter(|leg| leg.state() == state::LIVE)
            .collect()
    }

    pub fn state(&self) -> u8 {
        self.legs
            .iter()
            .map(Leg::state)
            .min_by_key(|state| place(*state))
            .unwrap()
    }

    /// Price and sum of sizes of the best bid (`sign` 1) or ask (-1).
    pub fn best(&self, sign: i128) -> Option<(i128, i128)> {
        let sides = self
            .live()
            .into_iter()
            .filter_map(|leg| if sign > 0 { leg.bid } else { leg.ask });
        let sides: Vec<_> = sides.collect();
        let best = sides.iter().map(|side| side.0 * sign).max()? * sign;
        Some((
            best,
            sides
                .iter()
                .filter(|side| side.0 == best)
                .map(|side| side.1)
                .sum(),
        ))
    }

    pub fn volume(&self) -> Option<i128> {
        self.legs
            .iter()
            .filter_map(|leg| leg.volume)
            .reduce(|sum, volume| sum + volume)
    }

    /// States as they were before the event decide who is believed.
    fn is_trusted(&self, states: &[u8], leg: usize) -> bool {
        !states.contains(&state::LIVE)
            || ![state::STALE, state::DELAYED, state::UNVERIFIED].contains(&states[leg])
    }

    pub fn trade(&mut self, leg: usize, trade: &Trade, now: i64) {
        let states: Vec<_> = self.legs.iter().map(Leg::state).collect();
        if !self.legs[leg].trade(trade.clone()) || !self.is_trusted(&states, leg) {
            return;
        }
        let is_late = self.last.as_ref().is_some_and(|(of, last, arrived)| {
            *of != leg && trade.ts < last.ts && (trade.yields() || now - arrived <= SECOND)
        });
        if !is_late {
            self.last = Some((leg, trade.clone(), now));
        }
    }

    pub fn amend(&mut self, leg: usize, id: u64, new: Option<(i128, i128)>) {
        self.legs[leg].amend(id, new);
        let Some((of, last, arrived)) = self.last.clone() else {
            return;
        };
        if of != leg || last.id != id {
            return;
        }
        if let Some(trade) = self.legs[leg].last().filter(|trade| trade.id == id) {
            self.last = Some((leg, trade, arrived));
            return;
        }
        let states: Vec<_> = self.legs.iter().map(Leg::state).collect();
        let others = (0..self.legs.len()).filter(|leg| self.is_trusted(&states, *leg));
        let newest = others
            .filter_map(|leg| Some((leg, self.legs[leg].last()?)))
            .max_by_key(|(_, trade)| trade.ts);
        self.last = newest.map(|(leg, trade)| (leg, trade, arrived));
    }
}
