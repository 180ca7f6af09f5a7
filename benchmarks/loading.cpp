// SPDX-License-Identifier: MIT
// Loading Fashion-MNIST: from its files to standardized numbers, and an epoch of shuffled batches.
//   loading --data=folder [--gzip=folder] [--threads=1] [--seconds=0.3]
// The peer is peers/libtorch_loading.cpp.

#include "support/loading.hpp"

#include "gradus/data/loader.hpp"
#include "gradus/data/mnist.hpp"
#include "gradus/data/transform.hpp"

namespace {

namespace data = gradus::data;

data::Split<> open(const std::string& folder) {
    const data::Split<> sets = data::fashion_mnist(folder);
    const auto standardize = data::Standardize::global(sets.train.inputs);
    return {standardize(sets.train), standardize(sets.test)};
}

data::Epoch<> batches(const data::Dataset<>& set, gradus::Index epoch) {
    return data::Loader(set, {.batch_size = loading::batch, .shuffle = true, .seed = 1}).epoch(epoch);
}

void time_open(const loading::Arguments& arguments, const char* name, const std::string& folder) {
    if (folder.empty() || !arguments.common.wants(name)) return;
    const data::Dataset<> train = open(folder).train;
    loading::Checksum sum;
    sum.add(train.inputs.values(), train.labels.values());
    measure::run(
        arguments.common, name,
        {.first = sum.images, .later = sum.labeled, .bytes = loading::file_bytes + loading::set_bytes},
        [&] { measure::keep(open(folder).train.inputs.data()); });
}

void time_epoch(const loading::Arguments& arguments) {
    if (!arguments.common.wants("epoch")) return;
    const data::Dataset<> train = open(arguments.data).train;
    loading::Checksum sum;
    for (auto& [images, labels] : batches(train, 0)) sum.add(images.values(), labels.values());
    gradus::Index epoch = 0;
    measure::run(arguments.common, "epoch",
                 {.first = sum.images, .later = sum.labeled, .bytes = 2 * loading::epoch_bytes}, [&] {
                     for (auto& [images, labels] : batches(train, ++epoch)) measure::keep(images.data());
                 });
}

}  // namespace

int main(int argc, char** argv) {
    const loading::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.common.threads);
    time_open(arguments, "open, plain files", arguments.data);
    time_open(arguments, "open, gzip files", arguments.gzip);
    time_epoch(arguments);
}
