//! Symbols, and what polynomials of them cannot say.
//!
//! A symbol stands for a size of at least 1, so that all but one of `H` is `H - 1` and not
//! `max(H - 1, 0)`. Empty tensors are exact once their symbols are bound.

use super::size::{Atom, Size};
use kerf_tensor::Dim;
use std::collections::{HashMap, HashSet};

/// The atoms of one inference run, and the names under which sizes leave it.
#[derive(Default)]
pub(super) struct Symbols {
    atoms: Vec<AtomFacts>,
    index: HashMap<Def, Atom>,
    /// Names given to sizes that are not a plain symbol.
    names: HashMap<Size, String>,
    taken: HashSet<String>,
}

struct AtomFacts {
    name: Option<String>,
    /// Provably never less than this.
    low: Option<i64>,
    /// `(a, k)` of `min(a, k)`.
    capped: Option<(Size, i64)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Def {
    Symbol(String),
    Op(Op, Size, Size),
}

/// What makes an atom of two sizes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    FloorDiv,
    TruncDiv,
    Mod,
    Min,
    Max,
    Broadcast,
}

impl Symbols {
    /// The size called `name`.
    pub(super) fn symbol(&mut self, name: &str) -> Size {
        self.taken.insert(name.to_owned());
        let atom = match self.index.get(&Def::Symbol(name.to_owned())) {
            Some(atom) => *atom,
            None => {
                let atom = self.atom(Some(name.to_owned()), Some(1));
                self.index.insert(Def::Symbol(name.to_owned()), atom);
                atom
            }
        };
        Size::of_atom(atom)
    }

    /// A size of which nothing is known but that it is one.
    pub(super) fn fresh(&mut self) -> Size {
        let atom = self.atom(None, Some(0));
        Size::of_atom(atom)
    }

    /// Division rounding down, as for window counts.
    pub(super) fn floor_div(&mut self, a: &Size, b: &Size) -> Option<Size> {
        if let (Size::Known(a), Size::Known(b)) = (a, b) {
            let quotient = a.checked_div(*b)?;
            let inexact = a.checked_rem(*b)? != 0;
            return Some(Size::Known(if inexact && (*a < 0) != (*b < 0) { quotient - 1 } else { quotient }));
        }
        if *b == Size::Known(0) {
            return None;
        }
        match a.split_by(b) {
            Some((quotient, Size::Known(0))) => Some(quotient),
            // floor((q·b + r) / b) = q + floor(r / b)
            Some((quotient, rest)) => {
                let rest = match (&rest, b) {
                    (Size::Known(_), Size::Known(_)) => self.floor_div(&rest, b)?,
                    _ => self.op(Op::FloorDiv, &rest, b),
                };
                quotient.add(&rest)
            }
            None => Some(self.op(Op::FloorDiv, a, b)),
        }
    }

    pub(super) fn ceil_div(&mut self, a: &Size, b: &Size) -> Option<Size> {
        let raised = a.add(b)?.offset(-1)?;
        self.floor_div(&raised, b)
    }

    /// Division rounding toward zero, as ONNX `Div` does for integers.
    pub(super) fn trunc_div(&mut self, a: &Size, b: &Size) -> Option<Size> {
        if let (Size::Known(a), Size::Known(b)) = (a, b) {
            return a.checked_div(*b).map(Size::Known);
        }
        if *b == Size::Known(0) {
            return None;
        }
        if let Some(quotient) = a.exact_div(b) {
            return Some(quotient);
        }
        match self.is_natural(a) && self.is_natural(b) {
            true => self.floor_div(a, b),
            false => Some(self.op(Op::TruncDiv, a, b)),
        }
    }

    /// Remainder with the sign of the divisor, as ONNX `Mod` with `fmod` 0.
    pub(super) fn modulo(&mut self, a: &Size, b: &Size) -> Option<Size> {
        if let (Size::Known(a), Size::Known(b)) = (a, b) {
            let rest = a.checked_rem(*b)?;
            return Some(Size::Known(if rest != 0 && (rest < 0) != (*b < 0) { rest + b } else { rest }));
        }
        if *b == Size::Known(0) {
            return None;
        }
        match a.split_by(b) {
            Some((_, Size::Known(0))) => Some(Size::Known(0)),
            _ => Some(self.op(Op::Mod, a, b)),
        }
    }

    pub(super) fn max(&mut self, a: &Size, b: &Size) -> Size {
        match self.is_at_least(a, b) {
            Some(true) => a.clone(),
            Some(false) => b.clone(),
            None => self.commutative(Op::Max, a, b),
        }
    }

    pub(super) fn min(&mut self, a: &Size, b: &Size) -> Size {
        match self.is_at_least(a, b) {
            Some(true) => b.clone(),
            Some(false) => a.clone(),
            None => self.commutative(Op::Min, a, b),
        }
    }

    /// The size that two broadcast dimensions give; `None` where they are provably incompatible.
    pub(super) fn broadcast(&mut self, a: &Size, b: &Size) -> Option<Size> {
        match (a, b) {
            _ if a == b => Some(a.clone()),
            (Size::Known(1), other) | (other, Size::Known(1)) => Some(other.clone()),
            (Size::Known(_), Size::Known(_)) => None,
            // The other is this one or 1.
            (Size::Known(size), _) | (_, Size::Known(size)) => Some(Size::Known(*size)),
            _ if self.is_capped(b, a) => Some(a.clone()),
            _ if self.is_capped(a, b) => Some(b.clone()),
            _ if self.is_at_least(a, &Size::Known(2)) == Some(true) => Some(a.clone()),
            _ if self.is_at_least(b, &Size::Known(2)) == Some(true) => Some(b.clone()),
            _ => Some(self.commutative(Op::Broadcast, a, b)),
        }
    }

