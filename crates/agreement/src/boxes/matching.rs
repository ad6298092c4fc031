//! Which boxes are the same thing.

use super::Detection;

/// Intersection over union; boxes have a positive area.
pub(super) fn iou(a: &Detection, b: &Detection) -> f64 {
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let (a, b) = (a.corners, b.corners);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

/// Greedy suppression: the best stays, and takes those of its class with it that overlap it by
/// more than `most`. Best first in, best first out.
pub(super) fn suppress(detections: Vec<Detection>, most: f64) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for detection in detections {
        let is_covered = |other: &Detection| other.class == detection.class && iou(other, &detection) > most;
        if !kept.iter().any(is_covered) {
            kept.push(detection);
        }
    }
    kept
}

/// How many boxes have a partner of the same class at `least` or more: the reference's best first,
/// each takes the free one that it overlaps most, as COCO's evaluation does.
pub(super) fn matches(given: &[Detection], wanted: &[Detection], least: f64) -> usize {
    let mut free = vec![true; given.len()];
    let mut found = 0;
    for target in wanted {
        let mut best: Option<(usize, f64)> = None;
        for (index, candidate) in given.iter().enumerate() {
            if free[index] && candidate.class == target.class {
                let overlap = iou(candidate, target);
                if overlap >= least && best.is_none_or(|(_, most)| overlap > most) {
                    best = Some((index, overlap));
                }
            }
        }
        if let Some((index, _)) = best {
            free[index] = false;
            found += 1;
        }
    }
    found
}
