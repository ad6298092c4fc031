//! Supply rails: INA chips, as on Jetson boards and on many others with a shunt in the supply.
//!
//! The kernel's `Documentation/hwmon/{ina2xx,ina3221,sysfs-interface}.rst`: millivolts,
//! milliamperes, microwatts. A board's own supply, where it has a sensor, is the sum of all other
//! rails and its own losses: then it alone is read, so that nothing is counted twice.

use crate::detect::Detected;
use crate::sensor::{Probe, Scope, Sensor};
use crate::sysfs::{self, ReadError};
use crate::tally::MAX_WATTS;
use std::path::{Path, PathBuf};

/// Labels of a whole board's supply: Jetson Orin NX and Nano, Xavier NX, TX2; Xavier NX and Nano
/// with older kernels. AGX boards have no such sensor.
const BOARD_SUPPLIES: [&str; 4] = ["VDD_IN", "5V_IN", "POM_5V_IN", "VDD_5V_IN"];

/// What an INA3221 has; what comes after are its shunts and a sum of its channels.
const INA3221_CHANNELS: u32 = 3;

/// All others have one, numbered from 1.
const MAX_CHANNELS: u32 = 4;

/// One supply rail.
#[derive(Clone, Debug)]
pub(crate) struct Rail {
    chip: String,
    channel: u32,
    label: Option<String>,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Power(PathBuf),
    VoltsAndAmperes(PathBuf, PathBuf),
}

impl Rail {
    pub(crate) fn watts(&self) -> Result<f64, ReadError> {
        const MOST: i64 = (MAX_WATTS * 1e6) as i64;
        match &self.source {
            Source::Power(path) => Ok(sysfs::number(path, 0..=MOST)? as f64 * 1e-6),
            Source::VoltsAndAmperes(volts, amperes) => {
                let millivolts = sysfs::number(volts, 0..=1_000_000)? as f64;
                let milliamperes = sysfs::number(amperes, 0..=MOST / 1000)? as f64;
                Ok(millivolts * 1e-3 * milliamperes * 1e-3)
            }
        }
    }

    fn name(&self) -> String {
        match &self.label {
            Some(label) => label.clone(),
            None => format!("{} channel {}", self.chip, self.channel),
        }
    }
}

/// All rails together are one sensor, or the board's supply alone.
pub(crate) fn find(root: &Path, detected: &mut Detected) {
    let chips = match sysfs::entries(root) {
        Ok(chips) => chips,
        Err(error) => return detected.problems.push(error.to_string()),
    };
    let mut rails = Vec::new();
    for (_, folder) in chips {
        let chip = match sysfs::text(&folder.join("name")) {
            Ok(chip) if is_ina(&chip) => chip,
            Ok(_) => continue,
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                detected.problems.push(error.to_string());
                continue;
            }
        };
        let channels = if chip == "ina3221" { INA3221_CHANNELS } else { MAX_CHANNELS };
        for channel in 1..=channels {
            match rail(&folder, &chip, channel) {
                Ok(rail) => rails.extend(rail),
                Err(error) => detected.problems.push(error.to_string()),
            }
        }
    }
    if let Some((name, scope, rails)) = choose(rails) {
        detected.sensors.push(Sensor::new(name, scope, Probe::Rails(rails)));
    }
}

/// None where the channel is missing, switched off, or wired to nothing.
fn rail(folder: &Path, chip: &str, channel: u32) -> Result<Option<Rail>, ReadError> {
    let file = |kind: &str, what: &str| folder.join(format!("{kind}{channel}_{what}"));
    let enabled = sysfs::optional(sysfs::text(&file("in", "enable")))?;
    if enabled.is_some_and(|enabled| enabled == "0") {
        return Ok(None);
    }
    let source = if file("power", "input").exists() {
        Source::Power(file("power", "input"))
    } else if file("curr", "input").exists() && file("in", "input").exists() {
        Source::VoltsAndAmperes(file("in", "input"), file("curr", "input"))
    } else {
        return Ok(None);
    };
    let label = match sysfs::optional(sysfs::text(&file("power", "label")))? {
        Some(label) => Some(label),
        None => sysfs::optional(sysfs::text(&file("in", "label")))?,
    };
    if label.as_deref() == Some("NC") {
        return Ok(None);
    }
    let rail = Rail { chip: chip.to_owned(), channel, label, source };
    rail.watts()?;
    Ok(Some(rail))
}

/// Which rails make up the machine, under which name.
fn choose(rails: Vec<Rail>) -> Option<(String, Scope, Vec<Rail>)> {
    let is_supply =
        |rail: &&Rail| rail.label.as_deref().is_some_and(|label| BOARD_SUPPLIES.contains(&label.trim()));
    if let Some(supply) = rails.iter().find(is_supply) {
        return Some((format!("{} {}", supply.chip, supply.name()), Scope::Board, vec![supply.clone()]));
    }
    let name = rails.iter().map(Rail::name).collect::<Vec<_>>().join(" + ");
    (!rails.is_empty()).then_some((name, Scope::Rails, rails))
}

/// `ina219`, `ina3221` and their like.
fn is_ina(chip: &str) -> bool {
    chip.strip_prefix("ina").is_some_and(|number| number.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boards_supply_is_taken_alone_and_else_all_rails() {
        let rail = |label: Option<&str>, channel| Rail {
            chip: "ina3221".into(),
            channel,
            label: label.map(str::to_owned),
            source: Source::Power(PathBuf::new()),
        };
        type Chosen = (&'static str, Scope, usize);
        let cases: [(&[Option<&str>], Option<Chosen>); 5] = [
            (
                &[Some("VDD_CPU_GPU_CV"), Some("VDD_IN"), Some("VDD_SOC")],
                Some(("ina3221 VDD_IN", Scope::Board, 1)),
            ),
            (
                &[Some("VDD_GPU_SOC"), Some("VDD_CPU_CV"), Some("VIN_SYS_5V0")],
                Some(("VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", Scope::Rails, 3)),
            ),
            (&[Some("GPU"), None], Some(("GPU + ina3221 channel 1", Scope::Rails, 2))),
            (&[None], Some(("ina3221 channel 0", Scope::Rails, 1))),
            (&[], None),
        ];
        for (labels, expected) in cases {
            let rails = labels.iter().zip(0..).map(|(label, channel)| rail(*label, channel)).collect();
            let chosen = choose(rails);
            let chosen = chosen.as_ref().map(|(name, scope, rails)| (name.as_str(), *scope, rails.len()));
            assert_eq!(chosen, expected);
        }
    }

    #[test]
    fn ina_chips_are_known_by_their_name() {
        for (chip, expected) in
            [("ina3221", true), ("ina219", true), ("ina238", true), ("coretemp", false), ("ina", false)]
        {
            assert_eq!(is_ina(chip), expected, "{chip}");
        }
    }
}
