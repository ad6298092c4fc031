//! Asks a request's course what is next.

use super::{Job, Pipeline};
use crate::course::{Course, Step};
use crate::models::Model;
use crate::steer::Asking;
use kerf_mesh::Mesh;
use kerf_serving::Compute;
use std::sync::Arc;
use std::time::Instant;

/// One request's questions.
#[derive(Clone)]
pub(super) struct Asker {
    course: Course,
    model: Arc<Model>,
    compute: Compute,
    mesh: Mesh,
    began: Instant,
    deadline: Instant,
    is_pictures: bool,
}

impl Asker {
    pub(super) fn new(
        pipeline: &Pipeline,
        model: &Arc<Model>,
        course: &Course,
        job: &Job,
        is_pictures: bool,
    ) -> Self {
        Self {
            course: course.clone(),
            model: Arc::clone(model),
            compute: pipeline.compute.clone(),
            mesh: pipeline.mesh.clone(),
            began: Instant::now(),
            deadline: job.deadline,
            is_pictures,
        }
    }

    /// What is next at boundary `at`, with the tensors of the boundaries `held`; `is_running` says
    /// that the request has a compute thread.
    pub(super) fn next(&self, at: usize, held: u64, is_running: bool) -> Step {
        let exits = self.model.exit_boundaries();
        self.with(at, held, is_running, |asking| self.course.next(asking, exits))
    }

    /// Why that is next, for people; none where it is the same for all requests.
    pub(super) fn explain(&self, at: usize, held: u64) -> Option<String> {
        let Course::Steered(steered) = &self.course else { return None };
        let codecs = &self.model.served.codecs;
        Some(self.with(at, held, false, |asking| {
            steered.explain(asking, |boundary, coding| codecs.name(boundary, coding))
        }))
    }

    fn with<T>(&self, at: usize, held: u64, is_running: bool, ask: impl FnOnce(&Asking<'_>) -> T) -> T {
        let served = &self.model.served;
        let asking = Asking {
            at,
            held,
            is_pictures: self.is_pictures,
            began: self.began,
            deadline: self.deadline,
            waiting: self.compute.waiting(),
            running: self.compute.running(),
            width: self.compute.width(),
            is_running,
            available: &self.mesh.available_nodes(&served.name, &served.digest),
        };
        ask(&asking)
    }

    /// The request came.
    pub(super) fn arrived(&self) {
        if let Course::Steered(steered) = &self.course {
            steered.arrived(self.is_pictures);
        }
    }

    /// A range ran, in one piece; with the head at its end if that was asked.
    pub(super) fn ran(&self, range: (usize, usize), with_head: bool, took: std::time::Duration) {
        if let Course::Steered(steered) = &self.course {
            steered.ran(self.is_pictures, range, with_head, took);
        }
    }
}
