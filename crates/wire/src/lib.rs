//! What crosses the link: frames and the state machines that read them
