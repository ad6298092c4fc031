//! The latest answers, within bounds. Time is an argument.

use super::{Bounds, Key};
use kerf_wire::{Payload, Response};
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Answers {
    bounds: Bounds,
    kept: HashMap<Key, Kept>,
    /// In the order of their times; what is not kept any more may still be named.
    order: VecDeque<(Instant, Key)>,
    bytes: u64,
}

#[derive(Debug)]
struct Kept {
    response: Response,
    at: Instant,
    bytes: u64,
}

impl Answers {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn find(&mut self, key: &Key, now: Instant) -> Option<Response> {
        self.shrink(now);
        self.kept.get(key).map(|kept| kept.response.clone())
    }

    /// Keeps an answer; the oldest go. One that is larger than all may be is not kept.
    pub(super) fn insert(&mut self, key: Key, response: Response, now: Instant) {
        self.remove(&key);
        let bytes = size(&response);
        if bytes <= self.bounds.bytes {
            self.bytes += bytes;
            self.order.push_back((now, key.clone()));
            self.kept.insert(key, Kept { response, at: now, bytes });
        }
        self.shrink(now);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.bytes;
        }
    }

    fn shrink(&mut self, now: Instant) {
        let Bounds { entries, bytes, age } = self.bounds;
        while let Some((at, key)) = self.order.front() {
            let old = now.saturating_duration_since(*at) > age;
            // Names of what was removed count too: they take memory.
            if !old && self.order.len() <= entries && self.bytes <= bytes {
                return;
            }
            if self.kept.get(key).is_some_and(|kept| kept.at == *at) {
                let key = key.clone();
                self.remove(&key);
            }
            self.order.pop_front();
        }
    }
}

/// Bytes of an answer's tensors, as many as they may become, and about what the rest takes.
fn size(response: &Response) -> u64 {
    const REST: u64 = 1024;
    let Response::Answer(answer) = response else { return REST };
    let tensors = answer.tensors.iter().map(|tensor| match &tensor.data {
        Payload::Growing(growing) => growing.most(),
        data => data.bytes(),
    });
    tensors.fold(REST, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::once::Asked;
    use kerf_identity::{PeerIdentity, Role};
    use kerf_tensor::DType;
    use kerf_wire::{Answer, Arrival, CodedTensor, Load, RequestId, Timings};
    use std::sync::Arc;
    use std::time::Duration;

    fn key(number: u8) -> Key {
        let asked = Asked {
            finish: true,
            model: "m".into(),
            digest: [0; 32],
            boundary: 1,
            tensors: vec![],
            outputs: vec![],
            reply: 0,
        };
        let peer = PeerIdentity::new(Role::Edge, "gw-1").unwrap();
        Key { peer: Arc::new(peer), id: RequestId([number; 16]), asked: Arc::new(asked) }
    }

    fn answer(bytes: usize) -> Response {
        let data = vec![0; bytes].into();
        let tensor = CodedTensor { name: "y".into(), dtype: DType::U8, shape: vec![bytes], codec: 0, data };
        Response::Answer(Answer {
            id: RequestId([0; 16]),
            node: "c".into(),
            engine: "e".into(),
            tensors: vec![tensor],
            timings: Timings::default(),
            load: Load::default(),
            arrival: Arrival::default(),
        })
    }

    #[test]
    fn answers_go_by_age_by_number_and_by_bytes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let bounds = Bounds { entries: 3, bytes: 10_000, age: Duration::from_secs(60) };
        let mut answers = Answers::new(bounds);
        for number in 0..4 {
            answers.insert(key(number), answer(10), at(number.into()));
        }
        assert_eq!(answers.find(&key(0), at(4)), None, "three at most");
        assert_eq!(answers.find(&key(1), at(61)), Some(answer(10)));
        assert_eq!(answers.find(&key(1), at(62)), None, "a minute at most");
        answers.insert(key(5), answer(5_000), at(62));
        assert_eq!((answers.kept.len(), answers.bytes), (3, 5_000 + 3 * 1024 + 20));
        answers.insert(key(6), answer(2_000), at(62));
        assert!(answers.find(&key(2), at(62)).is_none() && answers.find(&key(5), at(62)).is_some());
        answers.insert(key(7), answer(10_000), at(62));
        assert!(answers.find(&key(7), at(62)).is_none(), "larger than all may be");
        assert!(answers.find(&key(6), at(62)).is_some(), "and nothing goes for it");
        // A newer answer to the same request is not dropped at the older one's time.
        answers.insert(key(6), answer(1_000), at(100));
        assert_eq!(answers.find(&key(6), at(130)), Some(answer(1_000)));
        answers.remove(&key(6));
        assert_eq!((answers.find(&key(6), at(130)), answers.bytes), (None, 0));
        assert_eq!(answers.find(&key(1), at(1000)), None);
        assert!(answers.order.is_empty() && answers.kept.is_empty());
    }
}
