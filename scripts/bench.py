#!/usr/bin/env python3
"""Measures what docs/benchmarks.md quotes, and writes it there.

    scripts/bench.py [--only NAME...] [--cold] [--print]

Every table between `<!-- bench:NAME -->` and `<!-- /bench -->` in docs/benchmarks.md is replaced
by what this machine gives now; the prose around stays. Needs what acceptance.py needs. `--cold`
also times a build from nothing (several minutes); without it that table is left as it is.
`--print` shows the tables and leaves the file alone.
"""

import argparse
import io
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image, ImageOps

from acceptance import DATA, ROOT, TARGET, Mesh, ask_tensor, photos, pillow_preprocess, run

PAGE = ROOT / "docs/benchmarks.md"


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    rustc = run("rustc", "-V").stdout.strip()
    commit = run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {cpu}, {platform.system()} {platform.machine()}, {rustc}; "
        f"commit {commit}, {time.strftime('%Y-%m-%d', time.gmtime())}, load average before {load:.1f}"
    )


def pack(folder, model, name, *more):
    folder = folder / "models"
    run(TARGET / "partitioner", "pack", DATA / f"models/{model}.onnx", "--name", name, "--into", folder, *more)
    return folder / name


def bench_cut(folder):
    rows = ["| model | engine | whole, ms (median) | head + tail over whole, median of the boundaries | worst | boundaries |", "|---|---|---|---|---|---|"]
    for model in ("mobilenet_v2_imagenet_fp32", "cifar10_resnet20", "yolox_nano"):
        packed = pack(folder, model, model)
        for engine in ("ort", "tract"):
            found = run(TARGET / "partitioner", "bench", packed, "--engine", engine, "--threads", "1", "--runs", "30", "--json")
            figures = json.loads(found.stdout)["engines"][0]["boundaries"]
            ratios = [entry["ratio"] for entry in figures]
            whole = statistics.median(entry["whole_ms"] for entry in figures)
            rows.append(
                f"| {model} | {engine} | {whole:.2f} | {statistics.median(ratios):.3f} | {max(ratios):.3f} | {len(ratios)} |"
            )
    return rows


def bench_mesh(folder):
    """total − head − tail of a split request, as the edge node itself reports it."""
    packed = pack(folder, "mobilenet_v2_imagenet_fp32", "mobilenet", "--preprocess", "imagenet")
    places = json.loads((packed / "1/boundaries.json").read_text())["boundaries"]
    boundary = min(range(1, len(places) - 1), key=lambda index: abs((places[index]["bytes"] or 0) - 50_000))
    size = places[boundary]["bytes"]
    with Mesh(folder, ["mobilenet"]) as mesh:
        mesh.write(f"b{boundary}")
        mesh.start("cloud")
        mesh.start("edge")
        tensor = pillow_preprocess(photos(1)[0])
        spec = json.loads(run(TARGET / "partitioner", "inspect", packed, "--json").stdout)
        source, output = spec["inputs"][0]["name"], spec["outputs"][0]["name"]
        samples = []
        with mesh.client() as client:
            for index in range(320):
                start = time.perf_counter()
                answer = ask_tensor(client, "mobilenet", source, output, tensor).get_response()["parameters"]
                outside = (time.perf_counter() - start) * 1e6
                assert "fallback" not in answer, answer
                if index >= 20:
                    samples.append({**answer, "client_us": outside})
    part = lambda key: statistics.median(sample.get(key, 0) for sample in samples) / 1e3
    overhead = [sample["total_us"] - sample.get("head_us", 0) - sample.get("cloud_compute_us", 0) for sample in samples]
    overhead.sort()
    return [
        f"Boundary b{boundary}, {size} bytes, 300 requests one after another, medians in ms:",
        "",
        "| part | ms |",
        "|---|---|",
        f"| head, on the edge | {part('head_us'):.2f} |",
        f"| tail, in the cloud | {part('cloud_compute_us'):.2f} |",
        f"| **mesh overhead: total − head − tail** | **{statistics.median(overhead) / 1e3:.2f}** (p90 {overhead[len(overhead) * 9 // 10] / 1e3:.2f}) |",
        f"| of which waiting for a compute thread, edge | {part('queue_us'):.2f} |",
        f"| of which waiting for a compute thread, cloud | {part('cloud_queue_us'):.2f} |",
        f"| of which network: QUIC there and back, and the cloud's own bookkeeping | {part('network_us'):.2f} |",
        f"| total, as the edge node sees it | {part('total_us'):.2f} |",
        f"| total, as the Python client sees it (HTTP and its own encoding included) | {part('client_us'):.2f} |",
    ]


