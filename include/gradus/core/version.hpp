// SPDX-License-Identifier: MIT
#pragma once

// The version of these headers, for #if. The one place where it is written: CMake reads it from here.
#define GRADUS_VERSION_MAJOR 0
#define GRADUS_VERSION_MINOR 1
#define GRADUS_VERSION_PATCH 0
#define GRADUS_VERSION "0.1.0"
