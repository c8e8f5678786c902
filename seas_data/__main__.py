"""Entry point of the command ``seas-data``, also as ``python -m seas_data``."""

import os
import sys


def main() -> None:
    """Run the command line. An interrupt while it is still being loaded ends the program as a later one does."""
    if sys.platform == "win32":
        print("error: seas-data does not run on Windows itself; run it in WSL, the Linux of Windows", file=sys.stderr)
        sys.exit(2)
    # torch reads it when it is loaded: large tensors in large pages make models 5 to 20 % faster on a CPU.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        from seas_data.cli import main as run
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on.", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
