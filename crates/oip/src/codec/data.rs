//! `data` arrays: JSON numbers, booleans and strings to elements and back.
//!
//! An image is 150,528 numbers. Building a `serde_json::Value` of them takes thirty-two
//! bytes and a detour through `f64` each, and a tensor's type may be said after its data.
//! So serde checks the syntax once and keeps the text ([`RawValue`]), and the text is read
//! again, once, straight into elements of the type and number that the entry names.

use crate::codec::datatype;
use kerf_tensor::{DType, Element, Tensor, element_count};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// Reads `data` as a tensor; the error continues a sentence about the tensor.
pub(super) fn parse(dtype: DType, shape: &[usize], data: &RawValue) -> Result<Tensor, String> {
    let expected = element_count(shape).map_err(|error| error.to_string())?;
    let mut scan = Scan { text: data.get(), at: 0 };
    let made = match dtype {
        DType::F32 => numbers::<f32>(&mut scan, shape, expected)?,
        DType::F64 => numbers::<f64>(&mut scan, shape, expected)?,
        DType::I8 => numbers::<i8>(&mut scan, shape, expected)?,
        DType::I16 => numbers::<i16>(&mut scan, shape, expected)?,
        DType::I32 => numbers::<i32>(&mut scan, shape, expected)?,
        DType::I64 => numbers::<i64>(&mut scan, shape, expected)?,
        DType::U8 => numbers::<u8>(&mut scan, shape, expected)?,
        DType::U16 => numbers::<u16>(&mut scan, shape, expected)?,
        DType::U32 => numbers::<u32>(&mut scan, shape, expected)?,
        DType::U64 => numbers::<u64>(&mut scan, shape, expected)?,
        DType::Bool => {
            let read = |token: &str| match token {
                "true" => Some(1u8),
                "false" => Some(0),
                _ => None,
            };
            let values = elements(&mut scan, dtype, shape, expected, read)?;
            Tensor::new(dtype, shape.to_vec(), values.into())
        }
        DType::String => {
            let read = |token: &str| serde_json::from_str::<String>(token).ok();
            Tensor::from_strings(shape, &elements(&mut scan, dtype, shape, expected, read)?)
        }
        DType::F16 | DType::Bf16 => {
            return Err(format!(
                "{} has no JSON form; send it as binary data (binary_data_size)",
                datatype(dtype)
            ));
        }
    };
    made.map_err(|error| error.to_string())
}

/// Whether a tensor can go out as JSON; the error continues a sentence about the tensor.
pub(super) fn check_json(tensor: &Tensor) -> Result<(), String> {
    let name = datatype(tensor.dtype());
    let finite = match tensor.dtype() {
        DType::F16 | DType::Bf16 => {
            return Err(format!("{name} has no JSON form; ask for it as binary data (binary_data: true)"));
        }
        DType::F32 => {
            tensor.elements::<f32>().is_ok_and(|values| values.iter().all(|value| value.is_finite()))
        }
        DType::F64 => {
            tensor.elements::<f64>().is_ok_and(|values| values.iter().all(|value| value.is_finite()))
        }
        DType::String => {
            let text =
                tensor.strings().is_ok_and(|all| all.iter().all(|each| std::str::from_utf8(each).is_ok()));
            return if text {
                Ok(())
            } else {
                Err("holds bytes that are not UTF-8; ask for it as binary data (binary_data: true)"
                    .to_owned())
            };
        }
        _ => true,
    };
    if finite {
        Ok(())
    } else {
        Err("holds NaN or infinity, which JSON cannot say; ask for it as binary data (binary_data: true)"
            .to_owned())
    }
}

/// A tensor as a flat JSON array.
pub(super) struct Data<'a>(pub(super) &'a Tensor);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn flat<T: Element + Serialize, S: Serializer>(
            tensor: &Tensor,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            tensor.elements::<T>().map_err(S::Error::custom)?.serialize(serializer)
        }
        let tensor = self.0;
        match tensor.dtype() {
            DType::F32 => flat::<f32, S>(tensor, serializer),
            DType::F64 => flat::<f64, S>(tensor, serializer),
            DType::I8 => flat::<i8, S>(tensor, serializer),
            DType::I16 => flat::<i16, S>(tensor, serializer),
            DType::I32 => flat::<i32, S>(tensor, serializer),
            DType::I64 => flat::<i64, S>(tensor, serializer),
            DType::U8 => flat::<u8, S>(tensor, serializer),
            DType::U16 => flat::<u16, S>(tensor, serializer),
            DType::U32 => flat::<u32, S>(tensor, serializer),
            DType::U64 => flat::<u64, S>(tensor, serializer),
            DType::Bool => serializer.collect_seq(tensor.data().iter().map(|byte| *byte == 1)),
            DType::String => {
                let strings = tensor.strings().map_err(S::Error::custom)?;
                let texts: Result<Vec<_>, _> = strings.iter().map(|each| std::str::from_utf8(each)).collect();
                texts.map_err(S::Error::custom)?.serialize(serializer)
            }
            DType::F16 | DType::Bf16 => Err(S::Error::custom("16-bit floats have no JSON form")),
        }
    }
}

