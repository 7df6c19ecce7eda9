"""A TensorBoard that only listens; one of a run whose name has `broken` does not start."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--logdir", "--socket", "--title"):
    parser.add_argument(name)
options = parser.parse_args()
runs = sorted(os.listdir(options.logdir))
if any("broken" in run for run in runs):
    print("no such thing as a tensorboard", file=sys.stderr)
    sys.exit(4)
time.sleep(0.1)
Path(options.logdir, "pid").write_text(str(os.getpid()))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
    listener.bind(options.socket)
    listener.listen()
    while True:
        listener.accept()[0].close()
