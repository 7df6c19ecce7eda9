"""Looks at a spread of entries before any is written: what most samples are, the records become; and where none of them can be a
record, or hardly any, the job ends at once instead of after a million."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from digits.domain.datasets import PAIR, STAGES, DatasetSpec, ignored_in
from digits.errors import DataError, DigitsError, JobStopped, Misfit
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import FileSource
from digits.ingest.encode import entry_at, entry_text, named, reason_of, samples_of
from digits.ingest.left_out import LeftOut
from digits.ingest.problems import CONVERTED, SKIPPED
from digits.ingest.record_schema import Pair, RecordSchema, SampleFacts, infer_schema, sample_facts
from digits.ingest.source import class_labels_of

STEPS = (8, 64, 200)  # entries: more only where the first ones differ or could not be read
IN_A_ROW = 100  # entries from the start of each stage, where none of the spread can be read
KEPT = 8  # samples that are held against the schema with all they hold
SURE = 64  # entries from which on their share says something about all
Place = tuple[str, int]


class Probe:
    """What was seen of some entries, by stage. Of a sample only what it is stays in memory, apart from the first few."""

    def __init__(
        self,
        source: DataIngestionInterface,
        spec: DatasetSpec,
        plugin: str,
        entries: dict[str, Sequence[Any]],
        samples: Callable[[str, Any], Any] | None = None,
    ) -> None:
        """`samples` gives what `samples_of` does of a stage's entry; None: that itself, of `source`."""
        self.source, self.spec, self.plugin, self.entries = source, spec, plugin, entries
        self._samples = samples or (lambda stage, entry: samples_of(source, entry, plugin))
        self.class_labels = class_labels_of(source)
        self.task = source.get_task() or ""
        self.same_shape = spec.force_same_shape and not (isinstance(source, FileSource) and source.keeps_sizes)
        self._facts: list[SampleFacts] = []
        self._kept: list[tuple[str, Pair, SampleFacts]] = []
        self._bad: list[tuple[str, DigitsError]] = []

    def schema(self, should_stop: Callable[[], bool]) -> RecordSchema:
        """The schema of most samples. Raises DataError or PluginError where no records can be made, JobStopped when requested."""
        looked: set[Place] = set()
        for places in self._rounds():
            for stage, row in (place for place in places if place not in looked):
                self._look(stage, entry_at(self.entries[stage], row, self.plugin))
                if should_stop():
                    raise JobStopped("Stopped while looking at the data.")
            looked.update(places)
            if len(self._facts) >= STEPS[0] and len({self._form_of(one) for one in self._facts}) == 1:
                break
        if not self._facts:
            raise self._no_sample()
        schema = self._schema()
        self._check(schema)
        return schema

    def differing(self, samples: Sequence[tuple[str, Pair]]) -> Iterator[dict[str, Any]]:
        """What would become of some samples, each with its entry, that differ from most of them: one problem each. For a look
        before anything is made."""
        usable = []
        for entry, pair in samples:
            try:
                self._facts.append(sample_facts(pair, entry, self.plugin, self.task, bool(self.class_labels)))
                usable.append((entry, pair))
            except Misfit as error:
                yield {"kind": SKIPPED, "entry": entry, "reason": reason_of(error)}
        if not usable:
            return
        schema = self._schema()
        for entry, pair in usable:
            done, fault = _tried(schema, pair, entry)
            if fault is not None:
                yield {"kind": SKIPPED, "entry": entry, "reason": reason_of(fault)}
            elif done:
                yield {"kind": CONVERTED, "entry": entry, "reason": done}

    def _schema(self) -> RecordSchema:
        schema = infer_schema(
            self._facts,
            self.spec,
            self.class_labels,
            self.plugin,
            self.task,
            same_shape=self.same_shape,
            are_pictures=isinstance(self.source, FileSource),
        )
        if not isinstance(self.source, FileSource):
            return schema
        described = self.source.describe()
        meta = replace(schema.meta, pictures=2 if described.get(PAIR) else 1)
        return replace(schema, meta=meta, ignored=ignored_in(described))

    def _rounds(self) -> Iterator[list[Place]]:
        """Entries to look at: spread over all stages, more and more of them; then the first of each until one can be read."""
        counts = {stage: len(self.entries.get(stage, ())) for stage in STAGES}
        ends = dict(zip(counts, np.cumsum(list(counts.values())).tolist(), strict=True))
        total = sum(counts.values())
        for step in STEPS:
            rows = np.unique(np.linspace(0, total - 1, min(step, total)).astype(int)).tolist()
            stages = [next(stage for stage, end in ends.items() if row < end) for row in rows]
            yield [(stage, row - ends[stage] + counts[stage]) for stage, row in zip(stages, rows, strict=True)]
        for stage, count in counts.items():
            for row in range(min(count, IN_A_ROW)):
                if self._facts:
                    return
                yield [(stage, row)]

    def _look(self, stage: str, entry: Any) -> None:
        text = named(entry)
        try:
            samples = self._samples(stage, entry)
        except (DataError, Misfit) as error:
            self._bad.append((entry_text(entry), error))
            return
        for pair in samples if isinstance(samples, list) else [samples]:
            try:
                facts = sample_facts(pair, text, self.plugin, self.task, bool(self.class_labels))
            except Misfit as error:
                self._bad.append((entry_text(entry), error))
                continue
            self._facts.append(facts)
            if len(self._kept) < KEPT:
                self._kept.append((text, pair, facts))

    def _form_of(self, one: SampleFacts) -> tuple[Any, ...]:
        """What is the same for samples that need no further look."""
        return (one.shape if self.same_shape else one.shape[0], one.dtype, one.label.form(self.same_shape))

    def _no_sample(self) -> DigitsError:
        """Why there is no record at all."""
        first = self._bad[0][1] if self._bad else None
        if isinstance(first, Misfit) and all(isinstance(error, Misfit) for _, error in self._bad):
            return first
        reasons = f" {self._left_out().reasons()}" if self._bad else ""
        return DataError(f"None of the entries could be read.{reasons}", advice="Check the files, and that digits may read them.")

    def _check(self, schema: RecordSchema) -> None:
        """Raises PluginError where no sample of the right form can be a record, DataError where hardly any is of it."""
        fitting = [(text, pair) for text, pair, facts in self._kept if not _differs(schema, facts)]
        faults = [fault for text, pair in fitting if (fault := _fault(schema, pair, text)) is not None]
        if fitting and len(faults) == len(fitting):
            raise faults[0]
        others = [(text, fault) for text, pair, facts in self._kept if (fault := _fault(schema, pair, text)) is not None]
        wrong = len(self._bad) + sum(_differs(schema, facts) for facts in self._facts)
        seen = len(self._bad) + len(self._facts)
        if seen >= SURE and wrong / seen > (1 + self.spec.max_left_out) / 2:
            left_out = self._left_out()
            left_out.add([(text, reason_of(fault)) for text, fault in others], 0)
            raise left_out.error(f"{wrong} of {seen} entries that were looked at cannot be used")

    def _left_out(self) -> LeftOut:
        left_out = LeftOut(self.plugin, sum(map(len, self.entries.values())), self.spec.max_left_out)
        left_out.add([(text, reason_of(error)) for text, error in self._bad], len(self._bad))
        return left_out


def _differs(schema: RecordSchema, facts: SampleFacts) -> bool:
    return bool(schema.feature_form.differing(facts.shape, facts.dtype))


def _tried(schema: RecordSchema, pair: Pair, text: str) -> tuple[str, Misfit | None]:
    """What has to be done to a sample so that it is a record of the schema, or why it cannot be one."""
    try:
        return " ".join(filter(None, (schema.feature(pair[0], text)[1], schema.label(pair[1], text)[1]))), None
    except Misfit as error:
        return "", error


def _fault(schema: RecordSchema, pair: Pair, text: str) -> Misfit | None:
    return _tried(schema, pair, text)[1]
