#![allow(clippy::disallowed_methods, reason = "power is energy over time")]
//! Where joules come from.
//!
//! A split that is fast may still empty a battery, and few machines tell what they use in the same
//! way: processors count energy (RAPL), boards measure volts and amperes of their supply rails
//! (INA chips), laptops know what leaves the battery, and many tell nothing. [`Meter::detect`]
//! finds what this machine has, says why it has no more, and a [`Meter`] measures with it; where
//! there is nothing, a [`Model`] of three numbers stands in. [`Source`] says which of the two a
//! figure is, and no figure goes without it.
//!
//! Everything is read below folders that the caller names ([`Roots`]), a few bytes at a time, and
//! is checked: sysfs files are written by drivers and, in tests and containers, by anybody.

mod battery;
mod detect;
mod hwmon;
mod meter;
mod model;
mod powercap;
mod sensor;
mod sysfs;
mod tally;

pub use battery::{Battery, NotOnBattery, Status};
pub use detect::{Detected, Roots};
pub use meter::{MeasureError, Meter, Reading, ReadingKind, Running};
pub use model::{InvalidModel, Model, Source};
pub use sensor::{Scope, Sensor};
pub use sysfs::{ReadError, ReadFailure};
pub use tally::CounterError;
