// SPDX-License-Identifier: MIT
#pragma once

// The training kit: what happens around a step. Not part of gradus.hpp: a program that uses none
// of it need not compile it.

#include "gradus/data.hpp"
#include "gradus/gradus.hpp"
#include "gradus/io.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/training/accumulate.hpp"
#include "gradus/training/anomaly.hpp"
#include "gradus/training/async_checkpoint.hpp"
#include "gradus/training/calibration.hpp"
#include "gradus/training/callbacks.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/checksum.hpp"
#include "gradus/training/classification.hpp"
#include "gradus/training/compare.hpp"
#include "gradus/training/curves.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/fit.hpp"
#include "gradus/training/history_files.hpp"
#include "gradus/training/hooks.hpp"
#include "gradus/training/keep_checkpoints.hpp"
#include "gradus/training/mean.hpp"
#include "gradus/training/metric_input.hpp"
#include "gradus/training/multilabel.hpp"
#include "gradus/training/page.hpp"
#include "gradus/training/parts.hpp"
#include "gradus/training/picture.hpp"
#include "gradus/training/plot.hpp"
#include "gradus/training/progress.hpp"
#include "gradus/training/ranking.hpp"
#include "gradus/training/regression.hpp"
#include "gradus/training/report.hpp"
#include "gradus/training/report_data.hpp"
#include "gradus/training/report_sections.hpp"
#include "gradus/training/run.hpp"
#include "gradus/training/run_files.hpp"
#include "gradus/training/run_folder.hpp"
#include "gradus/training/signals.hpp"
#include "gradus/training/state.hpp"
#include "gradus/training/stopping.hpp"
#include "gradus/training/svg.hpp"

#include "gradus/core/macros_back.inc"
