"""The recipe: what to build, typed and validated.

A recipe is a YAML file. Every key is a field of a class of this package, whose files together are the list of all there
is to set: ``whole`` has the keys at the top, ``sources``, ``curation``, ``loop``, ``models``, ``judges``, ``pairs`` and
``training`` what is below them. An unknown key or a wrong value is refused with its name and what is allowed. One key
more, ``base``, names a recipe in the same folder of which this one changes what it says; null takes something away.
``$NAME`` in a path is taken from the environment. Paths and what they expand to are no part of the recipe's digest: the
rows that they lead to are digested instead.
"""

from seas_data.recipe.curation import (
    Clusters,
    Contamination,
    Curation,
    Embedder,
    Labels,
    Limits,
    Near,
    Semantic,
    Split,
    Templates,
)
from seas_data.recipe.judges import GuardName, Judge, JudgeGuard, JudgePatterns, JudgeRefusal, JudgeRules
from seas_data.recipe.loading import in_sandbox, load, read, require_trust, shipped
from seas_data.recipe.loop import Attack, Evaluation, HarmlessCandidates, Loop, LoopSampling, Player, Sandbox, Success
from seas_data.recipe.models import Model, ModelHttp, ModelInProcess
from seas_data.recipe.pairs import Choice, GeneralPairs, HarmlessPairs, MartRows, Pairs, RedPairs, TargetPairs
from seas_data.recipe.recipe import Recipe, Release
from seas_data.recipe.sources import Columns, Source, Unwrap
from seas_data.recipe.training import Training, TrainingDpo, TrainingLora, TrainingSettings, TrainingSft

__all__ = [
    "Attack",
    "Choice",
    "Clusters",
    "Columns",
    "Contamination",
    "Curation",
    "Embedder",
    "Evaluation",
    "GeneralPairs",
    "GuardName",
    "HarmlessCandidates",
    "HarmlessPairs",
    "Judge",
    "JudgeGuard",
    "JudgePatterns",
    "JudgeRefusal",
    "JudgeRules",
    "Labels",
    "Limits",
    "Loop",
    "LoopSampling",
    "MartRows",
    "Model",
    "ModelHttp",
    "ModelInProcess",
    "Near",
    "Pairs",
    "Player",
    "Recipe",
    "RedPairs",
    "Release",
    "Sandbox",
    "Semantic",
    "Source",
    "Split",
    "Success",
    "TargetPairs",
    "Templates",
    "Training",
    "TrainingDpo",
    "TrainingLora",
    "TrainingSettings",
    "TrainingSft",
    "Unwrap",
    "in_sandbox",
    "load",
    "read",
    "require_trust",
    "shipped",
]
