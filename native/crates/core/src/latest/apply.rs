//! Rows to legs, events to changes.
//!
//! An event is the rows up to one flagged `LAST_OF_EVENT` (or the end of the batch). Its quotes show together at its
//! end; each of its trades is a change, and the last of them carries what else the event changed. So what the sink sees
//! is never half an event's quote, and no trade is without its count.

use super::consolidate::{NONE, Offer};
use super::leg::{Fate, pending};
use super::types::{Applied, Cause, Change, TradeRow, field};
use super::value::{Amount, Price, SCALE_MAX};
use super::{Latest, Leg};
use crate::record::{Record, condition, flag, kind, state};

/// One call of `apply` on its way.
struct Run<'a> {
    texts: Option<&'a [Option<String>]>,
    now_ns: i64,
    applied: Applied,
    /// The trade of the event in hand that was not told yet, and its leg.
    trade: Option<(u32, TradeRow)>,
}

impl Latest {
    /// Applies whole events. The sink sees the state as it is right after each change.
    pub fn apply(
        &mut self,
        records: &[Record],
        texts: Option<&[Option<String>]>,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> Applied {
        let mut run = Run {
            texts,
            now_ns,
            applied: Applied::default(),
            trade: None,
        };
        run.applied.records = records.len() as u64;
        let mut id = 0;
        let mut leg = NONE;
        for (row, record) in records.iter().enumerate() {
            if record.instrument != id {
                id = record.instrument;
                leg = self.by_id.get(&id).copied().unwrap_or(NONE);
            }
            if leg == NONE {
                // Instrument 0 is the market as a whole: nothing to be known about it.
                run.applied.unknown += u64::from(id != 0);
            } else if record.price_scale.max(record.size_scale) > SCALE_MAX {
                run.applied.malformed += 1;
            } else if record.flags & flag::HISTORY == 0 {
                self.row(leg, record, row, &mut run, sink);
            }
            if record.flags & flag::LAST_OF_EVENT != 0 {
                self.end_event(&mut run, sink);
            }
        }
        self.end_event(&mut run, sink);
        run.applied
    }

    #[inline]
    fn row(
        &mut self,
        leg: u32,
        record: &Record,
        row: usize,
        run: &mut Run<'_>,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        let entry = &mut self.legs[leg as usize];
        if !is_state(record.kind) {
            // what has values (an index, an option nobody quotes) has been heard of
            if entry.is_seen || !(kind::MARK..=kind::LIQUIDATION).contains(&record.kind) {
                return;
            }
            entry.is_seen = true;
        }
        if entry.pending == 0 {
            entry.pending = pending::TOUCHED;
            self.touched.push(leg);
        }
        match record.kind {
            kind::BID => entry.stage(record, true),
            kind::ASK => entry.stage(record, false),
            kind::TRADE => self.trade(leg, record, row, run, sink),
            kind::STATUS => self.status(leg, record, row, run),
            kind::GAP => entry.set_gap(),
            kind::BUST | kind::CORRECTION => self.amend(leg, record, run, sink),
            kind::PREV_CLOSE | kind::VOLUME => self.reference(leg, record, run, sink),
            kind::BOOK_BID | kind::BOOK_ASK => entry.book_row(record),
            _ => {}
        }
    }

    fn trade(
        &mut self,
        leg: u32,
        record: &Record,
        row: usize,
        run: &mut Run<'_>,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        if let Some((before, trade)) = run.trade.take() {
            self.publish(before, Cause::Trade(trade), sink);
        }
        let trade = self.trade_row(leg, record, row, run);
        let is_snapshot = record.flags & flag::SNAPSHOT != 0;
        if !is_snapshot {
            self.roll_to(leg, trade.ts_event, sink);
        }
        let entry = &mut self.legs[leg as usize];
        if !entry.count(&trade, record.seq) {
            return;
        }
        let fate = entry.trade(
            &trade,
            self.settings.exclude_conditions,
            self.settings.memory_max,
        );
        if !is_snapshot {
            self.count_in_bars(leg, &trade, run.now_ns);
        }
        let taken = fate == Fate::Last && self.consolidate(leg, record, run.now_ns);
        if !is_snapshot {
            run.applied.late += u64::from(fate == Fate::Late || (fate == Fate::Last && !taken));
            run.trade = Some((leg, trade));
        }
    }

    fn trade_row(&self, leg: u32, record: &Record, row: usize, run: &Run<'_>) -> TradeRow {
        let (ts_event, skew) = event_time(record, run.now_ns, self.settings.skew_ns);
        let has_text = run
            .texts
            .and_then(|texts| texts.get(row))
            .is_some_and(Option::is_some);
        TradeRow {
            ts_event,
            id: record.id,
            price: record.price,
            size: record.size,
            text: if has_text {
                row as u32
            } else {
                TradeRow::NO_TEXT
            },
            conditions: record.detail | told_late(record.flags),
            flags: record.flags | skew,
            price_scale: record.price_scale,
            size_scale: record.size_scale,
            side: record.side,
            time_precision: self.legs[leg as usize].precision,
        }
    }

