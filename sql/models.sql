-- title: Models
-- question: Which models were trained, from which parent, by which method, on how many rows, and with which sampling
--     settings?
-- topic: safety
-- chart: table
with sampled as (
    select
        model,
        min(sampling ->> 'temperature') as temperature,
        min(sampling ->> 'top_p') as top_p,
        min(sampling ->> 'max_new_tokens') as max_new_tokens
    from settings
    where judge is null
    group by model
)
select
    model, role, iteration, parent, method, rows, temperature, top_p, max_new_tokens, statement, digest
from checkpoints
left join sampled using (model)
order by role, iteration, model
