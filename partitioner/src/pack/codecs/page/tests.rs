use super::*;
use crate::pack::codecs::fixture;
use kerf_agreement::Share;

fn check(report: &Report) -> String {
    let page = render(report);
    crate::page::check::page(&page);
    page
}

#[test]
fn few_and_many_boundaries_make_whole_pages() {
    for boundaries in [1, 2, 9, 32] {
        let report = fixture::report(boundaries);
        let page = check(&report);
        assert_eq!(page, render(&report), "the same report makes the same page");
        for index in 0..boundaries {
            assert!(page.contains(&format!(">b{index} · ")), "b{index}");
        }
        // Every codec is a mark of its own panel, and those worth having are in the overview.
        assert_eq!(
            page.matches("<circle class=\"mark d").count(),
            boundaries * (8 + 4) + 3 + chosen(&report)
        );
    }
}

/// Chosen ones that are not kept are drawn in the overview too; three marks more are the legends'.
fn chosen(report: &Report) -> usize {
    let kept = |(place, at): &&(usize, usize)| !report.places[*place].tried[*at].kept;
    report.chosen.iter().filter(kept).count()
}

#[test]
fn names_are_not_believed() {
    let hostile = "</title><script>alert(1)</script>\"'&\u{202e}\u{0}]]>";
    let mut report = fixture::report(4);
    (report.model, report.criterion, report.inputs) = (hostile.into(), hostile.into(), hostile.into());
    report.why = Some(hostile.into());
    report.notes.push(hostile.into());
    report.references[0].name = hostile.into();
    for place in &mut report.places {
        place.tensors = vec![hostile.into()];
        place.tried.iter_mut().for_each(|tried| tried.name = hostile.into());
    }
    let page = check(&report);
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
}

#[test]
fn what_is_not_known_leaves_a_page() {
    let mut report = fixture::report(3);
    (report.references, report.accuracy, report.why) = (Vec::new(), None, None);
    report.chosen = Vec::new();
    for place in &mut report.places {
        place.eight_bit = None;
        for tried in &mut place.tried {
            (tried.agreement, tried.accuracy, tried.distance) = (Share::default(), None, None);
            (tried.mean, tried.p90, tried.encode, tried.decode) = (0.0, 0.0, 0.0, 0.0);
        }
    }
    let page = check(&report);
    assert!(page.contains("No codec was chosen.") && page.contains("nothing was tried"));
    report.places = Vec::new();
    check(&report);
}

#[test]
fn the_headline_is_of_the_first_choice() {
    let page = check(&fixture::report(4));
    assert!(page.contains("<h1>5.65 KiB from b2 and "), "{}", &page[page.find("<h1>").unwrap()..][..80]);
    assert!(page.contains("JPEG as it came, 15.6 KiB"));
}
