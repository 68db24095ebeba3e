// Features of the unix port for the tests: the level the ESP32 has; the rest is the port's own choice.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// A chip has single-precision floats; so has the 32-bit build, whose heap figures stand for a chip's.
#ifndef __LP64__
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#endif

#include "variants/mpconfigvariant_common.h"
