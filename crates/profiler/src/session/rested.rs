//! Runs after a pause, in the way that a node runs: another thread sleeps until it is woken for each.

use super::{Session, VisitError, id};
use crate::apart::{Apart, RUNS};
use crate::resident::Ready;
use crate::samples::{Sample, quantile, sorted};
use crate::schedule::{Range, Schedule};
use crate::waits::timed;
use crate::{MeasureError, Report};
use kerf_engine::RunError;
use kerf_profile::Rest;
use kerf_tensor::Tensor;
use std::sync::mpsc;
use std::time::Instant;

/// What runs that were apart found, each in seconds.
struct Found {
    samples: Vec<Sample>,
    handovers: Vec<f64>,
}

impl Session<'_, '_> {
    /// Visits what `apart` says until that ends or `report` stops it.
    pub(crate) fn run_apart(
        &mut self,
        apart: &mut Apart,
        schedule: &Schedule,
        report: &mut Report<'_>,
    ) -> Result<(), MeasureError> {
        let all = self.failed.keys().copied().collect::<Vec<_>>();
        all.into_iter().for_each(|range| apart.failed(range));
        while let Some(range) = apart.next(self.now(), |range| self.cost_apart(range)) {
            match self.visit_apart(range) {
                Ok(()) => apart.known(range, RUNS),
                Err(VisitError::Inputs { batch, reason }) => {
                    return Err(MeasureError::Inputs { batch, reason });
                }
                // It ran before, and may be short of memory now.
                Err(VisitError::Run(error)) => {
                    tracing::debug!(%range, %error, "does not run after a pause");
                    apart.failed(range);
                }
            }
            if report(&self.progress(range, schedule, apart), &|| self.profile()).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Seconds that a visit takes.
    pub(super) fn cost_apart(&self, range: Range) -> f64 {
        let figures = self.records.get(&range).and_then(|record| record.figures(range, &self.drift));
        (RUNS + 1) as f64 * (self.pause.as_secs_f64() + figures.map_or(0.0, |figures| figures.p50))
    }

    fn visit_apart(&mut self, range: Range) -> Result<(), VisitError> {
        let (ready, compile) = self.resident.obtain(id(range)).map_err(RunError::from)?;
        let inputs = self.inputs(&ready, range.batch)?;
        self.refer(&ready)?;
        let Found { samples, handovers } = self.runs_apart(&ready, &inputs)?;
        let record = self.records.entry(range).or_default();
        if record.compile == 0.0 {
            record.compile = compile.unwrap_or(0.0);
        }
        record.apart.extend(samples);
        self.handovers.extend(handovers);
        let handover = quantile(&sorted(self.handovers.iter().copied()), 0.5);
        self.template.rest = Some(Rest { pause: self.pause.as_secs_f64(), handover });
        Ok(())
    }

    /// The first run does not count: its weights may not have been used for long.
    fn runs_apart(&self, ready: &Ready, inputs: &[Tensor]) -> Result<Found, RunError> {
        let mut found = Found { samples: Vec::new(), handovers: Vec::new() };
        std::thread::scope(|scope| {
            let (give, given) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            scope.spawn(move || {
                while given.recv().is_ok() {
                    let start = Instant::now();
                    let (result, seconds) = timed(|| ready.program.run(inputs));
                    if tell.send((result.map(|_| ()), seconds, start.elapsed())).is_err() {
                        return;
                    }
                }
            });
            for run in 0..=RUNS {
                std::thread::sleep(self.pause);
                let (at, start) = (self.now(), Instant::now());
                // The thread ends before this one only where an engine panics, which the scope tells.
                let Some((result, seconds, took)) = give.send(()).ok().and_then(|()| told.recv().ok()) else {
                    break;
                };
                let handover = start.elapsed().saturating_sub(took);
                result?;
                if run > 0 {
                    found.samples.push(Sample { at, seconds, disturbed: false });
                    found.handovers.push(handover.as_secs_f64());
                }
            }
            Ok(found)
        })
    }
}
