// The stock board under a name of its own, so that os.uname() tells our image from stock firmware.
#include "boards/ESP32_GENERIC_C3/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "mqtt443 on ESP32-C3"
