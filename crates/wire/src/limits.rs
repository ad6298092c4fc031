/// What a reader accepts, and so what a writer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a header; 64 KiB is the most that any reader of version 1 takes.
    pub header: usize,
    /// Bytes of all tensors together.
    pub payload: u64,
    /// Tensors in a message, and output names in a request.
    pub tensors: usize,
    /// Dimensions of a tensor.
    pub rank: usize,
}

impl Default for Limits {
    /// 64 KiB of header, 64 MiB of payload, 256 tensors of rank 16.
    fn default() -> Self {
        Self { header: 64 << 10, payload: 64 << 20, tensors: 256, rank: 16 }
    }
}
