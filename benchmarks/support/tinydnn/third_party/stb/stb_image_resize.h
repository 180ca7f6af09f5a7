// SPDX-License-Identifier: MIT
// Debian has it elsewhere than its tiny-dnn looks for it.
#include <stb/stb_image_resize.h>
