#!/usr/bin/env python3
"""Train the embedded model `camera` and write everything in this folder that is not source.

The demo needs a model on which cutting pays: a camera frame must cost more bytes than an activation
in the middle of the network, and most of the work must lie behind that activation. Fashion-MNIST as it
comes (784 bytes) cannot show that, so its garments are rendered into 128x128 RGB camera frames, and the
network passes through two narrow bottlenecks, each with an early exit.

    train.py                                 train, then write camera.onnx, frames/ and report.json
    train.py --frames 2560 --out /tmp/try    a quick look

Same seed, versions and machine: same model. Training can be stopped and started again; it goes on from
the last checkpoint in --work, also towards another --frames (see `learning_rate`).
"""

import argparse
import gzip
import io
import json
import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

SIZE = 128
CLASSES = [
    "t-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
]  # fmt: skip
MEAN = [0.40, 0.40, 0.40]
STD = [0.22, 0.22, 0.22]
BATCH = 32
# Training frames of the committed model.
FRAMES = 179_200
# Garments of the training split that are never trained on: progress is measured on them.
HELD_OUT = 1_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="idx files of Fashion-MNIST (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=here, help="folder for camera.onnx, frames/ and report.json (default: beside this script)")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kerf-camera"), help="folder for checkpoints (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=FRAMES, help="training frames, each rendered anew (default: %(default)s)")
    parser.add_argument("--test-frames", type=int, default=10_000, help="held-out frames to measure accuracy on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="peak (default: %(default)s)")
    args = parser.parse_args()

    # One thread: the result does not depend on how many cores there are. A second process renders.
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)

    net = train(args)
    model = export(net)
    (args.out / "camera.onnx").write_bytes(model)
    write_frames(args.out / "frames", args.data)
    report = {
        "frames_trained": args.frames,
        "seed": args.seed,
        "onnx_bytes": len(model),
        **measure_accuracy(model, args),
    }
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


# ---------------------------------------------------------------------------------------------------------
# Frames


def garments(data, split):
    """Images u8 [n,28,28] and labels i64 [n] of "train" or "t10k"."""

    def idx(name, header):
        with gzip.open(data / f"{split}-{name}-ubyte.gz") as file:
            return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy())

    return idx("images-idx3", 16).view(-1, 28, 28), idx("labels-idx1", 8).long()


def render(images, random):
    """Camera frames u8 [n,3,SIZE,SIZE] of garments u8 [n,28,28]; `random` is a torch.Generator."""
    n = len(images)

    def uniform(low, high, *shape):
        return torch.rand(n, *shape, generator=random) * (high - low) + low

    # Where the garment lies: its square covers 67% to 100% of the frame.
    angle = uniform(-0.25, 0.25)
    side = uniform(0.82, 1.0)
    mirror = torch.where(torch.rand(n, generator=random) < 0.5, 1.0, -1.0)
    shift = uniform(-1, 1, 2) * (1 - side)[:, None] * 0.9
    cos, sin = angle.cos() / side, angle.sin() / side
    place = torch.stack([torch.stack([mirror * cos, mirror * sin], 1), torch.stack([-sin, cos], 1)], 1)
    place = torch.cat([place, -(place @ shift[:, :, None])], 2)
    grid = F.affine_grid(place, [n, 1, SIZE, SIZE], align_corners=False)
    garment = F.grid_sample(images[:, None].float() / 255, grid, align_corners=False)

    # What it lies on: value noise in three octaves and stripes, in a colour of its own.
    texture = torch.zeros(n, 1, SIZE, SIZE)
    for cells, strength in ((4, 0.14), (12, 0.10), (40, 0.08)):
        noise = uniform(-1, 1, 1, cells, cells)
        texture += strength * F.interpolate(noise, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    axis = torch.linspace(-1, 1, SIZE)
    wave = uniform(-25, 25, 2, 1, 1)
    phase = wave[:, 0] * axis[None, None, :] + wave[:, 1] * axis[None, :, None]
    texture += (uniform(0, 0.10, 1, 1) * torch.sin(phase))[:, None]
    ground = uniform(0.12, 0.42, 3, 1, 1) * (1 + 2 * texture)

    # The garment's own dark parts stay opaque; only the black around it is see-through.
    opaque = (garment * 6).clamp(0, 1)
    cloth = uniform(0.55, 1.0, 3, 1, 1) * (0.3 + 0.7 * garment)
    frame = torch.lerp(ground, cloth, opaque)

    # How the camera sees it: light falling off to one side, and noise of the sensor.
    light = uniform(-0.2, 0.2, 2, 1, 1)
    frame *= (1 + light[:, 0] * axis[None, None, :] + light[:, 1] * axis[None, :, None])[:, None]
    grain = torch.randn(n, 3, SIZE, SIZE, generator=random)
    frame += grain * uniform(0.035, 0.07, 1, 1, 1)
    return (frame * 255).round_().clamp_(0, 255).to(torch.uint8)


class Batches(torch.utils.data.Dataset):
    """Training batches by number, so that a run that was stopped goes on with the same ones."""

    def __init__(self, data, seed, first, last):
        images, labels = garments(data, "train")
        self.images, self.labels = images[:-HELD_OUT], labels[:-HELD_OUT]
        self.seed, self.first, self.last = seed, first, last

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, index):
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.first + index)
        pick = torch.randint(len(self.images), (BATCH,), generator=random)
        # A few at a time: the frames being drawn then stay in the cache.
        frames = [render(self.images[part], random) for part in pick.split(8)]
        return torch.cat(frames), self.labels[pick]


