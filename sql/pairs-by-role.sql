-- title: Pairs and what became of the rest
-- question: How many pairs did each iteration make of each role, and why were the other candidates left out?
-- topic: pairs
-- chart: bar x=rows y=outcome color=role row=iteration
select iteration, role, 'paired' as outcome, count(*) as rows from pairs group by all
union all
select iteration, role, reason as outcome, count(*) as rows from unpaired group by all
order by iteration, role, outcome = 'paired' desc, rows desc, outcome
