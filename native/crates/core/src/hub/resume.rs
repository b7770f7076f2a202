//! Picking up where a lost connection ended: only what can be proved counts as recovered.

use super::clients::ClientId;
use super::history::Found;
use super::{CHANNEL_PRICE, Fanout, counter, is_keyed, waits};
use crate::latest::Topic;

/// Why a position cannot be picked up; the words that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    EpochChanged,
    Ahead,
    TooOld,
    Unknown,
}

impl Refusal {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EpochChanged => "epoch_changed",
            Self::Ahead => "ahead",
            Self::TooOld => "too_old",
            Self::Unknown => "unknown",
        }
    }
}

/// What the client remembers.
#[derive(Debug, Clone, Copy)]
pub enum Memory {
    Position {
        epoch: u64,
        seq: u64,
    },
    /// The newest `timestamp` it saw, known to so many ns.
    LastSeen {
        timestamp_ns: i64,
        precision_ns: i64,
    },
}

impl Fanout {
    /// Picks up a subscription that was just begun.
    ///
    /// # Errors
    /// The reason why continuity cannot be proved; on `price` the snapshot goes out, on `trades` nothing is repeated.
    pub fn resume(
        &mut self,
        id: ClientId,
        channel: u8,
        topic: Topic,
        memory: Memory,
    ) -> Result<(), Refusal> {
        let client = self.index_of(id).ok_or(Refusal::Unknown)?;
        let index = self
            .find_sub(client, channel, topic)
            .ok_or(Refusal::Unknown)?;
        if is_keyed(channel) {
            return Err(self.refuse_keyed(channel, topic, memory));
        }
        let found = self.locate(channel, topic, memory)?;
        self.resume_at(client, index, found)
    }

    /// Picks up where the client stands: at `found`, or at one of several.
    pub(super) fn resume_at(
        &mut self,
        client: u32,
        index: u32,
        found: Option<u64>,
    ) -> Result<(), Refusal> {
        let (channel, topic) = {
            let sub = &self.subs[index as usize];
            (sub.channel, sub.topic)
        };
        let newest = self.topics[topic as usize].seq[counter(channel)];
        let sub = &mut self.subs[index as usize];
        if channel == CHANNEL_PRICE {
            // A subscription that is not fresh has already moved on: its own flags say what it needs.
            if found == Some(newest) && sub.last == newest && sub.delivered == 0 {
                sub.waits &= !waits::SNAPSHOT;
            }
            return Ok(());
        }
        let seq = found.ok_or(Refusal::Unknown)?;
        if sub.delivered == 0 && sub.last == sub.base && seq < newest {
            sub.last = seq;
            sub.waits |= waits::REPLAY;
            super::Client::want_attention(&mut self.clients, client, &mut self.attention);
        }
        Ok(())
    }

    /// Nothing is kept of books and bars: everyone gets a snapshot.
    pub(super) fn refuse_keyed(&self, channel: u8, topic: Topic, memory: Memory) -> Refusal {
        let state = &self.topics[topic as usize];
        let newest = state.seq[counter(channel)];
        match memory {
            Memory::Position { epoch, .. } if epoch != state.epoch => Refusal::EpochChanged,
            Memory::Position { seq, .. } if seq > newest => Refusal::Ahead,
            Memory::Position { .. } => Refusal::TooOld,
            Memory::LastSeen { .. } => Refusal::Unknown,
        }
    }

    /// The seq at which the client stands; `None` for one of several.
    pub(super) fn locate(
        &self,
        channel: u8,
        topic: Topic,
        memory: Memory,
    ) -> Result<Option<u64>, Refusal> {
        let state = &self.topics[topic as usize];
        let newest = state.seq[counter(channel)];
        let is_price = channel == CHANNEL_PRICE;
        match memory {
            Memory::Position { epoch, .. } if epoch != state.epoch => Err(Refusal::EpochChanged),
            Memory::Position { seq, .. } if seq > newest => Err(Refusal::Ahead),
            Memory::Position { seq, .. } => {
                let oldest = if is_price {
                    state.prices.oldest(newest)
                } else {
                    state.trades.oldest(newest)
                };
                if seq < oldest && seq < newest {
                    Err(Refusal::TooOld)
                } else {
                    Ok(Some(seq))
                }
            }
            Memory::LastSeen {
                timestamp_ns,
                precision_ns,
            } => {
                let precision = precision_ns.max(1);
                let found = if is_price {
                    state.prices.find(timestamp_ns, precision, newest)
                } else {
                    state.trades.find(timestamp_ns, precision, newest)
                };
                match found {
                    Found::At(seq) => Ok(Some(seq)),
                    Found::Tie => Ok(None),
                    Found::TooOld => Err(Refusal::TooOld),
                    Found::Ahead => Err(Refusal::Ahead),
                    Found::Unknown => Err(Refusal::Unknown),
                }
            }
        }
    }
}
