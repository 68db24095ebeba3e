# What each of our boards adds to the stock board, whose files it includes first: ALPN in mbedTLS, our module, our package.

# After the stock files, one of which says n: the last value counts.
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.mqtt443)

# In addition to those on the command line; by its real path, so it does no harm to name it there too.
get_filename_component(MQTT443_ALPN ${CMAKE_CURRENT_LIST_DIR}/../alpn/micropython.cmake REALPATH)
list(APPEND USER_C_MODULES ${MQTT443_ALPN})
list(REMOVE_DUPLICATES USER_C_MODULES)

set(MICROPY_FROZEN_MANIFEST ${CMAKE_CURRENT_LIST_DIR}/manifest.py)
