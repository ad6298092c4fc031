//! What is known of one value while inference runs.

use super::size::Size;
use super::symbols::Symbols;
use crate::analysis::{Element, Fact};
use crate::onnx::TensorProto;
use kerf_tensor::{DType, Dim, Tensor};

/// Sizes, outermost first.
pub(super) type Shape = Vec<Size>;

/// Values of more elements are data, not shape plumbing.
pub(super) const MAX_ELEMENTS: usize = 1024;

/// Of floats, only scales and scalars serve shapes; the parameters of normalisations do not.
const MAX_FLOATS: usize = 16;

/// No operator of a real model comes near; a shape of higher rank is unknown.
pub(super) const MAX_RANK: usize = 64;

/// Type, shape and, for small values, elements, as far as each is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Info {
    pub(super) dtype: Option<DType>,
    pub(super) shape: Option<Shape>,
    value: Option<Vec<Item>>,
}

/// One element of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// An integer, a bool as 0 or 1, or a symbolic size, also where it was cast to a float.
    Int(Size),
    /// Exactly as its type holds it.
    Float(f64),
    Unknown,
}

impl Info {
    /// A shape with a negative size, or of an absurd rank, is an unknown one.
    pub(super) fn new(dtype: Option<DType>, shape: Option<Shape>) -> Self {
        let is_sane = |size: &Size| size.known().is_none_or(|size| size >= 0);
        let shape = shape.filter(|shape| shape.len() <= MAX_RANK && shape.iter().all(is_sane));
        Self { dtype, shape, value: None }
    }

    pub(super) fn unknown() -> Self {
        Self::default()
    }

    /// With its elements in row-major order, where they are as many as the shape says.
    pub(super) fn with_value(mut self, value: Option<Vec<Item>>) -> Self {
        let Some(dtype) = self.dtype else { return self };
        self.value = value
            .filter(|items| items.len() <= limit(dtype) && self.elements() == Some(items.len()))
            .map(|items| items.into_iter().map(|item| item.stored_as(dtype)).collect());
        self
    }

    /// An integer vector, as shapes are.
    pub(super) fn vector(dtype: DType, items: Vec<Item>) -> Self {
        let shape = vec![Size::Known(items.len() as i64)];
        Self::new(Some(dtype), Some(shape)).with_value(Some(items))
    }

    pub(super) fn scalar(dtype: DType, item: Item) -> Self {
        Self::new(Some(dtype), Some(Vec::new())).with_value(Some(vec![item]))
    }

    /// With a type where it has none.
    pub(super) fn or_dtype(mut self, dtype: Option<DType>) -> Self {
        self.dtype = self.dtype.or(dtype);
        self
    }

    pub(super) fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The shape, where no size in it is symbolic.
    pub(super) fn fixed(&self) -> Option<Vec<usize>> {
        self.shape.as_ref()?.iter().map(|size| usize::try_from(size.known()?).ok()).collect()
    }

    /// Number of elements, where it is known and can be counted.
    pub(super) fn elements(&self) -> Option<usize> {
        self.fixed()?.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
    }

    /// The elements, some of which may be [`Item::Unknown`].
    pub(super) fn value(&self) -> Option<&[Item]> {
        self.value.as_deref()
    }

