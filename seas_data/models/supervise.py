"""Supervisor script: run a command, and stop it with all its children when standard input closes (our process ended).

    python supervise.py COMMAND...

A server that outlives a killed run would hold the GPU's memory, and the next run would have none. This file runs as a
separate script in its own process group, and imports only modules that load fast.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

STOP_SECONDS = 10
"""Seconds that a server has to end after SIGTERM, before it is killed."""


def main(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input closes; return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # SIGTERM is sent to the group, which includes this process
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    stopping = threading.Event()

    def stop_when_stdin_closes() -> None:
        while os.read(0, 1024):
            pass
        stopping.set()
        os.killpg(0, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
        os.killpg(0, signal.SIGKILL)  # children that are left, and this process

    watcher = threading.Thread(target=stop_when_stdin_closes, daemon=True)
    watcher.start()
    status = server.wait()
    if stopping.is_set():
        watcher.join()
    os.killpg(0, signal.SIGTERM)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # immediately: the watcher thread still reads
