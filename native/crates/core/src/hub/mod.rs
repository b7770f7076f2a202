//! The hub: who watches what, what is due to whom, and the one send.
//!
//! # What is kept
//!
//! Three tables, joined by 32-bit indices:
//!
//! - a **topic** has, for each channel, a counter `seq`, a history for resume, and who subscribes. The merge
//!   subscriptions of `price` are in a **group** for each rate class, which has the mask of fields that changed since
//!   the group's last frame, and the time of that frame.
//! - a **subscription** (client, topic, channel) has the seq its client stands at (`last`), the seq its counting began
//!   at (`base`), and flags that say what it waits for: a snapshot, a replay of trades, the news of a loss, or (since
//!   its client was blocked when its group was sent) the whole state.
//! - a **client** has a descriptor, references to frames in the arena, and a buffer that is empty but for replies,
//!   control frames, and what mode `all` keeps while the client is blocked.
//!
//! # What holds
//!
//! - A subscription without flags in mode `all` stands at its topic's `seq`; in mode `merge` it stands behind only
//!   while its group has something due, or where what changed is in none of its fields.
//! - Whatever advances `last` is counted: the frame as 1 delivered, what it skips as merged, but for what a `lost`
//!   frame announced. So `topic.seq - base = delivered + merged + lost` whenever `last = topic.seq`.
//! - A keyed group keeps what it sent (books), or which bars changed since. A subscription to a book without flags
//!   stands at its group's book, whatever its `last` says; after a barrier that is the book of now. See `keyed`.
//! - A blocked client has no references into the arena: what it must not lose is copied to its buffer, the rest is
//!   a flag. So the arena can be cleared whenever all clients had their turn, and a flush that finds it too long gives
//!   everyone the turn at once.
//! - Order within a client is the order of calls: a reply first makes bytes of the references before it.

mod allowed;
mod attend;
mod clients;
mod counters;
mod events;
mod flush;
mod frames;
mod history;
mod keyed;
mod linked;
mod market;
mod mirrored;
mod quantum;
mod resume;
mod saved;
mod send;
mod subscribe;
mod topics;
mod wheel;

#[cfg(test)]
mod keyed_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

pub use crate::encode::Stamp;
pub use allowed::{Reason, Shift};
pub use clients::ClientId;
pub use counters::{Counters, Memory};
pub use flush::Flushed;
pub use keyed::{depth, interval};
pub use linked::Recalled;
pub use market::Hub;
pub use resume::{Memory as Remembered, Refusal};
pub use subscribe::{Position, Wish};

use crate::encode::Codec;
use crate::latest::{Bar, Book, BookFrame, Topic, TradeRow};
use clients::Client;
use frames::{Arena, FrameRef};
use quantum::Quantum;
use topics::{Group, TopicState};
use wheel::Wheel;

/// Channel of newest state.
pub const CHANNEL_PRICE: u8 = 0;
/// Channel of every trade.
pub const CHANNEL_TRADES: u8 = 1;
/// Order book, five, ten and fifty levels deep.
pub const CHANNEL_BOOK_5: u8 = 2;
pub const CHANNEL_BOOK_10: u8 = 3;
pub const CHANNEL_BOOK_50: u8 = 4;
/// Bars of a second and of a minute.
pub const CHANNEL_BARS_1S: u8 = 5;
pub const CHANNEL_BARS_1M: u8 = 6;
/// Names of the channels, by number; what is in front of the colon is the channel that clients see.
pub const CHANNELS: [&str; 7] = [
    "price", "trades", "book:5", "book:10", "book:50", "bars:1s", "bars:1m",
];
/// Counters of a topic: one for each channel, but one for the book at all depths.
const COUNTERS: usize = 5;

/// The counter of a channel.
const fn counter(channel: u8) -> usize {
    match channel {
        CHANNEL_PRICE => 0,
        CHANNEL_TRADES => 1,
        CHANNEL_BOOK_5 | CHANNEL_BOOK_10 | CHANNEL_BOOK_50 => 2,
        CHANNEL_BARS_1S => 3,
        _ => 4,
    }
}

