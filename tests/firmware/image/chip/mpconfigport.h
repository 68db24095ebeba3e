// A port that is nothing but its types, to compile the module for chips whose SDK is not here.
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_ENABLE_GC (1)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MP_STATE_PORT MP_STATE_VM

#ifndef WITHOUT_TLS
#define MICROPY_PY_SSL (1)
#define MICROPY_PY_SSL_DTLS (1)
#define MICROPY_SSL_MBEDTLS (1)
#endif

typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;