def test_frames(images, seed):
    """Frames of `images`, a few at a time."""
    for start in range(0, len(images), 250):
        random = torch.Generator().manual_seed(seed * 1_000_003 + 500_000 + start)
        yield start, render(images[start : start + 250], random)


def normalise(frames):
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return (frames.float() / 255 - mean[:, None, None]) / std[:, None, None]


# ---------------------------------------------------------------------------------------------------------
# Network


class Conv(nn.Module):
    """Convolution, batch normalisation and, unless linear, ReLU."""

    def __init__(self, cin, cout, kernel, stride=1, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(cout)
        self.relu = relu

    def forward(self, x):
        x = self.norm(self.conv(x))
        return F.relu(x) if self.relu else x


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a = Conv(channels, channels, 3)
        self.b = Conv(channels, channels, 3, relu=False)

    def forward(self, x):
        return F.relu(x + self.b(self.a(x)))


class Classifier(nn.Module):
    """Mean over the positions, then a linear layer."""

    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels, len(CLASSES))

    def forward(self, x):
        return self.linear(x.mean((2, 3)))


class Camera(nn.Module):
    """stem -> 16x16x4 (exit 1) -> trunk1 -> 8x8x6 (exit 2) -> trunk2 -> logits.

    The stem is a small part of the work and its output, 4,096 bytes, is much smaller than the JPEG of the
    frame; the trunks are wide and work on few positions.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 24, 5, 4), Conv(24, 48, 3, 2), Conv(48, 4, 1, relu=False))
        self.exit1 = nn.Sequential(Conv(4, 32, 3, 2), Conv(32, 64, 3, 2), Classifier(64))
        self.trunk1 = nn.Sequential(Conv(4, 64, 3), Residual(64), Residual(64), Conv(64, 6, 3, 2, relu=False))
        self.exit2 = nn.Sequential(Conv(6, 48, 3), Conv(48, 64, 3, 2), Classifier(64))
        self.trunk2 = nn.Sequential(Conv(6, 104, 3), Residual(104), Residual(104), Classifier(104))

    def forward(self, x):
        cut1 = self.stem(x)
        cut2 = self.trunk1(cut1)
        return self.exit1(cut1), self.exit2(cut2), self.trunk2(cut2)


# ---------------------------------------------------------------------------------------------------------
# Training


def learning_rate(step, steps, peak):
    """Warm-up, a plateau, and a linear fall over the last third.

    On the plateau nothing depends on the length of the run: a checkpoint from there may be continued
    towards another length, and gives what a run of that length from the start would have given.
    """
    return peak * min(1.0, (step + 1) / 200, (steps - step) / (steps / 3))


def train(args):
    torch.manual_seed(args.seed)
    net = Camera().to(memory_format=torch.channels_last)
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}])
    steps = args.frames // BATCH
    start = resume(args, steps, net, optimiser)
    images, labels = garments(args.data, "train")
    images, labels = images[-HELD_OUT:], labels[-HELD_OUT:]

    batches = torch.utils.data.DataLoader(Batches(args.data, args.seed, start, steps), batch_size=None, num_workers=1, prefetch_factor=8)
    began, loss_sum = time.monotonic(), 0.0
    net.train()
    for step, (frames, target) in enumerate(batches, start):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, args.learning_rate)
        exit1, exit2, logits = net(normalise(frames).contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, target) + 0.3 * F.cross_entropy(exit2, target) + 0.3 * F.cross_entropy(exit1, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item()
        if (step + 1) % 100 == 0:
            rate = (step + 1 - start) * BATCH / (time.monotonic() - began)
            print(f"step {step + 1}/{steps}  loss {loss_sum / 100:.3f}  {rate:.0f} frames/s", flush=True)
            loss_sum = 0.0
        if (step + 1) % 500 == 0 or step + 1 == steps:
            state = {"step": step + 1, "steps": steps, "net": net.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(state, args.work / f"step-{step + 1:06}.pt")
        if (step + 1) % 1000 == 0 or step + 1 == steps:
            correct = held_out(net, images, labels)
            print(f"step {step + 1}/{steps}  held out: exit1 {correct[0]:.3f} exit2 {correct[1]:.3f} final {correct[2]:.3f}", flush=True)
    net.eval()
    return net


def resume(args, steps, net, optimiser):
    """Loads the last checkpoint that a run of `steps` would also have come through; returns its step."""
    for path in sorted(args.work.glob("step-*.pt"), reverse=True):
        state = torch.load(path)
        on_plateau = state["step"] <= state["steps"] * 2 / 3 and state["step"] <= steps * 2 / 3
        if state["step"] <= steps and (state["steps"] == steps or on_plateau):
            net.load_state_dict(state["net"])
            optimiser.load_state_dict(state["optimiser"])
            print(f"going on from {path}", flush=True)
            return state["step"]
    return 0


@torch.inference_mode()
def held_out(net, images, labels):
    net.eval()
    hits = np.zeros(3)
    for start, frames in test_frames(images, 0):
        outputs = net(normalise(frames).contiguous(memory_format=torch.channels_last))
        hits += [(o.argmax(1) == labels[start : start + len(frames)]).sum().item() for o in outputs]
    net.train()
    return hits / len(images)


# ---------------------------------------------------------------------------------------------------------
# Export


class Graph:
    """Writes the ONNX nodes of the modules above, batch normalisation folded into the convolutions."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(value.detach().numpy().astype(np.float32), name))
        return name

    def add(self, module, x, name):
        """Adds `module` on the value `x`; returns the name of its output, which is `name` or below it."""
        match module:
            case nn.Sequential():
                for index, part in enumerate(module):
                    last = index + 1 == len(module)
                    x = self.add(part, x, name if last else f"{name}.{index}")
                return x
            case Conv():
                conv, norm = module.conv, module.norm
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                pad, stride = conv.padding[0], conv.stride[0]
                inputs = [
                    x,
                    self.weight(f"{name}.weight", conv.weight * scale[:, None, None, None]),
                    self.weight(f"{name}.bias", norm.bias - norm.running_mean * scale),
                ]
                shape = {"kernel_shape": conv.kernel_size, "strides": [stride] * 2, "pads": [pad] * 4}
                if not module.relu:
                    return self.node("Conv", inputs, name, **shape)
                return self.node("Relu", [self.node("Conv", inputs, f"{name}.conv", **shape)], name)
            case Residual():
                b = self.add(module.b, self.add(module.a, x, f"{name}.a"), f"{name}.b")
                return self.node("Relu", [self.node("Add", [x, b], f"{name}.sum")], name)
            case Classifier():
                flat = self.node("Flatten", [self.node("GlobalAveragePool", [x], f"{name}.mean")], f"{name}.flat")
                weights = [self.weight(f"{name}.weight", module.linear.weight), self.weight(f"{name}.bias", module.linear.bias)]
                return self.node("Gemm", [flat, *weights], name, transB=1)
        raise TypeError(f"no ONNX form for {type(module)}")


