# SPDX-License-Identifier: MIT
# Writes edges.txt: what the operations and losses of docs/ops.md have to give at the edges of their numbers and
# shapes. What is right comes from the formulas of the catalog in long double (64 bits, exponents to 10^4932: nothing
# in them overflows), erf from mpmath. Where a formula is inf · 0 but the function has a limit, the limit is right.
# edges.cpp compares.
#
#     gelu float                      operation and type, options behind them
#      x 28 > 0 -0 1.4e-45 ...        an input: name, shape, elements; fewer elements repeat
#      y 28 8 0 : 0 -0 ...            a result: name, shape, error allowed in units of the last place and in all
#      dx 28 8 2.5e-07 : ...          the gradient of an input, for dy (all 1 unless it is an input)
#
# A shape without axes is "-". Pairs of operands come as two inputs of the same shape.
import os

import mpmath
import numpy as np

Real = np.longdouble
mpmath.mp.dps = 60
np.seterr(all="ignore")
inf, nan = Real("inf"), Real("nan")

moderate = [0.5, -0.5, 1, -1, 3, -5.5, 20, -20]
large = [1e20, -1e20, 1e30, -1e30, inf, -inf, nan]
points = {
    "float": [0.0, -0.0, 1.4e-45, -1e-40, 1.17549435e-38, 1e-30, -1e-20, 88, -88, -100, 3.40282347e38, -3.40282347e38]
    + moderate + large,
    "double": [0.0, -0.0, 5e-324, -1e-310, 2.2250738585072014e-308, 1e-30, -1e-20, 700, -700, 1.7976931348623157e308,
               -1.7976931348623157e308] + moderate + large,
}
few = {
    "float": [0.0, -0.0, 1e-40, 1e-30, -1e-20, 1, -3, 1e20, -1e30, 3.40282347e38, inf, -inf, nan],
    "double": [0.0, -0.0, 1e-310, 1e-30, -1e-20, 1, -3, 1e20, -1e30, 1.7976931348623157e308, inf, -inf, nan],
}
types = {"float": np.float32, "double": np.float64}
out = []


def exact(values, dtype):
    """The numbers that the type makes of these, as long double."""
    return np.asarray(values, dtype=Real).astype(types[dtype]).astype(Real)


def text(value, dtype):
    value = Real(value)
    largest = Real(np.finfo(types[dtype]).max)
    if np.isnan(value):
        return "nan"
    if abs(value) > largest * (1 + Real(np.finfo(types[dtype]).eps) / 4):
        return "inf" if value > 0 else "-inf"
    digits = 9 if dtype == "float" else 17
    return f"{float(value):.{digits + 1 if dtype == 'float' else digits}g}"


def shape_text(shape):
    return ",".join(str(s) for s in shape) or "-"


class Case:
    def __init__(self, name, dtype, **options):
        self.dtype = dtype
        out.append(" ".join([name, dtype] + [f"{k}={v}" for k, v in options.items()]))

    def input(self, name, values, shape=None, integer=False):
        values = np.asarray(values, dtype=Real)
        given = exact(values, self.dtype).reshape(-1)
        shape = values.shape if shape is None else shape
        words = [str(int(v)) for v in given] if integer else [text(v, self.dtype) for v in given]
        out.append(f" {name} {shape_text(shape)} > " + " ".join(words))
        count = int(np.prod(shape, dtype=int))
        return np.resize(given, count).reshape(shape) if len(given) else given.reshape(shape)

    def result(self, name, values, ulp=4, off=0.0):
        values = np.asarray(values, dtype=Real)
        flat = values.reshape(-1)
        if len(flat) > 64 and np.all(flat == flat[0]):
            flat = flat[:1]
        off = off if self.dtype == "float" else off * 2.0**-29
        out.append(f" {name} {shape_text(values.shape)} {ulp} {off:.3g} : " + " ".join(text(v, self.dtype) for v in flat))


def special(values, x, table):
    """The values, but the limits of the table where x is exactly that."""
    result = np.array(values, dtype=Real)
    for at, value in table.items():
        result[x == at] = value
    return result


def erf(x):
    return np.array([nan if np.isnan(v) else Real(mpmath.nstr(mpmath.erf(mpmath.mpf(float(v))), 30)) for v in x])


def normal(x):
    def one(v):
        if np.isnan(v) or abs(v) > 1000:
            return v if np.isnan(v) else Real(v > 0)
        return Real(mpmath.nstr(mpmath.erfc(-mpmath.mpf(float(v)) / mpmath.sqrt(2)) / 2, 30))
    return np.array([one(v) for v in x])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def where(condition, a, b):
    return np.where(condition, np.asarray(a, dtype=Real), np.asarray(b, dtype=Real))


