//! From the bytes of a file that nobody here made to a checked model in normal form.
//!
//! A user whose model cannot be carried wants to know everything that stands in the way, not
//! the first thing of it; so each step notes its problems and goes on as far as it makes sense.

mod decode;
mod draft;
mod functions;
mod order;
mod problem;
mod subgraphs;
mod types;

pub(crate) use draft::DraftParts;
pub(crate) use order::permute;
pub use problem::{Fault, LoadError, Problem};
pub(crate) use types::tensor_type;

use crate::model::Model;
use crate::onnx::{ModelProto, OperatorSetIdProto};
use crate::ops;
use bytes::Bytes;
use draft::Draft;
use problem::Problems;
use std::collections::BTreeMap;

/// The `metadata_props` key that says that the nodes stand in Kerf's schedule order, so that
/// stored boundaries, which count nodes, stay valid when the file is read again.
pub(crate) const SCHEDULE_KEY: &str = "kerf.schedule";

/// Where tensor data outside the model file comes from.
pub trait ExternalData {
    /// `length` bytes from `offset` of the file at `location`, or all from there on.
    ///
    /// `location` is relative, has no `..` and no NUL; that it leads nowhere else through a link
    /// is for the implementation to check. `length` is what the model claims: check it against
    /// the file before allocating. The error says why, for the user.
    fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String>;
}

/// For models that keep everything in one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExternalData;

impl ExternalData for NoExternalData {
    fn read(&self, _location: &str, _offset: u64, _length: Option<u64>) -> Result<Bytes, String> {
        Err("the model came without other files".into())
    }
}

impl Model {
    /// Reads an ONNX model of opset 7 or later.
    ///
    /// Initializers listed among the inputs are no inputs here. A graph output that is an input,
    /// or that is listed twice, gets a name of its own behind an `Identity`. Nodes that no
    /// output needs are dropped.
    pub fn load(onnx: Bytes, external: &dyn ExternalData) -> Result<Self, LoadError> {
        let mut proto = decode::model(onnx)?;
        let mut problems = Problems::default();
        let mut opsets = imports(&proto, &mut problems);
        let graph = proto.graph.take().unwrap_or_default();
        let graph = functions::inline(graph, &proto.functions, &mut opsets, &mut problems);
        let mut draft = Draft::new(graph, opsets, external, &mut problems);
        order::sort(&mut draft, &mut problems);
        problems.into_result()?;
        draft.drop_dead_nodes();
        let is_scheduled = proto.metadata_props.iter().any(|entry| entry.key() == SCHEDULE_KEY);
        Self::from_draft(draft.into_parts(), is_scheduled)
    }
}

/// Versions by domain, the default domain under the empty name.
fn imports(proto: &ModelProto, problems: &mut Problems) -> BTreeMap<String, i64> {
    let opsets = opset_map(&proto.opset_import);
    if !opsets.contains_key("") {
        problems.add(None, Fault::NoOpset);
    }
    for (domain, version) in &opsets {
        if let Some((oldest, newest)) = ops::versions(domain)
            && !(oldest..=newest).contains(version)
        {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain }.to_owned();
            problems.add(None, Fault::Opset { domain, version: *version, oldest, newest });
        }
    }
    opsets
}

fn opset_map(imports: &[OperatorSetIdProto]) -> BTreeMap<String, i64> {
    let name = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_owned() };
    imports.iter().map(|import| (name(import.domain()), import.version())).collect()
}
