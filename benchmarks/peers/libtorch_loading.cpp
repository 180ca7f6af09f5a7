// SPDX-License-Identifier: MIT
// The work of loading.cpp done by libtorch: its reader of these files, which knows no gzip, and its
// DataLoader without workers or with some. --loader=stack: a dataset of examples, stacked to batches, as its
// MNIST is meant to be used. --loader=batches: a dataset of batches, each gathered at once.

#include "../support/loading.hpp"
#include "libtorch.hpp"

namespace {

namespace data = torch::data;

struct Set {
    torch::Tensor images, labels;
};

/// The training set; both are read and standardized.
Set open(const std::string& folder) {
    using data::datasets::MNIST;
    const MNIST train(folder, MNIST::Mode::kTrain), test(folder, MNIST::Mode::kTest);
    const torch::Tensor mean = train.images().mean(), std = train.images().std(false);
    for (const torch::Tensor& images : {train.images(), test.images()}) images.sub_(mean).div_(std);
    return {train.images(), train.targets()};
}

class Examples : public data::datasets::Dataset<Examples> {
public:
    explicit Examples(Set set) : set_(std::move(set)) {}
    data::Example<> get(std::size_t index) override {
        const auto i = static_cast<std::int64_t>(index);
        return {set_.images[i], set_.labels[i]};
    }
    c10::optional<std::size_t> size() const override { return static_cast<std::size_t>(set_.labels.numel()); }

private:
    Set set_;
};

class Batches : public data::datasets::BatchDataset<Batches, data::Example<>> {
public:
    explicit Batches(Set set) : set_(std::move(set)) {}
    data::Example<> get_batch(c10::ArrayRef<std::size_t> indices) override {
        const torch::Tensor rows = torch::empty({static_cast<std::int64_t>(indices.size())}, torch::kInt64);
        std::copy(indices.begin(), indices.end(), rows.data_ptr<std::int64_t>());
        return {set_.images.index_select(0, rows), set_.labels.index_select(0, rows)};
    }
    c10::optional<std::size_t> size() const override { return static_cast<std::size_t>(set_.labels.numel()); }

private:
    Set set_;
};

void add(loading::Checksum& sum, const torch::Tensor& images, const torch::Tensor& labels) {
    sum.add(peer::floats(images),
            {labels.data_ptr<std::int64_t>(), static_cast<std::size_t>(labels.numel())});
}

void time_open(const loading::Arguments& arguments) {
    const char* const name = "open, plain files";
    if (!arguments.common.wants(name)) return;
    const Set train = open(arguments.data);
    loading::Checksum sum;
    add(sum, train.images, train.labels);
    measure::run(
        arguments.common, name,
        {.first = sum.images, .later = sum.labeled, .bytes = loading::file_bytes + loading::set_bytes},
        [&] { measure::keep(open(arguments.data).images.data_ptr()); });
}

template <class Dataset>
void time_epoch(const loading::Arguments& arguments, Dataset dataset) {
    const auto loader = data::make_data_loader<data::samplers::RandomSampler>(
        std::move(dataset), data::DataLoaderOptions()
                                .batch_size(loading::batch)
                                .workers(static_cast<std::size_t>(arguments.workers)));
    loading::Checksum sum;
    for (auto& [images, labels] : *loader) add(sum, images, labels);
    measure::run(arguments.common, "epoch",
                 {.first = sum.images, .later = sum.labeled, .bytes = 2 * loading::epoch_bytes}, [&] {
                     for (auto& [images, labels] : *loader) measure::keep(images.data_ptr());
                 });
}

}  // namespace

int main(int argc, char** argv) {
    const loading::Arguments arguments(argc, argv);
    torch::set_num_threads(arguments.common.threads);
    time_open(arguments);
    if (!arguments.common.wants("epoch")) return 0;
    const Set train = open(arguments.data);
    if (arguments.loader == "stack")
        time_epoch(arguments, Examples(train).map(data::transforms::Stack<>()));
    else
        time_epoch(arguments, Batches(train));
}
