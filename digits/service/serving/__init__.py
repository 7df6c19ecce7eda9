"""Serving: a snapshot under a name that programs elsewhere can ask, with a token that opens this name alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from digits.service import Service
from digits.service.serving.connections import WarmConnections
from digits.service.serving.traffic import Traffic
from digits.storage.publications import Publications


@dataclass(frozen=True)
class Serving:
    """What a process needs to serve: the published names, its connections to predictors, and what it counted. Safe to share
    between threads."""

    service: Service
    publications: Publications
    connections: WarmConnections
    traffic: Traffic
    checked: dict[tuple[str, str], float] = field(default_factory=dict)  # when a model and its snapshot were last there
    metas: dict[tuple[str, str, float], dict[str, Any]] = field(default_factory=dict)  # what predictors say, with the epoch

    @classmethod
    def open(cls, service: Service) -> Serving:
        return cls(service, Publications(service.jobs_dir), WarmConnections(service), Traffic(service.settings.web_threads // 2))
