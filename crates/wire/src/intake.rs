use crate::TensorHeader;

/// Takes the bytes of tensors while they arrive, so that most of a large one is decoded by the time
/// that its last byte has come.
///
/// A tensor that was taken is [`Payload::Taken`](crate::Payload::Taken) in the message, unless its
/// sender found halfway that its codec could not do it: then it is there, raw, and what was taken
/// of it is void.
pub trait Intake: Send {
    /// A message begins; it has these tensors. Says which of them, by their place, it takes; raw
    /// ones are not given. Called again when a request is sent again: nothing taken counts then.
    fn begin(&mut self, tensors: &[TensorHeader]) -> Vec<usize>;

    /// The next bytes of the tensor at a place, in any number. Must not wait.
    fn take(&mut self, tensor: usize, bytes: &[u8]);
}

/// Takes nothing.
impl Intake for () {
    fn begin(&mut self, _: &[TensorHeader]) -> Vec<usize> {
        Vec::new()
    }

    fn take(&mut self, _: usize, _: &[u8]) {}
}
