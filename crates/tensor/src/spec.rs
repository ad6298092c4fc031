use crate::{DType, Tensor};

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A known size.
    Fixed(usize),
    /// A size that the request decides, e.g. `N` or `sequence`; equal names are equal sizes.
    Symbol(String),
}

/// What a graph, segment or boundary says of a tensor before there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name of the value in the graph.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; `None` where not even the rank is known.
    pub shape: Option<Vec<Dim>>,
}

impl TensorSpec {
    /// Whether `tensor` may be passed for this: equal type and rank, equal fixed dimensions.
    /// Symbols accept any size.
    pub fn accepts(&self, tensor: &Tensor) -> bool {
        tensor.dtype() == self.dtype
            && self.shape.as_ref().is_none_or(|dims| {
                dims.len() == tensor.shape().len()
                    && dims.iter().zip(tensor.shape()).all(|(dim, size)| match dim {
                        Dim::Fixed(fixed) => fixed == size,
                        Dim::Symbol(_) => true,
                    })
            })
    }

    /// The shape with every symbol replaced by what `size_of` says; `None` where the rank is unknown.
    pub fn bind(&self, size_of: impl Fn(&str) -> usize) -> Option<Vec<usize>> {
        self.shape.as_ref().map(|dims| {
            dims.iter()
                .map(|dim| match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Symbol(name) => size_of(name),
                })
                .collect()
        })
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
        }
    }
}

impl std::fmt::Display for TensorSpec {
    /// `x: f32[N, 3, 224, 224]`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.dtype)?;
        let Some(dims) = &self.shape else { return f.write_str("[?]") };
        f.write_str("[")?;
        for (index, dim) in dims.iter().enumerate() {
            write!(f, "{}{dim}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
