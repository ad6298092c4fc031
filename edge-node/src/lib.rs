//! The sidecar: answers the Open Inference Protocol, here or with the cloud's help
