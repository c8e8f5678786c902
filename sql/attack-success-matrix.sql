-- title: Attack success matrix
-- question: How often does each red team succeed against each target on the same evaluation seeds, over all its attacks
--     and over the valid ones, how wide is the interval, and how valid and how alike are its attacks?
-- topic: safety
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: heatmap x=target y=red_team color=value low=low high=high
with figures as (
    select
        name,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target,
        facets ->> 'judge' as judge,
        value, low, high, n
    from metrics
    where
        (name in ('attack_success', 'valid_attack_success') and facets ->> 'set' = 'evaluation')
        or name = 'validity'
        or (name = 'diversity' and facets ->> 'against' = 'itself')
)
select
    cell.red_team, cell.target, cell.value, cell.low, cell.high, cell.n,
    valid.value as of_valid,
    validity.value as validity,
    diversity.value as nearest_similarity
from figures as cell
left join figures as valid
    on valid.name = 'valid_attack_success'
    and valid.red_team = cell.red_team and valid.target = cell.target and valid.judge = cell.judge
left join figures as validity on validity.name = 'validity' and validity.red_team = cell.red_team
left join figures as diversity on diversity.name = 'diversity' and diversity.red_team = cell.red_team
where cell.name = 'attack_success' and cell.judge = judge_of($judge)
order by length(cell.red_team), cell.red_team, length(cell.target), cell.target