    /// Offers a leg's new last trade to its security. True also where there is none.
    fn consolidate(&mut self, leg: u32, record: &Record, now_ns: i64) -> bool {
        let entry = &self.legs[leg as usize];
        let (Some(trade), Some(security)) =
            (entry.last, self.securities.get_mut(entry.security as usize))
        else {
            return true;
        };
        let offer = Offer {
            trade,
            leg,
            recv_ns: if record.ts_recv > 0 {
                record.ts_recv
            } else {
                now_ns
            },
            now_ns,
            gives_way: record.flags & (flag::BACKFILLED | flag::SNAPSHOT) != 0,
        };
        security.offer(&offer, &self.legs, self.settings.late_ns)
    }

    fn status(&mut self, leg: u32, record: &Record, row: usize, run: &Run<'_>) {
        let Some(status) = u8::try_from(record.detail)
            .ok()
            .filter(|status| *status <= state::DELAYED)
        else {
            return;
        };
        let text = run.texts.and_then(|texts| texts.get(row)?.as_deref());
        let reason = text.map_or_else(|| reason_of(record.id), str::to_owned);
        let (entry, meta) = (&mut self.legs[leg as usize], &mut self.metas[leg as usize]);
        if meta.reason != reason {
            meta.reason = reason;
            if status == entry.status && status != state::LIVE {
                entry.changed |= field::STATE;
            }
        }
        entry.set_status(status);
    }

    /// A bust or a correction.
    fn amend(
        &mut self,
        leg: u32,
        record: &Record,
        run: &mut Run<'_>,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        let entry = &mut self.legs[leg as usize];
        let is_matched = if record.kind == kind::BUST {
            let has_size = record.flags & flag::NO_SIZE == 0 && record.size > 0;
            entry.bust(
                record.id,
                has_size.then(|| Amount::new(record.size, record.size_scale)),
            )
        } else {
            entry.correct(record)
        };
        run.applied.unmatched += u64::from(!is_matched);
        if entry.security != NONE {
            self.securities[entry.security as usize].amend(leg, record.id, &self.legs);
        }
        if let Some(ts) = self.legs[leg as usize].amended_ts.take() {
            self.publish_bars(leg, ts, sink);
        }
    }

    /// A previous close or a session volume.
    fn reference(
        &mut self,
        leg: u32,
        record: &Record,
        run: &Run<'_>,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        let (ts, _) = event_time(record, run.now_ns, self.settings.skew_ns);
        if record.flags & flag::SNAPSHOT == 0 {
            self.roll_to(leg, ts, sink);
        }
        let entry = &mut self.legs[leg as usize];
        if entry.session.is_assigned() && ts < entry.session.start {
            return;
        }
        if record.kind == kind::PREV_CLOSE {
            let close = Price::new(record.price, record.price_scale);
            entry.set_prev_close((record.flags & flag::NO_PRICE == 0).then_some(close));
            entry.session.close_id = None;
        } else if record.flags & flag::NO_SIZE != 0 {
            entry.forget_session();
        } else {
            let volume = Amount::new(record.size, record.size_scale);
            if entry.session.volume.is_none_or(|old| !old.same(volume)) {
                entry.changed |= field::VOLUME;
                entry.session.volume = Some(volume);
            }
        }
    }

    /// Begins the session of an event time, if it is a later one: a change of its own.
    #[inline]
    fn roll_to(&mut self, leg: u32, ts: i64, sink: &mut impl FnMut(&Self, Change)) {
        let entry = &mut self.legs[leg as usize];
        if ts < entry.session.end {
            return;
        }
        let bounds = self.calendars[entry.calendar as usize].bounds(ts);
        if entry.session.is_assigned() {
            entry.roll(bounds);
            self.publish(leg, Cause::Other, sink);
        } else {
            entry.session.assign(bounds);
        }
    }

    /// Shows what the event did.
    #[inline]
    fn end_event(&mut self, run: &mut Run<'_>, sink: &mut impl FnMut(&Self, Change)) {
        for index in 0..self.touched.len() {
            let leg = self.touched[index];
            let entry = &mut self.legs[leg as usize];
            let is_news = entry.pending & pending::NEWS != 0;
            entry.commit();
            entry.pending = 0;
            entry.refresh_state(self.feeds[entry.feed as usize].state, run.now_ns);
            if entry.changed & (field::QUOTE | field::STATE) != 0 {
                self.refresh_security(leg, run.now_ns);
            }
            let cause = match run.trade {
                Some((of, trade)) if of == leg => Cause::Trade(trade),
                _ if is_news => Cause::Quote,
                _ => Cause::Other,
            };
            self.publish(leg, cause, sink);
            self.publish_book(leg, sink);
        }
        self.touched.clear();
        run.trade = None;
    }

