//! What owner and worker tell each other besides data: one struct for each, with how it is written and read.

use super::wire::{Fields, Value, Wire, write_frame};
use crate::hub::{CHANNELS, CLASS_ALL, Refusal, is_keyed};
use crate::latest::TradeRow;

/// Both sides speak the same version, or the link is refused.
pub const VERSION: u64 = 1;
/// A frame is never longer; what would be comes in several.
pub const FRAME_MAX: usize = 16 << 20;
/// Symbols, topics or wants in one frame, at most.
pub const LIST_MAX: usize = 100_000;

/// What is wrong with a frame: the link is closed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError(pub String);

impl core::fmt::Display for LinkError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for LinkError {}

/// Kinds of the owner's frames.
pub mod owner_kind {
    pub const WELCOME: u8 = 1;
    pub const SNAPSHOT: u8 = 2;
    pub const UPDATE: u8 = 3;
    pub const TRADE: u8 = 4;
    pub const STATUS: u8 = 5;
    pub const LOST: u8 = 6;
    pub const BOOK: u8 = 7;
    pub const BARS: u8 = 8;
    pub const STANDING: u8 = 9;
    pub const DONE: u8 = 10;
    pub const MATCHED: u8 = 11;
    pub const LISTED: u8 = 12;
    pub const NOTE: u8 = 13;
    pub const REFUSED: u8 = 14;
}

/// Kinds of the worker's frames.
pub mod worker_kind {
    pub const HELLO: u8 = 65;
    pub const ASK: u8 = 66;
    pub const WITHDRAW: u8 = 67;
    pub const WATCHERS: u8 = 68;
    pub const BARRIER: u8 = 69;
    pub const MATCH: u8 = 70;
}

/// A channel of a topic in one rate class ([`crate::hub::CLASS_ALL`]: every change).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The owner's number.
    pub topic: u32,
    pub channel: u8,
    pub class: u8,
    /// Clients that watch, where that is told.
    pub watchers: u32,
}

impl Place {
    fn write(&self, wire: &mut Wire<'_>) {
        wire.number(1, self.topic.into());
        wire.number(2, self.channel.into());
        wire.number(3, self.class.into());
        wire.number(4, self.watchers.into());
    }

    fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut place = Self::default();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next_field()? {
            match field {
                1 => place.topic = value.small()?,
                2 => place.channel = channel_of(value)?,
                3 => place.class = class_of(value)?,
                4 => place.watchers = value.small()?,
                _ => {}
            }
        }
        check_class(place.channel, place.class)?;
        Ok(place)
    }
}

/// What a worker asks for: interest, and where a client stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want {
    pub symbol: String,
    pub channel: u8,
    pub class: u8,
    pub watchers: u32,
    /// Where a client stopped: `epoch` and `seq`, or a time and its precision; nothing where all are 0.
    pub epoch: u64,
    pub seq: u64,
    pub last_seen_ns: i64,
    pub precision_ns: i64,
    /// The worker itself stands here: trades after it are sent again where they are still known.
    pub from_epoch: u64,
    pub from_seq: u64,
}

impl Want {
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.epoch != 0 || self.last_seen_ns != 0
    }

    fn write(&self, wire: &mut Wire<'_>) {
        wire.text(1, &self.symbol);
        wire.number(2, self.channel.into());
        wire.number(3, self.class.into());
        wire.number(4, self.watchers.into());
        wire.number(5, self.epoch);
        wire.number(6, self.seq);
        wire.signed(7, self.last_seen_ns);
        wire.signed(8, self.precision_ns);
        wire.number(9, self.from_epoch);
        wire.number(10, self.from_seq);
    }

    fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut want = Self::default();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next_field()? {
            match field {
                1 => want.symbol = value.text()?.to_owned(),
                2 => want.channel = channel_of(value)?,
                3 => want.class = class_of(value)?,
                4 => want.watchers = value.small()?,
                5 => want.epoch = value.number()?,
                6 => want.seq = value.number()?,
                7 => want.last_seen_ns = value.signed()?,
                8 => want.precision_ns = value.signed()?,
                9 => want.from_epoch = value.number()?,
                10 => want.from_seq = value.number()?,
                _ => {}
            }
        }
        check_class(want.channel, want.class)?;
        Ok(want)
    }
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerFrame {
    Hello {
        version: u64,
        name: String,
        pid: u64,
    },
    /// Answered by a standing for each, then `Done`; not at all where the token is 0.
    Ask {
        token: u64,
        wants: Vec<Want>,
    },
    Withdraw(Vec<Place>),
    Watchers(Vec<Place>),
    /// Everything published until now, then `Done`.
    Barrier {
        token: u64,
        places: Vec<Place>,
    },
    Match {
        token: u64,
        pattern: String,
        limit: u64,
    },
}

