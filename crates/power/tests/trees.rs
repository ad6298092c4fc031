//! Copies of sysfs, as machines show it, and as nobody should.

#![allow(clippy::disallowed_methods, reason = "power is energy over time")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_power::{Detected, MeasureError, Meter, ReadingKind, Roots, Scope, Source, Status};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const MS: Duration = Duration::from_millis(1);

#[test]
fn two_packages_are_one_counter_and_their_parts_are_not_counted_again() {
    let tree = rapl(&[("package-0", 1_000_000), ("package-1", 2_000_000), ("psys", 7)]);
    tree.write("powercap/intel-rapl:0:0/name", "core\n");
    tree.write("powercap/intel-rapl:0:0/energy_uj", "99\n");
    tree.write("powercap/intel-rapl-mmio:0/name", "package-0\n");
    tree.write("powercap/intel-rapl-mmio:0/energy_uj", "1000000\n");
    tree.write("powercap/intel-rapl/enabled", "1\n");
    let detected = tree.detect();
    assert_eq!(detected.problems, [""; 0]);
    assert_eq!(names(&detected), ["RAPL package-0 + package-1"]);
    assert_eq!(detected.sensors[0].scope(), Scope::Packages);

    let running = detected.meter().unwrap().start().unwrap();
    thread::sleep(MS * 30);
    tree.write("powercap/intel-rapl:0/energy_uj", "3500000\n");
    tree.write("powercap/intel-rapl:1/energy_uj", "2500000\n");
    let reading = running.stop().unwrap();
    assert_eq!((reading.joules, reading.kind), (3.0, ReadingKind::Counter));
    assert!((0.03..5.0).contains(&reading.seconds), "{}", reading.seconds);
    assert_eq!(reading.watts(), 3.0 / reading.seconds);
    assert_eq!(reading.source(), Source::Measured { sensor: "RAPL package-0 + package-1".into() });
}

#[test]
fn a_counter_wraps_also_more_than_once() {
    let tree = rapl(&[("package-0", 262_143_000_000)]);
    let meter = tree.detect().meter().unwrap();
    let running = meter.start().unwrap();
    tree.write("powercap/intel-rapl:0/energy_uj", "671150\n");
    // 328 850 µJ up to the range, and 671 150 from 0.
    assert!((running.stop().unwrap().joules - 1.0).abs() < 1e-9);

    // A small range wraps within a run that is looked at often enough.
    tree.write("powercap/intel-rapl:0/max_energy_range_uj", "1000000\n");
    tree.write("powercap/intel-rapl:0/energy_uj", "900000\n");
    let running = tree.detect().meter().unwrap().every(MS).start().unwrap();
    for value in ["400000", "900000", "400000"] {
        replace(&tree.path("powercap/intel-rapl:0/energy_uj"), value);
        thread::sleep(MS * 200);
    }
    assert!((running.stop().unwrap().joules - 1.5).abs() < 1e-9);
}

#[test]
fn a_package_that_cannot_be_read_says_what_to_do() {
    let tree = rapl(&[("package-0", 1), ("package-1", 2)]);
    let counter = tree.path("powercap/intel-rapl:1/energy_uj");
    fs::set_permissions(&counter, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&counter).is_ok() {
        eprintln!("skipped: this user reads everything");
        return;
    }
    let detected = tree.detect();
    assert_eq!(names(&detected), [""; 0], "one package of two is not the machine");
    let expected = format!("chmod a+r {}", counter.display());
    assert!(detected.problems[0].contains(&expected), "{:?}", detected.problems);
}

#[test]
fn a_laptop_is_measured_by_its_battery_while_unplugged() {
    let tree = laptop("Discharging");
    let detected = tree.detect();
    assert_eq!(detected.problems, [""; 0]);
    assert_eq!((names(&detected), detected.batteries.len()), (vec!["battery BAT0"], 1));
    let battery = &detected.batteries[0];
    assert_eq!((battery.status, battery.percent), (Status::Discharging, Some(83)));
    assert!((battery.joules.unwrap() - 41_500_000.0 * 3.6e-3).abs() < 1e-6);

    let running = detected.meter().unwrap().every(MS * 10).start().unwrap();
    thread::sleep(MS * 100);
    let reading = running.stop().unwrap();
    assert!((reading.watts() - 7.85).abs() < 1e-9, "{reading:?}");
    assert!(matches!(reading.kind, ReadingKind::Sampled { n: 3.. }), "{reading:?}");

    let running = detected.meter().unwrap().start().unwrap();
    tree.write("power_supply/BAT0/status", "Charging\n");
    let error = running.stop().unwrap_err();
    assert!(matches!(error, MeasureError::NotOnBattery(_)), "{error}");
}

#[test]
fn a_battery_may_tell_volts_and_amperes_instead() {
    let tree = laptop("Discharging");
    fs::remove_file(tree.path("power_supply/BAT0/power_now")).unwrap();
    tree.write("power_supply/BAT0/current_now", "-650000\n");
    tree.write("power_supply/BAT0/voltage_now", "12000000\n");
    let reading = tree.detect().meter().unwrap().start().unwrap();
    thread::sleep(MS * 20);
    assert!((reading.stop().unwrap().watts() - 7.8).abs() < 1e-9);
}

