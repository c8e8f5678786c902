-- title: Pairs by role
-- question: How many pairs of each role did each iteration produce, and why were the other candidates left out?
-- topic: pairs
-- chart: bar x=rows y=outcome color=role row=iteration
select iteration, role, 'paired' as outcome, count(*) as rows from pairs group by all
union all
select iteration, role, reason as outcome, count(*) as rows from unpaired group by all
order by iteration, role, outcome = 'paired' desc, rows desc, outcome