impl WorkerFrame {
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { version, name, pid } => write_frame(out, worker_kind::HELLO, |wire| {
                wire.number(1, *version);
                wire.text(2, name);
                wire.number(3, *pid);
            }),
            Self::Ask { token, wants } => write_frame(out, worker_kind::ASK, |wire| {
                wire.number(1, *token);
                for want in wants {
                    wire.nested(2, |wire| want.write(wire));
                }
            }),
            Self::Withdraw(places) => write_places(out, worker_kind::WITHDRAW, 0, places),
            Self::Watchers(places) => write_places(out, worker_kind::WATCHERS, 0, places),
            Self::Barrier { token, places } => {
                write_places(out, worker_kind::BARRIER, *token, places);
            }
            Self::Match {
                token,
                pattern,
                limit,
            } => write_frame(out, worker_kind::MATCH, |wire| {
                wire.number(1, *token);
                wire.text(2, pattern);
                wire.number(3, *limit);
            }),
        }
    }

    /// # Errors
    /// The message is none of this kind, or there is no such kind.
    pub fn read(kind: u8, message: &[u8]) -> Result<Self, LinkError> {
        let (mut token, mut number) = (0, 0);
        let mut text = "";
        let mut parts = Vec::new();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next_field()? {
            match (field, value) {
                (1, value) => token = value.number()?,
                (2, Value::Bytes(bytes))
                    if matches!(kind, worker_kind::HELLO | worker_kind::MATCH) =>
                {
                    text = Value::Bytes(bytes).text()?;
                }
                (2, value) => parts.push(value.bytes()?),
                (3, value) => number = value.number()?,
                _ => {}
            }
        }
        if parts.len() > LIST_MAX {
            return Err(LinkError(format!(
                "expected at most {LIST_MAX} entries in a frame, found {}",
                parts.len()
            )));
        }
        let places = || -> Result<Vec<Place>, LinkError> {
            parts.iter().map(|part| Place::read(part)).collect()
        };
        Ok(match kind {
            worker_kind::HELLO => Self::Hello {
                version: token,
                name: text.to_owned(),
                pid: number,
            },
            worker_kind::ASK => Self::Ask {
                token,
                wants: parts
                    .iter()
                    .map(|part| Want::read(part))
                    .collect::<Result<_, _>>()?,
            },
            worker_kind::WITHDRAW => Self::Withdraw(places()?),
            worker_kind::WATCHERS => Self::Watchers(places()?),
            worker_kind::BARRIER => Self::Barrier {
                token,
                places: places()?,
            },
            worker_kind::MATCH => Self::Match {
                token,
                pattern: text.to_owned(),
                limit: number,
            },
            _ => return Err(unknown(kind)),
        })
    }
}

fn write_places(out: &mut Vec<u8>, kind: u8, token: u64, places: &[Place]) {
    write_frame(out, kind, |wire| {
        wire.number(1, token);
        for place in places {
            wire.nested(2, |wire| place.write(wire));
        }
    });
}

pub(super) fn unknown(kind: u8) -> LinkError {
    LinkError(format!("expected a kind of frame, found {kind}"))
}

pub(super) fn channel_of(value: Value<'_>) -> Result<u8, LinkError> {
    let channel: u8 = value.small()?;
    if usize::from(channel) < crate::hub::CHANNELS.len() {
        Ok(channel)
    } else {
        Err(LinkError(format!("expected a channel, found {channel}")))
    }
}

pub(super) fn class_of(value: Value<'_>) -> Result<u8, LinkError> {
    let class: u8 = value.small()?;
    if class <= crate::hub::CLASS_NONE {
        Ok(class)
    } else {
        Err(LinkError(format!("expected a rate class, found {class}")))
    }
}

/// Books and bars go by rate, prices and trades also one by one; nothing is watched in no class.
pub(super) fn check_class(channel: u8, class: u8) -> Result<(), LinkError> {
    let highest = if is_keyed(channel) {
        CLASS_ALL - 1
    } else {
        CLASS_ALL
    };
    if class <= highest {
        return Ok(());
    }
    Err(LinkError(format!(
        "expected a rate class of up to {highest} for {}, found {class}",
        CHANNELS[usize::from(channel)]
    )))
}

/// What became of a client's wish to pick up where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did not ask.
    None,
    /// It stands at this seq; `None`: at one of several.
    At(Option<u64>),
    Refused(Refusal),
}

/// A trade as history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    pub seq: u64,
    pub row: TradeRow,
    pub text: Option<String>,
}

/// The answer to one want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub token: u64,
    /// Place of the want in what was asked.
    pub index: u32,
    /// False: there is no such symbol, and the rest says nothing.
    pub is_known: bool,
    pub place: Place,
    pub epoch: u64,
    pub seq: u64,
    pub outcome: Outcome,
    /// The trades from where the client stopped to `seq`, without a hole.
    pub missed: Vec<Missed>,
}

