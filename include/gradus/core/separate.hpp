// SPDX-License-Identifier: MIT
#pragma once

// Functions of no type, of which a program of several files compiles one (compiled.inc). A header declares them, and ends with
//
//     #if !GRADUS_SEPARATE
//     #include "gradus/training/checkpoint.inc"
//     #endif
//
// The .inc file of its name defines them as GRADUS_ONCE: inline where every file has its own, and with -DGRADUS_COMPILED in
// the one file alone that makes the lists of compiled/, which name the .inc files.
#if defined(GRADUS_COMPILED) || defined(GRADUS_IMPLEMENTATION)
#define GRADUS_SEPARATE 1
#define GRADUS_ONCE
#else
#define GRADUS_SEPARATE 0
#define GRADUS_ONCE inline
#endif
