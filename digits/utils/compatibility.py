"""Old names that plugins of the original import: given their old meaning before a plugin is imported.

`flask.ext.wtf`, `flask_wtf.Form`, `wtforms.TextField` (with its widget's old homes) and `validators.Required`.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

_LOCK = threading.Lock()

REMOVED_NUMPY = {
    "int": "int or np.int64",
    "float": "float or np.float64",
    "bool": "bool or np.bool_",
    "object": "object",
    "str": "str",
    "unicode": "str",
    "long": "int",
    "complex": "complex",
    "float_": "np.float64",
    "unicode_": "np.str_",
    "product": "np.prod",
    "cumproduct": "np.cumprod",
    "sometrue": "np.any",
    "alltrue": "np.all",
    "in1d": "np.isin",
    "row_stack": "np.vstack",
    "Inf": "np.inf",
    "NaN": "np.nan",
    "infty": "np.inf",
}
IMAGES = "digits.utils.image (load_image, resize_image, image_to_array) or Pillow"
WINDOWS = ("barthann", "bartlett", "blackman", "boxcar", "gaussian", "hamming", "hann", "hanning", "kaiser", "triang", "tukey")
REMOVED_SCIPY = {
    **dict.fromkeys(("imread", "imresize", "imsave", "imshow", "imrotate", "toimage", "fromimage", "bytescale"), IMAGES),
    **{name: f"scipy.signal.windows.{name.replace('hanning', 'hann')}" for name in WINDOWS},
    "comb": "scipy.special.comb",
    "factorial": "scipy.special.factorial",
    "logsumexp": "scipy.special.logsumexp",
    "simps": "scipy.integrate.simpson",
    "trapz": "scipy.integrate.trapezoid",
    "cumtrapz": "scipy.integrate.cumulative_trapezoid",
    "face": "scipy.datasets.face",
}
RENAMED_MODULES = {
    "scipy.misc": f"SciPy has no misc any more: for pictures use {IMAGES}, for numbers scipy.special.",
    "dicom": "The package is called pydicom now: write `import pydicom as dicom`, and dicom.dcmread instead of dicom.read_file.",
    "StringIO": "Python 3 has io.StringIO and io.BytesIO.",
    "cStringIO": "Python 3 has io.StringIO and io.BytesIO.",
    "ConfigParser": "Python 3 calls it configparser.",
    "Queue": "Python 3 calls it queue.",
    "cPickle": "Python 3 calls it pickle.",
    "urllib2": "Python 3 has urllib.request.",
    "skfmm": "Install scikit-fmm beside the plugin, or compute distances with scipy.ndimage.distance_transform_edt.",
    "caffe": "Caffe is not used here; arrays are NumPy's, networks those of the engines.",
    "lmdb": "Install lmdb.",
}


def install() -> None:
    """Give the old names their meaning. Safe to call often and from any thread; loads Flask-WTF and WTForms."""
    with _LOCK:
        if "flask.ext.wtf" in sys.modules:
            return
        wtforms = importlib.import_module("wtforms")
        flask_wtf = importlib.import_module("flask_wtf")
        _patch_wtforms(wtforms)
        flask_wtf.Form = flask_wtf.FlaskForm  # type: ignore[attr-defined]  # today's is WTForms' own, which binds to nothing
        _add_flask_ext(flask_wtf)


def _patch_wtforms(wtforms: ModuleType) -> None:
    fields = importlib.import_module("wtforms.fields")
    validators = importlib.import_module("wtforms.validators")
    for name in ("SelectField", "SelectMultipleField", "RadioField"):
        replacement = accept_tuples(getattr(wtforms, name))
        for module in (wtforms, fields):
            setattr(module, name, replacement)
    for module in (wtforms, fields):
        if not hasattr(module, "TextField"):
            module.TextField = fields.StringField  # type: ignore[attr-defined]
    if not hasattr(validators, "Required"):
        validators.Required = validators.DataRequired  # type: ignore[attr-defined]
        validators.required = validators.DataRequired  # type: ignore[attr-defined]


def accept_tuples(field: Any) -> Any:
    """A select field like `field` whose choices may be `(value, label)` pairs, which WTForms wants to give up."""
    choice: Any = getattr(importlib.import_module("wtforms.fields.choices"), "SelectChoice", None)
    if choice is None:
        return field

    class TupleSelect(field):
        """Keeps the pairs as they are in `choices` and converts them when they are drawn or checked."""

        @staticmethod
        def _warn_legacy_choices(choices: Any) -> None:
            return None

        def _choices_from_input(self, choices: Any) -> Any:
            if isinstance(choices, list | tuple):
                choices = [choice(*item[:2]) if type(item) is tuple else item for item in choices]
            return super()._choices_from_input(choices)

    return type(field.__name__, (TupleSelect,), {"__doc__": field.__doc__, "__module__": field.__module__})


def _add_flask_ext(flask_wtf: ModuleType) -> None:
    flask = importlib.import_module("flask")
    extensions = ModuleType("flask.ext", "The old home of extensions.")
    extensions.__path__ = []
    extensions.wtf = flask_wtf  # type: ignore[attr-defined]
    flask.ext = extensions  # type: ignore[attr-defined]
    sys.modules["flask.ext"] = extensions
    for name in ("file", "form", "recaptcha"):
        sys.modules[f"flask.ext.wtf.{name}"] = importlib.import_module(f"flask_wtf.{name}")
    sys.modules["flask.ext.wtf"] = flask_wtf


def _lies_beside(error: ModuleNotFoundError) -> bool:
    """Whether the module that was not found is a neighbour of the file that imports it."""
    frames = traceback.extract_tb(error.__traceback__)
    sources = [Path(frame.filename) for frame in frames if not frame.filename.startswith("<")]
    name = str(error.name)
    return bool(sources) and any((sources[-1].parent / file).is_file() for file in (f"{name}.py", f"{name}/__init__.py"))


def advice_for(error: BaseException) -> str:
    """What an author does about this error; empty where nothing special is known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        if _lies_beside(error):
            return f"Python 3 wants it said where a module of the same package is: write `from .{error.name} import …`."
        known = RENAMED_MODULES.get(error.name) or RENAMED_MODULES.get(error.name.split(".")[0])
        return known or f"Install the package that provides {error.name} beside the plugin."
    if isinstance(error, SyntaxError):
        return "The code is not Python 3: `print x`, `except E, e`, backquotes and tabs mixed with spaces must be changed."
    if isinstance(error, SystemExit):
        return "The plugin called sys.exit(); raise an exception with a message instead."
    found = re.search(r"module 'numpy' has no attribute '(\w+)'", str(error)) or re.search(r"`np\.(\w+)`", str(error))
    if found and found[1] in REMOVED_NUMPY:
        return f"NumPy no longer has np.{found[1]}: write {REMOVED_NUMPY[found[1]]}."
    return _advice_on_scipy(str(error))


def _advice_on_scipy(words: str) -> str:
    taken = re.search(r"[Mm]odule '(scipy[.\w]*)' has no attribute '(\w+)'", words)
    named = re.search(r"cannot import name '(\w+)' from '(scipy[.\w]*)'", words)
    name, module = (taken[2], taken[1]) if taken else (named[1], named[2]) if named else ("", "")
    return f"{module} no longer has {name}: use {REMOVED_SCIPY[name]}." if name in REMOVED_SCIPY else ""
