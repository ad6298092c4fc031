//! Requests that a person has for a model, from a folder.
//!
//! Codecs, exits and sizes are fitted to what a model is really asked. That lies on disk in few
//! forms: pictures, where the model was packed with preprocessing; NumPy's `.npz` files, one request
//! each, with arrays named as the inputs; `.npy` files, where the model has one input; or a single
//! file of either whose first axis counts the requests. One reader for all of them, so that every
//! command takes the same folders.
//!
//! The order is that of the names, and the [halves](Samples::half) are made by a hash of each name
//! with a seed: what was fitted on one half is reported on the other, and a file does not change
//! sides when others come or go. `labels.tsv` or `labels.csv` beside the files has their classes.

mod fit;
mod folder;
mod half;
mod read;

pub use fit::Misfit;
pub use folder::{Form, OpenError, Samples};
pub use half::Half;
pub use read::{ReadError, Reader, Sample};
