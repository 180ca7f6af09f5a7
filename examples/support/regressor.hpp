// SPDX-License-Identifier: MIT
#pragma once

#include <gradus/gradus.hpp>

/// What tabular trains and tabular_predict loads: from the numbers of a row to one number.
struct Regressor {
    gradus::Index features;
    gradus::nn::Linear<> fc1{features, 128}, fc2{128, 64}, fc3{64, 1};

    gradus::Variable<> operator()(const gradus::Variable<>& x) const {  // x [batch, features]
        return fc3(relu(fc2(relu(fc1(x)))));
    }
};
