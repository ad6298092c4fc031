//! Chunks in, a message out.

mod error;
mod payload;

pub use error::DecodeError;

use crate::header::{AnswerHeader, TensorHeader, parse_request, parse_response};
use crate::{
    Answer, CodedTensor, Intake, Limits, Request, RequestHeader, RequestId, Response, ResponseHeader,
};
use bytes::{Buf, Bytes};
use payload::Tensors;

/// A [`Request`] or a [`Response`].
pub trait Message: Sized + sealed::Assemble {}

impl Message for Request {}
impl Message for Response {}

/// Reads one frame from chunks of any size.
///
/// Memory is bounded by what has arrived, not by what was announced: at any time at most
/// twice the bytes pushed, and a constant. A tensor that lies in one chunk is a slice of
/// it; others are gathered as they come, which the wait for the next chunk hides. What an
/// [`Intake`] takes is not kept here, except until the next [`Self::deliver`].
///
/// The first error is final: every later call returns it again.
#[derive(Debug)]
pub struct Decoder<M: Message> {
    limits: Limits,
    state: State<M::Header>,
    id: Option<RequestId>,
    /// Whether an [`Intake`] was asked what it takes.
    offered: bool,
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
    tensors: Tensors,
}

impl<M: Message> Decoder<M> {
    /// A decoder at the start of a frame.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Length { bytes: [0; 4], have: 0 }, id: None, offered: false }
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

    /// Gives `intake` what came for it since the last call; the first one after the header came
    /// asks it what it takes.
    pub fn deliver(&mut self, intake: &mut dyn Intake) {
        let State::Payload(Payload { header, tensors }) = &mut self.state else { return };
        if !std::mem::replace(&mut self.offered, true) {
            let headers = M::tensors(header);
            for index in intake.begin(headers) {
                tensors.hand_out(headers, index);
            }
        }
        while let Some((index, bytes)) = tensors.next_piece() {
            intake.take(index, &bytes);
        }
    }

    /// Whether the last byte of the frame has come.
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Payload(Payload { header, tensors }) if tensors.is_complete(M::tensors(header)))
    }

    /// The message, after the last byte.
    pub fn finish(self) -> Result<M, DecodeError> {
        self.failure()?;
        match self.state {
            State::Payload(Payload { header, tensors }) => {
                let tensors = tensors.finish(M::tensors(&header))?;
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
                    let tensors = Tensors::new(M::tensors(&header));
                    self.state = State::Payload(Payload { header, tensors });
                }
            }
            State::Payload(Payload { header, tensors }) => tensors.take(chunk, M::tensors(header))?,
            State::Failed(error) => return Err(error.clone()),
        }
        Ok(())
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
                assert!(payload.tensors.held() <= 2 * pushed);
            }
        }
        let received = decoder.finish().unwrap();
        assert_eq!(received, request);
    }
}
