"""How many files and connections this process may have open."""

from __future__ import annotations

import contextlib
import resource

LIKELY_MOST = 10240
"""The limit of macOS where it reports none (OPEN_MAX)."""


def raise_file_limit() -> int:
    """Raise the limit as far as the system allows; return the new limit (getrlimit(2), RLIMIT_NOFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIKELY_MOST if hard == resource.RLIM_INFINITY else hard
    if wanted > soft >= 0:
        with contextlib.suppress(ValueError, OSError):  # the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
