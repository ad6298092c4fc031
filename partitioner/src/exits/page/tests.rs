use super::*;
use kerf_exits::Thresholds;

fn check(report: &Report) -> String {
    let page = render(report);
    crate::page::check::page(&page);
    page
}

/// Of a figure, by what a screen reader says of it.
fn figure<'a>(page: &'a str, label: &str) -> &'a str {
    let start = page.find(label).unwrap_or_else(|| panic!("no figure {label}"));
    &page[start..start + page[start..].find("</svg>").unwrap()]
}

#[test]
fn few_and_many_exits_make_whole_pages() {
    for (exits, labels) in [(1, false), (1, true), (3, false), (8, true), (8, false), (16, true)] {
        let report = fixture::report(exits, labels, 0.01);
        let page = check(&report);
        assert_eq!(page, render(&report), "the same report makes the same page");
        let open = kept(&report).count();
        assert!(open > 0 && page.contains(&format!("<dd>{open} of {exits}<small>")), "{open} of {exits}");
        for exit in &report.exits {
            assert!(page.contains(&format!("<th scope=\"row\">b{}</th>", exit.boundary)));
        }
        let curves = figure(&page, "Risk against coverage of");
        assert_eq!(curves.matches("<path class=\"curve ").count(), 2 * exits);
        let leaving = figure(&page, "Exits by the part");
        assert_eq!(leaving.matches("<rect class=\"drop ").count(), open);
        assert_eq!(leaving.matches("<circle class=\"pip ").count(), exits);
        let bins: usize = kept(&report).map(|(_, exit)| exit.reliability.bins.len()).sum();
        assert_eq!(figure(&page, "Claimed confidence").matches("<rect class=\"count\"").count(), bins);
        // Every step, and the promised one again; the whole model is none.
        let steps = figure(&page, "Saved cost against");
        assert_eq!(steps.matches("<circle class=\"dot").count(), report.path.len() + 2);
        assert_eq!(page.contains("agreement with the whole model"), !labels);
    }
}

#[test]
fn the_headline_says_what_is_saved_and_promised() {
    let mut report = fixture::report(8, true, 0.01);
    if let Some(certified) = &mut report.certified {
        certified.judged.answered = Share { same: 824, of: 2000 };
        certified.judged.saved = 0.2314;
    }
    let page = check(&report);
    let headline = "<h1>41.2% of requests exit early, which saves 23.1% of the multiplications; at most 1% of all go \
                    wrong, at 95% confidence.</h1>";
    assert!(page.contains(headline), "{}", &page[page.find("<h1>").unwrap()..][..200]);
    (report.unit, report.whole) = ("seconds", 0.0123);
    if let Some(certified) = &mut report.certified {
        certified.judged.saved = -0.004;
    }
    let page = check(&report);
    assert!(page.contains("which costs 0.4% more of the time;") && page.contains("of 12.3 ms"));
}

#[test]
fn a_refusal_is_told_and_nothing_is_served() {
    for labels in [false, true] {
        let report = fixture::report(8, labels, 0.0001);
        let why = report.refusal.clone().unwrap();
        let page = check(&report);
        assert!(page.contains("<h1>No early exit: 0.01% at 95% cannot be promised here.</h1>"));
        assert!(
            page.contains(&why) && page.contains("nothing is served") && page.contains("saved at 0.7 pp")
        );
        for never in ["class=\"drop", "class=\"ring\"", "class=\"pip x"] {
            assert!(!page.contains(never), "{never}");
        }
        // What heads know is shown all the same.
        assert_eq!(figure(&page, "Claimed confidence").matches("<text class=\"strong\"").count(), 8);
    }
}

#[test]
fn names_are_not_believed() {
    let hostile = "</title><script>alert(1)</script>\"'&\u{202e}\u{0}]]>";
    for risk in [0.01, 0.0001] {
        let mut report = fixture::report(4, true, risk);
        for text in [
            &mut report.model,
            &mut report.output,
            &mut report.promise,
            &mut report.judged_on,
            &mut report.sets.fit,
            &mut report.sets.tune,
            &mut report.sets.calibrate,
        ] {
            *text = hostile.into();
        }
        report.sets.report = Some(hostile.into());
        report.refusal = report.refusal.map(|_| hostile.into());
        report.notes.push(hostile.into());
        report.exits.iter_mut().for_each(|exit| exit.kind = hostile.into());
        let page = check(&report);
        assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
    }
}

