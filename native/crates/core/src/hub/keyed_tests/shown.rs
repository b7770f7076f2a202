//! A client that hides and shows itself again, beside a market that never rests.

use super::*;

const WATCHED: [(u8, usize); 3] = [
    (CHANNEL_BOOK_10, 0),
    (CHANNEL_BOOK_5, 2),
    (CHANNEL_BARS_1S, 0),
];

/// Lets fifty changes a second pass; snapshots and updates of each subscription meanwhile.
fn pass(run: &mut Run, seconds: i64) -> Vec<(usize, usize)> {
    for key in WATCHED {
        if let Some(seen) = run.sides[0].seen.get_mut(&key) {
            (seen.snapshots, seen.updates) = (0, 0);
        }
    }
    for step in 0..50 * seconds {
        run.now += SECOND / 50;
        run.levels(0, &[(true, 1 + step % 9, 1 + step % 4, false)], Vec::new());
        run.trade(0, 1 + step % 5, 1, run.now, false);
        run.flush();
        run.read(0);
        while !run.sides[0].peer.backlog.is_empty() {
            run.drain(0);
            run.read(0);
        }
    }
    WATCHED
        .iter()
        .map(|key| &run.sides[0].seen[key])
        .map(|seen| (seen.snapshots, seen.updates))
        .collect()
}

#[test]
fn brings_exactly_one_snapshot_of_each_and_the_rate_that_was_asked() {
    let mut run = Run::new();
    // A book is known from its first whole one on.
    let begin = run.clear(0, 0);
    run.levels(0, &[], begin);
    for (channel, symbol) in WATCHED {
        run.subscribe(0, channel, symbol, 20);
    }
    for (is_hidden, seconds, updates) in
        [(false, 2, 30..=44), (true, 5, 4..=12), (false, 2, 30..=44)]
    {
        run.hide(0, is_hidden);
        for found in pass(&mut run, seconds) {
            assert_eq!(found.0, 1, "hidden {is_hidden}: {found:?}");
            assert!(updates.contains(&found.1), "hidden {is_hidden}: {found:?}");
        }
    }
    run.sync(0);
    run.settle();
}
