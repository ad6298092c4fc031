//! RAPL: energy counters of processor packages, from Intel and AMD.
//!
//! The kernel's `Documentation/power/powercap/powercap.rst`. A package is a zone at the top level;
//! zones below it (core, uncore) are parts of it. Left out: `psys`, which means what the
//! maker of the board wired it to, and `intel-rapl-mmio`, the same counters read another way.

use crate::detect::Detected;
use crate::sensor::{Probe, Scope, Sensor};
use crate::sysfs::{self, ReadError};
use std::path::{Path, PathBuf};

/// The counter of one package.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    energy: PathBuf,
    range: Option<u64>,
}

impl Domain {
    pub(crate) fn microjoules(&self) -> Result<u64, ReadError> {
        let most = self.range.and_then(|range| i64::try_from(range).ok()).unwrap_or(i64::MAX);
        sysfs::number(&self.energy, 0..=most).map(i64::unsigned_abs)
    }

    pub(crate) fn range(&self) -> Option<u64> {
        self.range
    }
}

/// All packages together are one sensor; a package less would be too few joules, so then none.
pub(crate) fn find(root: &Path, detected: &mut Detected) {
    let zones = match sysfs::entries(root) {
        Ok(zones) => zones.into_iter().filter(|(zone, _)| is_top_level(zone)),
        Err(error) => return detected.problems.push(error.to_string()),
    };
    let (mut names, mut domains, before) = (Vec::new(), Vec::new(), detected.problems.len());
    for (_, folder) in zones {
        let name = match sysfs::text(&folder.join("name")) {
            Ok(name) => name,
            Err(error) => {
                detected.problems.push(error.to_string());
                continue;
            }
        };
        if !name.starts_with("package") {
            continue;
        }
        match open(&folder) {
            Ok(domain) => {
                names.push(name);
                domains.push(domain);
            }
            Err(error) => detected.problems.push(problem(&error)),
        }
    }
    if !domains.is_empty() && detected.problems.len() == before {
        let name = format!("RAPL {}", names.join(" + "));
        detected.sensors.push(Sensor::new(name, Scope::Packages, Probe::Counters(domains)));
    }
}

fn open(folder: &Path) -> Result<Domain, ReadError> {
    let range = sysfs::number(&folder.join("max_energy_range_uj"), 1..=i64::MAX);
    let range = sysfs::optional(range)?.map(i64::unsigned_abs);
    let domain = Domain { energy: folder.join("energy_uj"), range };
    domain.microjoules()?;
    Ok(domain)
}

/// `intel-rapl:0`, but neither `intel-rapl:0:1` nor `intel-rapl-mmio:0`.
fn is_top_level(zone: &str) -> bool {
    zone.strip_prefix("intel-rapl:").is_some_and(|rest| rest.parse::<u32>().is_ok())
}

fn problem(error: &ReadError) -> String {
    if error.is_denied() {
        // Since CVE-2020-8694 energy counters are for root, as they tell other processes' secrets.
        let path = error.path.display();
        return format!(
            "{error}; `sudo chmod a+r {path}` until the next boot, or run with CAP_DAC_READ_SEARCH"
        );
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadFailure;
    use std::io;

    #[test]
    fn packages_are_top_level_zones() {
        for (zone, expected) in [
            ("intel-rapl:0", true),
            ("intel-rapl:12", true),
            ("intel-rapl:0:0", false),
            ("intel-rapl", false),
            ("intel-rapl-mmio:0", false),
            ("dtpm", false),
        ] {
            assert_eq!(is_top_level(zone), expected, "{zone}");
        }
    }

    #[test]
    fn a_denied_counter_names_its_remedy() {
        let failure = ReadFailure::Io(io::ErrorKind::PermissionDenied.into());
        let error = ReadError { path: "/sys/class/powercap/intel-rapl:0/energy_uj".into(), failure };
        let problem = problem(&error);
        assert!(problem.contains("chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj"), "{problem}");
        assert!(problem.contains("CAP_DAC_READ_SEARCH"), "{problem}");
    }
}
