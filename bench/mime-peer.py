"""pymilter's side of bench/mime.ts: mime-peer.py WARMUP PASSES FILE ... reads, defangs and writes each message.

Prints a line of JSON: the milliseconds of CPU time for each message, and how many failed. Each message is handled for WARMUP
milliseconds, which are not counted, and then PASSES times, a short one more often.
"""
import io
import json
import os
import sys
import time
import warnings

warnings.simplefilter('ignore')
import mime  # noqa: E402

warmup, passes = int(sys.argv[1]), int(sys.argv[2])
messages = []
for path in sys.argv[3:]:
    with open(path, 'rb') as file:
        messages.append(file.read())


def run(source):
    message = mime.message_from_file(io.BytesIO(source))
    mime.defang(message)
    return message.as_bytes()


def milliseconds_for(source):
    """None if pymilter fails on the message."""
    count = passes * max(1, round(100_000 / len(source)))
    try:
        warm = time.process_time() + warmup / 1000
        run(source)
        while time.process_time() < warm:
            run(source)
        begun = time.process_time()
        for _ in range(count):
            run(source)
        return (time.process_time() - begun) * 1000 / count
    except Exception:
        return None


report, sys.stdout = sys.stdout, open(os.devnull, 'w')
milliseconds = [milliseconds_for(source) for source in messages]
report.write(json.dumps({'milliseconds': milliseconds, 'failed': milliseconds.count(None)}) + '\n')
