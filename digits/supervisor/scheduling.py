"""Which waiting jobs may start now: a pure function of the queue, what runs and what the machine has.

The rule: jobs are looked at by priority (higher first), then age. A job starts when its pool has a place and what it needs
is free. The first job that has to wait for GPUs or for CPU slots *keeps* what it waits for: nobody behind it takes any of it,
so small jobs cannot starve a big one. Other resources stay open: a job behind it that needs none of them starts.

CPU slots are shared by trainings on the CPU only. Data sets and inference have the places of their pools, so a long
training never keeps a data set from being made or a model from being tested. For the same reason GPUs are a wish of inference,
not a need: it gets what is free and does without the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

POOLS: Mapping[str, int] = {"parse_folder": 1, "create_db": 2, "analyze_db": 4, "inference": 4}
TRAIN_POOL = "train"
INFERENCE_POOL = "inference"


@dataclass(frozen=True)
class Demand:
    """What a waiting job needs. `cpus` 0 means all slots; more than there are is cut to what there is."""

    job_id: str
    pool: str
    cpus: int = 1
    gpus: int = 0
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """What a job was given: CPU threads to compute with, and devices for itself alone."""

    job_id: str
    pool: str
    cpus: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What there is to give."""

    cpus: int
    gpus: tuple[str, ...] = ()
    pools: Mapping[str, int] = field(default_factory=lambda: POOLS)


@dataclass(frozen=True)
class Plan:
    """Jobs to start, in order; why each other one waits; why some can never start on this machine."""

    starts: list[Grant]
    reasons: dict[str, str]
    impossible: dict[str, str]


def plan(queue: Sequence[Demand], running: Iterable[Grant], machine: Machine) -> Plan:
    """Apply the rule to `queue`, which is in order of priority and age."""
    room = _Room(machine, list(running))
    result = Plan([], {}, {})
    for demand in queue:
        refusal = impossible(demand, machine)
        if refusal:
            result.impossible[demand.job_id] = refusal
            continue
        reason = room.wait_reason(demand)
        if reason:
            result.reasons[demand.job_id] = reason
        else:
            result.starts.append(room.take(demand))
    return result


def impossible(demand: Demand, machine: Machine) -> str:
    """Why this machine can never run the job, with the next step; empty where it can."""
    if demand.pool == INFERENCE_POOL:
        return ""
    has = f"this machine has {len(machine.gpus) or 'none'}" + (f" ({', '.join(machine.gpus)})" if machine.gpus else "")
    advice = "Clone the job and choose other devices, or none to train on the CPU; `digits doctor` shows what is found."
    missing = [gpu for gpu in demand.gpu_ids if gpu not in machine.gpus]
    if missing:
        return f"The job asks for GPU {', '.join(missing)}; {has}. {advice}"
    if demand.gpus > len(machine.gpus):
        return f"The job asks for {demand.gpus} GPU{'s' if demand.gpus > 1 else ''}; {has}. {advice}"
    return ""


class _Room:
    """What is left while the queue is gone through."""

    def __init__(self, machine: Machine, running: list[Grant]) -> None:
        self.machine = machine
        self.pools = {name: places - sum(grant.pool == name for grant in running) for name, places in machine.pools.items()}
        self.cpus = machine.cpus - sum(grant.cpus for grant in running if _takes_slots(grant))
        used = {gpu for grant in running for gpu in grant.gpus}
        self.gpus = [gpu for gpu in machine.gpus if gpu not in used]
        self.kept_cpus = False
        self.kept_gpus: set[str] = set()

    def wait_reason(self, demand: Demand) -> str:
        """Why the job cannot start now, empty when it can; keeps what it waits for."""
        if self.pools.get(demand.pool, 1) <= 0:
            return f"waits for a place: {self.machine.pools[demand.pool]} such jobs run at once"
        if demand.pool == INFERENCE_POOL:
            return ""
        if demand.gpus or demand.gpu_ids:
            return self._gpu_reason(demand)
        if demand.pool == TRAIN_POOL and not self._fits(demand):
            self.kept_cpus = True
            free = max(0, self.cpus)
            return f"waits for {self._slots(demand)} CPU slots: {free} of {self.machine.cpus} are free"
        return ""

    def take(self, demand: Demand) -> Grant:
        if demand.pool in self.pools:
            self.pools[demand.pool] -= 1
        free = [gpu for gpu in self.gpus if gpu not in self.kept_gpus]
        gpus = demand.gpu_ids or tuple(free[: demand.gpus])
        self.gpus = [gpu for gpu in self.gpus if gpu not in gpus]
        grant = Grant(demand.job_id, demand.pool, self._threads(demand, gpus), gpus)
        if _takes_slots(grant):
            self.cpus -= grant.cpus
        return grant

    def _gpu_reason(self, demand: Demand) -> str:
        free = [gpu for gpu in self.gpus if gpu not in self.kept_gpus]
        if demand.gpu_ids:
            if set(demand.gpu_ids) <= set(free):
                return ""
            self.kept_gpus |= set(demand.gpu_ids)
            return f"waits for GPU {', '.join(demand.gpu_ids)}"
        if demand.gpus <= len(free):
            return ""
        self.kept_gpus |= set(self.machine.gpus)
        wanted = "a GPU" if demand.gpus == 1 else f"{demand.gpus} GPUs"
        return f"waits for {wanted}: {len(self.gpus)} of {len(self.machine.gpus)} are free"

    def _fits(self, demand: Demand) -> bool:
        return not self.kept_cpus and self._slots(demand) <= self.cpus

    def _slots(self, demand: Demand) -> int:
        return min(demand.cpus, self.machine.cpus) if demand.cpus > 0 else self.machine.cpus

    def _threads(self, demand: Demand, gpus: Sequence[str]) -> int:
        """A job with GPUs gets its share of the processor beside them; any other what it asked for."""
        if gpus:
            return max(1, self.machine.cpus * len(gpus) // max(1, len(self.machine.gpus)))
        return self._slots(demand)


def _takes_slots(grant: Grant) -> bool:
    return grant.pool == TRAIN_POOL and not grant.gpus
