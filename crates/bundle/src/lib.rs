//! What is in a model's folder, and is it still what was packed?
//!
//! An edge and a cloud node that finish each other's work must hold the same
//! model, cut at the same places. So a packed model is four files under one
//! digest, or six where codecs were fitted to it; exits are the edge's own:
//!
//! ```text
//! model.yaml         the card: names, shapes, preprocessing, how it is judged
//! 1/model.onnx       the checked, self-contained model
//! 1/boundaries.json  where it can be cut, with the sizes there
//! 1/codecs.bin       parameters of the codecs that were fitted
//! 1/codecs.json      what was measured of each
//! 1/exits.json       when early exits answer, and what is promised of them
//! 1/exits/b5.onnx    the head at boundary 5
//! 1/manifest.json    the digest of each of the others
//! ```
//!
//! The *version digest* is the SHA-256 of the manifest in its canonical form;
//! it travels with every request. [`Pack`] makes the files, [`Bundle::open`]
//! checks them; where they lie is the caller's business ([`Files`]).

mod arrange;
mod card;
mod card_yaml;
mod codecs;
mod exits;
mod manifest;
mod name;
mod open;
mod pack;

pub use arrange::{ArrangeError, Arranged};
pub use card::{Batching, BatchingKind, Card, CardError, Encoded, Metric, Source};
pub use codecs::{Bytes, Codecs, CodecsError, Coding, Interval, Measured, MeasuredCodec, Pair};
pub use exits::{ExitHead, ExitInputs, Exits, ExitsError, FittedExit, FittedExits, head_path};
pub use manifest::{Digest, Manifest, ManifestError, hex, sha256};
pub use name::{NameError, check_name};
pub use open::{Bundle, Files, OpenError};
pub use pack::{Pack, PackError, PackRequest, PackedFiles};

/// The card's path in a model's folder.
pub const CARD: &str = "model.yaml";
/// The model's path.
pub const MODEL: &str = "1/model.onnx";
/// The boundaries' path.
pub const BOUNDARIES: &str = "1/boundaries.json";
/// The fitted codecs' path.
pub const CODECS: &str = "1/codecs.bin";
/// The path of what was measured of them.
pub const MEASURED: &str = "1/codecs.json";
/// The path of what was fitted of exits; for their heads see [`head_path`].
pub const EXITS: &str = "1/exits.json";
/// The manifest's path.
pub const MANIFEST: &str = "1/manifest.json";
