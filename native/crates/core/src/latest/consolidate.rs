//! A security: what its legs, one for each venue, say together.
//!
//! Best bid and offer are those of the live legs, with sizes added where several venues are at the best price. The last
//! trade is the newest by event time (less what its venue's clock is certainly ahead of ours), with one exception: after a second by arrival a newer arrival wins, so that a
//! venue whose clock runs ahead, or that fell silent, cannot freeze the price. Trades of one venue keep that venue's
//! order. Open, high, low and previous close are the primary leg's; volume is the sum over all legs.

use std::cmp::Ordering;

use super::leg::{Leg, Level, changed_last, rank};
use super::memory::Last;
use super::types::field;
use super::value::{Amount, Price, order};
use crate::record::state;

/// Event time of a trade by our clock, as far as the venue's is known to differ from it.
#[inline]
fn our_time(trade: Last, leg: u32, legs: &[Leg]) -> i64 {
    trade.ts.saturating_sub(legs[leg as usize].ahead_ns)
}

/// No leg, no security.
pub const NONE: u32 = u32::MAX;

/// Best price of a side over the live legs, and the sum of what is there.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Best {
    pub price: Option<Price>,
    /// `None` if no leg at the best price says its size.
    pub size: Option<Amount>,
}

impl Best {
    /// Over some levels; `better` is how a better price compares with a worse one.
    fn over(levels: impl Iterator<Item = Level>, better: Ordering) -> Self {
        let mut best = Self::default();
        for level in levels {
            let Some(price) = level.price() else { continue };
            let against = best.price.map_or(better, |so_far| order(price, so_far));
            if against == better {
                best = Self {
                    price: Some(price),
                    size: level.size(),
                };
            } else if against == Ordering::Equal {
                best.size = match (best.size, level.size()) {
                    (Some(sum), Some(size)) => Some(sum.plus(size)),
                    (sum, size) => sum.or(size),
                };
            }
        }
        best
    }

    /// Takes a new value where the number is another one; digits alone are no change. Returns the bits given.
    fn take(&mut self, new: Self, price_bit: u32, size_bit: u32) -> u32 {
        let mut changed = 0;
        let same_price = match (self.price, new.price) {
            (Some(old), Some(new)) => order(old, new) == Ordering::Equal,
            (old, new) => old.is_none() && new.is_none(),
        };
        if !same_price {
            self.price = new.price;
            changed |= price_bit;
        }
        if !same_amount(self.size, new.size) {
            self.size = new.size;
            changed |= size_bit;
        }
        changed
    }
}

fn same_amount(old: Option<Amount>, new: Option<Amount>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.same(new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// A trade offered to a security, with the times that decide.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub trade: Last,
    /// Place of its leg.
    pub leg: u32,
    /// When it reached our socket, ns.
    pub recv_ns: i64,
    /// Now, ns.
    pub now_ns: i64,
    /// It gives way to any trade with a later event time (backfilled, snapshot).
    pub gives_way: bool,
}

/// Newest consolidated state.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Security {
    pub topic: u32,
    /// Places of its legs, in the order of definition.
    pub legs: Vec<u32>,
    pub primary: u32,
    pub currency: String,
    pub bid: Best,
    pub ask: Best,
    pub crossed: bool,
    pub live: u32,
    pub effective: u8,
    pub since: i64,
    pub volume: Option<Amount>,
    pub last: Option<Last>,
    /// Leg of the last trade.
    pub last_leg: u32,
    last_recv_ns: i64,
    last_now_ns: i64,
    /// Event time of the last trade by our clock, as it was known when the trade was taken.
    last_at_ns: i64,
    /// [`field`] bits changed and not yet told.
    pub changed: u32,
}

impl Security {
    pub fn new(topic: u32, currency: &str, now_ns: i64) -> Self {
        Self {
            topic,
            primary: NONE,
            last_leg: NONE,
            currency: currency.to_owned(),
            since: now_ns,
            ..Self::default()
        }
    }

