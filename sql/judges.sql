-- title: Judges
-- question: How many responses did each judge see, what did it say, and how much of it could not be read? Of a judge of
--     refusals alone, the answers that it put into no class.
-- topic: quality
-- chart: bar x=verdicts y=judge
with told as (
    select
        *,
        count(verdict) over (partition by judge) > 0 as of_harm,
        if(of_harm, verdict = 'unparsed', refusal is null) as unread
    from verdicts
)
select
    judge,
    count(*) as verdicts,
    count(*) filter (verdict = 'safe') as safe,
    count(*) filter (verdict = 'unsafe') as unsafe,
    count(*) filter (unread) as unparsed,
    count(*) filter (unread) / nullif(if(any_value(of_harm), count(verdict), count(*)), 0) as unparsed_share,
    count(*) filter (refusal = 'full_compliance') as full_compliance,
    count(*) filter (refusal = 'partial_refusal') as partial_refusal,
    count(*) filter (refusal = 'full_refusal') as full_refusal
from told
group by judge
order by judge
