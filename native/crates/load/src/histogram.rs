//! Latencies in bins: 32 to each power of two of microseconds, so that a bin is at most 3 % wide.
//!
//! Bins of several processes are added up; percentiles are read from the sum.

const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
/// Up to 2^36 us, which is 19 hours; what is longer falls into the last.
pub const BINS: usize = (32 * SUB) as usize;

/// Counts of latencies.
pub struct Histogram {
    counts: Box<[u64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BINS].into_boxed_slice(),
        }
    }
}

impl Histogram {
    /// Counts one; what is negative (clocks that disagree) counts as 0.
    pub fn add(&mut self, latency_ns: i64) {
        let us = u64::try_from(latency_ns).unwrap_or(0) / 1_000;
        self.counts[bin(us)] += 1;
    }

    /// (bin, count) of those that are not empty.
    pub fn sparse(&self) -> Vec<(usize, u64)> {
        self.counts
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn bin(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let shift = 63 - us.leading_zeros() - SUB_BITS;
    let place = (u64::from(shift) + 1) * SUB + ((us >> shift) - SUB);
    (place as usize).min(BINS - 1)
}

/// Middle of each bin, in microseconds.
pub fn middles() -> Vec<f64> {
    (0..BINS as u64)
        .map(|place| {
            if place < SUB {
                return place as f64 + 0.5;
            }
            let shift = place / SUB - 1;
            ((place % SUB + SUB) as f64 + 0.5) * (1_u64 << shift) as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_its_bin_is_near_every_latency() {
        let middles = middles();
        assert!(middles.windows(2).all(|pair| pair[0] < pair[1]));
        for us in (0..200_000_u64).chain((1..50).map(|step| step * 987_654_321)) {
            let middle = middles[bin(us)];
            let off = (middle - us as f64).abs();
            assert!(off <= 0.5 || off <= us as f64 / 32.0, "{us} {middle}");
        }
    }

    #[test]
    fn what_is_out_of_range_falls_into_the_first_or_last() {
        let mut histogram = Histogram::default();
        histogram.add(-5);
        histogram.add(i64::MAX);
        assert_eq!(histogram.sparse(), [(0, 1), (BINS - 1, 1)]);
    }
}
