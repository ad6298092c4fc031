//! What the profiles say of their devices: how times were come by, and where they go.

use super::report::{Bar, Device, Layers, PredictionError};
use crate::print;
use kerf_graph::CutModel;
use kerf_planner::Traffic;
use kerf_profile::{EngineUsed, Power, PowerSource, Predictor, Profile};
use std::collections::HashMap;

/// One device.
pub(super) struct Witness {
    /// `edge`, `gateway`, `cloud`.
    pub(super) role: String,
    pub(super) profile: Profile,
    /// How requests come to it.
    pub(super) traffic: Traffic,
    /// Of single requests that come so.
    pub(super) times: Predictor,
}

impl Witness {
    pub(super) fn device(&self) -> Device {
        let Self { role, profile, times, .. } = self;
        let ranges = profile.last() * (profile.last() + 1) / 2;
        let timed = profile.ranges.iter().filter(|range| range.batch == 1).count();
        let failed = profile.failed.iter().filter(|failure| failure.batch == 1).count();
        let error = times.error();
        Device {
            role: role.clone(),
            host: profile.device.host.clone(),
            cpu: profile.device.cpu.clone(),
            cores: profile.device.cores,
            engine: engine(&profile.engine),
            threads: profile.engine.threads,
            taken: profile.taken.clone(),
            timed,
            predicted: ranges.saturating_sub(timed + failed),
            error: (error.ranges > 0).then_some(PredictionError {
                ranges: error.ranges,
                median: error.median,
                p90: error.p90,
            }),
            power: profile.power.as_ref().map_or_else(|| "not known".into(), power),
        }
    }

    /// Each node's time where the engine told it, else that of what lies between boundaries.
    pub(super) fn layers(&self, model: &CutModel) -> Layers {
        let role = self.role.clone();
        let by_node = self.profile.layers.as_ref().map(|layers| (layers.runs, self.nodes(model)));
        match by_node {
            Some((runs, bars)) => {
                Layers { role, source: format!("the engine's own profiler, mean of {runs} runs"), bars }
            }
            None => Layers {
                role,
                source: "differences between ranges from the inputs".into(),
                bars: self.steps_of(model),
            },
        }
    }

    /// Seconds between neighbouring boundaries as sums over layers, as planners of chains have them;
    /// without layers, of the ranges between neighbours. Decoding pictures is not among them.
    pub(super) fn steps(&self, model: &CutModel) -> Vec<f64> {
        let bars = if self.profile.layers.is_some() { self.nodes(model) } else { Vec::new() };
        let pairs = model.boundaries().windows(2).enumerate();
        pairs
            .map(|(index, pair)| match bars.get(pair[0].nodes..pair[1].nodes) {
                Some(bars) if !bars.is_empty() => bars.iter().map(|bar| bar.seconds).sum(),
                _ => self.times.time(index, index + 1).map_or(0.0, |time| time.mean),
            })
            .collect()
    }

    fn nodes(&self, model: &CutModel) -> Vec<Bar> {
        let layers = self.profile.layers.iter().flat_map(|layers| &layers.nodes);
        let seconds: HashMap<&str, f64> = layers.map(|layer| (layer.node.as_str(), layer.seconds)).collect();
        let nodes = model.model().nodes().iter().enumerate();
        nodes
            .map(|(index, node)| Bar {
                first: index,
                end: index + 1,
                name: format!("{} {}", node.op, node.name),
                seconds: seconds.get(node.name.as_str()).copied().unwrap_or(0.0),
            })
            .collect()
    }

    fn steps_of(&self, model: &CutModel) -> Vec<Bar> {
        let until = |index: usize| self.times.time(0, index).map_or(0.0, |time| time.p50);
        let pairs = model.boundaries().windows(2).enumerate();
        pairs
            .map(|(index, pair)| Bar {
                first: pair[0].nodes,
                end: pair[1].nodes,
                name: format!("b{index}..b{}", index + 1),
                seconds: (until(index + 1) - until(index)).max(0.0),
            })
            .collect()
    }
}

/// The engine's own words, after its name where they do not begin with it.
fn engine(engine: &EngineUsed) -> String {
    match engine.version.strip_prefix(&engine.name) {
        Some(_) => engine.version.clone(),
        None => format!("{}: {}", engine.name, engine.version),
    }
}

fn power(power: &Power) -> String {
    let source = match &power.source {
        PowerSource::Measured(sensor) => format!("measured by {sensor}"),
        PowerSource::Modelled => "modelled".into(),
    };
    let (idle, busy) = (power.idle_watts, power.busy_watts);
    format!(
        "{source}: {idle:.2} W idle, {busy:.2} W busy, {}/byte sent",
        print::joules(power.joules_per_byte)
    )
}
