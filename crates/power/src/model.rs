//! Joules for machines that cannot tell: three numbers of somebody who could measure.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a device draws when it waits, when it computes, and for each byte that it sends.
///
/// As in Neurosurgeon (Kang et al., ASPLOS 2017) and most that came after: power is constant within
/// a state. Voltage scaling and the tail states of a radio are not modelled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawModel")]
pub struct Model {
    idle_watts: f64,
    busy_watts: f64,
    joules_per_byte_sent: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    idle_watts: f64,
    busy_watts: f64,
    joules_per_byte_sent: f64,
}

/// Numbers that no device has.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidModel {
    /// Not a number, infinite, or negative.
    #[error("`{field}` is {value}; it must be a number from 0 up")]
    Number {
        /// Which of the three.
        field: &'static str,
        /// What it is.
        value: f64,
    },
    /// To compute would take less than to wait.
    #[error("`busy_watts` ({busy}) is below `idle_watts` ({idle})")]
    BusyBelowIdle {
        /// Watts.
        busy: f64,
        /// Watts.
        idle: f64,
    },
}

impl Model {
    /// Watts of the whole device while it waits and while it computes, joules per byte sent on top.
    pub fn new(idle_watts: f64, busy_watts: f64, joules_per_byte_sent: f64) -> Result<Self, InvalidModel> {
        let fields = [
            ("idle_watts", idle_watts),
            ("busy_watts", busy_watts),
            ("joules_per_byte_sent", joules_per_byte_sent),
        ];
        if let Some(&(field, value)) = fields.iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(InvalidModel::Number { field, value });
        }
        if busy_watts < idle_watts {
            return Err(InvalidModel::BusyBelowIdle { busy: busy_watts, idle: idle_watts });
        }
        Ok(Self { idle_watts, busy_watts, joules_per_byte_sent })
    }

    /// Of a device that computes for `busy` seconds, waits for `idle` seconds, and sends so many
    /// bytes in that time.
    pub fn joules(&self, busy: f64, idle: f64, bytes_sent: f64) -> f64 {
        self.busy_watts * busy + self.idle_watts * idle + self.joules_per_byte_sent * bytes_sent
    }

    /// Waiting.
    pub fn idle_watts(&self) -> f64 {
        self.idle_watts
    }

    /// Computing.
    pub fn busy_watts(&self) -> f64 {
        self.busy_watts
    }

    /// On top of the time that it takes.
    pub fn joules_per_byte_sent(&self) -> f64 {
        self.joules_per_byte_sent
    }
}

impl TryFrom<RawModel> for Model {
    type Error = InvalidModel;

    fn try_from(raw: RawModel) -> Result<Self, InvalidModel> {
        Self::new(raw.idle_watts, raw.busy_watts, raw.joules_per_byte_sent)
    }
}

/// What stands behind a number of joules; part of every figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A sensor of the machine.
    Measured {
        /// Its name.
        sensor: String,
    },
    /// A [`Model`].
    Modelled,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured { sensor } => write!(f, "measured ({sensor})"),
            Self::Modelled => f.write_str("modelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_checked_wherever_it_comes_from() {
        let cases = [
            (r#"{"idle_watts": 2.0, "busy_watts": 6.5, "joules_per_byte_sent": 1e-7}"#, None),
            (
                r#"{"idle_watts": -2.0, "busy_watts": 6.5, "joules_per_byte_sent": 0}"#,
                Some("`idle_watts` is -2; it must be a number from 0 up"),
            ),
            (
                r#"{"idle_watts": 7, "busy_watts": 6.5, "joules_per_byte_sent": 0}"#,
                Some("`busy_watts` (6.5) is below `idle_watts` (7)"),
            ),
            (r#"{"idle_watts": 7, "busy_watts": 8}"#, Some("missing field `joules_per_byte_sent`")),
            (
                r#"{"idle_watts": 7, "busy_watts": 8, "joules_per_byte_sent": 0, "gpu": 1}"#,
                Some("unknown field `gpu`"),
            ),
        ];
        for (json, expected) in cases {
            let model = serde_json::from_str::<Model>(json);
            match (model, expected) {
                (Ok(model), None) => {
                    let written = serde_json::to_string(&model).unwrap();
                    assert_eq!(serde_json::from_str::<Model>(&written).unwrap(), model);
                }
                (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (model, _) => panic!("{json}: {model:?}"),
            }
        }
        for value in [f64::NAN, f64::INFINITY] {
            assert!(Model::new(1.0, value, 0.0).is_err());
        }
    }

    #[test]
    fn joules_are_watts_times_seconds_and_bytes() {
        let model = Model::new(2.0, 6.0, 1e-6).unwrap();
        assert_eq!(model.joules(0.5, 2.0, 1e6), 3.0 + 4.0 + 1.0);
    }

    #[test]
    fn a_source_says_what_it_is() {
        let measured = Source::Measured { sensor: "RAPL package-0".into() };
        assert_eq!(measured.to_string(), "measured (RAPL package-0)");
        assert_eq!(Source::Modelled.to_string(), "modelled");
        let json = serde_json::to_string(&measured).unwrap();
        assert_eq!(json, r#"{"source":"measured","sensor":"RAPL package-0"}"#);
        assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), measured);
    }
}
