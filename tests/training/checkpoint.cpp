// SPDX-License-Identifier: MIT
#include "gradus/training/checkpoint.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "data/files.hpp"
#include "gradus/gradus.hpp"
#include "gradus/io/load.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using training::Position;

namespace {

struct Net {
    nn::Linear<> fc1{6, 8};
    nn::BatchNorm1d<> norm{8};
    nn::Dropout dropout{.p = 0.3};
    nn::Linear<> fc2{8, 3};

    auto operator()(const Variable<>& x) const { return fc2(dropout(relu(norm(fc1(x))))); }
};

/// A run with all that can have state, in the hands of a loop.
template <class Optimizer>
struct Run {
    static constexpr Index epochs = 3, batches = 5, steps = epochs * batches;

    Net net;
    Optimizer optimizer = Optimizer(nn::named_parameters(net));
    Ema<Net> ema{net, {.decay = 0.9, .bias_correction = true}};
    EarlyStopping stopping{{.patience = 2}};
    optim::ReduceOnPlateau plateau{{.lr = 0.1, .patience = 1}};
    std::vector<EpochRecord> history;
    double loss_sum = 0;
    Position at;

    /// So many batches, saved as whole program states would be.
    void train(Index count) {
        const data::Dataset points{randn({23, 6}, *data_generator()), labels()};
        const data::Loader loader(points, {.batch_size = 5, .shuffle = true, .seed = 3});
        const auto lr = optim::schedule::one_cycle({.max_lr = 0.1, .total_steps = steps});
        for (; count > 0 && at.epoch < epochs; --count) {
            const auto batch = loader.epoch(at.epoch)[at.batch];
            optimizer.zero_grad();
            auto loss = cross_entropy(net(batch.inputs), batch.labels);
            loss.backward();
            optim::schedule::apply(optimizer, lr, at.step);
            optimizer.step();
            ema.update(net);
            loss_sum += static_cast<double>(loss.item());
            ++at.step;
            if (++at.batch < loader.size()) continue;
            history.push_back({.train_loss = loss_sum});
            stopping(loss_sum);
            plateau(loss_sum);
            loss_sum = 0;
            at = {at.epoch + 1, 0, at.step};
        }
    }

    void save(const std::string& path) const {
        training::save_checkpoint(path, at, net, optimizer, ema, stopping, plateau, history,
                                  training::part("loss_sum", loss_sum));
    }
    void load(const std::string& path) {
        at = training::load_checkpoint(path, net, optimizer, ema, stopping, plateau, history,
                                       training::part("loss_sum", loss_sum));
    }

    training::State state() const {
        return training::detail::snapshot(at, net, optimizer, ema, stopping, plateau, history,
                                          training::part("loss_sum", loss_sum));
    }

    static std::unique_ptr<Generator> data_generator() { return std::make_unique<Generator>(5); }
    static Tensor<Index> labels() {
        std::vector<Index> all(23);
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Index>(i % 3);
        return Tensor<Index>(all);
    }
};

bool same(const training::State& a, const training::State& b) {
    if (a.size() != b.size()) return false;
    for (auto at = a.begin(), other = b.begin(); at != a.end(); ++at, ++other)
        if (at->first != other->first || at->second.dtype() != other->second.dtype() ||
            at->second.shape() != other->second.shape() ||
            !std::equal(at->second.bytes().begin(), at->second.bytes().end(), other->second.bytes().begin(),
                        other->second.bytes().end()))
            return false;
    return true;
}

struct Sgd : optim::SGD<> {
    explicit Sgd(std::vector<NamedParameter<float>> parameters)
        : optim::SGD<>(std::move(parameters), {.momentum = 0.9, .nesterov = true}) {}
};
struct TwoGroups : optim::AdamW<> {
    explicit TwoGroups(std::vector<NamedParameter<float>> parameters)
        : optim::AdamW<>(std::move(parameters), {.amsgrad = true}) {
        configure("*.bias", [](auto& options) { options.weight_decay = 0; });
    }
};
struct Any : optim::AnyOptimizer<> {
    explicit Any(std::vector<NamedParameter<float>> parameters)
        : optim::AnyOptimizer<>(optim::RMSProp(std::move(parameters), {.momentum = 0.5})) {}
};

/// A part of the program's own.
struct Picky {
    static constexpr const char* state_name = "picky";
    double value = 0;
    bool refuses = false;
    void save(training::StateWriter& state) const { state.put("value", value); }
    void load(const training::StateReader& state) {
        const double loaded = state.get<double>("value");
        if (refuses && loaded == 1) state.refuse("value", "must not be 1");
        value = loaded;
    }
};

}  // namespace

