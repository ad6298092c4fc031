//! Joint thresholds at a price per error, and the way from one price to the next.
//!
//! Where each error has a price, the best threshold of one exit, the others fixed, is found exactly: one
//! look at the requests in the order of its confidence. Doing so in turn until nothing changes is coordinate
//! descent. A low price gives loose thresholds, a high one strict ones. Going along prices rather than from
//! step to step looks at many requests at once, and so follows what heads are good at rather than
//! where these requests happen to have no errors.

use crate::expect::thin;
use crate::{Costs, Outcomes, Thresholds};
use std::ops::{Range, RangeInclusive};

/// Vectors on a path: calibration could not tell more of them apart.
const MOST_VECTORS: usize = 512;

/// Parts of the requests that one step of a path may add at most.
const PARTS: usize = 64;

/// Parts of the errors at the end of a path that one step may add, where equal confidences let it.
const ERROR_PARTS: u64 = 128;

/// By how much the price changes from one vector to the next.
const STRICTER: f64 = 1.6;
const LOOSER: f64 = 0.8;

/// Halvings of the range of prices.
const PRICES: usize = 16;

/// Prices from one end of a path to its middle.
const MOST_CORNERS: usize = 64;

/// Coordinate descent comes to rest sooner.
const ROUNDS: usize = 20;

/// Tuning data, sorted for walking.
pub(super) struct Walk<'a> {
    costs: &'a Costs,
    requests: usize,
    exits: Vec<Sorted>,
}

/// What one exit says.
struct Sorted {
    /// The most confident first; requests that it cannot judge are left out.
    order: Vec<usize>,
    confidence: Vec<f64>,
    /// The place of each request in that order, beyond all where it is not in it.
    place: Vec<usize>,
    wrong: Vec<bool>,
}

/// How many requests each kept exit admits.
type Places = Vec<usize>;

/// The best places that were found at a price.
struct Priced {
    price: f64,
    places: Places,
}

