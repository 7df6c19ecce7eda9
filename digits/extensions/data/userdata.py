"""The life of a data source's instance: built once from the form, frozen in the job folder, thawed for every later use.

The frozen file is a pickle of mode 0600. It is written and read only by the plugin host and by workers, in a job's own
folder; nothing that was uploaded is ever read this way.

What `__init__` left in the global random generators belongs to the instance too (`digits.extensions.data.chance`).
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import PluginError
from digits.extensions import former_names
from digits.extensions.data.chance import Chance, watched
from digits.extensions.data.interface import DataIngestionInterface
from digits.storage.files import atomic

FLAG = "is_inference_db"
CHANCE, SEED = "_chance_after_init", "_seed_of_stages"  # attributes of an instance, in plain types
SCALARS = (bool, int, float, str, bytes, np.generic)
NEVER_PASSED = frozenset({"csrf_token"})
SCHEMA = 1


def build(cls: type[DataIngestionInterface], values: Mapping[str, Any], is_inference_db: bool = False) -> DataIngestionInterface:
    """Make an instance the way its `__init__` is written: the flag and keywords, keywords alone, or one dictionary."""
    keywords = {name: value for name, value in values.items() if name not in NEVER_PASSED and name != FLAG}
    instance, chance = watched(lambda: _made(cls, keywords, is_inference_db))
    instance.is_inference_db = is_inference_db
    vars(instance).update({CHANCE: (chance.python, chance.numpy), SEED: chance.seed})
    return instance


def _made(cls: type[DataIngestionInterface], keywords: dict[str, Any], is_inference_db: bool) -> DataIngestionInterface:
    parameters = _parameters(cls)
    kinds = {p.kind for p in parameters.values()}
    if _dictionary_parameter(parameters, keywords):
        flag = {FLAG: is_inference_db} if FLAG in parameters else {}
        make: Any = cls
        instance: DataIngestionInterface = make(keywords, **flag)
        return instance
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        keywords = {name: value for name, value in keywords.items() if name in parameters}
    if FLAG in parameters or inspect.Parameter.VAR_POSITIONAL in kinds:
        keywords[FLAG] = is_inference_db
    return cls(**keywords)


def chance_of(instance: DataIngestionInterface) -> Chance:
    """What the global random generators hold while the instance lists its entries."""
    kept = vars(instance)
    python, numpy = kept.get(CHANCE, (None, None))
    return Chance(python, numpy, kept.get(SEED))


def freeze(instance: DataIngestionInterface) -> bytes:
    """The instance as bytes. Raises PluginError naming the userdata keys that cannot be pickled.

    Attributes beside userdata that cannot be pickled (open files, threads) are left out; `thaw` then runs `__init__` again
    for them and puts everything else back over it.
    """
    userdata = instance.get_user_data()
    whole = {"schema": SCHEMA, "userdata": userdata, "instance": instance, "attributes": None}
    if _can_pickle(whole):
        return pickle.dumps(whole, protocol=pickle.HIGHEST_PROTOCOL)
    _check_userdata(instance, userdata)
    attributes = {name: value for name, value in vars(instance).items() if name != "userdata" and _can_pickle(value)}
    return pickle.dumps({"schema": SCHEMA, "userdata": userdata, "instance": None, "attributes": attributes})


def thaw(cls: type[DataIngestionInterface], frozen: bytes) -> DataIngestionInterface:
    """The instance that `freeze` saw. Raises PluginError when the plugin no longer understands it."""
    value = _load(frozen, cls.__name__, lambda data: former_names.Unpickler(data, cls).load())
    if value["instance"] is not None:
        return value["instance"]
    attributes = value["attributes"]
    instance = build(cls, value["userdata"] or {}, bool(attributes.get(FLAG)))
    vars(instance).update(attributes)
    instance.userdata = value["userdata"]
    return instance


def userdata_of(frozen: bytes, cls: type[DataIngestionInterface] | None = None) -> dict[str, Any]:
    """The userdata alone; objects in it whose classes are not installed any more are empty ones. `cls` is the plugin, where it
    is known."""
    return dict(_load(frozen, "The plugin", lambda data: _Tolerant(data, cls).load())["userdata"] or {})


def write(instance: DataIngestionInterface, file: Path) -> None:
    """Freeze into `file`, whole or not at all, readable by its owner only."""
    frozen = freeze(instance)
    with atomic(file, permissions=0o600) as handle:
        handle.write(frozen)


def open_instance(cls: type[DataIngestionInterface], file: Path, values: Mapping[str, Any]) -> DataIngestionInterface:
    """The instance frozen in `file`; where there is none yet, one built from `values` and frozen now."""
    if not file.is_file():
        write(build(cls, values), file)
    return thaw(cls, file.read_bytes())


def for_inference(
    cls: type[DataIngestionInterface], userdata: Mapping[str, Any], values: Mapping[str, Any]
) -> DataIngestionInterface:
    """An instance to test a model with: the inference form's `values` lie over the data set's userdata, which stays as it is.

    What `__init__` makes for the test counts. What it makes anew whether it is for a test or not (a seed that is drawn, a list to
    be filled) is what the data set was made with.
    """
    merged = {**userdata, **values}
    instance = build(cls, merged, is_inference_db=True)
    kept = instance.get_user_data()
    if not isinstance(kept, dict):
        return instance
    stored = {name: value for name, value in userdata.items() if name not in values and name != FLAG}
    missing = object()
    other = {name: value for name, value in stored.items() if not _same(kept.get(name, missing), value)}
    plain = build(cls, merged).get_user_data() if any(name in kept for name in other) else {}
    for name, value in other.items():
        for_a_test = name in kept and isinstance(plain, dict) and not _made_anew(kept[name], plain.get(name, missing), value)
        if for_a_test:
            continue
        kept[name] = value
        if name in vars(instance):
            setattr(instance, name, value)
    return instance


def _made_anew(made: Any, plain: Any, stored: Any) -> bool:
    """Whether `__init__` gives something of its own for what is stored, with the flag of a test and (`plain`) without."""
    if isinstance(made, SCALARS):
        return not _same(plain, stored)  # without the flag the stored one is not kept either
    return _is_empty(made)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(np.all(one == other))
    except (TypeError, ValueError):
        return False


def _is_empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(cls).parameters)
    return parameters


def _dictionary_parameter(parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any]) -> str:
    """Name of a leading parameter that can only mean the whole dictionary; empty where there is none."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    leading = [p for p in parameters.values() if p.kind in positional and p.name != FLAG]
    if len(leading) == 1 and leading[0].default in (inspect.Parameter.empty, None) and leading[0].name not in values:
        return leading[0].name
    return ""