def bench_memory(folder):
    model = pack(folder, "mobilenet_v2_imagenet_fp32", "mobilenet")
    rows = ["| edge node | resident memory, MiB |", "|---|---|"]
    cases = (
        ("without a model", [], "auto"),
        ("MobileNetV2, all on the edge, tract", [model.name], "tract"),
        ("MobileNetV2, all on the edge, ort", [model.name], "ort"),
    )
    with Mesh(folder, []) as mesh:
        for title, models, engine in cases:
            mesh.models = models
            mesh.write("edge")
            config = mesh.folder / "edge.yaml"
            text = config.read_text().replace("kind: auto", f"kind: {engine}")
            config.write_text(text if models else text.replace("models:\n", "models: []\n"))
            process = subprocess.Popen([TARGET / "edge-node", "--config", config], stderr=subprocess.DEVNULL)
            time.sleep(3)
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            process.terminate()
            process.wait()
            resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
            rows.append(f"| {title} | {resident:.1f} |")
    return rows


def bench_inspect(folder):
    models = pathlib.Path(os.environ.get("KERF_LARGE_MODELS", folder / "large"))
    if not (models / "densenet121.onnx").exists():
        models.mkdir(exist_ok=True)
        run(sys.executable, DATA / "make_models.py", models, "densenet121")
    path = models / "densenet121.onnx"
    times = []
    for _ in range(11):
        start = time.perf_counter()
        out = run(TARGET / "partitioner", "inspect", path, "--json").stdout
        times.append(time.perf_counter() - start)
    nodes = len(json.loads(out)["nodes"])
    return ["| graph | nodes | file, MB | whole process, s (median of 11) |", "|---|---|---|---|",
            f"| densenet121 | {nodes} | {path.stat().st_size / 1e6:.1f} | {statistics.median(times):.3f} |"]


def bench_transport(_folder):
    out = subprocess.run(["cargo", "bench", "-q", "-p", "kerf-transport", "--bench", "echo"],
                         cwd=ROOT, text=True, capture_output=True, check=True)
    rows = ["| echo over loopback, mutual TLS | p50, µs | p99, µs | calls |", "|---|---|---|---|"]
    for size, p50, p99, calls in re.findall(r"^echo/(.+): p50 ([\d.]+)µs, p99 ([\d.]+)µs, (\d+) calls", out.stdout + out.stderr, re.M):
        rows.append(f"| {size} | {float(p50):.0f} | {float(p99):.0f} | {calls} |")
    return rows


def bench_binaries(_folder):
    rows = ["| binary | MiB (release, stripped) |", "|---|---|"]
    for name in ("edge-node", "cloud-node", "partitioner", "demo"):
        rows.append(f"| {name} | {(TARGET / name).stat().st_size / 2**20:.1f} |")
    return rows


def bench_build(folder):
    target = pathlib.Path(folder, "cold")
    start = time.perf_counter()
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "demo"], cwd=ROOT, check=True,
                   env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    took = time.perf_counter() - start
    shutil.rmtree(target)
    return ["| build | s |", "|---|---|", f"| `cargo build --release -p demo`, nothing built, crates downloaded | {took:.0f} |"]


LINKS = (("2Mbps", "20ms"), ("8Mbps", "40ms"), ("50Mbps", "10ms"))


def frames(folder, count):
    """What a camera of 640x480 gives."""
    folder.mkdir()
    for index, photo in enumerate(photos(count)):
        picture = ImageOps.fit(Image.open(io.BytesIO(photo)).convert("RGB"), (640, 480))
        picture.save(folder / f"{index:02}.jpg", quality=85)
    return folder


def both(pair):
    return f"{pair['predicted_s'] * 1e3:.1f} → {pair['measured_s'] * 1e3:.1f}"


def errors(pairs):
    """As `plan --measure` counts them: figures of 1 ms or more."""
    counted = [pair for pair in pairs if max(pair.values()) >= 1e-3]
    found = sorted(abs(pair["predicted_s"] / pair["measured_s"] - 1) for pair in counted)
    return f"{statistics.median(found):.1%}, p90 {found[int(len(found) * 0.9)]:.1%} ({len(found)} figures)"


def bench_plan(folder):
    pictures = ("--inputs", frames(folder / "frames", 16))
    models = {
        "mobilenet_v2_imagenet_fp32": (("--preprocess", "imagenet"), pictures),
        "yolox_nano": (("--resize", "416x416", "--scale", "1", "--channels", "bgr"), pictures),
        "cifar10_resnet20": ((), ()),
    }
    rows = ["| model | link | choice, and the best that sends | edge, ms | network, ms | cloud, ms | total, ms | totals of all choices run off by: median, worst |",
            "|---|---|---|---|---|---|---|---|"]
    totals, parts = [], []
    for model, (steps, inputs) in models.items():
        packed = pack(folder, model, model, *steps)
        profile = folder / f"{model}.json"
        run(TARGET / "partitioner", "profile", packed, "-o", profile, "--engine", "ort", "--threads", "1", "--budget", "75s", *inputs)
        for rate, rtt in LINKS:
            told = run(TARGET / "partitioner", "plan", packed, "--edge", profile, "--cloud", profile,
                       "--bandwidth", rate, "--rtt", rtt, "--measure", "--json", *inputs)
            choices = json.loads(told.stdout)["measured"]["choices"]
            totals += [choice["total"] for choice in choices]
            parts += [choice[part] for choice in choices for part in ("edge", "network", "cloud")]
            off = [abs(choice["total"]["predicted_s"] / choice["total"]["measured_s"] - 1) for choice in choices]
            # The choice, and the best that sends anything.
            sends = min((choice for choice in choices if choice["cloud"]["measured_s"] > 0), key=lambda choice: choice["total"]["predicted_s"])
            for choice in choices[:1] + [sends] * (sends is not choices[0]):
                cells = [both(choice[part]) for part in ("edge", "network", "cloud", "total")]
                rows.append(f"| {model} | {rate}, {rtt} | {choice['name']} | {' | '.join(cells)} | {statistics.median(off):.1%}, {max(off):.1%} of {len(choices)} |")
    return rows + ["", f"Whole requests: median error {errors(totals)}. Parts: median error {errors(parts)}."]


