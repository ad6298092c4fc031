//! Away and back: encode, call, decode.

use super::{Job, Pipeline, Trip};
use crate::course::Way;
use crate::models::{Fallback, Model};
use kerf_bundle::Coding;
use kerf_engine::Values;
use kerf_mesh::{Manner, MeshError, MeshFailure, OnSilence, Reply};
use kerf_serving::{EarlyDecoder, Shipment, Tell};
use kerf_steer::Answer as Seen;
use kerf_tensor::NamedTensor;
use kerf_transport::Source;
use kerf_wire::{Arrival, Ask, CODEC_RAW, CodedTensor, Reason, Request};
use std::sync::Arc;
use std::time::Instant;

/// What an answer shows of the link and the node.
fn seen(reply: &Reply, bytes: u64) -> Seen {
    let answer = &reply.answer;
    let arrival = |it: &Arrival| kerf_steer::Arrival {
        first_to_last: it.first_to_last.as_secs_f64(),
        bytes_after_first: it.bytes_after_first as f64,
    };
    Seen {
        elapsed: reply.elapsed.as_secs_f64(),
        queue: answer.timings.queue.as_secs_f64(),
        total: answer.timings.total.as_secs_f64(),
        bytes: bytes as f64,
        arrival: Some(arrival(&answer.arrival)),
        answer_arrival: Some(arrival(&reply.arrival)),
    }
}

impl Pipeline {
    /// Sends a boundary's tensors to the mesh, and waits for the answer `until` then; an error is the
    /// reason to finish here.
    pub(super) async fn ship(
        &self,
        model: &Arc<Model>,
        values: &mut Values,
        way: Way,
        job: &Job,
        until: Instant,
        trip: &mut Trip,
    ) -> Result<Vec<NamedTensor>, String> {
        let served = &model.served;
        if !self.mesh.available(&served.name, &served.digest) {
            return Err("no cloud node is connected that has the model".into());
        }
        let shipment = self.encode(model, values, way, job.deadline, trip).await?;
        let wanted: Vec<String> =
            job.outputs.iter().filter(|name| values.get(name).is_none()).cloned().collect();
        let mut request = Request {
            id: job.id,
            ask: Ask::Finish,
            model: served.name.clone(),
            digest: served.digest,
            boundary: way.split as u16,
            deadline: until.saturating_duration_since(Instant::now()),
            traceparent: job.traceparent.clone(),
            tensors: shipment.tensors,
            outputs: wanted,
            reply: way.back.number(),
        };
        let mut early = EarlyDecoder::new(Arc::clone(served), served.last() as u16, self.compute.clone());
        let bytes = |request: &Request| request.tensors.iter().map(|tensor| tensor.data.bytes()).sum();
        // Known again at the end, when all is encoded; the edge may be faster than that.
        trip.route.shipped = bytes(&request);
        let is_growing = request.tensors.iter().any(|tensor| tensor.data.whole().is_none());
        let expected = served.codecs.mean_bytes(way.split, way.there).filter(|_| is_growing);
        let mut flight = trip.course.begin(&way, expected.unwrap_or(trip.route.shipped as f64));
        let manner = Manner {
            // Without a fallback there is nothing better to do than to wait.
            on_silence: match model.fallback {
                Fallback::None => OnSilence::WaitOut,
                Fallback::Required | Fallback::BestEffort => OnSilence::GiveUp,
            },
            first: way.chosen.map(|chosen| chosen.node),
        };
        let called = self.mesh.call_into(&request, manner, &mut early).await;
        trip.route.shipped = bytes(&request);
        trip.route.uncoded = shipment.uncoded.reason().map(ToString::to_string);
        let mut reply = match called {
            Err(MeshError { failure: MeshFailure::Refused(no), .. })
                if no.reason == Reason::Unsupported && request.is_coded() =>
            {
                let tensors = served.shipment(way.split, values).map_err(|error| error.to_string())?;
                let plain = Shipment::raw(tensors);
                trip.route.shipped += plain.bytes();
                trip.route.codec = served.codecs.name(way.split, Coding::RAW);
                trip.route.uncoded = Some(format!("{}: {}", no.node, no.message));
                let deadline = until.saturating_duration_since(Instant::now());
                request = Request { tensors: plain.tensors, reply: CODEC_RAW, deadline, ..request };
                self.mesh.call_into(&request, manner, &mut early).await
            }
            called => called,
        }
        .map_err(|error| {
            // What a node says, or does not manage in time, is nothing that the link does.
            if let (Some(flight), true) = (flight.take(), error.source != Source::Link) {
                flight.ended();
            }
            error.to_string()
        })?;
        let coded = std::mem::take(&mut reply.answer.tensors);
        let bytes_back: u64 = coded.iter().map(|tensor| tensor.data.bytes()).sum();
        if let Some(flight) = flight {
            // Another node's answer, or one to a second request, is not what was planned for.
            let is_planned = way.chosen.is_some_and(|chosen| chosen.node == reply.index);
            match is_planned && trip.route.uncoded.is_none() && reply.attempts == 1 && !reply.again {
                true => flight.answered(&seen(&reply, bytes_back)),
                false => flight.ended(),
            }
        }
        trip.route.received = bytes_back;
        let answer = reply.answer;
        let wrong = |reason: String| format!("{} sent a wrong answer: {reason}", reply.node);
        let outputs = self.decode_answer(early, coded, job.deadline, trip).await.map_err(wrong)?;
        served.check_outputs(&request.outputs, &outputs).map_err(|reason| wrong(reason.to_string()))?;
        let spent = answer.timings;
        let stages = spent.queue + spent.decode + spent.compute + spent.encode;
        trip.timings.network = reply.network + spent.total.saturating_sub(stages);
        trip.timings.cloud_queue = answer.timings.queue;
        trip.timings.cloud_decode = answer.timings.decode;
        trip.timings.cloud_compute = answer.timings.compute;
        trip.timings.cloud_encode = answer.timings.encode;
        trip.route.node = reply.node;
        trip.route.tail_engine = Some(answer.engine);
        Ok(outputs)
    }

