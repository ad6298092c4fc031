//! What the user said, field by field, the mistakes kept apart from one another.
//!
//! Serde gives up a whole structure for one bad field. [`Said`] is a field that never
//! fails: [`Reader`] notes the mistake with its place, leaves the field empty and goes on.

mod reader;

pub(crate) use reader::Reader;

use crate::error::{Place, Problems};
use reader::SAID;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

/// A field as said: absent, wrong (and noted), or a value; and where it stands.
pub(crate) struct Said<T> {
    value: Option<T>,
    origin: Option<Origin>,
}

/// Where something was said.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    pub(crate) key: String,
}

impl<T> Said<T> {
    /// The value; `default` where nothing, or nothing usable, was said.
    pub(crate) fn or(self, default: T) -> T {
        self.value.unwrap_or(default)
    }

    /// The value; that of nothing said where there is none.
    pub(crate) fn or_default(self) -> T
    where
        T: Default,
    {
        self.value.unwrap_or_default()
    }

    /// The value, if one was said.
    pub(crate) fn optional(self) -> Option<T> {
        self.value
    }

    /// The value and where it was said; notes a missing key of `parent` where nothing was.
    pub(crate) fn required(self, key: &str, parent: &Origin, problems: &Problems) -> Option<T> {
        if self.origin.is_none() {
            problems.add(parent.place, parent.key.clone(), format!("missing key `{key}`"));
        }
        self.value
    }

    /// The value, if one was said, left in place.
    pub(crate) fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Where it was said.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The same, or wrong where `check` finds a reason.
    pub(crate) fn checked(self, problems: &Problems, check: impl FnOnce(&T) -> Result<(), String>) -> Self {
        match (&self.value, &self.origin) {
            (Some(value), Some(origin)) => match check(value) {
                Ok(()) => self,
                Err(reason) => {
                    origin.problem(problems, reason);
                    Self { value: None, origin: self.origin }
                }
            },
            _ => self,
        }
    }
}

impl Said<u64> {
    /// The same, or wrong outside `range`.
    pub(crate) fn within(self, range: RangeInclusive<u64>, problems: &Problems) -> Self {
        self.checked(problems, |value| match range.contains(value) {
            true => Ok(()),
            false => Err(format!("{value} is out of range, allowed is {} to {}", range.start(), range.end())),
        })
    }
}

impl Origin {
    /// Notes a problem here.
    pub(crate) fn problem(&self, problems: &Problems, message: impl Into<String>) {
        problems.add(self.place, self.key.clone(), message);
    }
}

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self { value: None, origin: None }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SAID, SaidVisitor(PhantomData))
    }
}

/// Takes what `reader::SaidAccess` gives: the value unless it is wrong, line, column, key.
struct SaidVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SaidVisitor<T> {
    type Value = Said<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Said<T>, A::Error> {
        let value = seq.next_element()?;
        let origin = match (seq.next_element()?, seq.next_element()?, seq.next_element()?) {
            (Some(line), Some(column), Some(key)) => Some(Origin { place: Place { line, column }, key }),
            _ => None,
        };
        Ok(Said { value, origin })
    }
}

impl<T: JsonSchema> JsonSchema for Said<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
