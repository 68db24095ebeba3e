"""Unpacks MicroPython with mbedTLS in its place, as in a checkout with submodules.

sources.py gets the tarballs; builder.py compiles the tree.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mqtt443_tools.micropython.recipes import Recipe
from mqtt443_tools.micropython.sources import fetch

# What the unix port, the manifests and our board definitions need; the rest is other ports, tests and docs.
_MICROPYTHON_PARTS = ("extmod", "lib", "mpy-cross", "ports/esp32", "ports/unix", "py", "shared", "tools")
_MBEDTLS_PARTS = ("include", "library")


def source_tree(recipe: Recipe, output: Path) -> tuple[Path, str]:
    """Return the unpacked sources of an interpreter; interpreters made of the same sources share them.

    Args:
        recipe: the interpreter.
        output: the folder of built interpreters, with `downloads` and `src` in it.

    Returns:
        The root of the tree, with mbedTLS in lib/mbedtls, and MicroPython's version.

    Raises:
        BuildError: a tarball cannot be downloaded.
    """
    micropython, micropython_tarball = fetch(recipe.micropython, output / "downloads")
    mbedtls, mbedtls_tarball = fetch(recipe.mbedtls, output / "downloads")
    # The digests are in the name: a tree of that name is a tree of those tarballs.
    tree = output / "src" / f"micropython-{micropython.sha256[:12]}-{mbedtls.sha256[:12]}"
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=tree.parent) as folder:
            fresh = Path(folder) / "tree"
            _unpack(micropython_tarball, fresh, _MICROPYTHON_PARTS)
            shutil.rmtree(fresh / "lib" / "mbedtls", ignore_errors=True)
            _unpack(mbedtls_tarball, fresh / "lib" / "mbedtls", _MBEDTLS_PARTS)
            fresh.rename(tree)
    return tree, micropython.version


def _unpack(tarball: Path, target: Path, parts: Sequence[str]) -> None:
    """Unpack some folders of a tarball, without the folder that upstream puts around them."""

    def wanted(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for member in tar:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if any(path.is_relative_to(part) for part in parts):
                member.name = str(path)
                yield member

    with tarfile.open(tarball) as tar:
        # Pythons before 3.11.4 have no filter; what is unpacked here was pinned by its digest.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(target, members=wanted(tar))  # noqa: S202 - filtered above, and pinned
