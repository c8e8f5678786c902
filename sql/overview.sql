-- title: Overview
-- question: How large is the version? Kept rows include held-out sets; released rows do not, and sources, types and
--     languages are counted over released rows.
-- topic: data
-- chart: table
select
    (select count(*) from prompts) as prompts,
    (select count(*) from kept) as kept,
    (select count(*) from dropped) as dropped,
    (select count(*) from set_aside) as set_aside,
    (select count(*) from kept where role = 'training') as released,
    (select count(distinct source) from kept where role = 'training') as sources,
    (select count(distinct type) from kept where role = 'training' and kind = 'adversarial') as types,
    (select count(*) from kept where role = 'training' and kind = 'adversarial' and type is null) as without_type,
    (select count(distinct language) from kept where role = 'training') as languages,
    (select count(*) from kept where model is not null) as written_by_models,
    (select count(distinct template_id) from templates) as templates,
    (select count(*) from responses) as responses,
    (select count(*) from verdicts) as verdicts,
    (select count(*) from pairs) as pairs,
    (select count(*) from decisions where reason = 'manual') + (select count(*) from relabels) as manual_decisions
where exists (from prompts)
