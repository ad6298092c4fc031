//! Well-formed SVG from shapes, whatever the texts in it say.
//!
//! Names come from the model, and a model may be hostile. So text enters a page through [`escape`]
//! only, numbers through [`Number`] only, and a page cannot hold a broken tag or a `NaN` in a path.

use std::fmt::{self, Display, Write as _};

/// A picture under construction. Colours are classes; the style sheet knows light from dark.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

/// A rectangle.
#[derive(Clone, Copy)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Where a text lies about its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// `label` is what a screen reader says.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self { width, height, label: escape(label), body: String::new() }
    }

    /// `title` is the tooltip; none where it is empty.
    pub(crate) fn rect(&mut self, class: &str, rect: Rect, title: &str) {
        let Rect { x, y, width, height } = rect;
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}""#,
            Number(x),
            Number(y),
            Number(width.max(0.0)),
            Number(height.max(0.0))
        );
        self.close("rect", title);
    }

    pub(crate) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64, title: &str) {
        let _ = write!(
            self.body,
            r#"<circle class="{class}" cx="{}" cy="{}" r="{}""#,
            Number(x),
            Number(y),
            Number(radius.max(0.0))
        );
        self.close("circle", title);
    }

    pub(crate) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = write!(
            self.body,
            r#"<line class="{class}" x1="{}" y1="{}" x2="{}" y2="{}"/>"#,
            Number(x1),
            Number(y1),
            Number(x2),
            Number(y2)
        );
    }

    /// A path; `steps` is made with [`Path`].
    pub(crate) fn path(&mut self, class: &str, steps: &Path, title: &str) {
        let _ = write!(self.body, r#"<path class="{class}" d="{}""#, steps.0);
        self.close("path", title);
    }

    pub(crate) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        self.turned(class, (x, y), anchor, 0.0, text);
    }

    /// A text turned by degrees about its point.
    pub(crate) fn turned(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        anchor: Anchor,
        degrees: f64,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (Number(x), Number(y));
        let _ = write!(self.body, r#"<text class="{class}" x="{x}" y="{y}" text-anchor="{anchor}""#);
        if degrees != 0.0 {
            let _ = write!(self.body, r#" transform="rotate({} {x} {y})""#, Number(degrees));
        }
        let _ = write!(self.body, ">{}</text>", escape(text));
    }

    /// The element; its width on screen is that of its place.
    pub(crate) fn finish(self) -> String {
        let Self { width, height, label, body } = self;
        let (width, height) = (Number(width), Number(height));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">{body}</svg>"#
        )
    }

    fn close(&mut self, tag: &str, title: &str) {
        if title.is_empty() {
            self.body.push_str("/>");
        } else {
            let _ = write!(self.body, "><title>{}</title></{tag}>", escape(title));
        }
    }
}

/// Steps of a path.
#[derive(Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn from((x, y): (f64, f64)) -> Self {
        Self(format!("M{} {}", Number(x), Number(y)))
    }

    pub(crate) fn to(mut self, (x, y): (f64, f64)) -> Self {
        let _ = write!(self.0, "L{} {}", Number(x), Number(y));
        self
    }

    pub(crate) fn jump(mut self, (x, y): (f64, f64)) -> Self {
        let _ = write!(self.0, "M{} {}", Number(x), Number(y));
        self
    }

    /// A cubic curve.
    pub(crate) fn curve(mut self, a: (f64, f64), b: (f64, f64), end: (f64, f64)) -> Self {
        let [a, b, end] = [a, b, end].map(|(x, y)| format!("{} {}", Number(x), Number(y)));
        let _ = write!(self.0, "C{a} {b} {end}");
        self
    }
}

/// At most two decimals; what is no number is 0, so that a mistake elsewhere spoils one shape and
/// not the page.
pub(crate) struct Number(pub(crate) f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(self.0.is_finite(), "{} in a picture", self.0);
        let value = if self.0.is_finite() { (self.0 * 100.0).round() / 100.0 } else { 0.0 };
        // No `-0`.
        write!(f, "{}", value + 0.0)
    }
}

/// Text as HTML and XML take it, in elements and attributes. Characters that XML forbids and those
/// that turn the direction of what follows become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || turns(c) || ('\u{fffe}'..='\u{ffff}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Bidirectional marks, embeddings, overrides and isolates.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        for (text, safe) in [
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            (r#"a" onload="b"#, "a&quot; onload=&quot;b"),
            ("&lt;", "&amp;lt;"),
            ("a\u{202e}b\0c\u{7}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("Übergröße 模型 😀", "Übergröße 模型 😀"),
        ] {
            assert_eq!(escape(text), safe);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(1.0, "1"), (1.234_567, "1.23"), (-0.001, "0"), (1e6, "1000000")] {
            assert_eq!(Number(value).to_string(), text);
        }
    }
}
