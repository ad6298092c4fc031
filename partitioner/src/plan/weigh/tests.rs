use super::*;
use crate::plan::landscape::{Link as At, changes, map};
use kerf_planner::tiers::{Deadline, Link, Parameter, Reply, Tier};

/// Four steps of 10 ms on the first tier, each next one ten times as fast; a megabyte per second and
/// 20 ms between neighbours. b2 is small, b3 holds two tensors.
fn problem(names: &[&str]) -> Problem {
    let bytes = [60e3, 200e3, 4e3, 30e3, 100.0];
    let tier = |(index, name): (usize, &&str)| Tier {
        name: (*name).into(),
        times: Ranges::new(4, |from, to| {
            Some(Dist::exact(0.01 * (to - from) as f64 / 10f64.powi(index as i32)))
        }),
        resident: Ranges::new(4, |from, to| 1e6 * (to - from) as f64),
        memory: None,
        busy_watts: if index == 0 { 4.0 } else { 0.0 },
        wait_watts: 0.0,
        money_per_second: 0.0,
        queue: Dist::default(),
    };
    let link = Link {
        up_delay: Dist::exact(0.01),
        down_delay: Dist::exact(0.01),
        up: Dist::exact(1e-6),
        down: Dist::exact(1e-6),
        joules_per_byte: 1e-7,
        money_per_byte: 0.0,
    };
    let shipment = |codec: &str, bytes: f64| Shipment {
        codec: codec.into(),
        bytes: Dist::exact(bytes),
        encode: vec![Dist::default(); names.len()],
        decode: vec![Dist::default(); names.len()],
        agreement_loss: 0.0,
    };
    let mut shipments: Vec<Vec<Shipment>> = bytes.iter().map(|bytes| vec![shipment(RAW, *bytes)]).collect();
    shipments[0].insert(0, shipment(ENCODED, 20e3));
    Problem {
        tiers: names.iter().enumerate().map(tier).collect(),
        links: vec![link; names.len() - 1],
        shipments,
        reply: Reply::plain(Dist::exact(100.0), names.len()),
        exits: Vec::new(),
    }
}

const ALL: fn(usize, usize, usize) -> bool = |_, _, _| true;

#[test]
fn every_place_to_leave_is_weighed() {
    let problem = problem(&["edge", "cloud"]);
    let (objective, constraints) = (Objective::Latency, Constraints::default());
    let question = Question { problem: &problem, objective: &objective, constraints: &constraints };
    let weighed = question.weigh().unwrap();
    let names: Vec<String> = weighed.plans.iter().map(|plan| name(&problem, plan)).collect();
    assert_eq!(names, ["picture → cloud", "raw tensor → cloud", "b1", "b2", "b3", "all on the edge"]);
    let choices: Vec<Choice> = weighed.plans.iter().map(|plan| choice(&question, plan, &ALL)).collect();
    let best = choices.iter().map(|choice| choice.objective).fold(f64::INFINITY, f64::min);
    assert_eq!(choices[weighed.best].objective, best);
    for choice in &choices {
        assert!((choice.mean_s() - choice.objective).abs() < 1e-12, "{choice:?}");
        assert!(choice.breaks.is_empty() && choice.p50_s <= choice.p95_s);
    }
    let b2 = &choices[3];
    assert_eq!((b2.split, b2.bytes_up, b2.bytes_down), (2, 4e3, 100.0));
    assert!((b2.of(Stage::Edge) - 0.02).abs() < 1e-12 && (b2.of(Stage::Up) - 0.014).abs() < 1e-12);
    assert_eq!(choices.iter().filter(|choice| choice.is_baseline).count(), 3);
}

