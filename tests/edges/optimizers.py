# SPDX-License-Identifier: MIT
# Writes optimizers.txt: two steps of every optimizer with numbers at the edges of their type, by the formulas of the
# doc comments with 150 digits.
#
#     python3 tests/edges/optimizers.py > tests/edges/optimizers.txt        (needs mpmath)
#
# The numbers that an optimizer keeps or adds up, as the formulas name them (g, v, m, s, b, g + μ v and lr m), are
# numbers of the parameters' type: what is too large for it becomes infinite, what is too small 0. Everything else is
# exact. So a line says what right means where nothing overflows on the way to a result that does not.
#
# A block is a line "optimizer type option=value ... : state ..." and lines of
#     w  first gradient  second gradient : w after one step, after two, each state after two
# A result is a number, right to a few units in the last place; low..high where a state has lost its digits near 0;
# or ? where rounding decides between a number and NaN.
import itertools

import mpmath as mp

mp.mp.dps = 150
INF, NAN = mp.inf, mp.nan
TYPES = {  # largest, smallest above 0, unit of the last place of 1
    "float": (mp.mpf(2) ** 128 - mp.mpf(2) ** 104, mp.mpf(2) ** -149, mp.mpf(2) ** -23),
    "double": (mp.mpf(2) ** 1024 - mp.mpf(2) ** 971, mp.mpf(2) ** -1074, mp.mpf(2) ** -52),
}


class Range:
    """What a computed number may be: from low to high. None is ?, where rounding decides."""

    def __init__(self, low, high=None):
        self.low, self.high = low, low if high is None else high


def over(formula, *ranges):
    """The range of a formula that is monotone in each of its numbers."""
    if None in ranges:
        return None
    values = [formula(*corner) for corner in itertools.product(*({r.low, r.high} for r in ranges))]
    nans = sum(map(mp.isnan, values))
    if nans == 0:
        return Range(min(values), max(values))
    return Range(NAN) if nans == len(values) else None


def divide(x, y):
    if y != 0:
        return x / y
    return NAN if x == 0 or mp.isnan(x) else mp.sign(x) * INF


class Numbers:
    """Arithmetic in one type: held() is a result that is stored, with the rounding errors on the way to it."""

    def __init__(self, name):
        self.largest, self.smallest, self.unit = TYPES[name]

    def held(self, r):
        if r is None or mp.isnan(r.low):
            return r
        slack = 6 * self.unit * max(self.finite(r.low), self.finite(r.high)) + 2 * self.smallest
        if r.low == r.high == 0:
            slack = 0
        low, high = self.limited(r.low - slack), self.limited(r.high + slack)
        if max(abs(r.low), abs(r.high)) <= self.largest:  # rounding takes nothing beyond the largest number
            low, high = max(low, -self.largest), min(high, self.largest)
        return Range(low, high)

    def finite(self, x):
        return abs(x) if abs(x) < INF else 0

    def nearest(self, x):
        if x == 0 or mp.isnan(x) or abs(x) == INF:
            return x
        place = max(mp.mpf(2) ** mp.floor(mp.log(abs(x), 2)) * self.unit, self.smallest)
        return mp.nint(x / place) * place

    def limited(self, x):
        return mp.sign(x) * INF if abs(x) > self.largest * (1 + 6 * self.unit) else x


def sign(x):  # of NaN, too, there is no direction, as in torch.sign
    return mp.mpf(0) if x == 0 or mp.isnan(x) else mp.sign(x)


def penalized(n, o, w, g):
    """g = dw + λ w + l1 sign(w)"""
    decay = 0 if o.get("decoupled") else o.get("weight_decay", 0)
    if decay:
        g = n.held(over(lambda g, w: g + decay * w, g, w))
    if o.get("l1", 0):
        g = n.held(over(lambda g, w: g + o["l1"] * sign(w), g, w))
    return g


def sgd(n, o, step, w, g, state):
    lr = o["lr"] * o.get("lr_scale", 1)
    mu, tau = o.get("momentum", 0), o.get("dampening", 0)
    g = penalized(n, o, w, g)
    v = g
    if mu:
        if step > 1:
            v = n.held(over(lambda v, g: mu * v + (1 - tau) * g, state["momentum_buffer"], g))
        state["momentum_buffer"] = v
    direction = n.held(over(lambda g, v: g + mu * v, g, v)) if o.get("nesterov") else v
    shrink = 1 - lr * o.get("weight_decay", 0) if o.get("decoupled") else 1
    return over(lambda w, d: shrink * w - lr * d, w, direction)


