//! Where a JPEG ends.
//!
//! The decoder fills what is missing with grey and calls it a picture. Half an
//! upload must not be classified, so the end is looked for first.

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Whether the end-of-image marker follows the scans; walks segment by segment, since an embedded
/// thumbnail has an end marker of its own.
pub(crate) fn is_complete(file: &[u8]) -> bool {
    let Some(mut rest) = file.strip_prefix(&[0xff, SOI]) else { return false };
    loop {
        let Some((marker, after)) = next_marker(rest) else { return false };
        rest = match marker {
            EOI => return true,
            // No payload: stand-alone markers and the restarts inside a scan.
            0x01 | 0xd0..=0xd7 => after,
            _ => {
                let Some(length) = after.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)) else {
                    return false;
                };
                let Some(after) = after.get(usize::from(length)..) else { return false };
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
    fn ends() {
        let app = [0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2];
        let scan = [0xff, 0xda, 0, 3, 9, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34];
        let file = |parts: &[&[u8]]| [&[0xff, SOI][..], &parts.concat()].concat();
        for (file, complete) in [
            (file(&[&app, &scan, &[0xff, EOI]]), true),
            (file(&[&app, &scan, &scan, &[0xff, 0xff, EOI, 0, 0]]), true),
            (file(&[&app, &scan]), false),
            (file(&[&app]), false),
            (file(&[&[0xff, 0xe1, 0xff, 0xff, 0xff, EOI]]), false),
            (vec![], false),
        ] {
            assert_eq!(is_complete(&file), complete, "{file:02x?}");
        }
    }
}
