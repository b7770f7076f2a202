//! What proves that a book is whole, as declared: `BookRule` of `venues/declared/dialect.py`.

/// What chains the messages of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Ids `first..last`, each message begins after its predecessor's last; where messages have a `previous` too, it must be
    /// the predecessor's last.
    Range,
    /// `previous` is the predecessor's `last`.
    Previous,
    /// `last` is the predecessor's + 1.
    Consecutive,
    /// `last` only grows, as a time does: a message that is missing shows nowhere, one that is out of its order does.
    Ordered,
    None,
}

impl Chain {
    /// Whether a message that is in its place says that nothing is missing before it.
    #[must_use]
    pub const fn proves(self) -> bool {
        matches!(self, Self::Range | Self::Previous | Self::Consecutive)
    }
}

/// Where the beginning of a book comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFrom {
    Stream,
    /// The first message behind a subscription, and no other: one that says so of itself later is a difference.
    First,
    Rest,
    /// From an answer on the connection of the differences, which wait for it.
    Asked,
    /// Every message is a whole book.
    Every,
}

impl SnapshotFrom {
    /// Whether differences wait for the beginning, and are applied on top of it.
    #[must_use]
    pub const fn is_waited_for(self) -> bool {
        matches!(self, Self::Rest | Self::Asked)
    }
}

/// Which checksum the messages carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    Kraken,
    KrakenV1,
    Okx,
    Bitfinex,
}

impl ChecksumKind {
    /// Whether it comes in messages of its own, behind the changes: between them a book stays what it was.
    #[must_use]
    pub const fn is_apart(self) -> bool {
        matches!(self, Self::Bitfinex)
    }
}

/// What a break concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Instrument,
    /// All books of the message's kind on the connection.
    Channel,
    /// All books of the connection.
    Connection,
}

impl Scope {
    /// The word that Python knows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Instrument => "instrument",
            Self::Channel => "channel",
            Self::Connection => "connection",
        }
    }
}

/// The rule of a declared book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub chain: Chain,
    pub snapshot: SnapshotFrom,
    pub checksum: Option<ChecksumKind>,
    pub scope: Scope,
    /// With [`Chain::Consecutive`]: this id begins a new book whatever came before.
    pub first_at: Option<i64>,
    /// With [`Chain::Previous`]: `previous == last` says that nothing changed.
    pub same_is_empty: bool,
    /// With [`Chain::Range`] or [`Chain::Previous`]: a message may tell again of ids that its predecessor had; sizes are
    /// absolute.
    pub overlaps: bool,
    /// Levels a side that the venue keeps; 0 = all.
    pub depth: u32,
    /// A counter of the connection ([`super::Books::break_link`]) proves that no message is missing.
    pub counted: bool,
}
