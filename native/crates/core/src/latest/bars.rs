//! Bars: open, high, low, close and volume of each second and each minute.
//!
//! A trade belongs to the bar of its event time, whenever it comes: a late one corrects its bar. The first and the last
//! trade of a bar are those of the least and the greatest event time. A trade with an excluded condition counts in
//! volume and sets no price, as in the session's figures; a bar that no trade gave a price is not shown. Repeated states
//! and history count in nothing.
//!
//! Bars are kept for legs only. A security's bar is made from its legs' bars of the same begin when somebody asks.
//!
//! **Busts and corrections.** Volume, notional and number are sums, from which a trade can be taken; prices are a fold
//! over the bar's trades. The leg's [`super::memory::Memory`] holds the newest trades one by one; what falls out of it
//! is folded into a [`Partial`] of its bar. So the prices of a bar can be told anew without any trade that is still
//! remembered: the partial, then the bar's remembered trades. Partials of bars without remembered trades are dropped.
//!
//! **The end of a bar.** Each feed has a lead: the most that an event time was ahead of our clock when it came (never
//! above 0). Our clock plus the lead is the venue's time as we know it, also in a replay of an old day. A bar is final
//! [`GRACE_NS`] after its end in that time; what changes it later makes it `corrected`.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::consolidate::Security;
use super::leg::Leg;
use super::memory::{Entry, Last, Memory, did};
use super::types::{Bar, Cause, Change, Topic, TradeRow};
use super::value::{Amount, Price, SCALE_MAX, order};
use super::{Latest, Of};

/// Lengths of the intervals.
pub const INTERVALS_NS: [i64; 2] = [1_000_000_000, 60_000_000_000];
/// So long after its end a bar is final.
pub const GRACE_NS: i64 = 500_000_000;
/// A feed's lead before its first trade.
pub const NO_LEAD: i64 = i64::MIN / 4;

/// Begin of the bar that a time is in.
#[must_use]
pub fn start_of(interval: usize, ts: i64) -> i64 {
    ts.saturating_sub(ts.rem_euclid(INTERVALS_NS[interval]))
}

/// When a bar is final, by the venue's time.
fn end_of(interval: usize, start_ns: i64) -> i64 {
    start_ns.saturating_add(INTERVALS_NS[interval] + GRACE_NS)
}

/// Prices of a set of trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Fold {
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    open_ts: i64,
    close_ts: i64,
}

impl Fold {
    fn of(price: Price, ts: i64) -> Self {
        Self {
            open: price,
            high: price,
            low: price,
            close: price,
            open_ts: ts,
            close_ts: ts,
        }
    }

    /// With what came later: at the same time its close counts, not its open.
    fn then(&mut self, later: &Self) {
        if later.open_ts < self.open_ts {
            (self.open, self.open_ts) = (later.open, later.open_ts);
        }
        if later.close_ts >= self.close_ts {
            (self.close, self.close_ts) = (later.close, later.close_ts);
        }
        if order(later.high, self.high) == Ordering::Greater {
            self.high = later.high;
        }
        if order(later.low, self.low) == Ordering::Less {
            self.low = later.low;
        }
    }

    fn add(fold: &mut Option<Self>, later: Self) {
        match fold {
            Some(fold) => fold.then(&later),
            None => *fold = Some(later),
        }
    }
}

/// One bar of a leg.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Cell {
    start_ns: i64,
    fold: Option<Fold>,
    volume: Amount,
    notional: Option<Amount>,
    trades: u32,
    is_final: bool,
    is_corrected: bool,
    /// It had a price once, so clients may know it.
    was_shown: bool,
}

impl Cell {
    fn new(start_ns: i64, is_final: bool) -> Self {
        Self {
            start_ns,
            fold: None,
            volume: Amount::default(),
            notional: Some(Amount::default()),
            trades: 0,
            is_final,
            is_corrected: false,
            was_shown: false,
        }
    }

    /// Together with the cell of another leg.
    fn join(&mut self, other: &Self) {
        if let Some(fold) = other.fold {
            Fold::add(&mut self.fold, fold);
        }
        self.volume = self.volume.plus(other.volume);
        self.notional = plus(self.notional, other.notional);
        self.trades = self.trades.saturating_add(other.trades);
        self.is_final &= other.is_final;
        self.is_corrected |= other.is_corrected;
        self.was_shown |= other.was_shown;
    }

