// SPDX-License-Identifier: MIT
// The MLP and the CNN of steps.cpp done by dlib: built with -march=native, its products are OpenBLAS's.

#include <dlib/dnn.h>

#include "../support/measure.hpp"
#include "../support/workload.hpp"

namespace {

using workload::Training;

// clang-format off
using Mlp = dlib::loss_multiclass_log<dlib::fc<10, dlib::relu<dlib::fc<50, dlib::relu<dlib::fc<150,
            dlib::relu<dlib::fc<250, dlib::relu<dlib::fc<350, dlib::input<dlib::matrix<float>>>>>>>>>>>>;
// clang-format on

template <long channels, class Below>
using Conv5 = dlib::add_layer<dlib::con_<channels, 5, 5, 1, 1, 0, 0>, Below>;
template <long size, class Below>
using Pool = dlib::add_layer<dlib::max_pool_<size, size, size, size, 0, 0>, Below>;
template <class Below>
using Features = dlib::relu<Pool<2, Conv5<64, dlib::relu<Pool<3, Conv5<32, Below>>>>>>;
using Cnn = dlib::loss_multiclass_log<
    dlib::fc<10, dlib::relu<dlib::fc<200, Features<dlib::input<dlib::matrix<float>>>>>>>;

/// One weight [out, in, ...] and its bias [out] lie in one tensor: for a convolution one after the other, for
/// a linear layer as a matrix [in + 1, out].
void fill_layer(dlib::tensor& parameters, int index, std::size_t fan_in, bool convolution, float gain) {
    const std::size_t out = parameters.size() / (fan_in + 1);
    std::vector<float> weight(out * fan_in), bias(out);
    workload::fill_parameter(weight, index, false, 2, fan_in, gain);
    workload::fill_parameter(bias, index + 1, true, 1, 1, gain);
    float* const values = parameters.host();
    for (std::size_t o = 0; o < out; ++o) {
        for (std::size_t i = 0; i < fan_in; ++i)
            values[convolution ? o * fan_in + i : i * out + o] = weight[o * fan_in + i];
        values[fan_in * out + o] = bias[o];
    }
}

template <class Net>
void time_training(const measure::Arguments& arguments, const Training& training,
                   const std::vector<std::size_t>& fan_in, std::size_t convolutions) {
    if (!arguments.wants(training.name)) return;
    Net net;
    const std::vector<std::int64_t>& image = training.image;
    const bool flat = image.size() == 1;
    std::vector<dlib::matrix<float>> images(
        static_cast<std::size_t>(training.batch),
        dlib::matrix<float>(flat ? image[0] : image[1], flat ? 1 : image[2]));
    dlib::resizable_tensor inputs;
    net.to_tensor(images.begin(), images.end(), inputs);  // dlib wants to have seen its own kind of input
    training.fill_inputs({inputs.host(), inputs.size()});
    std::vector<std::int64_t> classes(static_cast<std::size_t>(training.batch));
    training.fill_labels(classes);
    const std::vector<unsigned long> labels(classes.begin(), classes.end());

    net.subnet().forward(inputs);  // allocates the parameters
    std::vector<dlib::tensor*> parameters;
    dlib::visit_layer_parameters(net, [&](dlib::tensor& layer) {
        if (layer.size() > 0) parameters.push_back(&layer);
    });
    for (std::size_t i = 0; i < parameters.size(); ++i)  // the last layer comes first
        fill_layer(*parameters[parameters.size() - 1 - i], static_cast<int>(2 * i), fan_in[i],
                   i < convolutions, training.gain);

    std::vector<dlib::sgd> solvers(net.num_computational_layers, dlib::sgd(0, 0));
    double loss = 0;
    const auto step = [&] {
        loss = net.compute_parameter_gradients(inputs, labels.begin());
        net.update_parameters(solvers, static_cast<double>(training.lr));
    };
    step();
    const double first = loss;
    for (int i = 0; i < training.checked_step; ++i) step();
    measure::run(arguments, training.name, {.first = first, .later = loss, .flop = training.gflop * 1e9},
                 step);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    time_training<Mlp>(arguments, workload::mlp, {784, 350, 250, 150, 50}, 0);
    time_training<Cnn>(arguments, workload::cnn, {25, 800, 256, 200}, 2);
}
