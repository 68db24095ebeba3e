"""An AWS account on this machine, and `mqtt443 cloud` in it as a library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy import deploy
from mqtt443_tools.cloud.deploy_options import Options
from mqtt443_tools.cloud.destroy import destroy
from mqtt443_tools.cloud.stack_outputs import Deployed
from mqtt443_tools.cloud.stacks import Pace
from mqtt443_tools.cloud.status import Status, status

from tests.support.aws.change_sets import ChangeSets
from tests.support.aws.iot_control_plane import AwsIot
from tests.support.aws.stubs import Answers
from tests.support.console import ScriptedConsole

STACK = "mqtt443"


class Patience:
    """A clock that advances only during sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.on_sleep()

    def pace(self) -> Pace:
        return Pace(lambda: self.now_s, self.sleep)


class Cloud:
    """An account that is empty at first. It needs moto to be on."""

    def __init__(self, state: Path) -> None:
        self.answers = Answers()
        self.change_sets = ChangeSets(self.answers)
        self.iot = AwsIot(self.answers, self.change_sets.moto)
        self.state = state
        self.aws = Aws(self.answers.session)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.agrees: Callable[[str], bool] = lambda _: True
        self.patience = Patience()
        self.concurrency = 1000
        self.protected: dict[str, bool] = {}
        self.answers.on("lambda", "get_account_settings", self._account_settings)
        self.answers.on("cloudformation", "update_termination_protection", self._protect)

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    def console(self) -> ScriptedConsole:
        return ScriptedConsole(self.said, self._ask)

    def _account_settings(self) -> dict[str, Any]:
        limit = self.concurrency
        return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit}}

    def _protect(self, StackName: str, EnableTerminationProtection: bool) -> None:
        self.protected[StackName] = EnableTerminationProtection

    def _ask(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees(question)

    def deploy(
        self, *, stack: str = STACK, signing: bool | None = None, policy: Path | None = None, **options: Any
    ) -> Deployed:
        """Deploy; clears the earlier output and questions."""
        self.said.clear()
        self.asked.clear()
        return deploy(
            self.aws,
            stack,
            Options(**options),
            signing=signing,
            policy=policy,
            state=self.state,
            console=self.console(),
            pace=self.patience.pace(),
        )

    def destroy(self, *, stack: str = STACK, delete_table: bool = False, confirm: bool = True) -> None:
        self.said.clear()
        self.asked.clear()
        destroy(
            self.aws,
            stack,
            delete_table=delete_table,
            console=ScriptedConsole(self.said, lambda _: confirm),
            pace=self.patience.pace(),
            now=self.iot.now,
        )

    def status(self, *, with_drift: bool = False) -> Status:
        return status(self.aws, STACK, with_drift=with_drift, pace=self.patience.pace(), now=self.iot.now)

    def stacks(self) -> dict[str, str]:
        """The existing stacks and their statuses."""
        found = self.change_sets.moto.describe_stacks()["Stacks"]
        return {each["StackName"]: each["StackStatus"] for each in found}
