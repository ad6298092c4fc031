//! Exits of a model as one page.
//!
//! Everything here is a pure function of the [`Report`]: the same report makes the same bytes.

mod bins;
mod curves;
mod depth;
mod frame;
mod trade;

use super::report::{CertifiedRow, ExitRow, Report};
use super::table::{amount, told_ways};
use crate::page::svg::escape;
use crate::page::table::Table;
use crate::page::{document, legend};
use crate::print;
use frame::{SURE, kept, percent};
use kerf_agreement::Share;

/// The page as HTML.
pub(crate) fn render(report: &Report) -> String {
    let parts = [head, numbers, trade, depth, curves, bins, trust];
    let title = format!("Early exits of {}", print::elide(&report.model, 80));
    document(&title, &parts.map(|part| part(report)).concat())
}

fn head(report: &Report) -> String {
    let name = escape(&print::elide(&report.model, 80));
    let output = escape(&print::elide(&report.output, 60));
    let (headline, verdict, facts) = match &report.certified {
        Some(certified) => {
            (kept_headline(report, certified), kept_verdict(report, certified), kept_facts(report, certified))
        }
        None => (refused_headline(report), refused_verdict(report), refused_facts(report)),
    };
    let facts: String = facts.iter().map(|(term, value, more)| fact(term, value, more)).collect();
    format!(
        "<header>\n<p class=\"kicker\">{name} · output {output}, {} classes</p>\n<h1>{}</h1>\n<p>{}</p>\n\
         <dl class=\"facts\">{facts}</dl>\n</header>\n",
        report.classes,
        escape(&headline),
        escape(&verdict)
    )
}