/// A snapshot, then what changed of it by key (levels of a book, bars): neither `price` nor `trades`.
pub(crate) const fn is_keyed(channel: u8) -> bool {
    channel >= CHANNEL_BOOK_5
}
/// The newest state is what matters.
pub const MODE_MERGE: u8 = 0;
/// Every change is a frame.
pub const MODE_ALL: u8 = 1;
/// Frames a second; 0 is unfiltered.
pub const RATE_CLASSES: [u8; 6] = [0, 1, 2, 5, 10, 20];

/// The class of subscriptions in mode `all` where classes are told apart by number.
pub const CLASS_ALL: u8 = RATE_CLASSES.len() as u8;
/// Of a frame that belongs to no subscription.
pub const CLASS_NONE: u8 = CLASS_ALL + 1;

/// The class of a subscription with these terms, where classes are told apart by number.
#[must_use]
pub fn class_of(channel: u8, rate: u8, mode: u8) -> u8 {
    if channel == CHANNEL_TRADES || channel == CHANNEL_PRICE && mode == MODE_ALL {
        return CLASS_ALL;
    }
    RATE_CLASSES
        .iter()
        .rposition(|class| *class <= rate)
        .unwrap_or(0) as u8
}

/// No index.
const NONE: u32 = u32::MAX;
/// Above this many bytes of frames a flush is not held any longer, and sends to everyone at once.
const ARENA_FLUSH: usize = 4 << 20;
/// Above this many, frames of mode `all` count as lost: nobody flushes.
const ARENA_MAX: usize = 256 << 20;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The first epoch to give out; it and all above have never been used.
    pub epoch: u64,
    pub history_count: usize,
    pub history_ns: i64,
    pub quantum_max_ns: i64,
    /// Bytes kept of mode `all` for a blocked client.
    pub buffer_max: usize,
    pub unsent_max: usize,
    pub undrained_max_ns: i64,
    pub field_sets_max: usize,
    /// Clients that one flush sends to before its caller may look at something else.
    pub sends_max: usize,
    /// Bytes that the kernel could not send yet at which a socket counts as full; 0 = as the system has it.
    pub watermark: usize,
    /// Time blocked, of about the last second, after which a client goes one class down; 0 = never.
    pub slow_blocked_ns: i64,
    /// Time without a block after which it goes one class up.
    pub slow_recover_ns: i64,
    /// A book's digest is in every so many of its change messages.
    pub digest_every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epoch: 1,
            history_count: 256,
            history_ns: 300_000_000_000,
            quantum_max_ns: 10_000_000,
            buffer_max: 262_144,
            unsent_max: 1_048_576,
            undrained_max_ns: 30_000_000_000,
            field_sets_max: 16,
            sends_max: 256,
            watermark: 65_536,
            slow_blocked_ns: 250_000_000,
            slow_recover_ns: 5_000_000_000,
            digest_every: 50,
        }
    }
}

/// What the hub needs of the state it delivers.
pub trait Source {
    fn last_trade_ns(&self, topic: Topic) -> i64;
    fn write_snapshot(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32);
    fn write_update(&self, out: &mut Vec<u8>, stamp: Stamp, fields: u32);
    fn write_status(&self, out: &mut Vec<u8>, stamp: Stamp);
    fn write_trade(&self, out: &mut Vec<u8>, stamp: Stamp, row: &TradeRow, text: Option<&str>);
    fn write_lost(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, count: u64);
    /// The book as it is now, at most `depth` levels a side.
    fn book(&self, topic: Topic, depth: u8, out: &mut Book);
    /// The bar of a begin, by number of the interval; `None` where there is none any more.
    fn bar(&self, topic: Topic, interval: usize, start_ns: i64) -> Option<Bar>;
    /// The newest `limit` bars, oldest first.
    fn bars(&self, topic: Topic, interval: usize, limit: usize, out: &mut Vec<Bar>);
    /// A snapshot where the frame has a state, else an update.
    fn write_book(&self, out: &mut Vec<u8>, stamp: Stamp, frame: &BookFrame<'_>);
    fn write_bar(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, bar: &Bar);
    /// A snapshot of bars.
    fn write_bars(&self, out: &mut Vec<u8>, stamp: Stamp, channel: u8, bars: &[Bar]);
}

/// What a subscription waits for.
mod waits {
    /// A frame with everything, `snapshot`.
    pub const SNAPSHOT: u8 = 1;
    /// Trades after `last`, from the history.
    pub const REPLAY: u8 = 2;
    /// What came after `last` was dropped, and its client has not been told.
    pub const LOSS: u8 = 4;
    /// An update with everything, at the group's next time.
    pub const BEHIND: u8 = 8;
    /// A new epoch began, and a client that gets no snapshot has not been told.
    pub const EPOCH: u8 = 16;
    /// While one of these is set, changes are not delivered one by one.
    pub const CATCHING_UP: u8 = SNAPSHOT | REPLAY | LOSS;
}

/// A client's interest in one channel of one topic.
#[derive(Debug, Clone)]
struct Sub {
    client: u32,
    topic: Topic,
    /// Place in the list of members it is in.
    at: u32,
    channel: u8,
    /// Index into [`RATE_CLASSES`]: in force, and as the client asked.
    class: u8,
    asked: u8,
    mode: u8,
    set: u8,
    /// Bits of [`waits`].
    waits: u8,
    base: u64,
    last: u64,
    delivered: u64,
    lost: u64,
}

impl Sub {
    /// The class as a [`Stamp`] tells it.
    fn stamp_class(&self) -> u8 {
        if self.mode == MODE_ALL {
            CLASS_ALL
        } else {
            self.class
        }
    }

