# The unix port as the tests want it: as near to the ESP32 as it comes, from nothing but gcc and make.

# Not on our boards, and each would want a library that Debian's source package leaves out.
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0

FROZEN_MANIFEST = $(VARIANT_DIR)/manifest.py
# micropython-lib, which Debian leaves out; make wants a folder for it all the same, with a README.md in it.
MPY_LIB_DIR = $(TOP)/lib

MBEDTLS_CONFIG_FILE = \"tls_config.h\"

# The module and ALPN in mbedTLS come together, as they do in our boards' sdkconfig.
ifneq ($(USER_C_MODULES),)
CFLAGS_EXTRA += -DMBEDTLS_SSL_ALPN
endif
