"""The benchmark's filter in pymilter.

    filter.py SOCKET VARIANT WAIT BURN

VARIANT is `plain`, `noreply` (every handler that may be is @noreply) or `eom` (no other handler). At the end of a message the filter sleeps WAIT
milliseconds, uses BURN milliseconds of CPU, and adds one header that tells what it has seen: "<headers> <body bytes>".
"""

import sys
import time

import Milter

SOCKET, VARIANT, WAIT, BURN = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000, float(sys.argv[4]) / 1000


def work(turns):
    """The same work in each language: so many turns of a 32-bit xorshift."""
    x = 2463534242
    for _ in range(turns):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
    return x


def calibrate(seconds):
    """How many turns take that long on a CPU that does nothing else: the best of many tries counts."""
    turns, best = 200, 1e9
    for _ in range(2000):
        begin = time.perf_counter()
        work(turns)
        best = min(best, time.perf_counter() - begin)
    return int(seconds / best * turns)


TURNS = calibrate(BURN) if BURN > 0 else 0


def labour():
    if WAIT > 0:
        time.sleep(WAIT)
    if TURNS > 0:
        work(TURNS)


class Plain(Milter.Base):
    def __init__(self):
        self.macro, self.headers, self.size = None, 0, 0

    def connect(self, hostname, family, hostaddr):
        return Milter.CONTINUE

    def hello(self, hostname):
        return Milter.CONTINUE

    def envfrom(self, sender, *params):
        self.macro = self.getsymval('{mail_addr}')
        self.headers, self.size = 0, 0
        return Milter.CONTINUE

    def envrcpt(self, recipient, *params):
        return Milter.CONTINUE

    def data(self):
        return Milter.CONTINUE

    def header(self, name, value):
        self.headers += 1
        return Milter.CONTINUE

    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        self.size += len(chunk)
        return Milter.CONTINUE

    def eom(self):
        labour()
        self.addheader('X-Bench', f'{self.headers} {self.size}')
        return Milter.CONTINUE

    def unknown(self, command):
        return Milter.CONTINUE

    def abort(self):
        return Milter.CONTINUE

    def close(self):
        return Milter.CONTINUE


class NoReply(Plain):
    """Each handler once more, marked: pymilter keeps the mark on the function, so Plain's must stay as they are."""

    @Milter.noreply
    def connect(self, hostname, family, hostaddr):
        return Milter.CONTINUE

    @Milter.noreply
    def hello(self, hostname):
        return Milter.CONTINUE

    @Milter.noreply
    def envfrom(self, sender, *params):
        self.macro = self.getsymval('{mail_addr}')
        self.headers, self.size = 0, 0
        return Milter.CONTINUE

    @Milter.noreply
    def envrcpt(self, recipient, *params):
        return Milter.CONTINUE

    @Milter.noreply
    def data(self):
        return Milter.CONTINUE

    @Milter.noreply
    def header(self, name, value):
        self.headers += 1
        return Milter.CONTINUE

    @Milter.noreply
    def eoh(self):
        return Milter.CONTINUE

    @Milter.noreply
    def body(self, chunk):
        self.size += len(chunk)
        return Milter.CONTINUE

    @Milter.noreply
    def unknown(self, command):
        return Milter.CONTINUE


class OnlyEom(Milter.Base):
    """Has seen nothing that it could tell."""

    def eom(self):
        labour()
        self.addheader('X-Seen', 'yes')
        return Milter.CONTINUE


Milter.factory = {'plain': Plain, 'noreply': NoReply, 'eom': OnlyEom}[VARIANT]
Milter.set_flags(Milter.ADDHDRS)
Milter.runmilter('bench', SOCKET)
