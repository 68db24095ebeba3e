"""The Lambda function that AWS IoT Core calls to authenticate a device and to get its policy.

It parses the event (event.py), looks up the user name (store.py), verifies the password (secret.py), renders the policy
(policy.py), answers, and logs the decision as one line of JSON. It fails closed: any error is a refusal.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hmac import compare_digest

from mqtt443_authorizer import settings
from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import AuthorizerError, Refused
from mqtt443_authorizer.event import Login, describe, parse, printable
from mqtt443_authorizer.policy import Template, iot_arn
from mqtt443_authorizer.secret import Secret, match
from mqtt443_authorizer.store import CredentialStore, open_store

Answer = dict[str, object]

PRINCIPAL_PREFIX_CHARS = 64


def handler(event: object, context: object) -> Answer:
    """Answer a custom authentication request of AWS IoT Core; never raises.

    Args:
        event: see event.py.
        context: of the Lambda runtime; its `invoked_function_arn` gives partition, region and account.

    Returns:
        The answer that "Defining your Lambda function" (AWS IoT Core Developer Guide, custom authentication) asks for.
    """
    try:
        authorizer = _from_environment()
    except AuthorizerError as error:
        _log({**describe(event), "decision": "refuse", "reason": f"not configured: {error}"})
        return _refusal()
    return authorizer.decide(event, context)


class Authorizer:
    """Decides whether a login is allowed.

    Args:
        store: of the registered devices.
        template: of their policies.
        refresh_s: seconds until AWS asks again, 300..86,400.
        disconnect_s: seconds until AWS ends the connection, 300..86,400.
        clock: returns monotonic seconds, for the duration in the log.
        log: called with each decision, an object that can be written as JSON.
        now: returns Unix seconds, for secrets that expire.
    """

    def __init__(  # noqa: PLR0917  everything from outside is passed in
        self,
        store: CredentialStore,
        template: Template,
        refresh_s: int,
        disconnect_s: int,
        clock: Callable[[], float],
        log: Callable[[dict[str, object]], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._template = template
        self._refresh_s = refresh_s
        self._disconnect_s = disconnect_s
        self._clock = clock
        self._log = log
        self._now = now

    def decide(self, event: object, context: object) -> Answer:
        """Answer one event and log the reason; never raises."""
        started = self._clock()
        line = describe(event)
        try:
            login = parse(event)
            line["username"] = printable(login.username)
            device, line["secret"] = self._identify(login)
            arn = iot_arn(getattr(context, "invoked_function_arn", None))
            answer: Answer = {
                "isAuthenticated": True,
                "principalId": principal_id(device.client_id),
                "disconnectAfterInSeconds": self._disconnect_s,
                "refreshAfterInSeconds": self._refresh_s,
                "policyDocuments": self._template.render(device, arn),
            }
            line.update(decision="allow", reason="the password matches", client_id=printable(device.client_id))
        except AuthorizerError as error:
            line.update(decision="refuse", reason=str(error))
            answer = _refusal()
        except Exception as error:  # a bug must be a refusal; the text may contain a secret
            line.update(decision="refuse", reason=f"internal error: {type(error).__name__}")
            answer = _refusal()
        line["duration_ms"] = round((self._clock() - started) * 1000, 3)
        self._log(line)
        return answer

    def _identify(self, login: Login) -> tuple[Device, int]:
        """Return the device that logs in and the index of the secret that it used.

        Raises:
            Refused: after the same amount of hashing for every reason, see secret.py.
        """
        device = self._store.by_username(login.username)
        secrets = self._live(device.secrets) if device else ()
        own_id = device is not None and (
            login.client_id is None or compare_digest(login.client_id.encode(), device.client_id.encode())
        )
        admit = device is not None and device.enabled and own_id
        index = match(secrets, login.password, admit=admit)
        if device is None:
            raise Refused("unknown user name")
        if index is None:
            raise Refused("wrong password")
        if not device.enabled:
            raise Refused("the device is disabled")
        if not own_id:
            raise Refused("the client id is not that of the user name")
        return device, index

    def _live(self, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        """Return the secrets that have not expired; only the old secret of a rotation has an expiry."""
        now = self._now()
        return tuple(each for each in secrets if not each.expires_at or now < each.expires_at)


def principal_id(client_id: str) -> str:
    """Derive a principal id from a client id: readable, and within AWS's `[a-zA-Z0-9]{1,128}`.

    It is up to 64 letters and digits of the client id, then the 64 hexadecimal digits of its SHA-256, so two client ids
    with the same principal id would be a collision of SHA-256. An injective encoding is impossible: 128 arbitrary bytes
    do not fit into 128 letters and digits.
    """
    readable = "".join(char for char in client_id if char.isascii() and char.isalnum())
    return readable[:PRINCIPAL_PREFIX_CHARS] + hashlib.sha256(client_id.encode()).hexdigest()


def _refusal() -> Answer:
    # AWS validates principalId if it is present; this value belongs to no device.
    return {"isAuthenticated": False, "principalId": "refused"}


def _log(line: dict[str, object]) -> None:
    with suppress(OSError, ValueError):  # stdout is closed, and handler() never raises
        print(json.dumps(line, separators=(",", ":")), flush=True)


@cache  # for warm starts; an exception is not cached, so the next event tries again
def _from_environment() -> Authorizer:
    chosen = settings.from_environment(os.environ)
    store = open_store(chosen.store)
    template = Template.load(chosen.policy_path)
    return Authorizer(store, template, chosen.refresh_s, chosen.disconnect_s, time.perf_counter, _log)
