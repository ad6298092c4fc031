//! One way to measure this machine.

use crate::battery::Gauge;
use crate::hwmon::Rail;
use crate::meter::MeasureError;
use crate::powercap::Domain;
use crate::tally::Sample;
use std::time::Duration;

/// What a sensor sees of the machine, the one that says most about a few inferences first.
///
/// A battery sees the whole machine, and yet comes last: gauges take seconds to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The supply of a whole board.
    Board,
    /// The processor packages: cores, caches, integrated graphics. On servers not the memory.
    Packages,
    /// Some supply rails, added up: what has a sensor, and no more.
    Rails,
    /// The whole machine, screen included.
    Battery,
}

/// Something to measure with, found by [`Meter::detect`](crate::Meter::detect).
#[derive(Clone, Debug)]
pub struct Sensor {
    name: String,
    scope: Scope,
    probe: Probe,
}

#[derive(Clone, Debug)]
pub(crate) enum Probe {
    Counters(Vec<Domain>),
    Rails(Vec<Rail>),
    Batteries(Vec<Gauge>),
}

impl Sensor {
    pub(crate) fn new(name: String, scope: Scope, probe: Probe) -> Self {
        Self { name, scope, probe }
    }

    /// For people, such as `RAPL package-0` or `ina3221 VDD_IN`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether it counts energy; else it tells the power of a moment.
    pub fn counts_energy(&self) -> bool {
        matches!(self.probe, Probe::Counters(_))
    }

    /// How often to look. Counters only so that they do not wrap twice unseen: the smallest range
    /// in use, 65 kJ, lasts a minute at 1 kW.
    pub(crate) fn interval(&self) -> Duration {
        match self.probe {
            Probe::Counters(_) => Duration::from_secs(10),
            // An INA chip averages over some ms, and a look takes one on its bus.
            Probe::Rails(_) => Duration::from_millis(20),
            Probe::Batteries(_) => Duration::from_millis(500),
        }
    }

    /// For each counter: where it wraps.
    pub(crate) fn ranges(&self) -> Vec<Option<u64>> {
        match &self.probe {
            Probe::Counters(domains) => domains.iter().map(Domain::range).collect(),
            _ => Vec::new(),
        }
    }

    /// Reads the files.
    pub(crate) fn sample(&self) -> Result<Sample, MeasureError> {
        match &self.probe {
            Probe::Counters(domains) => {
                let counters = domains.iter().map(Domain::microjoules).collect::<Result<_, _>>()?;
                Ok(Sample::Energy(counters))
            }
            Probe::Rails(rails) => Ok(Sample::Watts(rails.iter().map(Rail::watts).sum::<Result<_, _>>()?)),
            Probe::Batteries(gauges) => {
                let states = gauges.iter().map(Gauge::draw).collect::<Result<Vec<_>, _>>()?;
                Ok(Sample::Watts(crate::battery::machine_watts(&states)?))
            }
        }
    }
}