#[test]
fn what_is_not_known_leaves_a_page() {
    let mut report = fixture::report(3, false, 0.01);
    (report.at_loss, report.sets.report, report.notes) = (None, None, Vec::new());
    report.whole = 0.0;
    for exit in &mut report.exits {
        (exit.right, exit.auroc, exit.to_exit, exit.head) = (Share::default(), None, 0.0, 0.0);
        (exit.reached, exit.answered, exit.wrong) = (0, 0, 0);
        exit.curve = Vec::new();
        exit.reliability.bins = Vec::new();
    }
    if let Some(certified) = &mut report.certified {
        (certified.judged.answered, certified.judged.risk) = (Share::default(), Share::default());
    }
    let page = check(&report);
    assert!(page.contains("There is no report set") && page.contains("nothing came here"));
    (report.certified, report.path) = (None, Vec::new());
    report.exits.iter_mut().for_each(|exit| exit.threshold = None);
    let page = check(&report);
    assert!(page.contains("<h1>No early exit: none saves more than its head costs.</h1>"));
    assert!(page.contains("There are no thresholds to show"));
    report.exits = Vec::new();
    check(&report);
}

#[test]
fn marks_beyond_the_promise_are_hollow() {
    let report = fixture::report(8, false, 0.01);
    let served: &Thresholds = &report.certified.as_ref().unwrap().judged.thresholds;
    let within = report.path.iter().filter(|step| step.thresholds.is_within(served)).count();
    assert!(0 < within && within < report.path.len(), "{within} of {}", report.path.len());
    let page = check(&report);
    let steps = figure(&page, "Saved cost against");
    assert_eq!(steps.matches("<circle class=\"dot front\"").count(), within + 1);
    assert_eq!(steps.matches("<circle class=\"dot\"").count(), report.path.len() - within);
}

#[test]
fn exits_are_told_apart() {
    let mut report = fixture::report(8, false, 0.01);
    report.exits.iter_mut().for_each(|exit| exit.threshold = Some(0.9));
    report.exits[2].threshold = None;
    let colours: Vec<&str> = (0..8).map(|exit| frame::colour(&report, exit)).collect();
    let expected = ["x0", "x1", "idle", "x2", "x0 again", "x1 again", "x2 again", "x0"];
    assert_eq!(colours, expected);
}

#[test]
fn names_keep_their_distance() {
    for (places, most, wanted) in [
        (vec![0.0, 1.0, 50.0], 100.0, vec![0.0, 10.0, 50.0]),
        (vec![97.0, 98.0, 99.0], 100.0, vec![80.0, 90.0, 100.0]),
        (vec![], 100.0, vec![]),
    ] {
        let mut found = places.clone();
        frame::spread(&mut found, 10.0, most);
        assert_eq!(found, wanted, "{places:?}");
    }
}

#[test]
fn shares_as_people_say_them() {
    for (share, text) in
        [(0.4123, "41.2%"), (0.41, "41%"), (0.0028, "0.28%"), (1.0, "100%"), (0.0, "0%"), (-0.00001, "0%")]
    {
        assert_eq!(percent(share), text);
    }
}

#[test]
fn an_early_mistake_does_not_flatten_the_curves() {
    let mut report = fixture::report(3, false, 0.01);
    let before = check(&report);
    for exit in &mut report.exits {
        exit.curve[0].risk = 1.0;
    }
    let ticks = |page: &str| -> Vec<String> {
        let texts = figure(page, "Risk against coverage of").split("<text class=\"tick\"").skip(1);
        texts.map(|text| text[..text.find("</text>").unwrap()].to_owned()).collect()
    };
    assert_eq!(ticks(&check(&report)), ticks(&before));
}
