"""Random calls of the operators of `offramp op`, their truth in PyTorch float64 and the error each may make."""
import collections

import numpy as np
import torch
import torch.nn.functional as F

EXACT = 0.0


class Case:
    """One call: inputs (numpy, NHWC), attributes, the truth as torch function of float64 tensors, bounds."""

    def __init__(self, op, inputs, attrs, truth, bound, integers=False, more=None):
        self.op, self.inputs, self.attrs, self.truth, self.bound = op, inputs, attrs, truth, bound
        self.integers = integers  # small integers: every result is exact
        self.more = more or []    # names of further outputs, from truth

    def label(self):
        shapes = " ".join(f"{k}{list(v.shape)}" for k, v in self.inputs.items())
        return f"{self.op} {shapes} {self.attrs}{' integers' if self.integers else ''}"


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def walk(k, eps):
    return 2 * np.sqrt(max(k, 1)) * eps


# ---- bounds: functions (eps, t: dict of float64 tensors, y, gy, grads) -> dict of arrays or numbers ----

def bilinear_bound(function, counts):
    """For y bilinear in (x, w): sums of absolute products come from the same function on absolute values.
    counts: terms per sum of y, gx, gw, gb."""

    def bound(eps, t, y, gy, grads):
        absolute = {k: v.abs().requires_grad_() for k, v in t.items()}
        ya = function(absolute)
        ga = torch.autograd.grad(ya, list(absolute.values()), gy.abs(), allow_unused=True)
        out = {"y": walk(counts["y"], eps) * ya.detach()}
        for (name, _), g in zip(absolute.items(), ga):
            out["g" + name] = walk(counts["g" + name], eps) * g
        return out

    return bound


def elementwise_bound(factor_y, factor_g):
    def bound(eps, t, y, gy, grads):
        x = t["x"]
        out = {"y": factor_y * eps * (y.abs() + x.abs() * (y != 0))}
        out["gx"] = factor_g * eps * gy.abs() * (1 + x.abs())
        return out

    return bound


def exact_bound(eps, t, y, gy, grads):
    return collections.defaultdict(float)


# ---- cases ----

