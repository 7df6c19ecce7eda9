"""The contract of a table of jobs as tests: inherit `JobStoreContract`, make a store, run it with pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from digits.domain.jobs import Action, JobRequest, Kind, Resources, Status, UserColumns
from digits.errors import BadRequest, Conflict, NotFound
from digits.storage.folders import JobsDir
from digits.storage.jobs.reindex import reindex, state_of
from digits.storage.jobs.store import Job, JobQuery, JobStore, Output, Parent

WRITERS, CHANGES = 4, 10
OUTPUT = Output("", "loss", "val", "loss", 0.25, 0.125, 2.0, 3.0, 1.0)


def request(number: int, parents: tuple[str, ...] = (), **fields: Any) -> JobRequest:
    """A request whose id and age grow with its number."""
    job_id, needs = f"20260102-0304{number:02d}-{number:04x}", Resources("train", cpus=2, gpus=1, gpu_ids=("0",))
    values: dict[str, Any] = {"kind": Kind.MODEL, "task": "generic", "resources": needs, **fields}
    return JobRequest(job_id, type_name="Test", created=1000.0 + number, form={}, spec={}, parents=parents, **values)


def output(job_id: str, name: str = "loss", last: float = 0.25) -> Output:
    return Output(**{**asdict(OUTPUT), "job_id": job_id, "name": name, "last": last})


class JobStoreContract:
    """What every table of jobs keeps.

    `make_store` opens one over what lies in the folder: one opened later over the same folder is what another process has.
    """

    def make_store(self, tmp_path: Path) -> JobStore:
        raise NotImplementedError

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[Callable[[], JobStore]]:
        """Opens stores over the same rows; all are closed at the end."""
        opened: list[JobStore] = []

        def open_store() -> JobStore:
            opened.append(self.make_store(tmp_path))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, open_store: Callable[[], JobStore]) -> JobStore:
        return open_store()

    def insert(self, store: JobStore, number: int, parents: tuple[str, ...] = (), name: str = "", **columns: Any) -> Job:
        """A new row; `kind` and `task` are the request's, `group`, `notes`, `owner` and `priority` the user's."""
        asked = {key: columns.pop(key) for key in ("kind", "task") if key in columns}
        chosen = {key: columns.pop(key) for key in ("group", "notes", "tags", "owner", "priority") if key in columns}
        return store.insert(request(number, parents, **asked), UserColumns(name or f"job {number}", **chosen), **columns)

    # -- rows ---------------------------------------------------------------------------------------------------

    def test_a_new_row_has_what_was_requested_and_what_the_user_wrote(self, store: JobStore) -> None:
        made = self.insert(store, 1, name="ü ✓", notes="two\nlines", tags=("a", "b"), owner="me", priority=3, network="net")
        assert (made.kind, made.type_name, made.task, made.created) == ("model", "Test", "generic", 1001.0)
        assert (made.pool, made.cpus, made.gpus, made.gpu_ids) == ("train", 2, 1, ["0"])
        assert (made.name, made.notes, made.tags, made.owner, made.priority) == ("ü ✓", "two\nlines", ["a", "b"], "me", 3)
        assert (made.status, made.history, made.network) == (Status.INIT, [["I", 1001.0]], "net")
        assert (made.started, made.finished, made.deleted, made.disk_bytes, made.requested_action) == (None, None, None, None, "")
        assert store.get(made.id, "model") == store.find_many([made.id, "nobody"])[made.id] == made

    def test_rows_outlive_the_store(self, store: JobStore, open_store: Callable[[], JobStore]) -> None:
        made = self.insert(store, 1, summary={"epochs": [1, 2]}, sparkline=[0.5, 0.25])
        store.put_outputs(made.id, [output(made.id)])
        store.close()
        again = open_store()
        assert again.get(made.id) == made
        assert again.outputs([made.id]) == {made.id: [output(made.id)]}

    def test_a_job_that_is_not_there_is_not_found(self, store: JobStore) -> None:
        made = self.insert(store, 1)
        assert store.find("nobody") is None
        for attempt in (
            lambda: store.get("nobody"),
            lambda: store.get(made.id, "dataset"),
            lambda: store.update("nobody", name="x"),
            lambda: store.transition("nobody", Status.RUN),
            lambda: store.request_action("nobody", Action.ABORT),
            lambda: store.update_from_events("nobody", {}, []),
        ):
            with pytest.raises(NotFound):
                attempt()

    def test_a_column_that_does_not_exist_changes_nothing(self, store: JobStore) -> None:
        made = self.insert(store, 1)
        with pytest.raises(AttributeError, match="colour"):
            store.update(made.id, name="new", colour="red")
        assert (store.get(made.id), store.sequence()) == (made, made.seq)

    def test_a_purged_job_leaves_nothing(self, store: JobStore) -> None:
        parent = self.insert(store, 1)
        child = self.insert(store, 2, parents=(parent.id,))
        store.put_outputs(child.id, [output(child.id)])
        store.purge(child.id)
        assert (store.find(child.id, with_deleted=True), store.ids()) == (None, [parent.id])
        assert (store.parents(child.id), store.children(parent.id), store.outputs([child.id])) == ([], [], {})
        assert store.output_names() == []

    def test_a_job_that_is_inserted_again_takes_the_place_of_what_was_there(self, store: JobStore) -> None:
        first, second = self.insert(store, 1), self.insert(store, 2)
        asked, user = request(3, (first.id,)), UserColumns("named")
        for parents, outputs in (((first.id,), [output(asked.id)]), ((second.id,), [output(asked.id, "accuracy")])):
            made = store.reinsert(replace(asked, parents=parents), user, outputs, message="from the folder")
            assert (store.get(asked.id), made.seq) == (made, store.sequence())
            assert (store.parents(asked.id), store.outputs([asked.id])) == (list(parents), {asked.id: outputs})
        assert store.ids() == [first.id, second.id, asked.id]

    # -- states -------------------------------------------------------------------------------------------------

    def test_a_run_leaves_its_times(self, store: JobStore) -> None:
        job_id = self.insert(store, 1).id
        store.transition(job_id, Status.WAIT, at=2000.0, message="Waits for a GPU")
        running = store.transition(job_id, Status.RUN, at=2010.0, pid=7)
        assert (running.started, running.finished, running.pid, running.message) == (2010.0, None, 7, "Waits for a GPU")
        done = store.transition(job_id, Status.DONE, at=2020.0)
        assert (done.status, done.progress, done.started, done.finished) == (Status.DONE, 1.0, 2010.0, 2020.0)
        assert done.history == [["I", 1001.0], ["W", 2000.0], ["R", 2010.0], ["D", 2020.0]]
        again = store.transition(job_id, Status.WAIT, at=2030.0)
        assert (again.started, again.finished) == (2010.0, None)

    def test_a_job_lasts_as_long_as_it_runs(self, store: JobStore) -> None:
        """Extended, resumed or queued again: neither waiting nor the time until somebody asked for more is work."""
        job_id = self.insert(store, 1).id
        moves = [(Status.RUN, 2000), (Status.DONE, 2007), (Status.WAIT, 2100), (Status.RUN, 2104), (Status.ERROR, 2106)]
        for to, at in moves:
            store.transition(job_id, to, at=float(at))
        queued = store.transition(job_id, Status.WAIT, at=2200.0)
        assert (queued.worked, queued.running_since, queued.elapsed) == (9.0, None, 9.0)
        assert [job.id for job in store.query(JobQuery(query="duration=9s")).jobs] == [job_id]
        now = time.time()
        running = store.transition(job_id, Status.RUN, at=now - 100)
        assert (running.worked, running.running_since) == (9.0, now - 100)
        assert 109 <= running.elapsed < 169
        assert [job.id for job in store.query(JobQuery(query="duration>=109s duration<169s")).jobs] == [job_id]

    def test_no_duration_is_negative(self, store: JobStore) -> None:
        """Of a clock that was set back within a run, and of one that will have been."""
        job_id, now = self.insert(store, 1).id, time.time()
        for to, at in ((Status.RUN, now), (Status.WAIT, now - 500), (Status.RUN, now + 1000)):
            row = store.transition(job_id, to, at=at)
        assert row.elapsed == 0.0
        assert [job.id for job in store.query(JobQuery(query="duration=0s")).jobs] == [job_id]

    def test_a_move_that_is_not_legal_or_not_expected_changes_nothing(self, store: JobStore) -> None:
        made = self.insert(store, 1)
        with pytest.raises(Conflict):
            store.transition(made.id, Status.DONE)
        with pytest.raises(Conflict):
            store.transition(made.id, Status.RUN, expected=[Status.WAIT], message="x")
        assert (store.get(made.id), store.sequence()) == (made, made.seq)

    def test_of_many_who_move_a_job_one_does(self, store: JobStore, open_store: Callable[[], JobStore]) -> None:
        stores, together = [store, *(open_store() for _ in range(WRITERS - 1))], Barrier(WRITERS)
        jobs = [self.insert(store, number).id for number in range(CHANGES)]

        def start(number: int) -> list[str]:
            """The jobs that this one has moved."""
            moved = []
            for job_id in jobs:
                together.wait()
                with suppress(Conflict):
                    moved.append(stores[number].transition(job_id, Status.RUN, expected=[Status.INIT], pid=number + 1).id)
            return moved

        with ThreadPoolExecutor(WRITERS) as threads:
            started = list(threads.map(start, range(WRITERS)))
        assert sorted(job_id for own in started for job_id in own) == jobs
        assert all(job_id in started[store.get(job_id).pid - 1] for job_id in jobs)

    def test_what_is_to_come_is_in_the_order_of_its_turn(self, store: JobStore) -> None:
        first, urgent, last = (self.insert(store, number, priority=priority) for number, priority in ((1, 0), (2, 5), (3, 0)))
        ended = self.insert(store, 4, status="D")
        assert [job.id for job in store.active()] == [urgent.id, first.id, last.id]
        store.request_action(first.id, Action.DELETE)
        assert [job.id for job in store.active()] == [urgent.id, last.id]
        assert ended.id in store.uncounted()
        store.update(ended.id, disk_bytes=0)
        assert sorted(store.uncounted()) == [urgent.id, last.id]

    # -- requests of users --------------------------------------------------------------------------------------

    def test_a_request_is_pending_until_it_is_cleared(self, store: JobStore) -> None:
        job_id = self.insert(store, 1, status="R").id
        assert (store.pending(), store.requested()) == (False, [])
        store.request_action(job_id, Action.ABORT)
        assert store.pending()
        assert [(job.id, job.requested_action) for job in store.requested()] == [(job_id, "abort")]
        store.request_action(job_id, Action.RESUME)
        assert not store.clear_action(job_id, "abort"), "the user has requested something else meanwhile"
        assert store.clear_action(job_id, "resume")
        assert (store.pending(), store.requested()) == (False, [])

    def test_a_new_job_is_pending(self, store: JobStore) -> None:
        self.insert(store, 1)
        assert store.pending()

    def test_a_deletion_hides_the_job_from_everyone_but_the_supervisor(self, store: JobStore) -> None:
        dataset = self.insert(store, 1, kind=Kind.DATASET)
        model = self.insert(store, 2, parents=(dataset.id,), dataset_id=dataset.id)
        assert store.reference_counts([dataset.id]) == {dataset.id: 1}
        before = store.sequence()
        store.request_action(model.id, Action.DELETE)
        assert (store.find(model.id), store.find_many([model.id]), store.children(dataset.id)) == (None, {}, [])
        assert (store.query(JobQuery()).total, store.counts(), store.reference_counts([dataset.id])) == (1, {"dataset": 1}, {})
        assert [job.id for job in store.requested()] == [job.id for job in store.changes(before)] == [model.id]
        assert store.find(model.id, with_deleted=True) is not None
        assert sorted(store.ids()) == [dataset.id, model.id]
        with pytest.raises(NotFound):
            store.request_action(model.id, Action.ABORT)

    def test_what_is_deleted_lies_in_the_trash_until_it_is_restored_or_purged(self, store: JobStore) -> None:
        running, done = self.insert(store, 1, status="R"), self.insert(store, 2, status="D")
        assert store.request_action_many([running.id, done.id, "nobody"], Action.DELETE) == {running.id, done.id}
        assert {job.id for job in store.trash()} == {running.id, done.id}
        assert [store.request_action_many([done.id], action) for action in (Action.DELETE, Action.ABORT)] == [set(), set()]
        settled = {job.id: job for job in store.settle_deletions([running.id, done.id, "nobody"])}
        assert {job_id: str(job.status) for job_id, job in settled.items()} == {running.id: "A", done.id: "D"}
        assert (store.requested(), store.settle_deletions([done.id])) == ([], [])
        store.request_action(running.id, Action.RESTORE)
        assert store.get(running.id).deleted is None
        assert store.request_action_many([running.id], Action.RESTORE) == set()
        assert store.request_action_many([running.id], Action.PURGE, of_trash=True) == set(), "it was restored meanwhile"
        assert store.request_action_many([running.id, done.id], Action.PURGE) == {running.id, done.id}
        assert (store.trash(), store.find(running.id)) == ([], None)
        assert store.request_action_many([done.id], Action.RESTORE) == set(), "what is being purged does not come back"

    def test_many_jobs_change_at_once_and_each_is_a_change_of_its_own(self, store: JobStore) -> None:
        first, second, ended = (store.insert(request(n), UserColumns("job")).id for n in range(3))
        store.transition(ended, Status.ABORT)
        before = store.sequence()
        assert store.update_many({first: {"priority": 1}, second: {"priority": 2}, "nobody": {"priority": 3}}) == {first, second}
        assert store.request_action_many([first, second, ended], Action.ABORT) == {first, second, ended}
        store.request_action(second, Action.RESUME)
        moved = store.transition_many([first, second, ended], Status.ABORT, clear=Action.ABORT, message="all")
        assert {job.id for job in moved} == {first, second}, "one that has ended cannot move"
        found = store.find_many([first, second])
        assert [found[job_id].priority for job_id in (first, second)] == [1, 2]
        assert [found[job_id].requested_action for job_id in (first, second)] == ["", "resume"], "another wish is kept"
        numbers = [job.seq for job in store.changes(before)]
        assert len(set(numbers)) == len(numbers) == 3
        assert store.request_action_many([first], Action.DELETE) == {first}
        assert store.request_action_many([first], Action.DELETE) == set()
        assert store.transition_many([], Status.ABORT) == []

    def test_models_are_found_by_what_they_need(self, store: JobStore) -> None:
        dataset = store.insert(request(1, kind=Kind.DATASET), UserColumns("data")).id
        model = store.insert(request(2, parents=(dataset,)), UserColumns("model")).id
        found = store.children_of([dataset, model], Kind.MODEL)
        assert {parent: [job.id for job in jobs] for parent, jobs in found.items()} == {dataset: [model]}

    def test_a_job_knows_what_it_needs_and_who_needs_it(self, store: JobStore) -> None:
        stays, goes = self.insert(store, 1, name="a", status="D"), self.insert(store, 2)
        child = self.insert(store, 3, parents=(stays.id, goes.id))
        assert sorted(store.parents(child.id)) == [stays.id, goes.id]
        assert [job.id for job in store.children(stays.id)] == [child.id]
        store.purge(goes.id)
        found = sorted(store.dependencies([child.id])[child.id], key=lambda parent: parent.id)
        assert found == [Parent(stays.id, "a", Status.DONE), Parent(goes.id, goes.id, None)]

    # -- changes ------------------------------------------------------------------------------------------------

    def test_a_reader_asks_for_what_has_changed_since(self, store: JobStore) -> None:
        first, second = self.insert(store, 1), self.insert(store, 2)
        assert (first.seq, second.seq) == (1, 2)
        store.update(first.id, progress=0.5)
        assert store.sequence() == 3
        assert [job.id for job in store.changes(0)] == [second.id, first.id]
        assert [job.progress for job in store.changes(2)] == [0.5]
        assert [job.id for job in store.changes(0, limit=1)] == [second.id]
        assert store.changes(3) == []

    def test_no_change_is_lost_among_many_writers(self, store: JobStore, open_store: Callable[[], JobStore]) -> None:
        stores = [store, *(open_store() for _ in range(WRITERS - 1))]

        def write(number: int) -> list[int]:
            job_id = self.insert(stores[number], number).id
            return [stores[number].update(job_id, attempt=count).seq for count in range(1, CHANGES + 1)]

        with ThreadPoolExecutor(WRITERS) as threads:
            numbers = [number for own in threads.map(write, range(WRITERS)) for number in own]
        assert len(set(numbers)) == WRITERS * CHANGES
        assert store.sequence() == WRITERS * (CHANGES + 1)
        assert [job.attempt for job in store.query(JobQuery()).jobs] == [CHANGES] * WRITERS

    def test_outputs_come_with_their_columns(self, store: JobStore) -> None:
        job_id = self.insert(store, 1).id
        store.put_outputs(job_id, [output(job_id), output(job_id, "accuracy", 50.0)])
        changed = store.update_from_events(job_id, {"event_offset": 9}, [output(job_id, last=0.125)])
        assert (changed.event_offset, store.get(job_id).event_offset) == (9, 9)
        assert [(found.name, found.last) for found in store.outputs([job_id])[job_id]] == [("accuracy", 50.0), ("loss", 0.125)]
        assert store.output_names() == [("accuracy", "val"), ("loss", "val")]
        store.update_from_events(job_id, {}, [output(job_id)], replace=True)
        assert store.outputs([job_id]) == {job_id: [output(job_id)]}
        store.clear_outputs(job_id)
        assert store.outputs([job_id]) == {}

    # -- lists --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (JobQuery(), [3, 2, 1]),
            (JobQuery(descending=False), [1, 2, 3]),
            (JobQuery(kind="dataset"), [1]),
            (JobQuery(statuses=["R", "D"]), [3, 2]),
            (JobQuery(task="classification"), [2]),
            (JobQuery(group="g"), [3]),
            (JobQuery(group=""), [2, 1]),
            (JobQuery(owner="me"), [2]),
            (JobQuery(text="FLOWER 50%"), [1]),
            (JobQuery(text="flower nobody"), []),
            (JobQuery(text="0003"), [3]),
            (JobQuery(sort="name", descending=False), [3, 1, 2]),  # c, Flowers, ships
            (JobQuery(sort="network", descending=True), [2, 3, 1]),
            (JobQuery(sort="network", descending=False), [3, 2, 1]),
            (JobQuery(sort="refs"), [1, 3, 2]),
            (JobQuery(sort="elapsed"), [3, 2, 1]),
            (JobQuery(sort="output:loss:val:last"), [3, 2, 1]),
            (JobQuery(sort="kind", descending=False, then=[("created", False)]), [1, 2, 3]),
        ],
        ids=str,
    )
    def test_a_list_is_sorted_and_filtered(self, store: JobStore, query: JobQuery, expected: list[int]) -> None:
        """Empty values come last, whichever way it is sorted."""
        first = self.insert(store, 1, name="Flowers 50%", kind=Kind.DATASET)
        second = self.insert(
            store, 2, name="ships 50", task="classification", status="D", owner="me", network="z", started=1.0, worked=1.0
        )
        third = self.insert(store, 3, name="c", group="g", status="R", network="a", started=1.0, worked=8.0, dataset_id=first.id)
        for job, last in ((second, 0.5), (third, 1.5)):
            store.put_outputs(job.id, [output(job.id, last=last)])
        page = store.query(query)
        assert [job.id for job in page.jobs] == [[first, second, third][number - 1].id for number in expected]
        assert page.total == len(expected)

    def test_pages_hold_every_job_once(self, store: JobStore) -> None:
        ids = {self.insert(store, number, name="same").id for number in range(1, 8)}
        pages = [store.query(JobQuery(sort="name", offset=offset, limit=3)) for offset in (0, 3, 6)]
        assert [(len(page.jobs), page.total) for page in pages] == [(3, 7), (3, 7), (1, 7)]
        assert {job.id for page in pages for job in page.jobs} == ids

    @pytest.mark.parametrize("sort", ["colour", "output:loss:val:mean"])
    def test_a_list_cannot_be_sorted_by_what_is_no_column(self, store: JobStore, sort: str) -> None:
        with pytest.raises(BadRequest, match="cannot be sorted"):
            store.query(JobQuery(sort=sort))

    # -- folders ------------------------------------------------------------------------------------------------

    def test_rows_are_made_again_from_the_folders(self, store: JobStore, tmp_path: Path) -> None:
        jobs_dir = JobsDir(tmp_path / "jobs")
        jobs_dir.prepare()
        user = UserColumns("kept", group="g", notes="n", tags=("t",), owner="me", priority=2)
        for number, parents in ((1, ()), (2, (request(1).id,))):
            jobs_dir.folder(request(number).id).create(request(number, parents), user)
        store.insert(request(1), user, disk_bytes=0)
        ended = store.transition(request(1).id, Status.ERROR, at=2000.0, error="It broke.")
        jobs_dir.folder(ended.id).write_state(state_of(ended))
        stray = self.insert(store, 3)
        report = reindex(jobs_dir, store)
        assert (report.found, report.problems, sorted(store.ids())) == (2, [], [request(1).id, request(2).id])
        assert store.find(stray.id) is None
        assert (asdict(store.get(ended.id)) | {"seq": 0}) == (asdict(ended) | {"seq": 0, "disk_bytes": None})
        assert store.parents(request(2).id) == [ended.id]
