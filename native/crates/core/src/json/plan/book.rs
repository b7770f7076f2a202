//! A declared book, compiled: where its levels stand, and the rule that proves it.

use super::super::dialect;
use super::super::path::Path;
use super::super::read::{KeyPlan, RowMatch, TimePlan, texts};
use super::{LevelsPlan, at, levels, matches, needed, optional, time};
use crate::books::{self, Rule};

#[derive(Debug)]
pub struct BookPlan {
    /// `None`: of an answer over REST.
    pub key: Option<KeyPlan>,
    pub levels: LevelsPlan,
    pub price: Path,
    pub size: Path,
    /// Where entries without these have them.
    pub or_price: Option<Path>,
    pub or_size: Option<Path>,
    /// A price of 0 is no level.
    pub zero_is_none: bool,
    pub action: Option<Path>,
    pub deleted: Box<[Box<[u8]>]>,
    /// Where the venue's id of a level stands, and the words of an action that inserts it.
    pub id: Option<Path>,
    pub inserted: Box<[Box<[u8]>]>,
    /// Of a frame without rows: where the name of the book stands that is empty.
    pub empty: Option<KeyPlan>,
    /// Index of its rule.
    pub kind: u16,
    /// Every message is a whole book.
    pub every: bool,
    pub snapshot: Box<[RowMatch]>,
    pub first: Option<Path>,
    pub last: Option<Path>,
    pub previous: Option<Path>,
    pub checksum: Option<Path>,
    pub depth_from: Option<Path>,
    pub time: Option<TimePlan>,
}

impl BookPlan {
    /// Whether the rows of a message are the levels.
    #[must_use]
    pub const fn has_rows(&self) -> bool {
        matches!(self.levels, LevelsPlan::Mixed { list: None, .. })
    }
}

const fn chain(declared: dialect::Chain) -> books::Chain {
    match declared {
        dialect::Chain::Range => books::Chain::Range,
        dialect::Chain::Previous => books::Chain::Previous,
        dialect::Chain::Consecutive => books::Chain::Consecutive,
        dialect::Chain::Ordered => books::Chain::Ordered,
        dialect::Chain::None => books::Chain::None,
    }
}

pub(super) fn rule(declared: &dialect::BookRule, counted: bool) -> Result<Rule, String> {
    let first_at = declared
        .first_at
        .map(|first| i64::try_from(first).map_err(|_| "rule.first_at: too large".to_owned()))
        .transpose()?;
    Ok(Rule {
        chain: chain(declared.chain),
        snapshot: match declared.snapshot {
            dialect::SnapshotFrom::Stream => books::SnapshotFrom::Stream,
            dialect::SnapshotFrom::First => books::SnapshotFrom::First,
            dialect::SnapshotFrom::Rest => books::SnapshotFrom::Rest,
            dialect::SnapshotFrom::Asked => books::SnapshotFrom::Asked,
            dialect::SnapshotFrom::Every => books::SnapshotFrom::Every,
        },
        checksum: declared.checksum.map(|checksum| match checksum {
            dialect::ChecksumKind::Kraken => books::ChecksumKind::Kraken,
            dialect::ChecksumKind::KrakenV1 => books::ChecksumKind::KrakenV1,
            dialect::ChecksumKind::Okx => books::ChecksumKind::Okx,
            dialect::ChecksumKind::Bitfinex => books::ChecksumKind::Bitfinex,
        }),
        scope: match declared.scope {
            dialect::Scope::Instrument => books::Scope::Instrument,
            dialect::Scope::Channel => books::Scope::Channel,
            dialect::Scope::Connection => books::Scope::Connection,
        },
        first_at,
        same_is_empty: declared.same_is_empty,
        overlaps: declared.overlaps,
        depth: u32::try_from(declared.depth).map_err(|_| "rule.depth: too large".to_owned())?,
        counted,
    })
}

/// Whether a book says all that its rule needs.
pub(super) fn check(declared: &dialect::Book) -> Result<(), String> {
    let (first, last) = (("first", &declared.first), ("last", &declared.last));
    let wanted = match declared.rule.chain {
        dialect::Chain::Range => vec![first, last],
        dialect::Chain::Previous => vec![("previous", &declared.previous), last],
        dialect::Chain::Consecutive | dialect::Chain::Ordered => vec![last],
        dialect::Chain::None => Vec::new(),
    };
    for (name, path) in wanted {
        needed(name, path)?;
    }
    // Bitfinex's comes in a message of its own
    if declared
        .rule
        .checksum
        .is_some_and(|kind| kind != dialect::ChecksumKind::Bitfinex)
    {
        needed("checksum", &declared.checksum)?;
    }
    let waits = matches!(
        declared.rule.snapshot,
        dialect::SnapshotFrom::Rest | dialect::SnapshotFrom::Asked
    );
    if declared.levels.zero_is_none && !declared.levels.id.is_empty() {
        return Err("levels.zero_is_none: expected levels without ids, found ids".into());
    }
    if waits && !declared.levels.id.is_empty() {
        return Err("levels.id: expected books that begin in the stream, found others".into());
    }
    Ok(())
}

/// Whether the message has nothing but the checksum of the book.
fn is_checksum_alone(declared: &dialect::Book) -> bool {
    let levels = &declared.levels;
    let paths = [&levels.bids, &levels.asks, &levels.mixed];
    paths.iter().all(|path| path.is_empty()) && !declared.checksum.is_empty()
}

pub(super) fn book(
    declared: &dialect::Book,
    key: Option<KeyPlan>,
    kind: u16,
) -> Result<BookPlan, String> {
    Ok(BookPlan {
        key,
        levels: match levels(&declared.levels) {
            Err(_) if is_checksum_alone(declared) => LevelsPlan::Sides {
                bids: None,
                asks: None,
            },
            levels => levels?,
        },
        price: needed("levels.price", &declared.levels.price)?,
        size: needed("levels.size", &declared.levels.size)?,
        or_price: optional("levels.or_price", &declared.levels.or_price)?,
        or_size: optional("levels.or_size", &declared.levels.or_size)?,
        zero_is_none: declared.levels.zero_is_none,
        action: optional("levels.action", &declared.levels.action)?,
        deleted: texts(&declared.levels.deleted),
        id: optional("levels.id", &declared.levels.id)?,
        inserted: texts(&declared.levels.inserted),
        empty: declared
            .empty
            .as_ref()
            .map(|key| at("empty", KeyPlan::new(key)))
            .transpose()?,
        kind,
        every: declared.rule.snapshot == dialect::SnapshotFrom::Every,
        snapshot: matches("snapshot", &declared.snapshot)?,
        first: optional("first", &declared.first)?,
        last: optional("last", &declared.last)?,
        previous: optional("previous", &declared.previous)?,
        checksum: optional("checksum", &declared.checksum)?,
        depth_from: optional("rule.depth_from", &declared.rule.depth_from)?,
        time: time(declared.time.as_ref())?,
    })
}
