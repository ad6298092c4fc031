//! Which half a sample belongs to.

/// One of two parts that share no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// What is fitted and chosen on.
    Calibration,
    /// What is reported on, once.
    HeldOut,
}

impl Half {
    /// The half of a name. Every release answers the same: a file that has been fitted on may never
    /// turn up among those that are reported on.
    pub fn of(name: &str, seed: u64) -> Self {
        if mixed(name.as_bytes(), seed) >> 63 == 0 { Self::Calibration } else { Self::HeldOut }
    }

    /// The other one: for fitting and reporting the other way round.
    pub fn other(self) -> Self {
        match self {
            Self::Calibration => Self::HeldOut,
            Self::HeldOut => Self::Calibration,
        }
    }
}

impl std::fmt::Display for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Calibration => "calibration",
            Self::HeldOut => "held-out",
        })
    }
}

/// FNV-1a, whose high bits are poor for short names, then the finaliser of SplitMix64.
fn mixed(name: &[u8], seed: u64) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.iter().copied());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_fair_and_differ_by_seed() {
        let names: Vec<String> = (0..4000).map(|index| format!("{index:05}.png")).collect();
        let sides =
            |seed| names.iter().map(|name| Half::of(name, seed) == Half::Calibration).collect::<Vec<bool>>();
        let (one, other) = (sides(0), sides(1));
        // Four standard deviations are 126.
        for count in [
            one.iter().filter(|side| **side).count(),
            other.iter().filter(|side| **side).count(),
            one.iter().zip(&other).filter(|(a, b)| a == b).count(),
        ] {
            assert!((1874..=2126).contains(&count), "{count}");
        }
    }

    /// By another implementation: a change here would mix what was fitted on with what is reported on.
    #[test]
    fn no_release_moves_a_file() {
        for (name, seed, hash) in GOLDEN {
            assert_eq!(mixed(name.as_bytes(), *seed), *hash, "{name} {seed}");
        }
    }

    const GOLDEN: &[(&str, u64, u64)] = &[
        ("", 0, 0x813f_0174_a236_7c13),
        ("a.png", 0, 0x37d5_c6bd_2ced_e12b),
        ("a.png", 1, 0xb481_9b37_f9f5_d897),
        ("n01440764_tench.JPEG", 7, 0x3dac_5495_bf7c_9c15),
    ];
}
