-- title: Pairs per seed
-- question: How many seeds of each iteration produced no pair, one pair or several?
-- topic: pairs
-- chart: bar x=pairs y=seeds color=role row=iteration
with attacked as (
    select distinct seed_id, iteration from attacks where split = 'train'
),
roles as (select distinct role from pairs where seed_id is not null),
counts as (
    select role, iteration, seed_id, count(*) as pairs from pairs where seed_id is not null group by all
)
select attacked.iteration, roles.role, coalesce(counts.pairs, 0) as pairs, count(*) as seeds
from attacked
cross join roles
left join counts
    on counts.seed_id = attacked.seed_id and counts.iteration = attacked.iteration and counts.role = roles.role
group by all
order by attacked.iteration, roles.role, pairs
