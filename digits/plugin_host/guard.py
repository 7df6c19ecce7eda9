"""Runs a plugin's code so that nothing it does leaves its own answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from digits.errors import DigitsError, FormErrors, LimitExceeded, PluginFailure
from digits.extensions.loader import explain
from digits.utils.memory import PROCESS_MEMORY_ADVICE

T = TypeVar("T")


def guarded(plugin: str, work: Callable[[], T]) -> T:
    """What `work` gives. Raises FormErrors, a DigitsError with its traceback, or PluginFailure for anything unforeseen."""
    try:
        return work()
    except FormErrors:
        raise
    except DigitsError as error:
        error.trace = explain(error)
        raise
    except MemoryError as error:
        words = f"The plugin {plugin} needs more memory than there is for it ({error or 'an allocation failed'})."
        raise LimitExceeded(words, advice=PROCESS_MEMORY_ADVICE) from error
    except BaseException as error:  # sys.exit and the like are a plugin's failures too
        raise failure(f"The plugin {plugin} failed", error, "The traceback says where; its author can help.") from error


def failure(words: str, error: BaseException, advice: str = "") -> PluginFailure:
    """The failure that `error` of a plugin is."""
    found = PluginFailure(f"{words}: {type(error).__name__}: {error}", advice=advice)
    found.trace = explain(error)
    return found