def adam(n, o, step, w, g, state, decoupled=False):
    lr, beta1, beta2, eps = o["lr"] * o.get("lr_scale", 1), o["beta1"], o["beta2"], o["eps"]
    if not decoupled:
        g = penalized(n, o, w, g)
    elif o.get("l1", 0):
        g = penalized(n, {"l1": o["l1"]}, w, g)
    m = n.held(over(lambda m, g: beta1 * m + (1 - beta1) * g, state["exp_avg"], g))
    v = n.held(over(lambda v, g: beta2 * v + (1 - beta2) * g * g, state["exp_avg_sq"], magnitude(g)))
    state["exp_avg"], state["exp_avg_sq"] = m, v = m, not_negative(v)
    if o.get("amsgrad"):
        v = state["max_exp_avg_sq"] = over(lambda a, b: NAN if mp.isnan(a) or mp.isnan(b) else max(a, b),
                                           v, state["max_exp_avg_sq"])
    c1, c2 = (1, 1) if o.get("bias_correction") == 0 else (1 - beta1**step, mp.sqrt(1 - beta2**step))
    rate = lr * c2 / c1
    upper = n.held(over(lambda m: rate * m, m))
    shrink = 1 - lr * o.get("weight_decay", 0) if decoupled else 1
    return over(lambda w, u, v: shrink * w - divide(u, mp.sqrt(v) + eps * c2), w, upper, v)


def adamw(*arguments):
    return adam(*arguments, decoupled=True)


def not_negative(r):
    return r if r is None or mp.isnan(r.low) else Range(max(r.low, mp.mpf(0)), r.high)


def same_kind(a, b):
    return a is not None and b is not None and mp.isnan(a.low) == mp.isnan(b.low)


def magnitude(g):
    if g is None or mp.isnan(g.low):
        return g
    low = mp.mpf(0) if g.low * g.high < 0 else min(abs(g.low), abs(g.high))
    return Range(low, max(abs(g.low), abs(g.high)))


def rmsprop(n, o, step, w, g, state):
    lr, alpha, eps, mu = o["lr"] * o.get("lr_scale", 1), o["alpha"], o["eps"], o.get("momentum", 0)
    g = penalized(n, o, w, g)
    s = not_negative(n.held(over(lambda s, g: alpha * s + (1 - alpha) * g * g, state["square_avg"], magnitude(g))))
    state["square_avg"] = variance = s
    if o.get("centered"):
        a = state["grad_avg"] = n.held(over(lambda a, g: alpha * a + (1 - alpha) * g, state["grad_avg"], g))
        # With fma, the square is not rounded on its own, and then infinite - square is no NaN.
        square = over(lambda a: a * a, magnitude(a))
        rounded, fused = (over(lambda s, q: s - q, s, q) for q in (n.held(square), square))
        variance = not_negative(n.held(rounded if same_kind(rounded, fused) else None))
    ratio = n.held(over(lambda g, v: divide(g, mp.sqrt(v) + eps), g, variance))
    b = ratio
    if mu:
        b = state["momentum_buffer"] = n.held(over(lambda b, r: mu * b + r, state["momentum_buffer"], ratio))
    return over(lambda w, b: w - lr * b, w, b)


def adagrad(n, o, step, w, g, state):
    lr = o["lr"] * o.get("lr_scale", 1) / (1 + (step - 1) * o.get("lr_decay", 0))
    g = penalized(n, o, w, g)
    s = not_negative(n.held(over(lambda s, g: s + g * g, state["sum"], magnitude(g))))
    state["sum"] = s
    upper = n.held(over(lambda g: lr * g, g))
    return over(lambda w, u, s: w - divide(u, mp.sqrt(s) + o["eps"]), w, upper, s)


