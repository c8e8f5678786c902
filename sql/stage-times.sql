-- title: Stage times
-- question: How long does each stage of each version take, at how many rows per second, and with how much memory?
-- topic: cost
-- chart: bar x=seconds y=stage row=version
with stages as (
    select
        version, stage,
        min(started) as started,
        sum(seconds order by seconds) as seconds,
        cast(sum(rows) as bigint) as rows,
        max(peak_megabytes) as peak_megabytes
    from runs
    group by version, stage
),
versions as (select version, sum(seconds order by seconds) as total_seconds from runs group by version)
select
    version, stage, seconds,
    seconds / nullif(total_seconds, 0) as proportion_of_version,
    rows,
    rows / nullif(seconds, 0) as rows_per_second,
    peak_megabytes
from stages
join versions using (version)
order by length(version), version, started, stage
