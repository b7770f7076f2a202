//! A worker's hub: its clients over a mirror of the owner's state.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::encode::read_trade;
use super::message::{
    LinkError, Outcome, OwnerFrame, Place, Standing, VERSION, Want, WorkerFrame, check_class,
    owner_kind,
};
use super::mirror::{Mirror, Told};
use super::wire::{Fields, Frames};
use crate::encode;
use crate::hub::{
    CHANNEL_PRICE, CHANNEL_TRADES, CLASS_ALL, CLASS_NONE, ClientId, Counters, Fanout, Flushed,
    Position, Refusal, Settings, Wish, is_keyed,
};
use crate::latest::Topic;
use crate::record::state;

/// Wants in one frame, where many are told again.
const BATCH_MAX: usize = 1024;
/// A symbol that the owner did not know is asked for again after this time.
const AGAIN_NS: i64 = 5_000_000_000;

type Key = (Topic, u8, u8);

/// What is told to the owner's sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An answer is complete; the hub stands where it says until more is fed.
    Done { token: u64 },
    /// Anything that is not for the hub.
    Told(OwnerFrame),
}

/// A channel of a topic in a class, that the owner sends.
#[derive(Debug)]
struct Interest {
    /// The owner's number of the topic.
    owner: u32,
    /// Since when nobody watches; 0: somebody does.
    idle_ns: i64,
    watchers: u32,
}

/// A question that the owner has not answered.
#[derive(Debug)]
struct Pending {
    client: ClientId,
    wants: Vec<Want>,
}

/// A client's wish to pick up, and what the owner said.
type Recalls = HashMap<(ClientId, u8, Topic), Result<Option<u64>, Refusal>>;

/// The hub of a gateway worker.
pub struct WorkerHub {
    mirror: Mirror,
    fanout: Fanout,
    frames: Frames,
    /// Numbers here by the owner's.
    topics: HashMap<u32, Topic>,
    interests: HashMap<Key, Interest>,
    /// By token; those of 0 are nobody's.
    pending: BTreeMap<u64, Pending>,
    token: u64,
    recalls: Recalls,
    /// Places that the owner did not know, and when.
    refused: HashMap<Key, i64>,
    outbox: Vec<u8>,
    is_linked: bool,
}

