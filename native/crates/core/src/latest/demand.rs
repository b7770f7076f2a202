//! Instruments that are streamed on demand: nothing is known of them until somebody asks.

use super::types::{Cause, Change, Topic};
use super::{Latest, Of};
use crate::record::state;

impl Latest {
    /// Somebody asks for a topic: of its legs those that are streamed on demand, and are not now, are `syncing` from
    /// here on. Their feed hears of it later, and says what comes of it.
    pub fn awaken(&mut self, topic: Topic, now_ns: i64, sink: &mut impl FnMut(&Self, Change)) {
        match self.topics[topic as usize].of {
            Of::Leg(leg) => self.awaken_leg(leg, now_ns, sink),
            Of::Security(place) => {
                for at in 0..self.securities[place as usize].legs.len() {
                    let leg = self.securities[place as usize].legs[at];
                    self.awaken_leg(leg, now_ns, sink);
                }
            }
        }
    }

    fn awaken_leg(&mut self, leg: u32, now_ns: i64, sink: &mut impl FnMut(&Self, Change)) {
        let entry = &mut self.legs[leg as usize];
        let meta = &mut self.metas[leg as usize];
        if entry.status != state::EMPTY || !meta.definition.on_demand {
            return;
        }
        meta.reason.clear();
        entry.set_status(state::SYNCING);
        entry.refresh_state(self.feeds[entry.feed as usize].state, now_ns);
        self.refresh_security(leg, now_ns);
        self.publish(leg, Cause::Other, sink);
    }
}
