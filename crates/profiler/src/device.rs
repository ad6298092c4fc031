//! What this machine calls itself, and what the process takes of its memory.

use kerf_profile::Device;
use std::fs;

/// This machine.
pub fn device() -> Device {
    let line = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let named =
        |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".into());
    Device {
        host: named(line("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok())),
        cpu: named(
            cpu(&line("/proc/cpuinfo").unwrap_or_default()).or_else(|| line("/proc/device-tree/model")),
        ),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        arch: std::env::consts::ARCH.into(),
        os: std::env::consts::OS.into(),
    }
}

/// The processor's name; ARM boards give it per system, if at all.
fn cpu(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let line =
            cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
        line.split_once(':').map(|(_, value)| value.trim().trim_end_matches('\0').to_owned())
    };
    value("model name").or_else(|| value("Model")).or_else(|| value("Hardware"))
}

/// Resident memory: now, and at most since [`forget_peak`] or the start; Linux only.
pub(crate) fn resident() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some((kilobytes(&status, "VmRSS:")?, kilobytes(&status, "VmHWM:")?))
}

/// Memory that processes can still have, all together.
pub(crate) fn available() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Makes the peak start again from what is resident now. Whether that worked.
pub(crate) fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processors() {
        for (text, name) in [
            ("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2 GHz\n", Some("Some CPU @ 2 GHz")),
            (
                "processor : 0\nBogoMIPS : 108\nModel\t\t: Raspberry Pi 4 Model B\n",
                Some("Raspberry Pi 4 Model B"),
            ),
            ("processor : 0\n", None),
        ] {
            assert_eq!(cpu(text).as_deref(), name);
        }
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(
            (kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")),
            (Some(1 << 20), Some(2 << 20))
        );
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
