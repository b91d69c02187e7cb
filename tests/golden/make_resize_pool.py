#!/usr/bin/env python3
"""Writes resize_pool_golden.inc: results of torch.nn.functional on small inputs, NHWC, double precision.

Inputs are the formula in value_at below (exact in binary), so only sizes and results are stored.
Usage: make_resize_pool.py > tests/golden/resize_pool_golden.inc
"""
import torch
import torch.nn.functional as F


def value_at(count):
    return ((torch.arange(count, dtype=torch.float64) * 37) % 101 - 50) / 16


def nhwc(shape):
    n, h, w, c = shape
    return value_at(n * h * w * c).reshape(shape).permute(0, 3, 1, 2).clone().requires_grad_(True)


def numbers(t):
    return ",".join("%.17g" % v for v in t.detach().permute(0, 2, 3, 1).reshape(-1).tolist())


def gradient(x, y):
    # The upstream gradient is value_at over the output, in NHWC order.
    n, c, h, w = y.shape
    y.backward(value_at(y.numel()).reshape(n, h, w, c).permute(0, 3, 1, 2))
    return x.grad


def main():
    print("// Written by make_resize_pool.py with torch", torch.__version__.split("+")[0])
    for kind in ("bilinear", "bicubic"):
        for h, w, c, oh, ow in ((2, 3, 1, 5, 4), (5, 4, 1, 3, 3), (4, 4, 2, 6, 3), (1, 3, 1, 2, 7), (7, 5, 1, 2, 2)):
            x = nhwc((1, h, w, c))
            y = F.interpolate(x, size=(oh, ow), mode=kind, align_corners=False)
            g = gradient(x, y)
            print("{GoldenKind::%s, 1, %d, %d, %d, %d, %d, 0, 0, 0, {%s}, {%s}},"
                  % (kind, h, w, c, oh, ow, numbers(y), numbers(g)))
    for kind in ("max", "avg"):
        for n, h, w, c, k, s, p in ((1, 4, 5, 2, 2, 2, 0), (1, 5, 5, 1, 3, 1, 1), (2, 5, 4, 1, 3, 2, 1), (1, 3, 3, 1, 3, 3, 0)):
            x = nhwc((n, h, w, c))
            if kind == "max":
                y = F.max_pool2d(x, k, s, p)
            else:
                y = F.avg_pool2d(x, k, s, p, count_include_pad=False)
            g = gradient(x, y)
            print("{GoldenKind::%s, %d, %d, %d, %d, %d, %d, %d, %d, %d, {%s}, {%s}},"
                  % (kind, n, h, w, c, y.shape[2], y.shape[3], k, s, p, numbers(y), numbers(g)))


main()
