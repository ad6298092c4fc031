//! The measuring itself.

use crate::resident::{Ready, Resident};
use crate::samples::{Drift, Record, Sample, error_of_median, quantile, sorted};
use crate::schedule::{Range, Schedule, Visit, Visited, WARM_UP, enough};
use crate::{MeasureError, Meter, Options, Progress, Report, Subject, can_continue, device};
use kerf_engine::{RunError, SegmentId, Values};
use kerf_profile::{EngineUsed, FORMAT, Failure, Place, Profile};
use kerf_tensor::{NamedTensor, Tensor};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Share of the time that may go to runs of the whole model.
const REFERENCE_SHARE: f64 = 0.07;
/// Seconds between two of them at least.
const REFERENCE_EVERY: f64 = 0.15;

pub(crate) struct Session<'a, 'm> {
    subject: &'a Subject<'a>,
    start: Instant,
    resident: Resident<'a>,
    /// What stands in where the first engine refuses a head whose tensors are needed.
    others: Vec<Resident<'a>>,
    meter: Option<&'m mut dyn Meter>,
    drift: Drift,
    /// When the whole model ran last, and how long it takes.
    reference: Option<(f64, f64)>,
    records: BTreeMap<Range, Record>,
    failed: BTreeMap<Range, String>,
    /// Tensors at boundaries, of one batch size at a time.
    values: (usize, BTreeMap<usize, Values>),
    template: Profile,
}

impl<'a, 'm> Session<'a, 'm> {
    pub(crate) fn new(
        subject: &'a Subject<'a>,
        options: &Options,
        earlier: Option<Profile>,
        meter: Option<&'m mut dyn Meter>,
    ) -> Result<Self, MeasureError> {
        let mut residents =
            subject.engines.iter().map(|engine| Resident::new(subject.model, engine.clone(), options.memory));
        let resident = residents.next().ok_or(MeasureError::NoEngine)?;
        let others = residents.collect();
        if let Some(earlier) = &earlier {
            can_continue(earlier, subject)?;
        }
        let mut template = earlier.unwrap_or_else(|| blank(subject));
        let records = std::mem::take(&mut template.ranges).into_iter().map(|range| {
            let key = Range { from: range.from, to: range.to, batch: range.batch };
            (key, Record::of(range))
        });
        let failed = std::mem::take(&mut template.failed).into_iter();
        let failed = failed.map(|f| (Range { from: f.from, to: f.to, batch: f.batch }, f.reason));
        Ok(Self {
            subject,
            start: Instant::now(),
            resident,
            others,
            meter,
            drift: Drift::continuing(template.reference.take()),
            reference: None,
            records: records.collect(),
            failed: failed.collect(),
            values: (1, BTreeMap::new()),
            template,
        })
    }

    /// Tells the schedule what an earlier measurement found.
    pub(crate) fn known(&self, schedule: &mut Schedule) {
        for (range, record) in &self.records {
            let Some(figures) = record.figures(*range, &self.drift) else { continue };
            let error = 1.253 * figures.sd / figures.mean / (figures.runs as f64).sqrt();
            let found = Visited { compile: figures.compile, run: figures.p50, error };
            schedule.known(*range, figures.rounds as u32, found);
        }
        self.failed.keys().for_each(|range| schedule.failed(*range));
    }

    /// Visits what the schedule says until that ends or `report` stops it.
    pub(crate) fn run(
        &mut self,
        schedule: &mut Schedule,
        report: &mut Report<'_>,
    ) -> Result<(), MeasureError> {
        while let Some(visit) = schedule.next(self.now()) {
            if schedule.asks_for_order() {
                schedule.set_order(&kerf_profile::order(&self.profile(), 1));
                continue;
            }
            match self.visit(visit) {
                Ok(found) => schedule.visited(visit.range, found),
                Err(VisitError::Inputs { batch, reason }) => {
                    return Err(MeasureError::Inputs { batch, reason });
                }
                Err(VisitError::Run(error)) => {
                    tracing::debug!(range = %visit.range, %error, "does not run");
                    schedule.failed(visit.range);
                    self.records.remove(&visit.range);
                    self.failed.insert(visit.range, error.to_string());
                }
            }
            let (done, of) = schedule.coverage();
            let left = Duration::from_secs_f64(schedule.left(self.now()));
            if report(&Progress { range: visit.range, done, of, left }, &|| self.profile()).is_break() {
                break;
            }
        }
        match self.records.is_empty().then(|| self.failed.values().next()).flatten() {
            Some(reason) => {
                let engine = self.subject.engines.first().map_or("", |engine| engine.name());
                Err(MeasureError::NothingRuns { engine, reason: reason.clone() })
            }
            None => Ok(()),
        }
    }

