//! Which boundaries have a head that may answer, and when may it?
//!
//! Exits are the edge's own business: they are in the manifest, so that nobody changes them unseen, and
//! not in the version digest, so that they can be fitted anew while clouds stay as they are.

use crate::{Bundle, Digest, EXITS, Manifest, sha256};
use bytes::Bytes;
use kerf_exits::{Calibration, Certified, Gate, Reference, Rung};
use kerf_graph::{CutError, CutModel, LoadError, Model, NoExternalData, boundaries};
use kerf_planner::tiers::{Dist, Exit as Planned};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Exits of a packed model, in the order of their boundaries.
#[derive(Clone)]
pub struct Exits {
    /// When they answer, and what is promised.
    pub fitted: FittedExits,
    /// Their heads.
    pub heads: Vec<ExitHead>,
}

/// A head: fitted, or a branch that the model was made with.
#[derive(Clone)]
pub struct ExitHead {
    /// Its file.
    pub onnx: Bytes,
    /// The same, with the boundaries `b0` and `b1`: from the tensors of a boundary to the answer.
    pub model: Arc<CutModel>,
}

/// What `1/exits.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedExits {
    /// The output in whose place heads answer.
    pub output: String,
    /// How many inputs say so.
    pub inputs: ExitInputs,
    /// By boundary.
    pub exits: Vec<FittedExit>,
    /// What is promised, the thresholds under which that was tested, and stricter ones.
    pub certified: Certified,
}

/// How many inputs did what; no input did two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitInputs {
    /// Heads were fitted to these.
    pub fit: u32,
    /// Thresholds and measures of confidence were proposed on these.
    pub tune: u32,
    /// The promise was tested on these.
    pub calibrate: u32,
}

/// One exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedExit {
    /// Where it is.
    pub boundary: u16,
    /// What it is, for people: `conv 32, 64`.
    pub kind: String,
    /// Multiplications and additions of one request.
    pub macs: u64,
    /// Seconds of one request, on the machine that fitted.
    pub seconds: f64,
    /// How sure it is of an answer.
    pub gate: Gate,
    /// How likely it agrees with the whole model, by its confidence.
    pub calibration: Calibration,
    /// Its confidences on the calibration set, where no earlier exit answered: what drift is told by.
    /// Absent where too few came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// What is wrong with a model's exits.
#[derive(Debug, thiserror::Error)]
pub enum ExitsError {
    /// The syntax of what was fitted.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// Parts that do not fit each other or the model.
    #[error("{0}")]
    Misfit(String),
    /// A head that does not load.
    #[error("the head at b{boundary}: {source}")]
    Load {
        /// Its boundary.
        boundary: u16,
        /// Why.
        source: LoadError,
    },
    /// A head that is none.
    #[error("the head at b{boundary}: {source}")]
    Cut {
        /// Its boundary.
        boundary: u16,
        /// Why.
        source: CutError,
    },
}

/// Where the head of a boundary lies.
pub fn head_path(boundary: u16) -> String {
    format!("1/exits/b{boundary}.onnx")
}

/// Whether a path is that of a head.
pub(crate) fn is_head(path: &str) -> bool {
    let number = path.strip_prefix("1/exits/b").and_then(|path| path.strip_suffix(".onnx"));
    number.is_some_and(|number| number.parse().is_ok_and(|boundary| head_path(boundary) == path))
}

impl ExitHead {
    /// Loads a head.
    ///
    /// # Errors
    /// It is no model.
    pub fn new(boundary: u16, onnx: Bytes) -> Result<Self, ExitsError> {
        let model = Model::load(onnx.clone(), &NoExternalData)
            .map_err(|source| ExitsError::Load { boundary, source })?;
        let places = boundaries(&model, 2);
        let model = CutModel::new(model, places).map_err(|source| ExitsError::Cut { boundary, source })?;
        Ok(Self { onnx, model: Arc::new(model) })
    }
}

