//! Error codes that the two ends exchange, for connections and streams.

use quinn::VarInt;

/// The connection did its work.
pub(crate) const DONE: VarInt = VarInt::from_u32(0);
/// The node is going away: try another.
pub(crate) const DRAINING: VarInt = VarInt::from_u32(1);
/// The caller considers the link lost.
pub(crate) const LOST: VarInt = VarInt::from_u32(2);
/// The other end's certificate, which a ticket stood for, is not accepted any more.
pub(crate) const UNTRUSTED: VarInt = VarInt::from_u32(3);
/// The caller lost interest in the answer.
pub(crate) const CANCELLED: VarInt = VarInt::from_u32(16);
/// The bytes are no message, and not even whose could be read.
pub(crate) const BAD_FRAME: VarInt = VarInt::from_u32(17);
/// The refusal is on its way; no more of the request is wanted.
pub(crate) const REFUSED: VarInt = VarInt::from_u32(18);
/// The header did not come in time.
pub(crate) const SLOW: VarInt = VarInt::from_u32(19);
/// The node failed in a way that it could not even report.
pub(crate) const INTERNAL: VarInt = VarInt::from_u32(20);
