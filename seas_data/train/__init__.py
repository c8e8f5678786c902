"""Training: rows and a model folder in, a new model folder and its figures out, through TRL.

``sft`` fine-tunes on demonstrations, ``dpo`` on preference pairs. A model folder appears whole or not at all; a
training that was killed goes on from its last checkpoint when it is asked for again. ``job`` tells how that works,
``rows`` what is checked before, ``fit`` how the trainer is set up, ``logged`` what it reports.

    python -m seas_data.train JOB.json              # or: accelerate launch ... -m seas_data.train JOB.json
"""

from seas_data.train.dpo import dpo
from seas_data.train.job import Job
from seas_data.train.rows import NotEnoughPairsError
from seas_data.train.sft import sft

__all__ = ["Job", "NotEnoughPairsError", "dpo", "sft"]
