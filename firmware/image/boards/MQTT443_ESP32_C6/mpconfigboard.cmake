include(${CMAKE_SOURCE_DIR}/boards/ESP32_GENERIC_C6/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../mqtt443.cmake)