#[test]
fn a_plugged_laptop_tells_its_charge_and_nothing_else() {
    for (status, expected) in
        [("Charging", "is charging"), ("Full", "discharging"), ("Unknown", "discharging")]
    {
        let detected = laptop(status).detect();
        assert_eq!(names(&detected), [""; 0], "{status}");
        assert_eq!(detected.batteries[0].percent, Some(83));
        assert!(detected.problems[0].contains(expected), "{:?}", detected.problems);
    }
}

#[test]
fn a_gauge_that_does_not_know_its_charge_still_measures() {
    let tree = laptop("Discharging");
    tree.write("power_supply/BAT0/capacity", "101\n");
    let detected = tree.detect();
    assert_eq!(names(&detected), ["battery BAT0"]);
    assert_eq!(detected.batteries[0].percent, None);
    assert!(detected.problems[0].contains("101, which is not from 0 to 100"), "{:?}", detected.problems);
}

#[test]
fn an_orin_is_measured_at_its_supply_alone() {
    let tree = orin();
    let detected = tree.detect();
    assert_eq!(detected.problems, [""; 0]);
    assert_eq!(names(&detected), ["ina3221 VDD_IN"]);
    assert_eq!(detected.sensors[0].scope(), Scope::Board);
    let running = detected.meter().unwrap().every(MS * 5).start().unwrap();
    thread::sleep(MS * 60);
    let reading = running.stop().unwrap();
    assert!((reading.watts() - 5.04 * 1.2).abs() < 1e-9, "{reading:?}");
}

#[test]
fn without_a_supply_all_rails_are_added_and_named() {
    let tree = orin();
    fs::remove_file(tree.path("hwmon/hwmon1/in1_label")).unwrap();
    tree.write("hwmon/hwmon1/in3_label", "NC\n");
    tree.write("hwmon/hwmon3/name", "ina219\n");
    tree.write("hwmon/hwmon3/power1_input", "2500000\n");
    tree.write("hwmon/hwmon4/name", "ina226\n");
    tree.write("hwmon/hwmon4/power1_label", "radio\n");
    tree.write("hwmon/hwmon4/power1_input", "500000\n");
    let detected = tree.detect();
    let expected = "ina3221 channel 1 + VDD_CPU_GPU_CV + ina219 channel 1 + radio";
    assert_eq!(names(&detected), [expected]);
    assert_eq!(detected.sensors[0].scope(), Scope::Rails);
    let running = detected.meter().unwrap().start().unwrap();
    thread::sleep(MS * 20);
    let watts = running.stop().unwrap().watts();
    assert!((watts - (5.04 * 1.2 + 5.04 * 0.4 + 2.5 + 0.5)).abs() < 1e-9, "{watts}");
}

#[test]
fn a_channel_that_is_switched_off_is_no_rail() {
    let tree = orin();
    tree.write("hwmon/hwmon1/in1_enable", "0\n");
    assert_eq!(names(&tree.detect()), ["VDD_CPU_GPU_CV + VDD_SOC"]);
}

#[test]
fn the_best_sensor_comes_first() {
    let tree = orin();
    tree.write("powercap/intel-rapl:0/name", "package-0\n");
    tree.write("powercap/intel-rapl:0/energy_uj", "5\n");
    tree.write("power_supply/BAT0/status", "Discharging\n");
    tree.write("power_supply/BAT0/power_now", "1\n");
    assert_eq!(names(&tree.detect()), ["ina3221 VDD_IN", "RAPL package-0", "battery BAT0"]);
}

