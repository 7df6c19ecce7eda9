"""The order of the queue: who starts, who waits and why, and that nobody starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from digits.supervisor.gpus import Gpu, visible
from digits.supervisor.scheduling import Allocation, Machine, ResourceRequest, schedule

TWO_GPUS = Machine(cpus=8, gpus=("0", "1"))


def started(queue: list[ResourceRequest], running: list[Allocation], machine: Machine) -> list[str]:
    return [allocation.job_id for allocation in schedule(queue, running, machine).starts]


def test_pools_limit_how_many_run_at_once() -> None:
    queue = [ResourceRequest(name, "create_db") for name in "abc"]
    result = schedule(queue, [], Machine(cpus=1))
    assert [allocation.job_id for allocation in result.starts] == ["a", "b"]
    assert result.reasons == {"c": "waits for a place: 2 such jobs run at once"}


def test_trainings_share_the_cpu_slots() -> None:
    queue = [ResourceRequest("a", "train", cpus=3), ResourceRequest("b", "train", cpus=3), ResourceRequest("c", "train", cpus=2)]
    result = schedule(queue, [], Machine(cpus=8))
    assert [allocation.job_id for allocation in result.starts] == ["a", "b", "c"]
    assert started(queue, [Allocation("x", "train", 4)], Machine(cpus=8)) == ["a"]


def test_no_number_of_slots_means_all_and_more_than_there_are_is_cut() -> None:
    for cpus in (0, 64):
        result = schedule([ResourceRequest("a", "train", cpus=cpus)], [], Machine(cpus=8))
        assert result.starts[0].cpus == 8


def test_a_big_training_is_not_overtaken_by_small_ones() -> None:
    queue = [ResourceRequest("big", "train", cpus=8), ResourceRequest("small", "train", cpus=1)]
    result = schedule(queue, [Allocation("x", "train", 2)], Machine(cpus=8))
    assert result.starts == []
    assert result.reasons["big"] == "waits for 8 CPU slots: 6 of 8 are free"
    assert "small" in result.reasons


def test_a_data_set_and_an_evaluation_pass_a_waiting_training() -> None:
    queue = [
        ResourceRequest("big", "train", cpus=8),
        ResourceRequest("data", "create_db", cpus=8),
        ResourceRequest("eval", "inference"),
    ]
    assert started(queue, [Allocation("x", "train", 8)], Machine(cpus=8)) == ["data", "eval"]


def test_a_job_that_waits_for_two_gpus_keeps_the_one_that_is_free() -> None:
    queue = [
        ResourceRequest("two", "train", gpus=2),
        ResourceRequest("one", "train", gpus=1),
        ResourceRequest("cpu", "train", cpus=1),
    ]
    result = schedule(queue, [Allocation("x", "train", 4, ("0",))], TWO_GPUS)
    assert [allocation.job_id for allocation in result.starts] == ["cpu"]
    assert result.reasons["two"] == "waits for 2 GPUs: 1 of 2 are free"


def test_a_job_that_waits_for_one_device_leaves_the_others() -> None:
    queue = [ResourceRequest("zero", "train", gpus=1, gpu_ids=("0",)), ResourceRequest("any", "train", gpus=1)]
    result = schedule(queue, [Allocation("x", "train", 4, ("0",))], TWO_GPUS)
    assert [(allocation.job_id, allocation.gpus) for allocation in result.starts] == [("any", ("1",))]
    assert result.reasons["zero"] == "waits for GPU 0"


def test_inference_takes_a_free_gpu_and_does_without_where_there_is_none() -> None:
    wish = ResourceRequest("eval", "inference", gpus=1)
    assert schedule([wish], [], TWO_GPUS).starts[0].gpus == ("0",)
    assert schedule([wish], [Allocation("x", "train", 1, ("0", "1"))], TWO_GPUS).starts[0].gpus == ()
    assert schedule([wish], [], Machine(cpus=2)).starts[0].gpus == ()


def test_what_the_machine_does_not_have_is_refused() -> None:
    result = schedule(
        [ResourceRequest("a", "train", gpus=3), ResourceRequest("b", "train", gpus=1, gpu_ids=("7",))], [], TWO_GPUS
    )
    assert result.impossible["a"].startswith("The job requests 3 GPUs; this machine has 2 (0, 1).")
    assert result.impossible["b"].startswith("The job requests GPU 7; this machine has 2 (0, 1).")


REQUESTS = st.builds(
    ResourceRequest,
    job_id=st.uuids().map(str),
    pool=st.sampled_from(["train", "create_db", "inference"]),
    cpus=st.integers(0, 10),
    gpus=st.integers(0, 3),
)


@given(st.lists(REQUESTS, max_size=12), st.integers(1, 8), st.integers(0, 3))
def test_nothing_is_given_twice_and_every_job_is_answered(queue: list[ResourceRequest], cpus: int, gpus: int) -> None:
    machine = Machine(cpus, tuple(str(number) for number in range(gpus)))
    result = schedule(queue, [], machine)
    given_away = [gpu for allocation in result.starts for gpu in allocation.gpus]
    assert len(given_away) == len(set(given_away))
    assert sum(allocation.cpus for allocation in result.starts if allocation.pool == "train" and not allocation.gpus) <= cpus
    answered = [*(allocation.job_id for allocation in result.starts), *result.reasons, *result.impossible]
    assert sorted(answered) == sorted(request.job_id for request in queue)


@given(st.lists(REQUESTS, min_size=1, max_size=10), st.integers(1, 8), st.integers(1, 3))
def test_every_possible_job_starts_at_last(queue: list[ResourceRequest], cpus: int, gpus: int) -> None:
    machine = Machine(cpus, tuple(str(number) for number in range(gpus)))
    left = [request for request in queue if request.job_id not in schedule(queue, [], machine).impossible]
    for _ in range(len(queue) + 1):
        starts = schedule(left, [], machine).starts
        begun = {allocation.job_id for allocation in starts}
        left = [request for request in left if request.job_id not in begun]
    assert left == []


def test_the_servers_own_setting_limits_the_devices() -> None:
    gpus = [Gpu(str(number), "GPU", f"GPU-{number}abcdef", 1) for number in range(3)]
    assert visible(gpus, None) == gpus
    assert visible(gpus, "") == []
    assert [gpu.id for gpu in visible(gpus, "2,0")] == ["0", "2"]
    assert [gpu.id for gpu in visible(gpus, "GPU-1abc")] == ["1"]
