//! Operators that contract axes.

use super::info::{Info, Shape};
use super::size::Size;
use super::{Call, Rule, one};
use kerf_tensor::DType;
use std::collections::BTreeMap;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "MatMul" => matmul,
        "MatMulInteger" => matmul_integer,
        "QLinearMatMul" => qlinear_matmul,
        "Gemm" => gemm,
        "Einsum" => einsum,
        "Det" => det,
        "Attention" => attention,
        "RotaryEmbedding" => rotary_embedding,
        "LinearAttention" | "SwiGLU" => typed_like_input,
        _ => return None,
    })
}

fn matmul(call: &mut Call<'_>) -> Vec<Info> {
    let shape = matmul_shape(call, 0, 1);
    one(call.dtype(0).or(call.dtype(1)), shape)
}

fn matmul_integer(call: &mut Call<'_>) -> Vec<Info> {
    let shape = matmul_shape(call, 0, 1);
    one(Some(DType::I32), shape)
}

fn qlinear_matmul(call: &mut Call<'_>) -> Vec<Info> {
    let shape = matmul_shape(call, 0, 3);
    one(call.dtype(7).or(call.dtype(0)), shape)
}

/// As `numpy.matmul`: vectors gain an axis that the result does not have.
fn matmul_shape(call: &mut Call<'_>, a: usize, b: usize) -> Option<Shape> {
    let (a, b) = (call.shape(a)?, call.shape(b)?);
    let (a_batch, rows) = match a {
        [] => return None,
        [_] => (&a[..0], None),
        [batch @ .., rows, _] => (batch, Some(rows.clone())),
    };
    let (b_batch, columns) = match b {
        [] => return None,
        [_] => (&b[..0], None),
        [batch @ .., _, columns] => (batch, Some(columns.clone())),
    };
    let mut shape = call.run.broadcast(&[a_batch, b_batch])?;
    shape.extend(rows);
    shape.extend(columns);
    Some(shape)
}

fn gemm(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).zip(call.shape(1)).and_then(|(a, b)| {
        let ([a_rows, a_columns], [b_rows, b_columns]) = (a, b) else { return None };
        let rows = if call.flag("transA") { a_columns } else { a_rows };
        let columns = if call.flag("transB") { b_rows } else { b_columns };
        Some(vec![rows.clone(), columns.clone()])
    });
    one(call.dtype(0), shape)
}

fn det(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).and_then(|shape| Some(shape.get(..shape.len().checked_sub(2)?)?.to_vec()));
    one(call.dtype(0), shape)
}

fn einsum(call: &mut Call<'_>) -> Vec<Info> {
    let shape = einsum_shape(call);
    one(call.dtype(0), shape)
}

fn einsum_shape(call: &mut Call<'_>) -> Option<Shape> {
    let equation = Equation::parse(call.node.string("equation")?)?;
    if equation.terms.len() != call.node.inputs.len() {
        return None;
    }
    let mut sizes: BTreeMap<char, Size> = BTreeMap::new();
    let mut ellipses: Vec<&[Size]> = Vec::new();
    for (index, term) in equation.terms.iter().enumerate() {
        let shape = call.shape(index)?;
        let spread = shape.len().checked_sub(term.before.len() + term.after.len())?;
        if spread > 0 && !term.ellipsis {
            return None;
        }
        let (before, rest) = shape.split_at(term.before.len());
        let (middle, after) = rest.split_at(spread);
        ellipses.extend(term.ellipsis.then_some(middle));
        for (label, size) in term.before.iter().zip(before).chain(term.after.iter().zip(after)) {
            let size = match sizes.get(label) {
                Some(other) => call.run.symbols.broadcast(other, size)?,
                None => size.clone(),
            };
            sizes.insert(*label, size);
        }
    }
    let ellipsis = if ellipses.is_empty() { Vec::new() } else { call.run.broadcast(&ellipses)? };
    let size = |label: &char| sizes.get(label).cloned();
    let mut shape = equation.result.before.iter().map(size).collect::<Option<Vec<_>>>()?;
    if equation.result.ellipsis {
        shape.extend(ellipsis);
    }
    shape.extend(equation.result.after.iter().map(size).collect::<Option<Vec<_>>>()?);
    Some(shape)
}

/// `ij,jk->ik`, with at most one `...` in each term.
pub(crate) struct Equation {
    terms: Vec<Term>,
    result: Term,
}

