//! ONNX models as graphs: load, check, infer shapes, count costs, find boundaries, cut.

mod onnx;
