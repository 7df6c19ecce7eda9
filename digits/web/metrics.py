"""`/metrics`: what a Prometheus server scrapes, in its text format (version 0.0.4). Names and labels stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from flask import Blueprint, Response, current_app

import digits
from digits.domain.jobs import Kind, Status
from digits.ipc.supervisor_client import read_runtime
from digits.service import Service
from digits.service.serving import Serving
from digits.service.serving.traffic import BUCKETS
from digits.utils.processes import memory_below
from digits.web.http.request import describes, get_service
from digits.web.serving.admission import get_serving

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PROCESSES = {"digits.web": "web", "digits.plugin_host": "plugin_host", "digits.predictor": "predictor", "digits.worker": "worker"}
Samples = Iterable[tuple[Mapping[str, str], float]]


def blueprint() -> Blueprint:
    """The one route."""
    area = Blueprint("metrics", __name__)
    area.add_url_rule("/metrics", "metrics", metrics)
    return area


@describes(json=True, answer="Text in Prometheus' format.")
def metrics() -> Response:
    """Jobs by kind and state, the queue, devices, trash, and the memory of the processes, for Prometheus."""
    service = get_service()
    load = current_app.extensions["digits-machine"].load()
    return Response("".join([*_lines(service, load), *_served(get_serving())]), content_type=CONTENT_TYPE)


def _lines(service: Service, load: Mapping[str, object]) -> Iterable[str]:
    counts = service.store.status_counts()
    states = [({"kind": str(k), "state": state.word.lower()}, counts.get((k, state), 0)) for k in Kind for state in Status]
    active = service.store.active()
    waiting = sum(job.status != Status.RUN for job in active)
    trashed, trash_bytes = service.store.trash_size()
    yield gauge("digits_info", "The version of the server.", [({"version": digits.__version__}, 1)])
    yield gauge("digits_up", "Whether the supervisor answers.", [({}, bool(load["supervisor"]["ok"]))])  # type: ignore[index]
    yield gauge("digits_jobs", "Jobs by kind and state.", states)
    yield gauge("digits_queue_waiting", "Jobs that wait for their turn.", [({}, waiting)])
    yield gauge("digits_queue_running", "Jobs that run.", [({}, len(active) - waiting)])
    yield gauge("digits_trash_jobs", "Deleted jobs that can be restored.", [({}, trashed)])
    yield gauge("digits_trash_bytes", "Bytes of the disk that they take.", [({}, trash_bytes)])
    yield from _machine(load)
    yield gauge(
        "digits_process_resident_memory_bytes",
        "Resident memory of the server's processes, by what they are.",
        [({"process": name}, size) for name, size in sorted(process_memory(service).items())],
    )


def _machine(load: Mapping[str, object]) -> Iterable[str]:
    yield gauge("digits_cpus", "Cores that digits may use.", [({}, load["cpus"])])  # type: ignore[list-item]
    yield gauge("digits_cpu_percent", "Load of the machine's cores.", [({}, load["cpu_percent"])])  # type: ignore[list-item]
    for name, words in (("memory", "Memory of the machine"), ("disk", "The disk of the jobs directory")):
        sizes: Mapping[str, float] = load[name]  # type: ignore[assignment]
        for part in ("used", "total"):
            yield gauge(f"digits_{name}_{part}_bytes", f"{words}: {part} bytes.", [({}, sizes[part])])
    gpus: Iterable[Mapping[str, str]] = load["gpus"]  # type: ignore[assignment]
    named = [({"gpu": str(gpu["id"]), "name": str(gpu["name"])}, gpu) for gpu in gpus]
    yield gauge("digits_gpu_busy", "Whether a job has the device.", [(labels, bool(gpu["job"])) for labels, gpu in named])
    totals = [(labels, float(gpu["memory_total"])) for labels, gpu in named]
    yield gauge("digits_gpu_memory_total_bytes", "Memory of the device.", totals)


def _served(serving: Serving) -> Iterable[str]:
    """What goes through published names, counted since the server's start."""
    published, counts = serving.publications.all(), serving.traffic.histograms()
    by_name = [({"name": one.name}, *serving.traffic.of_name(one.name), one.queue_limit) for one in published]
    yield gauge("digits_serve_in_flight", "Requests of a published name at work.", [(name, now) for name, now, _, _ in by_name])
    yield gauge("digits_serve_queue_limit", "How many may be.", [(name, most) for name, _, _, most in by_name])
    yield metric("digits_serve_refused_total", "Those refused (429).", "counter", [(name, no) for name, _, no, _ in by_name])
    drifts = []
    for one in published:
        for version in filter(None, map(one.version, one.used)):
            drift = serving.traffic.describe(one.name, version)["drift"]
            drifts += (
                [({"name": one.name, "version": str(version.number)}, max(map(abs, drift["shift"])))] if drift["shift"] else []
            )
    words = "How many of the training's standard deviations the mean of the last pictures is off."
    yield gauge("digits_serve_input_shift", words, drifts)
    labels = {key: {"name": key[0], "version": str(key[1])} for key in counts}
    codes = [({**labels[key], "code": str(code)}, n) for key, one in counts.items() for code, n in sorted(one[0].items())]
    yield metric("digits_serve_requests_total", "Requests of a published name, by version and code.", "counter", codes)
    pictures = [(labels[key], one[3]) for key, one in counts.items()]
    yield metric("digits_serve_pictures_total", "Pictures that were predicted.", "counter", pictures)
    samples: list[tuple[Mapping[str, str], float, str]] = []
    for key, (_, buckets, seconds, _) in counts.items():
        total = 0
        for end, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
            total += count
            samples.append(({**labels[key], "le": end}, total, "_bucket"))
        samples += [(labels[key], seconds, "_sum"), (labels[key], total, "_count")]
    yield _lines_of("digits_serve_seconds", "Seconds to a good answer.", "histogram", samples)


def process_memory(service: Service) -> dict[str, int]:
    """Resident bytes by `web`, `supervisor`, `plugin_host`, `predictor`, `worker`, `other`; of this process alone where no
    supervisor can be found."""
    supervisor = read_runtime(service.jobs_dir).get("pid")
    found = memory_below(supervisor, kind_of, "supervisor") if isinstance(supervisor, int) else {}
    return found or memory_below(os.getpid(), kind_of, "web")


def kind_of(command: Iterable[str]) -> str:
    """What a process of the server is, by its command line."""
    return next((PROCESSES[part] for part in command if part in PROCESSES), "other")


def gauge(name: str, words: str, samples: Samples) -> str:
    """One metric with its samples."""
    return metric(name, words, "gauge", samples)


def metric(name: str, words: str, kind: str, samples: Samples) -> str:
    """One metric of a kind, `gauge` or `counter`, with its samples."""
    return _lines_of(name, words, kind, [(labels, value, "") for labels, value in samples])


def _lines_of(name: str, words: str, kind: str, samples: Iterable[tuple[Mapping[str, str], float, str]]) -> str:
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    for labels, value, end in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{end}{{{inside}}} {float(value):.17g}" if inside else f"{name}{end} {float(value):.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
