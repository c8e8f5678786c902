-- title: Headline figures
-- question: How large is the version, how safe is its newest target, what does that safety cost in over-refusal and
--     retention, and how accurate are its labels?
-- topic: overview
-- chart: table
with counts as (
    select
        count(*) as kept,
        count(*) filter (kind = 'adversarial') as adversarial,
        count(*) filter (kind = 'harmless') as harmless
    from kept
),
sizes as (
    select
        unnest([
            'prompts', 'kept prompts', 'kept attacks', 'kept harmless look-alikes', 'rows set aside', 'preference pairs'
        ]) as figure,
        unnest([
            (select count(*) from prompts),
            kept, adversarial, harmless,
            (select count(*) from set_aside),
            (select count(*) from pairs)
        ]) as value,
        generate_subscripts([1, 2, 3, 4, 5, 6], 1) as place
    from counts
),
rates as (
    select
        name, value, low, high,
        facets ->> 'red_team' as red_team,
        facets ->> 'target' as target,
        facets ->> 'set' as prompt_set,
        facets ->> 'judge' as judge
    from metrics
    where facets ->> 'type' is null and facets ->> 'difficulty' is null
),
newest as (
    select model, role from checkpoints qualify row_number() over (partition by role order by iteration desc, model) = 1
),
-- The newest red team and target, by the judges that training used. Retention is scored by the expected words where
-- prompts have them, otherwise by the judge of refusals.
measured as (
    select
        *,
        list_position(['attack_success', 'at_least_one_of_m', 'over_refusal', 'retention'], name) as place
    from rates
    where target = (select model from newest where role = 'target')
        and (red_team is null or red_team = (select model from newest where role = 'red'))
        and (judge is null or judge = if(
            name in ('over_refusal', 'retention'), coalesce(refusal_judge_of(''), judge_of('')), judge_of('')
        ))
        and (name, coalesce(prompt_set, ''), red_team is not null) in (
            ('attack_success', 'evaluation', true), ('at_least_one_of_m', 'evaluation', true),
            ('attack_success', 'test', false), ('over_refusal', 'harmless', false), ('retention', 'general', false)
        )
    qualify row_number() over (partition by name, red_team is null order by judge is null desc, value) = 1
),
labels as (
    select value, low, high
    from metrics
    where name = 'label_accuracy' and facets ->> 'validation' = 'group' and facets ->> 'source' is null
    qualify row_number() over (order by cast(substr(version, 2) as integer) desc, facets) = 1
),
figures as (
    select
        1 as part, place, figure, null as models, cast(value as double) as value, null as low, null as high,
        null as better
    from sizes
    where exists (from prompts)
    union all
    select
        2, 2 * place + cast(red_team is null as integer),
        case
            when name = 'attack_success' and red_team is not null then 'attack success, newest models'
            when name = 'attack_success' then 'attack success, test prompts'
            when name = 'at_least_one_of_m' then 'at least one success of m, newest models'
            when name = 'over_refusal' then 'over-refusal, harmless prompts'
            when name = 'retention' then 'general questions answered'
        end,
        concat_ws(' on ', red_team, target),
        value, low, high,
        if(name = 'retention', 'higher', 'lower')
    from measured
    union all
    select 3, 1, 'label accuracy, cross-validated', null, value, low, high, 'higher' from labels
)
select figure, models, value, low, high, better from figures order by part, place
