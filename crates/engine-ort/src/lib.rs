//! ONNX Runtime, loaded at run time, as an engine
