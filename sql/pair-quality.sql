-- title: Pair quality
-- question: What else could the pairs of each role and iteration teach: how large is the margin, is the chosen side
--     longer, which side contains refusals, and how many pairs share a seed?
-- topic: pairs
-- parameter: judge text '' "Judge whose refusal classes count; empty for the one that training used, else the first"
-- chart: bar x=chosen_longer y=role row=iteration
with refusals as (
    select response_id, refusal <> 'full_compliance' as refused
    from verdicts
    where refusal is not null and judge = refusal_judge_of($judge)
        and (response_id in (select chosen_id from pairs) or response_id in (select rejected_id from pairs))
),
sides as (
    select
        pairs.role, pairs.iteration, pairs.margin, pairs.seed_id, pairs.type,
        list_sum(list_transform(chosen, lambda message: length(message.content))) as chosen_characters,
        list_sum(list_transform(rejected, lambda message: length(message.content))) as rejected_characters,
        of_chosen.refused as chosen_refused,
        of_rejected.refused as rejected_refused
    from pairs
    left join refusals as of_chosen on of_chosen.response_id = pairs.chosen_id
    left join refusals as of_rejected on of_rejected.response_id = pairs.rejected_id
)
select
    iteration, role,
    count(*) as pairs,
    avg(margin order by margin) as margin,
    quantile_cont(margin, 0.1) as margin_p10,
    avg(chosen_characters) as chosen_characters,
    avg(rejected_characters) as rejected_characters,
    count(*) filter (chosen_characters > rejected_characters)
        / nullif(count(*) filter (chosen_characters <> rejected_characters), 0) as chosen_longer,
    avg(cast(chosen_refused as integer)) as chosen_refused,
    avg(cast(rejected_refused as integer)) as rejected_refused,
    count(distinct seed_id) as seeds,
    count(seed_id) / nullif(count(distinct seed_id), 0) as pairs_per_seed,
    count(distinct type) as types
from sides
group by iteration, role
order by iteration, role
