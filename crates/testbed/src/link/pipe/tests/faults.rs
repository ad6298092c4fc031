#![allow(clippy::disallowed_methods, reason = "an epoch; time itself is virtual")]
//! Losses, disorder and blackouts.

use super::*;
use crate::link::{Blackout, Blackouts, LinkSettings, Loss, Reordering};
use proptest::prelude::*;

const COUNT: u32 = 40_000;

/// Numbered datagrams of 1000 bytes, one each ms over 10 MB/s: what arrives, and when.
fn carried(settings: PipeSettings, count: u32) -> (Vec<(Duration, u32)>, PipeStats) {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings, epoch);
    let mut arrived = Vec::new();
    for number in 0..count {
        let now = epoch + MS * number;
        arrived.extend(std::iter::from_fn(|| pipe.poll(now)).map(|number| (now - epoch, number)));
        pipe.offer(now, 1000, number);
    }
    arrived.extend(arrivals(&mut pipe).into_iter().map(|(at, number)| (at - epoch, number)));
    (arrived, pipe.stats())
}

fn numbers(arrived: &[(Duration, u32)]) -> Vec<u32> {
    arrived.iter().map(|(_, number)| *number).collect()
}

#[test]
fn losses_have_their_share_and_their_bursts() {
    let bursts = |share, mean| Loss::bursts(share, mean).unwrap();
    let random = |share| Loss::random(share).unwrap();
    let cases = [
        ("none", Loss::NONE, 0.0, None),
        ("one in twenty", random(0.05), 0.05, Some(1.0 / 0.95)),
        ("half", random(0.5), 0.5, Some(2.0)),
        ("all", random(1.0), 1.0, None),
        ("bursts of 8", bursts(0.05, 8.0), 0.05, Some(8.0)),
        ("bursts of 1: never two in a row", bursts(0.2, 1.0), 0.2, Some(1.0)),
        ("as bursty as the share allows", bursts(0.75, 3.0), 0.75, Some(3.0)),
        ("no bursts", bursts(0.0, 5.0), 0.0, None),
    ];
    for (name, loss, share, mean) in cases {
        for seed in 0..3 {
            let (arrived, stats) = carried(settings(10e6, 5, 9000).losing(loss).seeded(seed), COUNT);
            let mut lost = vec![true; COUNT as usize];
            numbers(&arrived).iter().for_each(|number| lost[*number as usize] = false);
            let count = lost.iter().filter(|lost| **lost).count();
            assert_eq!((stats.lost, stats.lost_bytes), (count as u64, count as u64 * 1000), "{name}");
            assert_eq!(stats.lost + stats.delivered, u64::from(COUNT), "{name}: {stats:?}");
            // Four deviations of a count of bursts of geometric length.
            let bursts = f64::from(COUNT) * share / mean.unwrap_or(1.0);
            let near = |found: f64, expected: f64| {
                (found - expected).abs() <= 4.0 * expected * (2.0 / bursts.max(1.0)).sqrt()
            };
            let found = count as f64 / f64::from(COUNT);
            assert!(near(found, share), "{name}: {found}");
            if let Some(mean) = mean {
                let runs = lost.chunk_by(|left, right| left == right).filter(|run| run[0]).count();
                assert!(near(count as f64 / runs as f64, mean), "{name}: {count} in {runs} bursts");
            }
        }
    }
}

#[test]
fn a_lost_datagram_takes_its_turn() {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings(1e6, 10, 9000).losing(Loss::random(1.0).unwrap()), epoch);
    assert_eq!(pipe.offer(epoch, 1000, ()), Verdict::Lost);
    pipe.set(epoch, settings(1e6, 10, 9000));
    assert_eq!(pipe.offer(epoch, 1000, ()), Verdict::Deliver(epoch + MS * 12));
    assert_eq!(times(&mut pipe), [epoch + MS * 12]);
    assert_eq!((pipe.stats().lost, pipe.stats().delivered), (1, 1));
}

