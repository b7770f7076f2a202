//! Which keys of a row a declaration reads or names: all others are counted as drift.

use super::dialect;
use super::path::Path;
use super::plan::{BookPlan, EmitPlan, LevelsPlan, SidePlan, WrittenPlan};
use super::read::{KeyPlan, TimePlan};

/// Keys of a row that are read or named, those that conditions on the frame look at too.
pub(super) fn known(declared: &dialect::Message, emits: &[EmitPlan]) -> Box<[Box<[u8]>]> {
    let fields = declared.fields.iter().map(String::as_str);
    let probes = declared.when.iter().map(|each| each.path.as_str());
    let seen = probes.filter_map(|path| key_in_row(&declared.rows, path));
    let changing = declared.cold_when_changed.iter();
    let changing = changing.filter_map(|path| path.split('.').next());
    let mut known: Vec<Box<[u8]>> = fields
        .chain(seen)
        .chain(changing)
        .map(|key| key.as_bytes().into())
        .collect();
    for emit in emits {
        emit.visit(&mut |path| {
            let of_frame = path
                .text()
                .strip_prefix('/')
                .and_then(|path| key_in_row(&declared.rows, path))
                .map(str::as_bytes);
            known.extend(path.row_key().or(of_frame).map(Into::into));
        });
    }
    known.sort_unstable();
    known.dedup();
    known.into()
}

/// The key of a row that a path of the frame goes through.
fn key_in_row<'t>(rows: &str, path: &'t str) -> Option<&'t str> {
    let inner = if rows.is_empty() {
        path
    } else {
        path.strip_prefix(rows)?.strip_prefix('.')?
    };
    let is_number = |step: &&str| step.parse::<i32>().is_ok();
    inner.split('.').find(|step| !is_number(step))
}

impl EmitPlan {
    /// Where the name of a row's instrument stands; every emit of a message has one.
    #[must_use]
    pub fn key(&self) -> Option<&KeyPlan> {
        match self {
            Self::Trades(plan) => Some(&plan.key),
            Self::Quotes(plan) => Some(&plan.key),
            Self::Book(plan) => plan.key.as_ref(),
            Self::Measures(plan) => Some(&plan.key),
        }
    }

    pub(super) const fn key_mut(&mut self) -> Option<&mut KeyPlan> {
        match self {
            Self::Trades(plan) => Some(&mut plan.key),
            Self::Quotes(plan) => Some(&mut plan.key),
            Self::Book(plan) => plan.key.as_mut(),
            Self::Measures(plan) => Some(&mut plan.key),
        }
    }

    /// Every path that is read from a row.
    fn visit(&self, see: &mut impl FnMut(&Path)) {
        match self {
            Self::Trades(plan) => {
                [&plan.key.path, &plan.price, &plan.size]
                    .into_iter()
                    .chain(&plan.id)
                    .chain(&plan.seq)
                    .chain(&plan.covers)
                    .chain(plan.aggressor.as_ref().map(|aggressor| &aggressor.path))
                    .chain(plan.time.as_ref().map(TimePlan::path))
                    .chain(plan.history.iter().chain(&plan.only).map(|each| &each.path))
                    .for_each(see);
            }
            Self::Quotes(plan) => {
                let sides = plan.sides.iter();
                sides
                    .flat_map(|(price, size)| core::iter::once(price).chain(size))
                    .chain([&plan.key.path])
                    .chain(&plan.seq)
                    .chain(plan.time.as_ref().map(TimePlan::path))
                    .for_each(see);
            }
            Self::Book(plan) => plan.visit(see),
            Self::Measures(plan) => {
                let values = plan.values.iter().map(|value| &value.path);
                values
                    .chain([&plan.key.path])
                    .chain(plan.time.as_ref().map(TimePlan::path))
                    .for_each(see);
            }
        }
    }
}

impl BookPlan {
    fn visit(&self, see: &mut impl FnMut(&Path)) {
        let lists = match &self.levels {
            LevelsPlan::Sides { bids, asks } => [bids.as_ref(), asks.as_ref()],
            LevelsPlan::Mixed { list, .. } => [list.as_ref(), None],
            LevelsPlan::Written(WrittenPlan { list, .. }) => [Some(list), None],
            LevelsPlan::Alone { .. } => [None, None],
        };
        // entries of lists have keys of their own; levels that are rows have the row's
        let of_rows = match &self.levels {
            LevelsPlan::Mixed {
                list: None,
                side: SidePlan::Words { path, .. },
            }
            | LevelsPlan::Alone { side: path, .. } => Some([path, &self.price, &self.size]),
            _ => None,
        };
        let more = [&self.id, &self.action].into_iter().flatten();
        let key = self.key.as_ref().map(|key| &key.path);
        key.into_iter()
            .chain(lists.into_iter().flatten())
            .chain(more.filter(|_| of_rows.is_some()))
            .chain(of_rows.into_iter().flatten())
            .chain(&self.first)
            .chain(&self.last)
            .chain(&self.previous)
            .chain(&self.checksum)
            .chain(&self.depth_from)
            .chain(self.time.as_ref().map(TimePlan::path))
            .chain(self.snapshot.iter().map(|each| &each.path))
            .for_each(see);
    }
}