    /// Whether `a == b`, where that is the same for every value of the symbols.
    pub(super) fn is_equal(&self, a: &Size, b: &Size) -> Option<bool> {
        if let (Size::Known(a), Size::Known(b)) = (a, b) {
            return Some(a == b);
        }
        if a == b {
            return Some(true);
        }
        let above = self.low(&a.sub(b)?).is_some_and(|low| low > 0);
        let below = self.low(&b.sub(a)?).is_some_and(|low| low > 0);
        (above || below).then_some(false)
    }

    /// Whether `a >= b`, where that is the same for every value of the symbols.
    pub(super) fn is_at_least(&self, a: &Size, b: &Size) -> Option<bool> {
        if let (Size::Known(a), Size::Known(b)) = (a, b) {
            return Some(a >= b);
        }
        if self.is_natural(&a.sub(b)?) {
            return Some(true);
        }
        self.low(&b.sub(a)?).is_some_and(|low| low > 0).then_some(false)
    }

    /// Whether the size is provably not negative.
    pub(super) fn is_natural(&self, size: &Size) -> bool {
        self.low(size).is_some_and(|low| low >= 0)
    }

    /// The least that the size can be, where that is known.
    fn low(&self, size: &Size) -> Option<i64> {
        size.all_terms().try_fold(0i64, |sum, (atoms, coefficient)| {
            if coefficient < 0 && !atoms.is_empty() {
                return None;
            }
            let term = atoms.iter().try_fold(coefficient, |product, atom| {
                let low = self.atoms[*atom as usize].low.filter(|low| *low >= 0 || atoms.len() == 1)?;
                product.checked_mul(low)
            })?;
            sum.checked_add(term)
        })
    }

    /// Whether `capped` is `min(size, k)` for a `k` above 1. Where these two broadcast at all, the
    /// cap did not bite: position tables are cut to the length of the sequence like that.
    fn is_capped(&self, capped: &Size, size: &Size) -> bool {
        self.sole_atom(capped)
            .and_then(|atom| self.atoms[atom as usize].capped.as_ref())
            .is_some_and(|(of, cap)| of == size && *cap > 1)
    }

    /// The atom that a size is, where it is nothing more.
    fn sole_atom(&self, size: &Size) -> Option<Atom> {
        match (size.terms(), size.constant()) {
            ([(atoms, 1)], 0) => match atoms.as_slice() {
                [atom] => Some(*atom),
                _ => None,
            },
            _ => None,
        }
    }

    /// How the size is shown to those outside: the first dimension in which it appears names it.
    /// `None` for a negative size.
    pub(super) fn dim(&mut self, size: &Size, value: &str, axis: usize) -> Option<Dim> {
        if let Size::Known(size) = size {
            return usize::try_from(*size).ok().map(Dim::Fixed);
        }
        if let Some(name) = self.sole_atom(size).and_then(|atom| self.atoms[atom as usize].name.as_ref()) {
            return Some(Dim::Symbol(name.clone()));
        }
        if let Some(name) = self.names.get(size) {
            return Some(Dim::Symbol(name.clone()));
        }
        let mut name = format!("{value}.{axis}");
        while !self.taken.insert(name.clone()) {
            name.push('\'');
        }
        self.names.insert(size.clone(), name.clone());
        Some(Dim::Symbol(name))
    }

    fn commutative(&mut self, op: Op, a: &Size, b: &Size) -> Size {
        match a <= b {
            true => self.op(op, a, b),
            false => self.op(op, b, a),
        }
    }

    fn op(&mut self, op: Op, a: &Size, b: &Size) -> Size {
        let def = Def::Op(op, a.clone(), b.clone());
        let atom = match self.index.get(&def) {
            Some(atom) => *atom,
            None => {
                let low = self.op_low(op, a, b);
                let atom = self.atom(None, low);
                self.atoms[atom as usize].capped = match (op, a, b) {
                    (Op::Min, Size::Known(cap), size) | (Op::Min, size, Size::Known(cap)) => {
                        Some((size.clone(), *cap))
                    }
                    _ => None,
                };
                self.index.insert(def, atom);
                atom
            }
        };
        Size::of_atom(atom)
    }

    fn op_low(&self, op: Op, a: &Size, b: &Size) -> Option<i64> {
        let (low_a, low_b) = (self.low(a), self.low(b));
        match (op, b) {
            (Op::FloorDiv, Size::Known(by)) if *by > 0 => Some(low_a?.div_euclid(*by)),
            (Op::FloorDiv | Op::TruncDiv, _) => (low_a? >= 0 && low_b? >= 0).then_some(0),
            (Op::Mod, _) => (low_b? > 0).then_some(0),
            (Op::Min | Op::Broadcast, _) => Some(low_a?.min(low_b?)),
            (Op::Max, _) => low_a.max(low_b),
        }
    }

    fn atom(&mut self, name: Option<String>, low: Option<i64>) -> Atom {
        let atom = self.atoms.len() as Atom;
        self.atoms.push(AtomFacts { name, low, capped: None });
        atom
    }
}
