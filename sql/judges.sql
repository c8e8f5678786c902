-- title: Judges
-- question: How many responses did each judge label, with which verdicts, and how much of its output could not be
--     parsed? For a judge of refusals only, unparsed counts responses without a refusal class.
-- topic: quality
-- chart: bar x=verdicts y=judge
with outputs as (
    select
        *,
        count(verdict) over (partition by judge) > 0 as judges_harm,
        if(judges_harm, verdict = 'unparsed', refusal is null) as failed
    from verdicts
)
select
    judge,
    count(*) as verdicts,
    count(*) filter (verdict = 'safe') as safe,
    count(*) filter (verdict = 'unsafe') as unsafe,
    count(*) filter (failed) as unparsed,
    count(*) filter (failed) / nullif(if(any_value(judges_harm), count(verdict), count(*)), 0) as unparsed_proportion,
    count(*) filter (refusal = 'full_compliance') as full_compliance,
    count(*) filter (refusal = 'partial_refusal') as partial_refusal,
    count(*) filter (refusal = 'full_refusal') as full_refusal
from outputs
group by judge
order by judge
