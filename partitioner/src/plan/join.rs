//! Profiles and what was asked to a problem for the planner.

use super::args::{LinkArgs, WishArgs};
use super::devices::Witness;
use anyhow::bail;
use kerf_bundle::{Codecs, Coding, Exits, MeasuredCodec};
use kerf_planner::tiers::Problem;
use kerf_planner::{Coded, Machine, Shapes, Way, assemble};
use kerf_profile::{BoundarySize, Codec, Profile};

/// The problem that devices, from the edge on, and the links between them make. `raw` are the bytes
/// of the boundaries where no profile looked at inputs. Results travel under a codec, too, unless they
/// shall be `plain`.
pub(super) fn problem(
    devices: &[Witness],
    raw: &[Option<u64>],
    (codecs, exits): (Option<&Codecs>, Option<&Exits>),
    plain: bool,
    link: &LinkArgs,
    wish: &WishArgs,
) -> anyhow::Result<Problem> {
    let end = devices.len() - 1;
    let mut machines = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        machines.push(Machine {
            profile: &device.profile,
            traffic: device.traffic,
            memory: wish.memory.filter(|_| index == 0),
            money_per_second: if index == end { wish.price_per_hour / 3600.0 } else { 0.0 },
        });
    }
    let last = raw.len().saturating_sub(1);
    let shapes = Shapes {
        raw: raw.iter().map(|bytes| bytes.map(|bytes| bytes as f64)).collect(),
        coded: (0..last).map(|boundary| offered(codecs, boundary).map(Coded::from).collect()).collect(),
        result: (!plain).then(|| truest(codecs, last, wish.agreement_floor)).flatten().map(Coded::from),
    };
    let mut problem = assemble(&machines, &ways(end, link, wish)?, &shapes)?;
    problem.exits = exits.map(|exits| exits.planned(exits.fitted.certified.loosest())).unwrap_or_default();
    // Hosts may be alike; roles are what the user named the profiles by.
    for (tier, device) in problem.tiers.iter_mut().zip(devices) {
        tier.name.clone_from(&device.role);
    }
    Ok(problem)
}

/// The codecs of a boundary that no other beats; tensors as they are need none.
fn offered(codecs: Option<&Codecs>, boundary: usize) -> impl Iterator<Item = &MeasuredCodec> {
    let is_coded = |codec: &&MeasuredCodec| codec.is_on_front && codec.id != Coding::RAW.number();
    codecs.into_iter().flat_map(move |codecs| codecs.at(boundary)).filter(is_coded)
}

/// The one that loses least, of those the smallest: what it loses is paid by every plan.
fn truest(codecs: Option<&Codecs>, boundary: usize, floor: f64) -> Option<&MeasuredCodec> {
    let key = |codec: &MeasuredCodec| (1.0 - codec.expected, codec.bytes.mean);
    let enough = offered(codecs, boundary).filter(|codec| codec.expected >= floor);
    enough.min_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)))
}

/// What a profile says of a boundary in an encoding.
pub(super) fn size(profile: &Profile, boundary: usize, codec: Codec) -> Option<&BoundarySize> {
    let sizes = profile.sizes.as_ref()?;
    sizes.boundaries.iter().find(|size| size.boundary == boundary && size.codec == codec)
}

fn ways(count: usize, link: &LinkArgs, wish: &WishArgs) -> anyhow::Result<Vec<Way>> {
    let up = each("--bandwidth", &link.bandwidth, count)?;
    let down = if link.downlink.is_empty() { up.clone() } else { each("--downlink", &link.downlink, count)? };
    let rtt = each("--rtt", &link.rtt, count)?;
    let money_per_byte = wish.price_per_gb / 1e9;
    let way = |index: usize| Way { up: up[index], down: down[index], rtt: rtt[index], money_per_byte };
    Ok((0..count).map(way).collect())
}

/// One value for each link, of one for all or one each.
fn each(option: &str, values: &[f64], count: usize) -> anyhow::Result<Vec<f64>> {
    match values {
        [one] => Ok(vec![*one; count]),
        many if many.len() == count => Ok(many.to_vec()),
        many => bail!("{option} has {} values for {count} links: give one, or one for each link", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_for_each_link() {
        assert_eq!(each("--rtt", &[0.1], 2).unwrap(), [0.1, 0.1]);
        assert_eq!(each("--rtt", &[0.1, 0.2], 2).unwrap(), [0.1, 0.2]);
        let error = each("--rtt", &[0.1, 0.2], 1).unwrap_err().to_string();
        assert_eq!(error, "--rtt has 2 values for 1 links: give one, or one for each link");
    }
}
