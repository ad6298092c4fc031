//! What the decoder would take for a picture and should not.
//!
//! It fills what is missing with grey; half an upload must not be classified, so the end is
//! looked for first. And it decodes scans of single components with the tables of others, where
//! they hold the averages of blocks (zune-image issue 430, open in the version that the workspace's
//! Rust allows): a picture of wrong colours, without a complaint.

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// What a walk over the segments finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A picture as it should be.
    Whole,
    /// No end-of-image marker after the scans.
    Truncated,
    /// Averages of blocks in scans of their own, by component.
    Apart,
}

/// Walks segment by segment, since an embedded thumbnail has an end marker of its own.
pub(crate) fn survey(file: &[u8]) -> Found {
    let (mut components, mut is_apart) = (0, false);
    let Some(mut rest) = file.strip_prefix(&[0xff, SOI]) else { return Found::Truncated };
    loop {
        let Some((marker, after)) = next_marker(rest) else { return Found::Truncated };
        match marker {
            // A frame: length, precision, height and width, then how many components.
            0xc0..=0xc3 => components = after.get(7).copied().unwrap_or(0),
            // A scan: length, how many components, two bytes of each, then the first coefficient.
            SOS => {
                let scanned = after.get(2).copied().unwrap_or(0);
                let first = after.get(3 + 2 * usize::from(scanned));
                is_apart |= scanned < components && first == Some(&0);
            }
            _ => {}
        }
        rest = match marker {
            EOI => return if is_apart { Found::Apart } else { Found::Whole },
            // No payload: stand-alone markers and the restarts inside a scan.
            0x01 | 0xd0..=0xd7 => after,
            _ => {
                let Some(length) = after.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)) else {
                    return Found::Truncated;
                };
                let Some(after) = after.get(usize::from(length)..) else { return Found::Truncated };
                if marker == SOS { skip_scan(after) } else { after }
            }
        };
    }
}

/// The next marker's code and what follows it; tolerates stray bytes before it, as decoders do.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 => at += 2,
            0xff => at += 1,
            code => return Some((code, &bytes[at + 2..])),
        }
    }
}

/// From the first marker that ends entropy-coded data.
fn skip_scan(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(2).position(|pair| {
        pair[0] == 0xff && pair[1] != 0x00 && pair[1] != 0xff && !(0xd0..=0xd7).contains(&pair[1])
    });
    end.map_or(&[], |at| &bytes[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_cut_or_apart() {
        use Found::{Apart, Truncated, Whole};
        let app = [0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2];
        let scan = [0xff, 0xda, 0, 3, 9, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34];
        let frame = [0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 3, 0, 0, 0];
        let of_one = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x12];
        let of_three = [0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0x12];
        let later = [0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, 0x12];
        let file = |parts: &[&[u8]]| [&[0xff, SOI][..], &parts.concat()].concat();
        for (file, found) in [
            (file(&[&app, &scan, &[0xff, EOI]]), Whole),
            (file(&[&app, &scan, &scan, &[0xff, 0xff, EOI, 0, 0]]), Whole),
            (file(&[&frame, &of_three, &later, &[0xff, EOI]]), Whole),
            (file(&[&frame, &of_one, &[0xff, EOI]]), Apart),
            (file(&[&frame, &of_one]), Truncated),
            (file(&[&app, &scan]), Truncated),
            (file(&[&app]), Truncated),
            (file(&[&[0xff, 0xe1, 0xff, 0xff, 0xff, EOI]]), Truncated),
            (vec![], Truncated),
        ] {
            assert_eq!(survey(&file), found, "{file:02x?}");
        }
    }
}