pi = Real(mpmath.nstr(mpmath.pi, 30))


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * pi)


# Of each: options, value, slope, then the errors allowed if they are not 4 units of the last place.
unary = {
    "neg": ({}, lambda x: -x, lambda x: where(True, -1, x)),
    "exp": ({}, np.exp, np.exp),
    "expm1": ({}, np.expm1, np.exp),
    "log": ({}, np.log, lambda x: 1 / x),
    "log1p": ({}, np.log1p, lambda x: 1 / (1 + x)),
    "sqrt": ({}, np.sqrt, lambda x: 1 / (2 * np.sqrt(x))),
    "rsqrt": ({}, lambda x: 1 / np.sqrt(x), lambda x: -0.5 * (1 / np.sqrt(x)) ** 3, 4, 8),
    "sign": ({}, lambda x: where(x > 0, 1, where(x < 0, -1, 0)), lambda x: where(True, 0, x), 0, 0),
    "floor": ({}, np.floor, lambda x: where(True, 0, x), 0, 0),
    "ceil": ({}, np.ceil, lambda x: where(True, 0, x), 0, 0),
    "round": ({}, np.rint, lambda x: where(True, 0, x), 0, 0),
    "square": ({}, lambda x: x * x, lambda x: 2 * x),
    "abs": ({}, abs, lambda x: where(x > 0, 1, where(x < 0, -1, 0))),
    "sin": ({}, np.sin, np.cos),
    "cos": ({}, np.cos, lambda x: -np.sin(x)),
    "pow": ({"n": 2.5}, lambda x: np.power(x, Real(2.5)), lambda x: Real(2.5) * np.power(x, Real(1.5))),
    "clamp": ({"low": -1, "high": 3}, lambda x: where(np.isnan(x), x, np.minimum(np.maximum(x, -1), 3)),
              lambda x: where((x > -1) & (x < 3), 1, 0)),
    "clamp_min": ({"low": -1}, lambda x: where(np.isnan(x), x, np.maximum(x, -1)), lambda x: where(x > -1, 1, 0)),
    "clamp_max": ({"high": 3}, lambda x: where(np.isnan(x), x, np.minimum(x, 3)), lambda x: where(x < 3, 1, 0)),
    "masked_fill": ({}, lambda x: where(x > 0, 7, x), lambda x: where(x > 0, 0, 1), 0, 0),  # where x > 0
    "map": ({}, lambda x: 1 / x, lambda x: -1 / (x * x)),  # the function of edges.cpp
    "relu": ({}, lambda x: where(x <= 0, 0, x), lambda x: where(x <= 0, 0, 1)),
    "leaky_relu": ({"negative_slope": 0.25}, lambda x: where(x > 0, x, x / 4), lambda x: where(x > 0, 1, 0.25)),
    "elu": ({}, lambda x: where(x > 0, x, np.expm1(x)), lambda x: where(x > 0, 1, np.exp(x))),
    "gelu": ({}, lambda x: special(x * normal(x), x, {-inf: 0, inf: inf}),
             lambda x: special(normal(x) + x * density(x), x, {-inf: 0, inf: 1}), 8, 8, 0, 3e-7),
    "sigmoid": ({}, sigmoid, lambda x: sigmoid(x) * sigmoid(-x), 4, 4, 0, 1.2e-7),
    "silu": ({}, lambda x: special(x * sigmoid(x), x, {-inf: 0}),
             lambda x: special(sigmoid(x) * (1 + x * sigmoid(-x)), x, {-inf: 0, inf: 1}), 6, 6),
    "tanh": ({}, np.tanh, lambda x: 1 / np.cosh(x) ** 2, 4, 4, 0, 1.2e-7),
    "erf": ({}, erf, lambda x: 2 / np.sqrt(pi) * np.exp(-x * x)),
    "softplus": ({}, lambda x: where(x > 0, x, 0) + np.log1p(np.exp(-abs(x))), sigmoid),
}


def flat_power(a, b):
    slope = b * np.power(a, b - 1)
    by_exponent = np.power(a, b) * np.log(a)
    return where(b == 0, 0, slope), where(((a == 0) & (b >= 0)) | ((a == inf) & (b < 0)), 0, by_exponent)


def share(a, b, wins):
    return where(a == b, 0.5, where(wins(b, a), 0, 1)), where(a == b, 0.5, where(wins(a, b), 0, 1))


