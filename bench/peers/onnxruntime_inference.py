#!/usr/bin/env python3
"""Offramp against ONNX Runtime: the same folded network, the same weights, alternating short runs.

Reads a model file of a static network (every early exit off), builds the equal ONNX graph (NCHW, normalisation
already folded), checks that both give the same logits, then times them in turns. Prints medians, and the median of
the ratios of neighbouring turns.

  onnxruntime_inference.py --bench build/bench/network_bench model.safetensors... [--batch 1 64] [--threads 1]

Needs numpy, onnx and onnxruntime.
"""
import argparse
import json
import statistics
import struct
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ACTS = ["none", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid"]  # the order of Act in kernels/types.h


def read_model(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    meta = json.loads(header.pop("__metadata__")["offramp"])
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        assert t["dtype"] == "F32", t
        tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(t["shape"])
    return meta["plan"], tensors


class Graph:
    """ONNX nodes from the steps of a plan; buffers are named b0, b1, ... and lie as NCHW."""

    def __init__(self, plan, tensors, batch):
        self.plan, self.tensors, self.batch = plan, tensors, batch
        self.nodes, self.constants, self.shapes, self.fresh = [], {}, {}, 0

    def const(self, name, value):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))

    def temp(self):
        self.fresh += 1
        return f"t{self.fresh}"

    def act(self, act, x, y):
        if act == "relu":
            self.node("Relu", [x], y)
        elif act == "relu6":
            self.node("Clip", [x, self.const("zero", np.float32(0)), self.const("six", np.float32(6))], y)
        elif act == "hard_swish":
            self.node("HardSwish", [x], y)
        elif act == "hard_sigmoid":
            self.node("HardSigmoid", [x], y, alpha=1 / 6, beta=0.5)
        elif act == "sigmoid":
            self.node("Sigmoid", [x], y)
        else:
            self.node("Identity", [x], y)

    def with_epilogue(self, step, emit, shape):
        """emit(output) writes the plain result; residual and activation follow."""
        y, act = f"b{step['y']}", ACTS[step.get("activation", 0)]
        residual = step.get("z", -1)
        out = y if residual < 0 and act == "none" else self.temp()
        emit(out)
        if residual >= 0:
            to = y if act == "none" else self.temp()
            self.node("Add", [out, f"b{residual}"], to)
            out = to
        if act != "none":
            self.act(act, out, y)
        self.shapes[step["y"]] = shape

    def conv(self, step, weight, groups, kernel, stride, pad, shape):
        inputs = [f"b{step['x']}", self.const(step["w"], weight)]
        if "bias" in step:
            inputs.append(self.const(step["bias"], self.tensors[step["bias"]]))
        self.with_epilogue(
            step, lambda out: self.node("Conv", inputs, out, group=groups, kernel_shape=[kernel] * 2,
                                        strides=[stride] * 2, pads=[pad] * 4), shape)

    def step(self, step):
        d = {k[4:]: v for k, v in step.items() if k.startswith("dim_")}
        op, x, y = step["op"], f"b{step['x']}", f"b{step['y']}"
        out = lambda: [(d[a] + 2 * d["pad"] - d["kernel"]) // d["stride"] + 1 for a in "hw"]
        if op == "conv2d":
            w = self.tensors[step["w"]].transpose(0, 3, 1, 2)
            self.conv(step, w, d["groups"], d["kernel"], d["stride"], d["pad"], [d["c_out"]] + out())
        elif op == "depthwise":
            w = self.tensors[step["w"]].reshape(d["c"], 1, d["kernel"], d["kernel"])
            self.conv(step, w, d["c"], d["kernel"], d["stride"], d["pad"], [d["c"]] + out())
        elif op == "gemm":
            assert d["m"] == 1, "a gemm of one row per sample is wanted"
            flat = self.temp()
            self.node("Flatten", [x], flat)
            inputs = [flat, self.const(step["w"], self.tensors[step["w"]])]
            if "bias" in step:
                inputs.append(self.const(step["bias"], self.tensors[step["bias"]]))
            self.with_epilogue(step, lambda o: self.node("Gemm", inputs, o, transB=1), [d["n"]])
        elif op == "global_avg_pool":
            self.node("GlobalAveragePool", [x], y)
            self.shapes[step["y"]] = [d["c"], 1, 1]
        elif op == "binary":
            self.node("Mul" if d["kind"] == 1 else "Add", [x, f"b{step['z']}"], y)
            self.shapes[step["y"]] = self.shapes[step["x"]]
        elif op == "act":
            self.act(ACTS[d["act"]], x, y)
            self.shapes[step["y"]] = self.shapes[step["x"]]
        else:
            raise SystemExit(f"step '{op}' is not one of a static network of this kind")

    def model(self):
        plan = self.plan
        self.shapes[0] = [plan["channels"], plan["height"], plan["width"]]
        for stage in plan["stages"]:
            for step in stage["body"] + stage["head"]:
                self.step(step)
        logits = plan["stages"][-1]["logits"]
        info = lambda b: helper.make_tensor_value_info(f"b{b}", TensorProto.FLOAT, [self.batch] + self.shapes[b])
        graph = helper.make_graph(self.nodes, "offramp", [info(0)], [info(logits)], list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()


class Runtime:
    def __init__(self, plan, tensors, batch, threads, images):
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        self.session = ort.InferenceSession(Graph(plan, tensors, batch).model(), options,
                                            providers=["CPUExecutionProvider"])
        # Bound once: no conversion or allocation of inputs and outputs inside the timed call.
        self.binding = self.session.io_binding()
        self.input = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.logits = np.empty([batch, plan["classes"]], np.float32)
        self.output = ort.OrtValue.ortvalue_from_numpy(self.logits)
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name, self.input)
        self.binding.bind_ortvalue_output(self.session.get_outputs()[0].name, self.output)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def time(self, ms):
        for _ in range(2):
            self.run()
        times, end = [], time.perf_counter() + ms / 1e3
        while len(times) < 3 or time.perf_counter() < end:
            before = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - before)
        return statistics.median(times) * 1e6


