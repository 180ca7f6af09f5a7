// SPDX-License-Identifier: MIT
// After the first steps training takes no memory from the system: what one step gives back, the next takes.

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "../../examples/support/resnet.hpp"
#include "gradus/gradus.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRADUS_TEST_COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRADUS_TEST_COUNTS 0
#endif
#endif
#ifndef GRADUS_TEST_COUNTS
#define GRADUS_TEST_COUNTS 1  // sanitizers bring an allocator of their own, and the cache is off
#endif

namespace {

std::atomic<int> allocations{0};

}  // namespace

#if GRADUS_TEST_COUNTS
// These serve the whole test program; all other forms of new and delete end here.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    const auto a = static_cast<std::size_t>(alignment);
    if (void* const memory = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
#endif

using namespace gradus;

namespace {

struct Mlp {
    nn::Linear<> fc1{64, 350}, fc2{350, 150}, fc3{150, 10};
    Variable<> operator()(Variable<> x) const { return fc3(relu(fc2(relu(fc1(flatten(x)))))); }
};

struct Cnn {
    nn::Conv2d<> conv1{1, 16, {.kernel_size = 5}}, conv2{16, 32, {.kernel_size = 5}};
    nn::Linear<> fc1{128, 100}, fc2{100, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(max_pool2d(conv1(x), {.kernel_size = 2}));
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));
        return fc2(relu(fc1(flatten(x))));
    }
};

struct SmallResNet {
    nn::Conv2d<> conv1{1, 16, {.kernel_size = 3, .padding = 1, .bias = false}};
    nn::BatchNorm2d<> bn1{16};
    BasicBlock<> block1{16, 16}, block2{16, 32, 2};
    nn::Linear<> fc{32, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(bn1(conv1(x)));
        return fc(global_avg_pool2d(block2(block1(x))));
    }
};

/// How many steps it takes until ten in a row allocate nothing; 200 if that never happens.
template <class Net, class Optimizer, class Options>
int steps_before_rest(const Shape& input, const Options& options) {
    const Net net;
    Optimizer optimizer(nn::parameters(net), options);
    const Tensor<> x = randn(input);
    const Tensor<Index> labels = zeros<Index>({input[0]});
    int last = 0;
    for (int step = 1; step < 200 && step <= last + 10; ++step) {
        const int before = allocations;
        const Variable<> loss = cross_entropy(net(x), labels);
        optimizer.zero_grad();
        loss.backward();
        optim::clip_grad_norm(optimizer.parameters(), 0.1);
        optimizer.step();
        if (allocations > before) last = step;
    }
    return last;
}

template <class Net>
void check_no_allocations(const Shape& input) {
    // On one thread: with more it is open which of them meets which sizes when.
    const Threads one_thread(1);
    const optim::SGDOptions sgd{.lr = 0.01, .momentum = 0.9};
    CHECK(steps_before_rest<Net, optim::SGD<>>(input, sgd) <= 3);
    CHECK(steps_before_rest<Net, optim::Adam<>>(input, optim::AdamOptions{.lr = 1e-3}) <= 3);
}

}  // namespace

TEST_CASE("allocations: the counter counts", "[training]") {
    if (!GRADUS_TEST_COUNTS) return;
    const int before = allocations;
    ::operator delete(::operator new(5));
    detail::BlockCache::deallocate(detail::BlockCache::allocate(1 << 29),
                                   1 << 29);  // larger than what is recycled
    CHECK(allocations - before == 2);
}

TEST_CASE("allocations: none in a step of a multilayer perceptron", "[training]") {
    if (!GRADUS_TEST_COUNTS) return;
    check_no_allocations<Mlp>({100, 1, 8, 8});
}

TEST_CASE("allocations: none in a step of a convolutional network", "[training]") {
    if (!GRADUS_TEST_COUNTS) return;
    check_no_allocations<Cnn>({20, 1, 20, 20});
}

TEST_CASE("allocations: none in a step of a residual network", "[training]") {
    if (!GRADUS_TEST_COUNTS) return;
    check_no_allocations<SmallResNet>({8, 1, 16, 16});
}
