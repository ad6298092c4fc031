//! Shape arithmetic over sizes that are not known yet.
//!
//! `[N, 3, H, W]` flattened, halved, padded and reshaped back must come out as the same
//! `N`, `H` and `W`, and two branches that treat `H` alike must end in equal sizes, or the
//! tensors between them look incompatible. A [`Size`] is therefore a polynomial with integer
//! coefficients over *atoms*: the graph's symbols, and the interned results of operations that
//! polynomials are not closed under (division, minimum, ...), which [`Symbols`](super::symbols::Symbols)
//! keeps. Equal polynomials are equal sizes.

use std::rc::Rc;

/// A dimension, or an element of a shape computation; may be negative while in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Size {
    Known(i64),
    /// Not a constant.
    Poly(Rc<Poly>),
}

/// `constant + Σ coefficient · Π atoms`; terms are sorted, distinct, and none is zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Poly {
    terms: Vec<(Vec<Atom>, i64)>,
    constant: i64,
}

/// Index of an atom in the order of its making.
pub(super) type Atom = u32;

/// More terms than shape plumbing ever needs; a larger result is an unknown size.
const MAX_TERMS: usize = 16;
const MAX_DEGREE: usize = 12;

impl Size {
    pub(super) const ONE: Self = Self::Known(1);

    pub(super) fn of_atom(atom: Atom) -> Self {
        Self::Poly(Rc::new(Poly { terms: vec![(vec![atom], 1)], constant: 0 }))
    }

    pub(super) fn known(&self) -> Option<i64> {
        match self {
            Self::Known(size) => Some(*size),
            Self::Poly(_) => None,
        }
    }

    pub(super) fn add(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_add(*b).map(Self::Known);
        }
        let mut sum = Sum::default();
        for size in [self, other] {
            sum.constant = sum.constant.checked_add(size.constant())?;
            for (atoms, coefficient) in size.terms() {
                sum.push(atoms.clone(), *coefficient)?;
            }
        }
        sum.finish()
    }

    pub(super) fn sub(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_sub(*b).map(Self::Known);
        }
        self.add(&other.mul(&Self::Known(-1))?)
    }

    pub(super) fn mul(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_mul(*b).map(Self::Known);
        }
        let mut sum = Sum::default();
        for (a_atoms, a) in self.all_terms() {
            for (b_atoms, b) in other.all_terms() {
                let coefficient = a.checked_mul(b)?;
                let mut atoms = [a_atoms, b_atoms].concat();
                if atoms.len() > MAX_DEGREE {
                    return None;
                }
                atoms.sort_unstable();
                match atoms.is_empty() {
                    true => sum.constant = sum.constant.checked_add(coefficient)?,
                    false => sum.push(atoms, coefficient)?,
                }
            }
        }
        sum.finish()
    }

    pub(super) fn offset(&self, by: i64) -> Option<Self> {
        self.add(&Self::Known(by))
    }

    pub(super) fn scale(&self, by: i64) -> Option<Self> {
        self.mul(&Self::Known(by))
    }

    /// The product; 1 for no sizes.
    pub(super) fn product<'a>(sizes: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        sizes.into_iter().try_fold(Self::ONE, |product, size| product.mul(size))
    }

    /// The quotient where it provably has no remainder, whatever the symbols are.
    pub(super) fn exact_div(&self, by: &Self) -> Option<Self> {
        let (divisible, rest) = self.split_by(by)?;
        (rest == Self::Known(0)).then_some(divisible)
    }

    /// `(q, r)` with `self = q·by + r`, where `q` takes every term that `by`, a monomial, divides.
    pub(super) fn split_by(&self, by: &Self) -> Option<(Self, Self)> {
        let mut monomial = by.all_terms();
        let (divisor, coefficient) = monomial.next()?;
        if coefficient == 0 || monomial.next().is_some() {
            return None;
        }
        let (mut quotient, mut rest) = (Sum::default(), Sum::default());
        for (atoms, numerator) in self.all_terms() {
            let divided = without(atoms, divisor).filter(|_| numerator.checked_rem(coefficient) == Some(0));
            match divided {
                Some(left) => quotient.push(left, numerator.checked_div(coefficient)?)?,
                None => rest.push(atoms.to_vec(), numerator)?,
            }
        }
        Some((quotient.finish()?, rest.finish()?))
    }

    pub(super) fn constant(&self) -> i64 {
        match self {
            Self::Known(constant) => *constant,
            Self::Poly(poly) => poly.constant,
        }
    }

    pub(super) fn terms(&self) -> &[(Vec<Atom>, i64)] {
        match self {
            Self::Known(_) => &[],
            Self::Poly(poly) => &poly.terms,
        }
    }

    /// The terms and the constant, if it is not zero, as a term without atoms.
    pub(super) fn all_terms(&self) -> impl Iterator<Item = (&[Atom], i64)> {
        let constant = Some(self.constant()).filter(|constant| *constant != 0);
        self.terms()
            .iter()
            .map(|(atoms, coefficient)| (atoms.as_slice(), *coefficient))
            .chain(constant.map(|constant| (&[][..], constant)))
    }
}

impl From<i64> for Size {
    fn from(size: i64) -> Self {
        Self::Known(size)
    }
}

/// A polynomial under construction.
#[derive(Default)]
struct Sum {
    terms: Vec<(Vec<Atom>, i64)>,
    constant: i64,
}

impl Sum {
    /// `None` on overflow, or where the polynomial grows beyond what is worth carrying.
    fn push(&mut self, atoms: Vec<Atom>, coefficient: i64) -> Option<()> {
        if atoms.is_empty() {
            self.constant = self.constant.checked_add(coefficient)?;
            return Some(());
        }
        match self.terms.binary_search_by(|(other, _)| other.cmp(&atoms)) {
            Ok(found) => {
                let sum = self.terms[found].1.checked_add(coefficient)?;
                match sum {
                    0 => drop(self.terms.remove(found)),
                    _ => self.terms[found].1 = sum,
                }
            }
            Err(place) if self.terms.len() < MAX_TERMS => self.terms.insert(place, (atoms, coefficient)),
            Err(_) => return None,
        }
        Some(())
    }

    fn finish(self) -> Option<Size> {
        Some(match self.terms.is_empty() {
            true => Size::Known(self.constant),
            false => Size::Poly(Rc::new(Poly { terms: self.terms, constant: self.constant })),
        })
    }
}

/// The sorted multiset `atoms` less `divisor`, where it holds all of it.
fn without(atoms: &[Atom], divisor: &[Atom]) -> Option<Vec<Atom>> {
    let mut left = atoms.to_vec();
    for atom in divisor {
        left.remove(left.iter().position(|other| other == atom)?);
    }
    Some(left)
}
