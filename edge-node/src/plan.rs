//! `split: auto`: what do requests decide by, and where would one over the expected link leave?
//!
//! The node's own profile lies in its folder; those of cloud nodes come when the nodes meet, and
//! are kept for the next start. Each that comes makes a new plan, and so do exits that become
//! stricter. Until there is one the whole model runs here.

mod choose;
mod pilots;

use crate::course::Course;
use crate::models::Model;
use crate::service::Service;
use choose::{choose, with_power};
use kerf_mesh::{AskError, NodeState, NodeStatus};
use kerf_profile::Profile;
use kerf_serving::ProfileFolder;
use kerf_settings::{ExpectedLink, PlanSettings};
use kerf_steer::MAX_NODES;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{Ask, CODEC_RAW, CodedTensor, PROFILE, Request, RequestId};
use pilots::steered;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for an exchange of profiles.
const EXCHANGE: Duration = Duration::from_secs(30);
/// Profiles change rarely and take tens of kilobytes: a link that comes and goes shall not carry
/// them each time.
const MEET_AGAIN: Duration = Duration::from_secs(600);

/// How often exits are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What the planner needs beside the models.
pub(crate) struct Planning {
    pub(crate) service: Arc<Service>,
    pub(crate) profiles: ProfileFolder,
    pub(crate) link: ExpectedLink,
    pub(crate) wish: PlanSettings,
}