    /// The profile so far.
    pub(crate) fn profile(&self) -> Profile {
        let figures = self.records.iter().filter_map(|(range, record)| record.figures(*range, &self.drift));
        let failure = |(range, reason): (&Range, &String)| {
            let Range { from, to, batch } = *range;
            Failure { from, to, batch, reason: reason.clone() }
        };
        Profile {
            reference: self.drift.reference(),
            ranges: figures.collect(),
            failed: self.failed.iter().map(failure).collect(),
            complete: false,
            ..self.template.clone()
        }
    }

    fn visit(&mut self, Visit { range, slice }: Visit) -> Result<Visited, VisitError> {
        let (ready, compile) = self.resident.obtain(id(range)).map_err(RunError::from)?;
        let inputs = self.inputs(&ready, range.batch)?;
        self.refer(&ready)?;
        let begun = self.now();
        for _ in 0..WARM_UP {
            ready.program.run(&inputs)?;
        }
        let growth = compile.and_then(|_| ready.growth());
        let joules = self.meter.as_mut().and_then(|meter| meter.joules());
        let mut runs = Vec::new();
        let mut samples = Vec::new();
        while !enough(&runs, self.now() - begun, slice) {
            let at = self.now();
            ready.program.run(&inputs)?;
            let seconds = (self.now() - at).max(1e-9);
            runs.push(seconds);
            samples.push(Sample { at, seconds });
        }
        let used = self.meter.as_mut().and_then(|meter| meter.joules()).zip(joules);
        if let Some((_, hwm)) = device::resident() {
            self.template.peak_rss_bytes = self.template.peak_rss_bytes.max(Some(hwm));
        }
        let run = quantile(&sorted(runs.iter().copied()), 0.5);
        if range == self.whole() {
            // As one: many runs at one moment would pass for many moments.
            self.drift.push(Sample { at: begun, seconds: run });
            self.reference = Some((self.now(), run));
        }
        let record = self.records.entry(range).or_default();
        if let Some((after, before)) = used {
            record.energy = (record.energy.0 + after - before, record.energy.1 + runs.len());
        }
        if record.rounds == 0 {
            record.compile = compile.unwrap_or(0.0);
            record.peak_bytes = growth;
        }
        record.rounds += 1;
        record.resident_bytes = record.resident_bytes.max(ready.program.resident_bytes());
        record.runs.append(&mut samples);
        let all: Vec<f64> = record.runs.iter().map(|run| run.seconds / self.drift.factor(run.at)).collect();
        Ok(Visited { compile: compile.unwrap_or(0.0), run, error: error_of_median(&all) })
    }

    /// Runs the whole model if it did not run for a while: the machine's speed at this time.
    fn refer(&mut self, next: &Ready) -> Result<(), VisitError> {
        let Some((at, takes)) = self.reference else { return Ok(()) };
        let whole = self.whole();
        // Twice, since the first run finds other weights in the cache.
        let due = (2.0 * takes / REFERENCE_SHARE).max(REFERENCE_EVERY);
        if next.id == id(whole) || self.now() - at < due {
            return Ok(());
        }
        let (ready, _) = self.resident.obtain(id(whole)).map_err(RunError::from)?;
        let inputs = self.inputs(&ready, 1)?;
        ready.program.run(&inputs)?;
        let at = self.now();
        ready.program.run(&inputs)?;
        let now = self.now();
        self.drift.push(Sample { at, seconds: now - at });
        self.reference = Some((now, takes));
        Ok(())
    }