#[test]
fn a_machine_without_sensors_has_no_problem() {
    // A Raspberry Pi: a hwmon of temperatures and undervoltage, empty classes, no powercap.
    let tree = Tree::new();
    tree.write("hwmon/hwmon0/name", "cpu_thermal\n");
    tree.write("hwmon/hwmon0/temp1_input", "48312\n");
    tree.write("hwmon/hwmon1/name", "rpi_volt\n");
    tree.write("hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    fs::create_dir_all(tree.path("power_supply")).unwrap();
    for detected in [tree.detect(), Tree::new().detect()] {
        assert!(detected.meter().is_none());
        assert_eq!(detected.problems, [""; 0]);
    }
}

#[test]
fn hostile_files_are_problems_and_nothing_more() {
    let contents: [(&[u8], &str); 9] = [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"99999999999999999999999999", "no whole number of 64 bits"),
        (b"9223372036854775807", "which is not from"),
        (b"-9223372036854775808", "which is not from"),
        (b"\xff\xfe\x00", "no text"),
        (b"12 watts", "\"12 watts\""),
        (b"0x10", "\"0x10\""),
        (&[b'1'; 5000], "more than 4096 bytes"),
    ];
    for (bytes, expected) in contents {
        for (tree, file) in [
            (rapl(&[("package-0", 1)]), "powercap/intel-rapl:0/energy_uj"),
            (laptop("Discharging"), "power_supply/BAT0/power_now"),
            (orin(), "hwmon/hwmon1/curr1_input"),
        ] {
            fs::write(tree.path(file), bytes).unwrap();
            let detected = tree.detect();
            let problem = detected.problems.first().cloned().unwrap_or_default();
            assert!(problem.contains(file) && problem.contains(expected), "{file}: {problem:?}");
            let survivors = if file.starts_with("hwmon") { vec!["VDD_CPU_GPU_CV + VDD_SOC"] } else { vec![] };
            assert_eq!(names(&detected), survivors, "{file}");
        }
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_a_problem() {
    let tree = rapl(&[("package-0", 1)]);
    fs::remove_file(tree.path("powercap/intel-rapl:0/energy_uj")).unwrap();
    fs::create_dir(tree.path("powercap/intel-rapl:0/energy_uj")).unwrap();
    fs::write(tree.path("hwmon"), "a file in the place of a folder").unwrap();
    let problems = tree.detect().problems;
    assert!(problems.iter().any(|problem| problem.ends_with("energy_uj: not a file")), "{problems:?}");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_sensor_that_goes_away_fails_the_run_and_names_the_file() {
    let tree = orin();
    let meter = tree.detect().meter().unwrap().every(MS);
    let running = meter.start().unwrap();
    fs::remove_file(tree.path("hwmon/hwmon1/curr1_input")).unwrap();
    thread::sleep(MS * 20);
    let error = running.stop().unwrap_err();
    assert!(error.to_string().contains("hwmon1/curr1_input"), "{error}");
    assert!(meter.start().is_err());
}

/// Zones of 262 kJ.
fn rapl(packages: &[(&str, u64)]) -> Tree {
    let tree = Tree::new();
    for (index, (name, energy)) in packages.iter().enumerate() {
        let zone = format!("powercap/intel-rapl:{index}");
        tree.write(&format!("{zone}/name"), &format!("{name}\n"));
        tree.write(&format!("{zone}/energy_uj"), &format!("{energy}\n"));
        tree.write(&format!("{zone}/max_energy_range_uj"), "262143328850\n");
        tree.write(&format!("{zone}/constraint_0_power_limit_uw"), "15000000\n");
    }
    tree
}

/// A battery, a charger, and the battery of a mouse.
fn laptop(status: &str) -> Tree {
    let tree = Tree::new();
    for (file, value) in [
        ("AC/type", "Mains"),
        ("AC/online", if status == "Discharging" { "0" } else { "1" }),
        ("BAT0/type", "Battery"),
        ("BAT0/status", status),
        ("BAT0/capacity", "83"),
        ("BAT0/energy_now", "41500000"),
        ("BAT0/energy_full", "50000000"),
        ("BAT0/power_now", "7850000"),
        ("BAT0/voltage_now", "12100000"),
        ("hidpp_battery_0/type", "Battery"),
        ("hidpp_battery_0/scope", "Device"),
        ("hidpp_battery_0/status", "Discharging"),
        ("hidpp_battery_0/capacity", "5"),
    ] {
        tree.write(&format!("power_supply/{file}"), &format!("{value}\n"));
    }
    tree
}

/// A Jetson Orin NX: three rails, their shunts, and their sum.
fn orin() -> Tree {
    let tree = Tree::new();
    tree.write("hwmon/hwmon0/name", "tegra_thermal\n");
    tree.write("hwmon/hwmon1/name", "ina3221\n");
    for (channel, label, milliamperes) in
        [(1, "VDD_IN", 1200), (2, "VDD_CPU_GPU_CV", 400), (3, "VDD_SOC", 300)]
    {
        for (file, value) in [
            (format!("in{channel}_label"), label.to_owned()),
            (format!("in{channel}_enable"), "1".to_owned()),
            (format!("in{channel}_input"), "5040".to_owned()),
            (format!("curr{channel}_input"), milliamperes.to_string()),
            (format!("in{}_input", channel + 3), "6".to_owned()),
        ] {
            tree.write(&format!("hwmon/hwmon1/{file}"), &format!("{value}\n"));
        }
    }
    tree.write("hwmon/hwmon1/curr4_input", "1900\n");
    tree.write("hwmon/hwmon1/in7_label", "sum of shunt voltages\n");
    tree.write("hwmon/hwmon1/in7_input", "18\n");
    tree
}

struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, value: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, value);
    }

    fn detect(&self) -> Detected {
        Meter::detect(&Roots {
            powercap: self.path("powercap"),
            power_supply: self.path("power_supply"),
            hwmon: self.path("hwmon"),
        })
    }
}

/// At once, as sysfs does: a reader never sees half of a value.
fn replace(path: &Path, value: &str) {
    let new = path.with_extension("new");
    fs::write(&new, value).unwrap();
    fs::rename(new, path).unwrap();
}

fn names(detected: &Detected) -> Vec<&str> {
    detected.sensors.iter().map(|sensor| sensor.name()).collect()
}
