//! Bytes from anywhere to a profile whose every number makes sense, and back.

use crate::{
    BoundarySize, Codec, FORMAT, Failure, MAX_BYTES, Misfit, OLDEST_FORMAT, PowerSource, Profile,
    ProfileError, RangeTime,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Boundaries that a model may have.
const MAX_BOUNDARIES: usize = 32;

/// Requests in one run; beyond it lies a mistake.
const MAX_BATCH: usize = 1 << 16;

/// A run or a compilation takes no longer: a year.
const MAX_SECONDS: f64 = 3.2e7;

/// All that is read before the version is known.
#[derive(Deserialize)]
struct Versioned {
    format: u64,
}

impl Profile {
    /// Reads a profile and checks it by itself; [`Profile::fits`] checks it against a model.
    pub fn parse(json: &[u8]) -> Result<Self, ProfileError> {
        if json.len() > MAX_BYTES {
            return Err(ProfileError::TooLarge { bytes: json.len(), limit: MAX_BYTES });
        }
        let Versioned { format } = serde_json::from_slice(json)?;
        if !(u64::from(OLDEST_FORMAT)..=u64::from(FORMAT)).contains(&format) {
            return Err(ProfileError::Format(format));
        }
        // Later formats only add to earlier ones.
        let profile = Self { format: FORMAT, ..serde_json::from_slice(json)? };
        profile.check()?;
        Ok(profile)
    }

    /// The file's text: one line for each range, so that people and `diff` can read it.
    pub fn to_json(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => {
                let lines: Vec<String> = fields
                    .iter()
                    .map(|(key, value)| format!("  {}: {}", Value::from(key.as_str()), lines(value)))
                    .collect();
                format!("{{\n{}\n}}\n", lines.join(",\n"))
            }
            // Numbers and strings alone cannot fail to be written.
            other => format!("{other:?}"),
        }
    }

    /// Checks that the profile speaks of the model `name` with version digest `digest`, in lower-case
    /// hexadecimal, cut at `boundaries` boundaries.
    pub fn fits(&self, name: &str, digest: &str, boundaries: usize) -> Result<(), Misfit> {
        if self.model != name {
            return Err(Misfit::Model { found: self.model.clone(), wanted: name.to_owned() });
        }
        if !self.digest.eq_ignore_ascii_case(digest) {
            let (found, wanted) = (self.digest.clone(), digest.to_owned());
            return Err(Misfit::Digest { model: self.model.clone(), found, wanted });
        }
        if self.boundaries.len() != boundaries {
            return Err(Misfit::Boundaries { found: self.boundaries.len(), wanted: boundaries });
        }
        Ok(())
    }

    /// Index of the last boundary, the outputs.
    pub fn last(&self) -> usize {
        self.boundaries.len().saturating_sub(1)
    }

    /// The times of a range, where it was timed.
    pub fn range(&self, from: usize, to: usize, batch: usize) -> Option<&RangeTime> {
        self.ranges.iter().find(|range| (range.from, range.to, range.batch) == (from, to, batch))
    }

    /// Checks every number.
    pub fn check(&self) -> Result<(), ProfileError> {
        let value = |key, reason: String| ProfileError::Value { place: "profile".into(), key, reason };
        if !(2..=MAX_BOUNDARIES).contains(&self.boundaries.len()) {
            let reason = format!("{} of them, a model has 2 to {MAX_BOUNDARIES}", self.boundaries.len());
            return Err(value("boundaries", reason));
        }
        if self.boundaries.windows(2).any(|pair| pair[0].macs_before > pair[1].macs_before) {
            return Err(value("boundaries", "macs_before shrinks from one to the next".into()));
        }
        if self.digest.len() != 64 || !self.digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(value("digest", "expected 64 hexadecimal digits".into()));
        }
        if !is_rfc3339(&self.taken) {
            return Err(value("taken", format!("{:?} is not like 2026-01-31T12:00:00Z", self.taken)));
        }
        let mut seen = BTreeSet::new();
        for range in &self.ranges {
            range.check(self.last())?;
            if !seen.insert((range.from, range.to, range.batch)) {
                return Err(ProfileError::Duplicate { from: range.from, to: range.to, batch: range.batch });
            }
        }
        for failure in &self.failed {
            failure.check(self.last())?;
            let Failure { from, to, batch, .. } = *failure;
            if !seen.insert((from, to, batch)) {
                return Err(ProfileError::Duplicate { from, to, batch });
            }
        }
        self.check_parts()
    }

    fn check_parts(&self) -> Result<(), ProfileError> {
        if let Some(reference) = &self.reference {
            let place = At("reference".into());
            place.time("p50", reference.p50)?;
            place.positive("fast", reference.fast)?;
            place.positive("slow", reference.slow)?;
        }
        if let Some(rest) = &self.rest {
            let place = At("rest".into());
            place.time("pause", rest.pause)?;
            place.time("handover", rest.handover)?;
        }
        if let Some(layers) = &self.layers {
            At("layers".into()).time("unattributed", layers.unattributed)?;
            layers
                .nodes
                .iter()
                .try_for_each(|layer| At(format!("layer {}", layer.node)).time("seconds", layer.seconds))?;
        }
        if let Some(sizes) = &self.sizes {
            let mut seen = BTreeSet::new();
            for size in &sizes.boundaries {
                size.check(self.last())?;
                if !seen.insert((size.boundary, size.codec)) {
                    let reason = format!("{:?} is there twice", size.codec);
                    return Err(At(format!("sizes, b{}", size.boundary)).wrong("codec", reason));
                }
            }
        }
        if let Some(power) = &self.power {
            let place = At("power".into());
            place.amount("idle_watts", power.idle_watts)?;
            place.amount("busy_watts", power.busy_watts)?;
            place.amount("joules_per_byte", power.joules_per_byte)?;
            if power.busy_watts < power.idle_watts {
                let (busy, idle) = (power.busy_watts, power.idle_watts);
                return Err(place.wrong("busy_watts", format!("{busy} is less than {idle} without work")));
            }
            if power.source == PowerSource::Measured(String::new()) {
                return Err(place.wrong("source", "names no sensor".into()));
            }
        }
        Ok(())
    }
}

