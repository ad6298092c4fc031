//! Plans over tiers against all plans.

use crate::problems::{Value, all, constraints, meets, problem};
use kerf_planner::tiers::{
    Change, Conflict, Constraint, Constraints, Deadline, Infeasible, Objective, Parameter, Plan, PlanError,
    Problem, Weights, pareto, plan, sensitivity,
};
use proptest::prelude::*;

fn objective() -> impl Strategy<Value = Objective> {
    let weight = || prop_oneof![Just(0.0), 0.0..2.0];
    let weighted = (0.01..2.0, weight(), weight(), weight()).prop_map(|(latency, energy, bytes, money)| {
        Objective::Weighted(Weights { latency, energy, bytes: bytes * 1e-6, money })
    });
    prop_oneof![
        2 => Just(Objective::Latency),
        1 => Just(Objective::Energy),
        1 => Just(Objective::Bytes),
        1 => Just(Objective::Money),
        2 => weighted,
    ]
}

fn score(objective: &Objective, value: &Value) -> f64 {
    let weights = objective.weights();
    weights.latency * value.latency
        + weights.energy * value.energy
        + weights.bytes * value.bytes
        + weights.money * value.money
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-12
}

/// The plan's own figures are those of its definition.
fn is_true(plan: &Plan, values: &[Value]) -> bool {
    let value = values.iter().find(|value| value.stages == plan.stages).unwrap();
    let parts: f64 = plan.seconds(|_| true);
    let end = plan.outcomes.last().unwrap();
    let (probability, mean, variance) = *value.ends.last().unwrap();
    is_close(plan.latency.mean, value.latency)
        && is_close(parts, value.latency)
        && is_close(plan.energy, value.energy)
        && is_close(plan.egress_bytes, value.bytes)
        && is_close(plan.money, value.money)
        && is_close(plan.agreement, value.agreement)
        && is_close(end.probability, probability)
        && is_close(end.latency.mean, mean)
        && is_close(end.latency.sd, variance.sqrt())
}

/// The least scores of plans that cut at different places.
fn ranking(objective: &Objective, values: &[&Value]) -> Vec<f64> {
    let cuts = |value: &Value| {
        let cut = value.stages.iter().map(|it| (it.tier, it.to, it.ship.map(|ship| ship.boundary)));
        cut.collect::<Vec<_>>()
    };
    let mut best = std::collections::BTreeMap::new();
    for value in values {
        let least = best.entry(cuts(value)).or_insert(f64::INFINITY);
        *least = score(objective, value).min(*least);
    }
    let mut scores: Vec<f64> = best.into_values().collect();
    scores.sort_by(f64::total_cmp);
    scores
}

