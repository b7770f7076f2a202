//! The newest state as bytes, for the process that takes over.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::bars::Ends;
use super::consolidate::Security;
use super::leg::Leg;
use super::session::Calendar;
use super::{Feed, Latest, Meta, Of, TopicEntry};
use crate::encode::quote;

/// Everything but the settings, which are the next process's own.
#[derive(Serialize)]
pub struct Saved<'a> {
    topics: Vec<(&'a str, Of)>,
    legs: &'a [Leg],
    metas: &'a [Meta],
    securities: &'a [Security],
    feeds: &'a [Feed],
    calendars: &'a [Calendar],
    next_roll_ns: i64,
    foreign: u64,
    bar_ends: &'a Ends,
}

/// The same, read.
#[derive(Deserialize)]
pub struct Restored {
    topics: Vec<(String, Of)>,
    legs: Vec<Leg>,
    metas: Vec<Meta>,
    securities: Vec<Security>,
    feeds: Vec<Feed>,
    calendars: Vec<Calendar>,
    next_roll_ns: i64,
    foreign: u64,
    bar_ends: Ends,
}

impl Latest {
    #[must_use]
    pub fn save(&self) -> Saved<'_> {
        let topics = self.topics.iter();
        Saved {
            topics: topics
                .map(|entry| (entry.name.as_str(), entry.of))
                .collect(),
            legs: &self.legs,
            metas: &self.metas,
            securities: &self.securities,
            feeds: &self.feeds,
            calendars: &self.calendars,
            next_roll_ns: self.next_roll_ns,
            foreign: self.foreign,
            bar_ends: &self.bar_ends,
        }
    }

    /// Takes the place of a state that knows nothing yet.
    ///
    /// # Errors
    /// Something is known already, or what is given contradicts itself.
    pub fn restore(&mut self, saved: Restored) -> Result<(), String> {
        if !self.topics.is_empty() {
            return Err(format!(
                "expected a state that knows nothing, found {} topics",
                self.topics.len()
            ));
        }
        saved.check()?;
        self.by_id = HashMap::default();
        for (place, meta) in (0..).zip(&saved.metas) {
            self.by_id.insert(meta.definition.instrument, place);
        }
        let topics = (0..).zip(&saved.topics);
        self.by_name = topics
            .map(|(topic, (name, _))| (name.clone(), topic))
            .collect();
        let entries = saved.topics.into_iter();
        self.topics = entries
            .map(|(name, of)| TopicEntry {
                quoted: quote(&name),
                name,
                of,
            })
            .collect();
        self.legs = saved.legs;
        self.metas = saved.metas;
        self.securities = saved.securities;
        self.feeds = saved.feeds;
        self.calendars = saved.calendars;
        self.next_roll_ns = saved.next_roll_ns;
        self.foreign = saved.foreign;
        self.bar_ends = saved.bar_ends;
        Ok(())
    }
}

impl Restored {
    /// Every index points at something.
    fn check(&self) -> Result<(), String> {
        let none = super::consolidate::NONE;
        let (topics, legs, securities) =
            (self.topics.len(), self.legs.len(), self.securities.len());
        let is_in = |index: u32, count: usize| (index as usize) < count;
        let may_be_in = |index: u32, count: usize| index == none || is_in(index, count);
        let legs_fit = self.legs.iter().all(|leg| {
            is_in(leg.topic, topics)
                && may_be_in(leg.security, securities)
                && is_in(leg.feed, self.feeds.len())
                && may_be_in(leg.calendar, self.calendars.len())
        });
        let securities_fit = self.securities.iter().all(|security| {
            is_in(security.topic, topics)
                && may_be_in(security.primary, legs)
                && may_be_in(security.last_leg, legs)
                && security.legs.iter().all(|leg| is_in(*leg, legs))
        });
        let topics_fit = self.topics.iter().all(|(_, of)| match of {
            Of::Leg(leg) => is_in(*leg, legs),
            Of::Security(security) => is_in(*security, securities),
        });
        let mut feeds = self.feeds.iter();
        let feeds_fit = feeds.all(|feed| feed.legs.iter().all(|leg| is_in(*leg, legs)));
        let ends_fit = self
            .bar_ends
            .iter()
            .all(|entry| is_in(entry.0.1, legs) && entry.0.2 < super::INTERVALS_NS.len());
        let names: BTreeMap<&str, ()> = self
            .topics
            .iter()
            .map(|(name, _)| (name.as_str(), ()))
            .collect();
        let is_whole = legs_fit && securities_fit && topics_fit && feeds_fit && ends_fit;
        if is_whole && self.metas.len() == legs && names.len() == topics {
            Ok(())
        } else {
            Err(
                "expected a state whose parts belong together, found one that contradicts itself"
                    .to_owned(),
            )
        }
    }
}