/// One request.
struct Seen {
    /// Whether no exit before answers it.
    comes: bool,
    /// What it costs by the exits from there on.
    alternative: f64,
    /// Whether some exit is confident and wrong.
    is_lost: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tuning: &'a Outcomes, costs: &'a Costs) -> Self {
        let exits = (0..tuning.exits()).map(|exit| Sorted::of(tuning, exit)).collect();
        Self { costs, requests: tuning.len(), exits }
    }

    /// The exits that there are before a request leaves.
    pub(super) fn exits(&self) -> Range<usize> {
        0..self.costs.exits()
    }

    /// Vectors of thresholds up to `errors` errors, strictest first, the best of them around `budget`.
    pub(super) fn path(&self, kept: &[usize], budget: u64, errors: u64) -> Vec<Thresholds> {
        let thresholds = |places: &Places| {
            let mut thresholds = Thresholds::closed(self.exits.len());
            for (exit, place) in kept.iter().zip(places) {
                if *place > 0 {
                    thresholds.open(*exit, self.exits[*exit].threshold(*place));
                }
            }
            thresholds
        };
        thin(&self.places(kept, budget, errors), MOST_VECTORS).iter().map(thresholds).collect()
    }

    /// The cost of every request where a path over these exits comes to more than `budget` errors.
    pub(super) fn costs_of(&self, kept: &[usize], budget: u64) -> Vec<f64> {
        let corners = self.anchor(kept, budget).map(|anchor| self.looser(kept, &anchor, budget));
        let places = corners.and_then(|corners| self.between(kept, &corners, budget).pop());
        let places = places.unwrap_or_else(|| vec![0; kept.len()]);
        (0..self.requests).map(|request| self.seen_from(kept, &places, request, None).alternative).collect()
    }

    fn places(&self, kept: &[usize], budget: u64, errors: u64) -> Vec<Places> {
        let Some(anchor) = self.anchor(kept, budget) else { return Vec::new() };
        let mut corners = self.stricter(kept, &anchor);
        corners.extend(self.looser(kept, &anchor, errors));
        self.between(kept, &corners, errors)
    }

    /// The price whose thresholds cost the least within `budget` errors.
    fn anchor(&self, kept: &[usize], budget: u64) -> Option<Priced> {
        if kept.is_empty() {
            return None;
        }
        let (closed, full) = (vec![0; kept.len()], self.full(kept));
        // Above the highest no answer is worth an error, below the lowest all are.
        let whole = self.costs.whole().max(f64::MIN_POSITIVE);
        let (mut low, mut high) = ((whole * 1e-2).ln(), (2.0 * whole * self.requests as f64).ln());
        let mut best: Option<(f64, Priced)> = None;
        for _ in 0..PRICES {
            let price = f64::midpoint(low, high).exp();
            let objective = |places: &Places| {
                let (cost, errors) = self.total(kept, places);
                (cost + price * errors as f64, cost, errors)
            };
            // Where descent ends depends on where it begins.
            let found = [&closed, &full].map(|start| self.descend(kept, price, start, &closed, &full));
            let [one, other] = found.map(|places| (objective(&places), places));
            let ((_, cost, errors), places) = if one.0.0 <= other.0.0 { one } else { other };
            if errors <= budget {
                high = price.ln();
                if best.as_ref().is_none_or(|best| cost <= best.0) {
                    best = Some((cost, Priced { price, places }));
                }
            } else {
                low = price.ln();
            }
        }
        best.map(|(_, priced)| priced)
    }

    /// From closed to the anchor, without it.
    fn stricter(&self, kept: &[usize], anchor: &Priced) -> Vec<Places> {
        let closed = vec![0; kept.len()];
        let mut corners = Vec::new();
        let (mut at, mut price) = (anchor.places.clone(), anchor.price);
        while at != closed && corners.len() < MOST_CORNERS {
            price *= STRICTER;
            at = self.descend(kept, price, &at, &closed, &at);
            corners.push(at.clone());
        }
        corners.push(closed);
        corners.reverse();
        corners
    }

    /// From the anchor on to more than `errors`.
    fn looser(&self, kept: &[usize], anchor: &Priced, errors: u64) -> Vec<Places> {
        let full = self.full(kept);
        let mut corners = vec![anchor.places.clone()];
        let (mut at, mut price) = (anchor.places.clone(), anchor.price);
        while at != full && corners.len() < MOST_CORNERS && self.total(kept, &at).1 <= errors {
            price *= LOOSER;
            at = self.descend(kept, price, &at, &at, &full);
            corners.push(at.clone());
        }
        corners
    }

    fn full(&self, kept: &[usize]) -> Places {
        kept.iter().map(|exit| self.exits[*exit].order.len()).collect()
    }

    /// The best places at a price that descent finds from a start, each within its bounds.
    fn descend(&self, kept: &[usize], price: f64, start: &Places, least: &Places, most: &Places) -> Places {
        let mut places = start.clone();
        for _ in 0..ROUNDS {
            let before = places.clone();
            for at in 0..kept.len() {
                places[at] = self.best(kept, &places, at, price, least[at]..=most[at]);
            }
            if places == before {
                break;
            }
        }
        places
    }

    /// The best place of one exit where the others stay.
    fn best(
        &self,
        kept: &[usize],
        places: &Places,
        at: usize,
        price: f64,
        within: RangeInclusive<usize>,
    ) -> usize {
        let sorted = &self.exits[kept[at]];
        // Those that leave here do not pay for going on.
        let (cost, cut) = (self.costs.to_exit(kept[at]), self.costs.cut(kept[at]));
        let mut comes = 0usize;
        // What it is worth that this one answers a request rather than those after it.
        let worth: Vec<f64> = (0..self.requests)
            .map(|request| {
                let seen = self.seen_from(kept, places, request, Some(at));
                comes += usize::from(seen.comes);
                let saved = if seen.comes { seen.alternative + cut - cost } else { 0.0 };
                saved - if sorted.wrong[request] && !seen.is_lost { price } else { 0.0 }
            })
            .collect();
        let (least, most) = within.into_inner();
        // Closed it costs nothing, and else its head and the cut for all that come.
        let mut best = (least == 0).then_some((0, 0.0));
        let mut sum = -(self.costs.head(kept[at]) + cut) * comes as f64;
        let mut place = 0;
        while place < most {
            let end = sorted.end_of_equals(place + 1).min(most);
            sum += sorted.order[place..end].iter().map(|request| worth[*request]).sum::<f64>();
            place = end;
            if place >= least && best.is_none_or(|(_, value)| sum > value) {
                best = Some((place, sum));
            }
        }
        best.map_or(least, |(place, _)| place)
    }

    /// What becomes of a request by the exits other than `but`.
    fn seen_from(&self, kept: &[usize], places: &Places, request: usize, but: Option<usize>) -> Seen {
        let (mut asked, mut answer, mut comes, mut is_lost) = (0.0, None, true, false);
        for (at, exit) in kept.iter().enumerate() {
            if Some(at) == but || places[at] == 0 {
                continue;
            }
            let sorted = &self.exits[*exit];
            let admits = sorted.place[request] < places[at];
            is_lost |= admits && sorted.wrong[request];
            if but.is_some_and(|but| at < but) {
                comes &= !admits;
            } else if answer.is_none() {
                asked += self.costs.head(*exit);
                answer = admits.then(|| self.costs.to_exit(*exit) + asked);
                asked += self.costs.cut(*exit);
            }
        }
        Seen { comes, alternative: answer.unwrap_or(self.costs.whole() + asked), is_lost }
    }

    /// The cost of all requests, and the errors.
    fn total(&self, kept: &[usize], places: &Places) -> (f64, u64) {
        let all = (0..self.requests).map(|request| self.seen_from(kept, places, request, None));
        all.fold((0.0, 0), |sum, seen| (sum.0 + seen.alternative, sum.1 + u64::from(seen.is_lost)))
    }

    /// Small steps from corner to corner, up to `errors` errors.
    fn between(&self, kept: &[usize], corners: &[Places], errors: u64) -> Vec<Places> {
        let mut path: Vec<Places> = corners.first().cloned().into_iter().collect();
        for (from, to) in corners.iter().zip(&corners[1..]) {
            let added: usize = from.iter().zip(to).map(|(from, to)| to - from).sum();
            let lost = self.total(kept, to).1 - self.total(kept, from).1;
            let by_errors = lost.div_ceil(errors.div_ceil(ERROR_PARTS).max(1)) as usize;
            let steps = added.div_ceil(self.requests.div_ceil(PARTS).max(1)).max(by_errors);
            for step in 1..=steps {
                let place = |(at, exit): (usize, &usize)| {
                    let part = (to[at] - from[at]) as u128 * step as u128 / steps as u128;
                    self.exits[*exit].end_of_equals(from[at] + part as usize)
                };
                path.push(kept.iter().enumerate().map(place).collect());
            }
        }
        path.dedup();
        // Errors never fall along the path.
        path.truncate(path.partition_point(|places| self.total(kept, places).1 <= errors));
        path.retain(|places| places.iter().any(|place| *place > 0));
        path
    }
}