same = lambda a, b: (where(True, 1, a), where(True, 1, a))
binary = {
    "add": (lambda a, b: a + b, same),
    "sub": (lambda a, b: a - b, lambda a, b: (where(True, 1, a), where(True, -1, a))),
    "mul": (lambda a, b: a * b, lambda a, b: (b, a)),
    "div": (lambda a, b: a / b, lambda a, b: (1 / b, -a / (b * b))),
    "pow": (lambda a, b: np.power(a, b), flat_power),
    "maximum": (np.maximum, lambda a, b: share(a, b, lambda p, q: p > q)),
    "minimum": (np.minimum, lambda a, b: share(a, b, lambda p, q: p < q)),
}


comparisons = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
               "ge": np.greater_equal}


def smooth(d, limit, scale):
    """scale (d² / 2 up to the limit, else its tangent) and the slope."""
    size = abs(d)
    value = where(size <= limit, d * d / 2, limit * (size - limit / 2))
    return value * scale, where(np.isnan(d), d, np.minimum(np.maximum(d, -limit), limit)) * scale


def bce(p, t):
    value = -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))
    return value, (p - t) / np.maximum(p * (1 - p), Real("1e-12"))


def bce_with_logits(x, t):
    above = where(x > 0, x, 0) + np.log1p(np.exp(-abs(x)))
    below = where(x < 0, -x, 0) + np.log1p(np.exp(-abs(x)))
    value = where(t == 1, 0, (1 - t) * above) + where(t == 0, 0, t * below)
    return where(np.isnan(x), x, value), (1 - t) * sigmoid(x) - t * sigmoid(-x)


def kl_div(x, t):
    return where(t == 0, 0, t * (np.log(t) - x)), -t


losses = {
    "mse": ({}, lambda x, t: ((x - t) ** 2, 2 * (x - t)), None, None),
    "l1": ({}, lambda x, t: (abs(x - t), where(x > t, 1, where(x < t, -1, 0))), None, None),
    "smooth_l1": ({"beta": 0.5}, lambda x, t: smooth(x - t, Real(0.5), Real(2)), None, None),
    "huber": ({"delta": 2}, lambda x, t: smooth(x - t, Real(2), Real(1)), None, None),
    "bce": ({}, bce, [0.0, 1e-40, 1e-30, 1e-20, 1e-6, 0.25, 0.5, 0.75, 0.99999994, 1], [0, 0.25, 1]),
    "bce_with_logits": ({}, bce_with_logits, [0.0, -0.0, 1e-40, -1e-20, 1, -1, 20, -20, 1e20, -1e30, inf, -inf, nan],
                        [0, 0.25, 1]),
    "kl_div": ({}, kl_div, [0.0, -1e-30, -1, -20, -1e20, -1e30, -inf], [0.0, 1e-30, 0.25, 1]),
}


def pairs(a, b):
    return np.repeat(np.asarray(a, dtype=Real), len(b)), np.tile(np.asarray(b, dtype=Real), len(a))


