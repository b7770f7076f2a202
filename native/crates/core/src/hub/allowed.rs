//! The class a client is allowed: the lowest of what hides it, of what its own socket takes, and of what all are held to.
//!
//! Each may lower the class of a client's subscriptions, none can raise it above what was asked. A subscription moves to
//! the group of its new class. There a client of `price` that stands behind gets an update with every field at the
//! group's next time; a keyed one gets a snapshot, for the group keeps what *it* last sent. Mode `all` and trades do
//! not move: their bound is the buffer, and a loss is announced.
//!
//! # Who is slow
//!
//! A client is blocked while its socket is full, which the kernel says at `watermark` bytes that it could not send
//! yet. Of the time blocked a sum is kept that fades within [`FADE_NS`]; beyond `slow_blocked_ns` the client goes one
//! class below the highest that it has in use, and counts anew. After `slow_recover_ns` without a block it goes one up.
//! So whoever takes two updates of three is not shifted, and whoever stands still is at 1 a second within two
//! seconds.

use super::clients::{Client, ClientId};
use super::{Fanout, Flushed, MODE_ALL, NONE, RATE_CLASSES, counter, is_keyed, waits};

/// A time blocked counts for about so long.
const FADE_NS: i64 = 800_000_000;
/// Clients that one flush looks at when the cap of all has changed.
const RECAP_MAX: usize = 4096;
/// Class of what is unfiltered: the highest.
const UNFILTERED: u8 = 0;
/// Class of one a second: the lowest.
const SLOWEST: u8 = 1;

/// Why the highest class allowed to a client changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Slow,
    Hidden,
    Overload,
    Restored,
}

impl Reason {
    /// As the protocol writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Hidden => "hidden",
            Self::Overload => "overload",
            Self::Restored => "restored",
        }
    }
}

/// A client, the highest rate now allowed (0 = unfiltered), and why it changed.
pub type Shift = (ClientId, u8, Reason);

/// Order of the classes: what is unfiltered is above all.
pub(super) const fn rank(class: u8) -> u8 {
    if class == UNFILTERED { u8::MAX } else { class }
}

/// The lower of two classes.
pub(super) const fn lower(one: u8, other: u8) -> u8 {
    if rank(one) < rank(other) { one } else { other }
}

/// One class down; the slowest stays.
const fn below(class: u8) -> u8 {
    match class {
        UNFILTERED => RATE_CLASSES.len() as u8 - 1,
        SLOWEST => SLOWEST,
        other => other - 1,
    }
}

/// One class up.
const fn above(class: u8) -> u8 {
    if class as usize == RATE_CLASSES.len() - 1 || class == UNFILTERED {
        UNFILTERED
    } else {
        class + 1
    }
}

