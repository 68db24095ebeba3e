"""Gives boards a new password over the air: a job for each board, and both passwords until the board uses the new one.

All boards of a job get the same document, and passwords differ: so the rollout to a fleet is here, and not in AWS IoT
Jobs. Nothing is kept on this computer. The name of a job follows from the secret, so that the same command goes on
where an earlier one ended.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import DeviceError, NotRegistered

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.device.registration import Added
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.update.follow_job import BoardResult, find_job, results
from mqtt443_tools.update.job_documents import Update
from mqtt443_tools.update.job_service import JobService

MAX_OPEN = 25
GROWTH = 5
"""How many times more boards may be open at once after each success; the first goes alone."""
SEEN_S = 120.0
"""How long a login may take to appear in the authorizer's log; in CloudWatch that is seconds."""
PROVEN_S = 600.0
"""A login with the new password that is older than this was not part of a trial, which ends after 120 s."""
TIMEOUT_MINUTES = 60
DELETE_TRIES = 10
BAD = frozenset({"failed", "skipped", "unclear"})
"""Results that need a person. A rollout stops after them, except after "skipped": nothing was sent to that board."""


@dataclass
class _Open:
    """A rotation that has begun.

    Attributes:
        device: with the new secret and the old one.
        job_id: of its job.
        since: when it was begun or found, by the clock.
        result: of its job on the board, None until that has ended.
        ended_at: when that was seen, by the clock.
    """

    device: Device
    job_id: str
    since: float
    result: BoardResult | None = None
    ended_at: float = 0.0


def job_name(device: Device) -> str:
    """Return the name of the job that brings a device its newest secret."""
    thing = hashlib.sha256(device.client_id.encode()).hexdigest()
    return f"rotate-{thing[:20]}-{device.secrets[0].salt.hex()[:20]}"


