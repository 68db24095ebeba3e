"""`mqtt443 console --stack` as a process of its own, against an account that moto serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.device.registration import add_device

from tests.support.aws.account import STACK, Cloud

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
WAIT_S = 40
NOBODY = "http://127.0.0.1:9"


def test_console_prints_its_link_serves_the_stack_and_ends_with_sigterm(shared_cloud: Cloud) -> None:
    shared_cloud.deploy(mode="named")
    add_device(AwsBackend(shared_cloud.aws, STACK, shared_cloud.state).store, "kitchen", now=time.time())
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from mqtt443_tools.cli import main; main()"),
            *("console", "--stack", STACK, "--state", str(shared_cloud.state)),
        ],
        # moto names an endpoint in the internet; without an answer from AWS IoT, the console does not look for one
        env={**os.environ, "AWS_ENDPOINT_URL_IOT": NOBODY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        link = re.fullmatch(r"console: (http://127\.0\.0\.1:\d+/\?token=\S+)\n", process.stderr.readline())
        assert link
        origin = link[1].partition("/?")[0]
        with pytest.raises(HTTPError, match="403"):
            build_opener().open(f"{origin}/api/devices", timeout=WAIT_S)
        page = build_opener(HTTPCookieProcessor(CookieJar()))
        with page.open(link[1], timeout=WAIT_S) as answer:
            assert b"mqtt443 console" in answer.read()
        with page.open(f"{origin}/api/devices", timeout=WAIT_S) as answer:
            assert [each["client_id"] for each in json.load(answer)] == ["kitchen"]
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=WAIT_S)
        assert (process.returncode, output, errors) == (0, "", "")
    finally:
        process.kill()
        process.communicate()


def test_console_of_a_stack_that_does_not_exist_is_one_line(shared_cloud: Cloud) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "console", "--stack", "other"],
        cwd=shared_cloud.state.parent,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"mqtt443: there is no deployed stack other in eu-west-1.*\n", done.stderr)
