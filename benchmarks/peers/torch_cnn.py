# SPDX-License-Identifier: MIT
# The training step of the MNIST CNN in PyTorch's Python, for it reaches better times than libtorch_steps does:
#   OPENBLAS_CORETYPE=SkylakeX /usr/bin/python3 benchmarks/peers/torch_cnn.py THREADS [channels_last]
# Prints the fastest of 60 steps in ms.
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
layout = torch.channels_last if "channels_last" in sys.argv else torch.contiguous_format


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 32, 5), torch.nn.Conv2d(32, 64, 5)
        self.fc1, self.fc2 = torch.nn.Linear(256, 200), torch.nn.Linear(200, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 3))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc2(F.relu(self.fc1(x.reshape(-1, 256))))


net = Net().to(memory_format=layout)
images = torch.randn(100, 1, 28, 28).to(memory_format=layout)
labels = torch.randint(0, 10, (100,))
sgd = torch.optim.SGD(net.parameters(), lr=0.1)
fastest = float("inf")
for _ in range(60):
    start = time.perf_counter()
    sgd.zero_grad()
    F.cross_entropy(net(images), labels).backward()
    sgd.step()
    fastest = min(fastest, time.perf_counter() - start)
print(f"{fastest * 1e3:.2f}")
