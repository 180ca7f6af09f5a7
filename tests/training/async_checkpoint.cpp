// SPDX-License-Identifier: MIT
#include "gradus/training/async_checkpoint.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "data/files.hpp"
#include "gradus/gradus.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::AsyncCheckpoint;

namespace {

struct Net {
    nn::Linear<> fc{64, 64};
};

void step(Net& net, optim::Adam<>& adam, Index number) {
    adam.zero_grad();
    Generator generator(static_cast<std::uint64_t>(number));
    mean(square(net.fc(Variable<>(randn({8, 64}, generator))))).backward();
    adam.step();
}

}  // namespace

TEST_CASE("async checkpoint: what is saved is what there was at the call, at every step") {
    const TemporaryFolder folder;
    Net net;
    optim::Adam adam(nn::named_parameters(net));
    AsyncCheckpoint checkpoint;
    constexpr Index steps = 40;
    for (Index i = 0; i < steps; ++i) {
        checkpoint.save(folder / ("async-" + std::to_string(i)), {0, i, i}, net, adam);
        training::save_checkpoint(folder / ("sync-" + std::to_string(i)), {0, i, i}, net, adam);
        checkpoint.save(folder / "last", {0, i, i}, net, adam);
        step(net, adam, i);
    }
    checkpoint.wait();
    CHECK(!checkpoint.failed());
    for (Index i = 0; i < steps; ++i)
        REQUIRE(content(folder / ("async-" + std::to_string(i))) ==
                content(folder / ("sync-" + std::to_string(i))));
    CHECK(content(folder / "last") == content(folder / ("sync-" + std::to_string(steps - 1))));
}

TEST_CASE("async checkpoint: the call neither copies nor writes") {
    const TemporaryFolder folder;
    Net net;
    optim::Adam adam(nn::named_parameters(net));
    step(net, adam, 0);
    AsyncCheckpoint checkpoint;
    const float* const weights = net.fc.weight.value().data();
    checkpoint.save(folder / "a", {}, net, adam);
    CHECK(net.fc.weight.value().data() == weights);
    checkpoint.wait();
    step(net, adam, 1);
    CHECK(net.fc.weight.value().data() == weights);  // nobody shares it any more
}

TEST_CASE("async checkpoint: the destructor waits") {
    const TemporaryFolder folder;
    Net net, other;
    {
        AsyncCheckpoint checkpoint;
        for (int i = 0; i < 5; ++i) checkpoint.save(folder / "a", {0, 0, i}, net);
    }
    CHECK(training::load_checkpoint(folder / "a", other).step == 4);
    CHECK(same_bits(net.fc.weight.value(), other.fc.weight.value()));
}

TEST_CASE("async checkpoint: a failure is told once, stays known, and leaves the old file") {
    const TemporaryFolder folder;
    const std::string path = folder / "last";
    Net net, other;
    AsyncCheckpoint checkpoint;
    checkpoint.save(path, {0, 0, 1}, net);
    checkpoint.wait();
    CHECK(!checkpoint.failed());

    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit small = before;
    small.rlim_cur = 4096;
    ::setrlimit(RLIMIT_FSIZE, &small);
    checkpoint.save(path, {0, 0, 2}, net);
    const std::string text = "save_checkpoint: " + path + ": cannot write: File too large";
    CHECK_THROWS_MATCHES(checkpoint.wait(), IoError, Message(text));
    CHECK(checkpoint.failed());
    checkpoint.wait();  // told already
    CHECK(checkpoint.failed());
    checkpoint.save(path, {0, 0, 3}, net);
    for (int waited = 0; waited < 2000; ++waited) {  // the next call tells it
        try {
            checkpoint.save(path, {0, 0, 4}, net);
        } catch (const IoError& e) {
            CHECK(e.what() == text);
            break;
        }
        ::usleep(1000);
        REQUIRE(waited < 1999);
    }
    try {
        checkpoint.wait();
    } catch (const IoError&) {
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);

    CHECK(training::load_checkpoint(path, other).step == 1);
    CHECK(checkpoint.failed());
    checkpoint.save(path, {0, 0, 5}, net);
    checkpoint.wait();
    CHECK(training::load_checkpoint(path, other).step == 5);
    CHECK(checkpoint.failed());  // the exit code of the program
}

TEST_CASE("async checkpoint: parts of one name are refused by the call itself") {
    const TemporaryFolder folder;
    Net net;
    AsyncCheckpoint checkpoint;
    CHECK_THROWS_WITH(checkpoint.save(folder / "a", {}, net, net),
                      ContainsSubstring("save_checkpoint: " + (folder / "a") +
                                        ": model.fc.weight: there is one of this name already"));
    checkpoint.wait();
    CHECK(!checkpoint.failed());
}