ADAM = dict(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)
RMSPROP = dict(lr=1e-2, alpha=0.99, eps=1e-8)
ADAGRAD = dict(lr=1e-2, eps=1e-10)
CASES = [(sgd, dict(lr=0.1) | o) for o in (
    {}, dict(lr=0), dict(lr=1e-30), dict(lr=1e30), dict(lr=1e20, lr_scale=2e-21), dict(momentum=0.9),
    dict(momentum=0.9, dampening=0.5), dict(momentum=0.9, nesterov=1), dict(weight_decay=0.1), dict(l1=0.1),
    dict(weight_decay=0.1, decoupled=1), dict(momentum=0.9, weight_decay=1e-20, nesterov=1))]
CASES += [(adam, ADAM | o) for o in (
    {}, dict(lr=0), dict(lr=1e-30), dict(lr=1e30), dict(amsgrad=1), dict(bias_correction=0), dict(eps=1e-30),
    dict(eps=1e30), dict(beta1=0), dict(beta2=0), dict(beta1=0.999999, beta2=0.999999), dict(weight_decay=0.1),
    dict(l1=0.1))]
CASES += [(adamw, ADAM | dict(weight_decay=1e-2) | o) for o in (
    {}, dict(weight_decay=0), dict(lr=1, weight_decay=1), dict(amsgrad=1, l1=0.1))]
CASES += [(rmsprop, RMSPROP | o) for o in (
    {}, dict(centered=1), dict(momentum=0.9), dict(centered=1, momentum=0.9, weight_decay=0.1), dict(alpha=0),
    dict(eps=1e-30), dict(eps=1e30), dict(lr=1e30), dict(l1=0.1))]
CASES += [(adagrad, ADAGRAD | o) for o in (
    {}, dict(lr_decay=0.5), dict(initial_accumulator_value=1), dict(eps=1e-30), dict(eps=1e30), dict(lr=1e30),
    dict(weight_decay=0.1), dict(l1=0.1))]


def states(rule, o):
    if rule is sgd:
        return ["momentum_buffer"] if o.get("momentum") else []
    if rule in (adam, adamw):
        return ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if o.get("amsgrad") else [])
    if rule is rmsprop:
        return (["square_avg"] + (["grad_avg"] if o.get("centered") else []) +
                (["momentum_buffer"] if o.get("momentum") else []))
    return ["sum"]


def text(x, digits):
    if mp.isnan(x):
        return "nan"
    if abs(x) == INF or abs(x) > mp.mpf(2) ** 1024:
        return "inf" if x > 0 else "-inf"
    return mp.nstr(x, digits, strip_zeros=True, min_fixed=-3, max_fixed=6).removesuffix(".0") if x else "0"


def result(n, r, digits):
    if r is None:
        return "?"
    if mp.isnan(r.low) or r.low == r.high:
        return text(r.low, digits)
    width, size = r.high - r.low, max(abs(r.low), abs(r.high))
    if size < INF and width <= 64 * n.unit * size + 16 * n.smallest:  # the usual rounding errors
        return text((r.low + r.high) / 2, digits)
    return text(r.low, digits) + ".." + text(r.high, digits)


def main():
    print("# Written by tests/edges/optimizers.py.")
    for rule, options in CASES:
        for name in TYPES:
            n = Numbers(name)
            kinds = states(rule, options)
            print(rule.__name__, name, *(f"{k}={v!r}" for k, v in options.items()), ":", *kinds)
            exact = {k: mp.mpf(v) for k, v in options.items()}
            digits = 9 if name == "float" else 17
            gradients = [mp.mpf(0), 3 * n.smallest, mp.mpf("-1e-20"), mp.mpf(1), mp.mpf("1e20"), -n.largest, INF, NAN]
            weights = [mp.mpf(0), mp.mpf(1), -n.largest]
            for w, g, again in itertools.product(weights, gradients, (True, False)):
                typed = [n.nearest(x) for x in (w, g, g if again else mp.mpf(0))]
                state = {k: Range(exact.get("initial_accumulator_value", mp.mpf(0))) for k in kinds}
                now, after = Range(typed[0]), []
                for step, gradient in enumerate(typed[1:], 1):
                    now = n.held(rule(n, exact, step, now, Range(gradient), state))
                    after.append(now)
                inputs = (text(x, digits) for x in typed)
                print(*inputs, ":", *(result(n, r, digits) for r in after + [state[k] for k in kinds]))


main()
