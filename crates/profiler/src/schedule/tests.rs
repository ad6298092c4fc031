//! In virtual time: a machine on which each step of the model takes ten milliseconds to run and
//! each range a tenth of a second to compile.

use super::*;

const STEP: f64 = 0.01;
const COMPILE: f64 = 0.1;

/// Follows a schedule; the visits in order and the time that they took.
fn follow(schedule: &mut Schedule, fails: impl Fn(Range) -> bool, error: f64) -> (Vec<Range>, f64) {
    let (mut now, mut visits): (f64, Vec<Range>) = (0.0, Vec::new());
    while let Some(Visit { range, slice }) = schedule.next(now) {
        if schedule.asks_for_order() {
            // Longest first.
            let mut order: Vec<(usize, usize)> =
                schedule.items.iter().map(|item| (item.range.from, item.range.to)).collect();
            order.sort_by_key(|(from, to)| std::cmp::Reverse(to - from));
            schedule.set_order(&order);
            continue;
        }
        if fails(range) {
            now += COMPILE;
            schedule.failed(range);
            continue;
        }
        let run = STEP * ((range.to - range.from) * range.batch) as f64;
        let compile = if visits.contains(&range) { 0.0 } else { COMPILE };
        let mut runs = Vec::new();
        // Runs that never agree, so that the slice ends the visit.
        while !enough(&runs, run * (WARM_UP + runs.len()) as f64, slice) {
            runs.push(run * if runs.len() % 2 == 0 { 0.5 } else { 1.5 });
        }
        now += compile + run * (WARM_UP + runs.len()) as f64;
        visits.push(range);
        schedule.visited(range, Visited { compile, run, error });
        assert!(visits.len() < 10_000, "it ends");
    }
    (visits, now)
}

fn distinct(visits: &[Range]) -> usize {
    let mut all = visits.to_vec();
    all.sort_unstable();
    all.dedup();
    all.len()
}

#[test]
fn everything_twice_where_the_budget_allows() {
    let mut schedule = Schedule::new(15, &[], 500.0);
    let (visits, took) = follow(&mut schedule, |_| false, 0.001);
    assert_eq!((distinct(&visits), visits.len()), (120, 240));
    assert!(schedule.is_complete() && took < 500.0);
    assert_eq!(visits[0], Range { from: 0, to: 15, batch: 1 });
    assert_eq!((visits[1].from, visits[1].to, visits[2].from, visits[2].to), (0, 7, 7, 15));
    assert_eq!(
        distinct(&visits[..43]),
        43,
        "the whole, 14 heads, 14 tails, 14 of 15 neighbours before any second visit"
    );
    assert_eq!(schedule.coverage(), (120, 120));
    assert_eq!(schedule.left(took), 0.0);
}

#[test]
fn time_that_is_left_goes_to_the_shaky() {
    let mut schedule = Schedule::new(5, &[], 200.0);
    let (visits, took) = follow(&mut schedule, |_| false, 0.05);
    assert_eq!(visits.len(), 15 * MOST_ROUNDS as usize);
    assert!(took < 200.0);
}

#[test]
fn a_short_budget_covers_fewer_ranges_but_each_twice() {
    for budget in [8.0, 15.0, 30.0, 60.0] {
        let mut schedule = Schedule::new(15, &[], budget);
        let (visits, took) = follow(&mut schedule, |_| false, 0.001);
        let covered = distinct(&visits);
        assert!(took <= budget * 1.1, "{took} of {budget}");
        assert!(took > budget * 0.8, "{took} of {budget}");
        assert!(visits.len() >= 2 * covered - 2, "{} visits to {covered} ranges", visits.len());
        assert!(covered < 120 && !schedule.is_complete());
    }
}

#[test]
fn the_whole_is_timed_whatever_the_budget() {
    let (visits, _) = follow(&mut Schedule::new(15, &[], 0.0), |_| false, 0.0);
    assert_eq!(visits, [Range { from: 0, to: 15, batch: 1 }]);
}

#[test]
fn what_fails_is_tried_once_and_is_no_obstacle() {
    let mut schedule = Schedule::new(6, &[], 1e4);
    let (visits, _) = follow(&mut schedule, |range| (range.from..range.to).contains(&3), 0.0);
    assert!(schedule.is_complete());
    assert_eq!(distinct(&visits), 6 + 3);
    assert_eq!(schedule.coverage(), (21, 21));
}

#[test]
fn tails_come_in_batches() {
    let mut schedule = Schedule::new(4, &[2, 8], 1e4);
    let (visits, _) = follow(&mut schedule, |_| false, 0.0);
    assert_eq!(distinct(&visits), 10 + 8);
    assert!(visits.iter().all(|range| range.batch == 1 || range.to == 4));
}

#[test]
fn what_is_known_is_not_measured_again() {
    let mut schedule = Schedule::new(4, &[], 1e4);
    let found = Visited { compile: 0.1, run: 0.02, error: 0.0 };
    schedule.known(Range { from: 0, to: 4, batch: 1 }, 2, found);
    schedule.known(Range { from: 0, to: 2, batch: 1 }, 1, found);
    let (visits, _) = follow(&mut schedule, |_| false, 0.0);
    assert_eq!((distinct(&visits), visits.len()), (9, 17));
}

#[test]
fn numbers_are_bisected() {
    assert_eq!(bisected(8).collect::<Vec<_>>(), [4, 2, 6, 1, 3, 5, 7]);
    assert_eq!(bisected(2).collect::<Vec<_>>(), [1]);
    assert_eq!(bisected(1).count(), 0);
}

#[test]
fn enough_is_when_runs_agree_or_time_is_up() {
    for (runs, spent, expected) in [
        (vec![1.0; 4], 9.0, false),
        (vec![1.0; 5], 0.1, false),
        (vec![1.0; 10], 0.1, true),
        (vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0], 0.1, false),
        (vec![1.0, 2.0, 1.0, 2.0, 1.0], 0.6, true),
    ] {
        assert_eq!(enough(&runs, spent, 0.5), expected, "{runs:?}");
    }
}