def elementwise(dtype):
    for name, (options, value, slope, *tolerances) in unary.items():
        y_ulp, dx_ulp, y_off, dx_off = tolerances + [4, 4, 0, 0][len(tolerances):]
        if name == "gelu" and dtype == "double":  # by erfc of x / √2, whose rounding shows in the tail
            y_ulp = dx_ulp = 512
        c = Case(name, dtype, **options)
        x = c.input("x", points[dtype])
        c.result("y", value(x), y_ulp, y_off)
        c.result("dx", slope(x), dx_ulp, dx_off)
    c = Case("softplus", dtype, beta=2)
    x = c.input("x", points[dtype])
    c.result("y", where(x > 0, x, 0) + np.log1p(np.exp(-2 * abs(x))) / 2)
    c.result("dx", sigmoid(2 * x))
    c = Case("gelu", dtype, tanh=1)  # e to the power of -600 has the rounding errors of that, times 600
    x = c.input("x", points[dtype])
    w = 2 * np.sqrt(2 / pi) * (x + Real("0.044715") * x**3)
    steep = 2 * np.sqrt(2 / pi) * (1 + 3 * Real("0.044715") * x**2)
    c.result("y", special(x * sigmoid(w), x, {-inf: 0, inf: inf}), 64 if dtype == "float" else 4096)
    slope = sigmoid(w) * (1 + x * sigmoid(-w) * steep)
    c.result("dx", special(slope, x, {-inf: 0, inf: 1}), 64 if dtype == "float" else 4096, 3e-7)
    for name, holds in comparisons.items():
        c = Case(name, dtype)
        a, b = pairs(few[dtype], few[dtype])
        c.result("y", where(holds(c.input("a", a), c.input("b", b)), 1, 0), 0)
    for values, other, answer in [([1, nan], [1, nan], 0), ([1, inf], [1, inf], 1), ([0.0, 1], [-0.0, 1], 1),
                                  ([], [], 1), ([1], [1, 1], 0)]:
        c = Case("equal", dtype)
        c.input("a", values), c.input("b", other)
        c.result("y", Real(answer), 0)
    for name, holds in {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}.items():
        c = Case(name, dtype)
        a, b = pairs([0, 1], [0, 1])
        c.result("y", where(holds(c.input("a", a) > 0, c.input("b", b) > 0), 1, 0), 0)
    c = Case("logical_not", dtype)
    c.result("y", 1 - c.input("x", [0, 1]), 0)
    for values in ([1, 1], [1, 0], [0, 0], []):
        for name, holds in (("all", np.all), ("any", np.any)):
            c = Case(name, dtype)
            c.result("y", Real(bool(holds(c.input("x", values) > 0))), 0)
    for name, (value, slopes) in binary.items():
        c = Case(name, dtype)
        # The steps between of a power take place in double: there its inverse must be a number.
        numbers = [2.5e-308 if name == "pow" and v == 1e-310 else v for v in few[dtype]]
        a, b = pairs(numbers, numbers)
        a, b = c.input("a", a), c.input("b", b)
        c.result("y", value(a, b))
        da, db = slopes(a, b)
        c.result("da", da)
        c.result("db", db)
    for factor in [0, 1e-30, 1e20]:  # a gradient that is none, small or large, for a quotient that is neither
        c = Case("div", dtype)
        a, b = pairs([1e-30, 1e-10, 1, 1e10, 1e30], [1e-30, -1e-10, 3, 1e10, 1e30])
        a, b, dy = c.input("a", a), c.input("b", b), c.input("dy", [factor] * len(a))
        c.result("da", dy / b)
        c.result("db", -dy * a / (b * b))
    for name, (options, f, x, t) in losses.items():
        c = Case(name, dtype, **options)
        x, t = pairs(few[dtype] if x is None else x, few[dtype] if t is None else t)
        x, t = c.input("x", x), c.input("t", t)
        y, dx = f(x, t)
        c.result("y", y, 6)
        c.result("dx", dx, 6, 1.2e-7 if name == "bce_with_logits" else 0)


def along(x, axis):
    """Value and gradient of reductions over one axis, for dy = 1."""
    n = x.shape[axis]
    keep = lambda f: np.expand_dims(f, axis)
    ones = np.ones_like(x)
    result = {"sum": (x.sum(axis), ones), "mean": (x.sum(axis) / Real(n), ones / Real(n) if n else ones)}
    mean = x.sum(axis) / Real(n)
    centered = x - keep(mean)
    result["var"] = ((centered**2).sum(axis) / Real(max(n - 1, 0)), 2 * centered / Real(n - 1) if n > 1 else nan * x)
    y = np.sqrt(result["var"][0])
    flat = keep(y) * Real(n - 1)
    result["std"] = (y, where(keep(y) == 0, 0, centered / flat) if n > 1 else nan * x)
    others = [np.delete(x, i, axis).prod(axis) for i in range(n)] if n < 10 else []
    result["prod"] = (x.prod(axis), np.stack(others, axis) if others else 0 * x)
    y = np.sqrt((x * x).sum(axis))
    result["norm"] = (y, where(keep(y) == 0, 0, x / keep(y)))
    if n:
        for name, f in (("max", np.max), ("min", np.min)):
            y = f(x, axis)
            ties = (x == keep(y)).astype(Real)
            result[name] = (y, ties / ties.sum(axis, keepdims=True))
    largest = x.max(axis) if n else x.sum(axis) * 0 - inf
    safe = where(np.isinf(largest), 0, largest)
    terms = np.exp(x - keep(safe))
    y = where(largest == inf, inf, safe + np.log(terms.sum(axis)))
    equal = where(x == inf, 1, 0)
    shares = where(keep(largest) == inf, equal / np.maximum(equal.sum(axis, keepdims=True), 1),
                   where(keep(largest) == -inf, 0, terms / terms.sum(axis, keepdims=True)))
    result["logsumexp"] = (y, shares)
    return result


