//! Instruments, securities, feeds and calendars: what is known before the first tick, and what may change later.

use super::consolidate::{NONE, Security};
use super::leg::Leg;
use super::session::Calendar;
use super::types::{Cause, Change, Definition, Topic, field};
use super::{Feed, Latest, Meta, Of, TopicEntry};
use crate::encode::quote;
use crate::record::state;

impl Latest {
    /// Takes a definition; a repeat is harmless, a changed one is followed. True if the instrument is new: then
    /// `topics()` has grown.
    pub fn define(
        &mut self,
        definition: &Definition,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> bool {
        if let Some(leg) = self.by_id.get(&definition.instrument).copied() {
            if self.metas[leg as usize].definition != *definition {
                self.redefine(leg, definition, now_ns, sink);
            }
            return false;
        }
        let known = self.topics.len();
        let leg = index(self.legs.len());
        let name = format!("{}:{}", definition.venue, definition.symbol);
        let topic = self.add_topic(&name, Of::Leg(leg));
        self.by_id.insert(definition.instrument, leg);
        self.legs.push(Leg::new(topic, now_ns));
        self.metas.push(Meta {
            definition: definition.clone(),
            venue: quote(&definition.venue),
            reason: String::new(),
        });
        self.attach(leg, now_ns);
        self.publish_known(leg, known, sink);
        true
    }

    fn redefine(
        &mut self,
        leg: u32,
        definition: &Definition,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) {
        let known = self.topics.len();
        let old_feed = self.legs[leg as usize].feed as usize;
        self.feeds[old_feed].legs.retain(|other| *other != leg);
        let old_security = self.legs[leg as usize].security;
        let moves = old_security != NONE
            && (self.security_name(definition)
                != self.name(self.securities[old_security as usize].topic)
                || definition.currency != self.metas[leg as usize].definition.currency);
        if moves {
            let security = &mut self.securities[old_security as usize];
            security.legs.retain(|other| *other != leg);
            if security.primary == leg {
                security.primary = security.legs.first().copied().unwrap_or(NONE);
                security.changed |= SESSION;
            }
            security.changed |= field::LEGS;
            security.refresh(&self.legs, now_ns);
            security.refresh_volume(&self.legs);
            self.publish_security(leg, Cause::Other, sink);
            self.legs[leg as usize].security = NONE;
        }
        let meta = &mut self.metas[leg as usize];
        // The name, and so the topic, belongs to the id.
        let (venue, symbol) = (
            meta.definition.venue.clone(),
            meta.definition.symbol.clone(),
        );
        meta.definition = Definition {
            venue,
            symbol,
            ..definition.clone()
        };
        self.attach(leg, now_ns);
        self.publish_leg(leg, Cause::Other, sink);
        self.publish_known(leg, known, sink);
    }

    /// Tells what changed of a leg's security, unless the security is new: nobody can watch it yet.
    fn publish_known(&mut self, leg: u32, known: usize, sink: &mut impl FnMut(&Self, Change)) {
        let security = self.legs[leg as usize].security;
        if let Some(security) = self.securities.get_mut(security as usize)
            && security.topic as usize >= known
        {
            security.changed = 0;
        }
        self.publish_security(leg, Cause::Other, sink);
    }

    /// Joins a leg to its feed, calendar and security, as its definition says.
    fn attach(&mut self, leg: u32, now_ns: i64) {
        let definition = self.metas[leg as usize].definition.clone();
        let feed = self.feed(&definition.feed);
        self.feeds[feed].legs.push(leg);
        let calendar = self.calendar(&definition.calendar);
        let entry = &mut self.legs[leg as usize];
        entry.feed = index(feed);
        entry.ahead_ns = self.feeds[feed].ahead_ns;
        entry.precision = definition.time_precision;
        if entry.calendar != index(calendar) || !entry.session.is_assigned() {
            entry.calendar = index(calendar);
            fit_session(entry, &self.calendars[calendar], now_ns);
        }
        entry.refresh_state(self.feeds[feed].state, now_ns);
        self.next_roll_ns = i64::MIN;
        self.join(leg, &definition, now_ns);
    }

    fn join(&mut self, leg: u32, definition: &Definition, now_ns: i64) {
        let place = match self.legs[leg as usize].security {
            NONE => match self.security(definition, now_ns) {
                Some(place) => place,
                None => return,
            },
            place => place,
        };
        self.legs[leg as usize].security = place;
        let security = &mut self.securities[place as usize];
        if !security.legs.contains(&leg) {
            security.legs.push(leg);
            security.changed |= field::LEGS;
        }
        if (security.primary == NONE || definition.primary) && security.primary != leg {
            security.primary = leg;
            security.changed |= SESSION;
        }
        security.refresh(&self.legs, now_ns);
        security.refresh_volume(&self.legs);
    }

    /// The security of a definition, made if there is none; `None` if it cannot be consolidated.
    fn security(&mut self, definition: &Definition, now_ns: i64) -> Option<u32> {
        let name = self.security_name(definition).to_owned();
        let Some(topic) = self.topic(&name) else {
            let place = index(self.securities.len());
            let topic = self.add_topic(&name, Of::Security(place));
            self.securities
                .push(Security::new(topic, &definition.currency, now_ns));
            return Some(place);
        };
        match self.topics[topic as usize].of {
            Of::Security(place) if self.securities[place as usize].legs.is_empty() => {
                self.securities[place as usize]
                    .currency
                    .clone_from(&definition.currency);
                Some(place)
            }
            Of::Security(place)
                if self.securities[place as usize].currency == definition.currency =>
            {
                Some(place)
            }
            // Prices in two currencies have no common best; a security named like an instrument has no topic.
            Of::Security(_) | Of::Leg(_) => {
                self.foreign += 1;
                None
            }
        }
    }

    #[allow(clippy::unused_self)]
    fn security_name<'a>(&self, definition: &'a Definition) -> &'a str {
        if definition.security.is_empty() {
            &definition.symbol
        } else {
            &definition.security
        }
    }

    fn add_topic(&mut self, name: &str, of: Of) -> Topic {
        let topic = index(self.topics.len());
        self.by_name.insert(name.to_owned(), topic);
        self.topics.push(TopicEntry {
            name: name.to_owned(),
            quoted: quote(name),
            of,
        });
        topic
    }

    fn feed(&mut self, name: &str) -> usize {
        self.feeds
            .iter()
            .position(|feed| feed.name == name)
            .unwrap_or_else(|| {
                let feed = Feed {
                    name: name.to_owned(),
                    state: state::LIVE,
                    reason: String::new(),
                    legs: Vec::new(),
                    lead_ns: super::bars::NO_LEAD,
                    ahead_ns: 0,
                };
                self.feeds.push(feed);
                self.feeds.len() - 1
            })
    }

    fn calendar(&mut self, name: &str) -> usize {
        self.calendars
            .iter()
            .position(|calendar| calendar.name == name)
            .unwrap_or_else(|| {
                self.calendars.push(Calendar::new(name));
                self.calendars.len() - 1
            })
    }

    /// Session starts, ascending, ns. With `wall_clock` sessions also roll when `tick` passes a start; without, only
    /// when a trade's event time does. A longer list may follow later: the sessions in hand go on.
    pub fn set_calendar(&mut self, name: &str, starts: &[i64], wall_clock: bool) {
        let calendar = self.calendar(name);
        self.calendars[calendar].set(starts, wall_clock);
        for leg in &mut self.legs {
            if leg.calendar == index(calendar) {
                fit_session(leg, &self.calendars[calendar], i64::MIN);
            }
        }
        self.next_roll_ns = i64::MIN;
    }

    /// The clock of the feed's venue is certainly so far ahead of ours (negative: behind): what is told from now on is
    /// compared with other venues' trades as of so much earlier.
    pub fn set_feed_clock(&mut self, feed: &str, ahead_ns: i64) {
        let place = self.feed(feed);
        let entry = &mut self.feeds[place];
        entry.ahead_ns = ahead_ns;
        for leg in &entry.legs {
            self.legs[*leg as usize].ahead_ns = ahead_ns;
        }
    }

    /// Every instrument of the feed is at best this; `LIVE` lifts it. Returns how many topics changed.
    pub fn set_feed_state(
        &mut self,
        feed: &str,
        state: u8,
        reason: &str,
        now_ns: i64,
        sink: &mut impl FnMut(&Self, Change),
    ) -> u32 {
        let place = self.feed(feed);
        let entry = &mut self.feeds[place];
        let is_news = entry.reason != reason;
        entry.state = state.min(state::DELAYED);
        reason.clone_into(&mut entry.reason);
        let feed_state = entry.state;
        let legs = std::mem::take(&mut entry.legs);
        let mut count = 0;
        for leg in &legs {
            let entry = &mut self.legs[*leg as usize];
            entry.refresh_state(feed_state, now_ns);
            if is_news && feed_state != state::LIVE && entry.effective == feed_state {
                entry.changed |= field::STATE;
            }
            count += self.publish_leg(*leg, Cause::Other, sink);
        }
        // Once all its legs are what they are now, a security shows one change, not one for each.
        for leg in &legs {
            self.refresh_security(*leg, now_ns);
            count += self.publish_security(*leg, Cause::Other, sink);
        }
        self.feeds[place].legs = legs;
        count
    }

    /// Lets time pass: bars end, and sessions roll where the calendar follows the clock.
    pub fn tick(&mut self, now_ns: i64, sink: &mut impl FnMut(&Self, Change)) {
        self.end_bars(now_ns, sink);
        if now_ns < self.next_roll_ns {
            return;
        }
        for leg in 0..index(self.legs.len()) {
            let entry = &mut self.legs[leg as usize];
            let calendar = &self.calendars[entry.calendar as usize];
            if !calendar.wall_clock {
                continue;
            }
            if !entry.session.is_assigned() {
                entry.session.assign(calendar.bounds(now_ns));
            } else if now_ns >= entry.session.end {
                entry.roll(calendar.bounds(now_ns));
                self.publish(leg, Cause::Other, sink);
            }
        }
        let clocks = self.calendars.iter().filter(|calendar| calendar.wall_clock);
        self.next_roll_ns = clocks
            .map(|calendar| calendar.bounds(now_ns).1)
            .min()
            .unwrap_or(i64::MAX);
    }
}

const SESSION: u32 =
    field::OPEN | field::HIGH | field::LOW | field::PREV_CLOSE | field::CHANGE | field::CHANGE_PCT;

/// Puts the session in hand into a calendar that is new or has grown.
fn fit_session(leg: &mut Leg, calendar: &Calendar, now_ns: i64) {
    let bounds = match leg.last {
        Some(last) => {
            let start = leg.session.start;
            let is_known = start != i64::MIN && leg.session.is_assigned();
            calendar.bounds(if is_known {
                start.max(last.ts)
            } else {
                last.ts
            })
        }
        None if leg.session.is_assigned() && leg.session.start != i64::MIN => {
            calendar.bounds(leg.session.start)
        }
        None if calendar.wall_clock && now_ns != i64::MIN => calendar.bounds(now_ns),
        None => return,
    };
    // A start that is known stays: a list that begins later must not lengthen or cut the session.
    if leg.session.is_assigned() && leg.session.start > bounds.0 {
        leg.session.end = bounds.1;
    } else {
        leg.session.assign(bounds);
    }
}

/// Places are 32 bits: four thousand million instruments.
pub fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}
