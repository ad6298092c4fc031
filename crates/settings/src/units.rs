//! Quantities as people write them, `40ms`, `64MiB`, `8Mbps`: a bare number in a
//! settings file is a guess waiting to be wrong, so the unit is part of the value.
//!
//! Numbers may have a decimal fraction; arithmetic is exact, in integers, and rounds down.

use std::time::Duration;

/// Why text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Something other than a plain decimal number comes first.
    #[error("`{text}` does not start with a number; write for example {example}")]
    NoNumber {
        /// The text as given, shortened.
        text: String,
        /// A value of the right form.
        example: &'static str,
    },
    /// A number alone.
    #[error("{number} has no unit; write for example {example} (units: {units})")]
    MissingUnit {
        /// The number.
        number: String,
        /// A value of the right form.
        example: &'static str,
        /// Every unit allowed.
        units: String,
    },
    /// A unit that this quantity does not have.
    #[error("unknown unit `{unit}`{}; units are {units}", .nearest.map(|unit| format!(", did you mean `{unit}`?")).unwrap_or_default())]
    UnknownUnit {
        /// The unit as given, shortened.
        unit: String,
        /// The unit that was probably meant.
        nearest: Option<&'static str>,
        /// Every unit allowed.
        units: String,
    },
    /// More than any setting could mean.
    #[error("`{text}` is too large")]
    TooLarge {
        /// The text as given, shortened.
        text: String,
    },
}

/// A kind of quantity: its units, largest last, in multiples of the smallest counted thing.
struct Quantity {
    units: &'static [(&'static str, u64)],
    example: &'static str,
}

const DURATION: Quantity = Quantity {
    units: &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ],
    example: "40ms",
};

const BYTES: Quantity = Quantity {
    units: &[
        ("B", 1),
        ("kB", 1_000),
        ("KiB", 1 << 10),
        ("MB", 1_000_000),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("GiB", 1 << 30),
        ("TB", 1_000_000_000_000),
        ("TiB", 1 << 40),
    ],
    example: "64MiB",
};

const BIT_RATE: Quantity = Quantity {
    units: &[("bps", 1), ("kbps", 1_000), ("Mbps", 1_000_000), ("Gbps", 1_000_000_000)],
    example: "8Mbps",
};

const ENERGY: Quantity = Quantity {
    units: &[
        ("nJ", 1),
        ("uJ", 1_000),
        ("mJ", 1_000_000),
        ("J", 1_000_000_000),
        ("kJ", 1_000_000_000_000),
        ("Wh", 3_600_000_000_000),
    ],
    example: "50mJ",
};

const POWER: Quantity =
    Quantity { units: &[("uW", 1), ("mW", 1_000), ("W", 1_000_000), ("kW", 1_000_000_000)], example: "2.5W" };

/// `40ms`, `1.5s`, `2min`.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    DURATION.parse(text).map(Duration::from_nanos)
}

/// Bytes of `512B`, `64MiB`, `1.5GB`.
pub fn byte_size(text: &str) -> Result<u64, UnitError> {
    BYTES.parse(text)
}

/// Bits per second of `800kbps`, `8Mbps`.
pub fn bit_rate(text: &str) -> Result<u64, UnitError> {
    BIT_RATE.parse(text)
}

/// Joules of `50mJ`, `2J`; finer than a nanojoule is rounded down.
pub fn energy(text: &str) -> Result<f64, UnitError> {
    ENERGY.parse(text).map(|nanojoules| nanojoules as f64 / 1e9)
}

/// Watts of `500mW`, `2.5W`; finer than a microwatt is rounded down.
pub fn power(text: &str) -> Result<f64, UnitError> {
    POWER.parse(text).map(|microwatts| microwatts as f64 / 1e6)
}

/// Regular expressions of the forms, for the JSON Schema.
pub(crate) fn pattern(kind: Kind) -> String {
    let quantity = match kind {
        Kind::Duration => DURATION,
        Kind::Bytes => BYTES,
        Kind::BitRate => BIT_RATE,
        Kind::Energy => ENERGY,
        Kind::Power => POWER,
    };
    let units: Vec<_> = quantity.units.iter().map(|(name, _)| *name).collect();
    format!(r"^[0-9]+(\.[0-9]+)? ?({})$", units.join("|"))
}