impl Standing {
    pub fn write(&self, out: &mut Vec<u8>) {
        write_frame(out, owner_kind::STANDING, |wire| {
            wire.number(1, self.token);
            wire.number(2, self.index.into());
            wire.number(3, self.is_known.into());
            wire.nested(4, |wire| self.place.write(wire));
            wire.number(5, self.epoch);
            wire.number(6, self.seq);
            match self.outcome {
                Outcome::None => {}
                Outcome::At(seq) => {
                    wire.number(7, 1);
                    if let Some(seq) = seq {
                        wire.some_number(8, seq);
                    }
                }
                Outcome::Refused(refusal) => wire.number(7, 2 + refusal as u64),
            }
            for missed in &self.missed {
                wire.nested(9, |wire| {
                    super::encode::write_trade_fields(
                        wire,
                        missed.seq,
                        &missed.row,
                        missed.text.as_deref(),
                    );
                });
            }
        });
    }

    pub(super) fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut standing = Self {
            token: 0,
            index: 0,
            is_known: false,
            place: Place::default(),
            epoch: 0,
            seq: 0,
            outcome: Outcome::None,
            missed: Vec::new(),
        };
        let (mut outcome, mut at) = (0, None);
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next_field()? {
            match field {
                1 => standing.token = value.number()?,
                2 => standing.index = value.small()?,
                3 => standing.is_known = value.number()? != 0,
                4 => standing.place = Place::read(value.bytes()?)?,
                5 => standing.epoch = value.number()?,
                6 => standing.seq = value.number()?,
                7 => outcome = value.number()?,
                8 => at = Some(value.number()?),
                9 => standing
                    .missed
                    .push(super::encode::read_missed(value.bytes()?)?),
                _ => {}
            }
        }
        standing.outcome = match outcome {
            0 => Outcome::None,
            1 => Outcome::At(at),
            2 => Outcome::Refused(Refusal::EpochChanged),
            3 => Outcome::Refused(Refusal::Ahead),
            4 => Outcome::Refused(Refusal::TooOld),
            _ => Outcome::Refused(Refusal::Unknown),
        };
        Ok(standing)
    }
}

/// What the owner says besides data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerFrame {
    Welcome {
        version: u64,
    },
    Done {
        token: u64,
    },
    Matched {
        token: u64,
        symbols: Vec<String>,
    },
    Listed(Vec<String>),
    /// Messages of channel `status` as JSON; `is_whole`: what was told before is void.
    Note {
        is_whole: bool,
        texts: Vec<String>,
    },
    /// Why the link is closed.
    Refused(String),
}

impl OwnerFrame {
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome { version } => {
                write_frame(out, owner_kind::WELCOME, |wire| wire.number(1, *version));
            }
            Self::Done { token } => {
                write_frame(out, owner_kind::DONE, |wire| wire.number(1, *token));
            }
            Self::Matched { token, symbols } => {
                write_symbols(out, owner_kind::MATCHED, *token, symbols);
            }
            Self::Listed(symbols) => write_symbols(out, owner_kind::LISTED, 0, symbols),
            Self::Note { is_whole, texts } => {
                write_symbols(out, owner_kind::NOTE, (*is_whole).into(), texts);
            }
            Self::Refused(reason) => {
                write_frame(out, owner_kind::REFUSED, |wire| wire.text(2, reason));
            }
        }
    }

    /// # Errors
    /// The message is none of this kind, or there is no such kind.
    pub fn read(kind: u8, message: &[u8]) -> Result<Self, LinkError> {
        let mut number = 0;
        let mut texts = Vec::new();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next_field()? {
            match field {
                1 => number = value.number()?,
                2 => texts.push(value.text()?.to_owned()),
                _ => {}
            }
        }
        Ok(match kind {
            owner_kind::WELCOME => Self::Welcome { version: number },
            owner_kind::DONE => Self::Done { token: number },
            owner_kind::NOTE => Self::Note {
                is_whole: number != 0,
                texts,
            },
            owner_kind::REFUSED => Self::Refused(texts.pop().unwrap_or_default()),
            owner_kind::MATCHED => Self::Matched {
                token: number,
                symbols: texts,
            },
            owner_kind::LISTED => Self::Listed(texts),
            _ => return Err(unknown(kind)),
        })
    }
}

fn write_symbols(out: &mut Vec<u8>, kind: u8, token: u64, symbols: &[String]) {
    write_frame(out, kind, |wire| {
        wire.number(1, token);
        for symbol in symbols {
            wire.bytes(2, symbol.as_bytes());
        }
    });
}