/// A term, its value, and what more there is to say.
type Fact = (&'static str, String, String);

fn fact(term: &str, value: &str, more: &str) -> String {
    format!("<div><dt>{term}</dt><dd>{}<small>{}</small></dd></div>", escape(value), escape(more))
}

fn kept_headline(report: &Report, certified: &CertifiedRow) -> String {
    let step = &certified.judged;
    let answered = percent(step.answered.value().unwrap_or(0.0));
    let gain = match step.saved {
        saved if saved >= 0.0 => format!("saves {} of {}", percent(saved), of(report)),
        saved => format!("costs {} more of {}", percent(-saved), of(report)),
    };
    let (risk, sure) = promised(report);
    format!(
        "{answered} of requests exit early, which {gain}; at most {risk} of all go wrong, at {sure} confidence."
    )
}

fn kept_verdict(report: &Report, certified: &CertifiedRow) -> String {
    let (risk, sure) = promised(report);
    format!(
        "Wrong means that {}. That this befalls at most {risk} of all requests is promised at {sure} confidence: on \
         the calibration set it befell {} of {}, and {} is the most that this does not rule out. What is saved is \
         measured on {}.",
        report.loss,
        certified.errors,
        certified.inputs,
        percent(certified.upper),
        report.judged_on
    )
}

fn kept_facts(report: &Report, certified: &CertifiedRow) -> Vec<Fact> {
    let step = &certified.judged;
    let stricter = match certified.rungs.saturating_sub(1) {
        0 => "no stricter setting to fall back to".to_owned(),
        1 => "1 stricter setting to fall back to".to_owned(),
        more => format!("{more} stricter settings to fall back to"),
    };
    let mut facts = vec![
        ("exit early", percent(step.answered.value().unwrap_or(0.0)), interval(step.answered)),
        ("saved", percent(step.saved), format!("of {}", whole(report))),
        ("confident and wrong", percent(step.risk.value().unwrap_or(0.0)), so_many(step.risk)),
    ];
    facts.push(match &step.accuracy {
        Some(accuracy) => {
            let share = |same: u64| percent(Share { same, of: accuracy.of }.value().unwrap_or(0.0));
            ("accuracy", share(accuracy.with), format!("{} without exits", share(accuracy.whole)))
        }
        None => {
            let agreeing = Share { same: step.risk.of.saturating_sub(step.risk.same), of: step.risk.of };
            ("agreement, at least", percent(agreeing.value().unwrap_or(0.0)), "no labels given".into())
        }
    });
    facts.push(("promised", report.promise.clone(), format!("{} not ruled out", percent(certified.upper))));
    facts.push(("exits", format!("{} of {}", kept(report).count(), report.exits.len()), stricter));
    facts
}

fn refused_headline(report: &Report) -> String {
    match report.path.is_empty() {
        true => "No early exit: none saves more than its head costs.".to_owned(),
        false => format!("No early exit: {} cannot be promised here.", report.promise),
    }
}

fn refused_verdict(report: &Report) -> String {
    let why = report.refusal.as_ref().map_or_else(String::new, |why| format!("{}. ", sentence(why)));
    format!("{why}Wrong means that {}.", report.loss)
}

fn refused_facts(report: &Report) -> Vec<Fact> {
    let best = report.exits.iter().filter_map(|exit| Some((exit.right.value()?, exit.boundary)));
    let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
    let mut facts = vec![
        ("promise refused", report.promise.clone(), "nothing is served".to_owned()),
        ("exits tried", report.exits.len().to_string(), "none is kept".to_owned()),
    ];
    if let Some((right, boundary)) = best {
        facts.push(("best head alone", percent(right), format!("b{boundary}, were all to exit there")));
    }
    if let Some(step) = &report.at_loss {
        facts.push(("saved at 0.7 pp", percent(step.saved), "for comparison, without a promise".into()));
    }
    facts
}

fn numbers(report: &Report) -> String {
    let mut table = Table::new(&[
        ("exit", true),
        ("kind", true),
        ("work before it", false),
        ("head", false),
        ("right", false),
        ("confidence", false),
        ("AUROC", false),
        ("off by", false),
        ("threshold", false),
        ("answers", false),
        ("wrongly", false),
    ]);
    for exit in &report.exits {
        table.row(if exit.threshold.is_some() { "" } else { "refused" }, &cells(exit));
    }
    let text = match kept(report).count() {
        0 => "None is kept.",
        all if all == report.exits.len() => "All are kept.",
        _ => "Grey ones are not kept: they save less than they cost, or nothing that the others do not save.",
    };
    format!(
        "<section>\n<h2>1 · The exits</h2>\n<p>{text} All figures are of the calibration set: a head is right so \
         often if it answers everything, and its confidence is off by so much on average; it answers so many, at the \
         threshold that is served, of those that no exit before it answered. Work is of the whole model's.</p>\n{}\
         </section>\n",
        table.finish()
    )
}

fn cells(exit: &ExitRow) -> Vec<String> {
    let served = |text: String| if exit.threshold.is_some() { text } else { "–".to_owned() };
    vec![
        format!("b{}", exit.boundary),
        print::elide(&exit.kind, 40),
        percent(exit.to_exit),
        percent(exit.head),
        exit.right.value().map_or_else(|| "–".into(), percent),
        exit.measure.replace('_', " "),
        exit.auroc.map_or_else(|| "–".into(), |auroc| format!("{auroc:.3}")),
        percent(exit.reliability.error),
        exit.threshold.map_or_else(|| "not kept".into(), |threshold| format!("{threshold:.4}")),
        served(format!("{} of {}", exit.answered, exit.reached)),
        served(exit.wrong.to_string()),
    ]
}

fn trade(report: &Report) -> String {
    let heading = "<section>\n<h2>2 · What can be saved at what loss</h2>\n";
    if report.path.is_empty() {
        return format!(
            "{heading}<p>There are no thresholds to show: no exit saves more than its head costs.</p>\n</section>\n"
        );
    }
    let what = match trade::has_accuracy(report) {
        true => "right answers".to_owned(),
        false => format!(
            "requests for which no head is confident and wrong, as there are no labels; bars are {:.0}% intervals",
            SURE * 100.0
        ),
    };
    let disc = |class: &str| format!("<circle class=\"dot {class}\" cx=\"9\" cy=\"6\" r=\"4\"/>");
    let mut entries = vec![
        (disc("front"), "settings that keep the promise".to_owned()),
        (disc(""), "looser ones".to_owned()),
    ];
    if report.certified.is_some() {
        entries.push(("<circle class=\"ring\" cx=\"9\" cy=\"6\" r=\"4.5\"/>".into(), "served".into()));
    } else {
        entries.remove(0);
        entries[0].1 = "settings, none of which carries the promise".into();
    }
    if report.at_loss.is_some() {
        let diamond = "<path class=\"mark s-up\" d=\"M9 0L15 6L9 12L3 6L9 0\"/>";
        entries.push((diamond.into(), "the loosest that cost 0.7 pp when chosen, without a promise".into()));
    }
    format!(
        "{heading}<p>Every mark is one setting of all thresholds together, stricter ones to the left, and all are \
         judged on {}. Its height is the share of {what}. The dashed line is {} below the whole model.</p>\n{}<figure>{}\
         </figure>\n</section>\n",
        escape(&report.judged_on),
        escape(&promised(report).0),
        legend(entries.into_iter()),
        trade::draw(report)
    )
}

fn depth(report: &Report) -> String {
    let text = match kept(report).next() {
        Some(_) if kept(report).count() == report.exits.len() => {
            "Above, the requests that are still under way as the model runs; each step is an exit, and the area below \
             the steps is the work that is done. Below, on the same axis, how often each head would be right if it \
             answered everything."
        }
        Some(_) => {
            "Above, the requests that are still under way as the model runs; each step is an exit, and the area below \
             the steps is the work that is done. Below, on the same axis, how often each head would be right if it \
             answered everything; grey ones are not kept."
        }
        None => {
            "How often each head would be right if it answered everything, by the work that it would save."
        }
    };
    format!(
        "<section>\n<h2>3 · Where requests leave</h2>\n<p>{text}</p>\n<figure>{}</figure>\n</section>\n",
        depth::draw(report)
    )
}

fn curves(report: &Report) -> String {
    let disc = "<circle class=\"pip x0\" cx=\"9\" cy=\"6\" r=\"4.5\"/>".to_owned();
    let line = |class: &str| format!("<line class=\"{class}\" x1=\"0\" y1=\"6\" x2=\"18\" y2=\"6\"/>");
    let open = kept(report).count();
    let errors = format!("as many errors as are promised, {} of all requests", promised(report).0);
    let mut entries = Vec::new();
    if open > 0 {
        entries.push((line("curve x0"), "an exit that is kept".to_owned()));
        entries.push((disc, "its threshold as served".into()));
    }
    if open < report.exits.len() {
        entries.push((line("curve idle"), "one that is not kept".into()));
    }
    entries.push((line("reference"), errors));
    let shared = match open {
        0 | 1 => "",
        _ => " Exits share what is promised, so that each is served stricter than it could be alone.",
    };
    format!(
        "<section>\n<h2>4 · Risk against coverage</h2>\n\
         <p>Each exit by itself, on all requests of the calibration set: what it answers from the most confident on, and \
         how often that is wrong. On the right the same near the promise, as a share of all requests.{shared}</p>\n{}<figure>{}</figure>\n</section>\n",
        legend(entries.into_iter()),
        curves::draw(report)
    )
}

fn bins(report: &Report) -> String {
    let dashed = "<line class=\"baseline\" x1=\"0\" y1=\"12\" x2=\"18\" y2=\"0\"/>".to_owned();
    let bar = "<rect class=\"count\" x=\"5\" y=\"1\" width=\"9\" height=\"11\"/>".to_owned();
    let entries = [(dashed, "claims that hold".to_owned()), (bar, "how many requests".to_owned())];
    format!(
        "<section>\n<h2>5 · What a confidence is worth</h2>\n\
         <p>How sure a head claims to be, after calibration on the tuning set, against how often it is right on the \
         calibration set, among the requests that come to it. The promise does not rest on this: thresholds only \
         compare. Bars through the marks are {:.0}% intervals.</p>\n{}<figure>{}</figure>\n</section>\n",
        SURE * 100.0,
        legend(entries.into_iter()),
        bins::draw(report)
    )
}

fn trust(report: &Report) -> String {
    let sets = &report.sets;
    let mut said = vec![
        format!("Heads were fitted to {}.", sets.fit),
        format!("Which exits to keep, and the path of thresholds, were chosen on {}.", sets.tune),
        format!("The promise was tested on {}, which nothing was fitted to or chosen by.", sets.calibrate),
        match &sets.report {
            Some(report) => {
                format!("What it comes to is reported on {report}, which had no part in any of this.")
            }
            None => {
                "There is no report set: savings and accuracy are those on the calibration set itself.".into()
            }
        },
        match &report.ways {
            None => format!("Costs are {}; the whole model takes {}.", report.unit, whole(report)),
            Some(ways) => format!("Costs are {}. {}.", report.unit, told_ways(ways, report.unit)),
        },
        "The promise holds for requests that are like the calibration inputs, drawn one by one.".to_owned(),
    ];
    said.extend(report.notes.iter().cloned());
    let notes: String = said.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    format!("<section>\n<h2>6 · How this was measured</h2>\n<ul class=\"notes\">\n{notes}</ul>\n</section>\n")
}

/// The parts of `1% at 95%`.
fn promised(report: &Report) -> (String, String) {
    match report.promise.split_once(" at ") {
        Some((risk, sure)) => (risk.to_owned(), sure.to_owned()),
        None => (percent(report.risk), "the chosen".to_owned()),
    }
}

fn of(report: &Report) -> &'static str {
    match report.unit {
        "MACs" => "the multiplications",
        "seconds" => "the time",
        "joules" => "the energy",
        _ => "the cost",
    }
}

fn whole(report: &Report) -> String {
    amount(report.whole, report.unit)
}

fn interval(share: Share) -> String {
    let interval = share.interval(SURE);
    format!("{} to {}", percent(interval.low), percent(interval.high))
}

fn so_many(share: Share) -> String {
    format!("{} of {}", share.same, share.of)
}

/// With a large first letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
