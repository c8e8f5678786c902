"""The loop: from a version and two models to the next version and the next two models.

``iteration`` lists the steps of an iteration and runs them. Each step has a file of its own:

    context         what every step is given: recipe, workspace, iteration, checkpoints
    checkpoints     model names, rows of the table checkpoints, and which folder holds a checkpoint's weights
    training        the first red team and target, and the update of each from its training rows
    seeds           drawing seeds, and the demonstrations that the first red team is trained on
    generation      running the red team and the target
    attacks         rows of the table attacks: reasons for setting one aside, its language
    verdicts        running the judges and the reward model
    training_rows   pairs or demonstrations, and which of them a role is trained on
    joined_prompts  attacks that become training prompts of the next version
    evaluation      every red team against every target, and each target on the named sets
    attack_quality  inputs of the metrics of a red team's attacks
    standalone      each stage on a folder of tables, without a workspace
    input_files     files that the loop reads
"""

from seas_data.loop.iteration import hash_inputs, run_iteration

__all__ = ["hash_inputs", "run_iteration"]