    /// The elements as integers, where every one is a constant.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        self.value()?.iter().map(Item::int).collect()
    }

    /// The elements as numbers, where every one is a constant.
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        self.value()?.iter().map(Item::float).collect()
    }

    /// Length of a vector.
    pub(super) fn length(&self) -> Option<usize> {
        match self.fixed()?.as_slice() {
            [length] => Some(*length),
            _ => None,
        }
    }

    /// What a tensor message says of itself, with its elements where they are few.
    pub(super) fn of_tensor(tensor: &TensorProto) -> Self {
        let dtype = tensor.data_type.and_then(DType::from_onnx_code);
        let info = Self::new(dtype, Some(tensor.dims.iter().map(|dim| Size::Known(*dim)).collect()));
        let dtype = dtype.filter(|dtype| info.elements().is_some_and(|elements| elements <= limit(*dtype)));
        let items = dtype.and_then(|dtype| items(tensor, dtype));
        info.with_value(items)
    }

    /// The inverse of [`Info::to_fact`] for a constant.
    pub(super) fn of_constant(tensor: &Tensor) -> Option<Self> {
        let shape = tensor.shape().iter().map(|size| i64::try_from(*size).ok().map(Size::Known));
        let items = match tensor.dtype() {
            DType::F32 => {
                tensor.elements::<f32>().ok()?.iter().map(|float| Item::Float(f64::from(*float))).collect()
            }
            DType::I64 => tensor.elements::<i64>().ok()?.iter().map(|int| Item::known(*int)).collect(),
            DType::I32 => {
                tensor.elements::<i32>().ok()?.iter().map(|int| Item::known(i64::from(*int))).collect()
            }
            DType::Bool => tensor.data().iter().map(|byte| Item::known(i64::from(*byte))).collect(),
            _ => return None,
        };
        Some(Self::new(Some(tensor.dtype()), shape.collect()).with_value(Some(items)))
    }

    /// What the rest of the crate sees of this, for the value called `name`.
    pub(super) fn to_fact(&self, name: &str, symbols: &mut Symbols) -> Fact {
        let dims = |sizes: &[Size], symbols: &mut Symbols| -> Option<Vec<Dim>> {
            sizes.iter().enumerate().map(|(axis, size)| symbols.dim(size, name, axis)).collect()
        };
        let shape = self.shape.as_ref().and_then(|shape| dims(shape, symbols));
        let element = |(axis, size): (usize, &Size), symbols: &mut Symbols| match size {
            Size::Known(size) => Some(Element::Fixed(*size)),
            Size::Poly(_) => match symbols.dim(size, name, axis)? {
                Dim::Symbol(symbol) => Some(Element::Size(symbol)),
                Dim::Fixed(_) => None,
            },
        };
        let elements = self
            .shape_elements()
            .and_then(|sizes| sizes.iter().enumerate().map(|size| element(size, symbols)).collect());
        Fact { dtype: self.dtype, shape, value: self.tensor(), elements }
    }

    /// The elements of an integer scalar or vector, where all are sizes.
    fn shape_elements(&self) -> Option<Vec<Size>> {
        let describes_shapes = matches!(self.dtype, Some(DType::I64 | DType::I32)) && self.rank()? <= 1;
        let describes_shapes = describes_shapes && self.elements()? <= MAX_RANK;
        let sizes = self.value().filter(|_| describes_shapes)?.iter().map(|item| match item {
            Item::Int(size) => Some(size.clone()),
            _ => None,
        });
        sizes.collect()
    }

    /// The value, where it is constant and of a type that shape computations use.
    fn tensor(&self) -> Option<Tensor> {
        let shape = self.fixed()?;
        match self.dtype? {
            DType::I64 => Tensor::from_vec(&shape, self.ints()?),
            DType::I32 => {
                let ints = self.ints()?.into_iter().map(|int| i32::try_from(int).ok());
                Tensor::from_vec(&shape, ints.collect::<Option<Vec<_>>>()?)
            }
            DType::Bool => {
                let bytes: Vec<u8> = self.ints()?.into_iter().map(|int| u8::from(int != 0)).collect();
                Tensor::new(DType::Bool, shape, bytes.into())
            }
            DType::F32 => {
                Tensor::from_vec(&shape, self.floats()?.into_iter().map(|float| float as f32).collect())
            }
            _ => return None,
        }
        .ok()
    }
}

impl Item {
    pub(super) fn known(int: i64) -> Self {
        Self::Int(Size::Known(int))
    }

