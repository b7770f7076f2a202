//! Frames that name a number which an event before them bound to a subscription (Bitfinex: `[17470,[...]]` after
//! `{"event":"subscribed","chanId":17470,"channel":"book","symbol":"tBTCUSD"}`).
//!
//! What a declaration reads from such an event (paths that begin with `@`) is read once, when it binds: its texts, and
//! which of the declared messages its frames can be at all. A frame then costs one look-up of its number.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::names::NameHasher;
use super::path::{Frame, Path, Row, is_nested};
use super::plan::{BindingPlan, Plan};
use super::read::RowMatch;
use super::tape::Kind;

/// Numbers that one connection may have bound; an event beyond them binds none, and its frames are nobody's.
const BOUND_MAX: usize = 4096;

/// What a number stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Texts at the paths of [`BindingPlan::slots`]; empty: nothing is said there.
    texts: Box<[Box<[u8]>]>,
    /// Indexes of the declared messages that its frames can be.
    pub candidates: Box<[usize]>,
}

impl Bound {
    /// Reads the event, or whatever stands in its place, at `place`.
    #[must_use]
    pub fn new(plan: &Plan, binding: &BindingPlan, frame: Frame<'_>, place: u32) -> Self {
        let texts = binding.slots.iter().map(|path| {
            let found = path.find_from(frame, place);
            let said = found.filter(|&place| !is_nested(frame.token(place)));
            said.filter(|&place| frame.token(place).kind != Kind::Null)
                .map_or_else(Box::default, |place| frame.text(place).as_ref().into())
        });
        let texts: Box<[Box<[u8]>]> = texts.collect();
        Self {
            candidates: candidates(plan, &texts),
            texts,
        }
    }

    #[inline]
    #[must_use]
    pub fn text(&self, slot: usize) -> &[u8] {
        self.texts.get(slot).map_or(&b""[..], |text| text)
    }
}

/// Messages whose conditions on the binding hold; without any text: those of frames whose number is bound to nothing.
pub fn candidates(plan: &Plan, texts: &[Box<[u8]>]) -> Box<[usize]> {
    let text = |slot: usize| texts.get(slot).map_or(&b""[..], |text| text);
    let messages = plan.messages.iter().enumerate();
    messages
        .filter(|(_, message)| {
            let mut bound = message.bound.iter();
            bound.all(|(slot, condition)| condition.holds_of(text(*slot)))
        })
        .map(|(index, _)| index)
        .collect()
}

type Numbers = HashMap<Box<[u8]>, Bound, BuildHasherDefault<NameHasher>>;

/// What is bound on each connection.
#[derive(Debug, Default)]
pub struct Bindings {
    links: HashMap<u32, Numbers>,
    /// Of the frame at hand, where it says itself what its number stands for.
    own: Bound,
}

fn all_hold(conditions: &[RowMatch], frame: Frame<'_>) -> bool {
    super::read::all_hold(conditions, Row::alone(frame, 0))
}

fn number<'a>(path: &Path, frame: Frame<'a>) -> Option<std::borrow::Cow<'a, [u8]>> {
    let place = path.said(Row::alone(frame, 0))?;
    (!is_nested(frame.token(place))).then(|| frame.text(place))
}

impl Bindings {
    /// A connection begins: nothing is bound on it.
    pub fn open(&mut self, link: u32) {
        self.links.remove(&link);
    }

    /// What the number of a frame stands for. A recorder may have put the event, or what it asked for, in the number's
    /// place.
    #[inline]
    pub fn of(
        &mut self,
        plan: &Plan,
        binding: &BindingPlan,
        link: u32,
        frame: Frame<'_>,
    ) -> Option<&Bound> {
        if frame.token(0).kind != Kind::List {
            return None;
        }
        let place = binding.path.said(Row::alone(frame, 0))?;
        match frame.token(place).kind {
            Kind::Object => {
                self.own = Bound::new(plan, binding, frame, place);
                Some(&self.own)
            }
            Kind::List => None,
            _ => self.links.get(&link)?.get(&*frame.text(place)),
        }
    }

    /// Takes an event that binds a number, or ends that.
    pub fn take(&mut self, plan: &Plan, binding: &BindingPlan, link: u32, frame: Frame<'_>) {
        let binds = all_hold(&binding.when, frame);
        if !binds && !all_hold(&binding.ends, frame) {
            return;
        }
        let Some(number) = number(&binding.number, frame) else {
            return;
        };
        let numbers = self.links.entry(link).or_default();
        if !binds {
            numbers.remove(&*number);
        } else if numbers.len() < BOUND_MAX || numbers.contains_key(&*number) {
            numbers.insert(number.as_ref().into(), Bound::new(plan, binding, frame, 0));
        }
    }
}
