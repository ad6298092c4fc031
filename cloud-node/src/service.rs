//! What the cloud node does with a request: check it before its payload is
//! read, run the tail, answer with how long each stage took.

use crate::metrics::Metrics;
use crate::profiles;
use kerf_bundle::Coding;
use kerf_identity::PeerIdentity;
use kerf_serving::{
    Admission, Compute, ComputeError, EarlyDecoder, Models, Permit, ProfileFolder, Served, Shipment, Tell,
};
use kerf_transport::{Begun, Handler};
use kerf_wire::{
    Answer, Arrival, Ask, Intake, Load, Reason, Refusal, Request, RequestHeader, Response, TensorHeader,
    Timings,
};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time that a request may wait, whatever its sender says.
const LONGEST: Duration = Duration::from_secs(3600);

/// What answers requests.
pub(crate) struct Service {
    pub(crate) node: String,
    pub(crate) models: Models,
    pub(crate) admission: Admission,
    pub(crate) compute: Compute,
    pub(crate) metrics: Metrics,
    pub(crate) profiles: Option<ProfileFolder>,
}

/// The service, as many connections share it.
pub(crate) struct Shared(pub(crate) Arc<Service>);

impl Handler for Shared {
    fn admit(&self, _peer: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal> {
        let service = &self.0;
        let refuse = |reason, message: String| {
            service.metrics.refused(&header.model, &reason);
            Err(Refusal { id: header.id, node: service.node.clone(), reason, message })
        };
        let Some(served) = service.models.find(&header.model) else {
            return refuse(Reason::ModelMissing, format!("this node has no model '{}'", header.model));
        };
        if served.digest != header.digest {
            let message = format!("this node has another version of model '{}'", header.model);
            return refuse(Reason::DigestMismatch { have: served.digest }, message);
        }
        if header.ask == Ask::Profiles && header.payload() > kerf_profile::MAX_BYTES as u64 {
            return refuse(Reason::BadRequest, "the profile is too large".to_owned());
        }
        let unknown = |it: &TensorHeader| served.codecs.check(header.boundary, &it.name, it.codec).err();
        if let Some(error) = header.tensors.iter().find_map(unknown) {
            return refuse(Reason::Unsupported, error.to_string());
        }
        if usize::from(header.boundary) >= served.last() {
            let message =
                format!("boundary b{} is not before the last one, b{}", header.boundary, served.last());
            return refuse(Reason::BadRequest, message);
        }
        if service.admission.in_flight() >= service.admission.capacity() {
            let message = format!("{} requests are in flight already", service.admission.capacity());
            return refuse(Reason::Overloaded, message);
        }
        Ok(())
    }

    fn begin(&self, peer: &PeerIdentity, header: &RequestHeader) -> Option<Box<dyn Begun>> {
        if header.ask != Ask::Finish {
            return None;
        }
        let decoder = self.0.decoder(&header.model, header.boundary)?;
        let has_large = decoder.wants(&header.tensors);
        let peer = peer.to_string();
        has_large
            .then(|| Box::new(Arriving { service: Arc::clone(&self.0), peer, decoder }) as Box<dyn Begun>)
    }

    fn handle(
        &self,
        peer: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let service = Arc::clone(&self.0);
        if request.ask == Ask::Profiles {
            return Box::pin(profiles::exchange(service, peer.name.clone(), request, arrival));
        }
        let peer = peer.to_string();
        Box::pin(async move {
            // Known, since the header was admitted; else the request is refused for it.
            let decoder = service.decoder(&request.model, request.boundary);
            service.answer(peer, request, arrival, decoder).await
        })
    }
}

/// A request with large tensors, which are decoded while they come.
struct Arriving {
    service: Arc<Service>,
    peer: String,
    decoder: EarlyDecoder,
}

impl Begun for Arriving {
    fn intake(&mut self) -> &mut dyn Intake {
        &mut self.decoder
    }

    fn handle(
        self: Box<Self>,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let Self { service, peer, decoder } = *self;
        Box::pin(async move { service.answer(peer, request, arrival, Some(decoder)).await })
    }
}

impl Service {
    /// What decodes the tensors of a boundary, where there is such a model.
    fn decoder(&self, model: &str, boundary: u16) -> Option<EarlyDecoder> {
        let served = self.models.find(model)?;
        Some(EarlyDecoder::new(Arc::clone(served), boundary, self.compute.clone()))
    }