    /// The size, or unknown where the arithmetic that led here overflowed.
    pub(super) fn of(size: Option<Size>) -> Self {
        size.map_or(Self::Unknown, Self::Int)
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(size) => size.known(),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Int(size) => size.known().map(|int| int as f64),
            Self::Float(float) => Some(*float),
            Self::Unknown => None,
        }
    }

    pub(super) fn size(&self) -> Option<&Size> {
        match self {
            Self::Int(size) => Some(size),
            _ => None,
        }
    }

    /// Rounded as `dtype` rounds; unknown where `dtype` would wrap or cannot hold it.
    fn stored_as(self, dtype: DType) -> Self {
        let fits = |low: i64, high: i64, int: i64| (low..=high).contains(&int);
        match (self, dtype) {
            (Self::Int(Size::Known(int)), DType::F32) => Self::Float(f64::from(int as f32)),
            (Self::Int(Size::Known(int)), DType::F64) => Self::Float(int as f64),
            (Self::Float(float), DType::F32) => Self::Float(f64::from(float as f32)),
            (Self::Float(float), DType::F64) => Self::Float(float),
            (Self::Int(size), DType::I64 | DType::F32 | DType::F64) => Self::Int(size),
            (Self::Int(size), DType::I32) if size.known().is_none_or(|int| i32::try_from(int).is_ok()) => {
                Self::Int(size)
            }
            (Self::Int(Size::Known(int)), DType::Bool) if fits(0, 1, int) => Self::known(int),
            (Self::Int(Size::Known(int)), DType::U8) if fits(0, 255, int) => Self::known(int),
            (Self::Int(Size::Known(int)), DType::I8) if fits(-128, 127, int) => Self::known(int),
            _ => Self::Unknown,
        }
    }
}

/// Elements beyond which a value is data.
fn limit(dtype: DType) -> usize {
    if dtype.is_float() { MAX_FLOATS } else { MAX_ELEMENTS }
}

/// The elements of a tensor message, from whichever field holds them.
///
/// The caller compares their number with the shape, so of too many elements it reads one too many.
fn items(tensor: &TensorProto, dtype: DType) -> Option<Vec<Item>> {
    const ENOUGH: usize = MAX_ELEMENTS + 1;
    fn words<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> Item) -> Vec<Item> {
        raw.chunks_exact(N).take(ENOUGH).filter_map(|word| word.try_into().ok()).map(read).collect()
    }
    let ints = |ints: &[i32]| ints.iter().take(ENOUGH).map(|int| Item::known(i64::from(*int))).collect();
    let raw = tensor.raw_data.as_deref().filter(|raw| !raw.is_empty());
    Some(match (dtype, raw) {
        (DType::I64, Some(raw)) => words(raw, |word| Item::known(i64::from_le_bytes(word))),
        (DType::I64, None) => tensor.int64_data.iter().take(ENOUGH).map(|int| Item::known(*int)).collect(),
        (DType::I32, Some(raw)) => words(raw, |word| Item::known(i64::from(i32::from_le_bytes(word)))),
        (DType::Bool | DType::U8, Some(raw)) => words(raw, |[byte]| Item::known(i64::from(byte))),
        (DType::I8, Some(raw)) => words(raw, |word| Item::known(i64::from(i8::from_le_bytes(word)))),
        (DType::I32 | DType::Bool | DType::U8 | DType::I8, None) => ints(&tensor.int32_data),
        (DType::F32, Some(raw)) => words(raw, |word| Item::Float(f64::from(f32::from_le_bytes(word)))),
        (DType::F32, None) => {
            tensor.float_data.iter().take(ENOUGH).map(|float| Item::Float(f64::from(*float))).collect()
        }
        (DType::F64, Some(raw)) => words(raw, |word| Item::Float(f64::from_le_bytes(word))),
        (DType::F64, None) => {
            tensor.double_data.iter().take(ENOUGH).map(|float| Item::Float(*float)).collect()
        }
        _ => return None,
    })
}