impl Exits {
    /// Joins what was fitted and the heads, and checks them against the model that they are for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(fitted: FittedExits, heads: Vec<ExitHead>, model: &CutModel) -> Result<Self, ExitsError> {
        let exits = Self { fitted, heads };
        exits.check(model).map_err(ExitsError::Misfit)?;
        Ok(exits)
    }

    /// Reads them; `head` gives the file of a boundary's head.
    pub(crate) fn parse<E: From<ExitsError>>(
        json: &[u8],
        model: &CutModel,
        mut head: impl FnMut(u16) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let fitted: FittedExits = serde_json::from_slice(json).map_err(ExitsError::from)?;
        let mut heads = Vec::new();
        for exit in &fitted.exits {
            heads.push(ExitHead::new(exit.boundary, head(exit.boundary)?)?);
        }
        Ok(Self::new(fitted, heads, model)?)
    }

    /// What is promised to be lost, of all requests.
    pub fn risk(&self) -> f64 {
        self.fitted.certified.promise().risk()
    }

    /// What a planner counts on where thresholds are those of a rung: its open exits as calibration saw
    /// them, with seconds of the machine that fitted. The risk that calibration does not rule out is
    /// divided as errors were.
    pub fn planned(&self, rung: &Rung) -> Vec<Planned> {
        let errors: u64 = rung.exits.iter().map(|exit| exit.wrong).sum();
        let exits = self.fitted.exits.iter().zip(&rung.exits).enumerate();
        exits
            .filter(|(at, _)| rung.thresholds.is_open(*at))
            .map(|(_, exit)| exit)
            .map(|(exit, figures)| Planned {
                boundary: exit.boundary.into(),
                probability: figures.answered as f64 / figures.reached.max(1) as f64,
                head: Dist::exact(exit.seconds),
                agreement_loss: match errors {
                    0 => rung.upper / rung.exits.len() as f64,
                    errors => rung.upper * figures.wrong as f64 / errors as f64,
                },
            })
            .collect()
    }

    /// `b7 answers 19%, b13 62% of those that come; promised: 1% at 95%`.
    pub fn said(&self) -> String {
        let percent = |share: f64| format!("{}%", (share * 1e3).round() / 10.0);
        let exits = self.planned(self.fitted.certified.loosest()).into_iter();
        let exits: Vec<String> =
            exits.map(|exit| format!("b{} answers {}", exit.boundary, percent(exit.probability))).collect();
        let promise = self.fitted.certified.promise();
        format!("{} of those that come to it; promised: {promise}", exits.join(", "))
    }

    /// The files that hold them.
    ///
    /// # Errors
    /// A figure is no number.
    pub fn files(&self) -> Result<Vec<(String, Bytes)>, ExitsError> {
        let mut json = serde_json::to_vec_pretty(&self.fitted)?;
        json.push(b'\n');
        let heads = self.fitted.exits.iter().zip(&self.heads);
        let heads = heads.map(|(exit, head)| (head_path(exit.boundary), head.onnx.clone()));
        Ok([(EXITS.to_owned(), json.into())].into_iter().chain(heads).collect())
    }

    /// Tells these exits from all others, whatever model they are of: what was learnt of them while they
    /// answered says nothing of those that are fitted later.
    ///
    /// # Errors
    /// A figure is no number.
    pub fn digest(&self) -> Result<Digest, ExitsError> {
        let files = self.files()?;
        let manifest = Manifest::of(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_ref())));
        Ok(sha256(manifest.to_json().as_bytes()))
    }

    fn check(&self, model: &CutModel) -> Result<(), String> {
        let FittedExits { output, exits, certified, .. } = &self.fitted;
        let Some(answer) = model.model().outputs().iter().find(|spec| spec.name == *output) else {
            return Err(format!("exits answer in place of {output:?}, which is no output of the model"));
        };
        let (count, last) = (exits.len(), model.last());
        let thresholds = certified.loosest().thresholds.len();
        if count == 0 || self.heads.len() != count || thresholds != count {
            return Err(format!(
                "{count} exits, {} heads and {thresholds} thresholds: expected as many of each, one at least",
                self.heads.len(),
            ));
        }
        if !exits.is_sorted_by(|a, b| a.boundary < b.boundary) {
            return Err("exits are not in the order of their boundaries".to_owned());
        }
        for (exit, head) in exits.iter().zip(&self.heads) {
            let boundary = usize::from(exit.boundary);
            if boundary == 0 || boundary >= last {
                return Err(format!("an exit at b{boundary}: the model has b1 to b{} for them", last - 1));
            }
            if !(exit.seconds.is_finite() && exit.seconds >= 0.0) {
                return Err(format!("the head at b{boundary} takes {} seconds", exit.seconds));
            }
            let tensors = &model.boundaries()[boundary].tensors;
            let head = head.model.model();
            if let Some(odd) = head.inputs().iter().find(|spec| !tensors.contains(spec)) {
                return Err(format!("the head at b{boundary} wants {odd}, which is not there"));
            }
            if head.outputs() != std::slice::from_ref(answer) {
                return Err(format!("the head at b{boundary} does not answer {answer}"));
            }
        }
        Ok(())
    }
}

impl Bundle {
    /// The same model with other exits, or with none.
    #[must_use]
    pub fn with_exits(self, exits: Option<Exits>) -> Self {
        Self { exits, ..self }
    }
}
