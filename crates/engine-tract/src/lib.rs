//! tract as an engine: nothing to install
