// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/kernels/simd/isa.hpp"

// How a kernel gets compiled for every instruction set, whatever flags the user chose, and how the one of the
// processor is called. A kernel is a struct whose fields are its operands and whose member template
// run<Bytes>() is its loop, written once for vectors of any width:
//
//     template <class T>
//     struct Scale {
//         const T* x;
//         T factor;
//         Index n;
//         T* y;
//
//         template <int Bytes>
//         GRADUS_INLINE void run() {
//             using Vec = simd::VecOf<T, Bytes>;
//             for (Index i = 0; i < n; i += Vec::size) (factor * Vec::load(x + i)).store(y + i);
//         }
//     };
//     simd::run(Scale<float>{.x = x, .factor = 2, .n = n, .y = y});

namespace gradus::simd {

// The instruction set of a function that is not inlined, or of one that is inlined into such a function: the
// attributes between [[ ]].
#if defined(__x86_64__)
#if defined(__clang__)
#define GRADUS_TARGET(isa, bits) gnu::target(isa), clang::min_vector_width(bits)
#else
#define GRADUS_TARGET(isa, bits) gnu::target(isa)
#endif
#define GRADUS_TARGET_AVX2 GRADUS_TARGET("avx2,fma", 256)
#define GRADUS_TARGET_AVX512 GRADUS_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma", 512)
#else
#define GRADUS_TARGET_AVX512
#endif

namespace detail {

// The operands are copied to locals: there stores of the kernel cannot change them.

template <class Kernel>
[[gnu::noinline]] auto run_baseline(const Kernel& given) {
    Kernel kernel = given;
    return kernel.template run<16>();
}

#if defined(__x86_64__)
template <class Kernel>
[[gnu::noinline, GRADUS_TARGET_AVX2]] auto run_avx2(const Kernel& given) {
    Kernel kernel = given;
    return kernel.template run<32>();
}
template <class Kernel>
[[gnu::noinline, GRADUS_TARGET_AVX512]] auto run_avx512(const Kernel& given) {
    Kernel kernel = given;
    return kernel.template run<64>();
}
#endif

}  // namespace detail

/// kernel.run<Bytes>() with Bytes = vector_bytes(isa()), compiled for that instruction set, on a copy of the
/// kernel, which it may change. `run` is a GRADUS_INLINE member template. A kernel is serial: split the work
/// over threads outside it.
template <class Kernel>
auto run(const Kernel& kernel) {
#if defined(__x86_64__)
    switch (isa()) {
        case Isa::avx512:
            return detail::run_avx512(kernel);
        case Isa::avx2:
            return detail::run_avx2(kernel);
        case Isa::baseline:
            break;
    }
#endif
    return detail::run_baseline(kernel);
}

}  // namespace gradus::simd
