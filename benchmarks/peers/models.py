# SPDX-License-Identifier: MIT
"""The training steps of the MLP and the CNN in JAX or TensorFlow, for the sweep:  models.py jax|tensorflow

Answers the requests of support/serve.hpp. Both libraries take their number of threads from the processors that they find
when they start, so a step on another number is refused. JAX and TensorFlow (by XLA, or by its own graph, whichever is
faster) compile the whole step.
"""

import math
import os
import statistics
import sys
import time

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
BATCH = dict(mlp=256, cnn=100)
RATE = dict(mlp=0.2, cnn=0.1)
GAIN = dict(mlp=2.449490, cnn=1.0)
IMAGE = dict(mlp=(784,), cnn=(1, 28, 28))
WEIGHTS = dict(mlp=[(b, a) for a, b in zip([784, 350, 250, 150, 50], [350, 250, 150, 50, 10])],
               cnn=[(32, 1, 5, 5), (64, 32, 5, 5), (200, 256), (10, 200)])
CHECKED_STEP = 10


def numbers(stream, count):
    """workload::number(stream, i) for i < count: in [-1, 1)."""
    h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(stream * 0x9E3779B9 & 0xFFFFFFFF)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)


def parameters(model):
    """Weights [out, in, ...] and biases in turns, as workload::fill_parameter has them."""
    for index, shape in enumerate(WEIGHTS[model]):
        scale = np.float32(GAIN[model]) / np.sqrt(np.float32(math.prod(shape[1:])))
        yield numbers(100 + 2 * index, math.prod(shape)).reshape(shape) * scale
        yield numbers(101 + 2 * index, shape[0]) * np.float32(0.01)


def channels_last(array):
    """Weights [out, in, height, width] as [height, width, in, out], others as [in, out]."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T if array.ndim == 2 else array


def start(model):
    """Parameters, images and labels, as both libraries like them: channels last."""
    weights = [channels_last(array) for array in parameters(model)]
    if model == "cnn":  # the rows of fc1 count channels, rows, columns there, and rows, columns, channels here
        weights[4] = weights[4].reshape(64, 2, 2, 200).transpose(1, 2, 0, 3).reshape(256, 200)
    images = numbers(1, BATCH[model] * math.prod(IMAGE[model])).reshape(BATCH[model], *IMAGE[model])
    labels = ((numbers(2, BATCH[model]) + 1) * 5).astype(np.int32)
    return weights, images.reshape(-1, 28, 28, 1) if model == "cnn" else images, labels


def jax_steps(model):
    import jax
    import jax.numpy as jnp
    from jax import lax

    def convolution(x, weight):
        return lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def pool(x, k):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, k, k, 1), (1, k, k, 1), "VALID")

    def outputs(p, x):
        if model == "cnn":
            x = jax.nn.relu(pool(convolution(x, p[0]) + p[1], 3))
            x = jax.nn.relu(pool(convolution(x, p[2]) + p[3], 2)).reshape(len(x), -1)
            p = p[4:]
        for weight, bias in zip(p[:-2:2], p[1:-2:2]):
            x = jax.nn.relu(x @ weight + bias)
        return x @ p[-2] + p[-1]

    weights, images, labels = jax.tree.map(jnp.asarray, start(model))

    def loss(p):
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs(p, images)), labels[:, None], axis=1).mean()

    @jax.jit
    def update(p):
        value, gradients = jax.value_and_grad(loss)(p)
        return value, jax.tree.map(lambda a, g: a - RATE[model] * g, p, gradients)

    state = [weights]

    def step():
        value, state[0] = update(state[0])
        jax.block_until_ready(state[0])
        return float(value)

    return [step]


def tensorflow_steps(model):
    import tensorflow as tf

    def outputs(p, x):
        if model == "cnn":
            x = tf.nn.relu(tf.nn.max_pool2d(tf.nn.bias_add(tf.nn.conv2d(x, p[0], 1, "VALID"), p[1]), 3, 3, "VALID"))
            x = tf.nn.relu(tf.nn.max_pool2d(tf.nn.bias_add(tf.nn.conv2d(x, p[2], 1, "VALID"), p[3]), 2, 2, "VALID"))
            x, p = tf.reshape(x, (BATCH[model], -1)), p[4:]
        for weight, bias in zip(p[:-2:2], p[1:-2:2]):
            x = tf.nn.relu(tf.nn.bias_add(x @ weight, bias))
        return tf.nn.bias_add(x @ p[-2], p[-1])

    def of(compiled):
        weights, images, labels = start(model)
        state, images, labels = [tf.Variable(w) for w in weights], tf.constant(images), tf.constant(labels)

        @tf.function(jit_compile=compiled)
        def update():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs(state, images)))
            for weight, gradient in zip(state, tape.gradient(loss, state)):
                weight.assign_sub(RATE[model] * gradient)
            return loss

        return lambda: float(update().numpy())

    return [of(False), of(True)]


def sketch(value):
    """serve::sketch of one number."""
    signs = int((numbers(23, 1)[0] + 1) * 128)
    return [abs(value)] + [value if signs >> k & 1 else -value for k in range(8)]


def median_and_fastest(step, seconds):
    step()  # compiles it, the first time
    samples, begin = [], time.perf_counter()
    while time.perf_counter() - begin < seconds or len(samples) < 3:
        before = time.perf_counter()
        step()
        samples.append((time.perf_counter() - before) * 1e6)
    return statistics.median(samples), min(samples)


def answer(words, makers, steps):
    request, *words = words
    family, model = words[-2:]
    if family != "model" or model not in WEIGHTS:
        raise ValueError(f"unknown: {family} {model}")
    if request == "check":
        losses = [[step() for _ in range(CHECKED_STEP + 1)] for step in makers(model)]
        if not np.allclose(losses[0], losses[-1], rtol=1e-4):
            raise ValueError("its ways to compile the step do not compute the same")
        return sketch(losses[0][0]) + sketch(losses[0][-1])
    mode, threads, seconds = words[0], int(words[1]), float(words[2])
    if request != "time" or mode != "step" or threads != len(os.sched_getaffinity(0)):
        raise ValueError(f"only steps on all processors, not {mode} on {threads}")
    if model not in steps:
        steps[model] = makers(model)
    return min(median_and_fastest(step, seconds) for step in steps[model])


def main():
    makers = dict(jax=jax_steps, tensorflow=tensorflow_steps)[sys.argv[1]]
    module = __import__(sys.argv[1])
    print(f"{dict(jax='JAX', tensorflow='TensorFlow')[sys.argv[1]]} {module.__version__}", flush=True)
    steps = {}
    for line in sys.stdin:
        try:
            print("ok", *(repr(float(number)) for number in answer(line.split(), makers, steps)), flush=True)
        except Exception as error:  # the asker is told, and goes on with what is left
            print("error", str(error).partition("\n")[0], flush=True)


main()