TEMPLATE_TEST_CASE("checkpoint: a resumed run is one that never stopped, at every batch", "", Sgd,
                   optim::Adam<>, TwoGroups, Any) {
    const TemporaryFolder folder;
    const std::string path = folder / "last.safetensors";
    manual_seed(1);
    Run<TestType> whole;
    whole.train(1000);
    const training::State expected = whole.state();
    REQUIRE(whole.at == Position{3, 0, 15});

    for (Index stop = 0; stop <= 15; ++stop) {
        manual_seed(1);
        {
            Run<TestType> first;
            first.train(stop);
            first.save(path);
        }
        manual_seed(1000);
        const Threads threads(stop % 2 == 0 ? 1 : 2);
        Run<TestType> second;  // other weights
        second.load(path);
        CHECK(second.at.step == stop);
        second.train(1000);
        CHECK(same(second.state(), expected));
    }
}

TEST_CASE("checkpoint: three resumes within one epoch") {
    const TemporaryFolder folder;
    const std::string path = folder / "last.safetensors";
    manual_seed(1);
    Run<optim::Adam<>> whole;
    whole.train(1000);
    manual_seed(1);
    {
        Run<optim::Adam<>> run;
        run.train(6);
        run.save(path);
    }
    for (int resume = 0; resume < 3; ++resume) {
        manual_seed(1000);
        Run<optim::Adam<>> run;
        run.load(path);
        run.train(1);
        run.save(path);
    }
    Run<optim::Adam<>> last;
    last.load(path);
    CHECK(last.at == Position{1, 4, 9});
    last.train(1000);
    CHECK(same(last.state(), whole.state()));
}

TEST_CASE("checkpoint: saving and loading again gives the same bytes") {
    const TemporaryFolder folder;
    manual_seed(1);
    Run<TwoGroups> run, other;
    run.train(7);
    run.save(folder / "a");
    other.load(folder / "a");
    other.save(folder / "b");
    CHECK(content(folder / "a") == content(folder / "b"));
}

TEST_CASE("checkpoint: every flipped byte and every cut is noticed, and changes nothing") {
    const TemporaryFolder folder;
    const std::string path = folder / "last.safetensors", damaged = folder / "damaged.safetensors";
    struct Small {
        nn::Linear<> fc{2, 2};
    } net;
    optim::SGD sgd(nn::parameters(net));
    training::save_checkpoint(path, {1, 2, 3}, net, sgd);
    const std::string bytes = content(path);
    const training::State before = training::detail::snapshot({}, net, sgd);
    const auto refused = [&](const std::string& given) {
        folder.write("damaged.safetensors", given);
        try {
            training::load_checkpoint(damaged, net, sgd);
        } catch (const IoError& e) {
            return std::string_view(e.what()).starts_with("load_checkpoint: " + damaged + ": ");
        }
        return false;
    };
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (const int flip : {1, 32, 128, 255}) {
            std::string given = bytes;
            given[i] = static_cast<char>(given[i] ^ flip);
            INFO("byte " << i << " ^ " << flip);
            REQUIRE(refused(given));
        }
    for (std::size_t size = 0; size < bytes.size(); ++size) REQUIRE(refused(bytes.substr(0, size)));
    REQUIRE(refused(bytes + '\0'));
    CHECK(same(training::detail::snapshot({}, net, sgd), before));
    CHECK(training::load_checkpoint(path, net, sgd) == Position{1, 2, 3});

    std::string flipped = bytes;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    folder.write("damaged.safetensors", flipped);
    CHECK_THROWS_WITH(training::load_checkpoint(damaged, net, sgd),
                      ContainsSubstring("was damaged: its checksum must be ") &&
                          ContainsSubstring("; take the checkpoint before it"));
}

