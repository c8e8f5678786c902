-- title: Labels by source
-- question: What proportion of each source's attacks has a risk category, an attack style and a hazard from the
--     source's own labels? Categories by the classifier do not count; those of a person do.
-- topic: quality
-- chart: bar x=risk_category y=source
select
    source,
    count(*) as attacks,
    count(distinct source_risk) as labels,
    round(count(risk_category) filter (label_source <> 'classifier') / count(*), 4) as risk_category,
    round(count(attack_style) filter (label_source <> 'classifier') / count(*), 4) as attack_style,
    round(count(hazard) / count(*), 4) as hazard
from prompts
where kind = 'adversarial' and iteration = 0
group by source
order by source
