"""Topic names and topic filters, by the rules of AWS IoT Core.

MQTT 3.1.1 section 4.7 with AWS's differences: `a/#` does not match `a`; 256 bytes and 7 slashes at most; the prefix
`$aws/rules/<rule>/` (Basic Ingest) does not count. The policy decides who may use a topic.
"""

from __future__ import annotations

import re

from mqtt443_tools.localcore.localcore_errors import TopicError

BASIC_INGEST = re.compile(r"\$aws/rules/[^/]+/(?=.)", re.DOTALL)

SHARE = "$share/"
MAX_SHARE_NAME_BYTES = 128


def is_reserved(topic: str) -> bool:
    """Return whether a topic or filter begins with `$`, which AWS reserves."""
    return topic.startswith("$")


def is_basic_ingest(topic: str) -> bool:
    """Return whether a topic bypasses the broker and goes straight to a rule (`$aws/rules/<rule>/<topic>`)."""
    return BASIC_INGEST.match(topic) is not None


def is_shared(topic_filter: str) -> bool:
    """Return whether a filter is a shared subscription, `$share/NAME/FILTER`."""
    return topic_filter.startswith(SHARE)


def split_share(topic_filter: str) -> tuple[str, str]:
    """Split a valid shared filter into the name of its group and the filter of its topics."""
    name, _, rest = topic_filter.removeprefix(SHARE).partition("/")
    return name, rest


def has_wildcard(topic_filter: str) -> bool:
    """Return whether a valid filter has a wildcard; AWS sends it no retained messages."""
    return "+" in topic_filter or "#" in topic_filter


def check_topic(topic: str, *, max_bytes: int = 256, max_slashes: int = 7) -> None:
    """Check a topic name of a PUBLISH or a will. Raises TopicError."""
    _check_size(topic, max_bytes, max_slashes)
    if has_wildcard(topic):
        raise TopicError("a topic name holds no + or # [MQTT-3.3.2-2]", malformed=True)


def check_filter(topic_filter: str, *, max_bytes: int = 256, max_slashes: int = 7) -> None:
    """Check a topic filter of a SUBSCRIBE; the `$share/NAME/` of a shared one does not count. Raises TopicError."""
    if is_shared(topic_filter):
        name, topic_filter = split_share(topic_filter)
        if not name or "+" in name or "#" in name:
            raise TopicError("a share name is one character or more, no + and # [MQTT5-4.8.2-1]", malformed=True)
        if (size := len(name.encode())) > MAX_SHARE_NAME_BYTES:
            raise TopicError(f"its share name has {size} bytes, the limit is {MAX_SHARE_NAME_BYTES}")
    _check_size(topic_filter, max_bytes, max_slashes)
    levels = topic_filter.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        raise TopicError("# stands alone and last in a filter [MQTT-4.7.1-2]", malformed=True)
    if any("+" in level and level != "+" for level in levels):
        raise TopicError("+ stands alone in its level [MQTT-4.7.1-3]", malformed=True)


def _check_size(topic: str, max_bytes: int, max_slashes: int) -> None:
    if not topic:
        raise TopicError("it is empty [MQTT-4.7.3-1]", malformed=True)
    if "\0" in topic:
        raise TopicError("it holds U+0000 [MQTT-4.7.3-2]", malformed=True)
    counted = BASIC_INGEST.sub("", topic, count=1)
    if (size := len(counted.encode())) > max_bytes:
        raise TopicError(f"it has {size} bytes, the limit is {max_bytes}")
    if (slashes := counted.count("/")) > max_slashes:
        raise TopicError(f"it has {slashes} slashes, the limit is {max_slashes}")


def matches(topic_filter: str, topic: str) -> bool:
    """Return whether a valid filter matches a valid topic at AWS.

    `#` takes one level or more, so `a/#` matches `a/` and `a/b` but not `a` (Developer Guide, "MQTT"). A filter that
    begins with a wildcard matches no topic that begins with `$` [MQTT-4.7.2-1].
    """
    if is_reserved(topic) and topic_filter[0] in "+#":
        return False
    wanted, found = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        if len(found) < len(wanted):
            return False
        wanted.pop()
    elif len(wanted) != len(found):
        return False
    return all(level in {"+", part} for level, part in zip(wanted, found, strict=False))