    /// The client now stands at `seq`, by one frame.
    fn deliver(&mut self, seq: u64) -> bool {
        let is_news = seq > self.last;
        if is_news {
            self.last = seq;
            // What a client already knew when counting began is not counted.
            self.delivered += u64::from(seq > self.base);
        }
        is_news
    }
}

/// Field sets in use; number 0 is all fields, none of them by name.
#[derive(Debug)]
struct FieldSets {
    masks: Vec<u32>,
    users: Vec<u32>,
    max: usize,
}

impl FieldSets {
    fn new(max: usize) -> Self {
        Self {
            masks: vec![crate::latest::field::ALL],
            users: vec![1],
            max: max.clamp(1, 255),
        }
    }

    /// Number of the set of this mask; 0 where there are too many sets already.
    fn take(&mut self, fields: u32) -> u8 {
        let mask = fields & crate::latest::field::ALL;
        if mask == 0 {
            return 0;
        }
        let known =
            (1..self.masks.len()).find(|&set| self.masks[set] == mask && self.users[set] > 0);
        let set = known.or_else(|| (1..self.masks.len()).find(|&set| self.users[set] == 0));
        let set = match set {
            Some(set) => set,
            None if self.masks.len() < self.max => {
                self.masks.push(mask);
                self.users.push(0);
                self.masks.len() - 1
            }
            None => return 0,
        };
        self.masks[set] = mask;
        self.users[set] += 1;
        u8::try_from(set).unwrap_or(0)
    }

    fn release(&mut self, set: u8) {
        if set != 0 {
            self.users[usize::from(set)] -= 1;
        }
    }

    fn mask(&self, set: u8) -> u32 {
        self.masks[usize::from(set)]
    }

    /// The set as it was asked for: 0 where no field was named.
    fn asked(&self, set: u8) -> u32 {
        if set == 0 { 0 } else { self.mask(set) }
    }

    /// What an update of everything holds.
    fn of_whole_update(&self, set: u8) -> u32 {
        let named = if set == 0 {
            !crate::latest::field::SERVER_TIMESTAMP
        } else {
            u32::MAX
        };
        self.mask(set) & named
    }

