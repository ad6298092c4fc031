//! What leaves the battery, and what is left in it.
//!
//! The kernel's `Documentation/ABI/testing/sysfs-class-power`. Only a machine that runs on its
//! battery is measured by it: a charging battery is charged, a full one says nothing.

use crate::detect::Detected;
use crate::sensor::{Probe, Scope, Sensor};
use crate::sysfs::{self, ReadError};
use crate::tally::MAX_WATTS;
use std::fmt;
use std::path::{Path, PathBuf};

/// A battery that feeds the machine (not one of a mouse).
#[derive(Clone, Debug, PartialEq)]
pub struct Battery {
    /// Such as `BAT0`.
    pub name: String,
    /// What it does.
    pub status: Status,
    /// How full it is, 0 to 100, where the gauge tells.
    pub percent: Option<u8>,
    /// Joules left in it, where the gauge tells.
    pub joules: Option<f64>,
}

/// What a battery does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It takes energy.
    Charging,
    /// It feeds the machine.
    Discharging,
    /// Neither, or the gauge does not know.
    Idle,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Charging => "charging",
            Self::Discharging => "discharging",
            Self::Idle => "neither charging nor discharging",
        })
    }
}

/// Why batteries do not tell what the machine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOnBattery {
    /// The machine runs on its charger.
    #[error("a battery is charging; it measures the machine only while the charger is unplugged")]
    Charging,
    /// None feeds it.
    #[error("no battery is discharging; it measures the machine only while the charger is unplugged")]
    Idle,
}

/// The files of one battery.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    folder: PathBuf,
}

impl Gauge {
    /// What it does, and the watts that go through it.
    pub(crate) fn draw(&self) -> Result<(Status, f64), ReadError> {
        let status = self.status()?;
        // Gauges need not tell the power of a battery that does nothing.
        let watts = if status == Status::Discharging { self.watts()? } else { 0.0 };
        Ok((status, watts))
    }

    fn status(&self) -> Result<Status, ReadError> {
        Ok(match sysfs::text(&self.folder.join("status"))?.as_str() {
            "Charging" => Status::Charging,
            "Discharging" => Status::Discharging,
            _ => Status::Idle,
        })
    }

    fn watts(&self) -> Result<f64, ReadError> {
        const MOST: i64 = (MAX_WATTS * 1e6) as i64;
        // Some drivers show what leaves the battery as negative; that it leaves is known here.
        let signed = |file: &str| sysfs::number(&self.folder.join(file), -MOST..=MOST);
        if let Some(microwatts) = sysfs::optional(signed("power_now"))? {
            return Ok(microwatts.unsigned_abs() as f64 * 1e-6);
        }
        let microamperes = signed("current_now")?.unsigned_abs() as f64;
        let microvolts = sysfs::number(&self.folder.join("voltage_now"), 0..=MOST)? as f64;
        Ok(microamperes * 1e-6 * microvolts * 1e-6)
    }

    fn joules_left(&self) -> Result<Option<f64>, ReadError> {
        let microwatt_hours = sysfs::number(&self.folder.join("energy_now"), 0..=i64::MAX);
        Ok(sysfs::optional(microwatt_hours)?.map(|energy| energy as f64 * 3600.0 * 1e-6))
    }

    fn percent(&self) -> Result<Option<u8>, ReadError> {
        let capacity = sysfs::optional(sysfs::number(&self.folder.join("capacity"), 0..=100))?;
        Ok(capacity.and_then(|percent| u8::try_from(percent).ok()))
    }
}

/// What all batteries together give to the machine.
pub(crate) fn machine_watts(states: &[(Status, f64)]) -> Result<f64, NotOnBattery> {
    let has = |wanted| states.iter().any(|(status, _)| *status == wanted);
    match () {
        () if has(Status::Charging) => Err(NotOnBattery::Charging),
        () if has(Status::Discharging) => Ok(states.iter().map(|(_, watts)| watts).sum()),
        () => Err(NotOnBattery::Idle),
    }
}

/// All batteries together are one sensor: two of them may take turns.
pub(crate) fn find(root: &Path, detected: &mut Detected) {
    let supplies = match sysfs::entries(root) {
        Ok(supplies) => supplies,
        Err(error) => return detected.problems.push(error.to_string()),
    };
    let (mut names, mut gauges, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let mut complete = true;
    for (name, folder) in supplies.into_iter().filter(|(name, folder)| feeds_machine(name, folder)) {
        let gauge = Gauge { folder };
        let (draw, percent, joules) = (gauge.draw(), gauge.percent(), gauge.joules_left());
        let errors = [draw.as_ref().err(), percent.as_ref().err(), joules.as_ref().err()];
        detected.problems.extend(errors.into_iter().flatten().map(ReadError::to_string));
        let Ok(state) = draw else {
            complete = false;
            continue;
        };
        detected.batteries.push(Battery {
            name: name.clone(),
            status: state.0,
            percent: percent.ok().flatten(),
            joules: joules.ok().flatten(),
        });
        states.push(state);
        names.push(name);
        gauges.push(gauge);
    }
    match machine_watts(&states) {
        Ok(_) if complete => {
            let name = format!("battery {}", names.join(" + "));
            detected.sensors.push(Sensor::new(name, Scope::Battery, Probe::Batteries(gauges)));
        }
        Err(reason) if !names.is_empty() => {
            detected.problems.push(format!("{}: {reason}", names.join(", ")));
        }
        _ => {}
    }
}

/// Names differ (`BAT0`, `battery`, `CMB0`), types do not. What has a scope, a mouse for instance,
/// feeds itself.
fn feeds_machine(name: &str, folder: &Path) -> bool {
    let is_battery = match sysfs::text(&folder.join("type")) {
        Ok(kind) => kind == "Battery",
        Err(_) => name.starts_with("BAT"),
    };
    is_battery && !sysfs::text(&folder.join("scope")).is_ok_and(|scope| scope == "Device")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batteries_measure_only_while_they_feed_the_machine() {
        use Status::{Charging, Discharging, Idle};
        type States = [(Status, f64)];
        let cases: [(&States, Result<f64, NotOnBattery>); 6] = [
            (&[(Discharging, 7.5)], Ok(7.5)),
            (&[(Discharging, 7.5), (Idle, 0.0)], Ok(7.5)),
            (&[(Discharging, 7.5), (Discharging, 2.0)], Ok(9.5)),
            (&[(Discharging, 7.5), (Charging, 0.0)], Err(NotOnBattery::Charging)),
            (&[(Idle, 0.0)], Err(NotOnBattery::Idle)),
            (&[], Err(NotOnBattery::Idle)),
        ];
        for (states, expected) in cases {
            assert_eq!(machine_watts(states), expected, "{states:?}");
        }
    }
}
