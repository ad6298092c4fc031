//! A request that has left: the cloud works, and so does the edge where that is wanted. The first
//! answer wins; the other one is cancelled.

use super::{Job, Pipeline, PipelineError, Trip};
use crate::course::{Course, Way};
use crate::models::{Fallback, Model};
use kerf_engine::Values;
use kerf_settings::RaceChoice;
use kerf_tensor::NamedTensor;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Who was first.
enum Winner {
    Cloud(Vec<NamedTensor>),
    Edge(Local),
    /// The edge, since the cloud could not.
    EdgeAlone(Local, String),
}

/// The rest of a model, run here.
#[derive(Default)]
struct Local {
    /// Where it began.
    from: usize,
    values: Values,
    engine: Option<&'static str>,
    preprocess: Duration,
    queued: Duration,
    elapsed: Duration,
}

impl Pipeline {
    /// The outputs of a request that leaves by `way` and stands at boundary `at` here.
    pub(super) async fn finish(
        &self,
        model: &Arc<Model>,
        at: usize,
        mut values: Values,
        way: Way,
        job: &Job,
        trip: &mut Trip,
    ) -> Result<Values, PipelineError> {
        let now = Instant::now();
        let begins = model.race_begins(at, &way, job.deadline, now);
        let until = begins.map_or_else(|| now + model.patience(at, job.deadline, now), |_| job.deadline);
        let kept = values.clone();
        let mut away = trip.clone();
        // A race that is for the deadline's sake does not wait for others.
        let (urgent, is_urgent) = watch::channel(model.race == RaceChoice::Deadline);
        // Who was first, and whether both worked.
        let (winner, both) = {
            let cloud = self.ship(model, &mut values, way, job, until, &mut away);
            let mut cloud = std::pin::pin!(cloud);
            let first = match begins {
                None => Some(cloud.as_mut().await),
                Some(begins) => tokio::select! {
                    biased;
                    answer = &mut cloud => Some(answer),
                    () = tokio::time::sleep_until(begins.into()) => None,
                },
            };
            match first {
                Some(Ok(outputs)) => (Ok(Winner::Cloud(outputs)), false),
                Some(Err(reason)) => (Err(reason), false),
                None => {
                    let here = self.rest(model, at, kept, job, &trip.course, &is_urgent);
                    let mut here = std::pin::pin!(here);
                    // Work that waits behind all other must not wait for too long.
                    let hurry = async {
                        tokio::time::sleep_until((now + model.patience(at, job.deadline, now)).into()).await;
                        urgent.send_replace(true);
                        std::future::pending::<Winner>().await
                    };
                    let winner = tokio::select! {
                        biased;
                        winner = hurry => winner,
                        answer = &mut cloud => match answer {
                            Ok(outputs) => Winner::Cloud(outputs),
                            Err(reason) => {
                                urgent.send_replace(true);
                                Winner::EdgeAlone(here.await?, reason)
                            }
                        },
                        local = &mut here => match local {
                            Ok(local) => Winner::Edge(local),
                            // What cannot be done here, the cloud may still do.
                            Err(error) => match cloud.await {
                                Ok(outputs) => Winner::Cloud(outputs),
                                Err(_) => return Err(error),
                            },
                        },
                    };
                    (Ok(winner), true)
                }
            }
        };
        *trip = away;
        match winner {
            Ok(Winner::Cloud(outputs)) => {
                trip.route.raced = both.then_some("cloud");
                values.extend(outputs);
                Ok(values)
            }
            Ok(Winner::Edge(local)) => {
                trip.route.raced = Some("edge");
                Ok(self.finished_here(model, local, trip))
            }
            Ok(Winner::EdgeAlone(local, reason)) => {
                self.say_fallback(model, job, reason, trip);
                Ok(self.finished_here(model, local, trip))
            }
            Err(reason) if model.fallback == Fallback::None => Err(if Instant::now() >= job.deadline {
                PipelineError::Deadline(reason)
            } else {
                PipelineError::Unavailable { model: model.served.name.clone(), reason }
            }),
            Err(reason) => {
                self.say_fallback(model, job, reason, trip);
                urgent.send_replace(true);
                let local = self.rest(model, at, values, job, &trip.course, &is_urgent).await?;
                Ok(self.finished_here(model, local, trip))
            }
        }
    }

    /// Runs the rest here, from the tensors that were kept: at once where it is `urgent`, otherwise
    /// stop by stop, behind all other work, so that little is lost when the cloud is first.
    async fn rest(
        &self,
        model: &Arc<Model>,
        at: usize,
        mut values: Values,
        job: &Job,
        course: &Course,
        urgent: &watch::Receiver<bool>,
    ) -> Result<Local, PipelineError> {
        let last = model.served.last();
        let mut local = Local { from: at, ..Local::default() };
        let mut from = at;
        while from < last || local.engine.is_none() {
            let mut urgent = urgent.clone();
            let is_urgent = *urgent.borrow_and_update();
            let becomes_urgent = async { urgent.wait_for(|urgent| *urgent).await.is_ok() };
            let place = tokio::select! {
                biased;
                true = becomes_urgent => None,
                place = self.compute.place_behind(job.deadline) => Some(place?),
            };
            let place = match place {
                Some(place) => place,
                None => self.compute.place(job.deadline).await?,
            };
            let to = if is_urgent { last } else { course.next_stop(from, last) };
            let model = Arc::clone(model);
            let work = move || -> Result<_, PipelineError> {
                let began = Instant::now();
                if from == 0 {
                    model.served.decode(&mut values)?;
                }
                let preprocess = began.elapsed();
                let run = model.served.runner.run_through(from, to, &mut values)?;
                Ok((values, run, preprocess))
            };
            let done = self.compute.run_at(place, work).await?;
            let (now, run, preprocess) = done.value?;
            values = now;
            local.engine = Some(run.engine);
            local.queued += done.queued;
            local.preprocess += preprocess;
            local.elapsed += run.elapsed;
            from = to;
        }
        Ok(Local { values, ..local })
    }

    fn say_fallback(&self, model: &Model, job: &Job, reason: String, trip: &mut Trip) {
        tracing::warn!(model = model.served.name, request = %job.id, reason, "finishing here");
        trip.route.fallback = Some(reason);
    }

    fn finished_here(&self, model: &Model, local: Local, trip: &mut Trip) -> Values {
        trip.route.node.clone_from(&self.node);
        trip.route.tail_engine = local.engine.map(str::to_owned);
        trip.timings.queue += local.queued;
        trip.timings.preprocess += local.preprocess;
        trip.timings.tail = local.elapsed;
        model.learn_tail(local.from, local.preprocess + local.elapsed);
        local.values
    }
}
