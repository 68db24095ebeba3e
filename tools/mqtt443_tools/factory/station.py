"""A factory station: flashes, registers, tests and labels the boards on its ports, one after another.

A device is registered when its board is in the loader, and its image is never a file, so no password stays on this
computer. A board that fails gives its device back: the next board gets it.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from mqtt443_authorizer.errors import AuthorizerError, NotRegistered

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.factory.arrivals import Arrivals
from mqtt443_tools.factory.batch import Recipe, Row, board_files, register
from mqtt443_tools.factory.record import FAILED, OK, STARTED, Entry, Record
from mqtt443_tools.flash import loader
from mqtt443_tools.flash.flash_errors import NoAnswerError, PortError
from mqtt443_tools.flash.image import Bundle, Image
from mqtt443_tools.flash.partitions import SECTOR_BYTES, file_system
from mqtt443_tools.flash.ports import open_port
from mqtt443_tools.push import bundle
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError

LOOK_S = 0.25


@dataclass(frozen=True)
class Job:
    """The work of a station.

    Attributes:
        image: for every board.
        recipe: what all devices share.
        compiled: the program, compiled once.
        backend: where devices are registered.
        arrivals: knows which boards have sent telemetry.
        timeout_s: how long a board may take to its first telemetry.
        label: makes the label of a client id and a MAC; raises CommandError.
        now: Unix seconds.
    """

    image: Image
    recipe: Recipe
    compiled: Mapping[str, bytes]
    backend: DeviceBackend
    arrivals: Arrivals
    timeout_s: float
    label: Callable[[str, str], None]
    now: Callable[[], float]


class Station:
    """The ports of one run.

    Args:
        rows: the devices of the table.
        record: of this run and those before it.
        job: the work on each board.
        console: for the output.

    Raises:
        CommandError: a device was registered by someone else, so its password must not be replaced.
    """

    def __init__(self, rows: Sequence[Row], record: Record, job: Job, console: Console) -> None:
        done = {entry.client_id: entry.mac for entry in record.entries if entry.result == OK}
        started = {entry.client_id for entry in record.entries}
        registered = {device.client_id for device in job.backend.store.all()}
        foreign = [row.client_id for row in rows if row.client_id in registered - started]
        if foreign:
            more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            raise CommandError(
                f"{foreign[0]} is registered already{more}, and not by this record: take it out of the table, or run "
                f"`mqtt443 device remove {foreign[0]}`"
            )
        self.existing = sum(row.client_id in done for row in rows)
        self.made = 0
        self.failed = 0
        self._waiting = deque(row for row in rows if row.client_id not in done)
        self._left = len(self._waiting)
        self._macs = {mac: client_id for client_id, mac in done.items()}
        self._record, self._job, self._console = record, job, console
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, ports: Sequence[str]) -> None:
        """Serve the ports until every device is done; what an error or Ctrl-C leaves can be resumed.

        Raises:
            CommandError: the record cannot be written.
        """
        if not self._left:
            return
        with ThreadPoolExecutor(len(ports)) as pool:
            serving = [pool.submit(self._serve, port) for port in ports]
            try:
                while serving:
                    ended, rest = wait(serving, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                    serving = list(rest)
                    for each in ended:
                        each.result()
            finally:
                self._stop.set()

    def _serve(self, port: str) -> None:
        """Take board after board on a port."""
        told: object = None
        while not self._stop.is_set():
            plugged = _identity(port)
            if plugged is None or not self._waiting:
                self._stop.wait(LOOK_S)
                continue
            try:
                board = loader.connect(open_port(port))
            except (NoAnswerError, PortError) as error:
                if told != plugged:
                    self._say(port, f"no board yet: {error}")
                told = plugged
                self._stop.wait(LOOK_S)
                continue
            except CommandError as error:
                self._say(port, f"{error}; unplug it", style="red")
            else:
                with board:
                    if not self._take(board, port):
                        continue
            while not self._stop.is_set() and _identity(port) == plugged:  # until this board has gone
                self._stop.wait(LOOK_S)

    def _take(self, board: loader.Board, port: str) -> bool:
        """Do everything with a board, or say why not; False if no device is waiting, though one may come back."""
        with self._lock:
            known = self._macs.get(board.mac)
            row = self._waiting.popleft() if known is None and self._waiting else None
        if known is not None:
            self._say(port, f"{board.mac} is {known} already: unplug it")
        if row is None:
            return known is not None
        try:
            self._make(row, board, port)
        except (CommandError, AuthorizerError) as error:
            self._give_back(row, board.mac, port, str(error))
        except BaseException as error:
            self._give_back(row, board.mac, port, type(error).__name__)
            raise
        return True

    def _make(self, row: Row, board: loader.Board, port: str) -> None:
        job = self._job
        job.image.check(board)
        self._note(row, board.mac, port, STARTED)
        with self._lock:
            _unregister(job.backend, row)  # from an attempt that failed or was interrupted
            password = register(row, job.backend, job.now())
        room = file_system(job.image.partitions(board.image_offset), board.flash_bytes)
        files = board_files(row, password, job.recipe, job.compiled)
        blocks = room.size // SECTOR_BYTES if room is not None else job.recipe.blocks
        own = Bundle(f"the files of {row.client_id}", bundle.image(files, blocks))
        job.arrivals.expect(row.client_id)
        board.write([(board.image_offset, job.image.data), (own.offset(room), own.data)], lambda _done, _total: None)
        board.restart()
        board.close()  # the port is the board's log from here on
        if not job.arrivals.wait(row.client_id, job.timeout_s, self._stop.is_set):
            reason = (
                "the run was stopped before its telemetry came"
                if self._stop.is_set()
                else f"no telemetry within {job.timeout_s:g} s"
            )
            raise CommandError(f"flashed, but {reason}")
        job.label(row.client_id, board.mac)
        self._note(row, board.mac, port, OK)
        with self._lock:
            self._macs[board.mac] = row.client_id
            self.made += 1
            self._left -= 1
            left = self._left
        self._say(port, f"{row.client_id} {board.mac} is done, {left} to go: unplug it", style="green")
        if not left:
            self._stop.set()

    def _give_back(self, row: Row, mac: str, port: str, reason: str) -> None:
        """Record a failure; the device waits for the next board, and its password is worth nothing."""
        with self._lock:
            self.failed += 1
            self._waiting.appendleft(row)
            with suppress(AuthorizerError):  # a store that is away: the next attempt removes it
                _unregister(self._job.backend, row)
        self._note(row, mac, port, FAILED, reason)
        self._say(port, f"{row.client_id} {mac} failed: {reason}; unplug it", style="red")

    def _note(self, row: Row, mac: str, port: str, result: str, detail: str = "") -> None:
        at = f"{datetime.fromtimestamp(self._job.now(), UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._record.add(Entry(at, row.client_id, mac, port, result, detail))

    def _say(self, port: str, line: str, style: str = "") -> None:
        self._console.say(f"{port}: {line}", style)


def _identity(port: str) -> object:
    """Return what changes when a board is unplugged and another comes to the same port; None without a port."""
    try:
        return [(each.st_ino, each.st_ctime_ns) for each in (os.lstat(port), os.stat(port))]  # noqa: PTH116
    except OSError:
        return None


def _unregister(backend: DeviceBackend, row: Row) -> None:
    with suppress(NotRegistered):
        registration.remove(backend.store, row.client_id)