def _can_pickle(value: Any) -> bool:
    try:
        pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever a plugin's own __reduce__ or __getstate__ raises means no
        return False
    return True


def _check_userdata(instance: DataIngestionInterface, userdata: Any) -> None:
    if _can_pickle(userdata):
        return
    items = userdata.items() if isinstance(userdata, Mapping) else []
    named = [f"{name} ({type(value).__name__})" for name, value in items if not _can_pickle(value)]
    bad = ", ".join(named) or type(userdata).__name__
    raise PluginError(
        f"The userdata of {type(instance).__name__} cannot be stored: {bad} cannot be pickled.",
        advice="Keep only values there that pickle can store, and make the others in encode_entry or as plain attributes.",
    )


class _Absent:
    """Stands for an object of a class that is not installed: takes what pickle gives it, and is empty."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Absent:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, name: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass


class _Tolerant(former_names.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except Exception:  # its package is gone, or cannot be imported any more
            return type(name.rpartition(".")[2], (_Absent,), {})


def _load(frozen: bytes, name: str, unpickled: Callable[[bytes], Any] = pickle.loads) -> dict[str, Any]:
    try:
        value = unpickled(frozen)
    except Exception as error:  # unpickling runs the plugin's code, which may raise anything
        raise PluginError(
            f"What {name} stored when the data set was created cannot be read any more: {type(error).__name__}: {error}.",
            advice="Install the version of the plugin that made it, or create the data set again.",
        ) from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise PluginError(f"What {name} stored was written by another version of digits.", advice="Create the data set again.")
    return value
