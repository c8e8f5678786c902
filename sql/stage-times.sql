-- title: Time of each stage
-- question: How long does each stage of each version take, how many rows a second is that, and with how much memory?
-- chart: bar x=seconds y=stage row=version
select
    version, stage,
    sum(seconds) as seconds,
    sum(seconds) / nullif(sum(sum(seconds)) over (partition by version), 0) as share_of_version,
    cast(sum(rows) as bigint) as rows,
    sum(rows) / nullif(sum(seconds), 0) as rows_per_second,
    max(peak_megabytes) as peak_megabytes
from runs
group by version, stage
order by length(version), version, min(started), stage
