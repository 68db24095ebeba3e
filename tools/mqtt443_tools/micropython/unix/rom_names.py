"""Names that an ESP32 has in ROM, with the modules that are built in or frozen there and emulated by shims here.

MicroPython keeps each name once, in ROM or on the heap, in a table that doubles. A package loaded here must pay for its
own names, as on a board, and not for those of the emulated chip or of the measurement. So all names and short texts of
tools/mqtt443_tools/virtualboard/shims and umqtt.simple are frozen here; nothing imports this.
"""
# ruff: noqa
# mypy: ignore-errors
# fmt: off

from image import (
    AP_IF, BLOCKS, BLOCK_BYTES, DEEPSLEEP_RESET, Exception, FOLDER, Flash, HARD_RESET, HEAP_DATA, HEAP_EXEC, IN,
    MQTTClient, MQTTException, NVS, OUT, PM_NONE, PM_PERFORMANCE, PM_POWERSAVE, PULL_DOWN, PULL_UP, PWRON_RESET,
    Pin, RTC, SOFT_RESET, STAT_ASSOC_FAIL, STAT_BEACON_TIMEOUT, STAT_CONNECTING, STAT_GOT_IP,
    STAT_HANDSHAKE_TIMEOUT, STAT_IDLE, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD, STA_IF, VfsLfs2, WDT, WDT_RESET, WLAN,
    _IOCTL_BLOCK_COUNT, _IOCTL_BLOCK_ERASE, _IOCTL_BLOCK_SIZE, _NTP, _RTC_MEMORY_BYTES, _Sockets, __traceback__,
    _active, _asked, _copy, _file, _flash, _get, _getaddrinfo, _host_ms, _id, _level, _line, _ntp, _pipe, _recv_len,
    _resolve, _seconds, _send_str, _time, _truth, _values, _world, _writes, active, addr, address, argument, argv,
    asked, b, before, binascii, buffer, built_in, by_s, bytes, capabilities, cb, chdir, check_msg, clean_session,
    client_id, clock_offset_s, close, commit, compile, config, connect, copy, data, datetime, day, days, deepsleep,
    default, disconnect, dumps, encode, erase_key, error, esp32, excepthook, exit, f, feed, fields, flash, folder,
    freq, get, get_blob, get_i32, getaddrinfo, getenv, gmtime, hexlify, host, hour, i, idf_heap, idf_heap_info,
    idle, ifconfig, ilistdir, int, interface, ioctl, isconnected, json, keep, keepalive, kept, key, kind, kinds,
    len, level, lib, lightsleep, line, listdir, load, loads, look, lw_msg, lw_qos, lw_retain, lw_topic, mac,
    machine, mcu_temperature, memory, memoryview, minute, mkdir, mkfs, mode, moment, month, most, mount, move_clock,
    mqtt, ms, msg, name, namespace, network, new, ntp_error, ntptime, number, offset, offset_s, on, op, operation,
    os, pace, pack, pack_into, password, path, pid, piece, ping, pins, pkt, port, power_cut, premsg,
    print_exception, pswd, publish, pull, qos, range, rb, rcv_pid, read, readblocks, region, rename, res, reset,
    reset_cause, resp, retain, rpartition, rssi, run, s, scan, second, seek, server, set_blob, set_callback,
    set_i32, set_last_will, setblocking, settime, settings, sh, simple, sleep, sock, socket, soft_reset, source,
    ssid, ssl, ssl_params, status, str, struct, subscribe, sys, target, tell, time, time_ms, timeout, topic,
    topic_len, tuple, ubinascii, umqtt, unique_id, user, usocket, ussl, ustruct, vfs, w, wait_for_the_end, wait_msg,
    wanted_s, wb, weekday, what, wifi_error, wifi_rssi, wifi_ssid, wifi_up, wrap_socket, writeblocks, year,
)

TEXTS = ("127.0.0.1", "0.0.0.0", "255.0.0.0", "!H", "!BH", "%+d", ".", ".new", "rtc.bin", "r+b")
