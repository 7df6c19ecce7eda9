"""Python layer files: the names under which a network text imports them, and what is said of one that fails."""

from __future__ import annotations

import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.engines.base import NetworkContext, get_engine
from digits.engines.network import text as texts
from digits.engines.network.python_layers import MODULE, LayerFile, layer_file, use
from digits.engines.network.text import compile_text
from digits.errors import NetworkError
from digits.frameworks import available_frameworks

TORCH = "from torch import nn\n\n\nclass Twice(nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
KERAS = "import keras\n\n\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
NETWORKS = {
    "pytorch": "return nn.Sequential(nn.Flatten(), nn.Linear(4, 2), Twice())",
    "tensorflow": "return keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2), Twice()])",
}
IMPORTS = {"pytorch": "from torch import nn", "tensorflow": "import keras"}
LAYERS = {"pytorch": TORCH, "tensorflow": KERAS}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    use(None)
    assert not {MODULE, "my_layers", "other"} & set(sys.modules)
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == use.__module__]


def put(folder: Path, text: str, name: str = "my_layers.py") -> LayerFile:
    (folder / f"{MODULE}.py").write_text(text)
    found = layer_file(folder, name)
    assert found is not None
    return found


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_a_network_of_either_framework_has_its_layers(tmp_path: Path, framework: str) -> None:
    if framework not in available_frameworks():
        pytest.skip(f"{framework} is not installed")
    use(put(tmp_path, LAYERS[framework]))
    network = f"{IMPORTS[framework]}\nfrom {MODULE} import Twice\n\n\ndef build_network(context):\n    {NETWORKS[framework]}\n"
    report = get_engine(framework).check(network, NetworkContext("classification", (1, 2, 2), 2))
    assert "Twice" in {row.kind for row in report.layers}


def test_both_names_are_the_same_module_and_nothing_is_written(tmp_path: Path) -> None:
    use(put(tmp_path, "x = 1\n"))
    names = compile_text(f"import my_layers, {MODULE} as other\n\n\ndef build_network(context):\n    pass\n", "pytorch")
    assert names["my_layers"] is names["other"]
    assert names["my_layers"].__spec__.name == MODULE
    assert [path.name for path in tmp_path.iterdir()] == [f"{MODULE}.py"]


def test_the_file_of_another_model_takes_its_place(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        use(put(folder, f"x = {number}\n", "other.py"))
        names = compile_text("from other import x\n\n\ndef build_network(context):\n    pass\n", "pytorch")
        assert names["x"] == number


def test_what_is_installed_keeps_its_name(tmp_path: Path) -> None:
    use(put(tmp_path, "x = 1\n", "json.py"))
    text = f"import json\nfrom {MODULE} import x\n\n\ndef build_network(context):\n    return json.dumps(x)\n"
    assert compile_text(text, "pytorch")["build_network"](None) == "1"


def test_a_compiled_file_is_imported(tmp_path: Path) -> None:
    source = tmp_path / "my_layers.py"
    source.write_text("x = 1\n")
    py_compile.compile(str(source), str(tmp_path / f"{MODULE}.pyc"), doraise=True)
    use(layer_file(tmp_path, "my_layers.pyc"))
    names = compile_text(f"from {MODULE} import x\nimport my_layers\n\n\ndef build_network(context):\n    pass\n", "pytorch")
    assert (names["x"], names["my_layers"].x) == (1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "x = 1\nraise ValueError('no')\n",
            "Python layer file my_layers.py failed: ValueError: no (my_layers.py, line 2: raise",
        ),
        ("import nonesuch\n", "No module named 'nonesuch' (my_layers.py, line 1: import nonesuch) Install nonesuch, or give"),
        ("import sys\nsys.exit()\n", "The Python layer file my_layers.py failed: SystemExit"),
        (
            "x = 1\nwhile True:\n    x += 1\n",
            "my_layers.py was still running after 0 s and was stopped (my_layers.py, line",
        ),
        ("x = 1\n", "cannot import name 'Twice'"),
    ],
    ids=["raises", "imports", "exits", "hangs", "lacks"],
)
def test_a_file_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    monkeypatch.setattr(texts, "BUILD_SECONDS", 0.2)
    use(put(tmp_path, text))
    with pytest.raises(NetworkError) as caught:
        compile_text(f"from {MODULE} import Twice\n\n\ndef build_network(context):\n    pass\n", "pytorch")
    assert words in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"my_layers\.py is not in the model's folder any more"):
        layer_file(tmp_path, "my_layers.py")
    with pytest.raises(NetworkError, match="Give the file that holds it as the model's Python layer file"):
        compile_text(f"from {MODULE} import Twice\n\n\ndef build_network(context):\n    pass\n", "pytorch")
