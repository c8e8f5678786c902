"""Pair selection: the best pairs of each group without reusing a row, then a cap over all groups."""

from collections.abc import Callable

import polars as pl


def select_greedily(
    candidates: pl.DataFrame, group: str, most: int, refuse: Callable[[pl.DataFrame], pl.Series] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take from each group its first pair, then the first that shares no row with it, and so on, up to ``most`` pairs.

    Args:
        candidates: One pair per row, best first. Input columns: chosen_id, rejected_id and ``group``.
        group: Name of the group column.
        most: Maximum pairs per group.
        refuse: Called with the pairs about to be taken, and no others, because it may be slow. Returns True for each
            pair to reject; the next best pair of its group takes its place.

    Returns (taken, refused), both with the columns of ``candidates``.
    """
    waiting = candidates.with_row_index("rank")
    taken, refused = [waiting.clear()], [waiting.clear()]
    for _ in range(most):
        round_taken = [waiting.clear()]
        undecided = waiting
        while undecided.height:
            first = undecided.unique(group, keep="first", maintain_order=True)
            bad = pl.repeat(False, first.height, eager=True) if refuse is None else refuse(first)
            round_taken.append(first.filter(~bad))
            refused.append(first.filter(bad))
            undecided = undecided.join(first.filter(~bad), on=group, how="anti", maintain_order="left")
            undecided = undecided.join(first.filter(bad), on="rank", how="anti", maintain_order="left")
        taken.append(pl.concat(round_taken))
        used = pl.concat([taken[-1]["chosen_id"], taken[-1]["rejected_id"]]).implode()
        gone = pl.concat(refused)["rank"].implode()
        waiting = waiting.filter(
            ~pl.col("chosen_id").is_in(used) & ~pl.col("rejected_id").is_in(used) & ~pl.col("rank").is_in(gone)
        )
        if waiting.is_empty():
            break
    return pl.concat(taken).drop("rank"), pl.concat(refused).drop("rank")


def cap_pairs(matched: pl.DataFrame, max_pairs: int | None, balance: bool = False) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (kept, dropped): at most ``max_pairs`` of ``matched``, those with the greatest margin, ties broken by id.

    With ``balance``, the quota is split evenly over the values of ``type``, and what a type cannot fill goes to the
    others; without ``max_pairs``, every type keeps as many pairs as the rarest one has. ``dropped`` has the extra
    column reason: ``cap``, or ``balance`` if the pair was dropped only to balance the types.

    Input columns: margin, chosen_id, rejected_id, type.
    """
    ranked = matched.sort(["margin", "chosen_id", "rejected_id"], descending=[True, False, False], nulls_last=True)
    room = matched.height if max_pairs is None else max_pairs
    if not balance:
        return ranked.head(room), ranked.slice(room).with_columns(reason=pl.lit("cap"))
    counts = dict(ranked.group_by("type").len().sort("len", "type", nulls_last=True).iter_rows())
    shares = split_evenly(counts, len(counts) * min(counts.values(), default=0) if max_pairs is None else max_pairs)
    quota = pl.DataFrame({"type": list(shares), "quota": list(shares.values())}, {"type": pl.String, "quota": pl.Int64})
    ranked = ranked.with_columns(place=pl.int_range(pl.len()).over("type")).join(
        quota, on="type", how="left", nulls_equal=True, maintain_order="left"
    )
    inside = pl.col("place") < pl.col("quota")
    reason = pl.lit("balance" if room >= matched.height else "cap")
    dropped = ranked.filter(~inside).drop("place", "quota")
    return ranked.filter(inside).drop("place", "quota"), dropped.with_columns(reason=reason)


def split_evenly(counts: dict[str | None, int], total: int) -> dict[str | None, int]:
    """Return how many of ``total`` each key gets in an even split in which no key gets more than its count.

    ``counts`` must be in ascending order: what a small key leaves over is split among the keys after it.
    """
    shares: dict[str | None, int] = {}
    for position, (key, count) in enumerate(counts.items()):
        shares[key] = min(count, (total - sum(shares.values())) // (len(counts) - position))
    return shares