    /// What a range takes, made by running the head before it.
    fn inputs(&mut self, ready: &Ready, batch: usize) -> Result<Vec<Tensor>, VisitError> {
        if self.values.0 != batch {
            self.values = (batch, BTreeMap::new());
        }
        let from = ready.id.from;
        if !self.values.1.contains_key(&from) {
            let made = self.boundary(from, batch)?;
            self.values.1.insert(from, made);
        }
        let Some(values) = self.values.1.get(&from) else { return Ok(Vec::new()) };
        let find = |name: &String| {
            let missing = || RunError::Missing { segment: ready.id, name: name.clone() };
            values.get(name).cloned().ok_or_else(missing)
        };
        ready.inputs.iter().map(|spec| Ok(find(&spec.name)?)).collect()
    }

    fn boundary(&mut self, boundary: usize, batch: usize) -> Result<Values, VisitError> {
        let request = (self.subject.inputs)(batch).map_err(|reason| VisitError::Inputs { batch, reason })?;
        let mut values: Values = request.into_iter().collect();
        if boundary == 0 {
            return Ok(values);
        }
        let head = SegmentId { from: 0, to: boundary };
        let mut refused = None;
        for resident in std::iter::once(&mut self.resident).chain(&mut self.others) {
            let made =
                resident.obtain(head).map_err(RunError::from).and_then(|(ready, _)| ready.run(&values));
            match made {
                Ok(made) => {
                    values.extend(made);
                    // Only what a wire would carry: the rest may be large.
                    return Ok(values.boundary(self.subject.model, boundary)?.into_iter().collect());
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.map_or(VisitError::Inputs { batch, reason: "no engine".into() }, VisitError::Run))
    }

    fn whole(&self) -> Range {
        Range { from: 0, to: self.subject.model.last(), batch: 1 }
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

impl Ready {
    /// Runs on what `values` holds; its outputs by name.
    pub(crate) fn run(&self, values: &Values) -> Result<Vec<NamedTensor>, RunError> {
        let find = |name: &String| {
            let missing = || RunError::Missing { segment: self.id, name: name.clone() };
            values.get(name).cloned().ok_or_else(missing)
        };
        let inputs = self.inputs.iter().map(|spec| find(&spec.name)).collect::<Result<Vec<_>, _>>()?;
        let outputs = self.outputs.iter().zip(self.program.run(&inputs)?);
        Ok(outputs.map(|(spec, tensor)| NamedTensor { name: spec.name.clone(), tensor }).collect())
    }
}

enum VisitError {
    Inputs { batch: usize, reason: String },
    Run(RunError),
}

impl From<RunError> for VisitError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

fn id(range: Range) -> SegmentId {
    SegmentId { from: range.from, to: range.to }
}

/// A profile of nothing yet.
fn blank(subject: &Subject<'_>) -> Profile {
    let place = |boundary: &kerf_graph::Boundary| Place {
        after: boundary.after.clone(),
        macs_before: boundary.macs_before,
    };
    let engine = subject.engines.first();
    Profile {
        format: FORMAT,
        model: subject.name.to_owned(),
        digest: subject.digest.to_owned(),
        boundaries: subject.model.boundaries().iter().map(place).collect(),
        device: device(),
        engine: EngineUsed {
            name: engine.map_or_else(String::new, |engine| engine.name().to_owned()),
            version: engine.map_or_else(String::new, |engine| engine.version()),
            threads: subject.threads,
        },
        taken: OffsetDateTime::now_utc()
            .replace_nanosecond(0)
            .ok()
            .and_then(|now| now.format(&Rfc3339).ok())
            .unwrap_or_default(),
        complete: false,
        reference: None,
        peak_rss_bytes: None,
        ranges: Vec::new(),
        failed: Vec::new(),
        layers: None,
        sizes: None,
        power: None,
    }
}
