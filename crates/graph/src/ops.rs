//! Which operators there are, and since when: a file that names another one, or one that its
//! opset does not have yet, is refused before any engine sees it.

mod table;

use table::{AI_ONNX, AI_ONNX_IR, AI_ONNX_ML, AI_ONNX_ML_NEWEST, AI_ONNX_NEWEST};

/// Oldest opset of the default domain that Kerf reads: older ones differ in broadcasting and
/// in how `BatchNormalization`, `Dropout` and others are written.
pub(crate) const OLDEST: i64 = 7;
/// Newest opset of the default domain that Kerf reads.
pub(crate) const NEWEST: i64 = AI_ONNX_NEWEST;

/// An operator through the versions of its domain.
pub(crate) struct Op {
    name: &'static str,
    /// Opsets that added or changed it, ascending.
    since: &'static [i64],
    removed: Option<i64>,
}

/// What a domain says of an operator name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In use, in the form that the given opset introduced.
    Since(i64),
    /// Comes with a later opset.
    NotBefore(i64),
    Removed(i64),
    Unknown,
    /// The domain is not one of the ONNX project's; engines may know it.
    Foreign,
}

/// What `domain` at version `opset` says of `op`.
pub(crate) fn standing(domain: &str, op: &str, opset: i64) -> Standing {
    let table = match domain {
        "" => AI_ONNX,
        "ai.onnx.ml" => AI_ONNX_ML,
        _ => return Standing::Foreign,
    };
    let Ok(found) = table.binary_search_by(|entry| entry.name.cmp(op)) else { return Standing::Unknown };
    let op = &table[found];
    if let Some(removed) = op.removed.filter(|removed| *removed <= opset) {
        return Standing::Removed(removed);
    }
    match op.since.iter().rev().find(|since| **since <= opset) {
        Some(since) => Standing::Since(*since),
        None => op.since.first().map_or(Standing::Unknown, |since| Standing::NotBefore(*since)),
    }
}

/// The versions of a domain that Kerf reads; `None` for a foreign domain, whose versions
/// only the engines know.
pub(crate) fn versions(domain: &str) -> Option<(i64, i64)> {
    match domain {
        "" => Some((OLDEST, NEWEST)),
        "ai.onnx.ml" => Some((1, AI_ONNX_ML_NEWEST)),
        _ => None,
    }
}

/// The oldest IR version that may carry an opset, and in which initializers need not be
/// listed among the inputs. Old readers accept it, and Kerf writes nothing newer.
pub(crate) fn ir_version(opset: i64) -> i64 {
    let index = usize::try_from(opset).unwrap_or(0).saturating_sub(1);
    AI_ONNX_IR.get(index).or(AI_ONNX_IR.last()).copied().unwrap_or(4).max(4)
}

/// Whether two runs on equal inputs may differ.
pub(crate) fn is_random(op: &str) -> bool {
    matches!(
        op,
        "Bernoulli"
            | "Dropout"
            | "Multinomial"
            | "RandomNormal"
            | "RandomNormalLike"
            | "RandomUniform"
            | "RandomUniformLike"
    )
}

/// What an operator makes or takes that is no tensor, and so cannot cross a boundary.
pub(crate) fn kind_beyond_tensors(domain: &str, op: &str) -> Option<&'static str> {
    match (domain, op) {
        (
            "",
            "ConcatFromSequence" | "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase",
        ) => Some("sequence"),
        ("", "SequenceInsert" | "SequenceLength" | "SequenceMap" | "SplitToSequence") => Some("sequence"),
        ("", "Optional" | "OptionalGetElement" | "OptionalHasElement") => Some("optional"),
        ("ai.onnx.ml", "CastMap" | "DictVectorizer" | "ZipMap") => Some("map"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [AI_ONNX, AI_ONNX_ML] {
            assert!(table.is_sorted_by(|a, b| a.name < b.name));
            assert!(table.iter().all(|op| op.since.is_sorted() && !op.since.is_empty()));
        }
    }

    #[test]
    fn standings() {
        for (domain, op, opset, wanted) in [
            ("", "Conv", 7, Standing::Since(1)),
            ("", "Conv", 13, Standing::Since(11)),
            ("", "Gelu", 13, Standing::NotBefore(20)),
            ("", "Upsample", 9, Standing::Since(9)),
            ("", "Upsample", 13, Standing::Removed(10)),
            ("", "Convolution", 13, Standing::Unknown),
            ("ai.onnx.ml", "TreeEnsembleClassifier", 3, Standing::Since(3)),
            ("com.microsoft", "FusedConv", 1, Standing::Foreign),
        ] {
            assert_eq!(standing(domain, op, opset), wanted, "{op} at {opset}");
        }
    }

    #[test]
    fn ir_versions() {
        for (opset, wanted) in
            [(7, 4), (9, 4), (13, 7), (15, 8), (21, 10), (1000, AI_ONNX_IR[AI_ONNX_IR.len() - 1])]
        {
            assert_eq!(ir_version(opset), wanted, "opset {opset}");
        }
    }
}
