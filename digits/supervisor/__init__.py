"""The one process that owns status, progress, results and directories of jobs, and starts and ends their workers."""

from digits.supervisor.child_processes import ServiceSpec
from digits.supervisor.memory_limit import process_limit
from digits.supervisor.server import follow, has_ended, run, run_until, serving

__all__ = ["ServiceSpec", "follow", "has_ended", "process_limit", "run", "run_until", "serving"]
