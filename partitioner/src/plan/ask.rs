//! What the user may ask for, as written on the command line.

use kerf_planner::Traffic;
use kerf_planner::tiers::{Deadline, Objective, Weights};
use kerf_settings::{units, wish};

/// Bytes per second of `8Mbps`; a link that carries nothing is refused.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match units::bit_rate(text).map_err(|error| error.to_string())? {
        0 => {
            Err("nothing is ever sent at a bandwidth of 0; for an edge without a link no plan is needed"
                .into())
        }
        bits => Ok(bits as f64 / 8.0),
    }
}

/// Seconds of `40ms`.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    units::duration(text).map(|duration| duration.as_secs_f64()).map_err(|error| error.to_string())
}

/// Bytes of `512MiB`.
pub(crate) fn bytes(text: &str) -> Result<f64, String> {
    units::byte_size(text).map(|bytes| bytes as f64).map_err(|error| error.to_string())
}

/// Joules of `50mJ`.
pub(crate) fn joules(text: &str) -> Result<f64, String> {
    units::energy(text).map_err(|error| error.to_string())
}

/// A share, of `99%` or `0.99`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no share: write for example 99%");
    let (number, of) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let value = number.trim().parse::<f64>().map_err(|_| wrong())? / of;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(wrong()) }
}

/// How requests come.
pub(crate) fn traffic(text: &str) -> Result<Traffic, String> {
    match text {
        "sparse" => Ok(Traffic::Sparse),
        "dense" => Ok(Traffic::Dense),
        _ => Err(format!("{text:?} is no traffic: write sparse or dense")),
    }
}

/// An amount of money: a number that is not negative.
pub(crate) fn money(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=1e12).contains(value));
    value.ok_or_else(|| format!("{text:?} is no price"))
}

/// `100ms@p95`; without a quantile the 95th percentile is meant.
pub(crate) fn deadline(text: &str) -> Result<Deadline, String> {
    let wish::Deadline { within, quantile } = wish::Deadline::parse(text)?;
    Ok(Deadline { seconds: within.as_secs_f64(), quantile })
}

/// The index of a boundary, of `b3`.
pub(crate) fn boundary(text: &str) -> Result<usize, String> {
    let index = text.strip_prefix('b').unwrap_or(text).parse();
    index.map_err(|_| format!("{text:?} is no boundary: `partitioner inspect` lists them as b0, b1, …"))
}

/// `latency`, or a sum as `latency+2.5*energy`.
pub(crate) fn objective(text: &str) -> Result<Asked, String> {
    let wish::Objective { latency, energy, bytes, money, text } = wish::Objective::parse(text)?;
    let objective = match text.as_str() {
        "latency" => Objective::Latency,
        "energy" => Objective::Energy,
        "bytes" => Objective::Bytes,
        "money" => Objective::Money,
        _ => Objective::Weighted(Weights { latency, energy, bytes, money }),
    };
    Ok(Asked { objective, text })
}

/// An objective and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) objective: Objective,
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        assert_eq!(rate("8Mbps"), Ok(1e6));
        assert_eq!(seconds("40ms"), Ok(0.04));
        assert_eq!(bytes("1KiB"), Ok(1024.0));
        assert_eq!(joules("50mJ"), Ok(0.05));
        assert_eq!(share("99%"), Ok(0.99));
        assert_eq!(share("0.5"), Ok(0.5));
        assert_eq!(boundary("b3"), Ok(3));
        assert_eq!(deadline("100ms@p99.5"), Ok(Deadline { seconds: 0.1, quantile: 0.995 }));
        assert_eq!(deadline("2s"), Ok(Deadline { seconds: 2.0, quantile: 0.95 }));
    }

    #[test]
    fn mistakes_are_told() {
        for (error, told) in [
            (rate("8").unwrap_err(), "no unit"),
            (rate("0Mbps").unwrap_err(), "bandwidth of 0"),
            (rate("-8Mbps").unwrap_err(), "does not start with a number"),
            (seconds("40").unwrap_err(), "40ms"),
            (joules("50").unwrap_err(), "50mJ"),
            (share("101%").unwrap_err(), "99%"),
            (share("NaN").unwrap_err(), "99%"),
            (money("inf").unwrap_err(), "no price"),
            (deadline("100ms@95").unwrap_err(), "p95"),
            (deadline("100ms@p20").unwrap_err(), "p50"),
            (deadline("0ms").unwrap_err(), "within 0"),
            (boundary("conv1").unwrap_err(), "inspect"),
            (traffic("much").unwrap_err(), "sparse or dense"),
            (objective("speed").unwrap_err(), "latency"),
            (objective("latency+-1*energy").unwrap_err(), "sum"),
            (objective("latency+inf*energy").unwrap_err(), "sum"),
        ] {
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn sums_of_objectives() {
        let asked = objective("latency + 2.5*energy").unwrap();
        let weights = Weights { latency: 1.0, energy: 2.5, ..Weights::default() };
        assert_eq!(
            asked,
            Asked { objective: Objective::Weighted(weights), text: "latency+2.5*energy".into() }
        );
        assert_eq!(objective("bytes").unwrap().objective, Objective::Bytes);
    }
}
