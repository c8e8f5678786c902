-- title: Judges
-- question: How many responses did each judge see, what did it say, and how much of it could not be read?
-- topic: quality
-- chart: bar x=verdicts y=judge
select
    judge,
    count(*) as verdicts,
    count(*) filter (verdict = 'safe') as safe,
    count(*) filter (verdict = 'unsafe') as unsafe,
    count(*) filter (verdict = 'unparsed') as unparsed,
    count(*) filter (verdict = 'unparsed') / nullif(count(verdict), 0) as unparsed_share,
    count(*) filter (refusal = 'full_compliance') as full_compliance,
    count(*) filter (refusal = 'partial_refusal') as partial_refusal,
    count(*) filter (refusal = 'full_refusal') as full_refusal
from verdicts
group by judge
order by judge
