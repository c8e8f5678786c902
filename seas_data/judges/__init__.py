"""Judges: verdicts and refusal classes for responses. One file per kind of judge that a recipe can name.

============  ==============  ==================================================================
in a recipe   file            gives
============  ==============  ==================================================================
by: guard     ``guard.py``    verdicts of a safety classifier; ``guards/`` has one file a family
by: rules     ``rules.py``    verdicts and refusal classes by patterns and words
by: refusal   ``refusal.py``  refusal classes by a model that follows the XSTest protocol
by: chat      ``chat.py``     verdicts of a chat model, by the recipe's own prompt
by: panel     ``panel.py``    one verdict from those of several of these judges
============  ==============  ==================================================================

``run.py`` runs the judges of a recipe. A new guard is one file in ``guards`` (see its docstring). A new kind of judge
is a settings class in ``seas_data.recipe.judges``, a file here with ``check`` and ``judge_rows``, and a line in each
function of ``run.py`` that distinguishes kinds.
"""
