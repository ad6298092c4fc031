//! Every policy over recorded networks, in virtual time, as a table.
//!
//! ```text
//! cargo run --release -p kerf-testbed --example replay -- --world crates/testbed/examples/mobilenet_v2.json \
//!     --traces DIR... [--json OUT] [--slowdowns 4,10,25] [--loads 0.1,0.4,0.7] [--rtt 40] [--most 3000]
//!     [--half tune|report] [--every 1] [--cells 1]
//! ```
//!
//! Of a folder all traces are taken, or, where there are such, those that end in `.up`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to people")]

use kerf_steer::{Race, Settings as Steering};
use kerf_testbed::replay::World;
use kerf_testbed::replay::bench::{Cell, Conditions, Contender, Settings, Verdict, cell, verdicts};
use kerf_testbed::replay::oracle::Effort;
use kerf_testbed::trace::Trace;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

struct Arguments {
    world: PathBuf,
    traces: Vec<PathBuf>,
    json: Option<PathBuf>,
    slowdowns: Vec<f64>,
    loads: Vec<f64>,
    rtt: Duration,
    most: usize,
    half: Option<bool>,
    every: usize,
    print_cells: bool,
    jobs: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let world = World::parse(&std::fs::read_to_string(&arguments.world)?)?;
    let mut traces = Vec::new();
    for folder in &arguments.traces {
        traces.extend(read(folder, &arguments)?);
    }
    println!("{}: {}", world.name, world.source);
    let settings = Settings {
        rtt: arguments.rtt,
        down: Trace::constant(6_250_000).ok_or("a rate")?,
        threads: 1,
        workers: 4,
        uplink_queue: 1 << 20,
        least: 300,
        most: arguments.most,
        seed: 6,
        effort: Effort::default(),
    };
    let mut todo = Vec::new();
    for (name, up) in &traces {
        for &slowdown in &arguments.slowdowns {
            todo.extend(arguments.loads.iter().map(|&load| Conditions { name, up, slowdown, load }));
        }
    }
    let steering = |race| Steering { race, ..Steering::default() };
    let contenders = [
        Contender { name: "kerf", settings: steering(Race::Never) },
        Contender { name: "kerf, racing", settings: steering(Race::Always) },
    ];
    let (next, done) = (Mutex::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let Ok(mut counter) = next.lock() else { return };
                    let index = *counter;
                    *counter += 1;
                    drop(counter);
                    let Some(conditions) = todo.get(index) else { return };
                    let made = cell(&world, conditions, &settings, &contenders);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, made));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner()?;
    done.sort_by_key(|(index, _)| *index);
    let cells: Vec<Cell> = done.into_iter().map(|(_, cell)| cell).collect::<Result<_, _>>()?;
    if arguments.print_cells {
        cells.iter().for_each(print_cell);
    }
    let (verdicts, telling) = verdicts(&cells);
    println!("{} cells, {telling} of them say something", cells.len());
    print(&verdicts);
    if let Some(path) = arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&cells)?)?;
    }
    Ok(())
}

fn read(folder: &Path, arguments: &Arguments) -> Result<Vec<(String, Trace)>, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = if folder.is_dir() {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?
    } else {
        vec![folder.to_owned()]
    };
    let is_up = |path: &PathBuf| path.extension().is_some_and(|it| it == "up");
    if paths.iter().any(is_up) {
        paths.retain(is_up);
    }
    paths.sort();
    let mut traces = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if arguments.half.is_some_and(|tune| tune != is_for_tuning(&file)) {
            continue;
        }
        match Trace::read(&path) {
            Ok(trace) => {
                let family = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
                traces.push((format!("{family}/{file}"), trace));
            }
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
    Ok(traces.into_iter().step_by(arguments.every).collect())
}

/// Half of all files, by name (FNV-1a and the finaliser of SplitMix64): parameters are chosen on these.
fn is_for_tuning(name: &str) -> bool {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ (hash >> 27)) >> 40 & 1 == 1
}

fn print_cell(cell: &Cell) {
    let shares = |shares: &[kerf_testbed::replay::Share]| {
        let shown = shares.iter().take(3).map(|it| format!("{} {:.0}%", it.way, 100.0 * it.share));
        shown.collect::<Vec<_>>().join(", ")
    };
    println!(
        "{}, {:.1} Mbit/s, {}x, load {}: {} requests; edge {:.1} ms, best fixed {} {:.3}, oracle {:.1} ms{} ({})",
        cell.trace,
        cell.megabits,
        cell.slowdown,
        cell.load,
        cell.requests,
        1e3 * cell.edge.mean,
        cell.best_fixed.name,
        cell.best_fixed.summary.mean / cell.oracle.mean,
        1e3 * cell.oracle.mean,
        if cell.says_nothing() { ", says nothing" } else { "" },
        shares(&cell.oracle.shares),
    );
    for it in &cell.policies {
        println!(
            "    {:14} {:.3} of the oracle, p95 {:.0} ms, raced {:.0}%, probes {}, {}",
            it.name,
            it.summary.mean / cell.oracle.mean,
            1e3 * it.summary.p95,
            100.0 * it.summary.raced,
            it.summary.probes,
            shares(&it.summary.shares)
        );
    }
}

fn print(verdicts: &[Verdict]) {
    println!(
        "| policy | over the oracle: median | p90 | worst | over the best fixed: worst | cells > 1.05 | over all-edge: worst | cells > 1.03 | cells better than the oracle |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for it in verdicts {
        println!(
            "| {} | {:.3} | {:.3} | {:.3} ({}) | {:.3} | {} | {:.3} | {} | {} |",
            it.name,
            it.median,
            it.p90,
            it.worst,
            it.worst_cell,
            it.over_fixed,
            it.above_fixed,
            it.over_edge,
            it.above_edge,
            it.beats_oracle
        );
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments {
        world: PathBuf::new(),
        traces: Vec::new(),
        json: None,
        slowdowns: vec![4.0, 10.0, 25.0],
        loads: vec![0.1, 0.4, 0.7],
        rtt: Duration::from_millis(40),
        most: 3000,
        half: None,
        every: 1,
        print_cells: false,
        jobs: 1,
    };
    let mut words = std::env::args().skip(1).peekable();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let list = |text: String| text.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
        match word.as_str() {
            "--world" => found.world = value()?.into(),
            "--json" => found.json = Some(value()?.into()),
            "--slowdowns" => found.slowdowns = list(value()?)?,
            "--loads" => found.loads = list(value()?)?,
            "--rtt" => found.rtt = Duration::from_secs_f64(value()?.parse::<f64>()? * 1e-3),
            "--most" => found.most = value()?.parse()?,
            "--half" => found.half = Some(value()? == "tune"),
            "--every" => found.every = value()?.parse()?,
            "--cells" => found.print_cells = value()? == "1",
            "--jobs" => found.jobs = value()?.parse()?,
            "--traces" => {
                while let Some(folder) = words.next_if(|word| !word.starts_with("--")) {
                    found.traces.push(folder.into());
                }
            }
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    Ok(found)
}