    /// What an update of these changes holds: the time of sending only where it was asked for by name.
    fn of_update(&self, set: u8, changed: u32) -> u32 {
        let mask = self.mask(set);
        let news = changed & mask & !crate::latest::field::SERVER_TIMESTAMP;
        if news == 0 || set == 0 {
            news
        } else {
            news | mask & crate::latest::field::SERVER_TIMESTAMP
        }
    }
}

/// Topic, fields, codec.
type SnapshotKey = (Topic, u32, Codec);

/// The hub without its state: counters, subscriptions, conflation, gathering. The state is passed in by the caller.
#[derive(Debug)]
pub struct Fanout {
    settings: Settings,
    now_ns: i64,
    /// What clocks on the wall show beyond it: frames and the state tell that time.
    wall_ahead_ns: i64,
    epoch_next: u64,
    /// Number of the batch under way, and the topics it changed.
    batch: u64,
    changed: u64,
    topics: Vec<TopicState>,
    groups: Vec<Group>,
    groups_free: Vec<u32>,
    subs: Vec<Sub>,
    subs_free: Vec<u32>,
    clients: Vec<Client>,
    clients_free: Vec<u32>,
    field_sets: FieldSets,
    arena: Arena,
    /// References held by all clients.
    references: usize,
    /// Groups due at the next flush: of conflated classes, and unfiltered.
    ready: Vec<u32>,
    urgent: Vec<u32>,
    wheel: Wheel,
    /// Clients with something to send that is no conflated update; they are gathered until the next flush.
    dirty: Vec<ClientId>,
    /// Clients whose turn to be sent to has not come yet: with something urgent, and with conflated updates alone.
    turns_urgent: VecDeque<ClientId>,
    turns: VecDeque<ClientId>,
    /// Clients with a subscription that waits for something.
    attention: Vec<ClientId>,
    blocked: Vec<ClientId>,
    /// Snapshots in the arena by topic, fields and spelling, with the epoch and seq they show.
    snapshots: HashMap<SnapshotKey, ((u64, u64), FrameRef)>,
    /// Of what is conflated, and of what is unfiltered: a few unfiltered clients are not held for the sake of many
    /// conflated ones.
    quantum: Quantum,
    unfiltered: Quantum,
    /// When all was flushed, and when the unfiltered was.
    last_flush_ns: i64,
    last_urgent_ns: i64,
    /// When the limits of blocked clients are looked at again, and were last.
    check_ns: i64,
    checked_ns: i64,
    /// Class that no client may be above, the first client that has not been looked at for it, and who must be told of
    /// a change.
    cap: u8,
    recap_at: usize,
    shifted: Vec<Shift>,
    /// A quantum holds something conflated back.
    is_holding: bool,
    /// Updates and trades handed over since the last flush; of those that are conflated, since all had their turn.
    updates: u64,
    updates_patient: u64,
    /// Frames that had been encoded at the last flush.
    frames_before: u64,
    /// The bytes of one send; one for all clients.
    gathered: Vec<u8>,
    scratch: keyed::Scratch,
    places: events::Places,
}

impl Fanout {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            now_ns: 0,
            wall_ahead_ns: 0,
            epoch_next: settings.epoch,
            batch: 0,
            changed: 0,
            topics: Vec::new(),
            groups: Vec::new(),
            groups_free: Vec::new(),
            subs: Vec::new(),
            subs_free: Vec::new(),
            clients: Vec::new(),
            clients_free: Vec::new(),
            field_sets: FieldSets::new(settings.field_sets_max),
            arena: Arena::default(),
            references: 0,
            ready: Vec::new(),
            urgent: Vec::new(),
            wheel: Wheel::new(),
            dirty: Vec::new(),
            turns_urgent: VecDeque::new(),
            turns: VecDeque::new(),
            attention: Vec::new(),
            blocked: Vec::new(),
            snapshots: HashMap::new(),
            quantum: Quantum::new(settings.quantum_max_ns),
            unfiltered: Quantum::new(settings.quantum_max_ns),
            last_flush_ns: i64::MIN / 2,
            last_urgent_ns: i64::MIN / 2,
            check_ns: 0,
            checked_ns: 0,
            cap: 0,
            recap_at: usize::MAX,
            shifted: Vec::new(),
            is_holding: false,
            updates: 0,
            updates_patient: 0,
            frames_before: 0,
            gathered: Vec::new(),
            scratch: keyed::Scratch::default(),
            places: events::Places::default(),
            settings,
        }
    }

    /// The wall clock was set: it is now this much ahead of the times that the hub is told, which never jump.
    pub fn set_wall_ahead(&mut self, ahead_ns: i64) {
        self.wall_ahead_ns = ahead_ns;
    }

    /// What a clock on the wall shows.
    pub(crate) fn wall(&self, now_ns: i64) -> i64 {
        now_ns.saturating_add(self.wall_ahead_ns)
    }

    /// What a clock on the wall showed at the newest time the hub was told.
    pub(crate) fn wall_now(&self) -> i64 {
        self.wall(self.now_ns)
    }

    /// The hub's time never goes back.
    pub(crate) fn advance(&mut self, now_ns: i64) -> i64 {
        self.now_ns = self.now_ns.max(now_ns);
        self.now_ns
    }
}
