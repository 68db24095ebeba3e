"""AWS IoT Jobs over the board's one connection: starts pending jobs, and reports how they went.

Imported on demand, after each connect and when the server announces a job. The App's own `step` does the waiting, so
telemetry goes on meanwhile. AWS IoT developer guide, "Jobs device MQTT API operations": the server answers the client
that asked, without a subscription. `job_actions` carries the jobs out, `job_files` fetches bundles too large for a
document, and `job_record` keeps the state that survives a reset. docs/updates.md describes the documents.
"""

import json

from . import errors
from ._port import VERSION, const, phase, ticks_add, ticks_diff
from .job_end import Finished, fail, refuse
from .job_record import OUTBOX_BYTES, clear, load, save

# How many updates may be refused in one look, as after a job was cancelled meanwhile.
_MAX_REFUSED = const(3)
_MAX_DETAIL = const(1000)  # AWS allows 1,024 characters for each status detail
# What one denial adds to the App's `subscribed`; see `command_context.subscribe`.
_DENIED = const(16)


class Unanswered(Exception):
    """The server did not answer. args: a line for the log."""


class Refused(Exception):
    """The server refused an update: the execution was cancelled, or its version has changed. args: a line for the
    log."""


def run(app):
    """End a trial, then carry out the pending jobs of this board; return whether to look again, which is False.

    app: an `App`. Raises errors of the connection; the job resumes after the next connect.
    """
    if app.trial_end_ms is not None and not _acknowledged(app):
        return False  # interrupted
    if not app.subscribed & 2:
        return False
    jobs = Jobs(app)
    app.client.set_callback(jobs.receive)
    refused = 0
    try:
        more = True
        while more and refused < _MAX_REFUSED:
            try:
                more = jobs.next()
            except Refused as e:
                app.log("jobs: " + e.args[0])
                refused += 1
    except Unanswered as e:
        app.log("jobs: " + e.args[0])
    finally:
        app.client.set_callback(app.receive)
    return False


def _acknowledged(app):
    """Run the App until the server has acknowledged a message, which ends a trial; return whether it has."""
    sender, note = app.sender, app.sender.on_sent
    acknowledged = []

    def on_sent(payload, refusal):
        if not refusal:
            acknowledged.append(1)
        note(payload, refusal)

    sender.on_sent = on_sent
    if app.outbox.empty():  # the first message was acknowledged already; the next reading may be hours away
        app.next_reading_at = app.ticks()
    try:
        while not acknowledged:
            if app.should_stop():
                return False
            app.step()
    finally:
        sender.on_sent = note
    with phase():
        from .trial import passed

        passed(app.root)
    app.trial_end_ms = None
    app.log("trial passed")
    return True


