"""Recipes: what to build, as typed and validated settings.

A recipe is a YAML file. Each key is a field of a class of this package: ``recipe`` has the keys at the top level,
the other modules those of the sections. An unknown key or a wrong value is refused with its name and what is allowed.
The key ``base`` names a recipe in the same folder whose keys this recipe changes; null removes a value. ``$NAME`` in a
path is read from the environment. Paths are not part of the recipe's digest; the rows that are read from them are.
"""

from seas_data.recipe.answers import Answers, LogSettings
from seas_data.recipe.curation import (
    Clusters,
    Contamination,
    Curation,
    Embedder,
    Labels,
    Limits,
    Split,
    Templates,
)
from seas_data.recipe.dedup import Near, Semantic
from seas_data.recipe.judges import Judge, JudgeChat, JudgeGuard, JudgePanel, JudgePatterns, JudgeRefusal, JudgeRules
from seas_data.recipe.loading import find_recipe, load, read, require_trust, resolve_sandbox, stored_training
from seas_data.recipe.loop import (
    Attack,
    AttackValidity,
    Evaluation,
    HarmlessCandidates,
    Loop,
    LoopModel,
    LoopSampling,
    LoopTarget,
    Sandbox,
    Success,
)
from seas_data.recipe.models import Model, ModelHttp, ModelInProcess
from seas_data.recipe.pairs import GeneralPairs, HarmlessPairs, MartRows, Pairs, RedPairs, SelectBy, TargetPairs
from seas_data.recipe.recipe import Ray, Recipe, Release
from seas_data.recipe.sources import Columns, Source, Strip
from seas_data.recipe.taxonomy import Axis, Category, Labelling, Taxonomy
from seas_data.recipe.training import Training, TrainingDpo, TrainingLora, TrainingSettings, TrainingSft

__all__ = [
    "Answers",
    "Attack",
    "AttackValidity",
    "Axis",
    "Category",
    "Clusters",
    "Columns",
    "Contamination",
    "Curation",
    "Embedder",
    "Evaluation",
    "GeneralPairs",
    "HarmlessCandidates",
    "HarmlessPairs",
    "Judge",
    "JudgeChat",
    "JudgeGuard",
    "JudgePanel",
    "JudgePatterns",
    "JudgeRefusal",
    "JudgeRules",
    "Labelling",
    "Labels",
    "Limits",
    "LogSettings",
    "Loop",
    "LoopModel",
    "LoopSampling",
    "LoopTarget",
    "MartRows",
    "Model",
    "ModelHttp",
    "ModelInProcess",
    "Near",
    "Pairs",
    "Ray",
    "Recipe",
    "RedPairs",
    "Release",
    "Sandbox",
    "SelectBy",
    "Semantic",
    "Source",
    "Split",
    "Strip",
    "Success",
    "TargetPairs",
    "Taxonomy",
    "Templates",
    "Training",
    "TrainingDpo",
    "TrainingLora",
    "TrainingSettings",
    "TrainingSft",
    "find_recipe",
    "load",
    "read",
    "require_trust",
    "resolve_sandbox",
    "stored_training",
]
