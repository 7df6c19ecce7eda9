"""A predictor that only listens; a snapshot whose name has `broken` does not load."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--socket", "--folder", "--snapshot", "--device"):
    parser.add_argument(name)
options = parser.parse_args()
if "broken" in options.snapshot:
    print("the weights do not fit", file=sys.stderr)
    sys.exit(1)
time.sleep(0.2)
Path(options.socket + ".about").write_text(f"{os.getpid()} {options.device} {os.environ['CUDA_VISIBLE_DEVICES']}")
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
    listener.bind(options.socket)
    listener.listen()
    while True:
        listener.accept()[0].close()