    pub(super) fn refresh_security(&mut self, leg: u32, now_ns: i64) {
        let security = self.legs[leg as usize].security;
        if security != NONE {
            self.securities[security as usize].refresh(&self.legs, now_ns);
        }
    }

    /// Tells what changed of a leg and, through it, of its security.
    #[inline]
    pub(super) fn publish(&mut self, leg: u32, cause: Cause, sink: &mut impl FnMut(&Self, Change)) {
        self.publish_leg(leg, cause, sink);
        self.publish_security(leg, cause, sink);
    }

    #[inline]
    pub(super) fn publish_leg(
        &mut self,
        leg: u32,
        cause: Cause,
        sink: &mut impl FnMut(&Self, Change),
    ) -> u32 {
        let entry = &mut self.legs[leg as usize];
        let changed = std::mem::take(&mut entry.changed);
        let topic = entry.topic;
        if changed & INHERITED != 0 && entry.security != NONE {
            let security = &mut self.securities[entry.security as usize];
            security.inherit(leg, changed);
            if changed & field::VOLUME != 0 {
                security.refresh_volume(&self.legs);
            }
        }
        self.tell(topic, changed, cause, sink)
    }

    #[inline]
    pub(super) fn publish_security(
        &mut self,
        leg: u32,
        cause: Cause,
        sink: &mut impl FnMut(&Self, Change),
    ) -> u32 {
        let security = self.legs[leg as usize].security;
        if security == NONE {
            return 0;
        }
        let security = &mut self.securities[security as usize];
        let changed = std::mem::take(&mut security.changed);
        let topic = security.topic;
        self.tell(topic, changed, cause, sink)
    }

    #[inline]
    fn tell(
        &self,
        topic: u32,
        fields: u32,
        cause: Cause,
        sink: &mut impl FnMut(&Self, Change),
    ) -> u32 {
        let cause = match cause {
            Cause::Trade(_) => cause,
            _ if fields == 0 => return 0,
            Cause::Quote if fields & field::QUOTE == 0 => Cause::Other,
            _ => cause,
        };
        sink(
            self,
            Change {
                topic,
                fields,
                cause,
            },
        );
        1
    }
}

/// What of a leg's change can be its security's.
const INHERITED: u32 = field::OPEN | field::HIGH | field::LOW | field::PREV_CLOSE | field::VOLUME;

#[inline]
fn is_state(kind: u8) -> bool {
    matches!(
        kind,
        kind::BID
            | kind::ASK
            | kind::TRADE
            | kind::STATUS
            | kind::GAP
            | kind::BUST
            | kind::CORRECTION
            | kind::PREV_CLOSE
            | kind::VOLUME
            | kind::BOOK_BID
            | kind::BOOK_ASK
    )
}

/// The condition by which clients are told that a trade was fetched after a break.
#[inline]
const fn told_late(flags: u16) -> u16 {
    if flags & flag::BACKFILLED == 0 {
        0
    } else {
        condition::BACKFILLED
    }
}

/// The event time that is believed, and `CLOCK_SKEW` where it is not the venue's.
#[inline]
fn event_time(record: &Record, now_ns: i64, skew_ns: i64) -> (i64, u16) {
    if record.ts_event <= 0 {
        (
            if record.ts_recv > 0 {
                record.ts_recv
            } else {
                now_ns
            },
            0,
        )
    } else if record.ts_recv > 0 && record.ts_event > record.ts_recv.saturating_add(skew_ns) {
        (record.ts_recv, flag::CLOCK_SKEW)
    } else {
        (record.ts_event, 0)
    }
}

/// A reason code held in an id: ASCII letters, the first in the highest byte used; else the number.
fn reason_of(id: u64) -> String {
    if id == 0 {
        return String::new();
    }
    let bytes = id.to_be_bytes();
    let text = bytes
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect::<Vec<_>>();
    match String::from_utf8(text) {
        Ok(text) if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            text.trim().to_owned()
        }
        _ => id.to_string(),
    }
}

/// The state that own rows of the leg give, and why: for people.
pub(super) fn own_reason<'a>(leg: &Leg, status_reason: &'a str) -> &'a str {
    match leg.own_state() {
        state::REPAIRING if leg.is_invalid => "book is not valid",
        state::REPAIRING if leg.is_crossed => "own book is crossed",
        state::GAP if leg.is_gap => "messages are missing",
        state::EMPTY if leg.status != state::EMPTY || status_reason.is_empty() => {
            "nothing heard yet"
        }
        _ => status_reason,
    }
}
