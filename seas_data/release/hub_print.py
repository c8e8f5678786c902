"""What push, pull and forget say to a person: sizes, places and sentences, and nothing that a terminal would obey."""

from seas_data.release.push import Pushed
from seas_data.text import printable


def pushed(name: str, done: Pushed, *, tag: str | None) -> None:
    """Print what a push did; or, where there is no commit, what it would do."""
    plan = done.plan
    if done.commit is None:
        for mark, group in (("new", plan.new), ("changed", plan.changed)):
            for place, size in group.items():
                print(f"{mark:<8} {size:>14,}  {printable(place)}")
        for place in plan.deleted:
            print(f"{'deleted':<8} {'':>14}  {printable(place)}")
        for line in plan.card:
            print(f"card     {line}")
        print(
            f"{name} to {done.url}: {len(plan.new)} new, {len(plan.changed)} changed, {len(plan.deleted)} deleted, "
            f"{len(plan.same)} as they are; {len(plan.others)} of others stay. At most {plan.bytes:,} bytes to send. "
            "Nothing was written."
        )
        return
    if done.remark:
        print(f"{done.remark}.")
    else:
        print(
            f"{name} is at {done.url}, commit {done.commit[:7]}: {len(plan.new)} files new, {len(plan.changed)} "
            f"changed, {len(plan.deleted)} deleted, {len(plan.same)} as they were."
        )
    if tag:
        print(f"Its tag is {tag}.")


def as_json(done: Pushed, *, tag: str | None) -> dict[str, object]:
    """Return what ``pushed`` prints, as JSON data."""
    plan = done.plan
    return {
        "url": done.url,
        "commit": done.commit,
        "tag": tag,
        "new_commit": done.new and done.commit is not None,
        "files": {"new": plan.new, "changed": plan.changed, "same": plan.same, "deleted": plan.deleted},
        "others": plan.others,
        "bytes": plan.bytes,
        "card": plan.card,
    }
