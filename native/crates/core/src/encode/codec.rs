//! How a client's messages are written, and what a frame around them looks like.

use crate::ws;

/// The codec of a connection; frames are encoded once for each of those in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Codec {
    /// JSON, prices and sizes as numbers with the venue's own digits.
    #[default]
    Json = 0,
    /// JSON, prices and sizes as strings.
    JsonStrings = 1,
    /// MessagePack maps with the keys of JSON.
    Msgpack = 2,
    /// MessagePack, updates as positional arrays.
    MsgpackCompact = 3,
    /// `ServerFrame` of `proto/tickcast.proto`.
    Proto = 4,
    /// What a hub sends to a gateway worker: no WebSocket, frames with their length in front.
    Link = 5,
    /// JSON as server-sent events: no WebSocket, an event of `text/event-stream` for each message.
    Events = 6,
    /// The same with prices and sizes as strings.
    EventsStrings = 7,
}

impl Codec {
    /// All codecs, by number.
    pub const ALL: [Self; 8] = [
        Self::Json,
        Self::JsonStrings,
        Self::Msgpack,
        Self::MsgpackCompact,
        Self::Proto,
        Self::Link,
        Self::Events,
        Self::EventsStrings,
    ];

    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// JSON with numbers as strings.
    #[must_use]
    pub const fn strings(self) -> bool {
        matches!(self, Self::JsonStrings | Self::EventsStrings)
    }

    /// Whether its messages are server-sent events.
    #[must_use]
    pub const fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::EventsStrings)
    }

    #[must_use]
    pub const fn is_json(self) -> bool {
        matches!(
            self,
            Self::Json | Self::JsonStrings | Self::Events | Self::EventsStrings
        )
    }

    /// Opcode of its WebSocket messages.
    #[must_use]
    pub const fn opcode(self) -> u8 {
        if self.is_json() {
            ws::opcode::TEXT
        } else {
            ws::opcode::BINARY
        }
    }
}
