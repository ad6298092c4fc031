use crate::{Tensor, TensorError};
use half::{bf16, f16};

/// Element types, those that ONNX names and the wire carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are the names")]
pub enum DType {
    F32,
    F64,
    F16,
    Bf16,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    /// Byte strings of any length.
    String,
}

/// Rust types that are element types bit for bit.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// The element type of `Self`.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })*
    };
}
elements! {
    f32 => F32, f64 => F64, f16 => F16, bf16 => Bf16,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
}

impl DType {
    /// Every element type.
    pub const ALL: [Self; 14] = [
        Self::F32,
        Self::F64,
        Self::F16,
        Self::Bf16,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::String,
    ];

    /// Bytes per element; `None` for strings, whose elements differ in length.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::F64 | Self::I64 | Self::U64 => Some(8),
            Self::F32 | Self::I32 | Self::U32 => Some(4),
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => Some(2),
            Self::I8 | Self::U8 | Self::Bool => Some(1),
            Self::String => None,
        }
    }

    /// The number of `TensorProto.DataType` in onnx.proto3.
    pub fn onnx_code(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::String => 8,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
            Self::U32 => 12,
            Self::U64 => 13,
            Self::Bf16 => 16,
        }
    }

    /// The type of a `TensorProto.DataType` number, where Kerf carries it.
    pub fn from_onnx_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.onnx_code() == code)
    }

    /// Short lower-case name: `f32`, `i64`, `string`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::String => "string",
        }
    }

    /// The type of a short name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

pub(crate) fn widen(tensor: &Tensor) -> Result<Vec<f64>, TensorError> {
    fn all<T: Element>(tensor: &Tensor, widen: impl Fn(T) -> f64) -> Result<Vec<f64>, TensorError> {
        Ok(tensor.elements::<T>()?.iter().map(|value| widen(*value)).collect())
    }
    match tensor.dtype() {
        DType::F32 => all(tensor, |v: f32| v.into()),
        DType::F64 => all(tensor, |v: f64| v),
        DType::F16 => all(tensor, |v: f16| v.into()),
        DType::Bf16 => all(tensor, |v: bf16| v.into()),
        DType::I8 => all(tensor, |v: i8| v.into()),
        DType::I16 => all(tensor, |v: i16| v.into()),
        DType::I32 => all(tensor, |v: i32| v.into()),
        DType::I64 => all(tensor, |v: i64| v as f64),
        DType::U8 => all(tensor, |v: u8| v.into()),
        DType::U16 => all(tensor, |v: u16| v.into()),
        DType::U32 => all(tensor, |v: u32| v.into()),
        DType::U64 => all(tensor, |v: u64| v as f64),
        DType::Bool => Ok(tensor.data().iter().map(|byte| f64::from(*byte)).collect()),
        DType::String => Err(TensorError::WrongType { wanted: DType::F64, actual: DType::String }),
    }
}
