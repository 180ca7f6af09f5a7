// SPDX-License-Identifier: MIT
#pragma once

// Files: tensors and models saved and loaded, in the formats of others. Not part of gradus.hpp: a program that uses none
// of it need not compile it.

#include "gradus/gradus.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/io/any_tensor.hpp"
#include "gradus/io/dtype.hpp"
#include "gradus/io/half.hpp"
#include "gradus/io/json.hpp"
#include "gradus/io/load.hpp"
#include "gradus/io/load_pytorch.hpp"
#include "gradus/io/npy.hpp"
#include "gradus/io/npz.hpp"
#include "gradus/io/pickle.hpp"
#include "gradus/io/pytorch.hpp"
#include "gradus/io/pytorch_entries.hpp"
#include "gradus/io/safetensors.hpp"
#include "gradus/io/save.hpp"
#include "gradus/io/source.hpp"
#include "gradus/io/strided.hpp"
#include "gradus/io/zip.hpp"
#include "gradus/io/zip_source.hpp"
#include "gradus/io/zip_writer.hpp"

#include "gradus/core/macros_back.inc"
