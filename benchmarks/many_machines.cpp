// SPDX-License-Identifier: MIT
// What a step on many machines is made of, and such steps; many_machines.sh runs it under mpirun:
//
//   many_machines messages [most bytes]           exchanges between two processes of 1 KiB, 2 KiB, ...
//   many_machines parts MODEL THREADS SECONDS     the parts of a step, in each process, without a message
//   many_machines steps MODEL SHARDS STEPS        steps of all processes together, one thread each
//   many_machines cost MODEL THREADS SECONDS      a plain step and those of 1 and of 8 shards, in turns
//
// Prints lines of JSON.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/distributed/mpi.hpp"
#include "gradus/distributed/shards.hpp"
#include "support/measure.hpp"
#include "support/models.hpp"

namespace {

using bench::Tensor;
using bench::Variable;
using gradus::Index;
namespace data = gradus::data;
namespace distributed = gradus::distributed;
namespace nn = gradus::nn;
namespace training = gradus::training;

constexpr Index default_shards = 8;

/// A model, its optimizer and the batch of a step, which is cut into shards of a fixed size.
template <class Net>
struct Case {
    std::string name;
    Index shards;
    Net net{};
    gradus::optim::SGD<> sgd;
    data::Batch<> whole{};
    std::vector<data::Batch<>> parts{};

    Case(const workload::Training& training, Index shard_size, Index shard_count)
        : name(training.name),
          shards(shard_count),
          sgd(nn::parameters(net), {.lr = static_cast<double>(training.lr)}) {
        bench::fill_parameters(net, training.gain);
        workload::Training work = training;
        work.batch = static_cast<int>(shard_size * shards);
        const auto sizes = work.input_shape();
        whole.inputs = Tensor<>::uninitialized(gradus::Shape(sizes.begin(), sizes.end()));
        whole.labels = gradus::zeros<Index>({work.batch});
        work.fill_inputs(whole.inputs.mutable_values());
        work.fill_labels(whole.labels.mutable_values());
        for (Index i = 0; i < shards; ++i)
            parts.push_back({whole.inputs.rows(i * shard_size, (i + 1) * shard_size),
                             whole.labels.rows(i * shard_size, (i + 1) * shard_size)});
    }

    Index shard_size() const { return parts[0].inputs.size(0); }
    Index bytes() {
        Index count = 0;
        for (const auto& parameter : nn::parameters(net)) count += parameter.numel();
        return count * static_cast<Index>(sizeof(float));
    }
    Variable<> loss_of(const data::Batch<>& batch) const {
        return cross_entropy(net(batch.inputs), batch.labels);
    }
    void plain_step() {
        const Variable<> loss = loss_of(whole);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
    }
};

/// Calls use(case) for a model of the suite. Shards have an eighth of about the suite's batch, but resnet18's, of
/// which two images would leave its last norms nothing to look at.
template <class Use>
void with_case(std::string_view model, Index shards, const Use& use) {
    if (model == "mlp") {
        Case<bench::Mlp> one(workload::mlp, 32, shards);
        use(one);
    } else if (model == "cnn") {
        Case<bench::Cnn> one(workload::cnn, 16, shards);
        use(one);
    } else if (model == "resnet18") {
        Case<bench::SmallResNet18> one(workload::resnet18, 4, shards);
        use(one);
    } else {
        std::fprintf(stderr, "many_machines: no model %.*s\n", static_cast<int>(model.size()), model.data());
        std::exit(2);
    }
}

/// Milliseconds of each step, on the clock and of processor time, which hardly feels other programs.
class Times {
public:
    template <class Step>
    void time(const Step& step) {
        const double start = measure::cpu_ms();
        wall_.time(step);
        cpu_.push_back(measure::cpu_ms() - start);
    }

