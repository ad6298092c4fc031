//! Chunks in, a message out.

mod error;

pub use error::DecodeError;

use crate::header::{AnswerHeader, TensorHeader, parse_request, parse_response};
use crate::{Answer, CodedTensor, Limits, Request, RequestHeader, RequestId, Response, ResponseHeader};
use bytes::{Buf, Bytes};

/// A [`Request`] or a [`Response`].
pub trait Message: Sized + sealed::Assemble {}

impl Message for Request {}
impl Message for Response {}

/// Reads one frame from chunks of any size.
///
/// Memory is bounded by what has arrived, not by what was announced: at any time at most
/// twice the bytes pushed, and a constant. A tensor that lies in one chunk is a slice of
/// it; others are gathered as they come, which the wait for the next chunk hides.
///
/// The first error is final: every later call returns it again.
#[derive(Debug)]
pub struct Decoder<M: Message> {
    limits: Limits,
    state: State<M::Header>,
    id: Option<RequestId>,
}

#[derive(Debug)]
enum State<H> {
    Length { bytes: [u8; 4], have: usize },
    Header { bytes: Vec<u8>, want: usize },
    Payload(Payload<H>),
    Failed(DecodeError),
}

#[derive(Debug)]
struct Payload<H> {
    header: H,
    /// Tensors that are complete.
    done: Vec<Bytes>,
    /// The start of the next one.
    partial: Vec<u8>,
}

impl<M: Message> Decoder<M> {
    /// A decoder at the start of a frame.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Length { bytes: [0; 4], have: 0 }, id: None }
    }

    /// Takes the next bytes of the frame.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), DecodeError> {
        while !chunk.is_empty() {
            if let Err(error) = self.step(&mut chunk) {
                self.state = State::Failed(error);
                break;
            }
        }
        self.failure()
    }

    /// The header, as soon as all of it is there.
    pub fn header(&self) -> Option<&M::Header> {
        match &self.state {
            State::Payload(payload) => Some(&payload.header),
            _ => None,
        }
    }

    /// Whose message it is, where that could be read; known even of some that failed.
    pub fn id(&self) -> Option<RequestId> {
        self.id
    }

    /// Whether the last byte of the frame has come.
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Payload(payload) if payload.done.len() == M::tensors(&payload.header).len())
    }

    /// The message, after the last byte.
    pub fn finish(self) -> Result<M, DecodeError> {
        self.failure()?;
        match self.state {
            State::Payload(Payload { header, done, .. }) if done.len() == M::tensors(&header).len() => {
                let mut tensors = Vec::with_capacity(done.len());
                for (described, data) in M::tensors(&header).iter().zip(done) {
                    let TensorHeader { name, dtype, shape, codec, .. } = described.clone();
                    let tensor = CodedTensor { name, dtype, shape, codec, data };
                    if let Some(Err(source)) = tensor.as_raw() {
                        return Err(DecodeError::Tensor { name: tensor.name, source });
                    }
                    tensors.push(tensor);
                }
                Ok(M::assemble(header, tensors))
            }
            _ => Err(DecodeError::Truncated),
        }
    }

    fn failure(&self) -> Result<(), DecodeError> {
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Takes something off a chunk that is not empty.
    fn step(&mut self, chunk: &mut Bytes) -> Result<(), DecodeError> {
        match &mut self.state {
            State::Length { bytes, have } => {
                let taken = chunk.len().min(bytes.len() - *have);
                chunk.copy_to_slice(&mut bytes[*have..*have + taken]);
                *have += taken;
                if *have == bytes.len() {
                    let want = u32::from_le_bytes(*bytes) as usize;
                    if want > self.limits.header {
                        return Err(DecodeError::HeaderTooLarge { bytes: want, limit: self.limits.header });
                    }
                    if want == 0 {
                        return Err(DecodeError::Kind(None));
                    }
                    self.state = State::Header { bytes: Vec::new(), want };
                }
            }
            State::Header { bytes, want } => {
                let taken = chunk.len().min(*want - bytes.len());
                bytes.extend_from_slice(&chunk.split_to(taken));
                if bytes.len() == *want {
                    let header = M::parse(bytes, &self.limits, &mut self.id)?;
                    let mut payload = Payload { header, done: Vec::new(), partial: Vec::new() };
                    payload.skip_empty(M::tensors);
                    self.state = State::Payload(payload);
                }
            }
            State::Payload(payload) => payload.take(chunk, M::tensors)?,
            State::Failed(error) => return Err(error.clone()),
        }
        Ok(())
    }
}