def export(net):
    """The ONNX model's bytes, checked and compared with `net`."""
    net = net.eval().to(memory_format=torch.contiguous_format)
    graph = Graph()
    cut1 = graph.add(net.stem, "image", "cut1")
    graph.add(net.exit1, cut1, "exit1")
    cut2 = graph.add(net.trunk1, cut1, "cut2")
    graph.add(net.exit2, cut2, "exit2")
    graph.add(net.trunk2, cut2, "logits")
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "camera",
            [value("image", 3, SIZE, SIZE)],
            [value(name, len(CLASSES)) for name in ("exit1", "exit2", "logits")],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="kerf assets/train.py",
    )
    onnx.checker.check_model(model, full_check=True)
    encoded = model.SerializeToString()

    x = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = net(x)
    got = session(encoded).run(["exit1", "exit2", "logits"], {"image": x.numpy()})
    for a, b in zip(expected, got):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-3, atol=1e-3)
    return encoded


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


# ---------------------------------------------------------------------------------------------------------
# Committed frames, accuracy

FRAMES_PER_CLASS = 20
QUALITY = 90


def write_frames(folder, data):
    """Frames of the test split's first garments of each class as JPEG, in mixed order, with labels.tsv."""
    images, labels = garments(data, "t10k")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = torch.cat([(labels == c).nonzero()[:FRAMES_PER_CLASS, 0] for c in range(len(CLASSES))]).sort().values
    rows = []
    for start, frames in test_frames(images[chosen], 7):
        for index, frame in enumerate(frames, start):
            label = int(labels[chosen[index]])
            name = f"{index:03}.jpg"
            (folder / name).write_bytes(jpeg(frame))
            rows.append(f"{name}\t{label}\t{CLASSES[label]}\n")
    (folder / "labels.tsv").write_text("".join(rows))