#[test]
fn limits_that_are_broken_are_told() {
    let mut problem = problem(&["edge", "cloud"]);
    problem.tiers[0].memory = Some(3.5e6);
    let deadline = Some(Deadline { seconds: 0.1, quantile: 0.95 });
    let constraints = Constraints { deadline, energy: Some(0.1), privacy_floor: 1, ..Constraints::default() };
    let question = Question { problem: &problem, objective: &Objective::Latency, constraints: &constraints };
    let weighed = question.weigh().unwrap();
    let breaks: Vec<String> = weighed.plans.iter().map(|plan| question.breaks(plan).join(", ")).collect();
    assert_eq!(breaks[0], "leaves before b1");
    assert_eq!(breaks[2], "p95 is 233 ms");
    assert_eq!(breaks[weighed.best], "");
    assert_eq!(breaks[4], "takes 123 mJ");
    assert_eq!(breaks[5], "takes 160 mJ, edge needs 3.81 MiB");
}

#[test]
fn chains_of_tiers_have_names() {
    let problem = problem(&["device", "gateway", "cloud"]);
    let question =
        Question { problem: &problem, objective: &Objective::Latency, constraints: &Constraints::default() };
    let weighed = question.weigh().unwrap();
    let names: Vec<String> = weighed.plans.iter().map(|plan| name(&problem, plan)).collect();
    assert!(names.iter().any(|name| name == "picture → gateway"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("b2 → gateway")), "{names:?}");
    assert!(names.iter().any(|name| name == "all on the device"), "{names:?}");
    for plan in &weighed.plans {
        let choice = choice(&question, plan, &ALL);
        assert!((choice.mean_s() - plan.latency.mean).abs() < 1e-12);
    }
}

#[test]
fn baselines_are_found_among_the_choices() {
    let problem = problem(&["edge", "cloud"]);
    let question =
        Question { problem: &problem, objective: &Objective::Latency, constraints: &Constraints::default() };
    let plans = question.weigh().unwrap().plans;
    let found = baselines(&question, &plans, Err("no layers".into()));
    let names: Vec<Option<String>> =
        found.iter().map(|baseline| baseline.choice.map(|index| name(&problem, &plans[index]))).collect();
    let wanted = [Some("all on the edge"), Some("picture → cloud"), Some("raw tensor → cloud"), None];
    assert_eq!(names, wanted.map(|name| name.map(str::to_owned)));
    assert_eq!(found[3].note, "no layers");
}

#[test]
fn a_chain_has_no_cuts_of_several_tensors() {
    let problem = problem(&["edge", "cloud"]);
    let steps = [vec![0.02; 4], vec![1e-3; 4]];
    let chain = as_chain(&problem, &steps, &[true, true, true, false, true]);
    assert_eq!(chain.tiers[0].times.at(1, 3).unwrap().mean, 0.04);
    assert!(chain.shipments[3].is_empty() && chain.shipments[2].len() == 1 && chain.shipments[0].len() == 2);
    assert!(tiers::plan(&chain, &Objective::Latency, &Constraints::default()).is_ok());
}

#[test]
fn pixels_are_a_quarter_of_floats() {
    assert_eq!(pixels(&problem(&["edge", "cloud"])).unwrap().bytes.mean, 15e3);
}

#[test]
fn the_map_agrees_with_the_plan_and_has_baselines_at_its_ends() {
    let problem = problem(&["edge", "cloud"]);
    let question =
        Question { problem: &problem, objective: &Objective::Latency, constraints: &Constraints::default() };
    let map = map(&question, &problem, &At { uplink_bps: 8e6, rtt_s: 0.02 });
    assert_eq!(map.cells.len(), map.bandwidths.len() * map.rtts.len());
    let at =
        |column: usize, row: usize| &map.regions[map.cells[row * map.bandwidths.len() + column].unwrap()];
    let (wide, high) = (map.bandwidths.len() - 1, map.rtts.len() - 1);
    assert_eq!(at(0, high).name, "all on the edge");
    assert!(at(wide, 0).split == 0 && at(wide, 0).is_baseline);
    for (cell, agrees) in map.cells.iter().zip(&map.chain_agrees) {
        assert_eq!(*agrees, !map.regions[cell.unwrap()].is_baseline, "the same problem has the same answer");
    }
}

