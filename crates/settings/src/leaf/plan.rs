//! What the section about plans is written in.

use super::{LAST_BOUNDARY, Leaf};
use crate::edge::Split;
use crate::units::{self, Kind, shorten};
use crate::wish::{Deadline, Objective};
use schemars::{Schema, json_schema};

/// Joules.
pub(crate) struct Joules(pub(crate) f64);

/// Watts.
pub(crate) struct Watts(pub(crate) f64);

/// A boundary, as `b2`.
pub(crate) struct Place(pub(crate) u16);

impl Leaf for Joules {
    const EXPECTED: &'static str = "an energy such as 100nJ";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        units::energy(text).map(Self).map_err(|error| error.to_string())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": units::pattern(Kind::Energy), "examples": ["100nJ"] })
    }
}

impl Leaf for Watts {
    const EXPECTED: &'static str = "a power such as 2.5W";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        units::power(text).map(Self).map_err(|error| error.to_string())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": units::pattern(Kind::Power), "examples": ["2.5W"] })
    }
}

impl Leaf for Place {
    const EXPECTED: &'static str = "a boundary such as b2";

    fn read(text: &str) -> Result<Self, String> {
        match Split::read(text) {
            Ok(Split::Boundary(boundary)) => Ok(Self(boundary)),
            Ok(_) | Err(_) => {
                Err(format!("`{}` is not a boundary; boundaries are b0 to b{LAST_BOUNDARY}", shorten(text)))
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^b([0-9]|[12][0-9]|3[01])$",
            "examples": ["b2"],
        })
    }
}

impl Leaf for Objective {
    const EXPECTED: &'static str = "an objective such as latency";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "examples": ["latency", "energy", "bytes", "money", "latency+2.5*energy"],
        })
    }
}

impl Leaf for Deadline {
    const EXPECTED: &'static str = "a deadline such as 100ms@p95";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["100ms@p95", "1s"] })
    }
}
