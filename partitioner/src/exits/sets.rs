//! Which inputs do what.

use crate::cli::ExitsFitArgs;
use crate::print::progress;
use anyhow::{Context, bail};
use kerf_agreement::Labels;
use kerf_bundle::{Card, Digest, sha256};
use kerf_exits::{Promise, required};
use kerf_exits_fit::Views;
use kerf_inputs::Generator;
use kerf_samples::{Half, Reader, Samples};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Fewer inputs teach a head nothing.
const FEWEST: usize = 128;
/// Views are added until there are so many rows, and no more than so many.
const ENOUGH: usize = 40_000;
const MOST_VIEWS: usize = 8;
/// Thirds of a calibration set, quarters of inputs that have to do for everything.
const SPLITS: u64 = 8;

/// Folders of inputs, each opened once, and which of their inputs do what.
pub(crate) struct Sets {
    folders: Vec<Folder>,
    pub(crate) fit: Set,
    pub(crate) tune: Set,
    pub(crate) calibrate: Set,
    /// Empty where there is none.
    pub(crate) report: Set,
    /// Whether every input has a label.
    pub(crate) is_labelled: bool,
    /// Other views of the images that heads are fitted to.
    pub(crate) views: Option<Views>,
    /// How many views there are of each, the first of which is the image as it is.
    pub(crate) count: usize,
}

struct Folder {
    samples: Samples,
    labels: Option<Labels>,
    card: Card,
}

/// Inputs of one folder, by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    folder: usize,
    pub(crate) rows: Vec<usize>,
}

impl Sets {
    pub(crate) fn read(args: &ExitsFitArgs, card: &Card, generator: &Generator<'_>) -> anyhow::Result<Self> {
        apart(&[args.inputs.as_ref(), args.calibrate.as_ref(), args.report.as_ref()])?;
        let given = args.labels.as_deref().map(labels).transpose()?;
        let mut folders = Vec::new();
        let mut open = |path: &Path| -> anyhow::Result<(usize, Vec<String>)> {
            let samples = Samples::open(path)?;
            Reader::new(&samples, card, generator)?;
            let labels = match &given {
                Some(labels) => Some(labels.clone()),
                None => samples.labels()?,
            };
            let names = samples.names().map(str::to_owned).collect();
            folders.push(Folder { samples, labels, card: card.clone() });
            Ok((folders.len() - 1, names))
        };
        // Of a set of its own a third proposes; else half of the inputs fits, a sixth proposes.
        let alone = (0.0, 1.0 / 3.0);
        let (mut fit, (at, others), (fits, proposes)) = match (&args.inputs, &args.calibrate) {
            (None, Some(path)) => (Set::default(), open(path)?, alone),
            (Some(path), None) => {
                let (folder, names) = open(path)?;
                (Set { folder, rows: Vec::new() }, (folder, names), (0.5, 2.0 / 3.0))
            }
            (Some(path), Some(calibrate)) => {
                let (folder, names) = open(path)?;
                (Set { folder, rows: (0..names.len()).collect() }, open(calibrate)?, alone)
            }
            (None, None) => {
                bail!("--calibrate: declared exits are not fitted, but their promise is tested on inputs")
            }
        };
        let (mut tune, mut calibrate) = (Set { folder: at, rows: vec![] }, Set { folder: at, rows: vec![] });
        let mut fitted = Vec::new();
        for (row, name) in others.iter().enumerate() {
            match lot(name, args.seed) {
                lot if lot < fits => fitted.push(row),
                lot if lot < proposes => tune.rows.push(row),
                _ => calibrate.rows.push(row),
            }
        }
        if fits > 0.0 {
            fit.rows = fitted;
        }
        let report = match &args.report {
            Some(path) => {
                let (folder, names) = open(path)?;
                Set { folder, rows: (0..names.len()).collect() }
            }
            None => Set::default(),
        };
        if let Some(path) = args.inputs.as_ref().filter(|_| fit.rows.len() < FEWEST) {
            bail!(
                "{}: {} inputs to fit heads to are too few; {FEWEST} are needed at least, and thousands are better",
                path.display(),
                fit.rows.len()
            );
        }
        let mut views = card.inputs.iter().filter_map(|input| Views::new(input, args.seed));
        let views = views.next().filter(|_| args.fits() && card.inputs.len() == 1 && args.views != Some(1));
        let count = match (&views, args.views) {
            (None, _) => 1,
            (Some(_), Some(views)) => views,
            (Some(_), None) => (ENOUGH / fit.rows.len().max(1)).clamp(1, MOST_VIEWS),
        };
        let mut sets = Self { folders, fit, tune, calibrate, report, is_labelled: false, views, count };
        let is_labelled = sets.all().all(|set| sets.labels(set).is_some());
        sets.is_labelled = is_labelled;
        if args.labelled && !sets.is_labelled {
            bail!(
                "--labelled: not every input has a label; give --labels FILE, or labels.tsv beside the inputs"
            );
        }
        Ok(sets)
    }

    /// Leaves out inputs that are there before under another name, in this order: what heads were fitted to, what
    /// proposes, what tests, what is reported on. One that was fitted to tests nothing, and one that is there twice
    /// is one test. How many were left out, in words.
    pub(crate) fn leave_out_copies(&mut self, generator: &Generator<'_>) -> anyhow::Result<Option<String>> {
        let (mut seen, mut left_out) = (HashSet::new(), 0);
        let all = self.all().map(|set| set.rows.len() as u64).sum();
        let bar = progress(all, "copies");
        let mut kept = Vec::new();
        for set in [&self.fit, &self.tune, &self.calibrate, &self.report] {
            let mut rows = Vec::new();
            if !set.rows.is_empty() {
                let digests = digests(&self.reader(set, generator)?, &set.rows, &bar)?;
                let is_new = |(row, digest): (&usize, Digest)| seen.insert(digest).then_some(*row);
                rows.extend(set.rows.iter().zip(digests).filter_map(is_new));
                left_out += set.rows.len() - rows.len();
            }
            kept.push(rows);
        }
        bar.finish_and_clear();
        for (set, rows) in
            [&mut self.fit, &mut self.tune, &mut self.calibrate, &mut self.report].into_iter().zip(kept)
        {
            set.rows = rows;
        }
        Ok((left_out > 0)
            .then(|| format!("{left_out} inputs are copies of others under another name: each counts once")))
    }