def reductions(dtype):
    samples = {
        "empty": (np.zeros((2, 0)), None),
        "no rows": (np.zeros((0, 3)), None),
        "one": ([[2.5], [-1e30], [1e-40]], None),
        # nothing that depends on the order of the terms: it differs with the width of the vectors
        "edges": ([[0.0, -0.0, 1e-40], [1e20, 1, 1e20], [-1e30, 1e30, 0], [3, 3, 2]], None),
    }
    for label, (values, shape) in samples.items():
        for name in ["sum", "mean", "norm", "var", "std", "prod", "max", "min", "logsumexp"]:
            x = np.asarray(values, dtype=Real)
            if label == "empty" and name in ("max", "min"):
                continue  # refused
            c = Case(name, dtype, axis=1)
            x = c.input("x", x)
            y, dx = along(x, 1)[name]
            squares = name == "var" and dtype == "float" and label == "edges"
            tiny = 1e-4 if name == "std" and label == "edges" else 0  # denormal numbers less their mean
            off = 1e-43 if tiny else 1e-30 if name in ("sum", "mean") and label == "edges" else 0
            c.result("y", y, 8, off)
            c.result("dx", dx, 8, 1e-6 if name == "logsumexp" else tiny if not squares else 1e-30)
    for name in ["max", "min", "sum", "logsumexp"]:
        x = np.asarray([[inf, 0, 1], [-inf, 0, 1], [-inf, -inf, -inf], [inf, inf, 0]], dtype=Real)
        c = Case(name, dtype, axis=1)
        x = c.input("x", x)
        y, dx = along(x, 1)[name]
        c.result("y", y)
        c.result("dx", dx, 4, 1e-6)
    for name in ["sum", "mean", "norm", "var", "std", "max", "logsumexp"]:
        c = Case(name, dtype, axis=0)
        x = c.input("x", [0.1, 0.7, 0.3, 0.2], [1000000])
        y, dx = along(x, 0)[name]
        c.result("y", y, 16)
        if name in ("sum", "mean"):
            c.result("dx", dx)
    for values in [[[1e10, 1, -1e10], [0.0, -0.0, 1e-40], [inf, 1, -inf]], [[5], [nan]], np.zeros((2, 0))]:
        c = Case("cumsum", dtype)
        x = c.input("x", values)
        c.result("y", np.cumsum(x, 1))
        c.result("dx", np.cumsum(np.ones_like(x)[:, ::-1], 1)[:, ::-1])
    for values in [[3, nan, -0.0, 0.0, inf, 1e-40, -inf, nan, 3], [7], []]:
        x = np.asarray(values, dtype=Real)
        order = sorted(range(len(values)), key=lambda i: (np.isnan(x[i]), 0 if np.isnan(x[i]) else x[i], i))
        c = Case("sort", dtype)
        x = c.input("x", values)
        c.result("y", x[order], 0)
        c.result("dx", np.ones_like(x), 0)
        c = Case("argsort", dtype)
        c.input("x", values)
        c.result("y", order, 0)
        c = Case("topk", dtype, k=min(2, len(values)), smallest=1)
        x = c.input("x", values)
        c.result("y", x[order][:2], 0)
        c.result("dx", [i in order[:2] for i in range(len(values))], 0)
        c = Case("topk", dtype, k=min(2, len(values)), smallest=0)
        x = c.input("x", values)
        c.result("y", [nan, nan] if len(values) > 2 else x, 0)
        c.result("dx", np.isnan(x) if len(values) > 2 else np.ones_like(x), 0)
    for values in [[[1, 3, 3], [-inf, -inf, -inf], [0.0, -0.0, 1e-40], [nan, inf, 1]], [[5], [1e30]]]:
        c = Case("argmax", dtype)
        x = c.input("x", values)
        c.result("y", [int(np.argmax(where(np.isnan(row), inf, row) if not np.isnan(row).any() else np.isnan(row)))
                       for row in x], 0)
    for values, shape in [([[0, 0, 0], [1e30, -1e30, 0], [-inf, 0, 1], [1e-40, 0, 1e-40]], None), ([[7], [1e20]], None),
                          (np.zeros((2, 0)), None), ([1, 2], [1000000])]:
        for name in ["softmax", "log_softmax"]:
            c = Case(name, dtype)
            x = c.input("x", values, shape)
            if x.size == 0:
                c.result("y", x)
                c.result("dx", x)
                continue
            e = np.exp(x - x.max(-1, keepdims=True))
            s = e / e.sum(-1, keepdims=True)
            long = shape is not None
            y = s if name == "softmax" else (x - x.max(-1, keepdims=True)) - np.log(e.sum(-1, keepdims=True))
            if not long:
                c.result("y", y, 6, 0 if name == "softmax" else 1e-7)
                dy = c.input("dy", [1, 2, 3][: x.shape[-1]], x.shape)
                masked = dy * s
                dx = s * (dy - masked.sum(-1, keepdims=True)) if name == "softmax" else dy - s * dy.sum(-1, keepdims=True)
                c.result("dx", dx, 8, 2e-6)
            else:
                c.result("head", y[:4], 16)
    for label in [0, 1, 2]:
        c = Case("cross_entropy", dtype)
        x = c.input("x", [[0, 0, 0], [1e30, 1, 0], [-inf, 0, 1], [20, -20, 5]])
        c.input("labels", [label] * 4, integer=True)
        e = np.exp(x - x.max(-1, keepdims=True))
        s = e / e.sum(-1, keepdims=True)
        hot = np.eye(3, dtype=Real)[[label] * 4]
        c.result("y", (np.log(e.sum(-1)) + x.max(-1) - x[:, label]), 8, 1e-7)
        c.result("dx", s - hot, 8, 2e-7)
        c = Case("nll", dtype)
        x = c.input("x", [[0, -1, -2], [-inf, -1e30, 0.0], [-1e-40, -20, -inf], [nan, nan, nan]])
        c.input("labels", [label] * 4, integer=True)
        c.result("y", -x[:, label])
        c.result("dx", -hot)


