//! Joules for a profile: from this machine's sensor, else as somebody wrote them down.

use kerf_power::{Meter, Model, Roots, Running};
use kerf_profile::{Power, PowerSource, Profile};
use kerf_settings::units;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// How long a machine is watched doing nothing.
const IDLE: Duration = Duration::from_secs(2);

/// What a device draws, in the words of `--power`: `idle=3W,busy=7W`, with `byte=2uJ` for sending
/// one, or the name of a YAML file with `idle_watts`, `busy_watts` and `joules_per_byte_sent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerModel(Model);

impl FromStr for PowerModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('=') { listed(text) } else { written(Path::new(text)) }.map(Self)
    }
}

fn written(path: &Path) -> Result<Model, String> {
    let shown = path.display();
    let yaml = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    serde_saphyr::from_str(&yaml).map_err(|error| format!("{shown}: {error}"))
}

fn listed(text: &str) -> Result<Model, String> {
    let (mut idle, mut busy, mut byte) = (None, None, None);
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let into = match key {
            "idle" => &mut idle,
            "busy" => &mut busy,
            "byte" => &mut byte,
            _ => return Err(format!("{key:?} is none of idle, busy, byte; write idle=3W,busy=7W,byte=2uJ")),
        };
        // A watt is a joule for each second: one parser does for both.
        let joules = match (key, value.strip_suffix('W')) {
            ("byte", _) => value.to_owned(),
            (_, Some(number)) => format!("{number}J"),
            (_, None) => return Err(format!("{key} is {value:?}, expected watts such as 3W or 450mW")),
        };
        let amount = units::energy(&joules).map_err(|error| format!("{key}={value}: {error}"))?;
        if into.replace(amount).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    let (Some(idle), Some(busy)) = (idle, busy) else {
        return Err("both idle and busy are needed: write idle=3W,busy=7W".into());
    };
    Model::new(idle, busy, byte.unwrap_or(0.0)).map_err(|error| error.to_string())
}

/// Where a measurement's joules come from.
#[derive(Debug)]
pub enum Energy {
    /// A sensor, with the watts that it showed before there was work.
    Sensor {
        /// Counts while ranges run.
        counter: Counter,
        /// Watts without work.
        idle: f64,
    },
    /// Somebody's numbers.
    Modelled(PowerModel),
    /// Nothing is known; why, where there is a sensor that cannot be used.
    Unknown(Vec<String>),
}

impl Energy {
    /// The model where one is given, else the best sensor of this machine, which is watched for two
    /// seconds in which nothing else should run.
    pub fn find(model: Option<PowerModel>, roots: &Roots) -> Self {
        if let Some(model) = model {
            return Self::Modelled(model);
        }
        let detected = Meter::detect(roots);
        let Some(meter) = detected.meter() else { return Self::Unknown(detected.problems) };
        let idle = meter.start().and_then(|running| {
            std::thread::sleep(IDLE);
            running.stop()
        });
        match idle {
            Ok(reading) => {
                let counter = Counter { running: meter.start().ok(), meter, joules: 0.0 };
                Self::Sensor { counter, idle: reading.watts() }
            }
            Err(error) => Self::Unknown(vec![error.to_string()]),
        }
    }

    /// What ranges are measured with.
    pub fn meter(&mut self) -> Option<&mut dyn kerf_profiler::Meter> {
        match self {
            Self::Sensor { counter, .. } => Some(counter),
            Self::Modelled(_) | Self::Unknown(_) => None,
        }
    }

    /// What `profile`, measured with this meter, says of its device's power.
    pub fn power(&self, profile: &Profile) -> Option<Power> {
        match self {
            Self::Sensor { counter, idle } => Some(Power {
                source: PowerSource::Measured(counter.meter.sensor().name().to_owned()),
                idle_watts: *idle,
                busy_watts: busy(profile)?.max(*idle),
                joules_per_byte: 0.0,
            }),
            Self::Modelled(PowerModel(model)) => Some(Power {
                source: PowerSource::Modelled,
                idle_watts: model.idle_watts(),
                busy_watts: model.busy_watts(),
                joules_per_byte: model.joules_per_byte_sent(),
            }),
            Self::Unknown(_) => None,
        }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Sensor { counter, idle } => {
                format!("power: measured ({}), {idle:.2} W without work", counter.meter.sensor().name())
            }
            Self::Modelled(_) => "power: modelled, as --power says".into(),
            Self::Unknown(problems) if problems.is_empty() => {
                "power: not known, there is no sensor; --power describes the device".into()
            }
            Self::Unknown(problems) => {
                format!("power: not known ({}); --power describes the device", problems.join("; "))
            }
        }
    }
}

/// Mean watts of all runs; ranges that were timed without a sensor do not count.
fn busy(profile: &Profile) -> Option<f64> {
    let runs = profile.ranges.iter().filter_map(|range| Some((range.joules?, range.mean, range.runs as f64)));
    let (joules, seconds) = runs.fold((0.0, 0.0), |(joules, seconds), (each, mean, runs)| {
        (joules + each * runs, seconds + mean * runs)
    });
    (seconds > 0.0).then(|| joules / seconds)
}

/// A sensor that counts on, however long its runs are.
#[derive(Debug)]
pub struct Counter {
    meter: Meter,
    running: Option<Running>,
    joules: f64,
}

impl kerf_profiler::Meter for Counter {
    fn joules(&mut self) -> Option<f64> {
        let reading = self.running.take().map(Running::stop);
        self.running = self.meter.start().ok();
        self.joules += reading?.ok()?.joules;
        Some(self.joules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_power() {
        for (text, wanted) in [
            ("idle=3W,busy=7W", Ok((3.0, 7.0, 0.0))),
            ("busy=7W,idle=450mW,byte=2uJ", Ok((0.45, 7.0, 2e-6))),
            ("idle=3W", Err("both idle and busy")),
            ("idle=3,busy=7W", Err("expected watts")),
            ("idle=3W,busy=7W,idle=1W", Err("twice")),
            ("idle=8W,busy=7W", Err("below")),
            ("idle=3W,busy=7W,gpu=1W", Err("none of idle, busy, byte")),
            ("idle=-3W,busy=7W", Err("idle")),
            ("/no/such/file.yaml", Err("/no/such/file.yaml")),
        ] {
            let found = text.parse::<PowerModel>().map(|PowerModel(model)| {
                (model.idle_watts(), model.busy_watts(), model.joules_per_byte_sent())
            });
            match (found, wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{text}"),
                (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