    fn bar(&self) -> Option<Bar> {
        let Some(fold) = self.fold else {
            return self.was_shown.then(|| self.taken_back());
        };
        Some(Bar {
            start_ns: self.start_ns,
            open: fold.open,
            high: fold.high,
            low: fold.low,
            close: fold.close,
            volume: self.volume,
            notional: self.notional,
            trades: self.trades,
            is_final: self.is_final,
            is_corrected: self.is_corrected,
        })
    }

    /// Every trade with a price was taken back: no trades, and prices that mean nothing.
    fn taken_back(&self) -> Bar {
        let zero = Price::new(0, 0);
        Bar {
            start_ns: self.start_ns,
            open: zero,
            high: zero,
            low: zero,
            close: zero,
            volume: Amount::default(),
            notional: Some(Amount::default()),
            trades: 0,
            is_final: self.is_final,
            is_corrected: self.is_corrected,
        }
    }
}

fn plus(left: Option<Amount>, right: Option<Amount>) -> Option<Amount> {
    Some(left?.plus(right?))
}

/// Price times size, exact.
fn notional_of(price: Option<Price>, size: Option<Amount>) -> Option<Amount> {
    let (Some(price), Some(size)) = (price, size) else {
        return Some(Amount::default());
    };
    let scale = price.scale + size.scale;
    let mantissa = i128::from(price.mantissa).checked_mul(size.mantissa)?;
    (scale <= SCALE_MAX).then(|| Amount::new(mantissa, scale))
}

/// What a trade adds to its bar's sums.
#[derive(Clone, Copy, Debug)]
struct Sums {
    volume: Amount,
    notional: Option<Amount>,
}

impl Sums {
    fn of(trade: &Last, has_price: bool) -> Self {
        let size = trade.size();
        Self {
            volume: size.unwrap_or_default(),
            notional: notional_of(has_price.then(|| trade.price()), size),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            volume: self.volume.minus(other.volume),
            notional: self
                .notional
                .zip(other.notional)
                .map(|(left, right)| left.minus(right)),
        }
    }
}

/// Prices of a bar's trades that are no longer remembered.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Partial {
    interval: usize,
    start_ns: i64,
    fold: Fold,
}

/// Bars of one leg.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct LegBars {
    /// Of each interval, by begin.
    cells: [VecDeque<Cell>; 2],
    partials: Vec<Partial>,
    /// Partials above this are looked through.
    partials_max: usize,
}

impl LegBars {
    /// The place of a bar, made if there is none; `None` where it is older than all that are kept.
    fn place(&mut self, interval: usize, start_ns: i64, kept: usize) -> Option<(usize, bool)> {
        let cells = &mut self.cells[interval];
        let at = match cells.back() {
            Some(newest) if newest.start_ns == start_ns => return Some((cells.len() - 1, false)),
            Some(newest) if newest.start_ns > start_ns => {
                match cells.binary_search_by_key(&start_ns, |cell| cell.start_ns) {
                    Ok(at) => return Some((at, false)),
                    Err(0) if cells.len() >= kept => return None,
                    Err(at) => at,
                }
            }
            _ => cells.len(),
        };
        cells.insert(at, Cell::new(start_ns, false));
        if cells.len() > kept {
            cells.pop_front();
            return Some((at - 1, true));
        }
        Some((at, true))
    }

    fn find(&mut self, interval: usize, start_ns: i64) -> Option<&mut Cell> {
        let cells = &mut self.cells[interval];
        let at = cells
            .binary_search_by_key(&start_ns, |cell| cell.start_ns)
            .ok()?;
        cells.get_mut(at)
    }

    /// A trade leaves the memory.
    pub fn forget(&mut self, entry: &Entry, memory: &Memory) {
        if entry.did & did::BAR == 0 || entry.did & did::PRICE == 0 {
            return;
        }
        let ts = entry.trade.ts;
        let fold = Fold::of(entry.trade.price(), ts);
        for interval in 0..INTERVALS_NS.len() {
            let start_ns = start_of(interval, ts);
            let known = self
                .partials
                .iter_mut()
                .rfind(|partial| partial.interval == interval && partial.start_ns == start_ns);
            match known {
                Some(partial) => partial.fold.then(&fold),
                None => self.partials.push(Partial {
                    interval,
                    start_ns,
                    fold,
                }),
            }
        }
        if self.partials.len() > self.partials_max.max(8) {
            self.partials.retain(|partial| {
                in_bar(memory, partial.interval, partial.start_ns)
                    .next()
                    .is_some()
            });
            self.partials_max = 2 * self.partials.len();
        }
    }

