//! The protocol's names of element types.

use kerf_tensor::DType;

/// The protocol's name: `FP32`, `INT64`, `BYTES`.
pub fn datatype(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "FP32",
        DType::F64 => "FP64",
        DType::F16 => "FP16",
        DType::Bf16 => "BF16",
        DType::I8 => "INT8",
        DType::I16 => "INT16",
        DType::I32 => "INT32",
        DType::I64 => "INT64",
        DType::U8 => "UINT8",
        DType::U16 => "UINT16",
        DType::U32 => "UINT32",
        DType::U64 => "UINT64",
        DType::Bool => "BOOL",
        DType::String => "BYTES",
    }
}

/// The type of a protocol's name.
pub fn dtype(datatype_name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|dtype| datatype(*dtype) == datatype_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for each in DType::ALL {
            assert_eq!(dtype(datatype(each)), Some(each));
        }
        assert_eq!(dtype("fp32"), None);
    }
}