proptest! {
    #![proptest_config(crate::cases(3000))]

    #[test]
    fn plans_equal_enumeration(problem in problem(4, 5), objective in objective(), seed in any::<u64>()) {
        let constraints = constraints(&problem, seed);
        let values = all(&problem, &constraints);
        let met: Vec<&Value> = values.iter().filter(|value| meets(value, &constraints)).collect();
        match plan(&problem, &objective, &constraints) {
            Ok(plans) => {
                let wanted = ranking(&objective, &met);
                let found: Vec<&Plan> = std::iter::once(&plans.best).chain(&plans.runners_up).collect();
                prop_assert_eq!(found.len(), wanted.len().min(6));
                for (plan, wanted) in found.iter().zip(&wanted) {
                    prop_assert!(is_close(plan.score, *wanted), "{} is not {wanted}", plan.score);
                    prop_assert!(is_true(plan, &values), "{plan:#?}");
                }
            }
            Err(PlanError::Infeasible(infeasible)) => {
                prop_assert!(met.is_empty(), "{infeasible}");
                is_minimal(&problem, &constraints, &infeasible)?;
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn the_front_is_what_nothing_beats(problem in problem(4, 5)) {
        let front = pareto(&problem).unwrap();
        let values = all(&problem, &Constraints::default());
        let of_plan = |plan: &Plan| [plan.latency.mean, plan.energy, plan.egress_bytes, -plan.agreement];
        let of_value = |it: &Value| [it.latency, it.energy, it.bytes, -it.agreement];
        let beats = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(a, b)| *a <= b + 1e-9 * b.abs() + 1e-12);
        for value in &values {
            prop_assert!(front.iter().any(|plan| beats(&of_plan(plan), &of_value(value))));
        }
        for plan in &front {
            let own = of_plan(plan);
            let is_beaten = values.iter().map(of_value).any(|value| {
                beats(&value, &own) && value.iter().zip(&own).any(|(a, b)| *a < b - 1e-6 * b.abs())
                    && value.iter().zip(&own).all(|(a, b)| a <= b)
            });
            prop_assert!(!is_beaten && is_true(plan, &values));
        }
    }
}

/// Without any one of the conflicting constraints there is a plan, and it is as good as is said.
fn is_minimal(problem: &Problem, constraints: &Constraints, found: &Infeasible) -> Result<(), TestCaseError> {
    let conflicts = &found.conflicts;
    prop_assert!(only(problem, constraints, conflicts).is_empty());
    for index in 0..conflicts.len() {
        let mut others = conflicts.clone();
        let Conflict { constraint, best, .. } = others.remove(index);
        let met = only(problem, constraints, &others);
        prop_assert!(!met.is_empty(), "{found}");
        let least = |of: fn(&Value) -> f64| met.iter().map(of).fold(f64::INFINITY, f64::min);
        let wanted = match constraint {
            Constraint::Energy => least(|value| value.energy),
            Constraint::Bytes => least(|value| value.bytes),
            Constraint::Money => least(|value| value.money),
            Constraint::Agreement => -least(|value| -value.agreement),
            Constraint::Deadline { quantile } => {
                let time = best.unwrap();
                for (seconds, is_met) in [(time * (1.0 + 1e-7) + 1e-12, true), (time * (1.0 - 1e-7), false)] {
                    let constraints =
                        Constraints { deadline: Some(Deadline { seconds, quantile }), ..Default::default() };
                    prop_assert_eq!(
                        met.iter().any(|value| meets(value, &constraints)),
                        is_met || time == 0.0
                    );
                }
                continue;
            }
            Constraint::PrivacyFloor => {
                let floors =
                    met.iter().map(|value| value.stages[0].ship.map_or(problem.last(), |ship| ship.boundary));
                floors.max().unwrap() as f64
            }
            Constraint::Memory { index, .. } => {
                let mut tight = problem.clone();
                tight.tiers[index].memory = best;
                let mut others = others.clone();
                others.push(Conflict { constraint, wanted: best.unwrap(), best });
                prop_assert!(!only(&tight, constraints, &others).is_empty());
                continue;
            }
            _ => continue,
        };
        prop_assert!(is_close(best.unwrap(), wanted), "{best:?} is not {wanted}: {found}");
    }
    Ok(())
}

/// Plans that keep to these constraints alone.
fn only(problem: &Problem, constraints: &Constraints, kept: &[Conflict]) -> Vec<Value> {
    let mut problem = problem.clone();
    let has = |wanted: fn(&Constraint) -> bool| kept.iter().any(|conflict| wanted(&conflict.constraint));
    for (tier, it) in problem.tiers.iter_mut().enumerate() {
        let is_kept =
            kept.iter().any(|it| matches!(it.constraint, Constraint::Memory { index, .. } if index == tier));
        it.memory = it.memory.filter(|_| is_kept);
    }
    let pins = constraints.pins.iter().enumerate().filter(|(pin, _)| {
        kept.iter().any(|it| matches!(it.constraint, Constraint::Pin { index, .. } if index == *pin))
    });
    let constraints = Constraints {
        deadline: constraints.deadline.filter(|_| has(|it| matches!(it, Constraint::Deadline { .. }))),
        agreement: constraints.agreement.filter(|_| has(|it| *it == Constraint::Agreement)),
        energy: constraints.energy.filter(|_| has(|it| *it == Constraint::Energy)),
        bytes: constraints.bytes.filter(|_| has(|it| *it == Constraint::Bytes)),
        money: constraints.money.filter(|_| has(|it| *it == Constraint::Money)),
        privacy_floor: if has(|it| *it == Constraint::PrivacyFloor) { constraints.privacy_floor } else { 0 },
        pins: pins.map(|(_, pin)| *pin).collect(),
    };
    let mut values = all(&problem, &constraints);
    values.retain(|value| meets(value, &constraints));
    values
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn a_change_makes_the_plan_the_best_and_nothing_less_does(
        problem in problem(3, 4), objective in objective(), seed in any::<u64>(),
    ) {
        let constraints = constraints(&problem, seed);
        let Ok(plans) = plan(&problem, &objective, &constraints) else { return Ok(()) };
        for runner_up in plans.runners_up.iter().take(2) {
            // Ties are won already.
            if is_close(runner_up.score, plans.best.score) {
                continue;
            }
            let changes = sensitivity(&problem, &objective, &constraints, runner_up).unwrap();
            for parameter in Parameter::ALL {
                // The runner-up's score over the least of all, and of all others.
                let lead = |factor: f64| {
                    let problem = problem.with(parameter, factor);
                    let values = all(&problem, &constraints);
                    let met = values.iter().filter(|value| meets(value, &constraints));
                    let of = |is_own: bool| {
                        let some = met.clone().filter(|value| (value.stages == runner_up.stages) == is_own);
                        some.map(|value| score(&objective, value)).fold(f64::INFINITY, f64::min)
                    };
                    (of(true), of(false))
                };
                let is_best = |factor: f64| {
                    let (own, others) = lead(factor);
                    own.is_finite() && own <= others * (1.0 + 1e-9)
                };
                let is_sole_best = |factor: f64| {
                    let (own, others) = lead(factor);
                    own < others * (1.0 - 1e-6)
                };
                match changes.iter().find(|change| change.parameter == parameter) {
                    Some(Change { factor, .. }) => {
                        prop_assert!(*factor != 1.0);
                        let beyond = factor * if *factor > 1.0 { 1.0 + 2e-6 } else { 1.0 - 2e-6 };
                        prop_assert!(is_best(beyond), "{parameter:?} {factor}");
                        for share in [-0.999, -0.5, -0.1, 0.1, 0.5, 0.9, 0.999] {
                            let less = factor.powf(share);
                            prop_assert!(!is_sole_best(less), "{parameter:?} {factor}, {less} would do");
                        }
                    }
                    None => {
                        for factor in [2e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 1.1, 2.0, 10.0, 100.0, 1e3, 5e3] {
                            prop_assert!(!is_sole_best(factor), "{parameter:?} {factor} would do");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    use kerf_planner::tiers::{Dist, Link, Ranges, Reply, Shipment, Tier};
    let tier = |name: &str, seconds: f64| Tier {
        name: name.into(),
        times: Ranges::new(2, |from, to| Some(Dist::exact(seconds * (to - from) as f64))),
        resident: Ranges::new(2, |_, _| 1e6),
        memory: None,
        busy_watts: 5.0,
        wait_watts: 1.0,
        money_per_second: 0.0,
        queue: Dist::default(),
    };
    let shipment = Shipment {
        codec: "raw".into(),
        bytes: Dist::exact(1e4),
        encode: vec![Dist::default(); 2],
        decode: vec![Dist::default(); 2],
        agreement_loss: 0.0,
    };
    let link = Link {
        up_delay: Dist::exact(0.01),
        down_delay: Dist::exact(0.01),
        up: Dist::exact(1e-6),
        down: Dist::exact(1e-6),
        joules_per_byte: 0.0,
        money_per_byte: 0.0,
    };
    let good = Problem {
        tiers: vec![tier("device", 0.05), tier("cloud", 0.005)],
        links: vec![link],
        shipments: vec![vec![shipment]; 3],
        reply: Reply::plain(Dist::exact(100.0), 2),
        exits: Vec::new(),
    };
    type Spoil = fn(&mut Problem, &mut Constraints);
    let cases: [(Spoil, &str); 11] = [
        (
            |problem, _| problem.links[0].up.mean = 1.0 / 0.0,
            "link 0: seconds per byte up is inf, it must be finite and not negative",
        ),
        (|problem, _| problem.tiers[1].queue.sd = f64::NAN, "spread of tier `cloud`: queue is NaN"),
        (|problem, _| problem.links.clear(), "links between tiers: 0, there must be 1"),
        (|problem, _| problem.shipments[1][0].bytes.mean = -1.0, "b1 as raw: bytes is -1"),
        (|problem, _| problem.reply.decode.mean = f64::NAN, "result: seconds to decode is NaN"),
        (|problem, _| problem.reply.agreement_loss = 1.5, "result: loss of agreement is 1.5"),
        (
            |problem, _| problem.tiers[0].times = Ranges::new(3, |_, _| None),
            "tier `device`: boundaries of its times: 4",
        ),
        (
            |_, constraints| constraints.privacy_floor = 3,
            "privacy floor b3: no such place, the boundaries are b0 to b2",
        ),
        (
            |_, constraints| constraints.deadline = Some(Deadline { seconds: 0.1, quantile: 0.2 }),
            "quantile of the deadline is 0.2",
        ),
        (
            |_, constraints| {
                constraints.deadline = Some(Deadline { seconds: 0.05, quantile: 0.95 });
                constraints.privacy_floor = 1;
                constraints.agreement = Some(0.5);
            },
            "no plan keeps to all of: deadline 50.000 ms at p95 (with the others at best 85.100 ms); \
             privacy floor b1 (with the others at best b0)",
        ),
        (
            |problem, _| problem.tiers.iter_mut().for_each(|tier| tier.times = Ranges::new(2, |_, _| None)),
            "no tier, alone or with others, can run the model to its end",
        ),
    ];
    for (spoil, wanted) in cases {
        let (mut problem, mut constraints) = (good.clone(), Constraints::default());
        spoil(&mut problem, &mut constraints);
        let error = plan(&problem, &Objective::Latency, &constraints).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error} is not {wanted}");
    }
    // The cloud in one go: 2·10 ms, 10 ms on the link, 0.1 ms back, 10 ms of work.
    let plans = plan(&good, &Objective::Latency, &Constraints::default()).unwrap();
    assert!(is_close(plans.best.latency.mean, 0.0401), "{plans:#?}");
    let none = Objective::Weighted(Weights::default());
    assert!(plan(&good, &none, &Constraints::default()).unwrap_err().to_string().starts_with("sum of the"));
}
