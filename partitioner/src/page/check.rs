//! What every page must be, whatever was written into it.

/// Well-formed, without scripts, addresses or values that are no numbers.
pub(crate) fn page(text: &str) {
    markup(text);
    for bad in ["NaN", "inf", "<script", "src=", "href=", "@import"] {
        assert!(!text.contains(bad), "{bad}");
    }
    // The only addresses are the name of SVG and parts of the page itself.
    assert_eq!(text.matches("://").count(), text.matches("http://www.w3.org/2000/svg").count());
    assert_eq!(text.matches("url(").count(), text.matches("url(#").count());
}

/// Nesting of tags, quotes of attributes and entities, as XML has them. The two tags of HTML that
/// need no end are let pass.
fn markup(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let style = page.find("<style>").unwrap()..page.find("</style>").unwrap();
    let mut rest = format!("{}{}", &page[..style.start + 7], &page[style.end..]);
    rest = rest.replacen("<!doctype html>", "", 1);
    let mut rest = rest.as_str();
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing {name}");
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap().trim_end_matches('/');
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        assert!(tag.matches('"').count() % 2 == 0, "{tag}");
        check_text(tag);
        if !tag.ends_with('/') && name != "meta" {
            open.push(Box::leak(name.to_owned().into_boxed_str()));
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Every ampersand begins an entity.
fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let name = text[at + 1..].split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "&{name}");
    }
}
