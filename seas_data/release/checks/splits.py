"""Check ``splits``: related rows are in one split, so that tests measure what training did not show."""

from seas_data.release.checks.check import Candidate, Check, Finding, finding


def find_split_crossings(candidate: Candidate) -> Finding:
    """Find rows of groups and templates that span several splits, and kept rows without a split."""
    ids = candidate.select(_CROSSING)["id"]
    failed = "groups or templates span several splits, or rows have no split; build the version again"
    return finding(ids, passed="no group and no template spans two splits", failed=failed)


_CROSSING = """
with assigned as (
    select prompt_id, split, group_id, template_id
    from kept join splits using (prompt_id) left join templates using (prompt_id)
    where role = 'training' and split <> 'holdout'
),
crossing as (select group_id from assigned group by group_id having min(split) <> max(split)),
shared as (
    select template_id from assigned where template_id is not null
    group by template_id having min(split) <> max(split)
)
select prompt_id as id from assigned where group_id in (from crossing) or template_id in (from shared)
union all select prompt_id from kept anti join splits using (prompt_id)
"""

CHECK = Check(
    "Every kept row has a split, and no group and no template spans two splits.",
    find_split_crossings,
    (_CROSSING,),
    position=60,
)
