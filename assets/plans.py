#!/usr/bin/env python3
"""Where cutting `camera` pays: times its parts here, and prints the fastest plan for each condition.

Latency of a plan = time on the edge + bytes / rate + round trip + time in the cloud. The cloud is this
machine, ONNX Runtime with one thread; an edge is so many times slower. The plans: everything on the edge;
the JPEG file of the frame to the cloud; raw f32 activations at one of the two bottlenecks. Encoding and
decoding JPEG count as nothing, which favours that plan. Rows where the edge alone always wins are left
out. Prints Markdown, as it is in README.md.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import onnxruntime

RATES = [0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 50]
RTTS = [5, 10, 20, 50, 100]
SLOWDOWNS = [4, 10, 25, 60]
CUTS = ["cut1", "cut2"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("--model", type=Path, default=here / "camera.onnx")
    parser.add_argument("--frames", type=Path, default=here / "frames")
    parser.add_argument("--rounds", type=int, default=400, help="timings of each part, interleaved; the median counts")
    args = parser.parse_args()

    model = onnx.shape_inference.infer_shapes(onnx.load(args.model), strict_mode=True)
    jpeg = statistics.median(path.stat().st_size for path in args.frames.glob("*.jpg"))
    times, sizes = measure(model, args.rounds)
    total = macs(model, ["image"], "logits")

    print("| boundary | bytes (f32) | MACs before | time before | time after |\n|---|---|---|---|---|")
    for cut in CUTS:
        share = macs(model, ["image"], cut) / total
        print(f"| `{cut}` {shape(model, cut)} | {sizes[cut]:,} | {share:.0%} | {times['image', cut]:.3f} ms | {times[cut, 'logits']:.3f} ms |")
    whole = times["image", "logits"]
    print(f"| whole | JPEG {jpeg:,.0f} (median) | {total / 1e6:.1f} M | | {whole:.3f} ms |")

    def plans(slowdown, rtt, rate):
        """Milliseconds of each plan; a rate of 1 Mbit/s is 1,000 bits in a millisecond."""
        send = lambda count: count * 8 / (rate * 1000) + rtt
        yield whole * slowdown, "edge"
        yield send(jpeg) + whole, "JPEG"
        for cut in CUTS:
            yield times["image", cut] * slowdown + send(sizes[cut]) + times[cut, "logits"], f"**{cut}**"

    print(f"\n| edge slower by | RTT ms | {' | '.join(f'{rate:g}' for rate in RATES)} | a cut wins within |")
    print("|---" * (len(RATES) + 3) + "|")
    for slowdown in SLOWDOWNS:
        for rtt in RTTS:
            best = [min(plans(slowdown, rtt, rate)) for rate in RATES]
            if all(name == "edge" for _, name in best):
                continue
            fine = [rate for rate in np.geomspace(0.1, 200, 2000) if "cut" in min(plans(slowdown, rtt, rate))[1]]
            region = f"{fine[0]:.1f}–{fine[-1]:.1f} Mbit/s" if fine else "—"
            print(f"| {slowdown} | {rtt} | {' | '.join(f'{name} {ms:.1f}' for ms, name in best)} | {region} |")


def measure(model, rounds):
    """Median milliseconds of each part, keyed by its ends, and the bytes of each cut."""
    extractor = onnx.utils.Extractor(model)
    ends = [("image", "logits")] + [end for cut in CUTS for end in (("image", cut), (cut, "logits"))]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    parts = {
        (a, b): onnxruntime.InferenceSession(extractor.extract_model([a], [b]).SerializeToString(), options, providers=["CPUExecutionProvider"])
        for a, b in ends
    }
    random = np.random.default_rng(1)
    known = {"image": random.standard_normal((1, 3, 128, 128), np.float32)}
    known |= {cut: parts["image", cut].run([cut], known)[0] for cut in CUTS}
    samples = {end: [] for end in ends}
    for _ in range(rounds):
        for (a, b), part in parts.items():
            began = time.perf_counter()
            part.run([b], {a: known[a]})
            samples[a, b].append((time.perf_counter() - began) * 1e3)
    return {end: statistics.median(ms) for end, ms in samples.items()}, {cut: known[cut].nbytes for cut in CUTS}


def macs(model, inputs, output):
    """Multiply-accumulates of the convolutions and linear layers from `inputs` to `output`, batch 1."""
    graph = onnx.utils.Extractor(model).extract_model(inputs, [output]).graph
    shapes = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    shapes |= {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in model.graph.output}
    weights = {w.name: list(w.dims) for w in graph.initializer}
    count = 0
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            outputs, weight = shapes[node.output[0]], weights[node.input[1]]
            count += int(np.prod(outputs[1:])) * int(np.prod(weight[1:]))
    return count


def shape(model, name):
    value = next(v for v in model.graph.value_info if v.name == name)
    return "×".join(str(d.dim_value or d.dim_param) for d in value.type.tensor_type.shape.dim)


if __name__ == "__main__":
    main()