fn numbers<T: Element + std::str::FromStr + Bounded>(
    scan: &mut Scan<'_>,
    shape: &[usize],
    expected: usize,
) -> Result<Result<Tensor, kerf_tensor::TensorError>, String> {
    let read = |token: &str| token.parse::<T>().ok().filter(Bounded::usable);
    elements(scan, T::DTYPE, shape, expected, read).map(|values| Tensor::from_vec(shape, values))
}

/// Numbers that text can overflow: `1e999` parses as infinity, which nobody meant.
trait Bounded {
    fn usable(&self) -> bool {
        true
    }
}

impl Bounded for f32 {
    fn usable(&self) -> bool {
        self.is_finite()
    }
}

impl Bounded for f64 {
    fn usable(&self) -> bool {
        self.is_finite()
    }
}

macro_rules! integers {
    ($($integer:ty),*) => { $(impl Bounded for $integer {})* };
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Text of one JSON value, already known to be well-formed.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

enum Token<'a> {
    Open,
    Close,
    Comma,
    Scalar(&'a str),
    Object,
    End,
}

impl<'a> Scan<'a> {
    fn token(&mut self) -> Token<'a> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let Some(first) = bytes.get(start) else { return Token::End };
        self.at += 1;
        match first {
            b'[' => Token::Open,
            b']' => Token::Close,
            b',' => Token::Comma,
            b'{' => Token::Object,
            b'"' => {
                while let Some(byte) = bytes.get(self.at) {
                    self.at += 1;
                    match byte {
                        b'\\' => self.at += 1,
                        b'"' => break,
                        _ => {}
                    }
                }
                Token::Scalar(self.text.get(start..self.at).unwrap_or_default())
            }
            _ => {
                while bytes
                    .get(self.at)
                    .is_some_and(|byte| !matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
                {
                    self.at += 1;
                }
                Token::Scalar(self.text.get(start..self.at).unwrap_or_default())
            }
        }
    }
}

/// Every element, in order. The array is flat, or nested exactly as `shape` says.
fn elements<T>(
    scan: &mut Scan<'_>,
    dtype: DType,
    shape: &[usize],
    expected: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    // The shape is the client's word; the text is there. Two characters make an element.
    let mut values = Vec::with_capacity(expected.min(scan.text.len() / 2 + 1));
    let mut nesting = Nesting::new(shape);
    loop {
        match scan.token() {
            Token::Open => nesting.open()?,
            Token::Close => nesting.close()?,
            Token::Comma => {}
            Token::Scalar(token) => {
                nesting.element()?;
                if values.len() == expected {
                    return Err(format!("shape {shape:?} has {expected} elements, `data` has more"));
                }
                let value = read(token).ok_or_else(|| {
                    let shown: String = token.chars().take(40).collect();
                    format!("`data[{}]` is {shown}, which is not a {} value", values.len(), datatype(dtype))
                })?;
                values.push(value);
            }
            Token::Object => {
                return Err("`data` holds an object; it may hold numbers, booleans and strings".to_owned());
            }
            Token::End => break,
        }
    }
    if values.len() == expected {
        Ok(values)
    } else {
        Err(format!("shape {shape:?} has {expected} elements, `data` has {}", values.len()))
    }
}

/// Follows the brackets. The first run of opening ones decides: one is flat (none is a lone
/// value), as many as dimensions is nested, and then every bracket must agree with the shape.
struct Nesting<'a> {
    shape: &'a [usize],
    /// Entries so far of each array that is open; never longer than the shape, or one.
    open: Vec<usize>,
    /// Depth of the elements, once known.
    depth: Option<usize>,
}

impl<'a> Nesting<'a> {
    fn new(shape: &'a [usize]) -> Self {
        Self { shape, open: Vec::with_capacity(shape.len().max(1)), depth: None }
    }

    fn open(&mut self) -> Result<(), String> {
        let deepest = self.depth.unwrap_or(self.shape.len().max(1));
        if self.open.len() >= deepest {
            return Err(self.mismatch());
        }
        if let Some(entries) = self.open.last_mut() {
            *entries += 1;
        }
        self.open.push(0);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        self.settle()?;
        let level = self.open.len();
        let entries = self.open.pop().unwrap_or_default();
        let nested = self.depth.is_some_and(|depth| depth > 1);
        if nested && self.shape.get(level - 1) != Some(&entries) {
            return Err(self.mismatch());
        }
        Ok(())
    }

