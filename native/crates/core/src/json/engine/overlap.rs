//! Rows that come over two connections, and numbers of trades that are missing on one or both.

use xxhash_rust::xxh3::xxh3_64;

use super::super::decoded::Decoded;
use super::super::plan::MeasuresPlan;
use super::super::trades::Id;
use super::super::twins::{Missing, Place};
use super::{Call, Engine, Hole, Print, provenance};
use crate::books::Source;
use crate::record::{Record, flag, kind};

impl Engine {
    /// Counts a trade of a connection that has a twin; true: it has no number, and the twin told it before.
    pub(super) fn is_twice(
        &mut self,
        index: u32,
        of: u8,
        record: &Record,
        id: &Id<'_>,
        call: &Call<'_>,
    ) -> bool {
        if record.id != 0 {
            let number = record.id.cast_signed();
            self.twins.note(index, of, number, call.link, call.ts_recv);
        }
        if of == kind::TRADE && (!matches!(id, Id::None) || record.seq != 0) {
            return false; // dropped by its key
        }
        let mut said = [0_u8; 48];
        said[..8].copy_from_slice(&record.ts_event.to_le_bytes());
        said[8..16].copy_from_slice(&record.price.to_le_bytes());
        said[16..24].copy_from_slice(&record.size.to_le_bytes());
        said[24..28].copy_from_slice(&[of, record.side, record.price_scale, record.size_scale]);
        said[32..40].copy_from_slice(&record.id.to_le_bytes());
        said[40..].copy_from_slice(&record.seq.to_le_bytes());
        let known = &mut self.known[index as usize];
        let is_repeated = known.unnumbered.is_repeated(xxh3_64(&said), call.link);
        self.repeated += u64::from(is_repeated);
        is_repeated
    }

    /// Tells a gap where numbers of trades are missing. True: the number is one of those that were counted before.
    pub(super) fn chain_trade(
        &mut self,
        index: u32,
        number: u64,
        print: Print,
        call: &Call<'_>,
        out: &mut Decoded,
    ) -> bool {
        let has_twin = self.twins.has(call.link);
        let known = &mut self.known[index as usize];
        let begin = number.saturating_sub(print.covers.saturating_sub(1));
        let place = Place {
            link: call.link,
            has_twin,
            ts_recv: call.ts_recv,
        };
        let taken = known.chain.take((begin, number), place, &mut self.missing);
        if let (true, Some(after)) = (taken.missing > 0, known.newest) {
            out.holes.push(Hole {
                instrument: known.id,
                frame: call.index,
                after,
                before: print,
                missing: taken.missing,
            });
        }
        if taken.missing > 0 {
            self.missing.push(Missing {
                count: taken.missing,
                next: number,
            });
        }
        if !self.missing.is_empty() {
            self.tell_missing(index, call.ts_recv, &mut out.records);
        }
        taken.is_known
    }

    /// Tells what is missing of an instrument's trades.
    fn tell_missing(&mut self, index: u32, ts_recv: i64, records: &mut Vec<Record>) {
        let state = self.books.state(index);
        for missing in self.missing.drain(..) {
            let gap = Record {
                ts_event: ts_recv,
                ts_recv,
                instrument: self.known[index as usize].id,
                seq: missing.next,
                id: missing.count,
                kind: kind::GAP,
                flags: flag::LAST_OF_EVENT,
                ..Record::default()
            };
            let status = Record {
                seq: 0,
                id: 0,
                kind: kind::STATUS,
                detail: u16::from(state),
                ..gap
            };
            records.extend([gap, status]);
        }
    }

    /// A connection is over, and what it brought comes over another one: trades that only it could have brought are missing.
    pub fn close_link(&mut self, link: u32, ts_recv: i64, records: &mut Vec<Record>) {
        self.twins.close(link);
        self.books.close_link(link);
        for index in 0..self.known.len() {
            let known = &mut self.known[index];
            known.chain.close(link, &mut self.missing);
            for (_, source) in &mut known.measured {
                source.let_go(link);
            }
            if !self.missing.is_empty() {
                self.tell_missing(index as u32, ts_recv, records);
            }
        }
        self.links.remove(&link);
    }

    /// Whether measures are news, or another connection brought them before.
    #[inline]
    pub(super) fn takes_measures(
        &mut self,
        plan: &MeasuresPlan,
        index: u32,
        ts_event: i64,
        call: &Call<'_>,
    ) -> bool {
        let Some(first) = plan.values.first().map(|value| value.kind) else {
            return true;
        };
        let has_twin = self.twins.has(call.link);
        let sources = &mut self.known[index as usize].measured;
        let place = sources.iter().position(|(kind, _)| *kind == first);
        let place = place.unwrap_or_else(|| {
            sources.push((first, Source::default()));
            sources.len() - 1
        });
        let news = provenance(None, plan.time.is_some().then_some(ts_event), call);
        let is_news = sources[place].1.takes(&news, has_twin);
        self.repeated += u64::from(!is_news);
        is_news
    }
}