def bench_profile(folder):
    rows = ["| model | engine | ranges timed | left out in turn: median, p90 | predicted, then timed: ranges, median, p90 |",
            "|---|---|---|---|---|"]
    for model, engine in (("mobilenet_v2_imagenet_fp32", "ort"), ("mobilenet_v2_imagenet_fp32", "tract"), ("yolox_nano", "ort")):
        packed = folder / "models" / model
        packed = packed if packed.exists() else pack(folder, model, model)
        told = subprocess.run(
            [TARGET / "partitioner", "profile", packed, "-o", folder / f"{model}.{engine}.json", "--engine", engine,
             "--threads", "1", "--budget", "12s", "--check", "12", "--json"], text=True, capture_output=True)
        found = json.loads(told.stdout)
        out, check, last = found["leave_out"], found["check"], len(found["profile"]["boundaries"]) - 1
        timed = sum(1 for each in found["profile"]["ranges"] if each["batch"] == 1)
        ahead = f"{len(check['ranges'])}, {check['median']:.1%}, {check['p90']:.1%}" if check["ranges"] else "none was left"
        rows.append(f"| {model} | {engine} | {timed} of {last * (last + 1) // 2} | {out['median']:.1%}, {out['p90']:.1%} | {ahead} |")
    return rows


def bench_planner(_folder):
    out = subprocess.run(["cargo", "bench", "-q", "-p", "kerf-planner", "--bench", "cut", "--bench", "decide", "--", "--warm-up-time", "0.3", "--measurement-time", "1"], cwd=ROOT, text=True, capture_output=True, check=True,
                         env={**os.environ, "KERF_MODELS": os.environ.get("KERF_LARGE_MODELS", "")})
    rows = ["| what | median |", "|---|---|"]
    for name, median, unit in re.findall(r"^(\S.*?)\n? +time: +\[\S+ \S+ (\S+) (\S+) \S+ \S+\]", out.stdout, re.M):
        rows.append(f"| {name.removeprefix('planner/')} | {float(median):.3g} {unit} |")
    return rows


def bench_link(folder):
    out = folder / "link.json"
    run("cargo", "run", "-q", "--release", "-p", "kerf-testbed", "--example", "link_fidelity", "--", "--json", str(out), cwd=ROOT)
    cells = json.loads(out.read_text())
    late = lambda cell, what: ", ".join(f"{cell[what][part]:.2f}" for part in ("p50", "p90", "p99"))
    rows = ["| link, 20 ms one way | alone: late by, ms: p50, p90, p99 | saturated: late by, ms | rate off by | of a second: median, worst | a sleeper late by, ms | load |", "|---|---|---|---|---|---|---|"]
    for cell in cells:
        second = cell["rate_error_percent_of_a_second"]
        rows.append(f"| {cell['link']} | {late(cell, 'lone_late_ms')} | {late(cell, 'saturated_late_ms')} | {cell['rate_error_percent']:.3f}% | {second['p50']:.3f}%, {second['worst']:.3f}% | {late(cell, 'sleeper_late_ms')} | {cell['load'][0]:.1f} |")
    return rows


BENCHES = {"cut": bench_cut, "mesh": bench_mesh, "memory": bench_memory, "inspect": bench_inspect,
           "profile": bench_profile, "planner": bench_planner, "plan": bench_plan, "link": bench_link, "transport": bench_transport, "binaries": bench_binaries, "build": bench_build}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--cold", action="store_true", help="time a build from nothing too")
    parser.add_argument("--print", action="store_true", help="leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    names = arguments.only or [name for name in BENCHES if name != "build" or arguments.cold]
    page = PAGE.read_text()
    tables = {"machine": [machine()]} if not arguments.only else {}
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            tables[name] = BENCHES[name](pathlib.Path(folder))
    for name, rows in tables.items():
        table = "\n".join(rows)
        if arguments.print:
            print(f"\n{name}\n{table}")
        page = re.sub(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench -->)", lambda found: f"{found[1]}{table}\n{found[2]}", page, flags=re.S)
    if not arguments.print:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
