"""Faults from the page: a real board feels each of them, and is well again once it is off."""

from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.faults import Fault

from tests.tools.console.conftest import Command, Endpoint, Start, add_device, update

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By

from tests.tools.console.page import card, chips, click, problems, shown, shows, until


@pytest.fixture
def config(endpoint: Endpoint, tmp_path: Path) -> Path:
    """The config file of `kitchen`, which waits for an answer for the shortest time that a board takes."""
    path = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", path)
    update(path, timeout_s=10)
    return path


def switch_on(browser: Any, fault: Fault) -> None:
    click(browser, "[data-device=kitchen]")
    click(browser, ".faults summary")
    click(browser, f"[data-fault={fault}]")
    until(browser, lambda: "on, has acted" in shown(browser), "the fault is shown as on")
    click(browser, "dialog .close")
    until(browser, lambda: f"fault {fault}" in chips(browser, "kitchen"), "the card shows the fault")


def switch_off(browser: Any, fault: Fault) -> None:
    click(browser, "#faults-off")
    assert_off(browser, fault)


def assert_off(browser: Any, fault: Fault) -> None:
    until(browser, lambda: f"fault {fault}" not in chips(browser, "kitchen"), "the fault is off")
    until(browser, lambda: not browser.find_element(By.ID, "faults-off").is_displayed(), "no fault is on")


def again(start: Start, board: Command, config: Path) -> Command:
    """Start the board again: after a refusal it would wait up to a minute."""
    board.end()
    return start("board", "--config", str(config))


def test_cut_connections_are_felt_by_the_board_and_end_with_the_fault(
    browser: Any, endpoint: Endpoint, start: Start, config: Path
) -> None:
    board = start("board", "--config", str(config))
    browser.get(endpoint.link)
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    switch_on(browser, Fault.DROP)
    board.wait_for(r"(?i)closed|lost|reset|reconnect|again")
    until(browser, lambda: "FAULT_INJECTED: drop: " in card(browser, "kitchen"), "the card shows what happened")
    since = len(board.lines)
    switch_off(browser, Fault.DROP)
    board.wait_for(r"published", since)
    until(browser, lambda: "FAULT_INJECTED" not in card(browser, "kitchen"), "the card is clean again")
    assert problems(browser) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Fault.REFUSE, "ConnectRefused|BeforeConnack"), (Fault.CLOSE_AFTER_CONNACK, "ConnectionLost")],
)
def test_refused_board_says_so_and_connects_once_the_fault_is_off(
    browser: Any, endpoint: Endpoint, start: Start, config: Path, fault: Fault, said: str
) -> None:
    browser.get(endpoint.link)
    switch_on(browser, fault)
    board = start("board", "--config", str(config))
    board.wait_for(said)
    explained = (f"FAULT_INJECTED: {fault}: ", "mqtt443 local fault kitchen --off")
    until(browser, lambda: shows(card(browser, "kitchen"), explained), "what happened, and what to do")
    switch_off(browser, fault)
    board = again(start, board, config)
    board.wait_for(r"published")
    until(browser, lambda: "FAULT_INJECTED" not in card(browser, "kitchen"), "the card is clean again")


def test_wrong_certificate_is_refused_by_the_board_once(
    browser: Any, endpoint: Endpoint, start: Start, config: Path
) -> None:
    browser.get(endpoint.link)
    switch_on(browser, Fault.WRONG_CERTIFICATE)
    board = start("board", "--config", str(config))
    board.wait_for("WrongCa")
    assert_off(browser, Fault.WRONG_CERTIFICATE)
    board.wait_for("published")
    click(browser, "#tab-events")
    until(browser, lambda: "FAULT_INJECTED: wrong-certificate: " in shown(browser), "the event stays in the list")


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.LOSE_PUBACKS])
def test_silence_is_noticed_by_the_board_and_readings_go_on_once_the_fault_is_off(
    browser: Any, endpoint: Endpoint, start: Start, config: Path, fault: Fault
) -> None:
    board = start("board", "--config", str(config))
    board.wait_for("published")
    browser.get(endpoint.link)
    switch_on(browser, fault)
    until(browser, lambda: f"FAULT_INJECTED: {fault}: " in card(browser, "kitchen"), "the card shows what happened")
    board.wait_for("PeerVanished")
    since = len(board.lines)
    switch_off(browser, fault)
    board.wait_for("connected to", since)
    board.wait_for("published", since)


def test_throttled_readings_wait_and_follow_once_the_fault_is_off(
    browser: Any, endpoint: Endpoint, start: Start, config: Path
) -> None:
    board = start("board", "--config", str(config))
    board.wait_for("published")
    browser.get(endpoint.link)
    switch_on(browser, Fault.THROTTLE)
    until(browser, lambda: "FAULT_INJECTED: throttle: " in card(browser, "kitchen"), "the card shows what happened")
    board.wait_for("PeerVanished|kept")
    since = len(board.lines)
    switch_off(browser, Fault.THROTTLE)
    board.wait_for("published", since)


def test_expired_session_is_noticed_by_the_board(browser: Any, endpoint: Endpoint, start: Start, config: Path) -> None:
    update(config, clean_session=False)
    board = start("board", "--config", str(config))
    board.wait_for("published")
    board = again(start, board, config)
    board.wait_for("connected to localhost, session kept")
    browser.get(endpoint.link)
    switch_on(browser, Fault.EXPIRE_SESSION)
    board = again(start, board, config)
    assert "session kept" not in board.wait_for("connected to.*")[0]
    switch_off(browser, Fault.EXPIRE_SESSION)
    board = again(start, board, config)
    board.wait_for("connected to localhost, session kept")
