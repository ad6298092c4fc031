//! What an early answer saves.

use serde::{Deserialize, Serialize};

/// What it takes to come to each exit, to ask its head, and to finish without any: all of one unit, be it
/// MACs, seconds or joules.
///
/// Where a request that no head answers is shipped from some boundary, the exits before that are the ones
/// that there are, and to finish is to ship it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Said", into = "Said")]
pub struct Costs {
    to_exit: Vec<f64>,
    head: Vec<f64>,
    cut: Vec<f64>,
    whole: f64,
}

/// Why these are no costs.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CostsError {
    /// Not one head for every exit.
    #[error("costs to {exits} exits and {found} {what}: expected as many of each")]
    Lengths {
        /// Of what else.
        what: &'static str,
        /// Costs to come to an exit.
        exits: usize,
        /// Costs of the other.
        found: usize,
    },
    /// Negative, or not finite.
    #[error("{what}: {value} is no cost")]
    Value {
        /// Which.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// An exit costs less than the one before it, or more than the whole.
    #[error("exit {0} costs less to come to than the one before, or more than the whole model")]
    Order(usize),
}

impl Costs {
    /// `to_exit` is from the start to each exit's boundary without any head, and rises; `head` is each
    /// head alone; `whole` is the whole model without heads.
    pub fn new(to_exit: Vec<f64>, head: Vec<f64>, whole: f64) -> Result<Self, CostsError> {
        if to_exit.len() != head.len() {
            return Err(CostsError::Lengths { what: "heads", exits: to_exit.len(), found: head.len() });
        }
        for (what, values) in
            [("coming to an exit", &to_exit[..]), ("a head", &head[..]), ("the whole model", &[whole][..])]
        {
            finite(what, values)?;
        }
        let mut last = 0.0;
        for (exit, cost) in to_exit.iter().enumerate() {
            if *cost < last || *cost > whole {
                return Err(CostsError::Order(exit));
            }
            last = *cost;
        }
        let cut = vec![0.0; head.len()];
        Ok(Self { to_exit, head, cut, whole })
    }

    /// The same where it takes more to go on from an exit than to have run past it: the model in two pieces
    /// is slower than in one.
    pub fn with_cuts(self, cut: Vec<f64>) -> Result<Self, CostsError> {
        if cut.len() != self.exits() {
            return Err(CostsError::Lengths { what: "cuts", exits: self.exits(), found: cut.len() });
        }
        finite("a cut", &cut)?;
        Ok(Self { cut, ..self })
    }

    /// How many exits.
    pub fn exits(&self) -> usize {
        self.to_exit.len()
    }

    /// From the start to the boundary of an exit; that of the whole model after the last.
    pub fn to_exit(&self, exit: usize) -> f64 {
        self.to_exit.get(exit).copied().unwrap_or(self.whole)
    }

    /// One head; 0 where there is none.
    pub fn head(&self, exit: usize) -> f64 {
        self.head.get(exit).copied().unwrap_or(0.0)
    }

    /// What going on from an exit takes beside its head; 0 where there is none.
    pub fn cut(&self, exit: usize) -> f64 {
        self.cut.get(exit).copied().unwrap_or(0.0)
    }

    /// To finish without any exit, heads left out.
    pub fn whole(&self) -> f64 {
        self.whole
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    to_exit: Vec<f64>,
    head: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cut: Vec<f64>,
    whole: f64,
}

fn finite(what: &'static str, values: &[f64]) -> Result<(), CostsError> {
    let odd = values.iter().find(|value| !value.is_finite() || **value < 0.0);
    odd.map_or(Ok(()), |value| Err(CostsError::Value { what, value: *value }))
}

impl TryFrom<Said> for Costs {
    type Error = CostsError;

    fn try_from(said: Said) -> Result<Self, CostsError> {
        let costs = Self::new(said.to_exit, said.head, said.whole)?;
        if said.cut.is_empty() { Ok(costs) } else { costs.with_cuts(said.cut) }
    }
}

impl From<Costs> for Said {
    fn from(costs: Costs) -> Self {
        Self { to_exit: costs.to_exit, head: costs.head, cut: costs.cut, whole: costs.whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_that_are_none() {
        let new = |to_exit: &[f64], head: &[f64], whole| Costs::new(to_exit.to_vec(), head.to_vec(), whole);
        assert!(new(&[1.0, 1.0, 3.0], &[0.1, 0.0, 0.2], 3.0).is_ok());
        assert_eq!(new(&[1.0], &[], 3.0), Err(CostsError::Lengths { what: "heads", exits: 1, found: 0 }));
        let cut = |cut: &[f64]| new(&[1.0], &[0.0], 3.0).unwrap().with_cuts(cut.to_vec());
        assert!(cut(&[0.5]).is_ok());
        assert_eq!(cut(&[]), Err(CostsError::Lengths { what: "cuts", exits: 1, found: 0 }));
        assert!(matches!(cut(&[-0.5]), Err(CostsError::Value { what: "a cut", .. })));
        assert_eq!(new(&[2.0, 1.0], &[0.0; 2], 3.0), Err(CostsError::Order(1)));
        assert_eq!(new(&[4.0], &[0.0], 3.0), Err(CostsError::Order(0)));
        for (to_exit, head, whole) in [(-1.0, 0.0, 3.0), (0.0, f64::INFINITY, 3.0), (0.0, 0.0, f64::NAN)] {
            assert!(matches!(new(&[to_exit], &[head], whole), Err(CostsError::Value { .. })));
        }
    }
}
