"""How a job ends early: rejected because of its document, or failed because of an error. Imported on demand."""


class Finished(Exception):
    """The job has ended. args: its status, its details (texts by name)."""


def refuse(what, *values):
    """Raise Finished with REJECTED: the document asks for something that this board does not do."""
    raise Finished("REJECTED", {"reason": what % values})


def fail(what, *values):
    """Raise Finished with FAILED: the job was tried."""
    raise Finished("FAILED", {"reason": what % values})
