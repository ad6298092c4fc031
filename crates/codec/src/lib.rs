//! Activation codecs.
