//! What requests cost, by where they go that no exit answers: in multiplications, or as the planner has it.

use super::candidates::Candidates;
use super::heads::Exit;
use super::written;
use crate::plan::{Ground, Way};
use kerf_bundle::Bundle;
use kerf_engine::Engine;
use kerf_exits::{Costs, Promise, Rung};
use kerf_planner::tiers::{self, Dist};
use std::sync::Arc;

/// What exits are placed by.
pub(crate) struct Routes<'a> {
    ground: Option<&'a Ground>,
    /// Seconds of each head on the profiled device, where there is one.
    heads: Vec<f64>,
}

impl<'a> Routes<'a> {
    pub(crate) fn new(
        bundle: &Bundle,
        engines: &[Arc<dyn Engine>],
        candidates: &Candidates,
        exits: &[Exit],
        ground: Option<&'a Ground>,
    ) -> anyhow::Result<Self> {
        let seconds = |ground: &Ground| written::seconds(bundle, engines, candidates, exits, ground.whole);
        Ok(Self { ground, heads: ground.map(seconds).transpose()?.unwrap_or_default() })
    }

    /// In what costs are.
    pub(crate) fn unit(&self) -> &'static str {
        self.ground.map_or("MACs", Ground::unit)
    }

    /// What was asked for, in words.
    pub(crate) fn asked(&self) -> Option<&str> {
        self.ground.map(|ground| ground.asked.as_str())
    }

    /// For every way that a request may take that no exit answers.
    pub(crate) fn costs(&self, candidates: &Candidates, exits: &[Exit]) -> anyhow::Result<Vec<Costs>> {
        let Some(ground) = self.ground else {
            let to = candidates.places.iter().map(|place| place.to as f64).collect();
            let heads = exits.iter().map(|exit| exit.macs() as f64).collect();
            return Ok(vec![Costs::new(to, heads, candidates.whole as f64)?]);
        };
        let planned = self.planned(candidates, |_| Some((0.0, 0.0)));
        let costs = |route: tiers::Route| {
            // Measured times may fall by a little where nothing happens in between.
            let rising = route.exits.iter().scan(0.0f64, |last, exit| {
                *last = last.max(exit.answered).min(route.whole);
                Some(*last)
            });
            let heads = route.exits.iter().map(|exit| exit.head.max(0.0)).collect();
            let costs = Costs::new(rising.collect(), heads, route.whole)?;
            Ok(costs.with_cuts(route.exits.iter().map(|exit| exit.cut).collect())?)
        };
        ground.routes(&planned)?.into_iter().map(costs).collect()
    }

    /// The best plan with the exits that are open on a rung, as calibration saw them, or without any; `None` where
    /// there is no profile to plan by.
    pub(crate) fn way(
        &self,
        candidates: &Candidates,
        rung: Option<&Rung>,
        promise: &Promise,
    ) -> anyhow::Result<Option<Way>> {
        let Some(ground) = self.ground else { return Ok(None) };
        let Some(rung) = rung else { return ground.plan(&[], 0.0).map(Some) };
        let share = rung.upper / rung.exits.len().max(1) as f64;
        let planned = self.planned(candidates, |at| {
            let figures = rung.exits.get(at).filter(|_| rung.thresholds.is_open(at))?;
            Some((figures.answered as f64 / figures.reached.max(1) as f64, share))
        });
        ground.plan(&planned, promise.risk()).map(Some)
    }

    /// Exits as planners count with them; `of` gives the probability and the loss of those that there are.
    fn planned(&self, candidates: &Candidates, of: impl Fn(usize) -> Option<(f64, f64)>) -> Vec<tiers::Exit> {
        let places = candidates.places.iter().zip(&self.heads).enumerate();
        places
            .filter_map(|(at, (place, seconds))| {
                let (probability, agreement_loss) = of(at)?;
                let head = Dist::exact(*seconds);
                Some(tiers::Exit { boundary: place.boundary, probability, head, agreement_loss })
            })
            .collect()
    }
}