impl Planning {
    /// Plans with what earlier meetings left, then again after each new one.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let mesh = &this.service.pipeline.mesh;
        this.clone().plan_all().await;
        let mut rungs = this.rungs();
        let mut changes = mesh.changes();
        let mut met: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let nodes = mesh.status().into_iter().filter(|node| node.state == NodeState::Connected);
            for node in nodes.map(|node| node.node) {
                if met.get(&node).is_none_or(|last| last.elapsed() > MEET_AGAIN) {
                    if this.clone().meet(&node).await {
                        met.insert(node, Instant::now());
                    }
                    this.clone().plan_all().await;
                }
            }
            loop {
                match tokio::time::timeout(LOOK, changes.changed()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return,
                    Err(_) if this.rungs() == rungs => {}
                    Err(_) => {
                        rungs = this.rungs();
                        this.clone().plan_all().await;
                    }
                }
            }
        }
    }

    /// How strict the exits of each model are.
    fn rungs(&self) -> Vec<Option<usize>> {
        self.planned().filter_map(|model| Some(model.exits.as_ref()?.standing().rung)).collect()
    }

    fn planned(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.service.models.values().filter(|model| model.is_planned)
    }

    /// Exchanges profiles of every planned model with a node; whether it answered.
    async fn meet(self: Arc<Self>, node: &str) -> bool {
        let mut has_answered = true;
        for model in self.planned() {
            let served = &model.served;
            let own = {
                let (this, model) = (Arc::clone(&self), Arc::clone(model));
                off_thread(move || this.profiles.own(&model.served)).await
            };
            let own = match own {
                Some(Ok(own)) => own,
                Some(Err(error)) => {
                    tracing::warn!(%error, "no profile to give");
                    None
                }
                None => None,
            };
            let request = Request {
                id: RequestId(rand::random()),
                ask: Ask::Profiles,
                model: served.name.clone(),
                digest: served.digest,
                boundary: 0,
                deadline: EXCHANGE,
                traceparent: None,
                tensors: own.as_ref().and_then(tensor).into_iter().collect(),
                outputs: Vec::new(),
                reply: CODEC_RAW,
            };
            match self.service.pipeline.mesh.ask(node, &request).await {
                Ok(answer) => {
                    let (this, model, node) = (Arc::clone(&self), Arc::clone(model), node.to_owned());
                    off_thread(move || this.learn(&model, &node, &answer.tensors)).await;
                }
                Err(error) => {
                    tracing::warn!(node, model = served.name, %error, "no profile");
                    // A node that refuses, such as one that lacks the model, has answered too.
                    has_answered &= matches!(error, AskError::Refused(_));
                }
            }
        }
        has_answered
    }

    fn learn(&self, model: &Model, node: &str, tensors: &[CodedTensor]) {
        let name = &model.served.name;
        let is_profile =
            |it: &&CodedTensor| (it.name.as_str(), it.dtype, it.codec) == (PROFILE, DType::U8, CODEC_RAW);
        let sent = tensors.iter().find(is_profile).and_then(|it| it.data.whole());
        let Some(sent) = sent else {
            return tracing::warn!(
                node,
                model = name,
                "the node has no profile; `cloud-node --profile` makes one"
            );
        };
        match self.profiles.keep(&model.served, node, sent) {
            Ok(_) => tracing::info!(node, model = name, "keeps a profile"),
            Err(error) => tracing::warn!(node, model = name, %error, "a profile of no use"),
        }
    }

    async fn plan_all(self: Arc<Self>) {
        off_thread(move || self.planned().for_each(|model| self.plan(model))).await;
    }

    fn plan(&self, model: &Model) {
        let served = &model.served;
        let name = &served.name;
        let own = match self.profiles.own(served) {
            Ok(Some(own)) => with_power(own, &self.wish),
            Ok(None) => {
                return tracing::warn!(
                    model = name,
                    "no plan: this node has no profile, `edge-node --profile` makes one; all runs here"
                );
            }
            Err(error) => return tracing::warn!(model = name, %error, "no plan: all runs here"),
        };
        let (profiled, runs) = (&own.engine.name, served.runner.preferred());
        if profiled != runs {
            return tracing::warn!(
                model = name,
                "no plan: the profile is of engine {profiled}, this node runs {runs}; `edge-node --profile` \
                 makes another; all runs here"
            );
        }
        let nodes = self.service.pipeline.mesh.status();
        let known = |(index, node): (usize, NodeStatus)| match self.profiles.of(served, &node.node) {
            Ok(profile) => Some((index, node.node, profile?)),
            Err(error) => {
                tracing::warn!(model = name, %error, "a profile of no use");
                None
            }
        };
        let clouds: Vec<_> = nodes.into_iter().enumerate().filter_map(known).take(MAX_NODES).collect();
        let choices = clouds.iter().filter_map(|(_, node, cloud)| {
            choose(model, &own, (node, cloud), &self.link, &self.wish)
                .inspect_err(|error| tracing::warn!(model = name, node, %error, "no plan"))
                .ok()
        });
        let Some(best) = choices.min_by(|a, b| a.score.total_cmp(&b.score)) else {
            return tracing::warn!(model = name, "no plan: no cloud node gave its profile yet");
        };
        let planned = model.way_from(best.split);
        let threads = self.service.pipeline.compute.width();
        let course = match steered(model, &own, &clouds, &self.link, &self.wish, (planned, threads)) {
            Ok((steered, stops)) => {
                let at: Vec<String> = stops.boundaries.iter().map(|stop| format!("b{stop}")).collect();
                let lost = format!("{:.1}%", stops.mean_regret * 100.0);
                tracing::info!(model = name, stops = at.join(" "), lost, "requests decide for themselves");
                Course::Steered(Arc::new(steered))
            }
            Err(error) => {
                tracing::warn!(model = name, %error, "requests do not decide for themselves; all follow the plan");
                Course::Fixed(planned)
            }
        };
        let said = best.said.clone();
        match model.follow(course, Some(best.said)) {
            Ok(()) => {
                tracing::info!(model = name, split = %format!("b{}", best.split), plan = said, "planned")
            }
            Err(error) => tracing::warn!(model = name, %error, "the plan cannot be followed"),
        }
    }
}

/// Reads files or compiles where that holds nobody up; `None` where it panicked.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|error| tracing::error!(%error, "planning ended")).ok()
}

fn tensor(profile: &Profile) -> Option<CodedTensor> {
    let json = profile.to_json().into_bytes();
    let tensor = Tensor::from_vec(&[json.len()], json).ok()?;
    Some(NamedTensor { name: PROFILE.to_owned(), tensor }.into())
}