impl Fanout {
    /// A client that shows nothing gets everything once a second; when it shows again, one snapshot each.
    pub fn set_hidden(&mut self, id: ClientId, is_hidden: bool) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        if self.clients[index as usize].is_hidden == is_hidden {
            return;
        }
        self.clients[index as usize].is_hidden = is_hidden;
        if is_hidden {
            self.recap(index, Reason::Hidden);
            return;
        }
        for place in 0..self.clients[index as usize].subs.len() {
            let sub = self.clients[index as usize].subs[place];
            let sub = &mut self.subs[sub as usize];
            if sub.mode != MODE_ALL {
                sub.waits = sub.waits & !waits::BEHIND | waits::SNAPSHOT;
            }
        }
        Client::want_attention(&mut self.clients, index, &mut self.attention);
        self.recap(index, Reason::Restored);
    }

    /// No client gets more than this many updates a second, one of [`RATE_CLASSES`]; 0 = no cap. It comes into force
    /// over the next flushes, some thousand clients each.
    pub fn set_cap(&mut self, rate: u8) {
        let class = RATE_CLASSES
            .iter()
            .position(|class| *class == rate)
            .unwrap_or(0) as u8;
        if class != self.cap {
            self.cap = class;
            self.recap_at = 0;
        }
    }

    /// No flush quantum is shorter than this.
    pub fn set_quantum_floor(&mut self, floor_ns: i64) {
        self.quantum.set_floor(floor_ns);
        self.unfiltered.set_floor(floor_ns);
    }

    /// Whether a cap of all has not reached all.
    pub(super) fn is_recapping(&self) -> bool {
        self.recap_at < self.clients.len()
    }

    /// Takes the cap of all to the next clients; ends early where many of them have to be told.
    pub(super) fn recap_some(&mut self) {
        let end = self.clients.len().min(self.recap_at + RECAP_MAX);
        while self.recap_at < end && self.shifted.len() < self.settings.sends_max {
            if self.clients[self.recap_at].is_open {
                self.recap(self.recap_at as u32, Reason::Overload);
            }
            self.recap_at += 1;
        }
        if !self.is_recapping() {
            self.recap_at = usize::MAX;
        }
    }

    /// Brings a client to the class that is allowed now; it is told where that makes a difference.
    fn recap(&mut self, index: u32, reason: Reason) {
        let client = &mut self.clients[index as usize];
        if client.is_link() {
            // Behind it are clients of another hub, which has caps of its own.
            return;
        }
        let hidden = if client.is_hidden {
            SLOWEST
        } else {
            UNFILTERED
        };
        let cap = lower(lower(client.slow_cap, hidden), self.cap);
        let old = core::mem::replace(&mut client.cap, cap);
        if cap == old {
            return;
        }
        let mut is_moved = false;
        for place in 0..self.clients[index as usize].subs.len() {
            let sub = self.clients[index as usize].subs[place];
            let found = &self.subs[sub as usize];
            let class = lower(found.asked, cap);
            if found.mode != MODE_ALL && found.class != class {
                self.move_sub(sub, class);
                is_moved = true;
            }
        }
        if is_moved {
            let reason = if rank(cap) > rank(old) {
                Reason::Restored
            } else {
                reason
            };
            let id = self.clients[index as usize].id(index);
            self.shifted
                .push((id, RATE_CLASSES[usize::from(cap)], reason));
        }
    }

    /// To the group of another class; the counting goes on.
    fn move_sub(&mut self, index: u32, class: u8) {
        self.leave(index);
        let sub = &mut self.subs[index as usize];
        sub.class = class;
        let (client, topic, channel) = (sub.client, sub.topic, sub.channel);
        if is_keyed(channel) {
            sub.waits = sub.waits & !waits::BEHIND | waits::SNAPSHOT;
        } else if sub.waits & waits::CATCHING_UP == 0
            && sub.last < self.topics[topic as usize].seq[counter(channel)]
        {
            sub.waits |= waits::BEHIND;
        }
        let waiting = sub.waits;
        self.join(index);
        if waiting & waits::CATCHING_UP != 0 {
            Client::want_attention(&mut self.clients, client, &mut self.attention);
        } else if waiting & waits::BEHIND != 0 {
            let group = self.topics[topic as usize].groups.get(channel, class);
            if group != NONE {
                self.schedule(group, self.now_ns);
            }
        }
    }

    /// Looks at a client that is or was blocked, `took` after the last look; true while it must be looked at again.
    pub(super) fn look_at_strain(&mut self, index: u32, now_ns: i64, took_ns: i64) -> bool {
        let client = &mut self.clients[index as usize];
        let mut blocked_ns = core::mem::take(&mut client.blocked_before_ns);
        if client.is_blocked {
            blocked_ns += (now_ns - client.blocked_ns).min(took_ns);
        }
        client.strain_ns -= client.strain_ns * took_ns.min(FADE_NS) / FADE_NS;
        client.strain_ns += blocked_ns;
        if blocked_ns > 0 {
            client.relaxed_ns = now_ns;
        }
        if self.settings.slow_blocked_ns > 0 && client.strain_ns > self.settings.slow_blocked_ns {
            client.strain_ns = 0;
            self.shift_down(index);
        } else if client.slow_cap != UNFILTERED
            && now_ns - client.relaxed_ns >= self.settings.slow_recover_ns
        {
            client.relaxed_ns = now_ns;
            self.shift_up(index);
        }
        let client = &self.clients[index as usize];
        client.is_blocked || client.strain_ns > FADE_NS / 1000 || client.slow_cap != UNFILTERED
    }

    /// The classes of a client's subscriptions that can move.
    fn classes(&self, index: u32) -> impl Iterator<Item = (u8, u8)> {
        let subs = self.clients[index as usize].subs.iter();
        subs.map(|sub| &self.subs[*sub as usize])
            .filter(|sub| sub.mode != MODE_ALL)
            .map(|sub| (sub.asked, sub.class))
    }

    fn shift_down(&mut self, index: u32) {
        let in_use = self.classes(index).map(|(_, class)| class);
        let Some(highest) = in_use.max_by_key(|class| rank(*class)) else {
            return;
        };
        if highest != SLOWEST {
            self.clients[index as usize].slow_cap = below(highest);
            self.recap(index, Reason::Slow);
        }
    }

    fn shift_up(&mut self, index: u32) {
        let asked = self.classes(index).map(|(asked, _)| asked);
        let highest = asked.max_by_key(|class| rank(*class)).unwrap_or(SLOWEST);
        let client = &mut self.clients[index as usize];
        let raised = above(client.slow_cap);
        client.slow_cap = if rank(raised) >= rank(highest) {
            UNFILTERED
        } else {
            raised
        };
        self.recap(index, Reason::Restored);
    }

    /// What changed since the last flush.
    pub(super) fn take_shifted(&mut self, flushed: &mut Flushed) {
        if !self.shifted.is_empty() {
            flushed.shifted = core::mem::take(&mut self.shifted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::{FIELDS, Peer, World};
    use super::super::*;
    use super::*;
    use crate::latest::{Cause, Change, field};

    const MS: i64 = 1_000_000;

    fn wish(topic: u32, rate: u8) -> Wish {
        Wish {
            channel: CHANNEL_PRICE,
            topic,
            rate,
            fields: 0,
            mode: MODE_MERGE,
        }
    }

    fn world(topics: usize) -> World {
        World {
            values: vec![[0; FIELDS.len()]; topics],
        }
    }

    fn change(fanout: &mut Fanout, world: &World, topic: u32, now: i64) {
        let change = Change {
            topic,
            fields: field::BID,
            cause: Cause::Quote,
        };
        fanout.change(world, change, None, now);
    }

    fn kinds(peer: &mut Peer) -> Vec<String> {
        let messages = peer.read().into_iter();
        messages
            .map(|(_, text)| text.split(' ').next().unwrap_or("").to_owned())
            .collect()
    }

    #[test]
    fn classes_have_an_order_with_the_unfiltered_on_top() {
        let mut seen = vec![UNFILTERED];
        for _ in 0..6 {
            seen.push(below(seen[seen.len() - 1]));
        }
        assert_eq!(seen, [0, 5, 4, 3, 2, 1, 1]);
        for pair in seen[..6].windows(2) {
            assert_eq!(
                (lower(pair[0], pair[1]), above(pair[1])),
                (pair[1], pair[0])
            );
        }
    }

    #[test]
    fn a_hidden_client_gets_one_a_second_and_one_snapshot_when_it_shows_again() {
        let (world, mut peer) = (world(1), Peer::new());
        let mut fanout = Fanout::new(Settings::default());
        let client = fanout.open(peer.fd());
        fanout.subscribe(client, wish(0, 20));
        let mut now = 1_000 * MS;
        fanout.flush(&world, now, None);
        peer.read();
        fanout.set_hidden(client, true);
        let told = fanout.flush(&world, now, None).shifted;
        assert_eq!(told, [(client, 1, Reason::Hidden)]);
        let mut updates = Vec::new();
        for _ in 0..1_000 {
            now += 10 * MS;
            change(&mut fanout, &world, 0, now);
            fanout.flush(&world, now, None);
            updates.extend(kinds(&mut peer));
        }
        assert!(
            (9..=12).contains(&updates.len()) && updates.iter().all(|kind| kind == "update"),
            "ten seconds: {updates:?}"
        );
        assert_eq!(fanout.subscriptions(client)[0].2.rate, 20, "what was asked");
        fanout.set_hidden(client, false);
        fanout.set_hidden(client, false);
        let told = fanout.flush(&world, now, None).shifted;
        assert_eq!(told, [(client, 0, Reason::Restored)]);
        assert_eq!(kinds(&mut peer), ["snapshot"]);
    }

    #[test]
    fn what_changed_between_the_frames_of_two_classes_is_not_missed() {
        for (rate, cap) in [(20, 5), (20, 1), (5, 1), (0, 20)] {
            let (mut world, mut peer, mut other) = (world(1), Peer::new(), Peer::new());
            let mut fanout = Fanout::new(Settings::default());
            let client = fanout.open(peer.fd());
            fanout.subscribe(client, wish(0, rate));
            // One that was in the lower class before stands at the newest; its group has nothing to tell.
            let before = fanout.open(other.fd());
            fanout.subscribe(before, wish(0, cap));
            let mut now = 1_000 * MS;
            fanout.flush(&world, now, None);
            peer.read();
            for steps in [3_000, 1] {
                now += steps * MS;
                change(&mut fanout, &world, 0, now);
                fanout.flush(&world, now, None);
            }
            now += 2_000 * MS;
            fanout.flush(&world, now, None);
            peer.read();
            // The price changes; before any group's turn the class does.
            world.values[0][0] = 7;
            let price = Change {
                topic: 0,
                fields: field::PRICE,
                cause: Cause::Quote,
            };
            fanout.change(&world, price, None, now);
            fanout.set_cap(cap);
            let mut got = Vec::new();
            for _ in 0..30 {
                fanout.flush(&world, now, None);
                got.extend(peer.read());
                other.read();
                now += 50 * MS;
                change(&mut fanout, &world, 0, now);
            }
            let got: Vec<&str> = got.iter().map(|(_, text)| text.as_str()).collect();
            assert!(
                got.iter().any(|text| text.contains(" 0=7")),
                "{rate} to {cap}: {got:?}"
            );
            assert!(
                got.iter().all(|text| text.starts_with("update ")),
                "no snapshot: {got:?}"
            );
        }
    }

    #[test]
    fn a_cap_of_all_reaches_all_over_several_flushes_and_is_lifted_again() {
        let world = world(1);
        let settings = Settings {
            sends_max: 10,
            slow_blocked_ns: 0,
            ..Settings::default()
        };
        let mut fanout = Fanout::new(settings);
        let mut peers: Vec<(Peer, ClientId)> = Vec::new();
        for rate in [0, 20, 5, 1].into_iter().cycle().take(60) {
            let peer = Peer::new();
            let client = fanout.open(peer.fd());
            fanout.subscribe(client, wish(0, rate));
            peers.push((peer, client));
        }
        let mut now = 1_000 * MS;
        let told = |fanout: &mut Fanout, now: &mut i64| {
            let (mut all, mut most) = (Vec::new(), 0);
            for _ in 0..60 {
                *now += 20 * MS;
                change(fanout, &world, 0, *now);
                let shifted = fanout.flush(&world, *now, None).shifted;
                most = most.max(shifted.len());
                all.extend(shifted);
            }
            (all, most)
        };
        assert!(told(&mut fanout, &mut now).0.is_empty());
        fanout.set_cap(5);
        let (shifted, most) = told(&mut fanout, &mut now);
        assert!(most <= 10);
        assert_eq!(shifted.len(), 30, "those that asked for more");
        assert!(
            shifted
                .iter()
                .all(|shift| (shift.1, shift.2) == (5, Reason::Overload))
        );
        let late = fanout.open(-1);
        assert_eq!(
            fanout
                .subscribe(late, wish(0, 20))
                .map(|position| position.rate),
            Some(5),
            "who comes now is under the cap too"
        );
        fanout.close(late);
        fanout.set_cap(0);
        let (shifted, _) = told(&mut fanout, &mut now);
        assert_eq!(shifted.len(), 30);
        assert!(
            shifted
                .iter()
                .all(|shift| (shift.1, shift.2) == (0, Reason::Restored))
        );
        let counters = fanout.sync(&world, peers[0].1, now);
        assert_eq!(
            counters[0].published,
            counters[0].delivered + counters[0].merged
        );
    }

    #[test]
    fn a_client_that_does_not_drain_is_shifted_step_by_step_and_comes_back() {
        let world = world(1);
        let mut fanout = Fanout::new(Settings::default());
        let client = fanout.open(-1);
        fanout.subscribe(client, wish(0, 0));
        let mut now = 1_000 * MS;
        let mut rates = Vec::new();
        for _ in 0..400 {
            now += 10 * MS;
            change(&mut fanout, &world, 0, now);
            rates.extend(
                fanout
                    .flush(&world, now, None)
                    .shifted
                    .iter()
                    .map(|shift| (shift.1, shift.2)),
            );
        }
        assert_eq!(
            rates,
            [20, 10, 5, 2, 1].map(|rate| (rate, Reason::Slow)),
            "four seconds without a drain"
        );
        rates.clear();
        for _ in 0..3_000 {
            now += 10 * MS;
            fanout.drained(client);
            change(&mut fanout, &world, 0, now);
            rates.extend(
                fanout
                    .flush(&world, now, None)
                    .shifted
                    .iter()
                    .map(|shift| (shift.1, shift.2)),
            );
            fanout.drained(client);
        }
        assert_eq!(
            rates,
            [2, 5, 10, 20, 0].map(|rate| (rate, Reason::Restored))
        );
    }

    #[test]
    fn mode_all_is_not_shifted() {
        let world = world(1);
        let mut fanout = Fanout::new(Settings::default());
        let client = fanout.open(-1);
        fanout.subscribe(
            client,
            Wish {
                mode: MODE_ALL,
                ..wish(0, 0)
            },
        );
        let mut now = 1_000 * MS;
        for _ in 0..400 {
            now += 10 * MS;
            change(&mut fanout, &world, 0, now);
            assert!(fanout.flush(&world, now, None).shifted.is_empty());
        }
        fanout.set_hidden(client, true);
        assert_eq!(fanout.subscriptions(client)[0].2.rate, 0);
        assert!(fanout.flush(&world, now, None).shifted.is_empty());
    }
}