def jpeg(frame):
    out = io.BytesIO()
    Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def measure_accuracy(model, args):
    """Share of right answers of each output, on held-out frames and on the committed JPEG files."""
    run = session(model)
    names = ["exit1", "exit2", "logits"]

    def hits(frames, labels):
        outputs = run.run(names, {"image": normalise(frames).numpy()})
        return np.array([(o.argmax(1) == labels.numpy()).sum() for o in outputs])

    images, labels = garments(args.data, "t10k")
    images, labels = images[: args.test_frames], labels[: args.test_frames]
    rendered = sum(hits(frames, labels[start : start + len(frames)]) for start, frames in test_frames(images, 3))

    committed, sizes = np.zeros(3), []
    rows = [line.split("\t") for line in (args.out / "frames/labels.tsv").read_text().splitlines()]
    for name, label, _ in rows:
        path = args.out / "frames" / name
        sizes.append(path.stat().st_size)
        frame = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
        committed += hits(frame[None], torch.tensor([int(label)]))
    return {
        "accuracy_rendered": {"frames": len(images), **dict(zip(names, (rendered / len(images)).round(4).tolist()))},
        "accuracy_jpeg": {"frames": len(rows), **dict(zip(names, (committed / len(rows)).round(4).tolist()))},
        "jpeg_bytes": {"min": min(sizes), "median": int(np.median(sizes)), "max": max(sizes), "total": sum(sizes)},
    }


if __name__ == "__main__":
    main()
