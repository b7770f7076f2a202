//! What is due when: first connections, those that come back, time-outs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Times are milliseconds of any clock that only goes forward.
pub struct Agenda {
    /// Clients that may connect as soon as the rate lets them.
    ready: VecDeque<u32>,
    later: BinaryHeap<Reverse<(u64, u32)>>,
    /// (when, client, generation); all time-outs last equally long, so that they are in order.
    timeouts: VecDeque<(u64, u32, u32)>,
    rate: f64,
    credit: f64,
    refilled_ms: u64,
}

impl Agenda {
    pub fn new(clients: u32, rate: f64, now_ms: u64) -> Self {
        let ready = (0..clients).collect();
        Self {
            ready,
            later: BinaryHeap::new(),
            timeouts: VecDeque::new(),
            rate,
            credit: 1.0,
            refilled_ms: now_ms,
        }
    }

    /// A client wants to connect, not before a time.
    pub fn connect_at(&mut self, when_ms: u64, client: u32) {
        self.later.push(Reverse((when_ms, client)));
    }

    pub fn time_out_at(&mut self, when_ms: u64, client: u32, generation: u32) {
        self.timeouts.push_back((when_ms, client, generation));
    }

    /// Lets the rate's credit grow, up to a twentieth of a second's worth.
    pub fn refill(&mut self, now_ms: u64) {
        let elapsed_s = now_ms.saturating_sub(self.refilled_ms) as f64 / 1_000.0;
        self.refilled_ms = now_ms;
        self.credit = (self.credit + elapsed_s * self.rate).min((self.rate / 20.0).max(1.0));
        while let Some(Reverse((when_ms, client))) = self.later.peek().copied()
            && when_ms <= now_ms
        {
            self.later.pop();
            self.ready.push_back(client);
        }
    }

    /// A client that may connect now.
    pub fn next_connect(&mut self) -> Option<u32> {
        if self.credit < 1.0 {
            return None;
        }
        let client = self.ready.pop_front()?;
        self.credit -= 1.0;
        Some(client)
    }

    /// A client and generation whose time is over.
    pub fn next_timeout(&mut self, now_ms: u64) -> Option<(u32, u32)> {
        let (when_ms, client, generation) = *self.timeouts.front()?;
        (when_ms <= now_ms).then(|| self.timeouts.pop_front())?;
        Some((client, generation))
    }

    /// Whether something is to be done soon.
    pub fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Nobody connects any more.
    pub fn cancel(&mut self) {
        self.ready.clear();
        self.later.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn connections_begin_at_the_rate() {
        let mut agenda = Agenda::new(1_000, 200.0, 0);
        let mut begun = 0;
        for now_ms in 0..=1_000 {
            agenda.refill(now_ms);
            while agenda.next_connect().is_some() {
                begun += 1;
            }
        }
        assert!((200..=202).contains(&begun), "{begun}");
    }

    #[test]
    fn those_that_come_back_wait_for_their_time() {
        let mut agenda = Agenda::new(0, 1_000.0, 0);
        agenda.connect_at(30, 7);
        agenda.connect_at(20, 8);
        agenda.refill(10);
        assert_eq!(agenda.next_connect(), None);
        agenda.refill(25);
        assert_eq!(
            (agenda.next_connect(), agenda.next_connect()),
            (Some(8), None)
        );
        agenda.refill(30);
        assert_eq!(agenda.next_connect(), Some(7));
    }

    #[test]
    fn time_outs_come_in_order() {
        let mut agenda = Agenda::new(0, 1.0, 0);
        agenda.time_out_at(10, 1, 1);
        agenda.time_out_at(20, 2, 1);
        assert_eq!(agenda.next_timeout(15), Some((1, 1)));
        assert_eq!(agenda.next_timeout(15), None);
    }
}
