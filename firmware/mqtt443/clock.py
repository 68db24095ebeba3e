"""The board's clock: set from NTP, else over port 443, before it is used to judge a certificate.

Certificates are verified even while the time is being found: see `_over_443`. Without `machine.RTC` the clock belongs
to the host and is only read. `app` decides when to set it.
"""

import os
import socket
import time

from . import errors
from ._port import BUILD_DATE, EPOCH, const, ticks_add, ticks_diff, ticks_ms, unix_time
from .http import read_head

# Certificates of AWS endpoints are valid for over a year, so steps of 30 days cannot skip one. Ten years of steps.
_STEP_S = const(2592000)
_STEPS = const(122)
_NTP_TRIES = const(3)
_NTP_TIMEOUT_MS = const(2000)
_NTP_PORT = const(123)
_NTP_BYTES = const(48)
_LIFE_S = const(631152000)  # 20 years

_MONTHS = const("JanFebMarAprMayJunJulAugSepOctNovDec")


def rtc_setter():
    """Return a function that sets the clock to unix seconds, or None where there is no `machine.RTC`."""
    try:
        from machine import RTC
    except ImportError:
        return None

    def set_rtc(unix_s):
        t = time.gmtime(unix_s - EPOCH)  # year, month, day, hour, minute, second, weekday
        RTC().datetime(t[:3] + t[6:7] + t[3:6] + (0,))

    return set_rtc


def ntp(server, port=_NTP_PORT, urandom=os.urandom, ticks=ticks_ms):
    """Return unix seconds from an NTP server (RFC 5905). port, urandom, ticks: seams.

    Raises OSError if it does not answer, ValueError for an answer that fails the checks.
    """
    address = socket.getaddrinfo(server, port, 0, socket.SOCK_DGRAM)[0]
    left = _NTP_TRIES
    while True:
        left -= 1
        sock = socket.socket(address[0], address[1], address[2])
        try:
            sock.connect(address[-1])  # so that only this server's datagrams come in
            # Version 4, mode client; a random transmit timestamp, which the server must send back.
            stamp = urandom(8)
            sock.send(b"\x23" + bytes(39) + stamp)
            end = ticks_add(ticks(), _NTP_TIMEOUT_MS)
            while True:
                sock.settimeout(max(ticks_diff(end, ticks()), 1) / 1000)
                answer = sock.recv(_NTP_BYTES)
                if len(answer) == _NTP_BYTES and answer[24:32] == stamp:  # others are late, or forged
                    return _ntp_time(answer)
                if ticks_diff(end, ticks()) <= 0:
                    raise OSError("no answer to this query")
        except OSError:  # UDP: packets may be lost
            if not left:
                raise
        finally:
            sock.close()


def _ntp_time(answer):
    """Return unix seconds from an NTP answer, checked by RFC 5905 sections 7.3 and 7.4; else raise ValueError."""
    mode = answer[0] & 7
    version = answer[0] >> 3 & 7
    stratum = answer[1]
    if mode != 4 or version not in (3, 4):
        raise ValueError("an answer of mode %d, version %d" % (mode, version))
    if stratum == 0:
        raise ValueError("a kiss-o'-death %r" % answer[12:16])
    if stratum > 15 or answer[0] >> 6 == 3:
        raise ValueError("the server's clock is not set")
    if not any(answer[40:48]):
        raise ValueError("an answer without a time")
    seconds = int.from_bytes(answer[40:44], "big") - 2208988800  # NTP counts from 1900
    if seconds < BUILD_DATE:
        seconds += 1 << 32  # the era that begins in 2036
    return _plausible(seconds)


def _plausible(seconds):
    """Return unix seconds if they lie within the life of this release; else raise ValueError."""
    if not BUILD_DATE <= seconds < BUILD_DATE + _LIFE_S:
        raise ValueError("a time out of range")
    return seconds


def http_date(text):
    """Return unix seconds of an HTTP date such as "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).

    1970 to 2099. Raises ProtocolError for anything else.
    """
    try:
        _, day, name, year, clock, zone = text.split(" ")
        at = _MONTHS.index(name)
        if at % 3 or len(name) != 3 or zone != "GMT":
            raise ValueError
        hour, minute, second = clock.split(":")
        # Own arithmetic: `time.mktime` is UTC on boards and local time on hosts, and their epochs differ. A year begins
        # with March, so that the leap day is its last.
        month = at // 3 + 1
        year = int(year)
        if month < 3:
            month += 12
            year -= 1
        days = year * 365 + year // 4 + (month * 153 - 457) // 5 + int(day) - 719484
        return ((days * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    except ValueError:
        raise errors.ProtocolError("no HTTP date: " + text[:40])


def set_clock(server, host, connect, log, *, sure=False, doubted=False, now=unix_time, set_rtc=None, ntp=ntp):
    """Set the clock accurately enough for certificates, never earlier than BUILD_DATE.

    server: NTP server, empty for none. host: of the endpoint. connect: opens a TLS stream to it for HTTP
    (`Transport.connect_http`). log: takes a line. sure: the clock was set before and nothing contradicts it, so a
    missing answer from NTP does no harm. doubted: a certificate contradicts the clock, so host is believed before NTP.
    now, set_rtc, ntp: seams (unix seconds; a setter or None; server -> unix seconds).

    Raises ClockError if the time cannot be found, and errors of the network.
    """
    if set_rtc is None:
        if now() < BUILD_DATE:
            raise errors.ClockError("this host's clock is before this release; set it")
        return None
    failure = None
    if doubted:
        try:
            return _over_443(host, connect, log, set_rtc)
        except errors.ClockError as e:
            failure = e  # the certificate may be at fault
    if server:
        try:
            set_rtc(_plausible(ntp(server)))
            return log("clock: set from NTP")
        except Exception as e:  # the answer may be any bytes
            log("clock: no time from NTP server %s (%s)" % (server, e))
    if failure:
        raise failure
    if not sure or now() < BUILD_DATE:
        _over_443(host, connect, log, set_rtc)
    return None


def _over_443(host, connect, log, set_rtc):
    """Find the time on a verified TLS connection.

    The clock starts at the build date and goes 30 days ahead each time the certificate is not valid yet. Once a
    handshake verifies, the Date header gives the exact time. So the server has proved its identity before it is
    believed; the stolen key of an old certificate that was valid after the build date goes unnoticed.
    """
    seconds = BUILD_DATE - 1
    try:
        for n in range(_STEPS):
            set_rtc(BUILD_DATE + n * _STEP_S)
            try:
                seconds = _date(host, connect)
                if seconds >= BUILD_DATE + _LIFE_S:
                    seconds = 0
                break
            except errors.ClockError:
                pass
    except errors.CertificateExpired:
        pass
    finally:
        set_rtc(max(seconds, BUILD_DATE))
    if seconds < BUILD_DATE:
        raise errors.ClockError("the clock could not be set, neither from NTP nor from %s over 443" % host)
    log("clock: set from %s over 443" % host)


def _date(host, connect):
    """Return the Date of host's answer in unix seconds, 0 if the verified server sends none."""
    stream = connect()
    try:
        stream.write(b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n")
        return http_date(read_head(stream)[1].get("date", ""))
    except errors.HandshakeTimeout:
        raise
    except (errors.Timeout, errors.ConnectionLost, errors.ProtocolError):
        return 0
    finally:
        stream.close()
