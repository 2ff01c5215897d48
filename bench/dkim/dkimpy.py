"""dkimpy's side of bench/dkim.ts: `dkimpy.py sign|verify FOLDER MESSAGE SECONDS`."""
import json
import sys
import time

import dkim

mode, folder, path, limit = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
with open(f"{folder}/record.txt", "rb") as file:
    record = file.read()
with open(f"{folder}/key.pem", "rb") as file:
    key = file.read()


def run():
    # dkimpy takes whole messages
    with open(path, "rb") as file:
        message = file.read()
    if mode == "sign":
        return dkim.sign(message, b"s", b"example.com", key, canonicalize=(b"relaxed", b"relaxed"))
    if not dkim.verify(message, dnsfunc=lambda name, timeout=5: record):
        sys.exit("dkimpy: the signature is not valid")


def repeat(limit):
    """Runs for so many seconds of CPU, and once at least; milliseconds a pass, of time and of CPU."""
    begun, busy = time.perf_counter(), time.process_time()
    passes = 0
    while passes == 0 or time.process_time() - busy < limit:
        run()
        passes += 1
    return [(now - then) * 1000 / passes for now, then in ((time.perf_counter(), begun), (time.process_time(), busy))]


repeat(limit / 2)  # a warm-up
ms, cpu = repeat(limit)
# getrusage counts what this process's parent had before exec, too
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
print(json.dumps({"ms": ms, "cpuMs": cpu, "peakKiB": peak}))
