r"""The one rule, shared by host and board, for which bytes are a valid config.json.

A text in UTF-8, with or without a byte order mark, that is one JSON object (RFC 8259). NaN and Infinity are not JSON.
A character beyond U+FFFF is written literally, not as two `\u` escapes: MicroPython's parser does not join them, and a
single one is not a character (RFC 3629 section 3). tests/support/config_bytes.py has a case for each sentence.
"""

import json
import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile(r"(?<!\\)(?:\\\\)*(\\u[dD][89a-fA-F][0-9a-fA-F]{2})")


class ConfigTextError(ValueError):
    """These bytes are not a config.json; the text says where and what to do, without the file's name."""


def parse_config(content: bytes) -> dict[str, object]:
    """Return the object in the bytes of a config.json.

    Raises:
        ConfigTextError: they break the rule of this module.
    """
    text = _decode(content)
    if found := _SURROGATE.search(text):
        raise ConfigTextError(
            f"{found[1]} at line {_line(text, found.start(1))} is half a character; write the character itself"
        )
    try:
        config = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ConfigTextError(f"not valid JSON at line {error.lineno}; check commas, quotes, brackets") from error
    except (ValueError, RecursionError) as error:  # a number too long, an array too deep
        raise ConfigTextError(f"not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigTextError("must be one object in { }")
    return config


def _decode(content: bytes) -> str:
    if content.startswith(_UTF_16) or b"\0" in content[:4]:
        raise ConfigTextError("the text is UTF-16, not UTF-8; save it as UTF-8")
    content = content.removeprefix(BYTE_ORDER_MARK)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigTextError(
            f"byte 0x{content[error.start]:02x} at line {line} is not UTF-8 (perhaps Latin-1); save the file as UTF-8"
        ) from error


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a number in JSON")
