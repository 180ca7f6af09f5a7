// SPDX-License-Identifier: MIT
// A program that loads plugins, each with a gradus of its own: tensors, gradients and errors pass between
// them.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "gradus/gradus.hpp"

namespace {

template <class Function>
Function* find(void* plugin, const char* name) {
    return reinterpret_cast<Function*>(::dlsym(plugin, name));
}

bool works(void* plugin) {
    const gradus::Tensor<> x = gradus::arange(100000);  // enough for several threads
    gradus::Tensor<> gradient;
    find<void(const gradus::Tensor<>&, gradus::Tensor<>&)>(plugin, "gradient_of_squares")(x, gradient);
    if (gradient != x * 2.0f) return false;
    try {
        find<void(const gradus::Tensor<>&)>(plugin, "refuse_to_multiply")(gradus::zeros({2, 3}));
    } catch (const gradus::ShapeError& error) {
        return std::strstr(error.what(), "[2, 3] and [5, 5]") != nullptr;
    }
    return false;
}

}  // namespace

int main(int count, char** paths) {
    for (int round = 0; round < 2; ++round) {
        void* plugins[2] = {};
        for (int i = 1; i < count; ++i) {
            plugins[i - 1] = ::dlopen(paths[i], RTLD_NOW | RTLD_LOCAL);
            if (!plugins[i - 1]) return std::puts(::dlerror()), 1;
        }
        for (void* plugin : plugins)
            if (!works(plugin)) return std::puts("a plugin does not give what it should"), 1;
        for (void* plugin : plugins) ::dlclose(plugin);
    }
    return 0;
}