def products(dtype):
    def product(a, b, ulp=8):
        c = Case("matmul", dtype)
        a, b = c.input("a", *a), c.input("b", *b)
        y = a.dot(b)
        c.result("y", y, ulp)
        one = np.ones_like(y)
        if a.size < 1000:
            c.result("da", one.dot(b.T), ulp)
            c.result("db", a.T.dot(one), ulp)

    long_sum = 128 if dtype == "float" else 512  # of a million equal numbers, whose rounding errors agree
    product((np.zeros((2, 0)),), (np.zeros((0, 3)),))
    product((np.zeros((0, 2)),), (np.ones((2, 3)),))
    product(([[3]],), ([[1e-40]],))
    product(([[1e20, 0.0], [1e-30, 1e-40]],), ([[1e10, -1e20], [1, 3e30]],))
    product(([0.1], [1, 1000000]), ([1, 3], [1000000, 1]), long_sum)
    c = Case("einsum", dtype)
    a, b = c.input("a", [[1e20, 0.0], [1e-30, 1e-40]]), c.input("b", [[1e10, -1e20], [1, 3e30]])
    one = np.ones((2, 2), dtype=Real)
    for name, value in (("y", a.dot(b)), ("da", one.dot(b.T)), ("db", a.T.dot(one))):
        c.result(name, value, 8)
    c = Case("einsum", dtype)
    c.input("a", np.zeros((2, 0))), c.input("b", np.zeros((0, 3)))
    c.result("y", np.zeros((2, 3)))
    c = Case("linear", dtype)
    x, w, b = c.input("x", [[1e20, 1], [0.0, 1e-40]]), c.input("w", [[1, 1e20], [1e-20, 3]]), c.input("b", [0.0, 1])
    one = np.ones((2, 2), dtype=Real)
    for name, value in (("y", x.dot(w.T) + b), ("dx", one.dot(w)), ("dw", one.T.dot(x)), ("db", one.sum(0))):
        c.result(name, value, 8)
    c = Case("linear", dtype)
    x, w, b = c.input("x", [0.1, 0.3], [500000, 2]), c.input("w", [[1, 2]]), c.input("b", [0.5])
    c.result("dw", x.sum(0)[None, :], long_sum)
    c.result("db", [500000], 16)
    # Kernels and images of 1, no image; a constant image, of which all windows are equal.
    c = Case("conv2d", dtype)
    x, w = c.input("x", [[[[1e20]]], [[[1e-40]]]]), c.input("w", [[[[2]]], [[[1e10]]]])
    c.result("y", (x.reshape(2, 1) * w.reshape(1, 2)).reshape(2, 2, 1, 1))
    c.result("dx", np.full((2, 1, 1, 1), w.sum()))
    c.result("dw", np.full((2, 1, 1, 1), x.sum()))
    c = Case("conv2d", dtype)
    c.input("x", np.zeros((0, 2, 3, 3))), c.input("w", [1], [4, 2, 3, 3])
    c.result("y", np.zeros((0, 4, 1, 1)))
    c.result("dw", np.zeros((4, 2, 3, 3)))
    c = Case("conv2d", dtype)
    x, w = c.input("x", [0.1], [1, 16, 62, 62]), c.input("w", [1], [1, 16, 62, 62])
    c.result("y", np.full((1, 1, 1, 1), x.sum()), long_sum)


