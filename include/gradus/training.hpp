// SPDX-License-Identifier: MIT
#pragma once

// The training kit: what happens around a step. Not part of gradus.hpp: a program that uses none
// of it need not compile it.

#include "gradus/data.hpp"
#include "gradus/gradus.hpp"
#include "gradus/io.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/training/evaluate.hpp"
#include "gradus/training/page.hpp"
#include "gradus/training/plot.hpp"
#include "gradus/training/svg.hpp"
#include "gradus/training/parts.hpp"
#include "gradus/training/run.hpp"
#include "gradus/training/state.hpp"

#include "gradus/core/macros_back.inc"
