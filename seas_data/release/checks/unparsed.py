"""Check ``unparsed``: judges gave verdicts that could be parsed."""

import polars as pl

from seas_data.release import recipes
from seas_data.release.checks.check import Candidate, Check, Finding, finding


def find_unparsed_verdicts(candidate: Candidate) -> Finding:
    """Find the unparsed verdicts of judges with more of them than the recipe allows."""
    limit = recipes.read_recipe(candidate.version.manifest).release.max_unparsed_proportion
    found = candidate.select(_UNPARSED).filter(pl.col("proportion") > limit)
    judges = found.select("judge", "proportion").unique().sort("judge").iter_rows()
    listed = ", ".join(f"{judge}: {proportion:.1%}" for judge, proportion in judges)
    failed = (
        f"too many verdicts are unparsed ({listed}; the limit is {limit:.1%}); fix the judge and judge again, or raise "
        "release.max_unparsed_proportion in the recipe"
    )
    return finding(found["id"], passed=f"at most {limit:.1%} of each judge's verdicts are unparsed", failed=failed)


# A judge that only classifies refusals gives no verdicts; its unparsed rows are those without a refusal class.
_UNPARSED = """
with judged as (
    select judge, response_id as id, verdict, refusal, count(verdict) over (partition by judge) > 0 as gives_verdicts
    from verdicts
),
parsed as (
    select judge, id, if(gives_verdicts, verdict = 'unparsed', refusal is null) as failed
    from judged where verdict is not null or not gives_verdicts
),
counted as (select judge, id, failed, avg(failed::int) over (partition by judge) as proportion from parsed)
select judge, id, proportion from counted where failed
"""

CHECK = Check(
    "At most ``release.max_unparsed_proportion`` of each judge's verdicts are unparsed.",
    find_unparsed_verdicts,
    (_UNPARSED,),
    position=110,
)
