//! Encoded images to tensors
