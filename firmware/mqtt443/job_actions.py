"""The action of each job: checks its document, and carries out everything that needs no bundle. Imported on demand by
`jobs`.

A job that changes what the board runs continues after a reset, on trial: see `trial`.
"""

import json

from ._port import VERSION, const, phase
from .job_end import Finished, fail, refuse
from .job_record import index_crc, save
from .slots import STARTS, clear_slot, read_slot, running_slot, write_slot

_VERSION = const(1)
# The members of each action's document, besides "mqtt443" and "action".
_MEMBERS = {
    "restart": (),
    "report": (),
    "command": ("name", "args"),
    "config": ("set", "delete", "within_s"),
    "password": ("password", "within_s"),
    "files": ("bundle",),
    "package": ("version", "bundle"),
}
_FILES_WITHIN_S = const(300)


def carry_out(jobs, document, details):
    """Carry out a job that has just begun; raise Finished at its end.

    jobs: a `Jobs`. document: of the job. details: the status details of the execution.
    Returns True if a bundle must be fetched, False if the board must be reset for the job.
    """
    action = jobs.record["action"] = _action(document)
    if details.get("step"):
        # The power failed before the record was on flash. Only actions that may run twice are started again.
        if action == "restart":
            done()
        if action == "command":
            fail("in progress before a reset; its result is unknown")
    if action == "report":
        with phase():
            from .command_context import CommandContext

            done(json.dumps(CommandContext(jobs.app).report()))
    elif action == "restart":
        jobs.restart("restart")
    elif action == "command":
        _command(jobs, document)
    elif action in ("files", "package"):
        return True
    else:
        with phase():
            from .job_config import prepare

            within_s = prepare(jobs.app, document)
        jobs.restart("trial", within_s=within_s, path=jobs.app.path)
    return False


def _action(document):
    """Return the action of a document; raise Finished if this board does not know it."""
    if not isinstance(document, dict):
        refuse("the job document is not a JSON object")
    version = document.get("mqtt443")
    if type(version) is not int or version != _VERSION:
        refuse("the job document is not of version %d", _VERSION)
    action = document.get("action")
    if action not in _MEMBERS:
        refuse("unknown action %r", str(action)[:32])
    for member in document:
        if member not in ("mqtt443", "action") and member not in _MEMBERS[action]:
            refuse("unknown member %r", member[:32])
    if action == "package" and not isinstance(document.get("version"), str):
        refuse("version is missing")
    return action


def take_up(jobs):
    """Resume a job that this board has begun; returns the same as `carry_out`."""
    record = jobs.record
    step = record.get("step")
    if step in ("restart", "done"):
        done(record.get("report"))
    elif step == "failed":
        fail("%s", record["reason"])
    elif step == "run":
        fail("a reset interrupted it; it may have run or not")
    elif step == "download":
        return True
    elif step == "switch":
        _switched(jobs)
    else:
        jobs.reset()
    return False


def install(jobs):
    """Install the bundle that was fetched."""
    if jobs.record["action"] == "package":
        _switch(jobs, "b" if running_slot() == "a" else "a")
    else:
        jobs.restart("swap", within_s=_FILES_WITHIN_S, index=index_crc(jobs.app.root))


def done(report=None):
    """Raise Finished with SUCCEEDED. report: a text for the details, or None."""
    details = {"version": VERSION}
    if report:
        details["report"] = report
    raise Finished("SUCCEEDED", details)


def _command(jobs, document):
    """Run a command as if it had come on the board's command topic."""
    app = jobs.app
    name, arguments = document.get("name"), document.get("args", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        refuse("a command has a name, and args that are an object")
    if name == "restart":
        jobs.restart("restart")
        return
    jobs.step("run")
    try:
        with phase():
            from .command_context import CommandContext
            from .commands import call

            context = CommandContext(app)
            report = call(name, arguments, context)
            app.interval_ms, app.next_reading_at = context.interval_ms, context.next_reading_at
    except ValueError as e:
        fail("%s", e)
    if report is not None:
        jobs.record["report"] = json.dumps(report)
    jobs.record["step"] = "done"
    save(app.root, jobs.record)
    done(jobs.record.get("report"))


def _switch(jobs, slot):
    """Make the next start use that slot, on trial."""
    root = jobs.app.root
    jobs.secure()
    if read_slot(root)[1] == "!":
        write_slot(root, running_slot(), "-")  # the failure of an earlier job
    if jobs.record.get("step") != "switch":
        jobs.step("switch", slot=slot)
    write_slot(root, slot, STARTS)
    jobs.reset()


def _switched(jobs):
    """Report how the trial of a package ended."""
    slot, starts, why = read_slot(jobs.app.root)
    wanted = jobs.record["slot"]
    if slot == wanted and starts == "-":  # the power failed before the record was updated
        done()
    if slot == wanted and starts == STARTS:
        clear_slot(jobs.app.root)
        fail("the board's boot.py has no slots; push once with the cable")
    if slot != wanted and starts == "!":
        fail("%s", why or jobs.record.get("reason") or "it did not connect and publish in two starts")
    _switch(jobs, wanted)