#[test]
fn late_ones_are_overtaken_and_hold_nobody_up() {
    let late = Reordering::new(0.1, MS.mul_f64(2.5)).unwrap();
    let (arrived, stats) = carried(settings(10e6, 5, 9000).reordering(late).unwrap(), COUNT);
    assert_eq!(stats.delivered, u64::from(COUNT));
    let share = stats.reordered as f64 / f64::from(COUNT);
    assert!((share - 0.1).abs() < 0.008, "{share}");
    // One each ms: 2.5 ms let two others pass, unless they are late, too.
    let order = numbers(&arrived);
    let overtaken = (0..order.len() - 1).filter(|at| order[*at] > order[at + 1]).count() as f64;
    assert!(!order.is_sorted());
    assert!((overtaken / f64::from(COUNT) - 0.1 * (1.0 - 0.1 * 0.1)).abs() < 0.008, "{overtaken}");
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings(1e6, 5, 9000), epoch);
    pipe.set(epoch, settings(1e6, 5, 9000).reordering(Reordering::new(1.0, MS * 3).unwrap()).unwrap());
    assert_eq!(pipe.offer(epoch, 1000, "late"), Verdict::Deliver(epoch + MS * 9));
    pipe.set(epoch, settings(1e6, 5, 9000));
    assert_eq!(pipe.offer(epoch, 1000, "in time"), Verdict::Deliver(epoch + MS * 7));
    // What chance decided stays, with the new rate and delay.
    pipe.set(epoch + MS.mul_f64(0.5), settings(5e5, 10, 9000));
    let found = arrivals(&mut pipe);
    assert_eq!(found, [(epoch + MS.mul_f64(13.5), "in time"), (epoch + MS.mul_f64(14.5), "late")]);
}

#[test]
fn chance_is_the_seeds() {
    let faulty = |seed| {
        let late = Reordering::new(0.1, MS * 30).unwrap();
        let pipe = settings(10e6, 5, 9000).losing(Loss::bursts(0.1, 3.0).unwrap());
        carried(pipe.reordering(late).unwrap().seeded(seed), 2000)
    };
    assert_eq!(faulty(7), faulty(7));
    assert_ne!(faulty(7), faulty(8));
    let link = LinkSettings::symmetric(10e6, MS * 10, 9000).unwrap();
    let lossy = |pipe: PipeSettings| carried(pipe.losing(Loss::random(0.1).unwrap()), 2000);
    let seeded = link.clone().seeded(7);
    assert_eq!(lossy(seeded.up.clone()), lossy(link.seeded(7).up));
    assert_ne!(lossy(seeded.up), lossy(seeded.down), "the two ways are not alike");
}

#[test]
fn a_change_elsewhere_leaves_chance_as_it_was() {
    let lossy = settings(10e6, 5, 9000).losing(Loss::bursts(0.1, 3.0).unwrap());
    let lost = |changes: &[PipeSettings]| -> Vec<Verdict> {
        let epoch = Instant::now();
        let mut pipe = Pipe::new(lossy.clone(), epoch);
        let verdict = |number: usize| {
            if let Some(change) = changes.get(number) {
                pipe.set(epoch + MS * number as u32, change.clone());
            }
            match pipe.offer(epoch + MS * number as u32, 1000, ()) {
                Verdict::Deliver(_) => Verdict::Deliver(epoch),
                other => other,
            }
        };
        let verdicts: Vec<_> = (0..2000).map(verdict).collect();
        verdicts
            .into_iter()
            .map(|found| if let Verdict::Deliver(_) = found { Verdict::Dropped } else { found })
            .collect()
    };
    let faster = |rate| settings(rate, 7, 9000).losing(Loss::bursts(0.1, 3.0).unwrap());
    let late = Reordering::new(0.5, MS).unwrap();
    assert_eq!(lost(&[]), lost(&[faster(20e6), faster(10e6), faster(12e6).reordering(late).unwrap()]));
    assert_ne!(lost(&[]), lost(&[faster(20e6).seeded(1)]));
}

#[test]
fn scheduled_blackouts_lose_what_is_offered_and_what_is_under_way() {
    let blackout = |begins, lasts| Blackout { begins: MS * begins, lasts: MS * lasts };
    let blackouts = Blackouts::new([blackout(20, 10), blackout(30, 5), blackout(50, 1)]).unwrap();
    // One each ms, which takes 0.1 ms and 5 ms.
    let (arrived, stats) = carried(settings(10e6, 5, 9000).blacked_out(blackouts.clone()), 100);
    let gone = |number: u32| {
        let (from, to) = (f64::from(number), f64::from(number) + 5.1);
        (to > 20.0 && from < 35.0) || (to > 50.0 && from < 51.0)
    };
    assert_eq!(numbers(&arrived), (0..100).filter(|number| !gone(*number)).collect::<Vec<_>>());
    assert_eq!(stats.blacked_out, (0..100).filter(|number| gone(*number)).count() as u64);

    let epoch = Instant::now();
    let at = |ms: f64| epoch + MS.mul_f64(ms);
    let mut pipe = Pipe::new(settings(1e6, 5, 9000).blacked_out(blackouts.clone()), epoch);
    for _ in 0..6 {
        pipe.offer(at(11.0), 1000, ());
    }
    // Late to look: by 20 ms four had come.
    let come = std::iter::from_fn(|| pipe.poll(at(36.0))).count();
    assert_eq!((come, pipe.stats().blacked_out, pipe.backlog(at(36.0))), (4, 2, 0));
    assert_eq!(pipe.offer(at(36.0), 1000, ()), Verdict::Deliver(at(42.0)), "idle again");
    pipe.set(at(40.0), settings(1e6, 7, 9000).blacked_out(blackouts));
    assert_eq!(pipe.offer(at(50.5), 1000, ()), Verdict::Dropped, "the same schedule goes on");
    let at_once = Blackouts::new([blackout(0, 9)]).unwrap();
    pipe.set(at(60.0), settings(1e6, 7, 9000));
    pipe.offer(at(60.0), 1000, ());
    pipe.set(at(61.0), settings(1e6, 7, 9000).blacked_out(at_once));
    assert_eq!(pipe.offer(at(69.0), 1000, ()), Verdict::Dropped, "another one begins now");
    assert_eq!(pipe.offer(at(70.0), 1000, ()), Verdict::Deliver(at(78.0)));
    assert_eq!(times(&mut pipe), [at(42.0), at(78.0)], "what was under way is lost");
}

