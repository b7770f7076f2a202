//! The flush quantum: how long a flush is held so that packets coalesce, found from what is being sent.
//!
//! A write costs the same whether it carries one update or ten, so gathering pays, but only where time brings a client
//! more than one update. Every 20 ms the rule looks at the deliveries of a millisecond `D` and at the number `C` of
//! different clients that got one, once for what is conflated and once for what is unfiltered. Held for `q` ms, a
//! flush writes to at most `C` clients, so there are `C / q` writes a millisecond:
//!
//! - `D` of at most 20: no hold, each write goes out at once (under a tenth of a CPU).
//! - else the smallest `q` with `C / q` of 20 or less, never above the maximum; and
//! - no hold where even the longest would bring a client fewer than two updates (`D * max / C < 2`).
//!
//! The quantum moves at most from nothing to 1 ms or by a factor of two at each look, and a hold ends only below half
//! of what begins it (10 deliveries a millisecond, 1.5 updates a client), so that it does not swing.

const LOOK_NS: i64 = 20_000_000;
const STEP_NS: i64 = 1_000_000;
const WRITES_PER_MS: f64 = 20.0;

/// Decides the quantum from what was delivered.
#[derive(Debug)]
pub(super) struct Quantum {
    max_ns: i64,
    current_ns: i64,
    floor_ns: i64,
    began_ns: i64,
    deliveries: u64,
    clients: u32,
    /// Number of the look under way: a client stamped with it was counted.
    look: u32,
}

impl Quantum {
    pub fn new(max_ns: i64) -> Self {
        Self {
            max_ns,
            current_ns: 0,
            floor_ns: 0,
            began_ns: 0,
            deliveries: 0,
            clients: 0,
            look: 1,
        }
    }

    pub fn current_ns(&self) -> i64 {
        self.current_ns.max(self.floor_ns)
    }

    /// From now on it is at least this long, whatever is being sent; under overload a longer hold means fewer writes.
    pub fn set_floor(&mut self, floor_ns: i64) {
        self.floor_ns = floor_ns.max(0);
    }

    /// Counts one delivery to a client, which keeps the number of the look in which it last got one.
    pub fn give(&mut self, look: &mut u32) {
        self.deliveries += 1;
        self.clients += u32::from(core::mem::replace(look, self.look) != self.look);
    }

    /// Ends the look if it is over.
    pub fn look(&mut self, now_ns: i64) {
        let took = now_ns - self.began_ns;
        if took < LOOK_NS {
            return;
        }
        let per_ms = self.deliveries as f64 * 1e6 / took as f64;
        let wanted = self.wanted(per_ms, f64::from(self.clients));
        self.current_ns = if wanted > self.current_ns {
            wanted.min((self.current_ns * 2).max(STEP_NS.min(self.max_ns)))
        } else if self.current_ns / 2 < STEP_NS / 2 {
            wanted
        } else {
            wanted.max(self.current_ns / 2)
        };
        (self.began_ns, self.deliveries, self.clients) = (now_ns, 0, 0);
        self.look = self.look.wrapping_add(1);
    }

    fn wanted(&self, per_ms: f64, clients: f64) -> i64 {
        let (busy, worth) = if self.current_ns > 0 {
            (0.5, 1.5)
        } else {
            (1.0, 2.0)
        };
        let longest = self.max_ns as f64 / 1e6;
        if per_ms <= WRITES_PER_MS * busy || per_ms * longest < worth * clients {
            return 0;
        }
        ((clients / WRITES_PER_MS * 1e6) as i64).min(self.max_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: i64 = 10_000_000;

    /// The quantum after half a second of so many deliveries a millisecond over so many clients.
    fn settled(quantum: &mut Quantum, per_ms: usize, clients: u32) -> i64 {
        for _ in 0..25 {
            for _ in 0..clients {
                let mut look = quantum.look - 1;
                for _ in 0..per_ms * 20 / clients as usize {
                    quantum.give(&mut look);
                }
            }
            let now = quantum.began_ns + LOOK_NS;
            quantum.look(now);
        }
        quantum.current_ns()
    }

    #[test]
    fn grows_where_gathering_pays_and_only_there() {
        for (per_ms, clients, expected) in [
            (0, 500, 0),
            (20, 200, 0),
            (200, 500, MAX),
            (200, 100, 5_000_000),
            (100, 20, 1_000_000),
            (1_000, 20_000, 0), // ten milliseconds bring each client half an update
            (10_000, 20_000, MAX),
        ] {
            let found = settled(&mut Quantum::new(MAX), per_ms, clients);
            assert_eq!(
                found, expected,
                "{per_ms} deliveries a ms over {clients} clients"
            );
        }
    }

    #[test]
    fn shrinks_again_with_hysteresis() {
        let mut quantum = Quantum::new(MAX);
        assert_eq!(settled(&mut quantum, 200, 100), 5_000_000);
        assert_eq!(
            settled(&mut quantum, 16, 100),
            5_000_000,
            "16 a ms would not begin a hold, but keeps one"
        );
        assert_eq!(settled(&mut quantum, 5, 100), 0);
        assert_eq!(settled(&mut quantum, 16, 100), 0);
    }

    #[test]
    fn a_floor_is_kept_and_lifted() {
        let mut quantum = Quantum::new(MAX);
        quantum.set_floor(5 * MAX);
        assert_eq!(settled(&mut quantum, 200, 500), 5 * MAX);
        quantum.set_floor(0);
        assert_eq!(quantum.current_ns(), MAX);
    }

    #[test]
    fn zero_stays_zero() {
        assert_eq!(settled(&mut Quantum::new(0), 10_000, 100), 0);
    }
}
