"""A push, in order: stop the program, look, ask, send everything beside, put it in place, start the board again.

Until the last byte is on the board, its old files are untouched; then one short program on the board puts the new ones
in place. So a cable that is pulled leaves the old version, the new one, or (power gone within that short program) a
mixture of whole files that at worst ends at the prompt; each can be pushed again.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from mqtt443_tools.push import board_programs
from mqtt443_tools.push.board_programs import MPY_VERSION, NEW, About
from mqtt443_tools.push.board_tree import CONFIG, Settings, folders, program
from mqtt443_tools.push.plan import NOTE, Plan, compare, doubt, note
from mqtt443_tools.push.serial_repl import Link, LinkError
from mqtt443_tools.support.errors import CommandError

BLOCK_BYTES = 4096
"""Of flash that littlefs gives a file at least."""

RESERVE_BYTES = 4 * BLOCK_BYTES
"""Of flash that must stay free: littlefs needs blocks for its own work."""


class Talk(Protocol):
    """Who is told, and asked."""

    def say(self, line: str) -> None:
        """Take a line."""

    def writing(self) -> AbstractContextManager[None]:
        """Return a context in which `progress` shows."""

    def progress(self, done: int, total: int) -> None:
        """Take the bytes written so far, and those of all."""

    def ask_overwrite(self, why: str) -> bool:
        """Return whether the board's config.json may go although `why`."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        settings: the config.
        own: the board's own files, its config among them.
        source: send the package as source.
        dry: change nothing.
        start: start the board again in the end.
    """

    settings: Settings
    own: Mapping[str, bytes]
    source: bool = False
    dry: bool = False
    start: bool = True


@dataclass(frozen=True)
class Done:
    """What was done; `running` is whether the board's program was started again."""

    sent: tuple[str, ...]
    removed: tuple[str, ...]
    same: int
    size_bytes: int
    running: bool


def push(link: Link, wish: Wish, talk: Talk) -> Done:
    """Put our files onto a board. Raises CommandError; the board then holds what it held, and runs it if it can."""
    talk.say("stopping what runs on the board")
    link.stop_program()
    with _started_again(link, talk):
        board = board_programs.about(link)
        plan = _look(link, board, wish, talk)
        if plan.send and not wish.dry:
            _send(link, board, plan, talk)
        if plan.remove and not plan.send and not wish.dry:
            board_programs.settle(link, [], plan.remove)
    if wish.start:
        link.restart()
        talk.say("the board was reset and runs main.py: watch it with `mqtt443 monitor`")
    else:
        link.leave()
        talk.say("the board is at its prompt: main.py runs after the next reset")
    return Done(tuple(plan.send), plan.remove, len(plan.same), plan.size_bytes, wish.start)


@contextmanager
def _started_again(link: Link, talk: Talk) -> Iterator[None]:
    """Start the board again, with what it holds, if it is not to be changed after all."""
    try:
        yield
    except BaseException:  # Ctrl-C too
        with suppress(LinkError):
            link.restart()
            talk.say("the board was reset and runs what it held before")
        raise


def _look(link: Link, board: About, wish: Wish, talk: Talk) -> Plan:
    talk.say(f"board: MicroPython {'.'.join(map(str, board.version))} on {board.machine}")
    frozen = board.frozen is not None
    if frozen:
        talk.say(f"its image has mqtt443 {board.frozen} built in, which comes first: the package is not sent")
    if not (frozen or wish.source) and board.mpy_version != MPY_VERSION:
        raise CommandError(f"the board loads .mpy version {board.mpy_version}, not {MPY_VERSION}: add --source")
    wanted = {**program(source=wish.source, arch=board.arch, package=not frozen), **wish.own}
    there = board_programs.hashes(link, [*wanted, NOTE], folders(wanted))
    noted = board_programs.read(link, NOTE) if NOTE in there else None
    why = doubt(wish.settings, there.get(CONFIG), noted)
    # The config and the note about it come last: a board with new code and an old config still works.
    last = {CONFIG: wanted.pop(CONFIG), NOTE: note(wish.settings)}
    plan = compare({**wanted, **last}, there, package=not frozen)
    for name, content in plan.send.items():
        talk.say(f"  {'new' if name in plan.new else 'changed':8}{name:28}{len(content):>9,} B")
    for name in plan.remove:
        talk.say(f"  {'remove':8}{name}")
    talk.say(f"{len(plan.send)} to send ({plan.size_bytes:,} B), {len(plan.same)} as they should be")
    if why is not None and wish.dry:
        talk.say(f"push would ask first: {why}")
    elif why is not None and not talk.ask_overwrite(why):
        raise CommandError("the board keeps its config.json and all else; nothing was sent")
    return plan


def _send(link: Link, board: About, plan: Plan, talk: Talk) -> None:
    needed_bytes = sum(-len(content) // BLOCK_BYTES * -BLOCK_BYTES for content in plan.send.values()) + RESERVE_BYTES
    if needed_bytes > board.free_bytes:
        raise CommandError(
            f"{needed_bytes:,} B do not fit beside the old files, {board.free_bytes:,} B are free on the board: "
            "remove files of yours from it (`mpremote rm`), then push again"
        )
    board_programs.make_folders(link, folders(plan.send))
    with talk.writing():
        before = 0
        for name, content in plan.send.items():
            link.write(name + NEW, content, partial(_add, talk, before, plan.size_bytes))
            before += len(content)
    board_programs.settle(link, list(plan.send), plan.remove)


def _add(talk: Talk, before: int, total: int, done: int) -> None:
    talk.progress(before + done, total)
