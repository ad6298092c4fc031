//! Shape arithmetic against doing it element by element, with sizes known and symbolic.

use super::*;
use proptest::prelude::*;

/// What a value's shape is under `N = size` and, through the symbolic result, for any size.
/// Panics where the symbolic result contradicts the bound one.
fn shape(graph: &Graph, value: &str, size: usize) -> Option<Vec<usize>> {
    let any = graph.facts(13, &Bindings::default());
    let bound = graph.facts(13, &Bindings::ones().with("N", size));
    let bound = bound[value].shape.as_ref()?;
    if let Some(any) = &any[value].shape {
        assert_eq!(any.len(), bound.len());
        for (any, bound) in any.iter().zip(bound) {
            match any {
                Dim::Fixed(_) => assert_eq!(any, bound),
                Dim::Symbol(name) if name == "N" => assert_eq!(*bound, Dim::Fixed(size)),
                Dim::Symbol(_) => {}
            }
        }
    }
    bound
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            Dim::Symbol(_) => None,
        })
        .collect()
}

fn dims(sizes: &[usize], symbolic: Option<usize>) -> String {
    let dims = sizes.iter().enumerate().map(|(axis, size)| match symbolic == Some(axis) {
        true => "N".to_owned(),
        false => size.to_string(),
    });
    dims.collect::<Vec<_>>().join(" ")
}

fn sliced(size: i64, start: i64, end: i64, step: i64) -> usize {
    if size == 0 {
        return 0;
    }
    let place = |bound: i64| if bound < 0 { bound + size } else { bound };
    let (start, end) = (place(start), place(end));
    let (mut place, last, mut count) = match step > 0 {
        true => (start.clamp(0, size), end.clamp(0, size), 0),
        false => (start.clamp(0, size - 1), end.clamp(-1, size - 1), 0),
    };
    while (step > 0 && place < last) || (step < 0 && place > last) {
        count += 1;
        place += step;
    }
    count
}

proptest! {
    #[test]
    fn slice(
        size in 0usize..12, symbolic: bool,
        start in -15i64..15, end in prop_oneof![-15i64..15, Just(i64::MAX), Just(i64::MIN)],
        step in prop_oneof![-4i64..0, 1i64..4],
    ) {
        let symbolic = symbolic && size > 0;
        let graph = Graph::default()
            .input("x", DType::F32, if symbolic { "N".to_owned() } else { size.to_string() }.as_str())
            .ints("start", &[start]).ints("end", &[end]).ints("axis", &[0]).ints("step", &[step])
            .node("y = Slice x start end axis step", vec![]);
        let end = end.clamp(-1000, 1000);
        prop_assert_eq!(shape(&graph, "y", size), Some(vec![sliced(size as i64, start, end, step)]));
    }

    #[test]
    fn broadcast(
        left in prop::collection::vec(1usize..4, 0..4), right in prop::collection::vec(1usize..4, 0..4),
        symbolic in 0usize..6,
    ) {
        let symbolic = Some(symbolic).filter(|axis| *axis < left.len());
        let graph = Graph::default()
            .input("a", DType::F32, &dims(&left, symbolic)).input("b", DType::F32, &dims(&right, None))
            .node("y = Add a b", vec![]);
        let rank = left.len().max(right.len());
        let size = |sizes: &[usize], axis: usize| (axis + sizes.len()).checked_sub(rank).map_or(1, |axis| sizes[axis]);
        let expected = (0..rank).map(|axis| match (size(&left, axis), size(&right, axis)) {
            (1, other) | (other, 1) => Some(other),
            (a, b) => Some(a).filter(|_| a == b),
        });
        let expected = expected.collect::<Option<Vec<_>>>();
        // What cannot broadcast may be anything but known for every size.
        if expected.is_some() {
            let size = symbolic.map_or(1, |axis| left[axis]);
            prop_assert_eq!(shape(&graph, "y", size), expected);
        } else if symbolic.is_none() {
            prop_assert_eq!(shape(&graph, "y", 1), None);
        }
    }

    #[test]
    fn reshape(
        sizes in prop::collection::vec(1usize..5, 1..5), symbolic in 0usize..6,
        split in 0usize..5, hole in 0usize..5, copied: bool,
    ) {
        let symbolic = Some(symbolic).filter(|axis| *axis < sizes.len());
        // The last axes merged into one, one axis left to infer, the first perhaps copied.
        let split = split.min(sizes.len());
        let mut target: Vec<usize> = sizes[..split].to_vec();
        target.push(sizes[split..].iter().product());
        let hole = hole.min(target.len() - 1);
        let mut wanted: Vec<i64> = target.iter().map(|size| *size as i64).collect();
        if copied && split > 0 {
            wanted[0] = 0;
        }
        wanted[hole] = -1;
        let graph = Graph::default()
            .input("x", DType::F32, &dims(&sizes, symbolic)).ints("shape", &wanted)
            .node("y = Reshape x shape", vec![]);
        let size = symbolic.map_or(1, |axis| sizes[axis]);
        prop_assert_eq!(shape(&graph, "y", size), Some(target));
    }

    #[test]
    fn window(
        size in 1usize..20, kernel in 1i64..5, stride in 1i64..4, dilation in 1i64..3,
        before in 0i64..3, after in 0i64..3,
    ) {
        let graph = Graph::default().input("x", DType::F32, "1 1 N").node("y = MaxPool x", vec![
            ints("kernel_shape", &[kernel]), ints("strides", &[stride]), ints("dilations", &[dilation]),
            ints("pads", &[before, after]),
        ]);
        let room = size as i64 + before + after;
        let reach = (kernel - 1) * dilation + 1;
        let count = (0..room).step_by(stride as usize).filter(|start| start + reach <= room).count();
        if count > 0 {
            prop_assert_eq!(shape(&graph, "y", size), Some(vec![1, 1, count]));
        }
    }
}
