"""A console that a test reads and answers instead of a user."""

from collections.abc import Callable

from mqtt443_tools.support.console import Console


class ScriptedConsole(Console):
    """Records the output, and lets a function answer the questions.

    Args:
        said: receives each line.
        answer: takes a question; default: yes to all.
    """

    def __init__(self, said: list[str], answer: Callable[[str], bool] = lambda _: True) -> None:
        super().__init__()
        self._said = said
        self._answer = answer

    def say(self, line: str, style: str = "") -> None:  # noqa: ARG002
        """See Console."""
        self._said.append(line)

    def confirm(self, question: str, unattended: str = "") -> bool:  # noqa: ARG002
        """See Console."""
        return self._answer(question)

    def confirm_name(self, question: str, name: str) -> bool:  # noqa: ARG002
        """See Console."""
        return self._answer(question)
