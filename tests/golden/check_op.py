#!/usr/bin/env python3
"""Compares `offramp op` with PyTorch (float64) on random shapes, and with the ONNX node tests where onnx is installed.

  python tests/golden/check_op.py --binary build/offramp [--cases 12] [--seed 1] [--ops conv2d,linear]
  python tests/golden/check_op.py --write tests/golden/op.safetensors     # the cases of tests/cli/op_golden_test.cpp

Forward and gradients, on every CPU target of the build and on a card (target "cuda"), float32 and float64. Sums of k products are held to the
random-walk bound 2*sqrt(k)*eps*sum|products| (Higham & Mary 2019), small integers to equality; the other bounds are
derived beside each operator. Prints counts; exits 1 on a mismatch. Needs numpy and torch."""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

from op_cases import EXACT, OPS, Maker
from onnx_node_cases import onnx_cases

torch.use_deterministic_algorithms(True)
NO_GRADIENT = {"batch_norm": {"mean", "var"}, "cross_entropy": {"t"}, "kl_div": {"t"}}
WEIGHT = {"conv2d": 8}  # this many times the cases


def solve(case, gy):
    """Truth in float64: (y, gradients, further outputs) and the float64 inputs."""
    t = {}
    for name, a in case.inputs.items():
        v = torch.from_numpy(a)
        if v.is_floating_point():
            v = v.double()
            if name not in NO_GRADIENT.get(case.op, ()):
                v.requires_grad_()
        t[name] = v
    y = case.truth(t)
    more = []
    if isinstance(y, tuple):
        y, *more = y
    if gy is None:
        gy = torch.ones(y.shape, dtype=torch.float64)
    y.backward(gy)
    grads = {"g" + k: v.grad for k, v in t.items() if v.is_floating_point() and v.requires_grad}
    return y.detach(), grads, dict(zip(case.more, more)), {k: v.detach() for k, v in t.items()}


def upstream(case, maker):
    with torch.no_grad():
        y = case.truth({k: torch.from_numpy(v).double() if v.dtype == np.float32 else torch.from_numpy(v)
                        for k, v in case.inputs.items()})
    shape = tuple((y[0] if isinstance(y, tuple) else y).shape)
    return np.asarray(maker.ints(*shape) if case.integers else maker.reals(*shape), dtype=np.float32).reshape(shape)


