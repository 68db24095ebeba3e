"""The member `errors` of a message: which readings failed, and why. Imported on demand."""

import json

from ._port import utf8


def member(errors, left):
    """Return the member as JSON text, in up to left bytes.

    errors: a list of (name, why), with None for a failure that is only counted. name: as given by the user's code.
    """
    text = ""
    more = 0
    left -= 40  # for the name of the member, and "..."
    for error in errors:
        if error:
            try:
                name = utf8(str(error[0]).encode())[:60]
            except KeyboardInterrupt:
                raise
            except BaseException:
                name = "(not UTF-8)"
            part = ", %s: %s" % (json.dumps(name), json.dumps(error[1]))
            size = len(part.encode())
            if size <= left:
                left -= size
                text += part
                continue
        more += 1
    if more:
        text += ', "...": "%d more"' % more
    return ', "errors": {%s}' % text[2:]