    /// A remembered trade was taken back (`trades` -1) or is another one now: `change` is what its sums change by.
    fn amend(&mut self, ts: i64, change: Sums, trades: i32, memory: &Memory) {
        for interval in 0..INTERVALS_NS.len() {
            let start_ns = start_of(interval, ts);
            let partial = self
                .partials
                .iter()
                .rfind(|partial| partial.interval == interval && partial.start_ns == start_ns);
            let mut fold = partial.map(|partial| partial.fold);
            for entry in in_bar(memory, interval, start_ns) {
                Fold::add(&mut fold, Fold::of(entry.trade.price(), entry.trade.ts));
            }
            if let Some(cell) = self.find(interval, start_ns) {
                cell.fold = fold;
                cell.volume = cell.volume.plus(change.volume);
                cell.notional = plus(cell.notional, change.notional);
                cell.trades = cell.trades.saturating_add_signed(trades);
                cell.is_corrected |= cell.is_final;
                cell.was_shown |= fold.is_some();
            }
        }
    }

    /// The remembered trade `entry` was taken back, and is not in the memory any more.
    pub fn bust(&mut self, entry: &Entry, memory: &Memory) {
        let nothing = Sums {
            volume: Amount::default(),
            notional: Some(Amount::default()),
        };
        let had = Sums::of(&entry.trade, entry.did & did::PRICED != 0);
        self.amend(entry.trade.ts, nothing.minus(had), -1, memory);
    }

    /// The remembered trade `old` is `new` now, in the memory too.
    pub fn correct(&mut self, old: &Entry, new: &Entry, memory: &Memory) {
        let had = Sums::of(&old.trade, old.did & did::PRICED != 0);
        let has = Sums::of(&new.trade, new.did & did::PRICED != 0);
        self.amend(old.trade.ts, has.minus(had), 0, memory);
    }
}

/// Remembered trades that gave a bar a price.
fn in_bar(memory: &Memory, interval: usize, start_ns: i64) -> impl Iterator<Item = &Entry> {
    const BITS: u8 = did::BAR | did::PRICE;
    memory.entries().filter(move |entry| {
        entry.did & BITS == BITS && start_of(interval, entry.trade.ts) == start_ns
    })
}

/// When bars end: (our time, leg, interval, begin).
pub type Ends = BinaryHeap<Reverse<(i64, u32, usize, i64)>>;

impl Latest {
    /// Counts a trade that is no repeated state.
    pub(super) fn count_in_bars(&mut self, leg: u32, row: &TradeRow, now_ns: i64) {
        let entry = &mut self.legs[leg as usize];
        let feed = &mut self.feeds[entry.feed as usize];
        feed.lead_ns = feed.lead_ns.max(row.ts_event.saturating_sub(now_ns)).min(0);
        let venue_ns = now_ns.saturating_add(feed.lead_ns);
        let has_size = row.has_size() && row.size > 0;
        let size = has_size.then(|| Amount::new(row.size, row.size_scale));
        let sets_price = row.has_price() && row.conditions & self.settings.exclude_conditions == 0;
        let notional = notional_of(row.exact_price(), size);
        let bars = entry.bars.get_or_insert_default();
        for interval in 0..INTERVALS_NS.len() {
            let start_ns = start_of(interval, row.ts_event);
            let kept = self.settings.bars_kept[interval].max(1);
            let Some((place, is_new)) = bars.place(interval, start_ns, kept) else {
                continue;
            };
            let cell = &mut bars.cells[interval][place];
            if is_new {
                let left = end_of(interval, start_ns).saturating_sub(venue_ns);
                cell.is_final = left <= 0;
                if left > 0 {
                    self.bar_ends.push(Reverse((
                        now_ns.saturating_add(left),
                        leg,
                        interval,
                        start_ns,
                    )));
                }
            } else {
                cell.is_corrected |= cell.is_final;
            }
            cell.trades = cell.trades.saturating_add(1);
            cell.volume = cell.volume.plus(size.unwrap_or_default());
            cell.notional = plus(cell.notional, notional);
            if sets_price && let Some(price) = row.exact_price() {
                Fold::add(&mut cell.fold, Fold::of(price, row.ts_event));
                cell.was_shown = true;
            }
        }
    }