/// The quantities that settings use.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Duration,
    Bytes,
    BitRate,
    Energy,
    Power,
}

impl Quantity {
    fn parse(&self, text: &str) -> Result<u64, UnitError> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
            return Err(UnitError::NoNumber { text: shorten(text), example: self.example });
        }
        if unit.is_empty() {
            return Err(UnitError::MissingUnit {
                number: shorten(number),
                example: self.example,
                units: self.names(),
            });
        }
        let Some((_, multiple)) = self.units.iter().find(|(name, _)| *name == unit) else {
            let nearest =
                self.units.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(unit));
            return Err(UnitError::UnknownUnit { unit: shorten(unit), nearest, units: self.names() });
        };
        scale(whole, fraction, *multiple).ok_or_else(|| UnitError::TooLarge { text: shorten(text) })
    }

    fn names(&self) -> String {
        self.units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// `whole.fraction * multiple`, rounded down; `None` past 2^63, which leaves callers room to add.
fn scale(whole: &str, fraction: &str, multiple: u64) -> Option<u64> {
    let whole = whole.parse::<u64>().ok()?.checked_mul(multiple)?;
    // Twelve digits resolve the largest multiple to the last unit, and keep the product in 128 bits.
    let digits = &fraction[..fraction.len().min(12)];
    let part = digits.parse::<u128>().ok()? * u128::from(multiple) / 10u128.pow(digits.len() as u32);
    whole.checked_add(part as u64).filter(|total| *total < 1 << 63)
}

/// Enough of `text` to recognise it, on one line.
pub(crate) fn shorten(text: &str) -> String {
    let short: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities() {
        for (text, nanos) in [
            ("40ms", 40_000_000),
            ("1.5s", 1_500_000_000),
            ("2 min", 120_000_000_000),
            ("0s", 0),
            ("0.0000000001s", 0),
            ("7us", 7_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for (text, bytes) in [("64MiB", 64 << 20), ("1.5kB", 1500), ("0.5KiB", 512), ("9B", 9)] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(bit_rate("8Mbps"), Ok(8_000_000));
        for (text, joules) in [("50mJ", 0.05), ("2.5J", 2.5), ("1Wh", 3600.0), ("7 uJ", 7e-6)] {
            assert_eq!(energy(text), Ok(joules), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        for (text, expected) in [
            ("40", "40 has no unit; write for example 40ms (units: ns, us, ms, s, min, h)"),
            ("40 parsecs", "unknown unit `parsecs`; units are ns, us, ms, s, min, h"),
            ("40MS", "unknown unit `MS`, did you mean `ms`?; units are ns, us, ms, s, min, h"),
            ("ms", "`ms` does not start with a number; write for example 40ms"),
            ("-4ms", "`-4ms` does not start with a number; write for example 40ms"),
            ("1.2.3s", "`1.2.3s` does not start with a number; write for example 40ms"),
            (".5s", "`.5s` does not start with a number; write for example 40ms"),
            ("", "`` does not start with a number; write for example 40ms"),
            ("99999999999999999999h", "`99999999999999999999h` is too large"),
            ("9999999h", "`9999999h` is too large"),
        ] {
            assert_eq!(duration(text).unwrap_err().to_string(), expected);
        }
        assert_eq!((power("2.5W"), power("500 mW")), (Ok(2.5), Ok(0.5)));
        assert!(byte_size("64Mb").unwrap_err().to_string().contains("did you mean `MB`"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(text in ".{0,60}") {
            let _ = (duration(&text), byte_size(&text), bit_rate(&text), energy(&text), power(&text));
        }

        #[test]
        fn whole_numbers_are_exact(number in 0u64..1 << 40) {
            prop_assert_eq!(byte_size(&format!("{number}B")), Ok(number));
            prop_assert_eq!(duration(&format!("{number}us")), Ok(Duration::from_micros(number)));
        }
    }
}