    /// The boundary's tensors as they will travel; large ones are still being encoded then. Pictures
    /// go as they came, unless the pixels that the model looks at are expected to take fewer bytes.
    async fn encode(
        &self,
        model: &Arc<Model>,
        values: &mut Values,
        Way { split, there, .. }: Way,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Shipment, String> {
        let served = &model.served;
        let mut tensors = served.shipment(split, values).map_err(|error| error.to_string())?;
        let mut coding = there;
        if served.has_encoded(values) {
            let came: usize = tensors.iter().map(|named| named.tensor.data().len()).sum();
            let expected = served.codecs.mean_bytes(split, there);
            if expected.is_some_and(|expected| expected < came as f64) {
                *values = self
                    .decode(model, values.clone(), deadline, trip)
                    .await
                    .map_err(|error| error.to_string())?;
                tensors = served.shipment(split, values).map_err(|error| error.to_string())?;
            } else {
                coding = Coding::RAW;
            }
        }
        let shipment = if coding == Coding::RAW {
            Shipment::raw(tensors)
        } else {
            let served = Arc::clone(served);
            let encode = move |tell: Tell<Shipment>| {
                served.codecs.encode_ahead(split as u16, tensors, coding, |shipment| tell.tell(shipment));
            };
            let done =
                self.compute.run_until_told(deadline, encode).await.map_err(|error| error.to_string())?;
            trip.timings.queue += done.queued;
            trip.timings.encode = done.elapsed;
            done.value
        };
        trip.route.codec = served.codecs.name(split, coding);
        Ok(shipment)
    }

    async fn decode_answer(
        &self,
        early: EarlyDecoder,
        tensors: Vec<CodedTensor>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Vec<NamedTensor>, String> {
        let is_coded = tensors.iter().any(|tensor| tensor.codec != CODEC_RAW);
        let decode = move || early.finish(tensors);
        if !is_coded {
            return decode().map_err(|error| error.to_string());
        }
        let done = self.compute.run(deadline, decode).await.map_err(|error| error.to_string())?;
        trip.timings.decode = done.elapsed;
        done.value.map_err(|error| error.to_string())
    }
}
