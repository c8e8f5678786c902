"""Check ``witnesses``: what was dropped as a duplicate is still represented."""

from seas_data.release.checks.check import Candidate, Check, Finding, finding


def find_missing_witnesses(candidate: Candidate) -> Finding:
    """Find rows that were dropped because of a row that is not kept."""
    ids = candidate.select(_WITHOUT_WITNESS)["id"]
    failed = (
        "rows were dropped as duplicates of rows that are not kept; keep one row of each, or build the version again"
    )
    return finding(ids, passed="every duplicate has a kept witness", failed=failed)


# A witness may be dropped later, by a person or because a new test set contains it. The rows that were dropped because
# of it stay dropped for the same reason.
_WITHOUT_WITNESS = """
with witnesses as (
    select prompt_id as id from kept
    union all select prompt_id from dropped where reason in ('manual', 'contaminated')
    union all select prompt_id from tombstones
)
select prompt_id as id from dropped anti join witnesses on witness_id = witnesses.id
where reason in ('exact_duplicate', 'disguised', 'near_duplicate', 'semantic_duplicate', 'contaminated')
"""

CHECK = Check(
    "Every row that was dropped as a duplicate or as contaminated has a kept witness.",
    find_missing_witnesses,
    (_WITHOUT_WITNESS,),
    position=50,
)
