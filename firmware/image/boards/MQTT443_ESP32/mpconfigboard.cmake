include(${CMAKE_SOURCE_DIR}/boards/ESP32_GENERIC/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../mqtt443.cmake)
