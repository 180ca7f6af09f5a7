# SPDX-License-Identifier: MIT
# Prints numbers of tests/training/{classification,multilabel,ranking,regression,calibration,mean}.cpp: scikit-learn's
# definitions (and Guo's of the calibration error), written out with numpy and loops over pairs and thresholds, on the
# examples of tests/support/metrics.hpp.
import numpy as np

N, C = 60, 5
i, c = np.arange(N)[:, None], np.arange(C)[None, :]
scores = ((i * i * 31 + c * c * 17 + i * c * 7 + i * 13) % 29) / 32  # with ties
labels = (np.arange(N) ** 2 + 2 * np.arange(N)) % 7 % 4              # class 4 does not occur
targets = ((i * (c + 3) // 2 + c) % 7 < 1 + c % 3).astype(int)
predictions = scores.argmax(1)


def show(name, values):
    print(f"{name}: " + ", ".join(f"{v:.15g}" for v in np.ravel(values)))


def per_class(label, predicted, classes):
    rows = []
    for k in classes:
        tp = sum((label == k) & (predicted == k))
        p = tp / sum(predicted == k) if any(predicted == k) else 0
        r = tp / sum(label == k) if any(label == k) else 0
        rows.append((p, r, 2 * p * r / (p + r) if p + r > 0 else 0, sum(label == k)))
    return np.array(rows, float)


show("accuracy", np.mean(predictions == labels))
top2 = [list(np.argsort(-s, kind="stable")[:2]) for s in scores]  # the first of equals first
show("top 2", np.mean([l in t for l, t in zip(labels, top2)]))
confusion = np.zeros((C, C), int)
for l, p in zip(labels, predictions):
    confusion[l, p] += 1
show("confusion", confusion)
rows = per_class(labels, predictions, range(C))
present = [k for k in range(C) if any(labels == k) or any(predictions == k)]
show("macro precision, recall, f1", rows[present, :3].mean(0))
show("weighted precision, recall, f1", np.average(rows[:, :3], axis=0, weights=rows[:, 3]))
show("balanced accuracy", np.mean([rows[k, 1] for k in range(C) if any(labels == k)]))


def auc(score, positive):
    wins = [1 if p > n else 0.5 if p == n else 0 for p in score[positive] for n in score[~positive]]
    return np.mean(wins)


def average_precision(score, positive):
    total, before = 0, 0
    for t in sorted(set(score), reverse=True):
        chosen = score >= t
        recall = sum(chosen & positive) / sum(positive)
        total += (recall - before) * sum(chosen & positive) / sum(chosen)
        before = recall
    return total


for name, f in (("roc_auc", auc), ("average_precision", average_precision)):
    each = np.array([f(scores[:, k], labels == k) for k in range(4)])
    show(f"{name} of classes 0 to 3", each)
    show(f"{name} weighted", np.average(each, weights=[sum(labels == k) for k in range(4)]))
    show(f"{name} of labels, macro", np.mean([f(scores[:, k], targets[:, k] == 1) for k in range(C)]))

multi = [per_class(targets[:, k], (scores[:, k] > 0.4).astype(int), [1])[0] for k in range(C)]
show("multilabel macro precision, recall, f1", np.mean(multi, axis=0)[:3])
show("multilabel weighted precision, recall, f1",
     np.average(np.array(multi)[:, :3], axis=0, weights=np.array(multi)[:, 3]))
show("multilabel micro precision, recall, f1", per_class(targets.ravel(), (scores > 0.4).astype(int).ravel(), [1])[0, :3])

y = 1e6 + targets[:, :2] + i * np.array([[0.25, -0.5]])
p = y + scores[:, :2] - 0.5
mse = ((p - y) ** 2).mean(0)
show("mse, rmse, mae, r2, max error", [mse.mean(), np.sqrt(mse).mean(), np.abs(p - y).mean(),
                                       np.mean(1 - ((p - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)),
                                       np.abs(p - y).max()])

probabilities = (scores + 1 / 64) / (scores + 1 / 64).sum(1, keepdims=True)
confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
edges = np.linspace(0, 1, 11)
error = 0
for low, high in zip(edges, edges[1:]):
    inside = (confidence > low) & (confidence <= high)
    if inside.any():
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
show("calibration error, 10 bins", error)
losses = scores[:, 0]
show("mean, standard error", [losses.mean(), losses.std(ddof=1) / np.sqrt(N)])
