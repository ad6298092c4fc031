//! The engine contract, segments compiled on demand, and the conformance suite
