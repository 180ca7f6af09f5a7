// SPDX-License-Identifier: MIT
#pragma once

// What no header of the library can do without, said in one line. An #error alone would be followed by all
// that does not compile; a header that is not there ends it.

// The last draft before C++20 counts: g++ 10 and MSVC say so of -std=c++20.
#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) <= 201703L
#error "gradus needs C++20: compile with -std=c++20 (CMake: target_compile_features(x PRIVATE cxx_std_20))"
#include <gradus needs C++20: compile with -std=c++20>
#endif

#if defined(min) || defined(max)
#error "gradus: min or max is a macro: define NOMINMAX before <windows.h>, or #undef them before this header"
#include <gradus needs min and max: define NOMINMAX before the header of Windows>
#endif

// Every refusal is an exception, and loops on several threads hand it on.
#if !defined(__cpp_exceptions)
#error "gradus reports errors by exceptions: compile the files that include it without -fno-exceptions"
#include <gradus needs exceptions: compile the files that include it without -fno-exceptions>
#endif
