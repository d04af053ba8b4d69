"""What pyproject.toml cannot say: a wheel has conf, hostfiles, data and CITATION.cff inside, in edgejoule/resources."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TOP = ("conf", "hostfiles", "data", "CITATION.cff")
TARGET = Path("edgejoule/resources")


def resources() -> list[Path]:
    """The files to take along, from the top of the source tree."""
    found = [path for name in TOP for path in ([Path(name)] if Path(name).is_file() else sorted(Path(name).rglob("*")))]
    return [path for path in found if path.is_file() and not any(part.startswith((".", "__")) for part in path.parts)]


class BuildWithResources(build_py):
    """An editable install finds them where they are: nothing is copied for it."""

    def run(self) -> None:
        """Copy the modules, then the resources."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # modules that are gone from the source tree
        super().run()
        if not self.editable_mode:
            for path in resources():
                target = Path(self.build_lib) / TARGET / path
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(path), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that ``run`` writes."""
        ours = [] if self.editable_mode else [str(Path(self.build_lib) / TARGET / path) for path in resources()]
        return [*super().get_outputs(include_bytecode), *ours]

    def get_source_files(self) -> list[str]:
        """All files that ``run`` reads, which an sdist has too."""
        return [*super().get_source_files(), *map(str, resources())]


setup(cmdclass={"build_py": BuildWithResources})