def pools(dtype):
    image = [[[[1, -0.0, 1e20], [-inf, 1e-40, 1e30], [3, 3, -1e20]]]]
    for name in ["max_pool2d", "avg_pool2d"]:
        c = Case(name, dtype, kernel_size=1)
        x = c.input("x", image)
        c.result("y", x)
        c.result("dx", np.ones_like(x))
        c = Case(name, dtype, kernel_size=2)
        x = c.input("x", [[[[1, 5], [nan, 2]]], [[[inf, 1], [2, 3]]], [[[-inf, -inf], [-inf, -1e30]]]])
        flat = x.reshape(3, 4)
        c.result("y", (flat.max(1) if name == "max_pool2d" else flat.sum(1) / 4).reshape(3, 1, 1, 1))
        hot = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=Real)
        c.result("dx", (hot if name == "max_pool2d" else np.full((3, 4), Real(0.25))).reshape(x.shape))
        c = Case(name, dtype, kernel_size=1)
        c.result("y", c.input("x", np.zeros((0, 2, 3, 3))))
    c = Case("adaptive_avg_pool2d", dtype, size=1)
    x = c.input("x", [[[[1e20, 1e20], [1, 1e-40]]]])
    c.result("y", x.sum((2, 3), keepdims=True) / 4)
    c.result("dx", np.full(x.shape, Real(0.25)))
    for name in ["global_avg_pool2d", "global_max_pool2d"]:
        c = Case(name, dtype)
        x = c.input("x", [[[[-0.0, -inf]], [[1e20, 1]], [[3, nan]]]])
        c.result("y", (x.sum((2, 3)) / 2) if "avg" in name else x.max((2, 3)))
        hot = np.array([[1, 0], [1, 0], [0, 1]], dtype=Real).reshape(x.shape)
        c.result("dx", hot if "max" in name else np.full(x.shape, Real(0.5)))
        c = Case(name, dtype)
        x = c.input("x", [0.1, 0.3], [1, 1, 1000, 1000])
        c.result("y", (x.sum((2, 3)) / x[0, 0].size) if "avg" in name else x.max((2, 3)), 16)


def norms(dtype):
    def normalized(c, x, axes, eps, w, b, dy):
        mean = x.mean(axes, keepdims=True)
        scale = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
        hat = (x - mean) * scale
        g = dy * w
        dx = scale * (g - g.mean(axes, keepdims=True) - hat * (g * hat).mean(axes, keepdims=True))
        c.result("y", hat * w + b, 16, 1e-5)
        c.result("dx", dx, 64, 1e-5)

    for name, axes in [("batch_norm", 0), ("layer_norm", 1)]:
        for rows in [[[1, 2, 4], [0.0, 2, 1], [3, 2, -5]], [[1e-30, 1e15, 1], [2e-30, -1e15, 3], [0, 1e15, 2]]]:
            c = Case(name, dtype)
            x, w, b, dy = (c.input("x", rows), c.input("w", [1, 2, 0.5]), c.input("b", [0.0, 1, -1]),
                           c.input("dy", [1, -2, 0.5, 3, 1], [3, 3]))
            normalized(c, x, axes, exact([1e-5], dtype)[0], w, b, dy)
    c = Case("layer_norm", dtype)  # one number: nothing is left of it
    c.input("x", [[5], [1e30]]), c.input("w", [2]), c.input("b", [0.5])
    c.result("y", [[0.5], [0.5]])
    c.result("dx", [[0], [0]])
    c = Case("layer_norm", dtype)
    c.result("y", c.input("x", np.zeros((0, 3)))), c.input("w", [1], [3]), c.input("b", [0], [3])
    c = Case("batch_norm", dtype)
    x = c.input("x", [0.1, 0.5, -0.3, 0.9], [1000000, 1])
    c.input("w", [1]), c.input("b", [0.0])
    eps = exact([1e-5], dtype)[0]
    c.result("head", ((x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + eps))[:4], 64 if dtype == "float" else 4096)


