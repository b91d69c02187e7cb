#!/usr/bin/env python3
"""Writes nn.safetensors beside this script: two inverted residual blocks (forward, every gradient, running
statistics) and trajectories of SGD and AdamW, all by PyTorch in double precision.
Usage: python3 tests/golden/make_nn_golden.py"""
import json
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(20)
out = {}


def nhwc(t):  # of activations and convolution weights alike
    return t.detach().permute(0, 2, 3, 1).contiguous() if t.dim() == 4 else t.detach()


def keep(name, t):
    out[name] = np.ascontiguousarray(nhwc(t).numpy().astype(np.float64))


# Spelt out: PyTorch's own backward of these two rounds 1/6 to float even in double.
def hard_sigmoid(x):
    return F.relu6(x + 3) / 6


def hard_swish(x):
    return x * hard_sigmoid(x)


def block(label, c_in, mid, c_out, kernel, stride, se, act, n, h, w):
    p, running = {}, {}

    def conv(name, o, i, k, bias=False):
        p[name + ".weight"] = torch.randn(o, i, k, k, dtype=torch.float64) / (i * k * k) ** 0.5
        if bias:
            p[name + ".bias"] = torch.randn(o, dtype=torch.float64) / 4

    def norm(name, c):
        p[name + ".norm.gamma"] = 1 + torch.randn(c, dtype=torch.float64) / 4
        p[name + ".norm.beta"] = torch.randn(c, dtype=torch.float64) / 4
        running[name + ".norm.mean"] = torch.randn(c, dtype=torch.float64) / 4
        running[name + ".norm.var"] = 0.5 + torch.rand(c, dtype=torch.float64)

    if mid != c_in:
        conv("block.expand", mid, c_in, 1)
        norm("block.expand", mid)
    conv("block.depthwise", mid, 1, kernel)
    norm("block.depthwise", mid)
    if se:
        conv("block.se.reduce", se, mid, 1, bias=True)
        conv("block.se.expand", mid, se, 1, bias=True)
    conv("block.project", c_out, mid, 1)
    norm("block.project", c_out)
    x = torch.randn(n, c_in, h, w, dtype=torch.float64)
    keep(label + "/x", x)
    for name, t in {**p, **running}.items():
        keep(label + "/" + name, t)

    def forward(x, training):
        def normed(y, name):
            return F.batch_norm(y, running[name + ".norm.mean"], running[name + ".norm.var"],
                                p[name + ".norm.gamma"], p[name + ".norm.beta"], training, 0.1, 1e-5)
        y = x
        if mid != c_in:
            y = act(normed(F.conv2d(y, p["block.expand.weight"]), "block.expand"))
        y = act(normed(F.conv2d(y, p["block.depthwise.weight"], stride=stride, padding=kernel // 2, groups=mid),
                       "block.depthwise"))
        if se:
            s = y.mean((2, 3), keepdim=True)
            s = F.relu(F.conv2d(s, p["block.se.reduce.weight"], p["block.se.reduce.bias"]))
            y = y * hard_sigmoid(F.conv2d(s, p["block.se.expand.weight"], p["block.se.expand.bias"]))
        y = normed(F.conv2d(y, p["block.project.weight"]), "block.project")
        return y + x if stride == 1 and c_in == c_out else y

    keep(label + "/y_evaluate", forward(x, False))
    x.requires_grad_(True)
    for t in p.values():
        t.requires_grad_(True)
    y = forward(x, True)
    upstream = torch.randn(y.shape, dtype=torch.float64)
    y.backward(upstream)
    keep(label + "/y_train", y)
    keep(label + "/upstream", upstream)
    keep(label + "/grad/x", x.grad)
    for name, t in p.items():
        keep(label + "/grad/" + name, t.grad)
    for name, t in running.items():
        keep(label + "/after/" + name, t)


block("a", 4, 12, 4, 5, 1, 3, hard_swish, 3, 6, 5)
block("b", 5, 5, 7, 3, 2, 0, F.relu, 2, 7, 6)

steps, size = 6, 11
gradients = torch.randn(steps, size, dtype=torch.float64)
start = torch.randn(size, dtype=torch.float64)
keep("optim/gradients", gradients)
keep("optim/start", start)


def trajectory(name, make):
    p = start.clone().requires_grad_(True)
    optimiser = make([p])
    path = []
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
        p.grad = gradients[step].clone()
        optimiser.step()
        path.append(p.detach().clone())
    keep("optim/" + name, torch.stack(path))


trajectory("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True))
trajectory("sgd_plain", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8))
trajectory("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.05))
trajectory("adamw_plain", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0))

header, data = {}, b""
for name, value in sorted(out.items()):
    header[name] = {"dtype": "F64", "shape": list(value.shape), "data_offsets": [len(data), len(data) + value.nbytes]}
    data += value.tobytes()
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
path = pathlib.Path(__file__).parent / "nn.safetensors"
path.write_bytes(struct.pack("<Q", len(text)) + text + data)
