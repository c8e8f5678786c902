"""Run a command and end it, with all that it started, as soon as standard input closes: when our process is gone.

    python supervise.py COMMAND...

A server that outlives a killed run would keep a GPU's memory, and the next run would find none. This file is run as a
script of its own, in a process group of its own, and imports nothing that takes time.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

SECONDS = 10
"""How long a server may take to end when it is told to, before it is killed."""


def main(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input does; return its status."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # for the group, of which this is one
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    stopping = threading.Event()

    def stop_at_the_end() -> None:
        while os.read(0, 1024):
            pass
        stopping.set()
        os.killpg(0, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(SECONDS)
        os.killpg(0, signal.SIGKILL)  # whatever it started and left behind, and this process

    watcher = threading.Thread(target=stop_at_the_end, daemon=True)
    watcher.start()
    status = server.wait()
    if stopping.is_set():
        watcher.join()
    os.killpg(0, signal.SIGTERM)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # at once: the watcher still reads