    /// Ends the bars whose time has come.
    pub(super) fn end_bars(&mut self, now_ns: i64, sink: &mut impl FnMut(&Self, Change)) {
        while let Some(Reverse((due_ns, leg, interval, start_ns))) = self.bar_ends.peek().copied()
            && due_ns <= now_ns
        {
            self.bar_ends.pop();
            let entry = &mut self.legs[leg as usize];
            let lead_ns = self.feeds[entry.feed as usize].lead_ns;
            let left = end_of(interval, start_ns).saturating_sub(now_ns.saturating_add(lead_ns));
            let again_ns = now_ns.saturating_add(left);
            // At the end of time nothing can wait any more.
            if again_ns > now_ns {
                self.bar_ends
                    .push(Reverse((again_ns, leg, interval, start_ns)));
                continue;
            }
            let bars = entry.bars.as_deref_mut();
            if let Some(cell) = bars.and_then(|bars| bars.find(interval, start_ns)) {
                cell.is_final = true;
                let (topic, security) = (entry.topic, entry.security);
                let cause = Cause::Bar {
                    interval: interval as u8,
                    start_ns,
                };
                self.publish_keyed(topic, security, cause, sink);
            }
        }
    }

    /// Tells that a bust or a correction changed the bars of a time.
    pub(super) fn publish_bars(&self, leg: u32, ts: i64, sink: &mut impl FnMut(&Self, Change)) {
        let entry = &self.legs[leg as usize];
        for interval in 0..INTERVALS_NS.len() {
            let cause = Cause::Bar {
                interval: interval as u8,
                start_ns: start_of(interval, ts),
            };
            self.publish_keyed(entry.topic, entry.security, cause, sink);
        }
    }

    fn cells_of<'a>(&'a self, topic: Topic) -> impl Iterator<Item = &'a LegBars> {
        let legs: &'a [u32] = match &self.topics[topic as usize].of {
            Of::Leg(leg) => core::slice::from_ref(leg),
            Of::Security(place) => {
                let security: &Security = &self.securities[*place as usize];
                &security.legs
            }
        };
        legs.iter()
            .filter_map(|leg| self.legs[*leg as usize].bars.as_deref())
    }

    /// The bar of a begin; one with no `trades` was taken back. `None` where there is none (any more).
    #[must_use]
    pub fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar> {
        let mut joined: Option<Cell> = None;
        for bars in self.cells_of(topic) {
            let cells = &bars.cells[interval];
            if let Ok(at) = cells.binary_search_by_key(&start_ns, |cell| cell.start_ns) {
                match &mut joined {
                    // What was taken back at one leg says nothing of the others, as in `bars`.
                    Some(_) if cells[at].trades == 0 => {}
                    Some(sum) if sum.trades > 0 => sum.join(&cells[at]),
                    _ => joined = Some(cells[at]),
                }
            }
        }
        joined?.bar()
    }

    /// The newest `limit` bars, oldest first.
    pub fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>) {
        out.clear();
        let mut by_start: BTreeMap<i64, Cell> = BTreeMap::new();
        for bars in self.cells_of(topic) {
            for cell in bars.cells[interval].iter().filter(|cell| cell.trades > 0) {
                by_start
                    .entry(cell.start_ns)
                    .and_modify(|sum| sum.join(cell))
                    .or_insert(*cell);
            }
        }
        let shown = by_start.values().filter(|cell| cell.fold.is_some());
        out.extend(shown.rev().take(limit).filter_map(Cell::bar));
        out.reverse();
    }
}

impl Leg {
    /// A trade that was taken back leaves its bars.
    pub fn bust_in_bars(&mut self, entry: &Entry) {
        if entry.did & did::BAR != 0
            && let Some(bars) = &mut self.bars
        {
            bars.bust(entry, &self.memory);
            self.amended_ts = Some(entry.trade.ts);
        }
    }

    pub fn correct_in_bars(&mut self, old: &Entry, new: &Entry) {
        if old.did & did::BAR != 0
            && let Some(bars) = &mut self.bars
        {
            bars.correct(old, new, &self.memory);
            self.amended_ts = Some(old.trade.ts);
        }
    }
}
