-- title: Label sources
-- question: Who assigned the type of the kept attacks: the source, the classifier, a judge or a person?
-- topic: quality
-- chart: bar x=kept y=label_source
select
    split_part(coalesce(label_source, 'none'), ':', 1) as label_source,
    count(*) as kept,
    count(*) / sum(count(*)) over () as proportion,
    avg(label_probability order by label_probability) filter (label_probability is not null) as mean_probability
from kept
where kind = 'adversarial'
group by all
order by kept desc, label_source
