"""Scopes: what the bearer of a token may do, from looking on to accounts. Each route names the one it needs."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """Each scope holds all that come before it."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"

    def holds(self, needed: Scope) -> bool:
        """Whether who has this scope may do what needs `needed`."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


MEANINGS = {
    Scope.READ: "look at everything, change and start nothing",
    Scope.RUN: "also start, change and delete what the user may: data sets, trainings, evaluations, predictions, uploads",
    Scope.ADMIN: "also end sessions and revoke tokens of the user",
}
