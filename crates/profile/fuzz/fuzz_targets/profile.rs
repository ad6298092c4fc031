//! Any bytes: an error or a profile, never a panic. A profile is written as it was read, and whatever
//! is predicted from it is a number.
//!
//! Input: a byte that says whether the rest is a file, or changes to a good one, three bytes each:
//! where, and what stands there then. Few random bytes are JSON, and fewer a profile.

#![no_main]

use kerf_profile::{Predictor, Profile};
use libfuzzer_sys::fuzz_target;

const GOOD: &[u8] = include_bytes!("seed.json");

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    let file = if kind % 2 == 0 { rest.to_vec() } else { changed(rest) };
    let Ok(profile) = Profile::parse(&file) else { return };
    // Times are written to six digits: what was written reads as itself from then on.
    let written = profile.to_json();
    let Ok(again) = Profile::parse(written.as_bytes()) else { return };
    assert_eq!(again.to_json(), written);
    let Ok(predictor) = Predictor::fit(&profile, 1) else { return };
    are_times(&profile, &predictor);
    if let Ok(Some(rested)) = Predictor::rested(&profile) {
        are_times(&profile, &rested);
    }
});

fn are_times(profile: &Profile, predictor: &Predictor) {
    for from in 0..=profile.last() {
        for to in from..=profile.last() {
            if let Some(estimate) = predictor.time(from, to) {
                assert!(estimate.mean.is_finite() && estimate.mean >= 0.0, "{from}..{to}: {estimate:?}");
                assert!(estimate.sd.is_finite() && estimate.sd >= 0.0, "{from}..{to}: {estimate:?}");
            }
        }
    }
}

fn changed(changes: &[u8]) -> Vec<u8> {
    let mut file = GOOD.to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[at] = change[2];
    }
    file
}