def copies(dtype):
    """What only moves numbers keeps all of them, and gives each its gradient back."""
    v = [0.0, -0.0, 1e-40, -1e30, inf, nan]

    def case(name, function, **options):
        for values in (np.array(v, dtype=Real).reshape(2, 3), np.zeros((0, 3)), np.ones((1, 1))):
            c = Case(name, dtype, **options)
            x = c.input("x", values)
            y = function(x)
            c.result("y", y, 0)
            c.result("dx", np.full(x.shape, Real(1 if name == "pad" else y.size // max(x.size, 1))), 0)

    for name, part in (("tril", np.tril), ("triu", np.triu)):
        for values in (np.array(v, dtype=Real).reshape(2, 3), np.zeros((0, 3)), np.ones((1, 1))):
            c = Case(name, dtype)
            x = c.input("x", values)
            kept = part(np.ones(x.shape))
            c.result("y", where(kept == 1, x, 0), 0)
            c.result("dx", kept, 0)
    case("reshape", lambda x: x.reshape(-1))
    case("flatten", lambda x: x.reshape(x.shape[0], -1) if x.size else x)
    case("unsqueeze", lambda x: x[:, None])
    case("squeeze", lambda x: x)
    case("transpose", lambda x: x.T)
    case("permute", lambda x: x.T)
    case("flip", lambda x: x[::-1])
    case("broadcast_to", lambda x: np.broadcast_to(x, (2,) + x.shape))
    case("repeat", lambda x: np.tile(x, (2, 1)))
    case("slice", lambda x: x[::-1][::-1])
    case("split", lambda x: x)
    case("concat", lambda x: np.concatenate([x, x], 0))
    case("stack", lambda x: np.stack([x, x], 0))
    case("dropout", lambda x: x)
    case("pad", lambda x: np.pad(x, ((0, 0), (1, 0)), constant_values=7))


def indices(dtype):
    x = np.array([[0.0, -0.0, 1e-40], [-1e30, inf, nan]], dtype=Real)
    c = Case("index_select", dtype)
    c.input("x", x), c.input("indices", [1, 1, 0], integer=True)
    c.result("y", x[[1, 1, 0]] * 1, 0)
    c.result("dx", [[1, 1, 1], [2, 2, 2]], 0)
    c = Case("index_select", dtype)
    c.input("x", x), c.input("indices", np.zeros(0), integer=True)
    c.result("y", np.zeros((0, 3)))
    c.result("dx", np.zeros((2, 3)))
    c = Case("gather", dtype)
    c.input("x", x), c.input("indices", [[2, 2], [0, 1]], integer=True)
    c.result("y", [[x[0, 2], x[0, 2]], [x[1, 0], x[1, 1]]], 0)
    c.result("dx", [[0, 0, 2], [1, 1, 0]], 0)
    c = Case("scatter_add", dtype)
    c.input("x", x), c.input("indices", [[2, 2], [0, 1]], integer=True)
    source = c.input("source", [[1e20, 1e10], [1e30, 1]])
    c.result("y", [[0, 0, source[0].sum()], [0, inf, nan]])
    c.result("dx", np.ones((2, 3)), 0)
    c.result("dsource", np.ones((2, 2)), 0)
    c = Case("scatter_add", dtype)  # to one place, a million times
    c.input("x", [0.5]), c.input("indices", [0], [1000000], integer=True), c.input("source", [1], [1000000])
    c.result("y", [1000000.5], 4)
    c = Case("embedding", dtype)
    c.input("x", x), c.input("indices", [[1], [0]], integer=True)
    c.result("y", [[x[1]], [x[0]]], 0)
    c.result("dx", np.ones((2, 3)), 0)
    c = Case("embedding", dtype)  # one row, a million times
    c.input("x", [[2]]), c.input("indices", [0], [1000000], integer=True)
    c.result("dx", [[1000000]], 4)
    c = Case("one_hot", dtype)
    c.input("indices", [1, 0], integer=True)
    c.result("y", [[0, 1, 0], [1, 0, 0]], 0)
    c = Case("where", dtype)  # where a > 0, a, else b: what is not chosen does no harm
    a, b = pairs(few[dtype], [1, inf, nan, -1e30])
    a, b = c.input("a", a), c.input("b", b)
    c.result("y", where(a > 0, a, b), 0)
    c.result("da", where(a > 0, 1, 0), 0)
    c.result("db", where(a > 0, 0, 1), 0)


for dtype in ("float", "double"):
    for part in (elementwise, reductions, products, pools, norms, copies, indices):
        part(dtype)
path = os.path.splitext(os.path.abspath(__file__))[0] + ".txt"
with open(path, "w") as file:
    file.write("\n".join(out) + "\n")
print(f"{os.path.basename(path)}: {os.path.getsize(path)} bytes")
