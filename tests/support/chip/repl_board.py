# ruff: noqa: PTH116, PTH123 - MicroPython has no pathlib
"""What a board's firmware does on its serial console; runs inside unix MicroPython, its flash a littlefs at /.

boot.py and main.py at start, then the prompt: friendly and raw REPL with raw paste, Ctrl-A to Ctrl-D, as pyexec.c and
the ESP32's main loop do them. Arguments: `run`, or `raw` to start in the raw REPL without main.py; the file that is the
flash; the folder of the virtual board's shims; more folders that stand for what the image has frozen in. A soft
reset is the end of this process with one of the codes below; other resets go to the supervisor of shims/_world.py.
tests/support/chip/repl.py is on the other side of the pipes.
"""

import io
import os
import sys

import vfs

HOST = "/host"
SOFT_RESET_RAW, SOFT_RESET = 10, 11
UP = "\0"  # from here on the console listens, Ctrl-C too
PASTE_WINDOW = 128  # bytes, MICROPY_REPL_STDIN_BUFFER_MAX / 2

ALL = {"__name__": "__main__"}


def out(text):
    sys.stdout.write(text)


def key():
    """Return the next byte from the cable; Ctrl-C comes as KeyboardInterrupt."""
    got = sys.stdin.buffer.read(1)
    if not got:
        sys.exit(0)
    return got[0]


def execute(source, name):
    """Run source, print its traceback; a program that ends itself resets the board."""
    try:
        exec(compile(source, name, "exec"), ALL)
    except SystemExit:
        sys.exit(SOFT_RESET)
    except BaseException as error:
        return error
    return None


def run_file(name):
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return
    error = execute(source, name)
    if error is not None:
        sys.print_exception(error)


def answer(source):
    """Run a program from the raw REPL, and frame its output."""
    error = execute(source, "<stdin>")
    out("\x04")
    if error is not None:
        text = io.StringIO()
        sys.print_exception(error, text)
        out(text.getvalue())
    out("\x04")


def paste():
    """Take a program in raw paste mode, whose flow control asks for each window."""
    sys.stdout.buffer.write(bytes((ord("R"), 1, PASTE_WINDOW, 0, 1)))
    source = bytearray()
    while True:
        byte = key()
        if byte == 4:
            break
        source.append(byte)
        if len(source) % PASTE_WINDOW == 0:
            out("\x01")
    out("\x04")
    answer(bytes(source).decode())


def raw():
    out("raw REPL; CTRL-B to exit\n")
    line = bytearray()
    out(">")
    while True:
        try:
            byte = key()
            if byte == 1:
                if line == b"\x05A":
                    paste()
                else:
                    out("raw REPL; CTRL-B to exit\n")
            elif byte == 2:
                out("\n")
                return
            elif byte == 4:
                if not line:
                    out("OK\nMPY: soft reboot\n")
                    sys.exit(SOFT_RESET_RAW)
                out("OK")
                answer(bytes(line).decode())
            else:
                line.append(byte)
                continue
            line = bytearray()
            out(">")
        except KeyboardInterrupt:
            line = bytearray()


def friendly():
    out('MicroPython v1.26.1; Virtual board\nType "help()" for more information.\n>>> ')
    line = bytearray()
    while True:
        try:
            byte = key()
            if byte == 1:
                return
            if byte == 4 and not line:
                out("\nMPY: soft reboot\n")
                sys.exit(SOFT_RESET)
            if byte == 13:
                out("\n")
                error = execute(bytes(line).decode(), "<stdin>")
                if error is not None:
                    sys.print_exception(error)
                line = bytearray()
                out(">>> ")
            elif byte >= 32:
                line.append(byte)
                out(chr(byte))
        except KeyboardInterrupt:
            line = bytearray()
            out("\n>>> ")


def start(how, flash, shims, built_in):
    sys.path[:] = [HOST + shims]
    vfs.mount(vfs.VfsPosix("/"), HOST)
    import _flash

    _flash.BLOCKS = os.stat(HOST + flash)[6] // _flash.BLOCK_BYTES
    device = _flash.Flash(HOST + flash)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(device, mtime=True), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen"] + [HOST + folder for folder in built_in] + [HOST + shims, "/lib"]
    out(UP)
    steps = [lambda: run_file("boot.py")]
    if how == "run":
        steps += [lambda: run_file("main.py"), friendly]
    while True:
        steps = steps or [raw, friendly]
        step = steps.pop(0)
        try:
            step()
        except KeyboardInterrupt:  # between two lines of this file: a chip would not have noticed
            steps.insert(0, step)


start(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