class Maker:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def reals(self, *shape, positive=False):
        a = self.rng.uniform(0.1 if positive else -1, 1, shape)
        return a.astype(np.float32)

    def ints(self, *shape, m=3):
        return self.rng.integers(-m, m + 1, shape).astype(np.float32)

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def below(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def image(self, integers=False, small=1):
        n, h, w, c = self.below(1, 3), self.below(small, 19), self.below(small, 19), self.below(1, 37)
        return self.ints(n, h, w, c) if integers else self.reals(n, h, w, c, positive=self.below(0, 3) == 0)

    def conv2d(self, integers):
        kind = self.pick("dense", "dense", "pointwise", "grouped", "depthwise", "depthwise")
        k = 1 if kind == "pointwise" else self.below(1, 7)
        stride, pad = self.below(1, 3), self.below(0, k // 2 + (self.below(0, 5) == 0))
        if kind == "depthwise":
            groups = self.below(1, 70)
            ci = co = groups
        elif kind == "grouped":
            groups = self.below(2, 5)
            ci, co = groups * self.below(1, 9), groups * self.below(1, 9)
        else:
            groups, ci, co = 1, self.below(1, 40), self.below(1, 40)
        n, h, w = self.below(1, 3), self.below(max(1, k - 2 * pad), 19), self.below(max(1, k - 2 * pad), 19)
        make = self.ints if integers else lambda *s: self.reals(*s, positive=positive)
        positive = self.below(0, 3) == 0
        inputs = {"x": make(n, h, w, ci), "w": make(co, k, k, ci // groups)}
        if self.below(0, 1):
            inputs["b"] = make(co)
        attrs = {"stride": stride, "pad": pad, "groups": groups}

        def f(t):
            return nhwc(F.conv2d(nchw(t["x"]), t["w"].permute(0, 3, 1, 2), t.get("b"), stride, pad, 1, groups))

        oh, ow = (h + 2 * pad - k) // stride + 1, (w + 2 * pad - k) // stride + 1
        counts = {"y": k * k * ci // groups + 1, "gx": k * k * co // groups, "gw": n * oh * ow, "gb": n * oh * ow}
        return Case("conv2d", inputs, attrs, f, bilinear_bound(f, counts), integers)

    def pool(self, op, integers):
        k = self.below(1, 5)
        pad, stride = self.below(0, k // 2), self.below(1, 4)
        x = self.image(integers, small=max(1, k - 2 * pad))
        attrs = {"kernel": k, "pad": pad}
        if self.below(0, 2):
            attrs["stride"] = stride
        else:
            stride = k
        if op == "max_pool2d":
            def f(t):  # ties go to the first in row-major order, as torch does
                return nhwc(F.max_pool2d(nchw(t["x"]), k, stride, pad))

            def bound(eps, t, y, gy, grads):
                spread = torch.autograd.grad(f({"x": (leaf := t["x"].clone().requires_grad_())}), leaf, gy.abs())[0]
                return {"y": EXACT, "gx": walk(k * k, eps) * spread}
        else:
            def f(t):
                return nhwc(F.avg_pool2d(nchw(t["x"]), k, stride, pad, count_include_pad=False))

            bound = bilinear_bound(f, {"y": k * k + 1, "gx": k * k + 1})
        # an average of integers is no integer, and floats of integers tie often: that is what max is tested with
        return Case(op, {"x": x}, attrs, f, bound, integers and op == "max_pool2d")

    def global_avg_pool(self, integers):
        x = self.image(integers)

        def f(t):
            return t["x"].mean((1, 2), keepdim=True)

        hw = x.shape[1] * x.shape[2]
        return Case("global_avg_pool", {"x": x}, {}, f, bilinear_bound(f, {"y": hw + 1, "gx": 2}))

    def linear(self, integers):
        n, k, m = self.below(1, 33), self.below(1, 90), self.below(1, 70)
        make = self.ints if integers else self.reals
        inputs = {"x": make(n, k), "w": make(m, k)}
        if self.below(0, 1):
            inputs["b"] = make(m)

        def f(t):
            return F.linear(t["x"], t["w"], t.get("b"))

        return Case("linear", inputs, {}, f, bilinear_bound(f, {"y": k + 1, "gx": m, "gw": n, "gb": n}), integers)

    def batch_norm(self, training):
        x = self.image(small=2)
        c = x.shape[-1]
        x = (x * self.reals(c, positive=True) + self.reals(c)).astype(np.float32)
        inputs = {"x": x, "gamma": self.reals(c), "beta": self.reals(c), "mean": self.reals(c),
                  "var": self.reals(c, positive=True)}
        eps_bn, momentum = float(self.pick(1e-5, 1e-3)), float(self.pick(0.1, 0.01, 1.0))
        attrs = {"eps": eps_bn, "training": int(training), "momentum": momentum}
        rows = x.size // c

        def f(t):
            mean, var = t["mean"].detach().clone(), t["var"].detach().clone()
            y = F.batch_norm(nchw(t["x"]), mean, var, t["gamma"], t["beta"], training, momentum, eps_bn)
            return (nhwc(y), mean, var) if training else nhwc(y)

        def bound(eps, t, y, gy, grads):
            # Mean: a sum of `rows`. Variance: two passes, so relative to itself plus the square of the mean's error.
            # y: rounding of x - mean, then both errors carried through. Gradients: sums over rows of gy and gy*xhat.
            x, gamma = t["x"].reshape(-1, c), t["gamma"].abs()
            gy = gy.reshape(-1, c)
            if training:
                mean, var = x.mean(0), x.var(0, unbiased=False)
                mean_error = walk(rows, eps) * x.abs().mean(0)
                var_error = (walk(rows, eps) + 4 * eps) * var + mean_error ** 2
            else:
                mean, var = t["mean"], t["var"]
                mean_error, var_error = torch.zeros(c).double(), torch.zeros(c).double()
            inv = (var + eps_bn).rsqrt()
            relative = 4 * eps + var_error / (var + eps_bn)
            xhat = (x - mean) * inv
            xhat_error = inv * (2 * eps * (x.abs() + mean.abs()) + mean_error) + xhat.abs() * relative
            out = {"y": (gamma * xhat_error + 4 * eps * (gamma * xhat.abs() + t["beta"].abs())).reshape(y.shape)}
            s = walk(rows, eps) + 4 * eps
            out["gbeta"] = s * gy.abs().sum(0)
            out["ggamma"] = s * (gy * xhat).abs().sum(0) + (gy.abs() * xhat_error).sum(0)
            if training:
                terms = gy.abs() + gy.abs().mean(0) + xhat.abs() * (gy * xhat).abs().mean(0)
                gx = (relative + s + 8 * eps) * terms + xhat_error * (gy * xhat).abs().mean(0) + \
                    xhat.abs() * (gy.abs() * xhat_error).mean(0)
                out["mean"] = mean_error + 4 * eps * (mean.abs() + t["mean"].abs())
                out["var"] = 2 * var_error + 4 * eps * (2 * var + t["var"])
            else:
                gx = 8 * eps * gy.abs()
            out["gx"] = (gamma * inv * gx).reshape(y.shape)
            return out

        return Case("batch_norm", inputs, attrs, f, bound, more=["mean", "var"] if training else [])

    def activation(self, op):
        x = self.image() * np.float32(8)
        if self.below(0, 1):
            x = np.round(x * 2) / 2  # off the kinks at -3, 0, 3, 6 below
        x = np.where(np.isin(x, [-3, 0, 3, 6]), x + np.float32(0.25), x).astype(np.float32)
        f = {"relu": F.relu, "relu6": F.relu6, "hard_swish": F.hardswish, # F.hardsigmoid's gradient multiplies by a float32 1/6, also in float64.
             "hard_sigmoid": lambda v: F.relu6(v + 3) / 6,
             "sigmoid": torch.sigmoid}[op]
        # sigmoid: exp of an argument with relative error eps adds |x| eps; 1 - y cancels, hence bounds on |gy|.
        bound = {"relu": exact_bound, "relu6": exact_bound, "hard_swish": elementwise_bound(4, 4),
                 "hard_sigmoid": elementwise_bound(4, 4), "sigmoid": elementwise_bound(8, 4)}[op]
        return Case(op, {"x": x}, {}, lambda t: f(t["x"]), bound)

    def binary(self, op, integers):
        x = self.image(integers)
        n, h, w, c = x.shape
        broadcast = self.below(0, 1)
        shape = (n, 1, 1, c) if broadcast else x.shape
        z = self.ints(*shape) if integers else self.reals(*shape)

        def f(t):
            return t["x"] + t["z"] if op == "add" else t["x"] * t["z"]

        return Case(op, {"x": x, "z": z}, {}, f,
                    bilinear_bound(f, {"y": 2, "gx": 2, "gz": h * w + 1 if broadcast else 2}), integers)

    def softmax(self, op):
        shape = self.pick((self.below(1, 9), self.below(1, 130)), (2, 3, self.below(1, 12)), (self.below(1, 40),))
        x = self.reals(*shape) * np.float32(self.pick(1, 10, 40))
        k = shape[-1]
        f = F.softmax if op == "softmax" else F.log_softmax

        def bound(eps, t, y, gy, grads):
            # x - max is rounded, and exp turns that absolute error into a relative one.
            span = (t["x"] - t["x"].amax(-1, keepdim=True)).abs()
            relative = walk(k, eps) + eps * (8 + 2 * span)
            if op == "softmax":
                relative = relative + (y * relative).sum(-1, keepdim=True)
                terms = y * (gy.abs() + (gy * y).abs().sum(-1, keepdim=True))
                return {"y": y * relative + 1e-37, "gx": (relative + walk(k, eps)) * terms * 2 + 1e-37}
            p = y.exp()
            return {"y": relative + eps * (2 * y.abs() + 2 * t["x"].abs()),
                    "gx": (relative + walk(k, eps) + 4 * eps * y.abs()) * 2 * (gy.abs() + p * gy.abs().sum(-1, keepdim=True))}

        return Case(op, {"x": x}, {}, lambda t: f(t["x"], -1), bound)

    def cross_entropy(self):
        n, k = self.below(1, 40), self.below(1, 120)
        x = self.reals(n, k) * np.float32(self.pick(1, 10))
        t64 = self.rng.integers(0, k, n)
        smoothing = float(self.pick(0, 0.1, 0.5))

        def f(t):
            return F.cross_entropy(t["x"], torch.from_numpy(t64), label_smoothing=smoothing)

        def bound(eps, t, y, gy, grads):
            x = t["x"]
            q = F.one_hot(torch.from_numpy(t64), k).double() * (1 - smoothing) + smoothing / k
            p = x.softmax(-1)
            span = (x - x.amax(-1, keepdim=True)).abs()
            relative = walk(k, eps) + eps * (8 + 2 * span)
            each = (q * (relative + walk(k, eps) * x.log_softmax(-1).abs() + 2 * eps * x.abs())).sum(-1)
            return {"y": each.mean() + walk(n, eps) * y.abs(),
                    "gx": gy.abs() / n * (2 * p * (relative + (p * relative).sum(-1, keepdim=True)) + 4 * eps * (p + q))}

        return Case("cross_entropy", {"x": x, "t": t64}, {"label_smoothing": smoothing}, f, bound)

    def kl_div(self):
        n, k = self.below(1, 20), self.below(1, 120)
        x, teacher = self.reals(n, k) * np.float32(5), self.reals(n, k) * np.float32(5)
        T = float(self.pick(1, 2, 4, 0.5))

        def f(t):
            return T * T * F.kl_div(F.log_softmax(t["x"] / T, -1), F.softmax(t["t"].detach() / T, -1), reduction="batchmean")

        def bound(eps, t, y, gy, grads):
            x, teacher = t["x"] / T, t["t"] / T
            px, pt = x.softmax(-1), teacher.softmax(-1)

            def relative(a):
                return walk(k, eps) + eps * (8 + 4 * (a - a.amax(-1, keepdim=True)).abs() + 2 * a.abs())

            rx, rt = relative(x), relative(teacher)
            lx, lt = x.log_softmax(-1).abs(), teacher.log_softmax(-1).abs()
            each = (pt * (rx + rt + (rt * 2 + walk(k, eps)) * (lx + lt))).sum(-1)
            return {"y": T * T * each.mean() + walk(n, eps) * T * T * (pt * (lx + lt)).sum(-1).mean(),
                    "gx": gy.abs() * T / n * 2 * (px * (rx + (px * rx).sum(-1, keepdim=True)) +
                                                  pt * (rt + (pt * rt).sum(-1, keepdim=True)))}

        return Case("kl_div", {"x": x, "t": teacher}, {"temperature": T}, f, bound)

    def resize(self, op):
        x = self.image()
        h, w = x.shape[1:3]
        oh, ow = self.pick((self.below(1, 25), self.below(1, 25)), (2 * h, 2 * w), (h, w), (max(1, h // 2), max(1, w // 2)))
        mode = op.split("_")[1]

        def f(t):
            return nhwc(F.interpolate(nchw(t["x"]), (oh, ow), mode=mode, align_corners=False, antialias=False))

        def bound(eps, t, y, gy, grads):
            # A source coordinate up to max(h,w), rounded, shifts a weight by as much; slopes of the weights are <= 1
            # (linear) and <= 1.5 (cubic); absolute weights sum to at most 1 and 1.4 per axis.
            weight = eps * (8 + 3 * (h + w)) * (1 if mode == "bilinear" else 4)
            terms = (oh / h + 3) * (ow / w + 3)
            return {"y": weight * t["x"].abs().max(), "gx": weight * gy.abs().max() * 4 * terms}

        return Case(op, {"x": x}, {"out_h": oh, "out_w": ow}, f, bound)

    def make(self, op, i):
        integers = i % 3 == 2
        if op == "conv2d":
            return self.conv2d(integers)
        if op in ("max_pool2d", "avg_pool2d"):
            return self.pool(op, integers)
        if op == "global_avg_pool":
            return self.global_avg_pool(integers)
        if op == "linear":
            return self.linear(integers)
        if op == "batch_norm":
            return self.batch_norm(i % 2 == 0)
        if op in ("add", "mul"):
            return self.binary(op, integers)
        if op in ("softmax", "log_softmax"):
            return self.softmax(op)
        if op in ("cross_entropy", "kl_div"):
            return getattr(self, op)()
        if op.startswith("resize"):
            return self.resize(op)
        return self.activation(op)


OPS = ["conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool", "linear", "batch_norm", "relu", "relu6", "hard_swish",
       "hard_sigmoid", "sigmoid", "add", "mul", "softmax", "log_softmax", "cross_entropy", "kl_div", "resize_bilinear",
       "resize_bicubic"]
