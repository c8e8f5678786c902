"""Training through TRL: rows and a model folder in, a new model folder and training metrics out.

``sft`` fine-tunes on demonstrations, ``dpo`` trains on preference pairs. A model folder is written atomically, and a
killed training resumes from its last checkpoint when the same call is repeated. ``job`` has the working folder and its
key, ``rows`` the checks of the rows, ``fit`` the trainer's configuration, ``training_metrics`` the metrics.
``version_rows`` trains on a version.

    python -m seas_data.train JOB.json              # or: accelerate launch ... -m seas_data.train JOB.json
"""

from seas_data.train.dpo import dpo
from seas_data.train.job import Job
from seas_data.train.rows import NotEnoughPairsError
from seas_data.train.sft import sft
from seas_data.train.version_rows import train_on_version

__all__ = ["Job", "NotEnoughPairsError", "dpo", "sft", "train_on_version"]