class Jobs:
    """One look for jobs. app: an `App`. `record` is the record of the job in progress, {} if there is none."""

    def __init__(self, app):
        self.app = app
        self.record = {}
        self.expected = b""  # `wait` waits for topics that begin with this
        self.replies = []
        self._base = "$aws/things/%s/jobs/" % app.config.client_id
        self._notified = False
        self._name = None  # the job's id
        self._version = 0  # of its execution, as counted by the server
        self._token = app.random(1000000)

    def receive(self, topic, message):
        """Take a message of the server, or hand a command to the App."""
        if topic[:1] != b"$":
            self.app.receive(topic, message)
        elif self.expected and topic.startswith(self.expected):
            self.replies.append((str(topic, "utf-8"), message))
        elif b"/jobs/notify" in topic:
            self._notified = True

    def wait(self, timeout_ms):
        """Wait up to timeout_ms for a reply in JSON; return (topic, values), None if none came."""
        app = self.app
        end = ticks_add(app.ticks(), timeout_ms)
        while True:
            while self.replies:
                topic, message = self.replies.pop(0)
                try:
                    values = json.loads(message)
                except ValueError:
                    continue
                if isinstance(values, dict):
                    return topic, values
            if app.should_stop():
                raise Unanswered("interrupted")
            if ticks_diff(end, app.ticks()) <= 0:
                return None
            app.step()

    def publish(self, topic, values):
        """Publish values as JSON with QoS 0: the answer acknowledges it."""
        self.app.client.publish(topic, json.dumps(values))

    def request(self, name, values):
        """Ask the server; return (whether it accepted, its values). Raises Unanswered."""
        self._token += 1
        token = values["clientToken"] = str(self._token)
        topic = self._base + name
        self.expected = topic.encode() + b"/"
        del self.replies[:]
        discarded = self.app.client.discarded
        self.publish(topic, values)
        end_ms = self.app.client.timeout_ms
        while True:
            reply = self.wait(end_ms)
            if reply is None:
                if self.app.client.discarded != discarded:
                    raise MemoryError("larger than max_message_bytes")
                raise Unanswered("no answer to %s" % name)
            if reply[1].get("clientToken") == token:
                return reply[0].endswith("/accepted"), reply[1]

    def next(self):
        """Start the next pending execution and carry it out; return whether there may be another one."""
        app = self.app
        self._notified = False
        self.record = load(app.root)
        execution = self._start_next()
        self._name = execution.get("jobId")
        # A board may get the same job again, with another number.
        key = "%s#%s" % (self._name, execution.get("executionNumber"))
        if self.record.get("id") not in (None, key):
            app.log("job %s: no longer ours" % self.record["id"])
            self._clear()
        if not self._name:
            return self._notified
        self._version = execution.get("versionNumber")
        app.log("job %s" % self._name)
        try:
            try:
                self._act(key, execution)
            except errors.Mqtt443Error as e:
                if not isinstance(e, errors.ConfigError):
                    raise
                refuse("%s", e.args[0])
            except MemoryError:
                fail("not enough memory")
            except OSError as e:
                fail("flash: %s", e)
            except (Finished, Refused, Unanswered):
                raise
            except Exception as e:  # a fault of ours: without an end the job would come again at each connect
                fail("%s: %s", type(e).__name__, e)
        except Finished as e:
            self._finish(e.args[0], e.args[1])
        return not app.should_stop()

    def _act(self, key, execution):
        """Carry the job out, or resume it; raise Finished at its end."""
        document = execution.get("jobDocument")
        if "jobDocument" not in execution and self.record.get("step") in (None, "download"):
            refuse("the job document is larger than max_message_bytes; set that to 1024")
        with phase():
            from .job_actions import carry_out, take_up

            if self.record:
                fetches = take_up(self)
            else:
                self.record = {"id": key}
                fetches = carry_out(self, document, execution.get("statusDetails") or {})
        if fetches:
            with phase():
                from .job_files import fetch

                fetch(self, document)
            with phase():
                from .job_actions import install

                install(self)

    def _start_next(self):
        """Return the next pending execution as a dict, {} if there is none."""
        app = self.app
        try:
            try:
                _, values = self.request("start-next", {})
            except Unanswered:
                # With MQTT 5 an answer that is too large is not even sent; but it may only have been lost.
                if not app.client.packets.mqtt5 or app.should_stop():
                    raise
                try:
                    _, values = self.request("start-next", {})
                except Unanswered:
                    if app.should_stop():
                        raise
                    raise MemoryError
        except MemoryError:
            # The document is too large; ask for the execution without it.
            _, values = self.request("$next/get", {"includeJobDocument": False})
            return values.get("execution") or {}
        except errors.ConnectionLost as e:
            if e.closed:  # AWS's way to refuse a PUBLISH
                app.subscribed += _DENIED
                if app.subscribed // _DENIED == 2:
                    app.log("no updates: the server does not let this board publish to %sstart-next" % self._base)
            raise
        app.subscribed %= _DENIED
        return values.get("execution") or {}

    def step(self, step, **more):
        """Report the job as in progress, then save the step (and more) for after a reset."""
        self.report("IN_PROGRESS", {"step": step})
        self.record["step"] = step
        self.record.update(more)
        save(self.app.root, self.record)

    def secure(self):
        """Put all readings on flash, so that a reset loses none; raise Finished if they do not fit."""
        outbox = self.app.outbox
        if not outbox.max_bytes:
            outbox.max_bytes = OUTBOX_BYTES
        if not outbox.save() and outbox.unsaved():
            fail("flash has no room for the readings that a restart would lose")

    def restart(self, step, **more):
        """Reset, and continue at that step."""
        self.secure()
        self.step(step, **more)
        self.reset()

    def reset(self):
        """End the loop with a reset."""
        self.app.shutdown = "job " + self._name[:64]

    def report(self, status, details):
        """Update the execution. Raises Unanswered, Refused."""
        for name in details:
            details[name] = details[name][:_MAX_DETAIL]
        values = {"status": status, "expectedVersion": self._version, "statusDetails": details}
        accepted, answer = self.request(self._name + "/update", values)
        if not accepted:
            code = answer.get("code")
            if code not in ("VersionMismatch", "RequestThrottled"):
                self._clear()
            raise Refused("%s was refused (%s)" % (status, code))
        self._version += 1

    def _finish(self, status, details):
        app = self.app
        reason = details.get("reason", "")
        app.log("job %s: %s %s" % (self._name, status, reason))
        self.report(status, details)
        self._clear()
        with phase():
            from .slots import running_slot

            slot = running_slot()
        app.news = {"version": VERSION, "slot": slot, "job": "%s %s" % (self._name, status)}
        app.next_reading_at = app.ticks()

    def _clear(self):
        clear(self.app.root, self.app.path)
        self.record = {}
