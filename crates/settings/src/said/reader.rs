//! A deserialiser over the tree that notes mistakes and goes on.

use crate::document::{Key, Node, Value};
use crate::error::{Place, Problems};
use crate::nearest::nearest;
use crate::units::shorten;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};

/// The name by which `Said` asks for its place.
pub(super) const SAID: &str = "$kerf::Said";

/// Reads one node.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    node: &'a Node,
    key: String,
    problems: &'a Problems,
}

/// What is wrong with one value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ReadError(String);

impl<'a> Reader<'a> {
    /// Reads `root`, the whole file.
    pub(crate) fn new(root: &'a Node, problems: &'a Problems) -> Self {
        Self { node: root, key: String::new(), problems }
    }

    fn child(&self, key: &str, node: &'a Node) -> Self {
        let dot = if self.key.is_empty() { "" } else { "." };
        Self { node, key: format!("{}{dot}{key}", self.key), problems: self.problems }
    }

    fn element(&self, index: usize, node: &'a Node) -> Self {
        Self { node, key: format!("{}[{index}]", self.key), problems: self.problems }
    }

    /// The entries whose keys are among `fields`; each other key is a problem.
    fn known(&self, entries: &'a [(Key, Node)], fields: &[&'static str]) -> Vec<&'a (Key, Node)> {
        entries
            .iter()
            .filter(|(key, _)| {
                let known = fields.contains(&key.name.as_str());
                if !known {
                    let hint = match nearest(&key.name, fields) {
                        Some(field) => format!("did you mean `{field}`?"),
                        None => format!("allowed: {}", fields.join(", ")),
                    };
                    let message = format!("unknown key `{}`, {hint}", shorten(&key.name));
                    self.problems.add(key.place, self.key.clone(), message);
                }
                known
            })
            .collect()
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            Value::List(nodes) => visitor.visit_seq(Elements { reader: self.clone(), nodes, next: 0 }),
            Value::Map(_) => Err(ReadError::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// An empty value stands for a mapping without entries, which is what a section
    /// looks like when all its keys are commented out.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let entries: &[(Key, Node)] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::List(_) => return Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
            _ => return self.deserialize_any(visitor),
        };
        let entries = self.known(entries, fields);
        visitor.visit_map(Entries { reader: self, entries, next: 0 })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            SAID => visitor.visit_seq(SaidAccess { reader: self, step: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            other => Err(ReadError(format!("expected {}, got {}", variants.join(" or "), other.kind()))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Gives a `Said` its four parts. A wrong value is noted here and left out.
struct SaidAccess<'a> {
    reader: Reader<'a>,
    step: usize,
}

impl<'de> SeqAccess<'de> for SaidAccess<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Place { line, column } = self.reader.node.place;
        self.step += 1;
        match self.step {
            1 => Ok(match seed.deserialize(self.reader.clone()) {
                Ok(value) => Some(value),
                Err(error) => {
                    self.reader.problems.add(self.reader.node.place, self.reader.key.clone(), error.0);
                    None
                }
            }),
            2 => seed.deserialize(line.into_deserializer()).map(Some),
            3 => seed.deserialize(column.into_deserializer()).map(Some),
            4 => seed.deserialize(self.reader.key.as_str().into_deserializer()).map(Some),
            _ => Ok(None),
        }
    }
}

struct Elements<'a> {
    reader: Reader<'a>,
    nodes: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.nodes.get(self.next) else { return Ok(None) };
        let element = self.reader.element(self.next, node);
        self.next += 1;
        seed.deserialize(element).map(Some)
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    entries: Vec<&'a (Key, Node)>,
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        match self.entries.get(self.next) {
            Some((key, _)) => seed.deserialize(key.name.as_str().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, node)) = self.entries.get(self.next) else {
            return Err(ReadError::custom("a value was read before its key"));
        };
        self.next += 1;
        seed.deserialize(self.reader.child(&key.name, node))
    }
}

impl serde::de::Error for ReadError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = expected.to_string();
        let wanted = match wanted.as_str() {
            "a string" => "text",
            "a boolean" => "true or false",
            "u64" | "u32" | "usize" => "a whole number",
            "a sequence" => "a list",
            structure if structure.starts_with("struct ") => "a mapping of keys to values",
            other => other,
        };
        let got = match unexpected {
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Str(text) => format!("the text `{}`", shorten(text)),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            other => other.to_string(),
        };
        let quote = match (wanted, unexpected) {
            (
                "text" | "a name" | "a path",
                Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) | Unexpected::Bool(_),
            ) => "; put it in quotes",
            _ => "",
        };
        Self(format!("expected {wanted}, got {got}{quote}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint =
            nearest(variant, expected).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
        Self(format!("unknown value `{}`{hint}; allowed: {}", shorten(variant), expected.join(", ")))
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}
