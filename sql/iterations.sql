-- title: Iterations
-- question: How many attacks did each iteration generate, how many of them joined the prompts, and how many pairs were
--     made from them?
-- topic: safety
-- chart: line x=iteration y=attacks_joined
with written as (
    select
        iteration,
        count(distinct seed_id) as seeds,
        count(*) as attacks,
        count(*) filter (reason is null) as sent
    from attacks where split = 'train'
    group by iteration
),
answered as (
    select attacks.iteration, count(distinct responses.response_id) as responses
    from attacks
    join responses using (prompt_id)
    -- A look-alike that joined is sent again by later targets.
    where attacks.split = 'train' and try_cast(substr(responses.model, 2) as integer) + 1 = attacks.iteration
    group by attacks.iteration
),
joined as (
    select
        kept.iteration,
        count(*) filter (kept.kind = 'adversarial') as attacks_joined,
        count(*) filter (kept.kind = 'harmless') as look_alikes_joined
    from kept
    where kept.model is not null
    group by kept.iteration
),
paired as (
    select
        iteration,
        count(*) filter (role = 'red') as red_pairs,
        count(*) filter (role = 'target') as target_pairs,
        count(*) filter (role = 'harmless') as harmless_pairs,
        count(*) filter (role = 'general') as general_pairs
    from pairs
    group by iteration
)
select
    iteration, seeds, attacks, sent, coalesce(responses, 0) as responses,
    coalesce(attacks_joined, 0) as attacks_joined, coalesce(look_alikes_joined, 0) as look_alikes_joined,
    coalesce(red_pairs, 0) as red_pairs, coalesce(target_pairs, 0) as target_pairs,
    coalesce(harmless_pairs, 0) as harmless_pairs, coalesce(general_pairs, 0) as general_pairs
from written
left join answered using (iteration)
left join joined using (iteration)
left join paired using (iteration)
order by iteration
