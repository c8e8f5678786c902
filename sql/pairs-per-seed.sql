-- title: Pairs per seed
-- question: How many seeds of each iteration gave no pair, one pair, or several?
-- topic: pairs
-- chart: bar x=pairs y=seeds color=role row=iteration
with grown as (
    select distinct seed_id, iteration from attacks where split = 'train'
),
roles as (select distinct role from pairs where seed_id is not null),
made as (
    select role, iteration, seed_id, count(*) as pairs from pairs where seed_id is not null group by all
)
select grown.iteration, roles.role, coalesce(made.pairs, 0) as pairs, count(*) as seeds
from grown
cross join roles
left join made on made.seed_id = grown.seed_id and made.iteration = grown.iteration and made.role = roles.role
group by all
order by grown.iteration, roles.role, pairs
