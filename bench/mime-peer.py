"""pymilter's side of bench/mime.ts: reads, defangs and writes each message of the named files PASSES times.

Prints a line of JSON: the seconds of all passes of each message, and how many failed. The first pass is not counted.
"""
import io
import json
import os
import sys
import time
import warnings

warnings.simplefilter('ignore')
import mime  # noqa: E402

passes = int(sys.argv[1])
messages = []
for path in sys.argv[2:]:
    with open(path, 'rb') as file:
        messages.append(file.read())


def run(source):
    message = mime.message_from_file(io.BytesIO(source))
    mime.defang(message)
    return message.as_bytes()


report, sys.stdout = sys.stdout, open(os.devnull, 'w')
seconds = []
failed = 0
for source in messages:
    try:
        run(source)
        begun = time.perf_counter()
        for _ in range(passes):
            run(source)
        seconds.append(time.perf_counter() - begun)
    except Exception:
        failed += 1
        seconds.append(None)
report.write(json.dumps({'seconds': seconds, 'failed': failed}) + '\n')
