-- title: Response lengths
-- question: How long are the responses of each model, in tokens and bytes, and how many failed or were truncated?
-- topic: cost
-- chart: bar x=median_tokens y=model
select
    model,
    count(*) as responses,
    count(*) filter (finish_reason = 'error') / count(*) as failed,
    count(*) filter (finish_reason = 'length') / count(*) as truncated,
    avg(tokens) as mean_tokens,
    quantile_cont(tokens, 0.5) as median_tokens,
    quantile_cont(tokens, 0.9) as p90_tokens,
    avg(strlen(text)) as mean_bytes
from responses
group by model
order by length(model), model