impl<H> Payload<H> {
    fn take(&mut self, chunk: &mut Bytes, tensors: fn(&H) -> &[TensorHeader]) -> Result<(), DecodeError> {
        // The header was checked against a limit that the target's memory, and so usize, bounds.
        let Some(want) = tensors(&self.header).get(self.done.len()).map(|tensor| tensor.bytes as usize)
        else {
            return Err(DecodeError::Trailing);
        };
        if self.partial.is_empty() && chunk.len() >= want && want >= WORTH_SHARING {
            self.done.push(chunk.split_to(want));
        } else {
            let taken = chunk.len().min(want - self.partial.len());
            make_room(&mut self.partial, taken, want);
            self.partial.extend_from_slice(&chunk.split_to(taken));
            if self.partial.len() == want {
                self.done.push(Bytes::from(std::mem::take(&mut self.partial)));
            }
        }
        self.skip_empty(tensors);
        Ok(())
    }

    /// Tensors without bytes are complete before any come.
    fn skip_empty(&mut self, tensors: fn(&H) -> &[TensorHeader]) {
        while tensors(&self.header).get(self.done.len()).is_some_and(|tensor| tensor.bytes == 0) {
            self.done.push(Bytes::new());
        }
    }
}

/// A slice keeps the whole receive buffer alive; a smaller tensor is better copied out of it.
const WORTH_SHARING: usize = 1024;

/// Doubles, but never past `want`, which the sender only claims.
fn make_room(partial: &mut Vec<u8>, more: usize, want: usize) {
    let needed = partial.len() + more;
    if needed > partial.capacity() {
        let capacity = needed.max(partial.capacity() * 2).min(want);
        partial.reserve_exact(capacity - partial.len());
    }
}

mod sealed {
    use super::*;

    pub trait Assemble {
        /// What the decoder knows of the message before its tensors' bytes are there.
        type Header: std::fmt::Debug;
        fn parse(
            header: &[u8],
            limits: &Limits,
            id: &mut Option<RequestId>,
        ) -> Result<Self::Header, DecodeError>;
        fn tensors(header: &Self::Header) -> &[TensorHeader];
        fn assemble(header: Self::Header, tensors: Vec<CodedTensor>) -> Self;
    }

    impl Assemble for Request {
        type Header = RequestHeader;

        fn parse(
            header: &[u8],
            limits: &Limits,
            id: &mut Option<RequestId>,
        ) -> Result<Self::Header, DecodeError> {
            parse_request(header, limits, id)
        }

        fn tensors(header: &Self::Header) -> &[TensorHeader] {
            &header.tensors
        }

        fn assemble(header: Self::Header, tensors: Vec<CodedTensor>) -> Self {
            let RequestHeader {
                id, ask, model, digest, boundary, deadline, traceparent, outputs, reply, ..
            } = header;
            Self { id, ask, model, digest, boundary, deadline, traceparent, tensors, outputs, reply }
        }
    }

    impl Assemble for Response {
        type Header = ResponseHeader;

        fn parse(
            header: &[u8],
            limits: &Limits,
            id: &mut Option<RequestId>,
        ) -> Result<Self::Header, DecodeError> {
            parse_response(header, limits, id)
        }

        fn tensors(header: &Self::Header) -> &[TensorHeader] {
            match header {
                ResponseHeader::Answer(answer) => &answer.tensors,
                ResponseHeader::Refusal(_) => &[],
            }
        }

        fn assemble(header: Self::Header, tensors: Vec<CodedTensor>) -> Self {
            match header {
                ResponseHeader::Answer(header) => {
                    let AnswerHeader { id, node, engine, timings, load, arrival, .. } = header;
                    Self::Answer(Answer { id, node, engine, tensors, timings, load, arrival })
                }
                ResponseHeader::Refusal(refusal) => Self::Refusal(refusal),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ask, encode_request};
    use kerf_tensor::{DType, NamedTensor, Tensor};
    use std::time::Duration;

    #[test]
    fn memory_follows_what_arrived_and_not_what_was_announced() {
        let announced = 32 << 20;
        let data = Bytes::from(vec![0; announced]);
        let request = Request {
            id: RequestId([1; 16]),
            ask: Ask::Finish,
            model: "m".into(),
            digest: [0; 32],
            boundary: 0,
            deadline: Duration::from_secs(1),
            traceparent: None,
            tensors: vec![
                NamedTensor {
                    name: "x".into(),
                    tensor: Tensor::new(DType::U8, vec![announced], data).unwrap(),
                }
                .into(),
            ],
            outputs: vec![],
            reply: crate::CODEC_RAW,
        };
        let frame = encode_request(&request, &Limits::default()).unwrap();
        let mut decoder = Decoder::<Request>::new(Limits::default());
        decoder.push(frame[0].clone()).unwrap();
        let mut pushed = 0;
        for chunk in frame[1].chunks(1200) {
            pushed += chunk.len();
            decoder.push(Bytes::copy_from_slice(chunk)).unwrap();
            if let State::Payload(payload) = &decoder.state {
                assert!(payload.partial.capacity() <= 2 * pushed);
            }
        }
        let received = decoder.finish().unwrap();
        assert_eq!(received, request);
    }
}
