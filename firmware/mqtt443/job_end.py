"""How a job ends early: rejected for what its document asks, or failed for what happened. Imported on demand."""


class Finished(Exception):
    """The job has ended. args: its status, its details (texts by name)."""


def refuse(what, *values):
    """Raise Finished with REJECTED: the document asks for what this board does not do."""
    raise Finished("REJECTED", {"reason": what % values})


def fail(what, *values):
    """Raise Finished with FAILED: the job was tried."""
    raise Finished("FAILED", {"reason": what % values})
