//! The measuring itself.

mod rested;

use crate::apart::Apart;
use crate::resident::{Ready, Resident};
use crate::samples::{Drift, Record, Sample, error_of_median, quantile, sorted};
use crate::schedule::{Range, Schedule, Visit, Visited, WARM_UP, enough};
use crate::waits::{Waits, without};
use crate::{MeasureError, Meter, Options, Progress, Report, Subject, can_continue, device};
use kerf_engine::{RunError, SegmentId, Values};
use kerf_profile::{EngineUsed, FORMAT, Failure, Place, Profile};
use kerf_tensor::{NamedTensor, Tensor};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Share of the time that may go to runs of the whole model.
const REFERENCE_SHARE: f64 = 0.15;
/// Seconds between two of them at least.
const REFERENCE_EVERY: f64 = 0.15;
/// Seconds that the first range of all is run before it is timed: processors and memory wake up.
const FIRST_WARM_UP: f64 = 0.3;
/// Share of a run for which others of this process's threads may wait for a processor.
const DISTURBED: f64 = 0.02;

pub(crate) struct Session<'a, 'm> {
    subject: &'a Subject<'a>,
    start: Instant,
    resident: Resident<'a>,
    /// What stands in where the first engine refuses a head whose tensors are needed.
    others: Vec<Resident<'a>>,
    meter: Option<&'m mut dyn Meter>,
    waits: Waits,
    pause: Duration,
    /// Seconds that it took to wake a thread, each time.
    handovers: Vec<f64>,
    drift: Drift,
    /// When the whole model ran last, and how long it takes.
    reference: Option<(f64, f64)>,
    records: BTreeMap<Range, Record>,
    failed: BTreeMap<Range, String>,
    /// Tensors by batch size and boundary: those of one size at a time, and all inputs.
    values: BTreeMap<(usize, usize), Values>,
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
        if template.rest.is_some_and(|rest| rest.pause != options.pause.as_secs_f64()) {
            template.rest = None;
            template.ranges.iter_mut().for_each(|range| range.rested = None);
        }
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
            waits: Waits::new(),
            pause: options.pause,
            handovers: Vec::new(),
            drift: Drift::continuing(template.reference.take()),
            reference: None,
            records: records.collect(),
            failed: failed.collect(),
            values: BTreeMap::new(),
            template,
        })
    }

    /// Tells the schedules what an earlier measurement found.
    pub(crate) fn known(&self, schedule: &mut Schedule, apart: &mut Apart) {
        for (range, record) in &self.records {
            let Some(figures) = record.figures(*range, &self.drift) else { continue };
            let error = 1.253 * figures.sd / figures.mean / (figures.runs as f64).sqrt();
            let found = Visited { compile: figures.compile, run: figures.p50, error };
            schedule.known(*range, figures.rounds as u32, found);
            apart.known(*range, figures.rested.map_or(0, |rested| rested.runs));
        }
        for range in self.failed.keys() {
            schedule.failed(*range);
            apart.failed(*range);
        }
    }

    /// Visits what the schedule says until that ends or `report` stops it; what is timed `apart` comes
    /// after it.
    pub(crate) fn run(
        &mut self,
        schedule: &mut Schedule,
        apart: &Apart,
        report: &mut Report<'_>,
    ) -> Result<ControlFlow<()>, MeasureError> {
        let mut flow = ControlFlow::Continue(());
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
            flow = report(&self.progress(visit.range, schedule, apart), &|| self.profile());
            if flow.is_break() {
                break;
            }
        }
        match self.records.is_empty().then(|| self.failed.values().next()).flatten() {
            Some(reason) => {
                let engine = self.subject.engines.first().map_or("", |engine| engine.name());
                Err(MeasureError::NothingRuns { engine, reason: reason.clone() })
            }
            None => Ok(flow),
        }
    }

    fn progress(&self, range: Range, schedule: &Schedule, apart: &Apart) -> Progress {
        let now = self.now();
        let ((done, of), (rested, to_rest)) = (schedule.coverage(), apart.coverage());
        let left = schedule.left(now) + apart.left(now, |range| self.cost_apart(range));
        let left = Duration::try_from_secs_f64(left).unwrap_or_default();
        Progress { range, done: done + rested, of: of + to_rest, left }
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
        let least = if self.reference.is_none() { FIRST_WARM_UP } else { 0.0 };
        let mut warm = 0;
        while warm < WARM_UP || self.now() - begun < least {
            ready.program.run(&inputs)?;
            warm += 1;
        }
        let begun = self.now();
        // Engines start threads when they are first used.
        self.waits = Waits::new();
        let growth = compile.and_then(|_| ready.growth());
        let joules = self.meter.as_mut().and_then(|meter| meter.joules());
        let mut runs = Vec::new();
        let mut samples = Vec::new();
        while !enough(&runs, self.now() - begun, slice) {
            let sample = self.time(&ready, &inputs)?;
            runs.push(sample.seconds);
            samples.push(sample);
        }
        let used = self.meter.as_mut().and_then(|meter| meter.joules()).zip(joules);
        if let Some((_, hwm)) = device::resident() {
            self.template.peak_rss_bytes = self.template.peak_rss_bytes.max(Some(hwm));
        }
        let run = quantile(&sorted(runs.iter().copied()), 0.5);
        if range == self.whole() {
            // As one: many runs at one moment would pass for many moments.
            self.drift.push(Sample { at: begun, seconds: run, disturbed: false });
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
        let all: Vec<f64> = record.counted().map(|run| run.seconds / self.drift.factor(run.at)).collect();
        Ok(Visited { compile: compile.unwrap_or(0.0), run, error: error_of_median(&all) })
    }

    /// Runs the whole model if it did not run for a while: the machine's speed at this time.
    fn refer(&mut self, next: &Ready) -> Result<(), VisitError> {
        let whole = self.whole();
        let is_due = match self.reference {
            // Twice, since the first run finds other weights in the cache.
            Some((at, takes)) => self.now() - at >= (2.0 * takes / REFERENCE_SHARE).max(REFERENCE_EVERY),
            // A measurement that is continued knows the whole's time without having run it.
            None => self.records.contains_key(&whole) || self.drift.reference().is_some(),
        };
        if !is_due || next.id == id(whole) || self.failed.contains_key(&whole) {
            return Ok(());
        }
        let (ready, _) = self.resident.obtain(id(whole)).map_err(RunError::from)?;
        let inputs = self.inputs(&ready, 1)?;
        for _ in 0..if self.reference.is_none() { WARM_UP } else { 1 } {
            ready.program.run(&inputs)?;
        }
        let sample = self.time(&ready, &inputs)?;
        self.reference = Some((self.now(), sample.seconds));
        self.drift.push(sample);
        Ok(())
    }

    /// Runs once; what the measuring thread waited for a processor does not count.
    fn time(&self, ready: &Ready, inputs: &[Tensor]) -> Result<Sample, RunError> {
        let (before, at, start) = (self.waits.read(), self.now(), Instant::now());
        ready.program.run(inputs)?;
        let (took, after) = (start.elapsed(), self.waits.read());
        let disturbed = after.others - before.others > DISTURBED * took.as_secs_f64();
        Ok(Sample { at, seconds: without(took, after.own - before.own), disturbed })
    }

    /// What a range takes, made by running the head before it.
    fn inputs(&mut self, ready: &Ready, batch: usize) -> Result<Vec<Tensor>, VisitError> {
        let from = ready.id.from;
        if !self.values.contains_key(&(batch, from)) {
            self.values.retain(|(size, boundary), _| *size == batch || *boundary == 0);
            let made = self.boundary(from, batch)?;
            self.values.insert((batch, from), made);
        }
        let Some(values) = self.values.get(&(batch, from)) else { return Ok(Vec::new()) };
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
        rest: None,
        peak_rss_bytes: None,
        ranges: Vec::new(),
        failed: Vec::new(),
        layers: None,
        sizes: None,
        power: None,
    }
}
