#!/usr/bin/env python3
"""Trains the digits model: an RBF network, solved in closed form.

The graph is one layer of Gaussian units around centres and one linear layer:

    score = exp(-gamma * |x/16 - centre|^2) @ weights

The centres are per-class k-means of the (shifted) training images, the weights
a ridge regression on one-against-all targets of -1 and +1. No gradient steps,
so the only randomness is the k-means start, which is seeded.

Split of the 1,797 images: fit on 0..999, choose on 1,000..1,199, refit on
0..1,199, and look once at 1,200..1,796.

Usage, from the repository root:

    python3 -m venv venv && venv/bin/pip install -r scripts/requirements-train.txt
    venv/bin/python scripts/train_digits.py

`--wheel scikit_learn-*.whl` first rebuilds models/data/digits.bin from the
package (`pip download --no-deps scikit-learn`). On one machine two runs give the
same bytes: linear algebra is kept on one thread, as the order of its sums depends
on their number. Between machines the last bits may differ; the script writes
model, golden answers and manifest together so that they always agree.
"""

import argparse
import gzip
import hashlib
import json
import os
import struct
import zipfile
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when numpy is loaded

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
DATA = MODELS / "data" / "digits.bin"
WHEEL_MEMBER = "sklearn/datasets/data/digits.csv.gz"
CSV_GZ_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"

MAGIC = b"CLDIGIT1"
IMAGES, PIXELS, CLASSES = 1797, 64, 10
FIT, CHOOSE = 1000, 1200
PIXEL_MAX = 16.0
SEED = 20261121
KMEANS_ROUNDS = 12

SHIFTS = {
    "none": [(0, 0)],
    "4 shifts": [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)],
}
GRID = [
    (shifts, per_class, gamma, ridge)
    for shifts in SHIFTS
    for per_class in (16, 24, 36, 48)
    for gamma in (0.1, 0.15, 0.2, 0.3)
    for ridge in (0.01, 0.1, 1.0)
]
GOLDEN_IMAGES = list(range(10))


def convert(wheel):
    """Writes digits.bin: magic, u32 images, u32 pixels, then (pixels, label) bytes."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(WHEEL_MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != CSV_GZ_SHA256:
        raise SystemExit(f"{WHEEL_MEMBER}: sha256 found={found} expected={CSV_GZ_SHA256}")
    rows = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",")
    assert rows.shape == (IMAGES, PIXELS + 1)
    assert rows.min() >= 0 and rows.max() <= PIXEL_MAX and (rows == rows.astype(np.uint8)).all()
    header = MAGIC + struct.pack("<II", IMAGES, PIXELS)
    DATA.parent.mkdir(parents=True, exist_ok=True)
    DATA.write_bytes(header + rows.astype(np.uint8).tobytes())


def read_images():
    raw = DATA.read_bytes()
    if raw[:8] != MAGIC or struct.unpack("<II", raw[8:16]) != (IMAGES, PIXELS):
        raise SystemExit(f"{DATA} is not the digits set; rebuild it with --wheel")
    rows = np.frombuffer(raw, np.uint8, offset=16).reshape(IMAGES, PIXELS + 1)
    return rows[:, :PIXELS].astype(np.float64) / PIXEL_MAX, rows[:, PIXELS].astype(np.int64)


def shifted(images, dy, dx):
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - dy : 9 - dy, 1 - dx : 9 - dx].reshape(-1, PIXELS)


def augmented(images, labels, shifts):
    moves = SHIFTS[shifts]
    return np.concatenate([shifted(images, *m) for m in moves]), np.tile(labels, len(moves))


def squared_distances(a, b):
    return np.maximum((a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1), 0)


def class_centres(images, labels, per_class):
    """Lloyd's k-means within each class, from seeded draws; an empty cluster keeps its centre."""
    rng = np.random.default_rng(SEED)
    centres = []
    for digit in range(CLASSES):
        members = images[labels == digit]
        own = members[rng.permutation(len(members))[:per_class]].copy()
        for _ in range(KMEANS_ROUNDS):
            nearest = squared_distances(members, own).argmin(1)
            for k in np.unique(nearest):
                own[k] = members[nearest == k].mean(0)
        centres.append(own)
    return np.concatenate(centres)


def targets(labels):
    return 2.0 * np.eye(CLASSES)[labels] - 1.0


def units(images, centres, gamma):
    return np.exp(-gamma * squared_distances(images, centres))


def ridge_weights(hidden, labels, ridge):
    normal = hidden.T @ hidden + ridge * np.eye(hidden.shape[1])
    return np.linalg.solve(normal, hidden.T @ targets(labels))


