"""Every cause that `mqtt443 check` can name, and what to do about it. docs/board.md has this list; a test compares.

The steps find out which cause it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A cause.

    Attributes:
        code: for scripts; never changes.
        text: what is wrong, in a few words.
        fix: what to do.
    """

    code: str
    text: str
    fix: str


_ALL = (
    Cause("config", "config.json cannot be used", "correct config.json as the line above says"),
    Cause(
        "wrong_endpoint",
        "the endpoint does not exist",
        "set endpoint to the one that `mqtt443 cloud status` or `mqtt443 local` shows",
    ),
    Cause("port_closed", "nothing listens on that port", "check port; start the endpoint (`mqtt443 local`)"),
    Cause("port_blocked", "the port does not answer", "allow outgoing TCP to this port: a firewall or router drops it"),
    Cause("not_tls", "the port does not speak TLS", "check port: 443, or 8443 of `mqtt443 local`"),
    Cause(
        "wrong_ca",
        "the CA file does not match the server",
        "replace it with Amazon Root CA 1 and 3, or with the ca.pem of `mqtt443 local`",
    ),
    Cause("certificate_expired", "the server's certificate has expired", "renew it; restart `mqtt443 local`"),
    Cause(
        "clock_wrong",
        "the clock of this computer is wrong",
        "set it; a board sets its own by ntp_server or the endpoint",
    ),
    Cause("no_alpn", "this endpoint needs ALPN mqtt, which is not used", "set transport to alpn, wss or auto"),
    Cause(
        "no_websocket",
        "the endpoint does not support WebSocket",
        "set transport to alpn, or to tls for a domain configuration",
    ),
    Cause(
        "unknown_user",
        "the user name is not registered",
        "set username, or run `mqtt443 device add CLIENT_ID --out config.json`",
    ),
    Cause("wrong_password", "wrong password", "run `mqtt443 device rotate CLIENT_ID --out config.json`"),
    Cause("device_disabled", "the device is disabled", "run `mqtt443 device enable CLIENT_ID`"),
    Cause(
        "client_id_not_allowed", "the client id does not belong to the user name", "set client_id to the registered one"
    ),
    Cause(
        "not_authenticated",
        "the authorizer refuses user name, password or client id",
        "compare them with `mqtt443 device list`; the authorizer's log names the wrong one",
    ),
    Cause(
        "no_default_authorizer",
        "the endpoint has no default authorizer",
        "set authorizer, or run `mqtt443 cloud deploy`",
    ),
    Cause("no_such_authorizer", "no authorizer has that name", "set authorizer to an existing one"),
    Cause("authorizer_inactive", "the authorizer is inactive", "activate it: run `mqtt443 cloud deploy`"),
    Cause(
        "authorizer_crashes",
        "the authorizer fails",
        "find the exception in the output of `mqtt443 local`, or in the Lambda's log in CloudWatch",
    ),
    Cause(
        "authorizer_slow",
        "the authorizer takes more than 5 s",
        "give its Lambda more memory; its log in CloudWatch has the duration of each call",
    ),
    Cause("authorizer_not_invokable", "AWS IoT may not call the authorizer's Lambda", "run `mqtt443 cloud deploy`"),
    Cause(
        "token_refused",
        "the token or its signature is not accepted",
        "make new ones: `mqtt443 device rotate CLIENT_ID --out config.json`",
    ),
    Cause(
        "connect_not_allowed",
        "the policy lacks iot:Connect on the client id",
        "allow iot:Connect on client/CLIENT_ID in the policy template",
    ),
    Cause(
        "topic_not_allowed",
        "the policy lacks iot:Publish on the topic",
        "set topic, or register the device with it: `mqtt443 device add CLIENT_ID --publish TOPIC`",
    ),
    Cause(
        "not_authorized",
        "the authorizer or its policy refuses the connection",
        "compare user name, password and client id with `mqtt443 device list`; "
        "allow iot:Connect on client/CLIENT_ID in the policy template",
    ),
    Cause(
        "taken_over",
        "another device connected with this client id",
        "give each device its own client id; to check beside a live board, add --client-id-safe",
    ),
    Cause("throttled", "too many connections or messages", "run the check again in a minute"),
    Cause("unavailable", "the endpoint is not available", "run the check again in a minute"),
    Cause("reason_given", "the endpoint refuses it and says why", "correct what the reason above names"),
    Cause("not_mqtt", "the answer is not MQTT", "check endpoint and port; is there a proxy in between?"),
    Cause(
        "refused",
        "the endpoint refuses the connection without a reason",
        "find the reason in the output of `mqtt443 local`, or among the decisions of `mqtt443 cloud status`",
    ),
    Cause("lost", "the connection broke", "run the check again"),
)

CAUSES = {cause.code: cause for cause in _ALL}


def fill(advice: str, names: Mapping[str, str], options: str) -> str:
    """Fill names into a piece of advice.

    Args:
        advice: of a cause.
        names: by the words that stand for them, such as CLIENT_ID.
        options: for the `mqtt443 device` commands in it, such as " --stack mqtt443", with a space before each.
    """
    for word, name in names.items():
        advice = advice.replace(word, name)
    return re.sub(r"`(mqtt443 device [^`]+)`", lambda found: f"`{found[1]}{options}`", advice)
