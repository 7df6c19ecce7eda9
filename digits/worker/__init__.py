"""One process (group) per job: reads `job.json`, appends events, writes records or snapshots. `runtime` is the frame."""
