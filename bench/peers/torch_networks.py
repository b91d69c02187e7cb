"""The reference networks in PyTorch: min32, mid48 and max64 of space aebnas, every exit off, and the largest network of
space cifar with its exits. Used by torch_training.py and torch_gpu.py.

require_same() holds a network against `offramp space cost`: what is not the same network must not be timed.
"""
import json
import subprocess

import torch
from torch import nn
from torch.nn import functional as F

# Genes of space aebnas: depth, kernel and expansion are indices into [2,3,4], [3,5,7] and [3,4,6].
AEBNAS = {"min32": (0, 0, 0, 0), "mid48": (1, 1, 1, 4), "max64": (2, 2, 2, 8)}
NETS = [*AEBNAS, "cifar"]
AEBNAS_STAGES = [  # width, stride of the first block, activation, squeeze-excite
    (24, 2, nn.ReLU, False), (40, 2, nn.ReLU, True), (80, 2, nn.Hardswish, False),
    (112, 1, nn.Hardswish, True), (160, 2, nn.Hardswish, True)]
CIFAR_STAGES = [  # width, depth, stride of the first block, activation, squeeze-excite
    (24, 3, 2, nn.ReLU, False), (40, 3, 1, nn.Hardswish, False), (64, 4, 2, nn.Hardswish, True),
    (80, 4, 1, nn.Hardswish, True), (128, 4, 2, nn.Hardswish, True)]


def round8(v):
    rounded = max(8, int(v + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * v else rounded


def unit(c_in, c_out, kernel=1, stride=1, groups=1, act=None, pad=None):
    pad = kernel // 2 if pad is None else pad
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, pad, groups=groups, bias=False), nn.BatchNorm2d(c_out)]
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
    """Of space aebnas, without exits; the list of logits has one entry."""

    def __init__(self, depth, kernel, expand, classes=10):
        super().__init__()
        layers = [unit(3, 16, 3, 2, act=nn.Hardswish), Block(16, 16, 3, 1, 1, nn.ReLU, False)]
        c = 16
        for width, stride, act, squeeze in AEBNAS_STAGES:
            for i in range(depth):
                layers.append(Block(c, width, kernel, expand, stride if i == 0 else 1, act, squeeze))
                c = width
        self.features = nn.Sequential(*layers, unit(c, 960, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1),
                                      nn.Conv2d(960, 1280, 1, bias=False), nn.Hardswish(inplace=True), nn.Flatten())
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x, early=True):
        return [self.classifier(self.features(x))]


class ResizeConv(nn.Module):
    """Bicubic to side x side, then a convolution of stride 2 without padding."""

    def __init__(self, c_in, c_out, side, kernel):
        super().__init__()
        self.side, self.conv = side, unit(c_in, c_out, kernel, 2, act=nn.Hardswish, pad=0)

    def forward(self, x):
        return self.conv(F.interpolate(x, size=(self.side, self.side), mode="bicubic", align_corners=False))


def separable(c_in, c_out, kernel, stride=1):
    return nn.Sequential(unit(c_in, c_in, kernel, stride, c_in, nn.Hardswish), unit(c_in, c_out, act=nn.Hardswish))


def classifier(c, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]


