"""A command on its own terminal: its screen, and typed input."""

import os
import select
import subprocess
import termios
import time

WAIT_S = 40


class Terminal:
    """A command that has a terminal for all three of its streams; `screen` is what it printed so far."""

    def __init__(self, *command: str, **environment: str) -> None:
        self._master, slave = os.openpty()
        self.screen = ""
        inherited = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**inherited, **environment}, close_fds=True
        )
        os.close(slave)

    def wait_for(self, text: str) -> None:
        while text not in self.screen:
            assert self.read(), f"never said {text!r} but:\n{self.screen}"

    def wait_for_hidden(self, text: str) -> None:
        """Wait for a question whose answer is not shown; what is typed before that is."""
        self.wait_for(text)
        while termios.tcgetattr(self._master)[3] & termios.ECHO:
            assert self.process.poll() is None, self.screen
            time.sleep(0.01)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        while self.read():
            pass
        return self.process.wait(WAIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        os.close(self._master)

    def read(self) -> bool:
        """Read available output, or wait for some; return whether the other end is still open."""
        readable, _, _ = select.select([self._master], [], [], WAIT_S)
        assert readable, f"silent after:\n{self.screen}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)
