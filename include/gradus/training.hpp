// SPDX-License-Identifier: MIT
#pragma once

// The training kit: what happens around a step. Not part of gradus.hpp: a program that uses none
// of it need not compile it.

#include "gradus/data.hpp"
#include "gradus/gradus.hpp"
#include "gradus/io.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/training/anomaly.hpp"
#include "gradus/training/calibration.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/checksum.hpp"
#include "gradus/training/classification.hpp"
#include "gradus/training/diagnose.hpp"
#include "gradus/training/diagnose_step.hpp"
#include "gradus/training/examine.hpp"
#include "gradus/training/finding.hpp"
#include "gradus/training/mean.hpp"
#include "gradus/training/metric_input.hpp"
#include "gradus/training/multilabel.hpp"
#include "gradus/training/parts.hpp"
#include "gradus/training/ranking.hpp"
#include "gradus/training/regression.hpp"
#include "gradus/training/state.hpp"

#include "gradus/core/macros_back.inc"