TEST_CASE("checkpoint: what is of something else is refused, and nothing is changed") {
    const TemporaryFolder folder;
    const std::string path = folder / "c.safetensors", where = "load_checkpoint: " + path + ": ";
    struct Net2 {
        nn::Linear<> fc{2, 2};
        EarlyStopping other{};
        auto fields() { return std::tuple(field("fc", fc)); }
    } net;
    optim::SGD sgd(nn::named_parameters(net), {.momentum = 0.9});
    sum(net.fc(Variable<>(ones({1, 2})))).backward();
    sgd.step();
    training::save_checkpoint(path, {1, 2, 3}, net, sgd);
    const auto state = [&] {
        manual_seed(0);  // the models below draw from it
        return training::detail::snapshot({}, net, sgd);
    };
    const training::State before = state();

    struct Wide {
        nn::Linear<> fc{2, 3};
        nn::Linear<> head{3, 1};
    } wide;
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, wide, sgd), ValueError,
        Message(where +
                "model: is of another model: only in the program: head.weight [1, 3], head.bias [1]: of "
                "another shape or type: fc.weight F32 [2, 2] and not F32 [3, 2], fc.bias F32 [2] and "
                "not F32 [3]"));
    struct Other {
        nn::Linear<> first{2, 2};
    } other;
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, other, sgd), ValueError,
        Message(where + "model: is of another model: only in the program: first.weight [2, 2], "
                        "first.bias [2]: only in the file: fc.bias, fc.weight"));
    struct Exact {
        nn::Linear<double> fc{2, 2};
    } exact;
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, exact, sgd), ValueError,
        Message(where + "model: is of another model: of another shape or type: fc.weight F32 "
                        "[2, 2] and not F64 [2, 2], fc.bias F32 [2] and not F64 [2]"));
    optim::Adam adam(nn::named_parameters(net));
    CHECK_THROWS_MATCHES(training::load_checkpoint(path, net, adam), ValueError,
                         Message(where + "optimizer.kind: must be adam: got sgd"));
    struct Longer {
        nn::Linear<> fc{2, 2};
        nn::Linear<> more{2, 2};
    } longer;
    optim::SGD longer_sgd(nn::named_parameters(longer), {.momentum = 0.9});
    CHECK_THROWS_MATCHES(training::load_checkpoint(path, net, longer_sgd), ValueError,
                         Message(where + "optimizer: is of 2 parameters: got one of 4 in the program"));
    optim::SGD no_names(nn::parameters(net), {.momentum = 0.9});
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, net, no_names), ValueError,
        Message(where + "optimizer.state: is of parameters that the optimizer does not have: "
                        "fc.bias:momentum_buffer, fc.weight:momentum_buffer"));
    optim::SGD two(nn::named_parameters(net), {.momentum = 0.9});
    two.configure("fc.bias", [](auto& options) { options.lr = 1; });
    CHECK_THROWS_MATCHES(training::load_checkpoint(path, net, two), ValueError,
                         Message(where + "optimizer.groups: must be 2: got 1"));
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, net), ValueError,
        Message(where + "holds parts that are not loaded here: optimizer: pass them, too, to go "
                        "on as if it had never stopped; training::load_parts takes some of a "
                        "file"));
    EarlyStopping stopping;
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(path, net, sgd, stopping), ValueError,
        Message(where + "early_stopping.best: is not there, nor is anything else of early_stopping: "
                        "the file was saved without this part"));
    CHECK_THROWS_MATCHES(
        io::load(path, net), IoError,
        Message("load: " + path +
                ": is a checkpoint of a training: training::load_parts(path, model) takes the "
                "model from it"));
    CHECK(same(state(), before));
    CHECK(io::load(path, net, {.partial = true, .rename = {{"model.", ""}}}).loaded.size() > 0);
    CHECK_THROWS_MATCHES(training::load_checkpoint(folder / "none", net, sgd), IoError,
                         Message("load_checkpoint: " + (folder / "none") +
                                 ": cannot be opened: No such file or directory; check the path"));

    const std::string foreign = folder / "foreign.safetensors";
    io::write_safetensors(foreign, std::vector<io::NamedTensor>{{"fc.weight", ones({2, 2})}},
                          {{"format", "pt"}});
    CHECK_THROWS_MATCHES(
        training::load_checkpoint(foreign, net, sgd), IoError,
        Message("load_checkpoint: " + foreign +
                ": is a safetensors file, but no checkpoint: io::load reads the weights of a "
                "model"));
    std::string newer = content(path);
    newer[newer.find("gradus.checkpoint\":\"1") + 20] = '2';
    folder.write("newer.safetensors", newer);
    CHECK_THROWS_MATCHES(training::load_checkpoint(folder / "newer.safetensors", net, sgd), IoError,
                         Message("load_checkpoint: " + (folder / "newer.safetensors") +
                                 ": is a checkpoint of version 2, and this reads 1: use the gradus that "
                                 "wrote it, or a newer one"));
    CHECK(same(state(), before));
    CHECK_THROWS_MATCHES(
        training::save_checkpoint(folder / "d", {}, net, net), ValueError,
        Message("save_checkpoint: " + (folder / "d") +
                ": model.fc.weight: there is one of this name already; training::part(\"teacher\", "
                "x) names a second part of one kind"));
    CHECK_THROWS_WITH(content(folder / "d"), ContainsSubstring("cannot read"));
}

