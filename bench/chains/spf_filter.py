"""The benchmark's SPF filter in pymilter and pyspf: the third of the filters that together do what authmilter does.

    spf_filter.py SOCKET ID

Checks SPF at MAIL and adds the result to the message, for the DMARC filter behind it: `Authentication-Results: ID; spf=...`.
"""

import sys

import Milter
import spf

SOCKET, ID = sys.argv[1:]


class SpfFilter(Milter.Base):
    def connect(self, hostname, family, hostaddr):
        self.address, self.name = hostaddr[0], ''
        return Milter.CONTINUE

    def hello(self, hostname):
        self.name = hostname
        return Milter.CONTINUE

    def envfrom(self, sender, *params):
        self.sender = sender.strip('<>')
        self.result, _ = spf.check2(self.address, self.sender, self.name)
        return Milter.CONTINUE

    def eom(self):
        # Below Postfix's Received: the next filter is not told of what stands above it.
        self.addheader('Authentication-Results', f'{ID}; spf={self.result} smtp.mailfrom={self.sender}', 1)
        return Milter.CONTINUE


Milter.factory = SpfFilter
Milter.set_flags(Milter.ADDHDRS)
Milter.runmilter('spf', SOCKET)