#[test]
fn impossible_faults_are_refused() {
    let (ms, none) = (|begins, lasts| Blackout { begins: MS * begins, lasts: MS * lasts }, Duration::ZERO);
    let errors = [
        Loss::random(-0.1).unwrap_err(),
        Loss::random(1.1).unwrap_err(),
        Loss::random(f64::NAN).unwrap_err(),
        Loss::bursts(2.0, 1.0).unwrap_err(),
        Loss::bursts(0.6, 1.0).unwrap_err(),
        Loss::bursts(0.1, 0.5).unwrap_err(),
        Loss::bursts(0.1, f64::NAN).unwrap_err(),
        Loss::bursts(1.0, 1e9).unwrap_err(),
        Reordering::new(1.5, none).unwrap_err(),
        settings(1e6, 1, 1).reordering(Reordering::new(0.5, MS * 60_001).unwrap()).unwrap_err(),
        settings(1e8, 1, 1).reordering(Reordering::new(0.5, MS * 9_000).unwrap()).unwrap_err(),
        Blackouts::new([ms(5, 0)]).unwrap_err(),
        Blackouts::new([ms(5, 5), ms(9, 1)]).unwrap_err(),
        Blackouts::new([ms(5, 1), ms(1, 1)]).unwrap_err(),
    ];
    let told = |expected: &str| errors.iter().filter(|error| error.to_string().contains(expected)).count();
    assert_eq!(
        [told("not from 0 to 1"), told("bursts of"), told("at most 60 s"), told("256 MiB"), told("apart")],
        [5, 4, 1, 1, 3]
    );
    assert!(matches!(errors[8], InvalidPipe::Share(_)));
}

proptest! {
    /// Whatever happens to a link, each datagram is counted once, and none comes early.
    #[test]
    fn each_datagram_is_counted_once(
        seed: u64,
        steps in prop::collection::vec((0_u32..40, 1_u32..3000, 0_u8..24), 1..200),
    ) {
        let epoch = Instant::now();
        let blackouts = |begins: u32| {
            Blackouts::new([Blackout { begins: MS * begins, lasts: MS * 5 }]).unwrap()
        };
        let variant = |choice: u8| {
            let rate = [1e5, 3e5, 1e6][usize::from(choice) % 3];
            let pipe = settings(rate, 4, 4000).seeded(seed).losing(Loss::bursts(0.2, 2.0).unwrap());
            let pipe = pipe.reordering(Reordering::new(0.2, MS * 9).unwrap()).unwrap();
            if choice.is_multiple_of(2) { pipe } else { pipe.blacked_out(blackouts(u32::from(choice))) }
        };
        let mut pipe = Pipe::new(variant(0), epoch);
        let (mut now, mut offered, mut arrived) = (epoch, 0_u64, 0_u64);
        for (gap, bytes, what) in steps {
            now += MS * gap / 4;
            match what {
                0..=5 => pipe.set(now, variant(what)),
                6 => pipe.pause(now),
                7..=9 => pipe.resume(),
                10..=14 => arrived += std::iter::from_fn(|| pipe.poll(now)).count() as u64,
                _ => {
                    offered += 1;
                    if let Verdict::Deliver(at) = pipe.offer(now, bytes, ()) {
                        prop_assert!(at >= now + MS * 4);
                    }
                }
            }
            prop_assert!(pipe.backlog(now) <= 7000, "queue and the first in line");
        }
        pipe.resume();
        arrived += arrivals(&mut pipe).len() as u64;
        let stats = pipe.stats();
        prop_assert_eq!((stats.delivered, stats.under_way), (arrived, 0));
        prop_assert_eq!(stats.delivered + stats.dropped + stats.lost + stats.blacked_out, offered);
        prop_assert!(stats.reordered <= stats.delivered);
    }
}
