#!/usr/bin/env python3
"""Writes surrogates.txt: what SciPy and scikit-learn make of the samples that the surrogates are tested on.

Each line is `name count value...`, values in repr, so that they read back to the same double.
Usage: make_surrogate_golden.py > surrogates.txt   (NumPy, SciPy, scikit-learn)
"""
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.optimize import differential_evolution
from scipy.stats import kendalltau
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.tree import DecisionTreeRegressor

rng = np.random.default_rng(11)
ROWS, TESTS, COLS, LEVELS = 60, 20, 6, 5


def put(name, values):
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    print(name, len(values), *(repr(float(v)) for v in values))


def truth(x):
    return np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] - 0.5 * (x[:, 3] - 0.5) ** 2 + 0.2 * x[:, 4]


def distinct(rows, taken):
    out = []
    while len(out) < rows:
        row = tuple(rng.integers(0, LEVELS, COLS))
        if row not in taken:
            taken.add(row)
            out.append(row)
    return np.array(out) / (LEVELS - 1)


taken = set()
x, x_test = distinct(ROWS, taken), distinct(TESTS, taken)
y = truth(x) + 0.05 * rng.standard_normal(ROWS)
put("x", x)
put("y", y)
put("x_test", x_test)

put("rbf", RBFInterpolator(x, y, kernel="cubic", degree=1, smoothing=1e-6)(x_test))

put("tree.depth3", DecisionTreeRegressor(max_depth=3).fit(x, y).predict(x_test))
put("tree.leaf5", DecisionTreeRegressor(min_samples_leaf=5).fit(x, y).predict(x_test))

a, b = rng.integers(0, 9, 40), rng.integers(0, 9, 40)
put("kendall.a", a)
put("kendall.b", b)
put("kendall.tau", [kendalltau(a, b).statistic])


# Kriging. Inputs and values are standardised first.
def standard(v, like):
    return (v - like.mean(0)) / like.std(0)


z, z_test, v = standard(x, x), standard(x_test, x), standard(y, y)
d2 = ((z[:, None] - z[None]) ** 2).sum(-1)
d2_test = ((z_test[:, None] - z[None]) ** 2).sum(-1)


def krige(theta, nugget, trend, trend_test):
    r = np.exp(-theta * d2) + nugget * np.eye(ROWS)
    inverse = np.linalg.inv(r)
    normal = trend.T @ inverse @ trend
    slopes = np.linalg.solve(normal, trend.T @ inverse @ v)
    rest = v - trend @ slopes
    variance = rest @ inverse @ rest / ROWS
    c = np.exp(-theta * d2_test)
    # The mean comes from scikit-learn, fitted to what the trend leaves over.
    model = GaussianProcessRegressor(RBF((2 * theta) ** -0.5), alpha=nugget, optimizer=None).fit(z, rest)
    mean = trend_test @ slopes + model.predict(z_test)
    miss = trend.T @ inverse @ c.T - trend_test.T
    share = 1 - np.einsum("ij,jk,ik->i", c, inverse, c) + np.einsum(
        "ji,jk,ki->i", miss, np.linalg.inv(normal), miss)
    criterion = ROWS * np.log(variance) + np.linalg.slogdet(r)[1]
    return mean * y.std() + y.mean(), y.std() * np.sqrt(variance * share), criterion


constant, constant_test = np.ones((ROWS, 1)), np.ones((TESTS, 1))
linear, linear_test = np.hstack([constant, z]), np.hstack([constant_test, z_test])
for name, trend, trend_test in (("constant", constant, constant_test), ("linear", linear, linear_test)):
    mean, spread, criterion = krige(0.05, 0.01, trend, trend_test)
    put(f"gp.{name}.mean", mean)
    put(f"gp.{name}.spread", spread)
    put(f"gp.{name}.criterion", [criterion])
    best = differential_evolution(lambda p: krige(10 ** p[0], 10 ** p[1], trend, trend_test)[2],
                                  [(-5, 2), (-8, 0)], seed=1, tol=1e-10)
    put(f"gp.{name}.best_criterion", [best.fun])
    put(f"gp.{name}.best_log10", best.x)
