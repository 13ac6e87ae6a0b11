"""No Python process of the tests reaches a network: a hook of the interpreter, which nothing can take away again.

What was tried is also written to the file that LOG names, because libraries swallow such errors. Sockets of the machine
itself (AF_UNIX) are free; loopback is where LOOPBACK is set.
"""

import errno
import os
import sys

LOG, LOOPBACK = "THREERS_TEST_NETWORK_LOG", "THREERS_TEST_LOOPBACK"
#: Events of the interpreter that name another machine, and the place of its address or name among their arguments.
EVENTS = {
    "socket.connect": 1,
    "socket.bind": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}
HERE = ("127.0.0.1", "::1", "localhost")


def install():
    """Refuse from now on, once per process."""
    if not hasattr(sys, "_threers_no_network"):
        sys._threers_no_network = True
        sys.addaudithook(_refuse)


def _refuse(event, arguments):
    if event not in EVENTS:
        return
    address = arguments[EVENTS[event]]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, tuple) or EVENTS[event] == 0:
        if host in HERE and LOOPBACK in os.environ:
            return
        if LOG in os.environ:
            with open(os.environ[LOG], "a", encoding="utf-8") as log:
                log.write(f"{event} {host}\n")
        raise OSError(errno.ENETUNREACH, "the tests have no network")