    /// Tells best bid and offer, liveness and state anew from the legs.
    pub fn refresh(&mut self, legs: &[Leg], now_ns: i64) {
        let live = || {
            self.legs
                .iter()
                .map(|leg| &legs[*leg as usize])
                .filter(|leg| leg.effective == state::LIVE)
        };
        let bid = Best::over(live().map(|leg| leg.bid), Ordering::Greater);
        let ask = Best::over(live().map(|leg| leg.ask), Ordering::Less);
        let count = live().count();
        let best_state = self
            .best_leg(legs)
            .map_or(state::EMPTY, |leg| leg.effective);
        self.changed |= self.bid.take(bid, field::BID, field::BID_SIZE);
        self.changed |= self.ask.take(ask, field::ASK, field::ASK_SIZE);
        let crossed = matches!((bid.price, ask.price), (Some(bid), Some(ask)) if order(bid, ask) != Ordering::Less);
        if crossed != self.crossed {
            self.crossed = crossed;
            self.changed |= field::CROSSED;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count != self.live {
            self.live = count;
            self.changed |= field::LEGS;
        }
        if best_state != self.effective {
            self.effective = best_state;
            self.since = now_ns;
            self.changed |= field::STATE;
        }
    }

    /// The leg whose state is the security's: the first of the best.
    pub fn best_leg<'a>(&self, legs: &'a [Leg]) -> Option<&'a Leg> {
        self.legs
            .iter()
            .map(|leg| &legs[*leg as usize])
            .min_by_key(|leg| rank(leg.effective))
    }

    /// Adds the legs' volumes up; unknown as long as one of them is.
    pub fn refresh_volume(&mut self, legs: &[Leg]) {
        let mut sessions = self.legs.iter().map(|leg| &legs[*leg as usize].session);
        let volume = if sessions.clone().all(super::session::Session::knows_volume) {
            sessions
                .by_ref()
                .filter_map(|session| session.volume)
                .reduce(Amount::plus)
        } else {
            None
        };
        if !same_amount(self.volume, volume) {
            self.volume = volume;
            self.changed |= field::VOLUME;
        }
    }

    /// Takes a trade that is its leg's last as the security's, unless the order of time is against it.
    pub fn offer(&mut self, offer: &Offer, legs: &[Leg], late_ns: i64) -> bool {
        let at_ns = our_time(offer.trade, offer.leg, legs);
        if !self.is_trusted(legs[offer.leg as usize].effective)
            || !self.is_newer(offer, at_ns, late_ns)
        {
            return false;
        }
        self.last_at_ns = at_ns;
        self.set_last(Some(offer.trade), offer.leg, legs);
        self.last_recv_ns = offer.recv_ns;
        self.last_now_ns = offer.now_ns;
        true
    }

    /// Trades of a venue that is behind (stale, delayed) or unverified set no price while another venue is live.
    fn is_trusted(&self, leg_state: u8) -> bool {
        self.live == 0 || !matches!(leg_state, state::STALE | state::DELAYED | state::UNVERIFIED)
    }

    fn is_newer(&self, offer: &Offer, at_ns: i64, late_ns: i64) -> bool {
        if self.last.is_none() || offer.leg == self.last_leg || at_ns >= self.last_at_ns {
            return true;
        }
        // Two clocks, so that neither can freeze the price: the sockets' of the trades, and our own.
        let soon_by_socket = offer.recv_ns.saturating_sub(self.last_recv_ns) <= late_ns;
        let soon_by_clock = offer.now_ns.abs_diff(self.last_now_ns) <= late_ns.unsigned_abs();
        !(offer.gives_way || (soon_by_socket && soon_by_clock))
    }

    /// After a bust or a correction on the leg of the last trade: its new value, or the newest that the legs know.
    pub fn amend(&mut self, leg: u32, id: u64, legs: &[Leg]) {
        if self.last_leg != leg || self.last.is_none_or(|last| last.id != id) {
            return;
        }
        if let Some(last) = legs[leg as usize].last.filter(|last| last.id == id) {
            self.set_last(Some(last), leg, legs);
            return;
        }
        let newest = self
            .legs
            .iter()
            .filter(|leg| self.is_trusted(legs[**leg as usize].effective))
            .filter_map(|leg| legs[*leg as usize].last.map(|last| (last, *leg)))
            .max_by_key(|(last, leg)| our_time(*last, *leg, legs));
        match newest {
            Some((last, leg)) => {
                self.last_at_ns = our_time(last, leg, legs);
                self.set_last(Some(last), leg, legs);
            }
            None => self.set_last(None, NONE, legs),
        }
    }

    fn set_last(&mut self, last: Option<Last>, leg: u32, legs: &[Leg]) {
        let mut bits = changed_last(self.last.as_ref(), last.as_ref());
        if leg != self.last_leg {
            // The same instant is written with the digits of the venue that it came from.
            bits |= field::VENUE | field::TIMESTAMP;
        }
        self.last = last;
        self.last_leg = leg;
        self.changed |= bits;
        if bits & field::PRICE != 0 && self.prev_close(legs).is_some() {
            self.changed |= field::CHANGE | field::CHANGE_PCT;
        }
    }

    pub fn prev_close(&self, legs: &[Leg]) -> Option<Price> {
        legs.get(self.primary as usize)?.session.prev_close
    }

    /// The bits of the primary leg's session that are the security's too.
    pub fn inherit(&mut self, leg: u32, changed: u32) {
        if leg == self.primary {
            self.changed |= changed & (field::OPEN | field::HIGH | field::LOW | field::PREV_CLOSE);
            if changed & field::PREV_CLOSE != 0 {
                self.changed |= field::CHANGE | field::CHANGE_PCT;
            }
        }
    }
}
