"""The one process that owns status, progress, results and directories of jobs, and starts and ends their workers."""
