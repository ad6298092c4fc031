//! Exits that a model was made with: its earlier outputs, each as a head of its own.

use super::candidates::{Declared, classes, list};
use crate::cli::ExitsFitArgs;
use crate::source;
use anyhow::{Context, bail};
use kerf_bundle::{Bundle, ExitHead, hex, sha256};
use kerf_graph::{BranchError, Model};
use kerf_tensor::TensorSpec;

/// The outputs that are declared to be exits, each with the boundary that it starts from, in that order.
pub(super) fn read(
    bundle: &Bundle,
    args: &ExitsFitArgs,
    answer: &TensorSpec,
) -> anyhow::Result<Vec<(usize, Declared)>> {
    let whole = match &args.source {
        None => bundle.model.model().clone(),
        Some(path) => {
            let source = source::onnx(path)?;
            if hex(&sha256(&source.bytes)) != bundle.card.source.sha256 {
                bail!(
                    "--source {}: {} was packed from another file, {}",
                    path.display(),
                    bundle.card.name,
                    bundle.card.source.file
                );
            }
            source.model
        }
    };
    let mut found: Vec<(usize, Declared)> = Vec::new();
    for name in &args.declared {
        let declared = one(bundle, &whole, name, answer, args.source.is_some())
            .with_context(|| format!("--declared {name}"))?;
        if let Some((boundary, other)) = found.iter().find(|(boundary, _)| *boundary == declared.0) {
            bail!(
                "--declared: {} and {name} both start from b{boundary}, which has room for one",
                other.name
            );
        }
        found.push(declared);
    }
    found.sort_by_key(|(boundary, _)| *boundary);
    Ok(found)
}

fn one(
    bundle: &Bundle,
    whole: &Model,
    name: &str,
    answer: &TensorSpec,
    is_source: bool,
) -> anyhow::Result<(usize, Declared)> {
    if name == answer.name {
        bail!("this is the whole model's answer");
    }
    let branch = || bundle.model.branch(whole, name, answer);
    let Some(spec) = whole.outputs().iter().find(|spec| spec.name == name) else {
        let hint = match is_source {
            true => "",
            false => {
                "; where the model was packed without it, --source names the file that it was packed from"
            }
        };
        bail!("the model has no such output, but {}{hint}", list(whole.outputs()));
    };
    match (classes(spec), classes(answer)) {
        (None, _) => bail!("not a classifier's: exits need an output of scores [N, classes], this is {spec}"),
        (found, wanted) if found != wanted || spec.dtype != answer.dtype => {
            bail!("{spec} is no answer in place of {answer}: exits have the same classes and the same type")
        }
        _ => {}
    }
    let branch = branch().map_err(|error| match error {
        BranchError::NoBoundary { .. } => {
            anyhow::anyhow!("{error}; `pack --boundaries` may keep more of them")
        }
        other => other.into(),
    })?;
    let head = ExitHead::new(branch.boundary as u16, branch.model.to_onnx()?)?;
    Ok((branch.boundary, Declared { name: name.to_owned(), head, macs: branch.macs }))
}

/// What a user may not have meant.
pub(super) fn notes(bundle: &Bundle, args: &ExitsFitArgs, answer: &TensorSpec) -> Vec<String> {
    let outputs = bundle.model.model().outputs();
    let names = |is: &dyn Fn(&TensorSpec) -> bool| {
        let names: Vec<&str> =
            outputs.iter().filter(|spec| is(spec)).map(|spec| spec.name.as_str()).collect();
        names.join(",")
    };
    let computed = names(&|spec| args.declared.contains(&spec.name));
    let alike = names(&|spec| {
        spec.name != answer.name && !args.declared.contains(&spec.name) && classes(spec) == classes(answer)
    });
    let computed = (!computed.is_empty()).then(|| {
        format!(
            "the model computes {computed} itself, too, for all requests; packed with --outputs {} it would not",
            answer.name
        )
    });
    let alike = (!alike.is_empty())
        .then(|| format!("other outputs look like exits that the model was made with: --declared {alike}"));
    computed.into_iter().chain(alike).collect()
}
