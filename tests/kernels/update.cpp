// SPDX-License-Identifier: MIT
#include "gradus/kernels/update.hpp"

#include "support/test.hpp"

using namespace gradus;

namespace {

/// Three arrays per segment: value, gradient, state.
template <class T>
struct Arrays {
    std::vector<Tensor<T>> tensors[3];

    explicit Arrays(const std::vector<Index>& sizes) {
        for (const Index size : sizes)
            for (int k = 0; k < 3; ++k)
                tensors[k].push_back(kernels::map(
                    "number", [](const T& x) { return x + 1; }, arange<T>(size + k).rows(k, size + k)));
    }

    std::vector<kernels::UpdateSegment<T>> segments() {
        std::vector<kernels::UpdateSegment<T>> result;
        for (std::size_t s = 0; s < tensors[0].size(); ++s)
            result.push_back(
                {tensors[0][s].numel(),
                 {tensors[0][s].mutable_data(), tensors[1][s].mutable_data(), tensors[2][s].mutable_data()}});
        return result;
    }
};

// Small whole numbers: exact with one rounding or two.
const auto rule = []<class V>(V& value, const V& gradient, V& state) GRADUS_INLINE_LAMBDA {
    state = state + V(2) * gradient;
    value = value - state;
};

template <class T>
void check_update(const std::vector<Index>& sizes) {
    Arrays<T> arrays(sizes);
    kernels::update<3>(rule, arrays.segments());
    for (std::size_t s = 0; s < sizes.size(); ++s) {
        bool right = true;
        for (Index i = 0; i < sizes[s]; ++i) {
            const T value = T(i + 1), gradient = T(i + 2), state = T(i + 3);
            right = right && arrays.tensors[1][s](i) == gradient &&
                    arrays.tensors[2][s](i) == state + 2 * gradient &&
                    arrays.tensors[0][s](i) == value - (state + 2 * gradient);
        }
        INFO("segment " << s << " of size " << sizes[s]);
        CHECK(right);
    }
}

}  // namespace

TEST_CASE("update: every element once, the gradient untouched, for any size and instruction set") {
    for (const auto isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (Index size = 0; size <= 33; ++size) check_update<float>({size});
        check_update<double>({0, 5, 16, 0, 19});
    }
    check_update<float>({16383, 16384, 16385, 1, 40001, 0, 7});  // pieces of 16384
}

TEST_CASE("update: nothing to do") {
    kernels::update<3>(rule, std::vector<kernels::UpdateSegment<float>>{});
    check_update<float>({0, 0});
}

TEST_CASE("update: any number of threads") {
    const int before = num_threads();
    for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        check_update<float>({50000, 3, 17000, 33000});
    }
    set_num_threads(before);
}
