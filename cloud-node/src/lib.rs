//! The server: finishes inferences that edge nodes began
