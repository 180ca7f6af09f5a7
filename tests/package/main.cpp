// SPDX-License-Identifier: MIT
#include <gradus/gradus.hpp>
#if WITH_EIGEN
#include <gradus/interop/eigen.hpp>
#endif

int main() { return gradus::ones({2, 3}).numel() == 6 ? 0 : 1; }