impl RangeTime {
    fn check(&self, last: usize) -> Result<(), ProfileError> {
        let place = At(format!("range {}..{}, batch {}", self.from, self.to, self.batch));
        place.range(self.from, self.to, self.batch, last)?;
        if self.runs == 0 || self.rounds == 0 || self.rounds > self.runs {
            return Err(place.wrong("runs", format!("{} in {} rounds", self.runs, self.rounds)));
        }
        for (key, value) in [("p50", self.p50), ("p90", self.p90), ("p99", self.p99), ("mean", self.mean)] {
            place.time(key, value)?;
            place.positive(key, value)?;
        }
        place.time("sd", self.sd)?;
        place.time("compile", self.compile)?;
        for (key, less, more) in [("p90", self.p50, self.p90), ("p99", self.p90, self.p99)] {
            if less > more {
                return Err(place.wrong(key, format!("{more} is less than the percentile below it, {less}")));
            }
        }
        if let Some(rested) = &self.rested {
            if rested.runs == 0 {
                return Err(place.wrong("rested", "no run".into()));
            }
            place.time("rested", rested.p50)?;
            place.positive("rested", rested.p50)?;
            place.time("rested", rested.sd)?;
        }
        self.joules.map_or(Ok(()), |joules| place.amount("joules", joules))
    }
}

impl Failure {
    fn check(&self, last: usize) -> Result<(), ProfileError> {
        let place = At(format!("failed range {}..{}, batch {}", self.from, self.to, self.batch));
        place.range(self.from, self.to, self.batch, last)
    }
}

impl BoundarySize {
    fn check(&self, last: usize) -> Result<(), ProfileError> {
        let place = At(format!("sizes, b{}", self.boundary));
        if self.boundary > last {
            return Err(place.wrong("boundary", format!("the last one is b{last}")));
        }
        if self.codec == Codec::Encoded && self.boundary != 0 {
            return Err(place.wrong("codec", "only inputs come as encoded pictures".into()));
        }
        place.amount("bytes_mean", self.bytes_mean)?;
        place.amount("bytes_p90", self.bytes_p90)?;
        place.time("encode_s", self.encode_s)?;
        place.time("decode_s", self.decode_s)
    }
}

/// Where in the file a value stands.
struct At(String);

impl At {
    fn range(&self, from: usize, to: usize, batch: usize, last: usize) -> Result<(), ProfileError> {
        if from >= to {
            return Err(self.wrong("from", "a range starts before it ends".into()));
        }
        if to > last {
            return Err(self.wrong("to", format!("the last boundary is b{last}")));
        }
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(self.wrong("batch", format!("expected 1 to {MAX_BATCH}")));
        }
        Ok(())
    }

    fn time(&self, key: &'static str, value: f64) -> Result<(), ProfileError> {
        self.amount(key, value)?;
        if value <= MAX_SECONDS {
            Ok(())
        } else {
            Err(self.wrong(key, format!("{value} s is more than a year")))
        }
    }

    fn amount(&self, key: &'static str, value: f64) -> Result<(), ProfileError> {
        match value {
            value if !value.is_finite() => Err(self.wrong(key, format!("{value} is no number"))),
            value if value < 0.0 => Err(self.wrong(key, format!("{value} is negative"))),
            _ => Ok(()),
        }
    }

    fn positive(&self, key: &'static str, value: f64) -> Result<(), ProfileError> {
        self.amount(key, value)?;
        if value > 0.0 { Ok(()) } else { Err(self.wrong(key, "is zero".into())) }
    }

    fn wrong(&self, key: &'static str, reason: String) -> ProfileError {
        ProfileError::Value { place: self.0.clone(), key, reason }
    }
}

/// Date, `T`, time, and `Z` or an offset; whether the date exists nobody needs to know.
fn is_rfc3339(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let Some((start, rest)) = text.as_bytes().split_at_checked(FORM.len()) else { return false };
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let rest = rest
        .strip_prefix(b".")
        .map_or(rest, |rest| &rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..]);
    let offset = |rest: &[u8]| matches!(rest, [b'+' | b'-', a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()));
    start.iter().zip(FORM).all(fits) && (rest == b"Z" || offset(rest))
}

/// Arrays with one element on each line, all else on one.
fn lines(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|item| format!("    {item}")).collect();
            format!("[\n{}\n  ]", items.join(",\n"))
        }
        Value::Object(fields) if fields.values().any(Value::is_array) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), lines(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