class Rotation:
    """Rotates the passwords of boards.

    Args:
        backend: where the devices are registered.
        service: where the jobs are.
        follow_s: seconds to wait for each board; one that has not ended its job by then keeps it.
        deliver: called with the new password before the old one ends; None if it is not needed.
        now: Unix seconds.
        clock: monotonic seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        backend: DeviceBackend,
        service: JobService,
        *,
        follow_s: float,
        deliver: Callable[[str], None] | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.not_deleted: list[str] = []
        """Jobs that could not be deleted, each with a password in its document."""
        self._backend = backend
        self._service = service
        self._follow_s = follow_s
        self._deliver = deliver
        self._now = now
        self._clock = clock
        self._sleep = sleep

    def run(self, client_ids: Sequence[str]) -> Iterator[BoardResult]:
        """Rotate; yield the result of each board as soon as it is known.

        The first board goes alone, and each success allows GROWTH times as many at once. After a failure no further
        board starts. Results are `done`, `waiting` (run it again), `failed` (only the old password is valid),
        `unclear` (both are valid), `skipped` and `not started`.

        Raises:
            CommandError, AuthorizerError: a call failed; boards that have begun keep both passwords.
        """
        waiting, begun, limit, is_stopped = deque(client_ids), list[_Open](), 1, False
        while begun or (waiting and not is_stopped):
            while waiting and len(begun) < limit and not is_stopped:
                client_id = waiting.popleft()
                try:
                    begun.append(self._begin(client_id))
                except (DeviceError, NotRegistered) as error:
                    yield BoardResult(client_id, "skipped", str(error))
            for each in list(begun):
                result = self._look(each)
                if result is not None:
                    begun.remove(each)
                    limit = min(limit * GROWTH, MAX_OPEN) if result.result == "done" else limit
                    is_stopped = is_stopped or result.result in BAD
                    yield result
            if begun:
                self._sleep(self._service.poll_s)
        for client_id in waiting:
            yield BoardResult(client_id, "not started", "")
        self._delete_rest()

    def _begin(self, client_id: str) -> _Open:
        device = self._backend.store.by_client_id(client_id)
        if device is None:
            raise NotRegistered(f"no device with the client id {client_id} is registered")
        live = registration.live_secrets(device, self._now())
        if len(live) > 1 and not live[1].expires_at:
            return _Open(device, job_name(device), self._clock())  # an earlier command began it
        self._service.find("delete_job", jobId=job_name(device), force=True)  # an earlier command could not
        if self._service.find("describe_thing", thingName=client_id) is None:
            self._service.call("create_thing", thingName=client_id)
        added = registration.begin_rotation(self._backend.store, client_id, now=self._now())
        job_id = job_name(added.device)
        try:
            # A secret knows the second in which it was made, and only a login after that counts as one with it.
            self._sleep(max(added.device.secrets[0].created_at + 1 - self._now(), 0.0))
            self._service.call(
                "create_job",
                jobId=job_id,
                targets=[self._service.arn("thing", client_id)],
                document=Update("password", {"password": added.password}, "").document(job_id),
                description="mqtt443 password",
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": TIMEOUT_MINUTES},
            )
        except BaseException:  # Ctrl-C too
            with suppress(CommandError):  # it may exist, and only its answer was lost
                self._service.find("delete_job", jobId=job_id, force=True)
            registration.take_back(self._backend.store, added)
            raise
        return _Open(added.device, job_id, self._clock())

    def _look(self, each: _Open) -> BoardResult | None:
        """Return the result of a board, None while it is open."""
        if each.result is None:
            each.result = self._job_result(each)
            each.ended_at = self._clock()
        if each.result is None:
            if self._clock() - each.since < self._follow_s:
                return None
            return self._result(each, "waiting", "the board has not ended its job")
        reported = each.result
        if reported.result in {"failed", "rejected"}:
            return self._take_back(each, reported.details)
        login = self._backend.last_login(each.device)
        if login is not None:
            secret, at = login
            if secret == 0 and (reported.result == "done" or self._now() - at > PROVEN_S):
                return self._finish(each)
            if secret > 0 and reported.result != "done":
                return self._take_back(each, f"its job was {reported.result}")
        if self._clock() - each.ended_at < SEEN_S:
            return None
        return self._result(each, "unclear", self._unclear(reported, login))

    def _job_result(self, each: _Open) -> BoardResult | None:
        """Return how a board ended its job, "deleted" if the job does not exist, and None if it goes on."""
        state = find_job(self._service, each.job_id)
        if state is None:
            return self._result(each, "deleted", "")
        if not state.has_ended:
            return None
        return next(results(self._service, each.job_id), self._result(each, "cancelled", ""))

    def _finish(self, each: _Open) -> BoardResult:
        if self._deliver is not None:
            self._deliver(self._password(each))
        registration.drop_old(self._backend.store, each.device.client_id, each.device.secrets[0])
        self._delete(each.job_id)
        return self._result(each, "done", "")

    def _take_back(self, each: _Open, why: str) -> BoardResult:
        registration.take_back(self._backend.store, Added(each.device, ""))
        self._delete(each.job_id)
        return self._result(each, "failed", why)

    def _password(self, each: _Open) -> str:
        found = self._service.find("get_job_document", jobId=each.job_id) or {}
        try:
            return str(json.loads(found["document"])["password"])
        except (KeyError, TypeError, ValueError):
            raise CommandError(
                f"{each.device.client_id} uses its new password, but the job with it was deleted, so --out cannot be "
                "written: run the command again without --out"
            ) from None

    @staticmethod
    def _unclear(reported: BoardResult, login: tuple[int, float] | None) -> str:
        if reported.result == "done":
            return "the authorizer has not seen the new password yet: run the command again later"
        if login is None:
            return f"its job was {reported.result}, and it has not logged in since: run the command again later"
        return f"its job was {reported.result}, but it logged in with the new password: run it again after 10 minutes"

    @staticmethod
    def _result(each: _Open, result: str, details: str) -> BoardResult:
        return BoardResult(each.device.client_id, result, details)

    def _delete(self, job_id: str) -> None:
        try:
            self._service.find("delete_job", jobId=job_id)
        except CommandError:  # AWS deletes ten at a time
            self.not_deleted.append(job_id)

    def _delete_rest(self) -> None:
        for _ in range(DELETE_TRIES):
            if not self.not_deleted:
                return
            self._sleep(self._service.poll_s)
            again, self.not_deleted = self.not_deleted, []
            for job_id in again:
                self._delete(job_id)
