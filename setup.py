"""What pyproject.toml cannot say: the wheel puts `digits.pth` beside the package.

pip builds packages in isolation from what is installed, and a plugin's `setup.py` that imports `digits.extensions.data` is such a
build. Python reads `.pth` files before pip hides the folder they lie in; this one imports digits, in builds alone. Editable
installations have such a file of setuptools' own.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HOOK = "digits.pth"


class BuildWithHook(build_py):
    """Copies the hook to the top of the wheel."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file(HOOK, str(Path(self.build_lib) / HOOK))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        own = [] if self.editable_mode else [str(Path(self.build_lib) / HOOK)]
        return [*super().get_outputs(include_bytecode), *own]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), HOOK]


setup(cmdclass={"build_py": BuildWithHook})
