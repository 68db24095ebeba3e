# The module alpn for ports built with CMake, such as the ESP32: USER_C_MODULES names this file.
add_library(usermod_alpn INTERFACE)
target_sources(usermod_alpn INTERFACE ${CMAKE_CURRENT_LIST_DIR}/alpn.c)
target_link_libraries(usermod INTERFACE usermod_alpn)
