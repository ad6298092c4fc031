use kerf_graph::{CutError, Segment};

/// Names a segment in errors and keys: from boundary, to boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId {
    /// Boundary at which the segment starts.
    pub from: usize,
    /// Boundary at which it ends.
    pub to: usize,
}

/// Why an engine does not run a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The engine lacks an operator, or a form of it.
    #[error("{engine} cannot run {op} (node {node}) of segment {segment}: {reason}")]
    Unsupported {
        /// Engine that refused.
        engine: &'static str,
        /// Segment.
        segment: SegmentId,
        /// Operator, as ONNX names it.
        op: String,
        /// Node, as the graph names it.
        node: String,
        /// What the engine said.
        reason: String,
    },
    /// The engine refused the segment without naming a node.
    #[error("{engine} refused segment {segment}: {reason}")]
    Refused {
        /// Engine that refused.
        engine: &'static str,
        /// Segment.
        segment: SegmentId,
        /// What the engine said.
        reason: String,
    },
    /// The model has no such segment.
    #[error("segment {segment}: {reason}")]
    Cut {
        /// Segment that was asked for.
        segment: SegmentId,
        /// What the graph said.
        reason: String,
    },
    /// Every engine refused; one reason for each.
    #[error("no engine runs segment {segment}: {}", list(.tried))]
    NoEngine {
        /// Segment.
        segment: SegmentId,
        /// Reasons, in the order in which the engines were tried.
        tried: Vec<CompileError>,
    },
}

/// Why a run gave no outputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Too few or too many inputs.
    #[error("segment {segment} takes {expected} inputs, got {actual}")]
    InputCount {
        /// Segment.
        segment: SegmentId,
        /// Inputs that the segment has.
        expected: usize,
        /// Inputs that came.
        actual: usize,
    },
    /// An input of another type or shape than the segment's.
    #[error("segment {segment} takes {expected}, got {actual}")]
    Input {
        /// Segment.
        segment: SegmentId,
        /// Name, type and shape that the segment states.
        expected: String,
        /// Type and shape that came.
        actual: String,
    },
    /// A tensor that the segment needs, and that nothing before it gave.
    #[error("segment {segment} needs the tensor {name}, which is not there")]
    Missing {
        /// Segment, or `b..b` for a boundary.
        segment: SegmentId,
        /// Name of the tensor.
        name: String,
    },
    /// The engine failed.
    #[error("{engine} failed in segment {segment}{}: {reason}", at(.node))]
    Engine {
        /// Engine that failed.
        engine: &'static str,
        /// Segment.
        segment: SegmentId,
        /// Node, where the engine named it.
        node: Option<String>,
        /// What the engine said.
        reason: String,
    },
    /// The segment, or the shape that came, does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl SegmentId {
    /// The name of `segment`.
    pub fn of(segment: &Segment) -> Self {
        Self { from: segment.from, to: segment.to }
    }
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl CompileError {
    pub(crate) fn cut(segment: SegmentId, error: &CutError) -> Self {
        Self::Cut { segment, reason: error.to_string() }
    }
}

fn at(node: &Option<String>) -> String {
    node.as_ref().map_or_else(String::new, |node| format!(", node {node}"))
}

fn list(tried: &[CompileError]) -> String {
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_failed() {
        let segment = SegmentId { from: 1, to: 3 };
        let refused = |engine| CompileError::Refused { engine, segment, reason: "bad".into() };
        for (error, text) in [
            (
                RunError::Engine { engine: "ort", segment, node: Some("conv".into()), reason: "no".into() },
                "ort failed in segment 1..3, node conv: no",
            ),
            (
                CompileError::NoEngine { segment, tried: vec![refused("ort"), refused("tract")] }.into(),
                "no engine runs segment 1..3: ort refused segment 1..3: bad; tract refused segment 1..3: bad",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
