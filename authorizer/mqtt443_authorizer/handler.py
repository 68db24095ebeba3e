"""The Lambda function that AWS IoT Core asks: who is this device, and what may it do?

Parse the event (event.py), look the user name up (store.py), verify the password (secret.py), make the policy
(policy.py), answer, and log the decision in one JSON line. Everything that is not a clean yes is a no: it fails closed.
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

    :param event: see event.py
    :param context: of the Lambda runtime; its `invoked_function_arn` gives partition, region and account
    :return: "Defining your Lambda function" (AWS IoT Core Developer Guide, custom authentication)
    """
    try:
        authorizer = _from_environment()
    except AuthorizerError as error:
        _log({**describe(event), "decision": "refuse", "reason": f"not configured: {error}"})
        return _refusal()
    return authorizer.decide(event, context)


class Authorizer:
    """Decides about logins.

    :param store: of the registered devices
    :param template: of their policies
    :param refresh_s: 300..86,400 seconds until AWS asks again
    :param disconnect_s: 300..86,400 seconds until AWS ends the connection
    :param clock: gives seconds from any start, for the duration in the log
    :param log: takes one decision, as an object that JSON can hold
    :param now: gives Unix seconds, for secrets with an end
    """

    def __init__(  # noqa: PLR0917  the seams, all of them
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
        """Answer one event and log why; never raises."""
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
        except Exception as error:  # a bug of ours must be a no; its text may hold what must not be logged
            line.update(decision="refuse", reason=f"internal error: {type(error).__name__}")
            answer = _refusal()
        line["duration_ms"] = round((self._clock() - started) * 1000, 3)
        self._log(line)
        return answer

    def _identify(self, login: Login) -> tuple[Device, int]:
        """Find the device that logs in, and the index of the secret that it used.

        :raises Refused: after the same hashing work whatever the reason, see secret.py
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
        """Leave out the secrets whose end has come; only the last one, the old one of a rotation, has an end."""
        now = self._now()
        return tuple(each for each in secrets if not each.expires_at or now < each.expires_at)


def principal_id(client_id: str) -> str:
    """Make the principal of a client id: readable, and within AWS's `[a-zA-Z0-9]{1,128}`.

    Up to 64 letters and digits of the client id, then all 64 hexadecimal digits of its SHA-256: two client ids with one
    principal would be a collision of SHA-256. No shorter injective form exists, as 128 bytes do not fit into 128
    characters of 62 kinds.
    """
    readable = "".join(char for char in client_id if char.isascii() and char.isalnum())
    return readable[:PRINCIPAL_PREFIX_CHARS] + hashlib.sha256(client_id.encode()).hexdigest()


def _refusal() -> Answer:
    # The principal is there because AWS validates it where it looks at it, and means nobody.
    return {"isAuthenticated": False, "principalId": "refused"}


def _log(line: dict[str, object]) -> None:
    with suppress(OSError, ValueError):  # stdout is gone: nobody is left to tell, and handler() never raises
        print(json.dumps(line, separators=(",", ":")), flush=True)


@cache  # for warm starts; what raises is not cached, so a failed start is tried again at the next event
def _from_environment() -> Authorizer:
    chosen = settings.from_environment(os.environ)
    store = open_store(chosen.store)
    template = Template.load(chosen.policy_path)
    return Authorizer(store, template, chosen.refresh_s, chosen.disconnect_s, time.perf_counter, _log)