    fn element(&mut self) -> Result<(), String> {
        self.settle()?;
        if self.depth != Some(self.open.len()) {
            return Err(self.mismatch());
        }
        if let Some(entries) = self.open.last_mut() {
            *entries += 1;
        }
        Ok(())
    }

    /// The first thing that is not an opening bracket fixes the depth.
    fn settle(&mut self) -> Result<(), String> {
        if self.depth.is_none() {
            let depth = self.open.len();
            // `[[], []]` for shape [2, 0, 3]: arrays without elements may stop early.
            let empty = self.shape.get(..depth).is_some_and(|outer| outer.contains(&0));
            if depth > 1 && depth != self.shape.len() && !empty {
                return Err(self.mismatch());
            }
            self.depth = Some(depth);
        }
        Ok(())
    }

    fn mismatch(&self) -> String {
        format!("`data` is neither flat nor nested as shape {:?}", self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dtype: DType, shape: &[usize], data: &str) -> Result<Vec<f64>, String> {
        let raw = RawValue::from_string(data.to_owned()).unwrap();
        parse(dtype, shape, &raw).map(|tensor| tensor.to_f64().unwrap())
    }

    #[test]
    fn flat_and_nested() {
        let cases: &[(DType, &[usize], &str, &[f64])] = &[
            (DType::F32, &[2, 2], "[1, 2.5, -3e2, 0]", &[1.0, 2.5, -300.0, 0.0]),
            (DType::F32, &[2, 2], " [ [1,2] ,\n[3,4]\t] ", &[1.0, 2.0, 3.0, 4.0]),
            (DType::F64, &[], "7", &[7.0]),
            (DType::F64, &[], "[7]", &[7.0]),
            (DType::U8, &[1, 1, 1], "[[[255]]]", &[255.0]),
            (DType::I64, &[0], "[]", &[]),
            (DType::I64, &[2, 0], "[[],[]]", &[]),
            (DType::I64, &[2, 0], "[]", &[]),
            (DType::Bool, &[2], "[true,false]", &[1.0, 0.0]),
        ];
        for (dtype, shape, data, expected) in cases {
            assert_eq!(read(*dtype, shape, data).as_deref(), Ok(*expected), "{data} as {shape:?}");
        }
    }

    #[test]
    fn mistakes() {
        let cases: &[(DType, &[usize], &str, &str)] = &[
            (DType::F32, &[2, 3], "[1,2,3,4,5]", "shape [2, 3] has 6 elements, `data` has 5"),
            (DType::F32, &[2], "[1,2,3]", "shape [2] has 2 elements, `data` has more"),
            (DType::F32, &[3, 2], "[[1,2,3],[4,5,6]]", "`data` is neither flat nor nested as shape [3, 2]"),
            (DType::F32, &[2, 2], "[[1,2],3,4]", "`data` is neither flat nor nested as shape [2, 2]"),
            (DType::F32, &[4], "[[1,2],[3,4]]", "`data` is neither flat nor nested as shape [4]"),
            (DType::F32, &[1, 2, 2], "[[1,2],[3,4]]", "`data` is neither flat nor nested as shape [1, 2, 2]"),
            (DType::F32, &[1], "[[[[[[[[1]]]]]]]]", "`data` is neither flat nor nested as shape [1]"),
            (DType::F32, &[1], "[\"1\"]", "`data[0]` is \"1\", which is not a FP32 value"),
            (DType::F32, &[1], "[1e39]", "`data[0]` is 1e39, which is not a FP32 value"),
            (DType::F32, &[1], "[null]", "`data[0]` is null, which is not a FP32 value"),
            (DType::U8, &[2], "[1,256]", "`data[1]` is 256, which is not a UINT8 value"),
            (DType::I32, &[1], "[1.5]", "`data[0]` is 1.5, which is not a INT32 value"),
            (DType::Bool, &[1], "[1]", "`data[0]` is 1, which is not a BOOL value"),
            (DType::String, &[1], "[1]", "`data[0]` is 1, which is not a BYTES value"),
            (DType::F16, &[1], "[1]", "FP16 has no JSON form; send it as binary data (binary_data_size)"),
            (
                DType::F32,
                &[1],
                "{\"a\":[1]}",
                "`data` holds an object; it may hold numbers, booleans and strings",
            ),
        ];
        for (dtype, shape, data, expected) in cases {
            assert_eq!(read(*dtype, shape, data), Err((*expected).to_owned()), "{data} as {shape:?}");
        }
    }

    #[test]
    fn strings_are_unescaped() {
        let raw = RawValue::from_string(r#"["a\"],[", "\u00e9\\", ""]"#.to_owned()).unwrap();
        let tensor = parse(DType::String, &[3], &raw).unwrap();
        assert_eq!(tensor.strings().unwrap(), ["a\"],[", "é\\", ""]);
    }
}
