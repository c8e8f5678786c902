-- title: Overview
-- question: How large is the version? Kept rows include held-out sets; released rows do not, and sources, types and
--     languages are counted over released rows.
-- topic: data
-- chart: table
with counts as (
    select
        count(*) as kept,
        count(*) filter (role = 'training') as released,
        count(distinct source) filter (role = 'training') as sources,
        count(distinct type) filter (role = 'training' and kind = 'adversarial') as types,
        count(*) filter (role = 'training' and kind = 'adversarial' and type is null) as without_type,
        count(distinct language) filter (role = 'training') as languages,
        count(*) filter (model is not null) as written_by_models
    from kept
)
select
    (select count(*) from prompts) as prompts,
    kept,
    (select count(*) from dropped) as dropped,
    (select count(*) from set_aside) as set_aside,
    released, sources, types, without_type, languages, written_by_models,
    (select count(distinct template_id) from templates) as templates,
    (select count(*) from responses) as responses,
    (select count(*) from verdicts) as verdicts,
    (select count(*) from pairs) as pairs,
    (select count(*) from decisions where reason = 'manual') + (select count(*) from relabels) as manual_decisions
from counts
where exists (from prompts)