impl WorkerHub {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            mirror: Mirror::default(),
            fanout: Fanout::new(settings),
            frames: Frames::default(),
            topics: HashMap::new(),
            interests: HashMap::new(),
            pending: BTreeMap::new(),
            token: 0,
            recalls: HashMap::new(),
            refused: HashMap::new(),
            outbox: Vec::new(),
            is_linked: false,
        }
    }

    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    #[must_use]
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// For all that concerns clients alone.
    pub fn fanout_mut(&mut self) -> &mut Fanout {
        &mut self.fanout
    }

    /// Places that the owner sends.
    #[must_use]
    pub fn interests(&self) -> usize {
        self.interests.len()
    }

    /// Bytes for the owner.
    pub fn take_outbox(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.outbox)
    }

    // ------------------------------------------------------------------ the link

    /// A link is there: the first frame, and everything that is watched.
    pub fn linked(&mut self, name: &str, pid: u64, now_ns: i64) {
        self.frames.clear();
        self.outbox.clear();
        self.topics.clear();
        self.interests.clear();
        self.refused.clear();
        self.is_linked = true;
        let hello = WorkerFrame::Hello {
            version: VERSION,
            name: name.to_owned(),
            pid,
        };
        hello.write(&mut self.outbox);
        self.ask_missing(now_ns);
    }

    /// The link is gone: everything is stale, and every question is void.
    pub fn unlinked(&mut self, reason: &str, now_ns: i64) {
        self.is_linked = false;
        self.frames.clear();
        self.outbox.clear();
        self.topics.clear();
        self.interests.clear();
        self.pending.clear();
        self.recalls.clear();
        let wall_ns = self.fanout.wall(now_ns);
        for topic in 0..self.mirror.topics() as Topic {
            if self.mirror.set_state(topic, state::STALE, wall_ns, reason) {
                self.fanout.told_status(&self.mirror, topic, now_ns);
            }
            for (channel, class, seq) in self.mirror.break_books(topic) {
                let key = (topic, channel, class);
                self.fanout.keyed_news(key, seq, &[], |_| false, now_ns);
            }
        }
    }

    /// Takes in what the owner sent, up to the first event; go on with nothing until there is none.
    ///
    /// # Errors
    /// What no owner of this version sends: the link is to be closed.
    pub fn feed(&mut self, data: &[u8], now_ns: i64) -> Result<Option<Event>, LinkError> {
        let mut frames = core::mem::take(&mut self.frames);
        if !data.is_empty() {
            frames.push(data);
        }
        let outcome = loop {
            match frames.next_frame() {
                Ok(Some((kind, message))) => match self.take(kind, message, now_ns) {
                    Ok(None) => {}
                    other => break other,
                },
                Ok(None) => break Ok(None),
                Err(wrong) => break Err(wrong),
            }
        };
        self.frames = frames;
        outcome
    }

    fn take(&mut self, kind: u8, message: &[u8], now_ns: i64) -> Result<Option<Event>, LinkError> {
        match kind {
            owner_kind::SNAPSHOT => self.take_snapshot(Told::read(message)?, now_ns)?,
            owner_kind::UPDATE => self.take_update(Told::read(message)?, now_ns)?,
            owner_kind::STATUS => {
                let told = Told::read(message)?;
                let topic = self.topic_of(told.topic)?;
                if self.mirror.status(topic, &told) {
                    self.fanout.told_status(&self.mirror, topic, now_ns);
                }
            }
            owner_kind::TRADE => {
                let (owner, epoch, missed) = read_trade(message)?;
                let topic = self.topic_of(owner)?;
                self.fanout.set_epoch(topic, epoch);
                let at = (topic, missed.seq);
                self.fanout.traded(
                    &self.mirror,
                    at,
                    &missed.row,
                    missed.text.as_deref(),
                    now_ns,
                );
            }
            owner_kind::BOOK => {
                let told = super::keyed::ToldBook::read(message)?;
                let topic = self.topic_of(told.topic)?;
                self.fanout.set_epoch(topic, told.epoch);
                self.mirror.apply_book(topic, &told)?;
                self.keyed_news((topic, told.channel, told.class), told.seq, &[], now_ns);
            }
            owner_kind::BARS => {
                let told = super::keyed::ToldBars::read(message)?;
                let topic = self.topic_of(told.topic)?;
                self.fanout.set_epoch(topic, told.epoch);
                self.mirror.apply_bars(topic, &told);
                let starts: Vec<i64> = told.bars.iter().map(|bar| bar.start_ns).collect();
                self.keyed_news((topic, told.channel, told.class), told.seq, &starts, now_ns);
            }
            owner_kind::LOST => self.take_lost(message)?,
            owner_kind::STANDING => self.take_standing(Standing::read(message)?, now_ns)?,
            _ => {
                let frame = OwnerFrame::read(kind, message)?;
                return Ok(self.take_other(frame));
            }
        }
        Ok(None)
    }

    fn take_other(&mut self, frame: OwnerFrame) -> Option<Event> {
        match frame {
            OwnerFrame::Done { token: 0 } => None,
            OwnerFrame::Done { token } => Some(Event::Done { token }),
            other => Some(Event::Told(other)),
        }
    }

    fn topic_of(&self, owner: u32) -> Result<Topic, LinkError> {
        self.topics.get(&owner).copied().ok_or_else(|| {
            LinkError(format!(
                "expected a topic that was introduced, found number {owner}"
            ))
        })
    }

    fn take_snapshot(&mut self, told: Told, now_ns: i64) -> Result<(), LinkError> {
        if told.name.is_empty() {
            return Err(LinkError(
                "expected a snapshot with a name, found none".into(),
            ));
        }
        let topic = self.mirror.define(&told);
        self.topics.insert(told.topic, topic);
        let (class, epoch, seq) = (told.class, told.epoch, told.seq);
        self.fanout.set_epoch(topic, epoch);
        let is_other_state = self.mirror.apply(topic, told);
        self.fanout.raise(topic, CHANNEL_PRICE, seq);
        if is_other_state {
            self.fanout.told_status(&self.mirror, topic, now_ns);
        }
        if class == CLASS_ALL {
            self.fanout.dropped(topic, CHANNEL_PRICE, seq);
        }
        if class != CLASS_NONE {
            self.merge(topic, class, Fanout::ALL_FIELDS, false, now_ns);
        }
        Ok(())
    }

    fn take_update(&mut self, told: Told, now_ns: i64) -> Result<(), LinkError> {
        let topic = self.topic_of(told.topic)?;
        let (class, seq, fields) = (told.class, told.seq, told.fields);
        check_class(CHANNEL_PRICE, class)?;
        self.fanout.set_epoch(topic, told.epoch);
        let is_other_state = self.mirror.apply(topic, told);
        self.fanout.raise(topic, CHANNEL_PRICE, seq);
        if is_other_state {
            self.fanout.told_status(&self.mirror, topic, now_ns);
        }
        if class == CLASS_ALL {
            self.fanout.passed(&self.mirror, topic, seq, fields, now_ns);
        }
        self.merge(topic, class, fields, true, now_ns);
        Ok(())
    }

    fn merge(&mut self, topic: Topic, class: u8, fields: u32, is_turn: bool, now_ns: i64) {
        let interests = &self.interests;
        let is_fed = |class| interests.contains_key(&(topic, CHANNEL_PRICE, class));
        self.fanout
            .merged((topic, class), fields, is_turn, is_fed, now_ns);
    }

    fn keyed_news(&mut self, key: Key, seq: u64, starts: &[i64], now_ns: i64) {
        let interests = &self.interests;
        let is_fed = |class| interests.contains_key(&(key.0, key.1, class));
        self.fanout.keyed_news(key, seq, starts, is_fed, now_ns);
    }

    fn take_lost(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let (mut owner, mut epoch, mut seq, mut channel) = (0, 0, 0, 0);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => owner = value.small()?,
                3 => epoch = value.number()?,
                4 => seq = value.number()?,
                5 => channel = super::message::channel_of(value)?,
                _ => {}
            }
        }
        let topic = self.topic_of(owner)?;
        self.fanout.set_epoch(topic, epoch);
        if !is_keyed(channel) {
            self.fanout.dropped(topic, channel, seq);
        }
        Ok(())
    }

    fn take_standing(&mut self, standing: Standing, now_ns: i64) -> Result<(), LinkError> {
        let pending = self.pending.get(&standing.token);
        let Some(want) = pending.and_then(|pending| pending.wants.get(standing.index as usize))
        else {
            // Nobody waits for it any more, but the owner sends what was asked for.
            if standing.is_known {
                self.note_interest(&standing)?;
            }
            return Ok(());
        };
        if !standing.is_known {
            if let Some(topic) = self.mirror.topic(&want.symbol) {
                self.refused
                    .insert((topic, want.channel, want.class), now_ns);
            }
            return Ok(());
        }
        let client = pending.map_or(0, |pending| pending.client);
        let topic = self.note_interest(&standing)?;
        let channel = standing.place.channel;
        let found = match standing.outcome {
            Outcome::None => return Ok(()),
            Outcome::At(seq) => Ok(seq),
            Outcome::Refused(refusal) => Err(refusal),
        };
        self.recalls.insert((client, channel, topic), found);
        if !standing.missed.is_empty() {
            let missed = standing.missed.into_iter();
            let trades = missed.map(|missed| (missed.row, missed.text)).collect();
            self.fanout.remember(topic, standing.seq, trades);
        }
        Ok(())
    }

    fn note_interest(&mut self, standing: &Standing) -> Result<Topic, LinkError> {
        let Place {
            topic: owner,
            channel,
            class,
            watchers,
        } = standing.place;
        let topic = self.topic_of(owner)?;
        self.fanout.set_epoch(topic, standing.epoch);
        if channel == CHANNEL_TRADES {
            // Everything before lies in front of this answer: what did not come is lost.
            let known = self.fanout.position(topic, channel).seq;
            if standing.seq > known {
                self.fanout.dropped(topic, channel, standing.seq);
            }
        } else {
            self.fanout.raise(topic, channel, standing.seq);
        }
        let interest = Interest {
            owner,
            idle_ns: 0,
            watchers,
        };
        self.interests.insert((topic, channel, class), interest);
        Ok(topic)
    }

    // ------------------------------------------------------------------ questions

    /// What a client's wishes need of the owner: 0 = nothing, else the token of the answer.
    pub fn prepare(&mut self, client: ClientId, wants: Vec<Want>) -> u64 {
        let wants: Vec<Want> = wants
            .into_iter()
            .map(|want| Want {
                class: if want.channel == CHANNEL_TRADES {
                    CLASS_ALL
                } else {
                    want.class
                },
                watchers: 1,
                ..want
            })
            .filter(|want| want.resumes() || !self.is_fed(want))
            .collect();
        if wants.is_empty() {
            return 0;
        }
        self.ask(client, wants)
    }

    fn is_fed(&self, want: &Want) -> bool {
        self.mirror.topic(&want.symbol).is_some_and(|topic| {
            self.interests
                .contains_key(&(topic, want.channel, want.class))
        })
    }

    fn ask(&mut self, client: ClientId, mut wants: Vec<Want>) -> u64 {
        for want in &mut wants {
            if want.channel == CHANNEL_TRADES
                && let Some(topic) = self.mirror.topic(&want.symbol)
                && self.fanout.members_of(topic, CHANNEL_TRADES, CLASS_ALL) > 0
            {
                let position = self.fanout.position(topic, CHANNEL_TRADES);
                (want.from_epoch, want.from_seq) = (position.epoch, position.seq);
            }
        }
        self.token += 1;
        let token = self.token;
        let frame = WorkerFrame::Ask { token, wants };
        frame.write(&mut self.outbox);
        if let WorkerFrame::Ask { wants, .. } = frame {
            self.pending.insert(token, Pending { client, wants });
        }
        token
    }

    /// Everything that the owner published for a client: 0 = it watches nothing, else the token of the answer.
    pub fn barrier(&mut self, client: ClientId) -> u64 {
        let subscriptions = self.fanout.places_of(client);
        let places: Vec<Place> = subscriptions
            .into_iter()
            .filter_map(|(topic, channel, class)| {
                let interest = self.interests.get(&(topic, channel, class))?;
                Some(Place {
                    topic: interest.owner,
                    channel,
                    class,
                    watchers: 0,
                })
            })
            .collect();
        if places.is_empty() {
            return 0;
        }
        self.token += 1;
        let token = self.token;
        WorkerFrame::Barrier { token, places }.write(&mut self.outbox);
        token
    }

    /// Asks what a pattern stands for; the token of the answer.
    pub fn ask_match(&mut self, pattern: &str, limit: u64) -> u64 {
        self.token += 1;
        let token = self.token;
        let frame = WorkerFrame::Match {
            token,
            pattern: pattern.to_owned(),
            limit,
        };
        frame.write(&mut self.outbox);
        token
    }

    /// An answer was used, or nobody waits for it any more.
    pub fn settle(&mut self, token: u64) {
        if let Some(pending) = self.pending.remove(&token) {
            let client = pending.client;
            self.recalls.retain(|key, _| key.0 != client);
        }
    }

    // ------------------------------------------------------------------ what passes with time

    /// Asks for what is watched and not sent, withdraws what nobody watches since `idle_ns`, tells how many watch.
    pub fn sweep(&mut self, now_ns: i64, idle_ns: i64) {
        if !self.is_linked {
            return;
        }
        self.ask_missing(now_ns);
        let asked: HashSet<Key> = self
            .pending
            .values()
            .flat_map(|pending| &pending.wants)
            .filter_map(|want| {
                let topic = self.mirror.topic(&want.symbol)?;
                Some((topic, want.channel, want.class))
            })
            .collect();
        let (mut gone, mut counted, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
        let fanout = &self.fanout;
        self.interests.retain(|key, interest| {
            let count = fanout.members_of(key.0, key.1, key.2);
            let mut place = Place {
                topic: interest.owner,
                channel: key.1,
                class: key.2,
                watchers: 0,
            };
            if count > 0 || asked.contains(key) {
                interest.idle_ns = 0;
                let watchers = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
                if interest.watchers != watchers {
                    interest.watchers = watchers;
                    place.watchers = watchers;
                    counted.push(place);
                }
            } else if interest.idle_ns == 0 {
                interest.idle_ns = now_ns.max(1);
            } else if now_ns - interest.idle_ns >= idle_ns {
                gone.push(place);
                forgotten.push(*key);
                return false;
            }
            true
        });
        let wall_ns = self.fanout.wall(now_ns);
        for (topic, channel, class) in forgotten {
            self.mirror.forget(topic, channel, class);
            // What is kept from here on ages: whoever is shown it before the owner was asked again must not think it live.
            if !self.interests.keys().any(|key| key.0 == topic) {
                self.mirror.set_state(topic, state::SYNCING, wall_ns, "");
            }
        }
        for places in gone.chunks(BATCH_MAX) {
            WorkerFrame::Withdraw(places.to_vec()).write(&mut self.outbox);
        }
        for places in counted.chunks(BATCH_MAX) {
            WorkerFrame::Watchers(places.to_vec()).write(&mut self.outbox);
        }
    }

    /// Asks for every place that has clients and is not sent: after a link was lost, or where a client changed its class.
    fn ask_missing(&mut self, now_ns: i64) {
        let asked: HashSet<(&str, u8, u8)> = self
            .pending
            .values()
            .flat_map(|pending| &pending.wants)
            .map(|want| (want.symbol.as_str(), want.channel, want.class))
            .collect();
        let missing: Vec<Want> = self
            .fanout
            .places()
            .filter(|(topic, channel, class, _)| {
                let key = (*topic, *channel, *class);
                let name = self.mirror.name(*topic);
                !self.interests.contains_key(&key)
                    && !asked.contains(&(name, *channel, *class))
                    && self
                        .refused
                        .get(&key)
                        .is_none_or(|refused_ns| now_ns - refused_ns >= AGAIN_NS)
            })
            .map(|(topic, channel, class, count)| Want {
                symbol: self.mirror.name(topic).to_owned(),
                channel,
                class,
                watchers: u32::try_from(count).unwrap_or(u32::MAX),
                ..Want::default()
            })
            .collect();
        for wants in missing.chunks(BATCH_MAX) {
            self.ask(ClientId::MAX, wants.to_vec());
        }
    }

    // ------------------------------------------------------------------ clients

    /// `None` = no such symbol, or no such client. `wish.topic` is that of the symbol, whatever it holds.
    pub fn subscribe(
        &mut self,
        client: ClientId,
        symbol: &str,
        wish: Wish,
        now_ns: i64,
    ) -> Option<(&'static str, Position)> {
        let topic = self.mirror.topic(symbol)?;
        self.fanout.advance(now_ns);
        let position = self.fanout.subscribe(client, Wish { topic, ..wish })?;
        Some((self.mirror.state_name(topic), position))
    }

    pub fn unsubscribe(&mut self, client: ClientId, channel: u8, symbol: &str) -> bool {
        let topic = self.mirror.topic(symbol);
        topic.is_some_and(|topic| self.fanout.unsubscribe(client, channel, topic))
    }

    /// # Errors
    /// The reason why nothing could be picked up; without an answer of the owner nothing can.
    pub fn resume(&mut self, client: ClientId, channel: u8, symbol: &str) -> Result<(), Refusal> {
        let topic = self.mirror.topic(symbol).ok_or(Refusal::Unknown)?;
        let found = self
            .recalls
            .remove(&(client, channel, topic))
            .unwrap_or(Err(Refusal::Unknown))?;
        self.fanout.pick_up(client, (channel, topic), found)
    }

    /// State and counters of a topic, as far as the owner told them.
    #[must_use]
    pub fn position(&self, symbol: &str, channel: u8) -> Option<(&'static str, Position)> {
        let topic = self.mirror.topic(symbol)?;
        Some((
            self.mirror.state_name(topic),
            self.fanout.position(topic, channel),
        ))
    }

    /// REST's object of a topic, as far as the owner told it.
    #[must_use]
    pub fn price(&self, symbol: &str, strings: bool) -> Option<Vec<u8>> {
        let topic = self.mirror.topic(symbol)?;
        let position = self.fanout.position(topic, CHANNEL_PRICE);
        let mut out = Vec::with_capacity(512);
        let (epoch, seq, now_ns) = (position.epoch, position.seq, self.fanout.wall_now());
        encode::write_price(&mut out, &self.mirror, topic, strings, epoch, seq, now_ns);
        Some(out)
    }

    pub fn sync(&mut self, client: ClientId, now_ns: i64) -> Vec<Counters> {
        self.fanout.sync(&self.mirror, client, now_ns)
    }

    pub fn encode(&mut self, now_ns: i64) -> i64 {
        self.fanout.encode(&self.mirror, now_ns)
    }

    pub fn send(&mut self, now_ns: i64) -> Flushed {
        self.fanout.send_all(now_ns)
    }

    pub fn flush(&mut self, now_ns: i64, only: Option<ClientId>) -> Flushed {
        self.fanout.flush(&self.mirror, now_ns, only)
    }
}
