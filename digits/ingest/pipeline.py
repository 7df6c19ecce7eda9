"""The whole way of one data set: source → entries → encoders → records → `dataset.json`.

Holds: `dataset.json` is written last and once; a job that is stopped or fails leaves no split behind; counts are counts of
records; memory does not grow with the number of entries; a full disk makes the work wait, never lose or double a record.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from digits.domain.datasets import HASH_KIND, STAGES, TRAIN_DB, DatasetInfo, DatasetSpec, SplitInfo
from digits.domain.events import Event, LogEvent, WarningEvent
from digits.errors import DataError, StorageError
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import FileSource
from digits.extensions.data.userdata import chance_of
from digits.images.prepare import dtype_word
from digits.ingest.apart import InWorker, LookingApart, can_be_sent
from digits.ingest.encode import NO_SAMPLE, EncodedChunk, samples_of
from digits.ingest.left_out import LeftOut
from digits.ingest.pool import EncodePool, Setup
from digits.ingest.probe import Probe
from digits.ingest.problems import (
    CONTRADICTION,
    CONVERTED,
    DUPLICATE,
    EMPTY_SPLIT,
    LISTED_CONVERSIONS,
    LISTED_DUPLICATES,
    MORE,
    PROBLEM_WORDS,
    SKIPPED,
    ProblemLog,
    empty_shares,
)
from digits.ingest.progress import Progress
from digits.ingest.record_schema import RecordSchema
from digits.ingest.silence import SilenceWatch
from digits.ingest.source import (
    attributes_of,
    changed_in,
    entries_of,
    entry_seconds,
    forget_found,
    kept_colours,
    load_source,
    open_source,
    says_its_mode,
    state_of,
    title_of,
)
from digits.ingest.split_statistics import (
    MEAN_ARRAY_FILE,
    LabelStatistics,
    Sums,
    content_hash,
    disagreements,
    duplicates,
    hardly_repeat,
    label_problems,
    numbered_pixels,
    size_histogram,
    with_numbers,
    write_mean,
)
from digits.storage.files import write_json
from digits.storage.folders import JobFolder
from digits.storage.records.reader import RecordReader, RecordWriter, remove_split
from digits.tasks import Labels, get, of, of_dataset
from digits.utils.values import counted

LOOK_AT_PROBLEMS = "The list of problems names each with the reason."
APART = "The worker ended while it looked at entries or encoded them: from now on other processes do, and one that ends is named."
ONE_BY_ONE = (
    "encode_entry of {plugin} changes what the plugin keeps ({names}): its entries are encoded one after the other, in their "
    'order, for several processes would each keep their own. encode_mode = "processes" on the class says that this does no harm.'
)
logger = logging.getLogger(__name__)


@dataclass
class IngestContext:
    """What the job gives the work: where events go, when to stop, how to wait for space, how many may encode at once, and how
    another thread ends it with an error (`WorkerContext.give_up`)."""

    emit: Callable[[Event], object]
    should_stop: Callable[[], bool]
    retry_when_disk_full: Callable[[Callable[[], Any]], Any]
    workers: int
    give_up: Callable[[Exception], object]


@dataclass
class _Split:
    """A split that is being written."""

    name: str
    writer: RecordWriter
    sums: Sums = field(default_factory=Sums)
    statistics: LabelStatistics = field(default_factory=LabelStatistics)
    skipped: int = 0
    shape: tuple[int, int, int] | None = None
    one_shape: bool = True

    def note_shapes(self, shapes: np.ndarray | None) -> None:
        for shape in () if shapes is None else np.unique(shapes, axis=0):
            found = (int(shape[0]), int(shape[1]), int(shape[2]))
            self.one_shape = self.one_shape and self.shape in (None, found)
            self.shape = found


class Ingest:
    """One run of `ingest`. The steps are in the order of its methods."""

    def __init__(self, folder: JobFolder, spec: DatasetSpec, context: IngestContext) -> None:
        self.folder, self.spec, self.context = folder, spec, context
        self.plugin = title_of(spec.extension, spec.entry_point, spec.distribution)
        self.problems = ProblemLog(folder.problems_file)
        self._statistics: dict[str, LabelStatistics] = {}
        self._conversions = 0
        self._mode = ""  # how entries are encoded, where the source does not say it
        self._in_worker = InWorker(folder)
        self._watch = SilenceWatch(self.plugin, entry_seconds(), context.emit, context.give_up)

    def run(self) -> DatasetInfo:
        self._remove_splits()
        try:
            source = self.context.retry_when_disk_full(self._open_source)
            self._sources = self._of_stages(source)
            source = self._sources[TRAIN_DB]
            entries = {stage: entries_of(self._sources[stage], stage, self.plugin, self._watch) for stage in STAGES}
            self._check_entries(entries)
            apart = self._in_worker.has_died and can_be_sent(entries)
            schema = self._schema(source, entries, apart)
            splits = self._write_splits(schema, entries, apart)
            mark = self.problems.mark()
            info = self.context.retry_when_disk_full(lambda: self._conclude(source, schema, splits, mark))
            self._tell(info)
            self.context.retry_when_disk_full(lambda: write_json(self.folder.dataset_file, info.to_json()))
            return info
        except BaseException:
            self._remove_splits()
            raise
        finally:
            self._in_worker.forget()
            self.problems.close()

    def _remove_splits(self) -> None:
        self.folder.dataset_file.unlink(missing_ok=True)
        for stage in STAGES:
            remove_split(self.folder.path / stage)

    def _open_source(self) -> DataIngestionInterface:
        self.problems.clear()
        self.context.emit(LogEvent(message="Looking at the files."))
        source = open_source(self.spec, self.folder, self.problems.add, self.context.should_stop, self._watch)
        seed = chance_of(source).seed
        if not isinstance(source, FileSource) and seed is not None:
            self.context.emit(LogEvent(message=f"What the plugin draws while it lists entries follows from the seed {seed}."))
        return source

    def _check_entries(self, entries: dict[str, Sequence[Any]]) -> None:
        counts = ", ".join(f"{stage}: {len(items)}" for stage, items in entries.items())
        self.context.emit(LogEvent(message=f"Entries found: {counts}."))
        if not any(len(items) for items in entries.values()):
            raise DataError(f"{self.plugin} found no entries for any split.", advice="Check the folders and files of the form.")
        for problem in empty_shares(self.spec.extension_data, {stage: len(items) for stage, items in entries.items()}):
            self._say_empty(problem["stage"], problem["reason"])

    def _of_stages(self, source: DataIngestionInterface) -> dict[str, DataIngestionInterface]:
        """The source of each stage. A plugin has an instance of its own for each, as with the original: it may shuffle what it
        has, or take away what it gave, and no entry may come into two splits by that."""
        if isinstance(source, FileSource):
            return dict.fromkeys(STAGES, source)
        return {stage: load_source(self.spec.extension, self.folder.path) for stage in STAGES}

    def _schema(self, source: DataIngestionInterface, entries: dict[str, Sequence[Any]], apart: bool) -> RecordSchema:
        """Looked at is with copies: what a plugin remembers of entries is not to be of these."""
        stop = self.context.should_stop
        if not apart:
            with self._in_worker.watched():
                copies = {stage: self._copy_of(stage) for stage in STAGES if len(entries[stage])}
                samples = lambda stage, entry: samples_of(copies[stage], entry, self.plugin)  # noqa: E731
                before = {stage: attributes_of(copy) for stage, copy in copies.items() if self._may_split(copy)}
                schema = Probe(source, self.spec, self.plugin, entries, samples).schema(stop)
                self._note_changes([changed_in(was, attributes_of(copies[stage])) for stage, was in before.items()])
                return schema
        self.context.emit(LogEvent(message=APART))
        with ExitStack() as stack:
            looking = {
                stage: stack.enter_context(LookingApart(self._setup(stage), self.plugin, stop))
                for stage in STAGES
                if len(entries[stage])
            }
            samples = lambda stage, entry: looking[stage].samples(entry)  # noqa: E731
            schema = Probe(source, self.spec, self.plugin, entries, samples).schema(stop)
            if self._may_split(source):
                self._note_changes([one.changes() for one in looking.values()])
            return schema

    @staticmethod
    def _may_split(source: DataIngestionInterface) -> bool:
        """Whether entries go to several processes although the source does not say that they may."""
        return not isinstance(source, FileSource) and source.encode_mode == "processes" and not says_its_mode(source)

    def _note_changes(self, changes: Sequence[set[str]]) -> None:
        """What counts or collects in `encode_entry` would do so in each process for itself."""
        if changed := sorted(set().union(*changes)):
            self._mode = "serial"
            self.context.emit(LogEvent(message=ONE_BY_ONE.format(plugin=self.plugin, names=", ".join(changed[:8]))))

    def _copy_of(self, stage: str) -> DataIngestionInterface:
        """The source of a stage as it is after listing its entries."""
        source = self._sources[stage]
        if isinstance(source, FileSource):
            return source
        state = state_of(source)
        copy = load_source(self.spec.extension, self.folder.path, state)
        if not state:
            entries_of(copy, stage, self.plugin, self._watch)
        return copy

    def _setup(self, stage: str) -> Setup:
        source = self._sources[stage]
        state = state_of(source)
        lists = not state and not isinstance(source, FileSource)
        return Setup(self.spec.extension, self.folder.path, state=state, lists=stage if lists else "")

    def _write_splits(
        self, schema: RecordSchema, entries: dict[str, Sequence[Any]], apart: bool
    ) -> dict[str, tuple[SplitInfo, Sums]]:
        total = sum(len(items) for items in entries.values())
        unit = of(schema.meta.task, Labels.of_records(schema.meta)).unit
        progress = Progress(self.context.emit, total, unit)
        done: dict[str, tuple[SplitInfo, Sums]] = {}
        self._left_out = LeftOut(self.plugin, total, self.spec.max_left_out)
        stop = self.context.should_stop
        filled = [stage for stage in STAGES if len(entries[stage])]
        is_one = len({id(self._sources[stage]) for stage in filled}) == 1
        for stages in [filled] if is_one else [[stage] for stage in filled]:  # those of one source share the processes
            setup, count = replace(self._setup(stages[0]), schema=schema), sum(len(entries[stage]) for stage in stages)
            source = self._sources[stages[0]]
            with (
                EncodePool(
                    setup, source, self.context.workers, entries=count, should_stop=stop, apart=apart, mode=self._mode
                ) as pool,
                self._in_worker.watched() if pool.in_worker else nullcontext(),
            ):
                for stage in stages:
                    progress.stage(stage)
                    split = self._write_split(pool, stage, schema, entries[stage], progress)
                    if split is not None:
                        done[stage] = split
        if (more := self._conversions - LISTED_CONVERSIONS) > 0:
            self.problems.add(
                {"kind": MORE, "of": CONVERTED, "count": more, "entry": "", "reason": f"{more:,} more conversions."}
            )
        if not done:
            raise DataError(f"None of the entries could be read. {self._left_out.reasons()}", advice=LOOK_AT_PROBLEMS)
        return done

    def _write_split(
        self, pool: EncodePool, stage: str, schema: RecordSchema, entries: Sequence[Any], progress: Progress
    ) -> tuple[SplitInfo, Sums] | None:
        with_picture = stage == TRAIN_DB and schema.meta.feature_shape is not None
        writer = self.context.retry_when_disk_full(lambda: RecordWriter(self.folder.path / stage, schema.meta))
        split = _Split(stage, writer)
        try:
            seen = 0
            for chunk in pool.run(entries, with_picture):
                self._store(split, chunk)
                progress.advance(chunk.entries)
                seen += chunk.entries
            if seen != len(entries):
                raise StorageError(f"Only {seen} of {len(entries)} entries of {stage} were encoded; this is a fault of digits.")
            return self._finish(split)
        except BaseException:
            writer.abort()
            raise

    def _store(self, split: _Split, chunk: EncodedChunk) -> None:
        if len(chunk.records):
            self.context.retry_when_disk_full(lambda: split.writer.append(chunk.records))
            split.sums.merge(chunk.sums)
            split.note_shapes(chunk.records.shapes)
            split.statistics.merge(chunk.statistics)
        lines: list[dict[str, Any]] = [{"kind": SKIPPED, "stage": split.name, "entry": e, "reason": r} for e, r in chunk.skipped]
        without = {"kind": SKIPPED, "stage": split.name, "reason": NO_SAMPLE, "lost": 0}
        lines += [{**without, "entry": entry} for entry in chunk.without_sample]
        split.skipped += len(lines)
        lines += [{"kind": k, "stage": split.name, "entry": e, "reason": r} for e, k, r in self._listed(chunk.notes)]
        if lines:
            self.context.retry_when_disk_full(lambda: self.problems.add_all(lines))
        self._left_out.add(chunk.skipped, chunk.lost)
        self._left_out.check()

    def _listed(self, notes: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """The notes of a chunk without the conversions beyond those that are listed."""
        listed = []
        for note in notes:
            self._conversions += note[1] == CONVERTED
            if note[1] != CONVERTED or self._conversions <= LISTED_CONVERSIONS:
                listed.append(note)
        return listed

    def _finish(self, split: _Split) -> tuple[SplitInfo, Sums] | None:
        if not split.writer.rows:
            split.writer.abort()
            if split.name == TRAIN_DB:
                found = f"None of the {split.skipped} entries of {TRAIN_DB} could be read."
                raise DataError(f"{found} {self._left_out.reasons()}".strip(), advice=LOOK_AT_PROBLEMS)
            self._say_empty(split.name, f"No entry of {split.name} could be read ({split.skipped} skipped); it is left out.")
            return None
        sums = split.sums.over_pictures(split.writer.meta.pictures)
        mean, std = sums.mean_and_std()
        meta = replace(split.writer.meta, mean=mean, std=std)
        if meta.feature_shape is None and split.one_shape and split.shape is not None:
            meta = replace(meta, feature_shape=split.shape)
        size = self.context.retry_when_disk_full(lambda: split.writer.finish(meta))
        counts = tuple(split.statistics.images)
        if of(meta.task, Labels.of_records(meta)).counted == "records":
            reader = RecordReader(self.folder.path / split.name)
            counts = tuple(int(n) for n in reader.class_counts(len(meta.class_labels)))
            self._check_classes(split.name, meta.class_labels, counts)
        self._statistics[split.name] = split.statistics
        return SplitInfo(split.name, split.writer.rows, meta, counts, split.skipped, size), sums

    def _say_empty(self, stage: str, reason: str) -> None:
        problem = {"kind": EMPTY_SPLIT, "stage": stage, "entry": "", "reason": reason}
        self.context.retry_when_disk_full(lambda: self.problems.add(problem))
        self._warn(EMPTY_SPLIT, reason)

    def _check_classes(self, stage: str, labels: tuple[str, ...], counts: tuple[int, ...]) -> None:
        """Unreadable pictures may leave a class empty that had enough files."""
        empty = [label for label, count in zip(labels, counts, strict=True) if not count]
        if stage != TRAIN_DB or not empty:
            return
        if len(labels) - len(empty) < 2:
            raise DataError(
                f"Only one class has pictures that could be read; {', '.join(empty[:5])} has none.", advice=LOOK_AT_PROBLEMS
            )
        self._warn("empty-class", f"No record of {len(empty)} classes: {', '.join(empty[:10])}.", LOOK_AT_PROBLEMS)

    def _conclude(
        self, source: DataIngestionInterface, schema: RecordSchema, splits: dict[str, tuple[SplitInfo, Sums]], mark: int
    ) -> DatasetInfo:
        self.problems.rewind(mark)
        infos = {name: info for name, (info, _) in splits.items()}
        readers = {name: RecordReader(self.folder.path / name) for name in infos}
        copies = self._list_duplicates(readers, isinstance(source, FileSource))
        self._check_labels(schema)
        mean_image = ""
        if TRAIN_DB in splits:
            mean_image = write_mean(self.folder.path, splits[TRAIN_DB][1], infos[TRAIN_DB].entries)
        labels = schema.meta.class_labels
        if Labels.of_records(schema.meta).is_whole and not labels:
            labels, infos = with_numbers(infos, readers)
        elif not labels and get(schema.meta.task).counted == "pixels":
            labels = numbered_pixels(readers, schema.ignored)
        shapes = {info.meta.feature_shape for info in infos.values()}
        shape = shapes.pop() if len(shapes) == 1 else None
        info = DatasetInfo(
            task=schema.meta.task,
            class_labels=labels,
            splits=infos,
            feature_shape=shape,
            sizes=size_histogram(readers),
            problems=self.problems.counts.get(SKIPPED, 0),
            duplicates=copies,
            mean_image=mean_image,
            extra=self._extra(source, schema, mean_image) | _one_size(source, schema, shape) | {"hash_kind": HASH_KIND},
        )
        return replace(info, task=of_dataset(info).name, content_hash=content_hash(readers, self._statistics, info))

    def _check_labels(self, schema: RecordSchema) -> None:
        """Problems that show only when all labels have been counted. Raises DataError when there is nothing to learn."""
        for problem in label_problems(schema.meta, self._statistics):
            self.problems.add(problem)

    def _list_duplicates(self, readers: dict[str, RecordReader], named_by_user: bool) -> int:
        """How many there are. Raises DataError for a split of nothing else, which a plugin made of its own accord."""
        counts: Counter[str] = Counter()
        copies: Counter[str] = Counter()  # by split, labels the same
        for problem in duplicates(readers):
            counts[problem["kind"]] += 1
            copies[problem["stage"]] += 1 if problem["kind"] == DUPLICATE else -1
            if counts[problem["kind"]] <= LISTED_DUPLICATES:
                self.problems.add(problem)
        for problem in disagreements(readers):
            counts[CONTRADICTION] += 1
            if counts[CONTRADICTION] <= LISTED_DUPLICATES:
                self.problems.add(problem)
        for stage, reader in readers.items():
            if copies[stage] == len(reader) and not named_by_user and hardly_repeat(readers, stage):
                raise DataError(
                    f"{self.plugin}: every record of {stage} ({len(reader):,}) is an exact copy of one in another split.",
                    advice="Nothing can be measured on it. Let itemize_entries list, or draw, other entries for each stage.",
                )
        return counts[DUPLICATE]

    def _extra(self, source: DataIngestionInterface, schema: RecordSchema, mean_image: str) -> dict[str, Any]:
        described = _preparation(source.describe(), schema) if isinstance(source, FileSource) else {}
        mean = {"mean_array": MEAN_ARRAY_FILE} if mean_image else {}
        labels = {name: found for name, facts in self._statistics.items() if (found := facts.to_json())}
        return {
            **described,
            **kept_colours(source),
            **({"labels": labels} if labels else {}),
            "feature_encoding": schema.meta.feature_encoding,
            **({"jpeg_quality": schema.quality} if schema.meta.feature_encoding == "jpg" else {}),
            "problem_counts": dict(self.problems.counts),
            "left_out": self.problems.lost,
            **mean,
            **({} if isinstance(source, FileSource) else {"random_seed": chance_of(source).seed}),
        }

    def _tell(self, info: DatasetInfo) -> None:
        if info.problems:
            self._warn("skipped", f"{counted(info.problems, 'entry', 'entries')} could not be used; skipped.", LOOK_AT_PROBLEMS)
        if info.duplicates:
            message = f"{counted(info.duplicates, 'exact copy', 'exact copies')} of pictures in another split."
            self._warn("duplicates", message, "Results on validation and test will look better than they are; remove the copies.")
        for kind, words in PROBLEM_WORDS.items():
            if count := self.problems.counts.get(kind):
                self._warn(kind, words(count), LOOK_AT_PROBLEMS)

    def _warn(self, code: str, message: str, advice: str = "") -> None:
        logger.warning("%s", message)
        self.context.emit(WarningEvent(code=code, message=message, advice=advice))


def ingest(folder: JobFolder, spec: DatasetSpec, context: IngestContext) -> DatasetInfo:
    """Make the records of a data set, where an earlier attempt did not end when all was done but the word that it is. Raises
    DataError, PluginError, StorageError, JobStopped."""
    info = _made_before(folder)
    if info is None:
        info = Ingest(folder, spec, context).run()
    forget_found(folder)
    return info


def _made_before(folder: JobFolder) -> DatasetInfo | None:
    try:
        return folder.find_dataset_info()
    except StorageError:
        return None


def _preparation(described: dict[str, Any], schema: RecordSchema) -> dict[str, Any]:
    """What a source says of its pictures, with what only the records know: their type and, where the files decide, channels."""
    if not described.get("channels"):
        described = {**described, "channels": schema.channels}
    return {"dtype": dtype_word(schema.meta.feature_dtype, described.get("channels") or None), **described}


def _one_size(source: DataIngestionInterface, schema: RecordSchema, shape: tuple[int, int, int] | None) -> dict[str, Any]:
    """Pictures that keep their sizes but must be of one: those that are tested later are brought to it."""
    kept = isinstance(source, FileSource) and source.describe().get("keep_size") and schema.meta.feature_shape is not None
    return {"keep_size": False, "height": shape[1], "width": shape[2]} if kept and shape else {}
