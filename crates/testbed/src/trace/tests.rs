use super::*;
use proptest::prelude::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn parsed(text: &str) -> Trace {
    Trace::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_constant_rate_takes_bytes_over_rate() {
    let trace = Trace::constant(1_000_000).unwrap();
    for (from, bytes, done) in [(0, 1_000, 1), (0, 1_500_000, 1_500), (700, 5_000_000, 5_700), (3, 0, 3)] {
        assert_eq!(trace.through(MS(from), bytes), Some(MS(done)), "{bytes} from {from} ms");
    }
    // The first nanosecond by which all of it is through: rounded up.
    assert_eq!(
        Trace::constant(3).unwrap().through(Duration::ZERO, 1),
        Some(Duration::from_nanos(333_333_334))
    );
    assert_eq!((Trace::constant(0), Trace::constant(MAX_RATE + 1)), (None, None));
}

#[test]
fn packets_cross_at_their_opportunities() {
    let trace = parsed("1\n1\n5\n10\n");
    assert_eq!(trace.period(), MS(10));
    assert_eq!(trace.mean_rate(), 600_000.0);
    for (from, bytes, done) in [
        (0, 1, 1),
        (0, 3_000, 1),
        (0, 3_001, 5),
        // What is offered at an opportunity's instant is served by it.
        (1, 3_000, 1),
        (2, 1_500, 5),
        (2, 3_000, 10),
        // The trace starts over at 10 ms: both opportunities at 11.
        (2, 6_000, 11),
        (10, 1_500, 10),
        (10, 1_501, 11),
        (11, 6_000, 20),
        (0, 6_000 * 100, 1_000),
    ] {
        assert_eq!(trace.through(MS(from), bytes), Some(MS(done)), "{bytes} from {from} ms");
    }
}

#[test]
fn what_is_offered_in_order_shares_opportunities() {
    let trace = parsed("1\n2\n4\n");
    let mut end = Capacity::default();
    let mut send = |from: u64, bytes: u64| {
        end = end.max(trace.capacity(MS(from))) + Capacity::bytes(bytes);
        trace.time(end).unwrap()
    };
    assert_eq!(send(0, 1_000), MS(1));
    assert_eq!(send(0, 500), MS(1), "the rest of the first opportunity");
    assert_eq!(send(0, 600), MS(2));
    assert_eq!(send(3, 1_500), MS(4), "the rest of the second opportunity went unused");
}

#[test]
fn rates_hold_until_the_next_line_and_the_last_as_long_as_the_one_before() {
    // From 10 s: 1 MB/s, nothing for a second, 2 MB/s for half of one, twice.
    let trace = parsed("10 8\n11 0\n12.0\t16\n\n12.5 16.0");
    assert_eq!(trace.period(), MS(3_000));
    for (from, bytes, done) in [
        (0, 1_000_000, 1_000u32),
        (0, 1_000_001, 2_001),
        (1_500, 1_000, 2_001),
        (500, 1_500_000, 2_500),
        (2_900, 200_000, 3_000),
        (2_900, 300_000, 3_100),
        (0, 3_000_000 * 7, 21_000),
    ] {
        let through = trace.through(MS(from), bytes).unwrap();
        assert_eq!(through.as_nanos().div_ceil(1_000_000), u128::from(done), "{bytes} from {from} ms");
    }
}

#[test]
fn an_outage_carries_nothing() {
    let out = |trace: &str, from, to| parsed(trace).with_outage(MS(from), MS(to));
    assert_eq!(out("1\n2\n4\n", 2, 4), Some(parsed("1\n4\n")));
    assert_eq!(out("1\n2\n4\n", 3, 3), Some(parsed("1\n2\n4\n")));
    // What may cross at the end crosses when the next period begins.
    assert_eq!(out("1\n2\n4\n", 0, 2).map(|left| left.steps.len()), Some(1));
    assert_eq!(out("1\n2\n4\n", 0, 5_000), None);
    let out_half = out("0 8\n1 16\n2 8\n", 500, 1_500).unwrap();
    for (bytes, done) in [(500_000, 500), (502_000, 1_501), (1_501_000, 2_001), (2_501_000, 3_001)] {
        assert_eq!(out_half.through(MS(0), bytes), Some(MS(done)), "{bytes}");
    }
    assert_eq!(out("0 8\n1 16\n", 1_000, 9_000), Some(parsed("0 8\n1 0\n")));
    assert_eq!(out("0 8\n1 16\n", 0, 9_000), None);
}

#[test]
fn hostile_files_are_refused_with_their_line() {
    let long = "1\n".to_owned() + &"1".repeat(300);
    for (text, message) in [
        ("", "nothing would ever arrive"),
        ("\n\n", "nothing would ever arrive"),
        ("0\n0\n", "nothing would ever arrive"),
        ("0 0\n1 0\n", "nothing would ever arrive"),
        ("1\n2 3\n", "line 2: 2 fields"),
        ("1 2\n3\n", "line 2: 1 fields"),
        ("1 2 3\n", "line 1: 3 fields"),
        ("1\n\nx\n", "line 3: \"x\" is not a time"),
        ("-1\n", "line 1: \"-1\" is not a time"),
        ("1.5\n", "line 1: \"1.5\" is not a time"),
        ("18446744073709551615\n", "line 1: \"18446744073709551615\" is not a time"),
        ("5\n4\n", "line 2: 4 is not later"),
        ("0 1\n0 2\n", "line 2: 0 is not later"),
        ("0 1\ninf 2\n", "line 2: \"inf\" is not a time"),
        ("0 NaN\n", "line 1: \"NaN\" is not a rate"),
        ("0 -1\n", "line 1: \"-1\" is not a rate"),
        ("0 1e6\n", "line 1: \"1e6\" is not a rate"),
        (&long, "line 2: longer than 256 bytes"),
    ] {
        let error = Trace::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
    let error = Trace::parse(&b"1\n\xff\n"[..]).unwrap_err().to_string();
    assert_eq!(error, "line 2: no text");
}

/// Either form, from small numbers.
fn traces() -> impl Strategy<Value = Trace> {
    let opportunities = prop::collection::vec(0..40u64, 1..20).prop_filter_map("nothing", |mut times| {
        times.sort_unstable();
        let text: String = times.iter().map(|time| format!("{time}\n")).collect();
        Trace::parse(text.as_bytes()).ok()
    });
    let rates = prop::collection::vec((1..900u32, 0..3u32), 1..8).prop_filter_map("nothing", |lines| {
        let mut at = 0;
        let line = |(gap, rate): &(u32, u32)| {
            at += gap;
            format!("{} {}\n", f64::from(at) / 1e3, f64::from(*rate) * 1.1)
        };
        Trace::parse(lines.iter().map(line).collect::<String>().as_bytes()).ok()
    });
    prop_oneof![opportunities, rates]
}

proptest! {
    /// Against the definition: the earliest moment after which enough was carried.
    #[test]
    fn time_is_the_inverse_of_capacity(trace in traces(), from in 0..200_000_000u64, bytes in 1..100_000u64) {
        let from = Duration::from_nanos(from);
        let nano = Duration::from_nanos(1);
        let wanted = trace.capacity(from) + Capacity::bytes(bytes);
        let done = trace.through(from, bytes).unwrap();
        prop_assert!(trace.capacity(done + nano) >= wanted);
        // An opportunity at `done` is not in the capacity before it; a rate has nearly filled it up.
        prop_assert!(trace.capacity(done) < wanted || trace.kind == Kind::Rates);
        prop_assert!(trace.capacity(done.saturating_sub(nano)) < wanted);
    }

    #[test]
    fn capacity_grows_and_repeats(trace in traces(), at in 0..10_000_000_000u64, later in 0..1_000_000_000u64) {
        let at = Duration::from_nanos(at);
        prop_assert!(trace.capacity(at) <= trace.capacity(at + Duration::from_nanos(later)));
        let nano = Duration::from_nanos(1);
        // The very start differs: the opportunity at the end of the lap before is there too.
        let (a, b) = (trace.capacity(at + nano), trace.capacity(at + nano + trace.period()));
        prop_assert_eq!(b.less(a), Capacity(trace.total));
    }

    /// Two messages, one after the other, are through when both together are.
    #[test]
    fn messages_in_order_add_up(trace in traces(), from in 0..100u64, a in 0..20_000u64, b in 1..20_000u64) {
        let start = trace.capacity(MS(from));
        let together = trace.through(MS(from), a + b).unwrap();
        prop_assert_eq!(trace.time(start + Capacity::bytes(a) + Capacity::bytes(b)).unwrap().max(MS(from)), together);
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(Trace::parse(&text[..]));
    }
}
