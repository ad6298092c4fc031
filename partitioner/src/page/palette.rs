//! The style sheet, and the arithmetic that its colours can be told apart and read.

/// Light, dark and print.
pub(crate) const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    /// Variables of the first block that defines them, or of the one for dark.
    fn colour(name: &str, dark: bool) -> Rgb {
        let (light, rest) = STYLE.split_once("prefers-color-scheme: dark").expect("a dark half");
        let half = if dark { rest } else { light };
        let after =
            half.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("--{name}, dark {dark}")).1;
        [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&after[at..at + 2], 16).unwrap()) / 255.0)
    }

    fn linear(colour: Rgb) -> Rgb {
        colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
    }

    /// WCAG 2.2, contrast ratio.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let luminance = |colour: Rgb| {
            let [r, g, b] = linear(colour);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    /// What a dichromat sees: Machado, Oliveira and Fernandes, "A physiologically-based model for
    /// simulation of color vision deficiency" (2009), severity 1.
    const SIGHTS: [[Rgb; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ];

    fn seen(sight: &[Rgb; 3], colour: Rgb) -> Rgb {
        let colour = linear(colour);
        sight.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    /// Björn Ottosson's Oklab, of a linear colour; a distance of 0.02 is just noticeable.
    fn oklab([r, g, b]: Rgb) -> Rgb {
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        [
            0.210_454_255_3 * l + 0.793_617_785 * m - 0.004_072_046_8 * s,
            1.977_998_495_1 * l - 2.428_592_205 * m + 0.450_593_709_9 * s,
            0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766 * s,
        ]
    }

    fn apart(a: Rgb, b: Rgb) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn text_is_read_on_every_ground() {
        for dark in [false, true] {
            for (ink, least) in [("ink", 7.0), ("soft", 4.5), ("accent", 4.5)] {
                for ground in ["ground", "panel", "band"] {
                    let ratio = contrast(colour(ink, dark), colour(ground, dark));
                    assert!(ratio >= least, "{ink} on {ground}, dark {dark}: {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn shapes_stand_out() {
        for dark in [false, true] {
            for fill in ["edge", "encode", "up", "middle", "queue", "decode", "cloud", "down"] {
                let ratio = contrast(colour(fill, dark), colour("panel", dark));
                assert!(ratio >= 1.5, "{fill}, dark {dark}: {ratio:.2}");
            }
            for line in ["edge", "cloud", "up", "accent"] {
                let ratio = contrast(colour(line, dark), colour("panel", dark));
                assert!(ratio >= 3.0, "{line}, dark {dark}: {ratio:.2}");
            }
        }
    }

    /// Neighbours in a bar, for every kind of sight.
    #[test]
    fn neighbours_differ() {
        let neighbours = [
            ("edge", "encode"),
            ("edge", "up"),
            ("edge", "cloud"),
            ("encode", "up"),
            ("up", "middle"),
            ("up", "queue"),
            ("up", "decode"),
            ("up", "cloud"),
            ("queue", "decode"),
            ("queue", "cloud"),
            ("decode", "cloud"),
            ("cloud", "down"),
        ];
        for dark in [false, true] {
            for (a, b) in neighbours {
                for (kind, sight) in SIGHTS.iter().enumerate() {
                    let [a_seen, b_seen] = [a, b].map(|name| oklab(seen(sight, colour(name, dark))));
                    let distance = apart(a_seen, b_seen);
                    assert!(distance >= 0.08, "{a} and {b}, dark {dark}, sight {kind}: {distance:.3}");
                }
            }
        }
    }

    #[test]
    fn the_ramp_is_a_ramp() {
        for dark in [false, true] {
            for sight in &SIGHTS {
                let steps: Vec<Rgb> =
                    (0..8).map(|step| oklab(seen(sight, colour(&format!("d{step}"), dark)))).collect();
                for pair in steps.windows(2) {
                    assert!(pair[0][0] - pair[1][0] > 0.02 && apart(pair[0], pair[1]) > 0.04, "{pair:?}");
                }
            }
        }
    }
}
