//! The engines that the binaries carry, and the choice among them
