"""Where the layers and the variables of a Keras model lie in it (`generator/conv2d/kernel`), and which of them the entries of a
list of losses mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from digits.engines.network.several_losses import LossEntry, LossOptimizer, optimizers_of
from digits.engines.tensorflow.start import keras

SEPARATOR = "/"


def layer_paths(model: Any) -> dict[int, str]:
    """The paths of all layers, by their ids; that of the model itself is its name."""
    return {id(layer): path or layer.name for path, layer, _ in _parts(model, "", set())}


def trainable(model: Any) -> dict[str, Any]:
    """The variables that are learnt, by the paths of the parts that they lie in: `generator/conv2d/kernel`."""
    wanted = {id(variable) for variable in model.trainable_variables}
    named = (pair for _, _, variables in _parts(model, "", set()) for pair in variables.items())
    return {name: variable for name, variable in named if id(variable) in wanted}


def _parts(layer: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The path of a layer, itself and its trainable variables by their paths; then those of the layers in it, each once. A part
    has the name of the attribute that holds it, as in `self.generator`, without one its own name."""
    seen.add(id(layer))
    taken: set[str] = set()
    before = f"{path}{SEPARATOR}" if path else ""
    yield path, layer, {f"{before}{_free(variable.name, taken)}": variable for variable in layer._trainable_variables}
    attributes = _attributes(layer)
    for part in layer._layers:
        if id(part) not in seen:
            yield from _parts(part, f"{before}{_free(attributes.get(id(part), part.name), taken)}", seen)


def _attributes(layer: Any) -> dict[int, str]:
    """Names of the attributes of a text's own class that hold layers, by the layer."""
    found: dict[int, str] = {}
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(value, keras.Layer):
            found[id(value)] = name
        elif isinstance(value, list | tuple):
            found |= {id(one): f"{name}{SEPARATOR}{i}" for i, one in enumerate(value) if isinstance(one, keras.Layer)}
        elif isinstance(value, dict):
            found |= {id(one): f"{name}{SEPARATOR}{key}" for key, one in value.items() if isinstance(one, keras.Layer)}
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that nothing else has there: two layers of one name are told apart."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    taken.add(free)
    return free


def read_optimizers(entries: Sequence[LossEntry], model: Any) -> tuple[LossOptimizer, ...]:
    """What each loss of a list moves, as its entries say it. NetworkError where that cannot be."""
    meant = [replace(entry, variables=_meant(entry.variables, model)) for entry in entries]
    return optimizers_of(meant, trainable(model), _variables_in, SEPARATOR)


def _meant(said: Any, model: Any) -> Any:
    """What `vars` says, with names that are no beginning of a path replaced by the layer that is called so, wherever it lies, or
    by the variables whose own paths in Keras begin so."""
    if isinstance(said, list | tuple):
        return [_meant(one, model) for one in said]
    if not isinstance(said, str) or not said or any(name.startswith(said) for name in trainable(model)):
        return said
    layer = next((layer for layer in model._flatten_layers() if layer.name == said), None)
    return layer or [v for v in model.trainable_variables if v.path.startswith(said)] or said


def _variables_in(value: Any) -> Iterable[Any] | None:
    if isinstance(value, keras.Layer):
        return value.variables
    return [value] if isinstance(value, keras.Variable) and not value.trainable else None
