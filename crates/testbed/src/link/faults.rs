//! What goes wrong on a link: datagrams that are lost or come late, by chance; and blackouts, by
//! the clock. All of it follows from a seed, the order of datagrams and their times.

use super::settings::InvalidPipe;
use std::sync::Arc;
use std::time::Duration;

/// How datagrams are lost on the way: after they waited and were sent, as on a radio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Of all datagrams.
    share: f64,
    /// The chance that a datagram after a lost one is lost, too; `share` if each is by itself.
    again: f64,
}

impl Loss {
    /// None is lost.
    pub const NONE: Self = Self { share: 0.0, again: 0.0 };

    /// This share, from 0 to 1, each by itself.
    pub fn random(share: f64) -> Result<Self, InvalidPipe> {
        Ok(Self { share: checked(share)?, again: share })
    }

    /// This share, in bursts of `mean` datagrams on average: the model of Gilbert (1960) and Elliott
    /// (1963), with states in which none and all are lost. They change with datagrams, not with
    /// time; bursts are of geometric length.
    pub fn bursts(share: f64, mean: f64) -> Result<Self, InvalidPipe> {
        let share = checked(share)?;
        // From there on the good state would have to be left more often than always.
        if mean >= 1.0 && mean.is_finite() && share <= mean * (1.0 - share) {
            return Ok(Self { share, again: 1.0 - 1.0 / mean });
        }
        Err(InvalidPipe::Bursts { share, mean })
    }

    /// The chance of a loss after a datagram that was lost, or not. The share is that of the chain's
    /// stationary state.
    fn after(&self, lost: bool) -> f64 {
        match lost {
            true => self.again,
            false if self.share < 1.0 => (1.0 - self.again) * self.share / (1.0 - self.share),
            false => 1.0,
        }
    }
}

/// A share of datagrams that take longer than the others, which overtake them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    share: f64,
    extra: Duration,
}

impl Reordering {
    /// All arrive in the order in which they were sent.
    pub const NONE: Self = Self { share: 0.0, extra: Duration::ZERO };

    /// This share, from 0 to 1, each by itself, comes `extra` later than it would.
    pub fn new(share: f64, extra: Duration) -> Result<Self, InvalidPipe> {
        Ok(Self { share: checked(share)?, extra })
    }

    pub(super) fn extra(&self) -> Duration {
        self.extra
    }
}

/// Times at which a link is blacked out, counted from when it begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blackouts(Arc<[Blackout]>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    /// After the link began.
    pub begins: Duration,
    /// For so long.
    pub lasts: Duration,
}

impl Blackouts {
    /// In order and apart.
    pub fn new(blackouts: impl Into<Arc<[Blackout]>>) -> Result<Self, InvalidPipe> {
        let blackouts: Arc<[Blackout]> = blackouts.into();
        let apart = blackouts.windows(2).all(|pair| match pair[0].begins.checked_add(pair[0].lasts) {
            Some(end) => end <= pair[1].begins,
            None => false,
        });
        if !apart || blackouts.iter().any(|blackout| blackout.lasts.is_zero()) {
            return Err(InvalidPipe::Blackouts);
        }
        Ok(Self(blackouts))
    }

    /// Whether one is on then.
    pub(super) fn on(&self, at: Duration) -> bool {
        self.last_begun(at).is_some_and(|blackout| at - blackout.begins < blackout.lasts)
    }

    /// When the first begins from `from` on, if that is by `until`.
    pub(super) fn first_begun(&self, from: Duration, until: Duration) -> Option<Duration> {
        let next = self.0.partition_point(|blackout| blackout.begins < from);
        self.0.get(next).map(|blackout| blackout.begins).filter(|begins| *begins <= until)
    }

    fn last_begun(&self, at: Duration) -> Option<&Blackout> {
        self.0[..self.0.partition_point(|blackout| blackout.begins <= at)].last()
    }
}

/// The random state of one direction.
#[derive(Debug)]
pub(super) struct Chance {
    random: SplitMix64,
    /// What became of the last datagram.
    lost: Option<bool>,
}

/// What chance does to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    /// It takes so much longer.
    Late(Duration),
    InOrder,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: SplitMix64(seed), lost: None }
    }

    /// Of the next datagram that is sent.
    pub(super) fn next(&mut self, loss: Loss, reordering: Reordering) -> Fate {
        // As many draws whatever the settings: one that changes leaves the other's pattern alone.
        let (loses, delays) = (self.random.unit(), self.random.unit());
        let lost = loses < self.lost.map_or(loss.share, |before| loss.after(before));
        self.lost = Some(lost);
        match lost {
            true => Fate::Lost,
            false if delays < reordering.share => Fate::Late(reordering.extra),
            false => Fate::InOrder,
        }
    }

    /// Bursts of another loss begin anew.
    pub(super) fn forget(&mut self) {
        self.lost = None;
    }
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014: the same numbers in
/// every release.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// In `[0, 1)`.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn checked(share: f64) -> Result<f64, InvalidPipe> {
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(InvalidPipe::Share(share)) }
}