#[derive(Clone, Default)]
struct Term {
    before: Vec<char>,
    ellipsis: bool,
    after: Vec<char>,
}

impl Equation {
    /// `None` for what is not an equation of `Einsum`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|char| !char.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms = left.split(',').map(Term::parse).collect::<Option<Vec<_>>>()?;
        let result = match right {
            Some(right) => Term::parse(right)?,
            None => Term::implicit(&terms),
        };
        Some(Self { terms, result })
    }

    /// Labels of the operand at `index`, where it has no ellipsis.
    pub(crate) fn labels(&self, index: usize) -> Option<&[char]> {
        self.terms.get(index).filter(|term| !term.ellipsis).map(|term| term.before.as_slice())
    }
}

impl Term {
    fn parse(text: &str) -> Option<Self> {
        let (before, after) = match text.split_once("...") {
            Some((before, after)) => (before, Some(after)),
            None => (text, None),
        };
        let labels = |text: &str| {
            text.chars()
                .map(|label| Some(label).filter(char::is_ascii_alphabetic))
                .collect::<Option<Vec<_>>>()
        };
        Some(Self { before: labels(before)?, ellipsis: after.is_some(), after: labels(after.unwrap_or(""))? })
    }

    /// The ellipsis, then every label that occurs once, in alphabetical order.
    fn implicit(terms: &[Self]) -> Self {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for label in terms.iter().flat_map(|term| term.before.iter().chain(&term.after)) {
            *counts.entry(*label).or_default() += 1;
        }
        let after = counts.into_iter().filter(|(_, count)| *count == 1).map(|(label, _)| label).collect();
        Self { before: Vec::new(), ellipsis: terms.iter().any(|term| term.ellipsis), after }
    }
}

/// Outputs `Y, present_key, present_value, qk`; inputs `Q, K, V, mask, past_key, past_value`.
fn attention(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0);
    let Some(shapes) = attention_shapes(call) else {
        return vec![Info::new(dtype, None), Info::new(call.dtype(1), None), Info::new(call.dtype(2), None)];
    };
    let [output, key, value, scores] = shapes.map(Some);
    vec![
        Info::new(dtype, output),
        Info::new(call.dtype(1), key),
        Info::new(call.dtype(2), value),
        Info::new(dtype, scores),
    ]
}

fn attention_shapes(call: &mut Call<'_>) -> Option<[Shape; 4]> {
    let heads = |name: &str| call.node.int(name).filter(|heads| *heads > 0).map(Size::Known);
    let (query, key, value) = (call.shape(0)?, call.shape(1)?, call.shape(2)?);
    let past = call.shape(4).and_then(|past| past.get(2)).cloned();
    // `[batch, sequence, hidden]`, or `[batch, heads, sequence, size]`.
    let (batch, queries, query_heads, key_heads, keys, key_size, value_size) = match (query, key, value) {
        ([batch, queries, _], [_, keys, key_hidden], [_, _, value_hidden]) => {
            let (query_heads, key_heads) = (heads("q_num_heads")?, heads("kv_num_heads")?);
            let key_size = call.run.symbols.floor_div(key_hidden, &key_heads)?;
            let value_size = call.run.symbols.floor_div(value_hidden, &key_heads)?;
            (batch, queries, query_heads, key_heads, keys, key_size, value_size)
        }
        ([batch, heads, queries, _], [_, key_heads, keys, key_size], [_, _, _, value_size]) => {
            (batch, queries, heads.clone(), key_heads.clone(), keys, key_size.clone(), value_size.clone())
        }
        _ => return None,
    };
    let total = match (past, call.has(4)) {
        (Some(past), _) => past.add(keys)?,
        (None, true) => call.run.symbols.fresh(),
        (None, false) => keys.clone(),
    };
    let output = match query.len() {
        3 => vec![batch.clone(), queries.clone(), query_heads.mul(&value_size)?],
        _ => vec![batch.clone(), query_heads.clone(), queries.clone(), value_size.clone()],
    };
    Some([
        output,
        vec![batch.clone(), key_heads.clone(), total.clone(), key_size],
        vec![batch.clone(), key_heads, total.clone(), value_size],
        vec![batch.clone(), query_heads, queries.clone(), total],
    ])
}

fn rotary_embedding(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), call.shape(0).map(<[_]>::to_vec))
}

fn typed_like_input(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), None)
}