class Offramp:
    def __init__(self, bench, model, batch, threads):
        self.process = subprocess.Popen([bench, "--model", model, "--batch", str(batch), "--threads", str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise SystemExit("network_bench ended")
        return answer

    def logits(self, images):
        with tempfile.TemporaryDirectory() as folder:
            np.save(folder + "/in.npy", images)
            self.ask(f"logits {folder}/in.npy {folder}/out.npy")
            return np.load(folder + "/out.npy")

    def time(self, ms):
        return float(self.ask(f"time {ms}"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--bench", default="build/bench/network_bench")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--ms", type=float, default=150, help="of one turn")
    args = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}, {args.threads} thread(s), {args.turns} turns of {args.ms:g} ms each")
    print(f"{'model':<24}{'batch':>6}{'offramp us':>12}{'ORT us':>12}{'ratio':>8}{'p10':>7}{'p90':>7}  logits differ by")
    for path in args.models:
        plan, tensors = read_model(path)
        for batch in args.batch:
            shape = [batch, plan["height"], plan["width"], plan["channels"]]
            images = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
            peer, ours = Runtime(plan, tensors, batch, args.threads, images), Offramp(args.bench, path, batch, args.threads)
            peer.run()
            theirs = peer.output.numpy().reshape(batch, -1)
            mine = ours.logits(images)[:, -1]
            difference = np.abs(mine - theirs).max() / np.abs(theirs).max()
            if not difference < 1e-4:
                raise SystemExit(f"{path}: the logits differ by {difference:g} of the largest")
            turns = [(ours.time(args.ms), peer.time(args.ms)) for _ in range(args.turns)]
            ours.close()
            ratios = sorted(b / a for a, b in turns)
            median = lambda values: statistics.median(values)
            at = lambda share: ratios[round(share * (len(ratios) - 1))]
            print(f"{path.split('/')[-1]:<24}{batch:>6}{median(a for a, _ in turns):>12.1f}"
                  f"{median(b for _, b in turns):>12.1f}{median(ratios):>8.2f}{at(.1):>7.2f}{at(.9):>7.2f}"
                  f"  {difference:.1e}", flush=True)


main()
