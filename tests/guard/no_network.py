"""No Python process of the tests reaches a network: a hook of the interpreter, which nothing can take away again.

What was tried is also written to the file that LOG names, because libraries swallow such errors. Sockets of the machine
itself (AF_UNIX) are free. Where OWN_MACHINE is set, its own addresses are, too, and what else is tried is refused in
silence: Ray finds its own address by asking for the way to another machine.
"""

import errno
import os
import platform
import sys

LOG, OWN_MACHINE = "THREERS_TEST_NETWORK_LOG", "THREERS_TEST_OWN_MACHINE"
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


def install():
    """Refuse from now on, once per process."""
    if not hasattr(sys, "_threers_no_network"):
        sys._threers_no_network = True
        sys.addaudithook(_refuse)


def _refuse(event, arguments):
    if event not in EVENTS:
        return
    address = arguments[EVENTS[event]]
    if EVENTS[event] and not isinstance(address, tuple):
        return
    host = address[0] if isinstance(address, tuple) else address
    if event == "socket.bind" and host in ("127.0.0.1", "::1"):  # reaches nobody; urllib3 asks so whether IPv6 is there
        return
    if OWN_MACHINE in os.environ:
        if host in _own_addresses():
            return
    elif LOG in os.environ:
        with open(os.environ[LOG], "a", encoding="utf-8") as log:
            log.write(f"{event} {host}\n")
    raise OSError(errno.ENETUNREACH, "the tests have no network")


def _own_addresses():
    import psutil

    found = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    return found | {"localhost", platform.node(), "", "0.0.0.0", None}
