// SPDX-License-Identifier: MIT
#include "gradus/data/cifar10.hpp"

#include "../fuzz.hpp"

using namespace gradus;
using data::detail::CifarFormat;

// A file of CIFAR-10, and of CIFAR-100.
void fuzz(std::string_view input) {
    for (const CifarFormat& format : {CifarFormat{"cifar10", "", "", {}, "", 1, 0, 10},
                                      CifarFormat{"cifar100", "", "", {}, "", 2, 1, 100}}) {
        std::string pixels;
        std::vector<Index> labels;
        if (accepted([&] { data::detail::add_cifar(format, "input", input, pixels, labels); }))
            require(!labels.empty() && pixels.size() == labels.size() * 3072);
    }
}
