// Features of the unix port for the tests: the level the ESP32 has; the rest is the port's own choice.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// A chip has single-precision floats; so has the 32-bit build, whose heap figures stand for a chip's.
#ifndef __LP64__
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#endif

// An ESP32 runs one Python thread at a time. Set here: the makefile of MicroPython 1.25 gives -DMICROPY_PY_THREAD_GIL=0.
#undef MICROPY_PY_THREAD_GIL
#define MICROPY_PY_THREAD_GIL (1)
#define MICROPY_PY_THREAD_RECURSIVE_MUTEX (1) // MicroPython 1.25 does not link without it

#include "variants/mpconfigvariant_common.h"

// MicroPython 1.25 would also raise KeyboardInterrupt from the signal handler, which the lock does not allow.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)
