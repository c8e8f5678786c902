"""Utility: what a target is still able to do, by tasks of evaluation harnesses that run here or ran elsewhere.

``figures`` is what a harness says of a model, ``lm_eval_results`` and ``inspect_results`` read its results files, and
``results_file`` adds one of them to a workspace. All of it becomes rows ``utility`` of the table ``metrics``.
"""
