"""What push, pull and forget say to a person: sizes, places and sentences, and nothing that a terminal would obey."""

from seas_data.release.hub.push import Pushed
from seas_data.release.takedown import Forgot
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
    if plan.nothing:
        print(f"{done.url} holds all of this already; nothing was sent.")
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
        "new_commit": not plan.nothing and done.commit is not None,
        "files": {"new": plan.new, "changed": plan.changed, "same": plan.same, "deleted": plan.deleted},
        "others": plan.others,
        "bytes": plan.bytes,
        "card": plan.card,
    }


def forgot(done: Forgot, workspace: str) -> None:
    """Print what a forgetting took out, and who still holds it."""
    lost = ", ".join(f"{table} {rows:,}" for table, rows in done.rows.items() if rows)
    print(f"{done.version.name} is without them; rows taken out: {lost}.")
    print(f"Forgotten (they and what holds their words): {_few([*done.prompts, *done.responses])}.")
    if done.alike:
        print(f"Much the same is said by {_few(done.alike)}, which stay; forget them too if need be (seas-data why).")
    if done.versions:
        print(
            f"Still held by {', '.join(done.versions)} in {workspace}: nothing but a new workspace is without them. "
            f"Push {done.version.name}, pull it into a new one, and remove {workspace}."
        )
    for each in done.published:
        print(f"Still held by {printable(each)}: delete that tag, and squash the history or delete the repository.")
    if done.unknown:
        print(f"Not here, so not known whether they hold it: {_few(done.unknown)}; pull each and look (seas-data why).")
    if done.models:
        print(f"Trained on it, and may still know it: {_few(done.models)}. Weights forget by being trained anew.")


def _few(names: list[str]) -> str:
    """Return the first of ``names``, which may be anybody's, as a terminal may show them."""
    return printable(", ".join(names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def forgot_as_json(done: Forgot) -> dict[str, object]:
    """Return what ``forgot`` prints, as JSON data."""
    return {
        "version": done.version.name,
        "digest": done.version.digest,
        "rows": done.rows,
        "prompts": done.prompts,
        "responses": done.responses,
        "versions": done.versions,
        "published": done.published,
        "unknown": done.unknown,
        "models": done.models,
        "alike": done.alike,
    }
