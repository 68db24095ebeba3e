"""package.json, for `mpremote mip install github:OWNER/REPO`, and firmware/manifest.py, for freezing."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpremote import mip
from mpremote.transport_serial import SerialTransport
from mqtt443 import __version__
from mqtt443_tools.support.compile_mpy import HOST_ONLY
from mqtt443_tools.support.paths import ROOT

from tests.support.board import interpreters
from tests.support.chip.repl import SerialBoard

PACKAGE = json.loads((ROOT / "package.json").read_text())
MODULES = {
    f"mqtt443/{path.name}" for path in (ROOT / "firmware" / "mqtt443").glob("*.py") if path.name not in HOST_ONLY
}


def test_every_module_is_listed_once_and_every_path_is_there() -> None:
    assert sorted(target for target, _ in PACKAGE["urls"]) == sorted(MODULES)
    for target, source in PACKAGE["urls"]:
        assert source == f"firmware/{target}"
        assert (ROOT / source).is_file()


def test_version_is_that_of_the_package() -> None:
    assert PACKAGE["version"] == __version__


@pytest.fixture
def checkout() -> Iterator[str]:
    """This checkout on a web server, as GitHub would serve it; only the listed files."""
    listed = {"/package.json", *(f"/{source}" for _, source in PACKAGE["urls"])}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in listed:
                super().do_GET()
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=ROOT)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_mip_of_mpremote_installs_it_on_a_board(checkout: str, tmp_path: Path) -> None:
    with SerialBoard(tmp_path, interpreters.need("alpn")) as board:
        board.wait_for(">>> ")
        transport = SerialTransport(str(board.port.resolve()), timeout=2)
        try:
            transport.enter_raw_repl(soft_reset=True)
            mip._install_package(transport, checkout, "", "/lib", None, True)
            assert transport.eval("__import__('mqtt443').__version__") == __version__
        finally:
            transport.close()
        board.unplug()
        assert {f"lib/{name}" for name in MODULES} == set(board.files())


def test_manifest_freezes_the_package_with_umqtt() -> None:
    asked = []
    functions = {
        "metadata": lambda **_: None,
        "require": lambda name: asked.append(("require", name)),
        "package": lambda name: asked.append(("package", name)),
    }
    exec(compile((ROOT / "firmware" / "manifest.py").read_text(), "manifest.py", "exec"), functions)
    assert ("package", "mqtt443") in asked
    assert ("require", "umqtt.simple") in asked
