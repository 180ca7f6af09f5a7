// SPDX-License-Identifier: MIT
#pragma once

// Data: sets that are put together, read from files, and changed at random on the way. Not part of gradus.hpp: a program that uses none
// of it need not compile it.

#include "gradus/gradus.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/data/augment.hpp"
#include "gradus/data/augment_images.hpp"
#include "gradus/data/augment_values.hpp"
#include "gradus/data/bytes.hpp"
#include "gradus/data/cifar10.hpp"
#include "gradus/data/compose.hpp"
#include "gradus/data/csv.hpp"
#include "gradus/data/csv_cells.hpp"
#include "gradus/data/encode_png.hpp"
#include "gradus/data/image_folder.hpp"
#include "gradus/data/images.hpp"
#include "gradus/data/mapped_file.hpp"
#include "gradus/data/mix.hpp"
#include "gradus/data/pixels.hpp"
#include "gradus/data/png.hpp"
#include "gradus/data/pnm.hpp"
#include "gradus/data/prefetch.hpp"
#include "gradus/data/resize.hpp"
#include "gradus/data/sampler.hpp"
#include "gradus/data/sequences.hpp"
#include "gradus/data/set_loader.hpp"
#include "gradus/data/split.hpp"
#include "gradus/data/table.hpp"
#include "gradus/data/table_encoder.hpp"
#include "gradus/data/tensors.hpp"
#include "gradus/data/tokens.hpp"

#include "gradus/core/macros_back.inc"
