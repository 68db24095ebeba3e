"""A push, in order: stop the program, compare, ask, send the files under other names, swap them in, restart.

The old files stay untouched until the last byte is on the board; then one short program on the board swaps in the new
ones. A pulled cable leaves the old version or the new one; a power cut during that program leaves a mixture of complete
files that at worst ends at the prompt. In every case, push works again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from mqtt443_tools.push import board_programs
from mqtt443_tools.push.board_programs import NEW, About
from mqtt443_tools.push.board_tree import CONFIG, Settings, folders, program
from mqtt443_tools.push.plan import (
    PUSH_RECORD,
    UPDATES,
    Plan,
    compare,
    foreign_programs,
    is_code,
    overwrite_conflict,
    push_record,
)
from mqtt443_tools.push.serial_repl import Link, LinkError
from mqtt443_tools.support.compile_mpy import MPY_VERSION
from mqtt443_tools.support.console import Advance, Console
from mqtt443_tools.support.errors import CommandError

BLOCK_BYTES = 4096
"""The least flash that littlefs gives to a file."""

RESERVE_BYTES = 4 * BLOCK_BYTES
"""Flash that must stay free: littlefs needs blocks for its own work."""


@dataclass(frozen=True)
class PushRequest:
    """What to push, and how.

    Attributes:
        settings: the config.
        own: the board's own files, its config among them.
        source: send the package as source.
        dry_run: change nothing.
        start: restart the board at the end.
    """

    settings: Settings
    own: Mapping[str, bytes]
    source: bool = False
    dry_run: bool = False
    start: bool = True


@dataclass(frozen=True)
class PushResult:
    """The result of a push; `running` says whether the board's program was restarted."""

    sent: tuple[str, ...]
    removed: tuple[str, ...]
    same: int
    size_bytes: int
    running: bool


def push(link: Link, request: PushRequest, console: Console) -> PushResult:
    """Put our files onto a board.

    Args:
        link: the board.
        request: what to push.
        console: for output, and to ask before a newer config.json is overwritten.

    Raises:
        CommandError: the push failed; the board keeps its old files, and runs them if it can.
    """
    console.say("stopping the program on the board")
    link.stop_program()
    with _restarted_on_error(link, console):
        board = board_programs.about(link)
        plan = _compare(link, board, request, console)
        if plan.send and not request.dry_run:
            _send(link, board, plan, console)
        if plan.remove and not plan.send and not request.dry_run:
            board_programs.settle(link, [], plan.remove)
    if request.start:
        link.restart()
        console.say("the board was reset and runs main.py: watch it with `mqtt443 monitor`")
    else:
        link.leave()
        console.say("the board is at its prompt: main.py runs after the next reset")
    return PushResult(tuple(plan.send), plan.remove, len(plan.same), plan.size_bytes, request.start)


@contextmanager
def _restarted_on_error(link: Link, console: Console) -> Iterator[None]:
    """Restart the board with its old files if the push changes nothing after all."""
    try:
        yield
    except BaseException:  # Ctrl-C too
        with suppress(LinkError):
            link.restart()
            console.say("the board was reset and runs its old program")
        raise


def _compare(link: Link, board: About, request: PushRequest, console: Console) -> Plan:
    console.say(f"board: MicroPython {'.'.join(map(str, board.version))} on {board.machine}")
    frozen = board.frozen is not None
    if frozen:
        console.say(f"its image has mqtt443 {board.frozen} built in, which takes precedence: the package is not sent")
    if not (frozen or request.source) and board.mpy_version != MPY_VERSION:
        raise CommandError(f"the board loads .mpy version {board.mpy_version}, not {MPY_VERSION}: add --source")
    desired = {**program(source=request.source, arch=board.arch, package=not frozen), **request.own}
    present = board_programs.hashes(link, [*desired, PUSH_RECORD, *UPDATES], folders(desired))
    record = board_programs.read(link, PUSH_RECORD) if PUSH_RECORD in present else None
    board_programs.refuse_obstacles(link, [*desired, PUSH_RECORD], folders(desired))
    # The config and the record about it come last: a board with new code and an old config still works.
    last = {CONFIG: desired.pop(CONFIG), PUSH_RECORD: push_record(request.settings, desired)}
    plan = compare({**desired, **last}, present, package=not frozen)
    for name, content in plan.send.items():
        console.say(f"  {'new' if name in plan.new else 'changed':8}{name:28}{len(content):>9,} B")
    for name in plan.remove:
        console.say(f"  {'remove':8}{name}")
    console.say(f"{len(plan.send)} to send ({plan.size_bytes:,} B), {len(plan.same)} unchanged")
    for conflict in _conflicts(link, request, plan, present, record):
        if request.dry_run:
            console.say(f"push would ask first: {conflict}")
            continue
        question = f"{conflict[0].upper()}{conflict[1:]}. Overwrite it?"
        if not console.confirm(question, f"{conflict}; to overwrite it"):
            raise CommandError("nothing was sent: the board keeps everything that it has")
    return plan


def _conflicts(
    link: Link, request: PushRequest, plan: Plan, present: Mapping[str, bytes], record: bytes | None
) -> Iterator[str]:
    """Yield the files on the board that are not ours and would be overwritten."""
    for name in foreign_programs(plan, present, record):
        if is_code(board_programs.read(link, name)):
            yield f"the board's {name} is a program that push did not send"
    conflict = overwrite_conflict(request.settings, present.get(CONFIG), record)
    if conflict is not None:
        yield conflict


def _send(link: Link, board: About, plan: Plan, console: Console) -> None:
    needed_bytes = sum(-len(content) // BLOCK_BYTES * -BLOCK_BYTES for content in plan.send.values()) + RESERVE_BYTES
    if needed_bytes > board.free_bytes:
        raise CommandError(
            f"the new files need {needed_bytes:,} B beside the old ones, and the board has {board.free_bytes:,} B "
            "free: remove files of yours from it (`mpremote rm`), then push again"
        )
    board_programs.make_folders(link, folders(plan.send))
    with console.progress("writing") as advance:
        before = 0
        for name, content in plan.send.items():
            link.write(name + NEW, content, partial(_advance_from, advance, before, plan.size_bytes))
            before += len(content)
    board_programs.settle(link, list(plan.send), plan.remove)


def _advance_from(advance: Advance, before: int, total: int, done: int) -> None:
    """Report the progress of one file as a part of the whole."""
    advance(before + done, total)
