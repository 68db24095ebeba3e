"""The board's clock: set from NTP, else over port 443, before any certificate is judged by it.

Certificates are verified while the time is found, too: see `_over_443`. On a host without `machine.RTC` the clock
belongs to the host and is only looked at. When to set it is `app`'s decision.
"""

from . import errors
from ._port import EPOCH, calendar, const, unix_time
from .http import read_head

# No clock is right that is before this release; the floor for everything below. 2026-11-01 in unix seconds.
BUILD_DATE = const(1793491200)

# Certificates of AWS endpoints live over a year: steps of 30 days cannot jump over one. Ten years of steps.
_STEP_S = const(2592000)
_STEPS = const(122)
_NTP_TRIES = const(3)
_NTP_TIMEOUT_S = const(2)

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def rtc_setter():
    """Return a function that sets the clock to unix seconds, or None where there is no `machine.RTC`."""
    try:
        from machine import RTC
    except ImportError:
        return None

    def set_rtc(unix_s):
        t = calendar(unix_s)
        RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))

    return set_rtc


def ntp(server):
    """Return unix seconds from an NTP server by the board's own `ntptime`; raise OSError if it does not answer."""
    try:
        import ntptime
    except ImportError:
        raise OSError("this image has no ntptime")
    ntptime.host = server
    ntptime.timeout = _NTP_TIMEOUT_S
    for _ in range(_NTP_TRIES - 1):
        try:
            return ntptime.time() + EPOCH
        except OSError:
            pass  # UDP: a lost packet is no news
    return ntptime.time() + EPOCH


def http_date(text):
    """Return unix seconds of an HTTP date such as "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).

    Raises ProtocolError for anything else.
    """
    try:
        day, month, year, clock, zone = text.split(", ", 1)[1].split(" ")
        at = _MONTHS.index(month)
        hour, minute, second = [int(part) for part in clock.split(":")]
        if at % 3 or len(month) != 3 or zone != "GMT":
            raise ValueError
        return unix_seconds(int(year), at // 3 + 1, int(day)) + hour * 3600 + minute * 60 + second
    except (ValueError, IndexError):
        raise errors.ProtocolError("no HTTP date: " + text[:40])


def unix_seconds(year, month, day):
    """Return unix seconds of midnight UTC of a day of the Gregorian calendar, 1970 to 2099."""
    # Own arithmetic: `time.mktime` is UTC on boards and local time on hosts, and their epochs differ.
    days = (year - 1970) * 365 + (year - 1969) // 4 + day - 1
    for before in range(1, month):
        days += 28 if before == 2 else 30 if before in (4, 6, 9, 11) else 31
    if month > 2 and year % 4 == 0:
        days += 1
    return days * 86400


def set_clock(server, host, connect, log, *, sure=False, now=unix_time, set_rtc=None, ask_ntp=ntp):
    """Make the clock right enough for certificates, never earlier than BUILD_DATE.

    server: NTP server, empty for none. host: of the endpoint. connect: opens a TLS stream to it for HTTP
    (`Transport.connect_http`). log: takes a line. sure: the clock was set before and nothing speaks against it, so no
    answer from NTP is no harm. now, set_rtc, ask_ntp: seams (unix seconds; a setter or None; server -> unix seconds).

    Raises ClockError if the time cannot be found, and what the network raises on the way.
    """
    if set_rtc is None:
        if now() < BUILD_DATE:
            raise errors.ClockError("this host's clock is before this release; set it")
    elif not (server and _from_ntp(server, log, set_rtc, ask_ntp)) and not (sure and now() >= BUILD_DATE):
        _over_443(host, connect, log, set_rtc)


def _from_ntp(server, log, set_rtc, ask_ntp):
    try:
        seconds = ask_ntp(server)
    except OSError as e:
        log("clock: no answer from NTP server %s (%s)" % (server, e))
        return False
    if seconds < BUILD_DATE:
        log("clock: NTP server %s gives a time in the past; not taken" % server)
        return False
    set_rtc(seconds)
    log("clock: set from NTP")
    return True


def _over_443(host, connect, log, set_rtc):
    """Find the time on a verified TLS connection.

    The clock starts at the build date and goes 30 days ahead each time the certificate is not valid yet. The first
    handshake that verifies names the exact time in the Date header. So the server is proven before it is believed; what
    this cannot see is the stolen key of an old certificate that was valid after the build date.
    """
    guess = BUILD_DATE
    for _ in range(_STEPS):
        set_rtc(guess)
        try:
            seconds = _date(host, connect)
        except errors.ClockError:
            guess += _STEP_S
            continue
        except errors.CertificateExpired:
            break
        except errors.Mqtt443Error:
            set_rtc(BUILD_DATE)
            raise
        if seconds < BUILD_DATE:
            break
        set_rtc(seconds)
        log("clock: set from %s over 443" % host)
        return
    set_rtc(BUILD_DATE)
    raise errors.ClockError("the clock could not be set, neither from NTP nor from %s over 443" % host)


def _date(host, connect):
    """Return the Date of host's answer in unix seconds, 0 if a server that is proven gives none."""
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
