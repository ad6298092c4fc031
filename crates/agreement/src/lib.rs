//! Does a changed computation still say what the whole model says, and how sure is that?
//!
//! A codec that rounds what crosses the wire changes every number of an answer a little. Whether
//! that matters depends on what the answer is for: a classifier is asked for its top class, an
//! embedding for its direction, a detector for its boxes. A [`Criterion`] says which, is written in
//! a model's card or on a command line, and has a default that shapes and names suggest
//! ([`suggest`]). It judges one request at a time ([`Verdict`]).
//!
//! Requests are samples of what will be asked, so their share is known to an interval only:
//! [`Share`] has the exact one of Clopper and Pearson. Where labels are known, [`Paired`] compares the
//! accuracy with and without the change on the same inputs.
//!
//! An answer that equals the reference bit for bit is the same by every criterion, whatever it holds.

mod boxes;
mod classes;
mod criterion;
mod fraction;
mod isotonic;
mod judge;
mod labels;
mod paired;
mod said;
mod share;
mod suggest;
mod vectors;

pub use boxes::{Activation, Background, Boxes, Columns, Format, Grid, Layout, Scores};
pub use criterion::{Cosine, Criterion, Metric, Pool, Relative, Top1};
pub use fraction::{Fraction, FractionError, Positive, PositiveError};
pub use isotonic::isotonic;
pub use judge::{JudgeError, Tally, Verdict};
pub use labels::{Labels, LabelsError};
pub use paired::Paired;
pub use said::{CriterionError, Said};
pub use share::{Interval, Share};
pub use suggest::{Suggestion, Why, suggest};
