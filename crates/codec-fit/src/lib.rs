//! Codecs fitted to the activations of a model.
