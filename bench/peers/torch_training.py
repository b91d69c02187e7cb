#!/usr/bin/env python3
"""Training steps of the reference networks: PyTorch against `offramp profile --train`, in alternation.

    python3 bench/peers/torch_training.py --offramp build/offramp --net min32 --threads 1,2 --rounds 5

A step is forward, cross-entropy, backward and one SGD update with Nesterov momentum 0.9 and weight decay
4e-5, on random images. PyTorch runs float32 in both memory formats; every round times each contender once,
for --seconds, and a ratio is the median over the rounds of (PyTorch's step / ours) in that round.
Parameters (normalisations folded) and multiply-accumulates must equal what `offramp space cost` says, else nothing is timed.
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional as F

# Genes of space aebnas: depth, kernel and expansion are indices into [2,3,4], [3,5,7] and [3,4,6].
NETS = {"min32": (0, 0, 0, 0), "mid48": (1, 1, 1, 4), "max64": (2, 2, 2, 8)}
STAGES = [  # width, stride of the first block, activation, squeeze-excite
    (24, 2, nn.ReLU, False), (40, 2, nn.ReLU, True), (80, 2, nn.Hardswish, False),
    (112, 1, nn.Hardswish, True), (160, 2, nn.Hardswish, True)]


def round8(v):
    rounded = max(8, int(v + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * v else rounded


def unit(c_in, c_out, kernel=1, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


class SqueezeExcite(nn.Module):
    def __init__(self, c, reduced):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(c, reduced, 1), nn.Conv2d(reduced, c, 1)

    def forward(self, x):
        gate = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(gate), inplace=True)), inplace=True)


class Block(nn.Module):
    def __init__(self, c_in, c_out, kernel, expand, stride, act, squeeze):
        super().__init__()
        mid = round8(c_in * expand)
        self.residual = stride == 1 and c_in == c_out
        self.body = nn.Sequential(
            *([unit(c_in, mid, act=act)] if mid != c_in else []),
            unit(mid, mid, kernel, stride, mid, act),
            *([SqueezeExcite(mid, round8(mid // 4))] if squeeze else []),
            unit(mid, c_out))

    def forward(self, x):
        return self.body(x) + x if self.residual else self.body(x)


class Network(nn.Module):
    def __init__(self, depth, kernel, expand, classes=10):
        super().__init__()
        layers = [unit(3, 16, 3, 2, act=nn.Hardswish), Block(16, 16, 3, 1, 1, nn.ReLU, False)]
        c = 16
        for width, stride, act, squeeze in STAGES:
            for i in range(depth):
                layers.append(Block(c, width, kernel, expand, stride if i == 0 else 1, act, squeeze))
                c = width
        self.features = nn.Sequential(*layers, unit(c, 960, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1),
                                      nn.Conv2d(960, 1280, 1, bias=False), nn.Hardswish(inplace=True), nn.Flatten())
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        return self.classifier(self.features(x))


def genotype(net):
    depth, kernel, expand, resolution = NETS[net]
    stage = [depth] + [kernel] * (2 + depth) + [0] * (2 - depth) + [expand] * (2 + depth) + [0] * (2 - depth)
    return ",".join(map(str, stage * 5 + [2] * 4 + [0] * 32 + [resolution]))


def make(net):
    depth, kernel, expand, resolution = NETS[net]
    return Network([2, 3, 4][depth], [3, 5, 7][kernel], [3, 4, 6][expand]), 32 + 4 * resolution


def count_macs(model, side):
    total = [0]

    def hook(module, _, out):
        spatial = out[0, 0].numel() if out.dim() == 4 else 1
        total[0] += spatial * module.weight.numel()

    hooks = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, side, side))
    for h in hooks:
        h.remove()
    model.train()
    return total[0]


def stepper(net, batch, memory_format):
    torch.manual_seed(1)
    model, side = make(net)
    model = model.to(memory_format=memory_format).train()
    x = torch.randn(batch, 3, side, side).to(memory_format=memory_format)
    y = torch.randint(10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=4e-5, nesterov=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def median_ms(step, seconds):
    step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def ask(offramp, *words):
    return json.loads(subprocess.run([offramp, *words, "--json"], check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offramp", default="build/offramp")
    parser.add_argument("--net", default=",".join(NETS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--formats", default="contiguous,channels_last")
    args = parser.parse_args()
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    formats = {name: formats[name] for name in args.formats.split(",")}

    print(f"PyTorch {torch.__version__}, batch {args.batch}, median of {args.rounds} alternating rounds")
    print("| network | threads | contender | ms a step | images/s | step / ours (median; least) |")
    print("|---|--:|---|--:|--:|--:|")
    for net in args.net.split(","):
        model, side = make(net)
        cost = ask(args.offramp, "space", "cost", "aebnas", "--genotype", genotype(net))
        # A deployed network has its normalisations folded: of gamma and beta one bias is left.
        folded = sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d))
        here = (sum(p.numel() for p in model.parameters()) - folded, count_macs(model, side))
        if here != (cost["params"], cost["full_macs"]):
            raise SystemExit(f"{net}: {here} parameters and MACs here, "
                             f"{(cost['params'], cost['full_macs'])} in offramp: not the same network")
        for threads in map(int, args.threads.split(",")):
            torch.set_num_threads(threads)
            steps = {name: stepper(net, args.batch, f) for name, f in formats.items()}
            times = {name: [] for name in ["offramp", *steps]}
            for _ in range(args.rounds):
                for name, step in steps.items():
                    times[name].append(median_ms(step, args.seconds))
                times["offramp"].append(ask(
                    args.offramp, "profile", "--space", "aebnas", "--genotype", genotype(net), "--train",
                    "--batch", str(args.batch), "--threads", str(threads))["step_ms"]["median"])
            for name, ms in times.items():
                ratios = [t / o for t, o in zip(ms, times["offramp"])]
                middle = statistics.median(ms)
                print(f"| {net} | {threads} | {name} | {middle:.1f} | {args.batch * 1e3 / middle:.0f} | "
                      f"{statistics.median(ratios):.2f}; {min(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
