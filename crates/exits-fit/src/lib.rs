//! Early-exit heads for a frozen model, from the model's own answers.
//!
//! A user has an ONNX file and often no labels. A head is a small classifier on the tensors of a
//! boundary that learns to give the answer that the whole model gives, from inputs alone. This crate
//! reduces a boundary's tensors to a few numbers per input while they stream by ([`Features`]), fits
//! heads of several [`Shape`]s to the model's answers ([`Teacher`], [`Lesson::fit`]), and writes them as
//! ordinary ONNX models with the model's own output ([`Head::to_model`]). Which heads are worth their cost
//! and when one may answer is for others to say.
//!
//! ```text
//! boundary's tensors --Front--> Features ┐
//! whole model's output --------> Teacher ┴─ Lesson::fit(Shape) --> Head --to_model--> ONNX
//! ```
//!
//! Nothing here depends on time, machine load or the number of threads: equal inputs and seeds make
//! equal heads on equal processors.

mod features;
mod fit;
mod front;
mod gemm;
mod head;
mod net;
mod shape;
mod teacher;
mod views;

pub use features::{Features, FeaturesError};
pub use fit::{FitError, Fitted, Lesson, OptionError, Options, Progress};
pub use front::{Front, FrontError};
pub use head::{ExportError, Head, HeadError};
pub use shape::{Shape, ShapeError, Stage};
pub use teacher::{Teacher, TeacherError};
pub use views::Views;
