#!/bin/sh
# Builds our image for the named boards, or for all; runs in Espressif's container (docs/image.md).
# The images and their sums end up in build/image.
set -eu

micropython=v1.26.1
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/build/image
source=$out/micropython-$micropython

if [ $# -eq 0 ]; then
    set -- MQTT443_ESP32 MQTT443_ESP32_S3 MQTT443_ESP32_C3 MQTT443_ESP32_C6
fi
for board in "$@"; do
    if [ ! -f "$here/boards/$board/mpconfigboard.cmake" ]; then
        echo "no board is called $board; see firmware/image/boards" >&2
        exit 2
    fi
done

mkdir -p "$out"
if [ ! -d "$source" ]; then
    rm -rf "$source.part"
    git clone --depth 1 --branch "$micropython" https://github.com/micropython/micropython.git "$source.part"
    mv "$source.part" "$source"
fi
for board in "$@"; do
    for step in submodules all; do
        make -C "$source/ports/esp32" BOARD_DIR="$here/boards/$board" BUILD="$out/$board" "$step"
    done
    cp "$out/$board/firmware.bin" "$out/$board.bin"
done
cd "$out"
sha256sum ./*.bin > SHA256SUMS
