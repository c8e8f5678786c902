-- title: Attack success, corrected for judge errors
-- question: How high is attack success after correcting for judge errors (Rogan and Gladen)? Once with the errors
--     measured against gold verdicts on the same set and target, where there are any, and once with the sensitivity
--     and specificity given as parameters.
-- topic: safety
-- parameter: sensitivity number 1.0 "Assumed sensitivity of the judge"
-- parameter: specificity number 1.0 "Assumed specificity of the judge"
-- chart: point x=corrected y=target color=red_team row=set_and_judge low=corrected_low high=corrected_high
with figures as (
    select
        name, value, low, high, n,
        facets ->> 'gold' as gold,
        facets ->> 'judge' as judge,
        facets ->> 'set' as prompt_set,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target
    from metrics
    where name in ('attack_success', 'attack_success_corrected')
        and facets ->> 'type' is null and facets ->> 'difficulty' is null
    -- The newest, because gold verdicts grow from version to version.
    qualify row_number() over (partition by name, facets order by cast(substr(version, 2) as integer) desc) = 1
)
select
    observed.prompt_set, observed.red_team, observed.target, observed.judge,
    observed.value as observed, observed.low as observed_low, observed.high as observed_high, observed.n,
    corrected.gold,
    corrected.value as corrected, corrected.low as corrected_low, corrected.high as corrected_high,
    corrected.n as gold_rows,
    rogan_gladen(observed.value, $sensitivity, $specificity) as corrected_as_assumed,
    concat_ws(', ', observed.prompt_set, observed.judge) as set_and_judge
from figures as observed
left join figures as corrected
    on corrected.name = 'attack_success_corrected' and corrected.judge = observed.judge
    and corrected.prompt_set = observed.prompt_set and corrected.target = observed.target
    and corrected.red_team is not distinct from observed.red_team
where observed.name = 'attack_success'
order by
    observed.judge, observed.prompt_set, length(observed.target), observed.target, length(observed.red_team),
    observed.red_team, corrected.gold
