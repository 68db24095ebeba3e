"""The section Flash of docs/board.md shows what the command really prints, and every option it names is one."""

import re
from pathlib import Path

import pytest
from mqtt443_tools.flash import image_sources
from mqtt443_tools.flash.flash_command import flash
from mqtt443_tools.support.paths import ROOT

SECTION = re.split(r"^## ", (ROOT / "docs" / "board.md").read_text(), flags=re.MULTILINE)
FLASH = next(section for section in SECTION if section.startswith("Flash\n"))
GOLDEN = {path.stem: path.read_text() for path in Path(__file__).with_name("golden").iterdir()}


def test_documented_output_is_the_real_one() -> None:
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```$", FLASH, re.MULTILINE | re.DOTALL)
    shown = [text for language, text in blocks if not language]
    assert len(shown) == 2
    for text in shown:
        assert any(text.rstrip() in printed for printed in GOLDEN.values()), text


@pytest.mark.parametrize("message", re.findall(r"^\| `([^`-][^`]*)` \|", FLASH, re.MULTILINE))
def test_documented_message_exists(message: str) -> None:
    errors = [line for text in GOLDEN.values() for line in text.splitlines() if line.startswith("stderr: mqtt443: ")]
    assert any(message in line for line in errors)


def test_documented_options_and_hosts_exist() -> None:
    options = {f"--{name.replace('_', '-')}" for name in flash.__annotations__} | {"--json"}
    assert set(re.findall(r"`(--[a-z0-9]+)", FLASH)) <= options
    assert image_sources.MICROPYTHON.removeprefix("https://") in FLASH