    async fn answer(
        &self,
        peer: String,
        request: Request,
        arrival: Arrival,
        decoder: Option<EarlyDecoder>,
    ) -> Response {
        let (id, model) = (request.id, request.model.clone());
        let started = Instant::now();
        let outcome = match (self.admission.enter(), decoder) {
            (Some(permit), Some(decoder)) => self.finish(permit, request, arrival, decoder, started).await,
            (Some(_), None) => Err((Reason::ModelMissing, format!("this node has no model '{model}'"))),
            (None, _) => Err((Reason::Overloaded, "no place is free".to_owned())),
        };
        match outcome {
            Ok(answer) => {
                self.metrics.answered(&model, &answer.timings);
                tracing::debug!(%id, model, peer, total_us = answer.timings.total.as_micros(), "answered");
                Response::Answer(answer)
            }
            Err((reason, message)) => {
                self.metrics.refused(&model, &reason);
                tracing::info!(%id, model, peer, message, "refused");
                Response::Refusal(Refusal { id, node: self.node.clone(), reason, message })
            }
        }
    }

    async fn finish(
        &self,
        _permit: Permit,
        request: Request,
        arrival: Arrival,
        decoder: EarlyDecoder,
        started: Instant,
    ) -> Result<Answer, (Reason, String)> {
        let served = Arc::clone(decoder.served());
        let boundary = usize::from(request.boundary);
        let wanted = wanted(&served, request.outputs)?;
        let (tensors, reply) = (request.tensors, request.reply);

        let run = move |served: &Served| -> Result<_, (Reason, String)> {
            let decoding = Instant::now();
            let tensors = decoder.finish(tensors).map_err(|error| (Reason::BadRequest, error.to_string()))?;
            let mut values =
                served.accept(boundary, tensors).map_err(|error| (Reason::BadRequest, error.to_string()))?;
            served.decode(&mut values).map_err(|error| (Reason::BadRequest, error.to_string()))?;
            let decode = decoding.elapsed();
            let run = served
                .runner
                .run(boundary, served.last(), &mut values)
                .map_err(|error| (Reason::Failed, error.to_string()))?;
            let tensors =
                served.outputs(&wanted, &values).map_err(|error| (Reason::BadRequest, error.to_string()))?;
            Ok((tensors, run.engine.to_owned(), [decode, run.elapsed]))
        };
        let work = move |tell: Tell<Result<_, _>>| match run(&served) {
            Err(refused) => tell.tell(Err(refused)),
            Ok((tensors, engine, [decode, compute])) => {
                let encoding = Instant::now();
                // A codec that this node does not know leaves the outputs as they are.
                let reply = Coding::from_number(reply).unwrap_or(Coding::RAW);
                let ready = |shipment: Shipment| {
                    let encode = if reply == Coding::RAW { Duration::ZERO } else { encoding.elapsed() };
                    tell.tell(Ok((shipment.tensors, engine, [decode, compute, encode])));
                };
                served.codecs.encode_ahead(served.last() as u16, tensors, reply, ready);
            }
        };
        // A request never waits longer than its sender does, and no peer makes it wait for days.
        let deadline = started + request.deadline.min(LONGEST);
        let done = self.compute.run_until_told(deadline, work).await.map_err(|error| match error {
            ComputeError::Deadline { .. } => (Reason::DeadlinePassed, error.to_string()),
            ComputeError::Stopped(reason) => (Reason::Failed, reason),
        })?;
        let (tensors, engine, [decode, compute, encode]) = done.value?;
        Ok(Answer {
            id: request.id,
            node: self.node.clone(),
            engine,
            tensors,
            timings: Timings { queue: done.queued, decode, compute, encode, total: started.elapsed() },
            load: Load { queued: self.compute.waiting() as u32, running: self.compute.running() as u32 },
            arrival,
        })
    }
}

/// The outputs to answer with: those asked for, or all.
fn wanted(served: &Served, asked: Vec<String>) -> Result<Vec<String>, (Reason, String)> {
    let outputs = served.model.model().outputs();
    if asked.is_empty() {
        return Ok(outputs.iter().map(|spec| spec.name.clone()).collect());
    }
    match asked.iter().find(|name| outputs.iter().all(|spec| spec.name != **name)) {
        Some(name) => Err((Reason::BadRequest, format!("model '{}' has no output '{name}'", served.name))),
        None => Ok(asked),
    }
}
