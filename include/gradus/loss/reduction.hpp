// SPDX-License-Identifier: MIT
#pragma once

namespace gradus {

/// What a loss makes of its terms: their mean, their sum, or the terms themselves.
enum class Reduction { mean, sum, none };

}  // namespace gradus
