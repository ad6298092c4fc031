//! The header: a Python dictionary of three keys, `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.

use crate::NpyError;
use kerf_tensor::DType;

/// NumPy itself refuses to evaluate longer ones.
const MAX_HEADER: usize = 10_000;
/// NumPy's own limit.
const MAX_RANK: usize = 64;

/// What a header says.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) dtype: DType,
    pub(crate) big_endian: bool,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
}

/// The header, and where the elements begin.
pub(crate) fn read(bytes: &[u8]) -> Result<(Header, usize), NpyError> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or(NpyError::Magic)?;
    let [major, minor, rest @ ..] = rest else { return Err(NpyError::Truncated) };
    let (length, start) = match (major, rest) {
        (1, [a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), 10),
        (2 | 3, [a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
        (1..=3, _) => return Err(NpyError::Truncated),
        _ => return Err(NpyError::Version(*major, *minor)),
    };
    if length > MAX_HEADER {
        return Err(NpyError::HeaderLength(length));
    }
    let text = bytes.get(start..start + length).ok_or(NpyError::Truncated)?;
    let text = std::str::from_utf8(text).map_err(|_| NpyError::Header("it is no text"))?;
    Ok((parse(text)?, start + length))
}

fn parse(text: &str) -> Result<Header, NpyError> {
    let mut parser = Parser(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    parser.expect('{')?;
    while !parser.take('}') {
        let key = parser.string()?;
        parser.expect(':')?;
        let is_new = match key {
            "descr" => descr.replace(parser.descr()?).is_none(),
            "fortran_order" => fortran.replace(parser.truth()?).is_none(),
            "shape" => shape.replace(parser.tuple()?).is_none(),
            _ => return Err(NpyError::Header("it has a key that no version knows")),
        };
        if !is_new {
            return Err(NpyError::Header("a key comes twice"));
        }
        if !parser.take(',') {
            parser.expect('}')?;
            break;
        }
    }
    let (Some((dtype, big_endian)), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
        return Err(NpyError::Header("a key is missing"));
    };
    if parser.0.trim().is_empty() {
        Ok(Header { dtype, big_endian, fortran, shape })
    } else {
        Err(NpyError::Header("something follows the dictionary"))
    }
}

/// What is left of the text.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.trim_start();
        let found = rest.strip_prefix(wanted);
        self.0 = found.unwrap_or(rest);
        found.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), NpyError> {
        if self.take(wanted) { Ok(()) } else { Err(NpyError::Header("it is no dictionary of three keys")) }
    }

    fn string(&mut self) -> Result<&'a str, NpyError> {
        for quote in ['\'', '"'] {
            if self.take(quote)
                && let Some((text, rest)) = self.0.split_once(quote)
            {
                self.0 = rest;
                return Ok(text);
            }
        }
        Err(NpyError::Header("a string is missing"))
    }

    fn word(&mut self) -> &'a str {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        word
    }

    fn truth(&mut self) -> Result<bool, NpyError> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err(NpyError::Header("fortran_order is neither True nor False")),
        }
    }

    fn descr(&mut self) -> Result<(DType, bool), NpyError> {
        if self.0.trim_start().starts_with('[') {
            return Err(NpyError::Type { descr: "[…]".into(), what: "records with fields" });
        }
        dtype(self.string()?)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        const WRONG: NpyError = NpyError::Header("shape is no tuple of sizes");
        let mut dims = Vec::new();
        if !self.take('(') {
            return Err(WRONG);
        }
        while !self.take(')') {
            // Python 2 wrote long integers with an L.
            let dim = self.word().trim_end_matches('L').parse().map_err(|_| WRONG)?;
            dims.push(dim);
            if dims.len() > MAX_RANK {
                return Err(NpyError::Header("shape has more than 64 dimensions"));
            }
            if !self.take(',') {
                if self.take(')') {
                    break;
                }
                return Err(WRONG);
            }
        }
        Ok(dims)
    }
}

/// `<f4` and the like: byte order, kind, bytes.
fn dtype(descr: &str) -> Result<(DType, bool), NpyError> {
    let (big_endian, code) = match descr.split_at_checked(1) {
        Some((">", code)) => (true, code),
        // `|` is for types without an order; `=` is the order of the machine, which here is little.
        Some(("<" | "|" | "=", code)) => (false, code),
        _ => (false, descr),
    };
    let dtype = match code {
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "i1" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "u1" => DType::U8,
        "u2" => DType::U16,
        "u4" => DType::U32,
        "u8" => DType::U64,
        "b1" => DType::Bool,
        other => {
            let what = match other.bytes().next() {
                Some(b'O') => "pickled Python objects, which are never loaded",
                Some(b'U' | b'S' | b'a') => "text",
                Some(b'c') => "complex numbers",
                Some(b'V') => "raw bytes (bfloat16 is saved so; convert it to float32)",
                Some(b'M' | b'm') => "times",
                Some(b'f') => "floats of a size that no tensor has",
                _ => "a type that no tensor has",
            };
            let descr = descr.chars().filter(|c| !c.is_control()).take(20).collect();
            return Err(NpyError::Type { descr, what });
        }
    };
    Ok((dtype, big_endian))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries() {
        let f32s = |shape: &[usize]| Header {
            dtype: DType::F32,
            big_endian: false,
            fortran: false,
            shape: shape.to_vec(),
        };
        for (text, wanted) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", f32s(&[2, 3])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", f32s(&[])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", f32s(&[7])),
            ("{\"shape\":(2L,3L),\"descr\":\"<f4\",\"fortran_order\":False}", f32s(&[2, 3])),
            (
                "{'descr': '>i8', 'fortran_order': True, 'shape': (0, 1)}",
                Header { dtype: DType::I64, big_endian: true, fortran: true, shape: vec![0, 1] },
            ),
        ] {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        for (text, message) in [
            (with("'|O'"), "holds pickled Python objects, which are never loaded (|O)"),
            (with("'<U12'"), "holds text (<U12)"),
            (with("'<c8'"), "holds complex numbers"),
            (with("'|V2'"), "bfloat16"),
            (with("'<f16'"), "floats of a size"),
            (with("''"), "a type that no tensor has"),
            (with("'\u{e9}'"), "a type that no tensor has"),
            (with("[('a', '<f4')]"), "records with fields"),
            (with("4"), "a string is missing"),
            (with("'<f4' 4"), "three keys"),
            ("{}".into(), "a key is missing"),
            ("{'descr': '<f4', 'descr': '<f4'".into(), "a key comes twice"),
            ("{'other': 1}".into(), "a key that no version knows"),
            ("{'fortran_order': 1}".into(), "neither True nor False"),
            ("{'shape': (-1,)}".into(), "no tuple of sizes"),
            ("{'shape': (99999999999999999999999,)}".into(), "no tuple of sizes"),
            ("{'shape': 3}".into(), "no tuple of sizes"),
            (format!("{{'shape': ({})}}", "1,".repeat(65)), "more than 64 dimensions"),
            (with("'<f4'") + "x", "something follows"),
            ("".into(), "no dictionary"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