TEST_CASE("checkpoint: a part of the user that refuses undoes all of the load") {
    const TemporaryFolder folder;
    const std::string path = folder / "c.safetensors";
    Run<optim::Adam<>> first, second;
    Picky picky{1};
    first.train(4);
    training::save_checkpoint(path, first.at, first.net, first.optimizer, first.ema, picky);
    second.train(2);
    picky = {.value = 2, .refuses = true};
    const training::State before = second.state();
    CHECK_THROWS_MATCHES(training::load_checkpoint(path, second.net, second.optimizer, second.ema, picky),
                         ValueError, Message("load_checkpoint: " + path + ": picky.value: must not be 1"));
    CHECK(same(second.state(), before));
    CHECK(picky.value == 2);
    picky.refuses = false;
    training::load_checkpoint(path, second.net, second.optimizer, second.ema, picky);
    CHECK(picky.value == 1);
}

TEST_CASE("checkpoint: some parts of a file; the rest and the generator stay") {
    const TemporaryFolder folder;
    const std::string path = folder / "c.safetensors";
    Run<optim::Adam<>> run;
    run.train(4);
    run.save(path);
    Net net;
    manual_seed(77);
    CHECK(training::load_parts(path, training::part("ema.model", net)) == Position{0, 4, 4});
    CHECK(same_bits(net.fc1.weight.value(), run.ema.model().fc1.weight.value()));
    CHECK(default_generator().seed() == 77);
    training::load_parts(path, net);
    CHECK(same_bits(net.fc1.weight.value(), run.net.fc1.weight.value()));
    CHECK(training::load_checkpoint(path, run.net, run.optimizer, run.ema, run.stopping, run.plateau,
                                    run.history,
                                    training::part("loss_sum", run.loss_sum)) == Position{0, 4, 4});
    CHECK(default_generator().seed() != 77);
}

TEST_CASE("checkpoint: frozen parameters stay frozen, and what was unfrozen is") {
    const TemporaryFolder folder;
    const std::string path = folder / "c.safetensors";
    Net net, other;
    net.fc1.weight.set_requires_grad(false);
    other.fc2.weight.set_requires_grad(false);
    training::save_checkpoint(path, {}, net);
    training::load_checkpoint(path, other);
    CHECK(!other.fc1.weight.requires_grad());
    CHECK(other.fc2.weight.requires_grad());
}

TEST_CASE("checkpoint: parameters go on being the optimizer's, and extreme values keep their bits") {
    const TemporaryFolder folder;
    const std::string path = folder / "c.safetensors";
    struct One {
        Parameter<double> x{Tensor<double>{0, 0, 0, 0, 0}};
    } net, other;
    const auto inf = std::numeric_limits<double>::infinity();
    net.x = Tensor<double>{-0.0, inf, -inf, std::nan("7"), std::numeric_limits<double>::denorm_min()};
    double number = -0.0, loaded = 1;
    training::save_checkpoint(path, {1, 2, 3}, net, training::part("number", number));
    optim::SGD sgd(nn::parameters<double>(other), {.lr = 1});
    training::load_checkpoint(path, other, training::part("number", loaded));
    CHECK(same_bits(net.x.value(), other.x.value()));
    CHECK(std::signbit(loaded));
    other.x.set_grad(Tensor<double>{1, 1, 1, 1, 1});
    sgd.step();
    CHECK(other.x.value()(0) == -1);
}
