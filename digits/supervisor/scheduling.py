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

POOLS: Mapping[str, int] = {"create_db": 2, "analyze_db": 4, "inference": 4, "export": 1, "pretrained": 2}
TRAIN_POOL = "train"
INFERENCE_POOL = "inference"


@dataclass(frozen=True)
class ResourceRequest:
    """What a waiting job needs. `cpus` 0 means all slots; more than there are is cut to what there is."""

    job_id: str
    pool: str
    cpus: int = 1
    gpus: int = 0
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allocation:
    """What a job was given: CPU threads to compute with, and devices for itself alone."""

    job_id: str
    pool: str
    cpus: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What there is to give. `gpu_problem` is why it is not known which GPUs there are now: jobs wait for them meanwhile."""

    cpus: int
    gpus: tuple[str, ...] = ()
    pools: Mapping[str, int] = field(default_factory=lambda: POOLS)
    gpu_problem: str = ""


@dataclass(frozen=True)
class Schedule:
    """Jobs to start, in order; why each other one waits; why some can never start on this machine."""

    starts: list[Allocation]
    reasons: dict[str, str]
    impossible: dict[str, str]


def schedule(queue: Sequence[ResourceRequest], running: Iterable[Allocation], machine: Machine) -> Schedule:
    """Apply the rule to `queue`, which is in order of priority and age."""
    available = _Available(machine, list(running))
    result = Schedule([], {}, {})
    for request in queue:
        refusal = impossible(request, machine)
        if refusal:
            result.impossible[request.job_id] = refusal
            continue
        reason = available.wait_reason(request)
        if reason:
            result.reasons[request.job_id] = reason
        else:
            result.starts.append(available.take(request))
    return result


def impossible(request: ResourceRequest, machine: Machine) -> str:
    """Why this machine can never run the job, with the next step; empty where it can."""
    if request.pool == INFERENCE_POOL or machine.gpu_problem:
        return ""
    has = f"this machine has {len(machine.gpus) or 'none'}" + (f" ({', '.join(machine.gpus)})" if machine.gpus else "")
    advice = "Clone the job and choose other devices, or none to train on the CPU; `digits doctor` shows what is found."
    missing = [gpu for gpu in request.gpu_ids if gpu not in machine.gpus]
    if missing:
        return f"The job requests GPU {', '.join(missing)}; {has}. {advice}"
    if request.gpus > len(machine.gpus):
        return f"The job requests {request.gpus} GPU{'s' if request.gpus > 1 else ''}; {has}. {advice}"
    return ""


class _Available:
    """What is left while the queue is gone through."""

    def __init__(self, machine: Machine, running: list[Allocation]) -> None:
        self.machine = machine
        self.pools = {
            name: places - sum(allocation.pool == name for allocation in running) for name, places in machine.pools.items()
        }
        self.cpus = machine.cpus - sum(allocation.cpus for allocation in running if _takes_slots(allocation))
        used = {gpu for allocation in running for gpu in allocation.gpus}
        self.gpus = [gpu for gpu in machine.gpus if gpu not in used and not machine.gpu_problem]
        self.kept_cpus = False
        self.kept_gpus: set[str] = set()

    def wait_reason(self, request: ResourceRequest) -> str:
        """Why the job cannot start now, empty when it can; keeps what it waits for."""
        if self.pools.get(request.pool, 1) <= 0:
            return f"waits for a place: {self.machine.pools[request.pool]} such jobs run at once"
        if request.pool == INFERENCE_POOL:
            return ""
        if request.gpus or request.gpu_ids:
            return self._gpu_reason(request)
        if request.pool == TRAIN_POOL and not self._fits(request):
            self.kept_cpus = True
            free = max(0, self.cpus)
            return f"waits for {self._slots(request)} CPU slots: {free} of {self.machine.cpus} are free"
        return ""

    def take(self, request: ResourceRequest) -> Allocation:
        if request.pool in self.pools:
            self.pools[request.pool] -= 1
        free = [gpu for gpu in self.gpus if gpu not in self.kept_gpus]
        gpus = request.gpu_ids or tuple(free[: request.gpus])
        self.gpus = [gpu for gpu in self.gpus if gpu not in gpus]
        allocation = Allocation(request.job_id, request.pool, self._threads(request, gpus), gpus)
        if _takes_slots(allocation):
            self.cpus -= allocation.cpus
        return allocation

    def _gpu_reason(self, request: ResourceRequest) -> str:
        if self.machine.gpu_problem:
            return f"waits for a GPU: {self.machine.gpu_problem} It is queried again"
        free = [gpu for gpu in self.gpus if gpu not in self.kept_gpus]
        if request.gpu_ids:
            if set(request.gpu_ids) <= set(free):
                return ""
            self.kept_gpus |= set(request.gpu_ids)
            return f"waits for GPU {', '.join(request.gpu_ids)}"
        if request.gpus <= len(free):
            return ""
        self.kept_gpus |= set(self.machine.gpus)
        wanted = "a GPU" if request.gpus == 1 else f"{request.gpus} GPUs"
        return f"waits for {wanted}: {len(self.gpus)} of {len(self.machine.gpus)} are free"

    def _fits(self, request: ResourceRequest) -> bool:
        return not self.kept_cpus and self._slots(request) <= self.cpus

    def _slots(self, request: ResourceRequest) -> int:
        return min(request.cpus, self.machine.cpus) if request.cpus > 0 else self.machine.cpus

    def _threads(self, request: ResourceRequest, gpus: Sequence[str]) -> int:
        """A job with GPUs gets its share of the processor beside them; any other what it requested."""
        if gpus:
            return max(1, self.machine.cpus * len(gpus) // max(1, len(self.machine.gpus)))
        return self._slots(request)


def _takes_slots(allocation: Allocation) -> bool:
    return allocation.pool == TRAIN_POOL and not allocation.gpus
