"""What pyproject.toml cannot say: the wheel puts `digits.pth` beside the package, and `docs/` into it.

pip builds packages in isolation from what is installed, and a plugin's `setup.py` that imports `digits.extensions.data` is such a
build. Python reads `.pth` files before pip hides the folder they lie in; this one imports digits, in builds alone. Editable
installations have such a file of setuptools' own.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HOOK = "digits.pth"
DOCS = Path("docs")


class BuildWithHook(build_py):
    """Copies the hook to the top of the wheel, and the documentation, which the server shows, into the package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._copies().items():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        own = [] if self.editable_mode else map(str, self._copies().values())
        return [*super().get_outputs(include_bytecode), *own]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *map(str, self._copies())]

    def _copies(self) -> dict[Path, Path]:
        built = Path(self.build_lib)
        pages = {
            path: built / "digits" / "documentation" / path.relative_to(DOCS)
            for path in DOCS.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        return {Path(HOOK): built / HOOK, **pages}


setup(cmdclass={"build_py": BuildWithHook})
