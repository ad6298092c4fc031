#![allow(missing_docs, clippy::all, reason = "not committed")]
use kerf_steer::{Race, Settings as Steering};
use kerf_testbed::replay::bench::Cell;
use kerf_testbed::replay::{Piloted, Scenario, Summary, World, arrivals, run};
use kerf_testbed::trace::Trace;
use std::collections::HashMap;
use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    let world = World::parse(&std::fs::read_to_string(args.next().unwrap()).unwrap()).unwrap();
    let mut cells: Vec<Cell> = serde_json::from_slice(&std::fs::read(args.next().unwrap()).unwrap()).unwrap();
    let out = args.next().unwrap();
    let most: usize = args.next().unwrap().parse().unwrap();
    let mut traces = HashMap::new();
    let rtt = Duration::from_millis(40);
    let down = Trace::constant(6_250_000).unwrap();
    for cell in &mut cells {
        let up = traces.entry(cell.trace.clone()).or_insert_with(|| {
            Trace::read(std::path::Path::new(&format!("/tmp/traces/{}", cell.trace))).unwrap()
        });
        let world = world.slowed(cell.slowdown);
        let rate = cell.load / world.range(0, world.last());
        let long = up.period().max(Duration::from_secs_f64(300.0 / rate));
        let requests = arrivals(&world, rate, long, most, 6);
        assert_eq!(requests.len(), cell.requests);
        let scenario = Scenario {
            world: &world,
            up,
            down: &down,
            rtt,
            threads: 1,
            workers: 4,
            uplink_queue: 1 << 20,
            requests: &requests,
        };
        for (index, race) in [(2, Race::Never), (3, Race::Always)] {
            if std::env::var("ONLY").is_ok_and(|it| it != index.to_string()) {
                continue;
            }
            let mut policy = Piloted::new(&world, rtt, Steering { race, ..Steering::default() }).unwrap();
            let run = run(&scenario, &mut policy);
            cell.policies[index].summary = Summary::new(&world, &run, cell.seconds);
        }
    }
    std::fs::write(out, serde_json::to_vec(&cells).unwrap()).unwrap();
    let stat = |name: &str, of: &dyn Fn(&Cell) -> f64, keep: &dyn Fn(&Cell) -> bool| {
        let mut v: Vec<f64> = cells.iter().filter(|c| keep(c)).map(of).collect();
        v.sort_by(f64::total_cmp);
        if v.is_empty() {
            return;
        }
        let q = |s: f64| v[((s * v.len() as f64).ceil() as usize).max(1) - 1];
        print!(
            "{name}: mean {:.4} med {:.3} p90 {:.3} worst {:.3} | ",
            v.iter().sum::<f64>() / v.len() as f64,
            q(0.5),
            q(0.9),
            q(1.0)
        );
    };
    for index in [2, 3] {
        print!("{:13} ", cells[0].policies[index].name);
        stat("oracle", &|c| c.policies[index].summary.mean / c.oracle.mean, &|c| !c.says_nothing());
        stat("fixed", &|c| c.policies[index].summary.mean / c.best_fixed.summary.mean, &|_| true);
        stat("edge", &|c| c.policies[index].summary.mean / c.edge.mean, &|_| true);
        let f = cells
            .iter()
            .filter(|c| c.policies[index].summary.mean > 1.05 * c.best_fixed.summary.mean)
            .count();
        let e = cells.iter().filter(|c| c.policies[index].summary.mean > 1.03 * c.edge.mean).count();
        println!(">1.05f {f} >1.03e {e}");
        for load in [0.1, 0.4, 0.7] {
            print!("   {load} ");
            for slow in [4.0, 10.0, 25.0] {
                stat(&format!("{slow}x"), &|c| c.policies[index].summary.mean / c.oracle.mean, &|c| {
                    !c.says_nothing() && c.load == load && c.slowdown == slow
                });
            }
            println!();
        }
    }
}