class Runner:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def run(self, op, inputs, attrs, gy, target, threads=1):
        out = os.path.join(self.folder, "out")
        for old in os.listdir(out) if os.path.isdir(out) else []:
            os.remove(os.path.join(out, old))
        words = [self.binary, "op", op, "--out-dir", out, "-q", "--threads", str(threads)]
        for name, a in inputs.items():
            path = os.path.join(self.folder, name + ".npy")
            np.save(path, np.ascontiguousarray(a))
            words += ["--in", f"{name}={path}"]
        for name, value in attrs.items():
            words += ["--attr", f"{name}={value}"]
        if gy is not None:
            np.save(os.path.join(self.folder, "upstream.npy"), gy)
            words += ["--grad", os.path.join(self.folder, "upstream.npy")]
        on_card = target == "cuda"
        env = {**os.environ, **({} if on_card else {"OFFRAMP_TARGET": target})}
        done = subprocess.run(words + (["--device", "cuda"] if on_card else []), env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
        return {f[:-4]: np.load(os.path.join(out, f)) for f in sorted(os.listdir(out))}


def compare(name, got, want, bound):
    """None, or what is wrong."""
    want = want.numpy() if torch.is_tensor(want) else want
    bound = bound.numpy() if torch.is_tensor(bound) else bound
    if got.shape != want.shape:
        return f"{name}: shape {got.shape}, want {want.shape}"
    error = np.abs(got.astype(np.float64) - want)
    # float32 also loses what is below its smallest number
    wrong = ~(error <= bound + (1e-37 if got.dtype == np.float32 else 1e-300))
    if not wrong.any():
        return None
    at = np.unravel_index(np.argmax(np.where(wrong, error - bound, -1)), error.shape)
    limit = bound if np.ndim(bound) == 0 else bound[at]
    return (f"{name}: {wrong.sum()} of {error.size} off, worst at {tuple(int(i) for i in at)}: got {got[at]!r}, "
            f"want {want[at]!r}, bound {limit:.3g}")


def check(case, gy, runner, targets):
    """Runs on every target in float32 and once in float64; yields (what, mismatch or None) per output."""
    truth = solve(case, torch.from_numpy(gy).double())
    y, grads, more, t = truth
    wanted = {"y": y, **grads, **more}
    for target, dtype, eps in [(x, np.float32, 2.0 ** -23) for x in targets] + [(targets[0], np.float64, 2.0 ** -51)]:
        bounds = case.bound(eps, t, y, torch.from_numpy(gy).double(), grads)
        inputs = {k: v.astype(dtype) if v.dtype == np.float32 else v for k, v in case.inputs.items()}
        where = f"{target} {dtype.__name__}"
        try:
            got = runner.run(case.op, inputs, case.attrs, gy.astype(dtype), target)
        except RuntimeError as e:
            yield f"{where} {case.label()}", str(e)
            continue
        if set(got) != set(wanted):
            yield f"{where} {case.label()}", f"outputs {sorted(got)}, want {sorted(wanted)}"
            continue
        for name, want in wanted.items():
            exact = case.integers and dtype == np.float32
            yield f"{where} {case.label()}", compare(name, got[name], want, EXACT if exact else bounds[name])


def check_onnx(runner, targets):
    for name, op, inputs, attrs, wanted in onnx_cases():
        for target in targets:
            try:
                got = runner.run(op, inputs, attrs, None, target)
            except RuntimeError as e:
                yield f"{target} {name}", str(e)
                continue
            for output, want in wanted.items():
                # the expected values are float32 results of another program: its rounding is in them too
                scale = max(float(np.abs(v).max()) for v in inputs.values() if v.dtype == np.float32)
                bound = 1e-5 * np.abs(want) + 4e-6 * max(1.0, scale)
                yield f"{target} {name}", compare(output, got[output], want.astype(np.float64), bound)


# ---- golden file ----

def write_golden(path, seed, count):
    """Small cases with their truth and one tolerance per output, as one safetensors file."""
    maker, tensors, cases, budget = Maker(seed), {}, [], 700
    for op in OPS:
        made = 0
        for i in range(10000):
            if made == count * (3 if op == "conv2d" else 1):
                break
            case = maker.make(op, i)
            if sum(a.size for a in case.inputs.values()) > budget:
                continue
            gy = upstream(case, maker)
            if gy.size > budget:
                continue
            y, grads, more, t = solve(case, torch.from_numpy(gy).double())
            bounds = case.bound(2.0 ** -23, t, y, torch.from_numpy(gy).double(), grads)
            key = f"{len(cases)}"
            entry = {"op": op, "attrs": case.attrs, "inputs": list(case.inputs), "outputs": {}}
            for name, a in case.inputs.items():
                tensors[f"{key}.{name}"] = np.ascontiguousarray(a)
            tensors[f"{key}.gy"] = gy
            for name, want in {"y": y, **grads, **more}.items():
                b = 0.0 if case.integers else bounds[name]
                # half a unit of the float32 the truth is stored in comes on top
                entry["outputs"][name] = float(b.max() if torch.is_tensor(b) else b)
                if not case.integers:
                    entry["outputs"][name] += float(want.abs().max()) * 2.0 ** -24
                tensors[f"{key}.want.{name}"] = np.array(want.numpy(), dtype=np.float32, order="C")
            cases.append(entry)
            made += 1
    header, offset = {"__metadata__": {"cases": json.dumps(cases)}}, 0
    tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize))  # keeps every offset aligned
    for name, a in tensors.items():
        header[name] = {"dtype": {"f": "F32", "i": "I64"}[a.dtype.kind], "shape": list(a.shape),
                        "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in tensors.values():
            f.write(a.tobytes())
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="build/offramp")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=12, help="per operator")
    parser.add_argument("--ops", default=",".join(OPS))
    parser.add_argument("--targets", default="")
    parser.add_argument("--write", metavar="FILE")
    args = parser.parse_args()
    if args.write:
        return write_golden(args.write, args.seed, 2)
    listed = json.loads(subprocess.run([args.binary, "version", "--json"], capture_output=True, check=True).stdout)
    targets = args.targets.split(",") if args.targets else [
        t for t in listed["targets"]
        if json.loads(subprocess.run([args.binary, "version", "--json"], env={**os.environ, "OFFRAMP_TARGET": t},
                                     capture_output=True, check=True).stdout)["target_runs_here"]] + (
        ["cuda"] if listed["cuda"] and listed["cuda"]["devices"] else [])
    print("targets:", *targets, "  seed:", args.seed)
    failures = 0

    def count(title, results):
        nonlocal failures
        checked, wrong = 0, 0
        for what, mismatch in results:
            checked += 1
            if mismatch:
                wrong += 1
                if wrong <= 5:
                    print(f"  {what}\n    {mismatch}")
        failures += wrong
        print(f"{title:16} {checked:6} outputs compared, {wrong} wrong", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(os.path.abspath(args.binary), folder)
        for op in args.ops.split(","):
            maker = Maker([args.seed, OPS.index(op)])

            def results():
                for i in range(args.cases * WEIGHT.get(op, 1)):
                    case = maker.make(op, i)
                    yield from check(case, upstream(case, maker), runner, targets)

            count(op, results())
        try:
            import onnx  # noqa: F401
        except ImportError:
            print("onnx is not installed: its node tests are left out")
        else:
            count("ONNX node tests", check_onnx(runner, targets))
    print("all agree" if not failures else f"{failures} mismatches")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
