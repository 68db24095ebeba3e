# What each of our boards adds to the stock board that it included before: ALPN in mbedTLS, our module, our package.

# Behind the stock files, of which one says n: the last word counts.
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.mqtt443)

# Besides those of the command line. By its real path, so that naming it there too does no harm.
get_filename_component(MQTT443_ALPN ${CMAKE_CURRENT_LIST_DIR}/../alpn/micropython.cmake REALPATH)
list(APPEND USER_C_MODULES ${MQTT443_ALPN})
list(REMOVE_DUPLICATES USER_C_MODULES)

set(MICROPY_FROZEN_MANIFEST ${CMAKE_CURRENT_LIST_DIR}/manifest.py)
