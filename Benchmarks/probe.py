"""Runs a command and writes its wall-clock time and peak resident size to a file: probe.py REPORT COMMAND...

It stands between the suite and the command because a child's peak begins with the size of the process that started it.
"""
import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
code = subprocess.run(sys.argv[2:]).returncode
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
peak_bytes = peak if sys.platform == "darwin" else peak * 1024
with open(sys.argv[1], "w") as file:
    json.dump({"seconds": seconds, "peak_bytes": peak_bytes}, file)
sys.exit(code if code >= 0 else 128 - code)
