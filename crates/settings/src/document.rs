//! YAML text as a tree whose every value knows its place.
//!
//! A deserialiser stops at the first mistake, and its types forget where values came from.
//! The tree keeps both for later, and is the only thing built from text that nobody
//! has checked: its size and depth are bounded, aliases included.

use crate::error::{Place, Problems};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DeserializeError, Location, Spanned};

/// A value and its place.
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What YAML can say.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// Settings of hundreds of models fit many times over.
const MAX_TEXT: usize = 1 << 20;
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 16;

/// The tree of `text`; `None`, and a problem, where it is not YAML or too large.
pub(crate) fn parse(text: &str, problems: &Problems) -> Option<Node> {
    let start = Place { line: 1, column: 1 };
    if text.len() > MAX_TEXT {
        problems.add(start, "", format!("the file is {} bytes, at most {MAX_TEXT} are read", text.len()));
        return None;
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_TEXT,
            max_total_scalar_bytes: MAX_TEXT,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: MAX_DEPTH,
        },
        with_snippet: false,
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(node) => Some(node),
        Err(error) => {
            let place = error.location().map_or(start, place_of);
            problems.add(place, "", message_of(&error));
            None
        }
    }
}

/// The first line of the parser's message, without the position that it repeats.
fn message_of(error: &DeserializeError) -> String {
    let message = error.without_snippet().to_string();
    let line = message.lines().next().unwrap_or_default();
    line.split(" at line ").next().unwrap_or(line).to_owned()
}

fn place_of(location: Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: place_of(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push((Key { place: place_of(key.referenced), name: key.value }, node));
        }
        Ok(Value::Map(entries))
    }
}
