"""Adds to the wheel what a checkout has outside its packages; pyproject.toml says everything else.

The files go to `mqtt443_tools/data`, laid out as in a checkout, where mqtt443_tools.support.paths finds them. An
editable install has no copies: there the checkout itself is used.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
FILES = ("boot.py", "main.py", "config.example.json", "docs/config.md")
FOLDERS = ("firmware/image/alpn",)


class BuildWithData(build_py):
    """Copies the data files after the packages."""

    def run(self) -> None:
        """Build the packages, then add the data; an editable install keeps using the checkout."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # setuptools would keep modules that were deleted since
        super().run()
        for name, source in self.data().items():
            target = Path(self.build_lib) / "mqtt443_tools" / "data" / name
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def data(self) -> dict[str, Path]:
        """Return the files by their path in a checkout."""
        inside = (path for folder in FOLDERS for path in sorted((ROOT / folder).iterdir()) if path.is_file())
        return {str(path.relative_to(ROOT)): path for path in (*(ROOT / name for name in FILES), *inside)}


setup(cmdclass={"build_py": BuildWithData})
