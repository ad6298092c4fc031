//! Figures and tables as one page that explains itself: no scripts, no network, opened from a file.
//!
//! The figures are written as SVG directly rather than by a plotting library: they need tooltips,
//! hatches, and colours that are variables of the style sheet (so that one file is right in light,
//! dark and print), and a bitmap-minded drawing interface has none of these. What remains of such a
//! library, scales and ticks, is [`scale`].

pub(crate) mod palette;
pub(crate) mod scale;
pub(crate) mod svg;
pub(crate) mod table;

use svg::escape;

/// Patterns that tell areas apart without colour.
const PATTERNS: &str = r#"<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch-line" d="M0 0V7"/></pattern>
<pattern id="lines" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="pattern-line" d="M0 0V8"/></pattern>
<pattern id="dots" width="9" height="9" patternUnits="userSpaceOnUse"><circle class="pattern-dot" cx="3" cy="3" r="1.2"/></pattern>
<pattern id="mesh" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="pattern-line" d="M0 0V9M0 0H9"/></pattern>
</defs></svg>"#;

/// Nothing may be loaded or run, whatever slipped through.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A whole page; `body` is HTML already.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n{PATTERNS}\n{body}</body>\n</html>\n",
        escape(title),
        palette::STYLE
    )
}

/// Small shapes, 18 by 12, and what they mean.
pub(crate) fn legend(entries: impl Iterator<Item = (String, String)>) -> String {
    let items: String = entries
        .map(|(shapes, text)| {
            format!(
                "<li><svg viewBox=\"0 0 18 12\" aria-hidden=\"true\">{shapes}</svg>{}</li>",
                escape(&text)
            )
        })
        .collect();
    format!("<ul class=\"legend\">{items}</ul>\n")
}

#[cfg(test)]
pub(crate) mod check;