    std::size_t count() const { return cpu_.size(); }
    double cpu() const {
        std::vector<double> sorted = cpu_;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
    double total_cpu() const { return std::accumulate(cpu_.begin(), cpu_.end(), 0.0); }

    /// A line of JSON, whose other fields are given; with processor time of several processes if that is known.
    void print(const std::string& fields, double cpu) const {
        std::printf("{%s, \"median_ms\": %.6g, \"fastest_ms\": %.6g, \"cpu_ms\": %.6g}\n", fields.c_str(),
                    wall_.median(), wall_.fastest(), cpu);
    }
    void print(const std::string& fields) const { print(fields, cpu()); }

private:
    measure::StepTimes wall_;
    std::vector<double> cpu_;
};

template <class Step>
Times times_of(std::size_t count, const Step& step) {
    Times times;
    while (times.count() < count) times.time(step);
    return times;
}

/// Steps for so many seconds, and at least five.
template <class Step>
Times times_within(double seconds, const Step& step) {
    step();
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    Times times;
    while (times.count() < 5 || std::chrono::steady_clock::now() < end) times.time(step);
    return times;
}

using gradus::detail::text_of;

/// "part": "update", "model": "mlp"
std::string fields_of(std::string_view part, std::string_view model) {
    return text_of({"\"part\": \"", part, "\", \"model\": \"", model, "\""});
}

/// Others that are copies of this process, and answer at once: what a step costs beside messages and waiting.
class Echo final : public distributed::Transport {
public:
    explicit Echo(int size) : size_(size) {}
    int rank() const override { return 0; }
    int size() const override { return size_; }
    Request send(int, std::span<const std::byte> bytes) override {
        if (bytes.size() <= 4096) std::copy(bytes.begin(), bytes.end(), in_.begin());  // not the gradients
        return 0;
    }
    Request receive(int, std::span<std::byte> bytes) override {
        in_ = bytes;
        return 0;
    }
    bool is_done(Request) override { return true; }
    void send_notice(int, std::string_view) override {}
    bool take_notice(distributed::Notice&) override { return false; }
    void close(bool) override {}

private:
    int size_;
    std::span<std::byte> in_{};
};

void time_messages(const distributed::World& world, std::size_t most) {
    if (world.size() < 2) return;
    std::vector<std::byte> out(most), in(most);
    const int partner = world.rank() ^ 1;
    for (std::size_t bytes = 1024; bytes <= most; bytes *= 2) {
        const auto exchange = [&] {
            world.exchange(partner, {out.data(), bytes}, partner, {in.data(), bytes}, {"messages"});
        };
        times_of(3, exchange);
        const auto times =
            times_of(std::clamp<std::size_t>((std::size_t{256} << 20) / bytes, 7, 400), exchange);
        if (world.is_first()) times.print(text_of({"\"part\": \"message\", \"bytes\": ", bytes}));
    }
}

template <class Net>
void time_parts(const distributed::World& world, Case<Net>& one, double seconds) {
    const data::Batch<>& shard = one.parts[0];
    const auto print = [&](const char* what, const Times& times) {
        if (world.is_first())
            times.print(text_of({fields_of(what, one.name), ", \"shard\": ", one.shard_size(),
                                 ", \"bytes\": ", one.bytes()}));
    };
    auto parameters = nn::parameters(one.net);
    print("forward", times_within(seconds / 2, [&] { one.loss_of(shard); }));
    std::size_t next = 0;
    print("forward and backward", times_within(seconds, [&] {
              const Variable<> loss = one.loss_of(one.parts[next++ % one.parts.size()]);
              one.sgd.zero_grad();
              loss.backward();
          }));
    print("update", times_within(seconds / 4, [&] { one.sgd.step(); }));

    auto sum = training::detail::take_gradients(parameters, 1);
    auto other = sum;
    for (auto& gradient : other.gradients) gradient.mutable_data();  // no copy of the same
    print("add", times_within(seconds / 4, [&] { sum.add(other); }));
    print("mean", times_within(seconds / 4, [&] { sum.change_unit(3 - sum.unit); }));

    const distributed::World two(std::make_unique<Echo>(2)), many(std::make_unique<Echo>(64));
    for (auto& parameter : parameters)  // zeros: others would fade to what processors are slow with
        parameter.set_grad(gradus::zeros<float>(parameter.shape()));
    print("one level", times_within(seconds / 4, [&] { distributed::reduce_gradients(parameters, two); }));
    print("six levels", times_within(seconds / 4, [&] { distributed::reduce_gradients(parameters, many); }));
}

template <class Net>
void time_steps(const distributed::World& world, Case<Net>& one, std::size_t count) {
    distributed::Shards shards(one.net, world, {.shards = one.shards, .check_every = 0});
    const auto step = [&] {
        shards.backward(one.parts, 0, [&](const auto& batch) { return one.loss_of(batch); });
        one.sgd.step();
    };
    times_of(2, step);
    const auto times = times_of(count, step);
    const std::string own = std::to_string(times.total_cpu() / static_cast<double>(count));
    double cpu = 0;
    for (const std::string& text : world.all_gather(own, {"steps"})) cpu += std::stod(text);
    if (world.is_first())
        times.print(text_of({fields_of("step", one.name), ", \"shards\": ", one.shards}), cpu);
}

/// Blocks of steps in turns, the first of each left out: it finds the caches as the other left them.
template <class Net>
void time_cost(Case<Net>& plain, Case<Net>& other, Case<Net>& sharded, double seconds) {
    distributed::Shards one(other.net, {}, {.shards = 1}), eight(sharded.net, {}, {.shards = sharded.shards});
    const std::vector<data::Batch<>> whole{other.whole};
    const auto step_of = [](auto& shards, auto& batches, auto& model) {
        shards.backward(batches, 0, [&](const auto& batch) { return model.loss_of(batch); });
        model.sgd.step();
    };
    Times times[3];
    const auto block = [](Times& into, const auto& step) {
        step();
        for (int i = 0; i < 5; ++i) into.time(step);
    };
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (times[0].count() < 10 || std::chrono::steady_clock::now() < end) {
        block(times[0], [&] { plain.plain_step(); });
        block(times[1], [&] { step_of(one, whole, other); });
        block(times[2], [&] { step_of(eight, sharded.parts, sharded); });
    }
    const char* const names[] = {"plain", "1 shard", "8 shards"};
    for (int i = 0; i < 3; ++i)
        times[i].print(text_of({fields_of("cost", plain.name), ", \"case\": \"", names[i],
                                "\", \"batch\": ", plain.whole.inputs.size(0)}));
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const std::string what = words.empty() ? "" : words[0];
    const auto number = [&](std::size_t i) { return std::atof(words[i].c_str()); };
    const distributed::World world = distributed::mpi_world();
    distributed::run(world, [&] {
        if (what == "messages") {
            time_messages(world,
                          words.size() > 1 ? static_cast<std::size_t>(number(1)) : std::size_t{256} << 20);
        } else if (what == "parts" && words.size() == 4) {
            gradus::set_num_threads(static_cast<int>(number(2)));
            with_case(words[1], default_shards, [&](auto& one) { time_parts(world, one, number(3)); });
        } else if (what == "steps" && words.size() == 4) {
            gradus::set_num_threads(1);
            with_case(words[1], static_cast<Index>(number(2)),
                      [&](auto& one) { time_steps(world, one, static_cast<std::size_t>(number(3))); });
        } else if (what == "cost" && words.size() == 4) {
            gradus::set_num_threads(static_cast<int>(number(2)));
            with_case(words[1], default_shards, [&](auto& plain) {
                auto other = plain, sharded = plain;
                other.sgd = gradus::optim::SGD(nn::parameters(other.net), {.lr = plain.sgd.lr()});
                sharded.sgd = gradus::optim::SGD(nn::parameters(sharded.net), {.lr = plain.sgd.lr()});
                time_cost(plain, other, sharded, number(3));
            });
        } else {
            std::fprintf(stderr, "many_machines: messages, parts, steps or cost\n");
            std::exit(2);
        }
    });
}
