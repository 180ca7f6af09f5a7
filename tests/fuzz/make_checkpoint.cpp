// SPDX-License-Identifier: MIT
// Writes corpus/checkpoint/small:  make_checkpoint PATH
#include "gradus/training/checkpoint.hpp"

int main(int, char** arguments) {
    gradus::training::State state;
    gradus::training::StateWriter writer(state);
    auto position = writer.in("position");
    for (const char* name : {"epoch", "batch", "step"}) position.put(name, gradus::Index{3});
    writer.put("weight", gradus::ones<float>({2}));
    writer.put("kind", "sgd");
    gradus::training::write_checkpoint(arguments[1], state);
}
