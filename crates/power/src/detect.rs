//! What this machine can measure, and why not more.

use crate::{Battery, Meter, Sensor, battery, hwmon, powercap};
use std::path::PathBuf;

/// Where to look: sysfs, or a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// RAPL.
    pub powercap: PathBuf,
    /// Batteries.
    pub power_supply: PathBuf,
    /// INA chips.
    pub hwmon: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            powercap: "/sys/class/powercap".into(),
            power_supply: "/sys/class/power_supply".into(),
            hwmon: "/sys/class/hwmon".into(),
        }
    }
}

/// What was found. A machine without sensors has neither sensors nor problems.
#[derive(Debug, Default)]
pub struct Detected {
    /// That could be read just now, best first; see [`Scope`](crate::Scope).
    pub sensors: Vec<Sensor>,
    /// Of the machine itself, discharging or not.
    pub batteries: Vec<Battery>,
    /// What is there and cannot be used, with its file and, where one is known, the remedy.
    pub problems: Vec<String>,
}

impl Detected {
    /// With the best sensor, if there is any.
    pub fn meter(&self) -> Option<Meter> {
        self.sensors.first().cloned().map(Meter::new)
    }
}

impl Meter {
    /// Looks for sensors, and reads each once.
    pub fn detect(roots: &Roots) -> Detected {
        let mut detected = Detected::default();
        powercap::find(&roots.powercap, &mut detected);
        hwmon::find(&roots.hwmon, &mut detected);
        battery::find(&roots.power_supply, &mut detected);
        detected.sensors.sort_by_key(Sensor::scope);
        detected
    }
}