#[test]
fn changes_turn_the_plan() {
    let problem = problem(&["edge", "cloud"]);
    let (objective, constraints) = (Objective::Latency, Constraints::default());
    let question = Question { problem: &problem, objective: &objective, constraints: &constraints };
    let weighed = question.weigh().unwrap();
    let found = changes(&question, &weighed, &At { uplink_bps: 8e6, rtt_s: 0.02 });
    assert!(!found.is_empty());
    for change in found {
        let parameter = match change.what.as_str() {
            "the uplink" => Parameter::UpBandwidth,
            "the downlink" => Parameter::DownBandwidth,
            "the round trip" => Parameter::RoundTrip,
            "the edge's speed" => Parameter::FirstTierSpeed,
            _ => Parameter::LastTierSpeed,
        };
        let winner = |factor: f64| {
            let changed = problem.with(parameter, factor);
            name(&changed, &tiers::plan(&changed, &objective, &constraints).unwrap().best)
        };
        let beyond = change.factor.powf(1.01);
        assert_eq!(winner(beyond), change.winner, "{change:?}");
        assert_ne!(winner(change.factor.powf(0.99)), change.winner, "{change:?}");
    }
}

/// A codec at b2 that loses little, one that loses much; pixels of a tenth of the picture.
fn coded() -> Problem {
    let mut problem = problem(&["edge", "cloud"]);
    let shipment = |codec: &str, bytes: f64, agreement_loss: f64| Shipment {
        codec: codec.into(),
        bytes: Dist::exact(bytes),
        agreement_loss,
        ..problem.shipments[2][0].clone()
    };
    let (fine, coarse) = (shipment("fine", 2e3, 0.004), shipment("coarse", 500.0, 0.02));
    let inputs = [("jpeg90", 3e3, 0.001), ("jpeg45", 200.0, 0.03), ("t1", 2.9e3, 0.002)];
    let inputs = inputs.map(|(codec, bytes, loss)| shipment(codec, bytes, loss));
    problem.shipments[2].extend([fine, coarse]);
    problem.shipments[0].extend(inputs);
    problem
}

#[test]
fn codecs_within_the_floor_are_weighed_by_name() {
    let problem = coded();
    let constraints = Constraints { agreement: Some(0.995), ..Constraints::default() };
    let question = Question { problem: &problem, objective: &Objective::Bytes, constraints: &constraints };
    let weighed = question.weigh().unwrap();
    let mut choices: Vec<Choice> = weighed.plans.iter().map(|plan| choice(&question, plan, &ALL)).collect();
    mark_front(&mut choices);
    let of =
        |name: &str| choices.iter().find(|choice| choice.name == name).unwrap_or_else(|| panic!("{name}"));
    let fine = of("b2 as fine");
    assert_eq!((fine.payload.as_str(), fine.bytes_up, fine.agreement), ("fine", 2e3, 0.996));
    assert_eq!((of("b2").payload.as_str(), of("b2").bytes_up), ("raw", 4e3));
    assert!(
        of("jpeg90 → cloud").is_baseline
            && !of("t1 → cloud").is_baseline
            && fine.on_front
            && !fine.is_baseline
    );
    assert!(choices.iter().all(|choice| choice.breaks.is_empty() && choice.agreement >= 0.995));

    let found = baselines(&question, &weighed.plans, Err("no layers".into()));
    let packed = &choices[found[1].choice.unwrap()];
    assert_eq!(
        (packed.name.as_str(), found[1].note.as_str()),
        ("jpeg90 → cloud", "the pixels that the model looks at, as jpeg90")
    );
    let chain = as_chain(&problem, &[vec![0.01; 4], vec![1e-3; 4]], &[true; 5]);
    assert!(chain.shipments.iter().flatten().all(|it| [RAW, ENCODED].contains(&it.codec.as_str())));

    let all = Constraints { agreement: Some(1.0), ..Constraints::default() };
    let question = Question { constraints: &all, ..question };
    let plans = question.weigh().unwrap().plans;
    assert!(plans.iter().all(|plan| plan.agreement == 1.0), "{plans:#?}");
}