class CifarLargest(nn.Module):
    """The largest network of space cifar: five stages, an early exit behind each of the first four; logits in their order.

    early=False: only those of the final exit; the early ones are off and cost nothing.
    """

    def __init__(self, classes=10):
        super().__init__()
        act = nn.Hardswish
        bodies, c = [[unit(3, 16, 3, 1, act=act)], [], [], [], []], 16
        for body, (width, depth, stride, of_stage, squeeze) in zip(bodies, CIFAR_STAGES):
            for i in range(depth):
                body.append(Block(c, width, 5, 4, stride if i == 0 else 1, of_stage, squeeze))
                c = width
        self.bodies = nn.ModuleList(nn.Sequential(*body) for body in bodies)
        self.heads = nn.ModuleList(nn.Sequential(*head) for head in [
            [ResizeConv(24, 48, 10, 5), Block(48, 96, 5, 4, 1, act, False), Block(96, 128, 3, 3, 1, act, False),
             *classifier(128, classes)],
            [ResizeConv(40, 64, 10, 5), Block(64, 128, 5, 4, 1, act, False), *classifier(128, classes)],
            [Block(64, 128, 5, 4, 1, act, False), separable(128, 192, 3), *classifier(192, classes)],
            [unit(80, 192, 3, 2, act=act), *classifier(192, classes)],
            [unit(128, 256, act=act), *classifier(256, classes)]])

    def forward(self, x, early=True):
        logits = []
        for stage, (body, head) in enumerate(zip(self.bodies, self.heads)):
            x = body(x)
            if early or stage + 1 == len(self.heads):
                logits.append(head(x))
        return logits


def make(net):
    """The network and the side of its images."""
    if net == "cifar":
        return CifarLargest(), 32
    depth, kernel, expand, resolution = AEBNAS[net]
    return Network([2, 3, 4][depth], [3, 5, 7][kernel], [3, 4, 6][expand]), 32 + 4 * resolution


def space_of(offramp, net):
    """Space and genotype, as `offramp` takes them."""
    if net == "cifar":
        # Every choice the last one, which is the largest; but a stride makes what comes after it smaller.
        genes = ask(offramp, "space", "show", "cifar")["genes"]
        return "cifar", ",".join(str(0 if "stride" in g["name"] else len(g["values"]) - 1) for g in genes)
    depth, kernel, expand, resolution = AEBNAS[net]
    stage = [depth] + [kernel] * (2 + depth) + [0] * (2 - depth) + [expand] * (2 + depth) + [0] * (2 - depth)
    return "aebnas", ",".join(map(str, stage * 5 + [2] * 4 + [0] * 32 + [resolution]))


def sum_of_losses(logits, labels):
    """The loss that our step trains with: the sum of the exits' cross entropies."""
    return sum(F.cross_entropy(of_exit, labels) for of_exit in logits)


def macs_by_exit(model, side):
    """Multiply-accumulates of one image up to each exit, earlier exits' heads included; checks the logits' shapes."""
    total, at_exit = [0], []

    def hook(module, _, out):
        spatial = out[0, 0].numel() if out.dim() == 4 else 1
        total[0] += spatial * module.weight.numel()
        if isinstance(module, nn.Linear):  # ends a head
            at_exit.append(total[0])

    hooks = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        logits = model.eval()(torch.zeros(2, 3, side, side))
    for h in hooks:
        h.remove()
    model.train()
    shapes = [tuple(of_exit.shape) for of_exit in logits]
    if len(shapes) != len(at_exit) or set(shapes) != {(2, 10)}:
        raise SystemExit(f"logits of shapes {shapes} from {len(at_exit)} exits")
    return at_exit


def ask(offramp, *words):
    return json.loads(subprocess.run([offramp, *words, "--json"], check=True, capture_output=True, text=True).stdout)


def require_same(offramp, net, model, side):
    """Ends the program where `model` is not the network that offramp builds. Returns parameters and MACs of each exit."""
    space, genotype = space_of(offramp, net)
    cost = ask(offramp, "space", "cost", space, "--genotype", genotype)
    # A deployed network has its normalisations folded: of gamma and beta one bias is left.
    folded = sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    here = (sum(p.numel() for p in model.parameters()) - folded, macs_by_exit(model, side))
    # Of an exit that is off, nothing is left.
    there = (cost["params"], [e["leave_macs"] for e in cost["exits"]])
    if here != there or side != cost["resolution"]:
        raise SystemExit(f"{net}: side {side}, parameters and MACs up to each exit {here} here, side "
                         f"{cost['resolution']}, {there} in offramp: not the same network")
    return here
