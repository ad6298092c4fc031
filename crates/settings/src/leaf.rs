//! Values that are text in YAML and something narrower in Rust: names, addresses,
//! paths, quantities, split points.

mod plan;

pub(crate) use plan::{Joules, Place, Watts};

use crate::edge::{CodecChoice, Share, Split};
use crate::units::{self, Kind, shorten};
use crate::wish::{Deadline, Objective};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A value read from text.
pub(crate) trait Leaf: Sized {
    /// What such text looks like, for error messages.
    const EXPECTED: &'static str;
    /// Whether a bare number deserves the error about its missing unit.
    const QUANTITY: bool = false;

    /// The value, or what is wrong with the text.
    fn read(text: &str) -> Result<Self, String>;

    /// The JSON Schema.
    fn schema() -> Schema;
}

/// A node's or model's name: it ends up in URLs, SPIFFE ids, folders and metrics.
pub(crate) struct Name(pub(crate) String);

/// An address to listen on.
pub(crate) struct Listen(pub(crate) SocketAddr);

/// `host:port` to dial.
pub(crate) struct Dial(pub(crate) String);

/// A path.
pub(crate) struct FilePath(pub(crate) PathBuf);

/// A stretch of time.
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes.
pub(crate) struct Size(pub(crate) u64);

/// A number of bits per second.
pub(crate) struct Rate(pub(crate) u64);

/// Text that is not empty.
pub(crate) struct Words(pub(crate) String);

/// A model has 32 boundaries at most.
const LAST_BOUNDARY: u16 = 31;

impl Leaf for Name {
    const EXPECTED: &'static str = "a name";

    fn read(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && text.len() <= 63 && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{}` is not a name: up to 63 letters, digits, `-`, `_` and `.`, the first a letter or digit",
            shorten(text)
        ))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
    }
}

impl Leaf for Listen {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:8000";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "`{}` is not an address; write an IP address and a port, such as 127.0.0.1:8000",
                shorten(text)
            )
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:8000", "[::]:8000"] })
    }
}

impl Leaf for Dial {
    const EXPECTED: &'static str = "host:port";

    fn read(text: &str) -> Result<Self, String> {
        let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            let bare = !host.contains([':', '[', ']', '/', '@']) && !host.contains(char::is_whitespace);
            let address = if bracketed { text.parse::<SocketAddr>().is_ok() } else { bare };
            !host.is_empty() && host.len() <= 253 && address && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{}` is not host:port, such as cloud.example.net:4433", shorten(text)))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^.+:[0-9]{1,5}$", "examples": ["cloud.example.net:4433"] })
    }
}

impl Leaf for FilePath {
    const EXPECTED: &'static str = "a path";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("the path is empty".to_owned()),
            text if text.contains('\0') => Err("the path contains a NUL character".to_owned()),
            text => Ok(Self(PathBuf::from(text))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Leaf for Span {
    const EXPECTED: &'static str = "a duration such as 40ms";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        match units::duration(text) {
            Ok(span) if span.is_zero() || span > DAY => {
                Err(format!("`{}` is out of range, allowed is more than 0s and at most 24h", shorten(text)))
            }
            Ok(span) => Ok(Self(span)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": units::pattern(Kind::Duration), "examples": ["40ms", "2s"] })
    }
}

impl Leaf for Size {
    const EXPECTED: &'static str = "a size such as 64MiB";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        match units::byte_size(text) {
            Ok(0) => Err(format!("`{}` is out of range, allowed is 1B and more", shorten(text))),
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": units::pattern(Kind::Bytes), "examples": ["64MiB", "2GB"] })
    }
}

impl Leaf for Rate {
    const EXPECTED: &'static str = "a rate such as 8Mbps";
    const QUANTITY: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        match units::bit_rate(text) {
            Ok(0) => Err(format!("`{}` carries nothing, allowed is 1bps and more", shorten(text))),
            Ok(bits) => Ok(Self(bits)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": units::pattern(Kind::BitRate), "examples": ["800kbps", "8Mbps"] })
    }
}

impl Leaf for Words {
    const EXPECTED: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("the text is empty".to_owned()) } else { Ok(Self(text.to_owned())) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Leaf for Split {
    const EXPECTED: &'static str = "auto, edge, cloud or a boundary such as b7";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "edge" => return Ok(Self::Edge),
            "cloud" => return Ok(Self::Cloud),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let digits = text.strip_prefix('b').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(str::parse) {
            Some(Ok(boundary)) if boundary <= LAST_BOUNDARY => Ok(Self::Boundary(boundary)),
            Some(Ok(_)) => {
                Err(format!("`{}` is out of range, boundaries are b0 to b{LAST_BOUNDARY}", shorten(text)))
            }
            _ => Err(format!(
                "`{}` is not a split; allowed: auto, edge, cloud or a boundary such as b7",
                shorten(text)
            )),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(auto|edge|cloud|b([0-9]|[12][0-9]|3[01]))$",
            "examples": ["auto", "edge", "cloud", "b7"],
        })
    }
}

impl Leaf for CodecChoice {
    const EXPECTED: &'static str = "auto, raw or the name of a codec";

    fn read(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_graphic();
        match text {
            "auto" => Ok(Self::Auto),
            "raw" => Ok(Self::Raw),
            "" => Err("the name is empty".to_owned()),
            name if name.len() <= 64 && name.chars().all(plain) => Ok(Self::Named(name.to_owned())),
            name => Err(format!("`{}` is not the name of a codec", shorten(name))),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "examples": ["auto", "raw", "int8c"],
        })
    }
}

impl Leaf for Share {
    const EXPECTED: &'static str = "a share such as 99.5%";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a share from 0% to 100%; write for example 99.5%", shorten(text));
        let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let share: f64 =
            Some(number).filter(|_| plain).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        if !(0.0..=100.0).contains(&share) {
            return Err(wrong());
        }
        // At most 1,000,000.
        Ok(Self { millionths: (share * 1e4).round() as u32 })
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)? ?%$",
            "examples": ["99.5%"],
        })
    }
}

/// Makes leaves readable by serde and known to the schema.
macro_rules! leaves {
    ($($leaf:ty),* $(,)?) => { $(
        impl<'de> Deserialize<'de> for $leaf {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(LeafVisitor(PhantomData))
            }
        }

        impl JsonSchema for $leaf {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($leaf).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                <$leaf as Leaf>::schema()
            }
        }
    )* };
}
leaves!(
    Name,
    Listen,
    Dial,
    FilePath,
    Span,
    Size,
    Rate,
    Words,
    Split,
    CodecChoice,
    Share,
    Joules,
    Watts,
    Place,
    Objective,
    Deadline
);

struct LeafVisitor<T>(PhantomData<T>);

impl<T: Leaf> Visitor<'_> for LeafVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        if T::QUANTITY {
            self.visit_str(&number.to_string())
        } else {
            Err(E::invalid_type(Unexpected::Unsigned(number), &self))
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        if T::QUANTITY {
            self.visit_str(&number.to_string())
        } else {
            Err(E::invalid_type(Unexpected::Float(number), &self))
        }
    }
}