    /// Refuses at once what calibration could never show.
    pub(crate) fn enough(&self, promise: &Promise) -> anyhow::Result<()> {
        let (needed, there) = (required(promise), self.calibrate.rows.len());
        if (there as u64) < needed {
            bail!(
                "a promise of {promise} needs {needed} calibration inputs without a single error, there are {there} \
                 (of {} inputs in all); give more, with --calibrate DIR perhaps, or promise less with --risk and \
                 --confidence",
                self.all().map(|set| set.rows.len()).sum::<usize>()
            );
        }
        Ok(())
    }

    /// Of everything that is looked at, views included.
    pub(crate) fn rows(&self) -> usize {
        self.all().map(|set| set.rows.len()).sum::<usize>() + self.fit.rows.len() * (self.count - 1)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        [&self.fit, &self.tune, &self.calibrate, &self.report].into_iter().filter(|set| !set.rows.is_empty())
    }

    /// Reads the inputs of a set.
    pub(crate) fn reader<'a>(
        &'a self,
        set: &Set,
        generator: &'a Generator<'a>,
    ) -> anyhow::Result<Reader<'a>> {
        let Folder { samples, card, .. } = &self.folders[set.folder];
        Ok(Reader::new(samples, card, generator)?)
    }

    /// The labels of a set, if each input has one.
    pub(crate) fn labels(&self, set: &Set) -> Option<Vec<u32>> {
        let Folder { samples, labels, .. } = self.folders.get(set.folder)?;
        let names: Vec<&str> = samples.names().collect();
        let labels = labels.as_ref()?;
        set.rows.iter().map(|row| labels.class(names.get(*row)?)).collect()
    }

    /// The folder of a set, for people.
    pub(crate) fn said(&self, set: &Set) -> String {
        if set.rows.is_empty() {
            return "nothing".to_owned();
        }
        let folder = self.folders.get(set.folder).map(|folder| folder.samples.path().display().to_string());
        format!("{} of {}", set.rows.len(), folder.unwrap_or_default())
    }
}

/// What tells the inputs of rows apart, as the model gets them; on all processors.
fn digests(reader: &Reader<'_>, rows: &[usize], bar: &indicatif::ProgressBar) -> anyhow::Result<Vec<Digest>> {
    let digest = |row: &usize| -> anyhow::Result<Digest> {
        let mut bytes = Vec::new();
        for input in reader.read(*row)?.inputs {
            bytes.extend(format!("{} {:?} ", input.name, input.tensor.shape()).into_bytes());
            bytes.extend_from_slice(input.tensor.data());
        }
        bar.inc(1);
        Ok(sha256(&bytes))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<anyhow::Result<Vec<Digest>>> = std::thread::scope(|scope| {
        let parts = rows.chunks(rows.len().div_ceil(threads).max(1));
        let started: Vec<_> = parts.map(|part| scope.spawn(|| part.iter().map(digest).collect())).collect();
        let gone = |_| Err(anyhow::anyhow!("an input ended its thread"));
        started.into_iter().map(|part| part.join().unwrap_or_else(gone)).collect()
    });
    Ok(parts.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// A number from 0 to 1 that a name always gets: as with halves, no release moves an input.
fn lot(name: &str, seed: u64) -> f64 {
    let bits = (0..SPLITS).map(|bit| Half::of(name, seed.wrapping_mul(SPLITS).wrapping_add(bit)));
    let number = bits.fold(0u32, |number, half| number * 2 + u32::from(half == Half::HeldOut));
    f64::from(number) / f64::from(1u32 << SPLITS)
}

/// Refuses a folder that is given twice, or lies in another one: what was fitted on tests no promise.
fn apart(paths: &[Option<&PathBuf>]) -> anyhow::Result<()> {
    let real = |path: &&PathBuf| path.canonicalize().with_context(|| path.display().to_string());
    let real = paths.iter().flatten().map(real).collect::<anyhow::Result<Vec<_>>>()?;
    for (at, one) in real.iter().enumerate() {
        if let Some(other) =
            real[at + 1..].iter().find(|other| one.starts_with(other) || other.starts_with(one))
        {
            bail!(
                "{} and {} share inputs: those that heads are fitted to, those that test the promise and those \
                 that are reported on have to be others",
                one.display(),
                other.display()
            );
        }
    }
    Ok(())
}

fn labels(path: &Path) -> anyhow::Result<Labels> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Labels::parse(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_even_and_stay() {
        let lots: Vec<f64> = (0..6000).map(|index| lot(&format!("{index:05}.png"), 0)).collect();
        // Four standard deviations are 155 and 146.
        for (below, count) in [(0.5, 3000.0), (1.0 / 3.0, 2016.0)] {
            let found = lots.iter().filter(|lot| **lot < below).count() as f64;
            assert!((found - count).abs() < 155.0, "{found} below {below}");
        }
        assert_eq!(lot("a.png", 0), lot("a.png", 0));
        assert_ne!(
            lots[..64],
            (0..64).map(|index| lot(&format!("{index:05}.png"), 1)).collect::<Vec<_>>()[..]
        );
    }
}
