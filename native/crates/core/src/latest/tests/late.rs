//! A state that is late: the same in everything, but that nothing in it is live.

use proptest::prelude::*;

use super::*;
use crate::record::state;

const NAMES: [&str; 2] = ["XNAS:AAPL", "XSIM:AAPL"];
const TOPICS: [&str; 3] = ["XNAS:AAPL", "XSIM:AAPL", "AAPL"];
const WHY: &str = "everything is 900 s late";

/// What changes a state.
#[derive(Clone, Debug)]
enum Step {
    Quote(usize, u8),
    Status(usize, u8),
    Gap(usize),
    Level(usize, bool, u8),
    Feed(usize, u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let name = 0usize..NAMES.len();
    prop_oneof![
        4 => (name.clone(), 8u8..14).prop_map(|(name, price)| Step::Quote(name, price)),
        4 => (name.clone(), 0u8..=state::DELAYED).prop_map(|(name, to)| Step::Status(name, to)),
        1 => name.clone().prop_map(Step::Gap),
        3 => (name.clone(), any::<bool>(), 8u8..14).prop_map(|(name, is_bid, at)| Step::Level(name, is_bid, at)),
        2 => (name, 0u8..=state::DELAYED).prop_map(|(name, to)| Step::Feed(name, to)),
    ]
}

fn take(world: &mut World, step: &Step, at: i64) {
    match *step {
        Step::Quote(name, price) => {
            let (bid, ask) = (price.to_string(), (price + 1).to_string());
            world.apply(&quote(NAMES[name], (&bid, "1"), (&ask, "1"), at));
        }
        Step::Status(name, to) => {
            world.apply(&[status(NAMES[name], to)]);
        }
        Step::Gap(name) => {
            world.apply(&[other(kind::GAP, NAMES[name], 0, "0", "0", at)]);
        }
        Step::Level(name, is_bid, price) => {
            let kind = if is_bid {
                kind::BOOK_BID
            } else {
                kind::BOOK_ASK
            };
            world.apply(&[other(kind, NAMES[name], 0, &price.to_string(), "1", at)]);
        }
        Step::Feed(name, to) => {
            let (feed, _) = NAMES[name].split_once(':').expect("a venue");
            world.feed(&feed.to_lowercase(), to, "as the feed says");
        }
    }
    world.now += SECOND;
}

fn late(names: &[&str]) -> World {
    let mut world = World::new(&[]);
    world.latest = Latest::new(Settings {
        late: WHY.to_owned(),
        ..Settings::default()
    });
    for name in names {
        world.define(&definition(name));
    }
    world.told.clear();
    world
}

fn book_state(world: &World, name: &str) -> &'static str {
    let mut book = crate::latest::Book::default();
    let topic = world.latest.topic(name).expect("a topic");
    world.latest.book(topic, 5, &mut book);
    state::NAMES[usize::from(book.state)]
}

fn late_word(word: &str) -> &str {
    if word == "live" { "delayed" } else { word }
}

proptest! {
    /// Of every topic, after every step: what is live elsewhere is delayed here, and all else is told as it was.
    #[test]
    fn late_hides_nothing_but_live(steps in proptest::collection::vec(any_step(), 1..40)) {
        let (mut now, mut then) = (World::new(&NAMES), late(&NAMES));
        for (step, second) in steps.iter().zip(1..) {
            let at = MIDNIGHT + (3600 + second) * SECOND;
            take(&mut now, step, at);
            take(&mut then, step, at);
            prop_assert_eq!(now.take_told(), then.take_told());
            for topic in TOPICS {
                let state = now.state(topic);
                prop_assert_ne!(then.state(topic), "live");
                prop_assert_eq!(then.state(topic), late_word(state));
                prop_assert_eq!(book_state(&then, topic), late_word(book_state(&now, topic)));
                let reason = if state == "live" { WHY } else { now.reason(topic) };
                prop_assert_eq!(then.reason(topic), reason);
                let mut shown = now.price(topic);
                shown["state"] = then.state(topic).into();
                prop_assert_eq!(shown, then.price(topic));
            }
        }
    }
}

#[test]
fn what_is_late_says_so_and_a_halt_is_a_halt() {
    let mut world = late(&NAMES[..1]);
    world.feed("xnas", state::SYNCING, "from noon on");
    for topic in [NAMES[0], "AAPL"] {
        assert_eq!(
            (
                world.state(topic),
                world.reason(topic),
                book_state(&world, topic)
            ),
            ("syncing", "from noon on", "syncing")
        );
    }
    world.feed("xnas", state::LIVE, "");
    assert_eq!(
        (world.state("AAPL"), world.reason("AAPL")),
        ("empty", "nothing heard yet")
    );
    world.apply(&quote(NAMES[0], ("10", "1"), ("12", "1"), MIDNIGHT));
    assert_eq!(
        (world.state("AAPL"), world.reason("AAPL")),
        ("delayed", WHY)
    );
    world.apply(&[status(NAMES[0], state::HALTED)]);
    assert_eq!((world.state("AAPL"), world.reason("AAPL")), ("halted", ""));
    world.feed("xnas", state::STALE, "feed process is gone");
    assert_eq!(
        (world.state(NAMES[0]), world.reason(NAMES[0])),
        ("stale", "feed process is gone")
    );
}
