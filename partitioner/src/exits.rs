//! Early exits for a model that is packed: heads from unlabelled inputs, thresholds that keep a promise.
//!
//! Four sets of inputs that share none: heads are *fitted* to the first, thresholds *proposed* on the
//! second, the promise *tested* on the third, and what it comes to *reported* on the fourth, where there
//! is one. What is written is tested with the heads as engines run them.

mod cache;
mod candidates;
mod collect;
mod declared;
mod heads;
mod judge;
mod page;
mod report;
mod route;
mod sets;
mod table;
mod written;

use crate::cli::{ExitsArgs, ExitsCommand, ExitsFitArgs, ExitsRemoveArgs};
use crate::inputs::generator;
use crate::plan::Ground;
use crate::print::{Outcome, Paint, emit, emit_json, progress, warn};
use crate::{engines, source};
use anyhow::{Context, bail};
use cache::Cache;
use candidates::Candidates;
use collect::Collected;
use heads::Fitting;
use judge::Judged;
use kerf_exits::{Loss, Promise};
use kerf_repository::Repository;
use report::Report;
use route::Routes;
use sets::Sets;
use std::path::Path;

pub(crate) fn run(args: &ExitsArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        ExitsCommand::Fit(args) => fit(args),
        ExitsCommand::Remove(args) => remove(args),
    }
}

fn fit(args: &ExitsFitArgs) -> anyhow::Result<Outcome> {
    let loss = if args.labelled { Loss::ErrorIncrease } else { Loss::Disagreement };
    let promise = Promise::new(args.risk, args.confidence, loss)?;
    let (repository, name) = place(&args.model)?;
    let bundle = source::packed(&args.model)?;
    candidates::classifier(&bundle.model, args)?;
    let engines = engines::present(1, args.library.as_deref())?.engines;
    let generator = generator(bundle.model.model(), &[])?;
    let ground = Ground::new(&args.place, &bundle)?;
    let mut sets = Sets::read(args, &bundle.card, &generator)?;
    sets.enough(&promise)?;
    let copies = sets.leave_out_copies(&generator)?;
    sets.enough(&promise)?;
    let mut candidates = Candidates::choose(&bundle, args, sets.rows())?;
    candidates.notes.extend(copies);
    for note in &candidates.notes {
        warn(note);
    }
    let collected = Collected::run(&bundle, &engines, &sets, &mut candidates)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cache = Cache::new(&repository, &name)?;
    let heads = Fitting {
        args,
        candidates: &candidates,
        collected: &collected,
        promise: &promise,
        threads,
        views: sets.count,
        cache: &cache,
        bar: progress(candidates.fitted() as u64, "heads"),
    };
    let heads = heads.run()?;
    let routes = Routes::new(&bundle, &engines, &candidates, &heads, ground.as_ref())?;
    let judged = Judged::new(&candidates, &collected, heads, &routes, &promise)?;
    let report = Report::new(&bundle, &sets, &candidates, &collected, &judged, &promise)?;
    if let Some(path) = &args.html {
        std::fs::write(path, page::render(&report)).with_context(|| path.display().to_string())?;
    }
    let written = match judged.certified() {
        Ok(certified) if !args.dry_run => {
            let exits =
                written::exits(&bundle, &engines, &sets, (&candidates, &collected, &judged), certified)?;
            let (folder, _) = Repository::new(&repository).write_exits(&name, Some(&exits))?;
            cache.clear();
            Some(folder)
        }
        _ => None,
    };
    if args.json {
        emit_json(&report.json(written.as_deref()))?;
    } else {
        emit(&table::render(&report, written.as_deref(), Paint::detect()))?;
    }
    Ok(if judged.certified().is_ok() { Outcome::Passed } else { Outcome::Failed })
}

fn remove(args: &ExitsRemoveArgs) -> anyhow::Result<Outcome> {
    let (repository, name) = place(&args.model)?;
    if source::packed(&args.model)?.exits.is_none() {
        bail!("{} has no exits", args.model.display());
    }
    let (folder, _) = Repository::new(&repository).write_exits(&name, None)?;
    emit(&format!("removed the exits of {}\n", folder.display()))?;
    Ok(Outcome::Passed)
}

/// The repository of a model's folder, and the model's name in it.
fn place(model: &Path) -> anyhow::Result<(std::path::PathBuf, String)> {
    let folder = model.canonicalize().with_context(|| model.display().to_string())?;
    match (folder.parent(), folder.file_name().and_then(|name| name.to_str())) {
        (Some(repository), Some(name)) => Ok((repository.to_owned(), name.to_owned())),
        _ => bail!("{} is not a packed model's folder", model.display()),
    }
}