impl Sorted {
    fn of(tuning: &Outcomes, exit: usize) -> Self {
        let mut answers: Vec<(usize, f64)> = tuning
            .rows()
            .enumerate()
            .filter(|(_, (confidence, _))| confidence[exit] >= 0.0)
            .map(|(request, (confidence, _))| (request, confidence[exit]))
            .collect();
        answers.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut place = vec![usize::MAX; tuning.len()];
        for (at, (request, _)) in answers.iter().enumerate() {
            place[*request] = at;
        }
        Self {
            order: answers.iter().map(|answer| answer.0).collect(),
            confidence: answers.iter().map(|answer| answer.1).collect(),
            place,
            wrong: tuning.rows().map(|(_, wrong)| wrong[exit]).collect(),
        }
    }

    /// `at`, or as much further as confidences equal the one before.
    fn end_of_equals(&self, at: usize) -> usize {
        let Some(last) = at.checked_sub(1).and_then(|last| self.confidence.get(last)) else { return at };
        at + self.confidence[at..].iter().take_while(|confidence| *confidence == last).count()
    }

    /// A threshold that admits the first `at`, which is above 0, and no more: between the last of them and
    /// the next, so that neither a digit lost in a file nor another engine's rounding moves anyone across.
    fn threshold(&self, at: usize) -> f64 {
        let last = self.confidence[at - 1];
        let Some(next) = self.confidence.get(at) else { return last };
        let between = f64::midpoint(last, *next);
        if between > *next { between } else { last }
    }
}