def choose(images, labels):
    """Highest accuracy on the choosing images; ties go to the smaller squared error."""
    held, truth = images[FIT:CHOOSE], labels[FIT:CHOOSE]
    centres_of, best = {}, None
    print(f"{'augmentation':12} {'centres':>7} {'gamma':>6} {'ridge':>6} {'accuracy':>9} {'mse':>7}")
    for setting in GRID:
        shifts, per_class, gamma, ridge = setting
        train, train_labels = augmented(images[:FIT], labels[:FIT], shifts)
        key = (shifts, per_class)
        if key not in centres_of:
            centres_of[key] = class_centres(train, train_labels, per_class)
        centres = centres_of[key]
        weights = ridge_weights(units(train, centres, gamma), train_labels, ridge)
        scores = units(held, centres, gamma) @ weights
        accuracy = (scores.argmax(1) == truth).mean()
        error = ((scores - targets(truth)) ** 2).mean()
        print(
            f"{shifts:12} {len(centres):7} {gamma:6} {ridge:6} {accuracy:9.4f} {error:7.4f}",
            flush=True,
        )
        if best is None or (-accuracy, error) < best[0]:
            best = ((-accuracy, error), setting)
    return best[1]


def build_graph(centres, weights, gamma):
    """The network in f32 over raw pixels, with the scaling folded into the constants."""
    scale = gamma / PIXEL_MAX**2
    raw = centres * PIXEL_MAX
    constants = {
        "cross": 2 * scale * raw.T,
        "centre_norms": -scale * (raw * raw).sum(1)[None, :],
        "pixel_norm": np.full((PIXELS, 1), scale),
        "weights": weights,
    }
    nodes = [
        ("MatMul", ["pixels", "cross"], "products"),
        ("Add", ["products", "centre_norms"], "partial"),
        ("Mul", ["pixels", "pixels"], "squares"),
        ("MatMul", ["squares", "pixel_norm"], "own_norm"),
        ("Sub", ["partial", "own_norm"], "exponents"),
        ("Exp", ["exponents"], "hidden"),
        ("MatMul", ["hidden", "weights"], "scores"),
    ]
    graph = helper.make_graph(
        [helper.make_node(op, ins, [out], name=out) for op, ins, out in nodes],
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", PIXELS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="corelane")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def write_golden(path, images, scores):
    """Answers of the formula above in f64, not of the exported graph."""
    cases = [
        {
            "image": i,
            "pixels": [int(p) for p in np.rint(images[i] * PIXEL_MAX)],
            "scores": [round(float(s), 6) for s in scores[i]],
        }
        for i in GOLDEN_IMAGES
    ]
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    path.write_text(f'{{\n  "tolerance": 0.001,\n  "cases": [\n{lines}\n  ]\n}}\n')


def write_manifest(path, model, data, correct):
    held_out = IMAGES - CHOOSE
    path.write_text(
        f"""# Written by scripts/train_digits.py. Paths are relative to this file.
version = 1

[[model]]
id = "digits"
version = 1
file = "digits/1/model.onnx"
bytes = {len(model)}
sha256 = "{hashlib.sha256(model).hexdigest()}"
# The centres are averages of images, so the model carries the licence of the data.
licence = "CC-BY-4.0"
trained_by = "scripts/train_digits.py"

[[model.input]]
name = "pixels"
dtype = "f32"
shape = ["batch", {PIXELS}]

[[model.output]]
name = "scores"
dtype = "f32"
shape = ["batch", {CLASSES}]

# {correct / held_out:.4f} of the images that neither the fit nor the choice has seen.
[model.accuracy]
data = "data/digits.bin"
data_bytes = {len(data)}
data_sha256 = "{hashlib.sha256(data).hexdigest()}"
first_image = {CHOOSE}
images = {held_out}
correct = {correct}
"""
    )


def main():
    parser = argparse.ArgumentParser(description="train the digits model")
    parser.add_argument("--wheel", type=Path, help="scikit-learn wheel to rebuild digits.bin from")
    wheel = parser.parse_args().wheel
    if wheel:
        convert(wheel)
    images, labels = read_images()

    shifts, per_class, gamma, ridge = choose(images, labels)
    print(f"\nchosen: {shifts}, {per_class} centres a class, gamma {gamma}, ridge {ridge}")

    train, train_labels = augmented(images[:CHOOSE], labels[:CHOOSE], shifts)
    centres = class_centres(train, train_labels, per_class)
    weights = ridge_weights(units(train, centres, gamma), train_labels, ridge)
    model = build_graph(centres, weights, gamma)

    scores = units(images, centres, gamma) @ weights
    correct = int((scores[CHOOSE:].argmax(1) == labels[CHOOSE:]).sum())
    held_out = IMAGES - CHOOSE
    print(f"held out: {correct} of {held_out} right, accuracy {correct / held_out:.4f}")

    folder = MODELS / "digits" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    write_golden(folder / "golden.json", images, scores)
    write_manifest(MODELS / "manifest.toml", model, DATA.read_bytes(), correct)
    print(f"wrote {folder / 'model.onnx'} ({len(model)} bytes)")


if __name__ == "__main__":
    main()
