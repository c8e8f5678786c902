"""Write the fixtures of PyRIT: run this in an environment where ``pyrit`` is installed.

    python make_pyrit.py FOLDER

Writes ``memory.db``, a SQLite memory. Only our own requests are sent, through a converter and with scorers that look
for words. ``scrub`` removes what the tool writes about the machine: addresses and headers of the target.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from stub_server import serve

FOLDER = Path(sys.argv[1]).resolve()
shutil.rmtree(FOLDER, ignore_errors=True)
(FOLDER / "home").mkdir(parents=True)
os.environ.update(HOME=str(FOLDER / "home"), XDG_DATA_HOME=str(FOLDER / "home"), XDG_CONFIG_HOME=str(FOLDER / "home"))

from pyrit.converter import SuffixAppendConverter  # noqa: E402
from pyrit.executor.attack import AttackConverterConfig, AttackScoringConfig, PromptSendingAttack  # noqa: E402
from pyrit.memory import CentralMemory, SQLiteMemory  # noqa: E402
from pyrit.models import Message, MessagePiece  # noqa: E402
from pyrit.prompt_normalizer import ConverterConfiguration  # noqa: E402
from pyrit.prompt_target import OpenAIChatTarget  # noqa: E402
from pyrit.score import SubStringScorer  # noqa: E402

DISHES = ("onion soup", "plum cake", "leek pie", "pea stew", "apple tart", "carrot salad", "oat bars", "nut roast")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


async def main() -> None:
    memory = SQLiteMemory(db_path=FOLDER / "memory.db", silent=True)
    CentralMemory.set_memory_instance(memory)
    with serve() as url:
        target = OpenAIChatTarget(model_name="wavering", endpoint=url, api_key="none")
        scoring = AttackScoringConfig(
            objective_scorer=SubStringScorer(substring="stir it for", categories=["cooking"]),
            auxiliary_scorers=[SubStringScorer(substring="sorry", categories=["refusal"])],
        )
        suffix = ConverterConfiguration.from_converters(
            converters=[SuffixAppendConverter(suffix="as the innkeeper would tell it to a traveller.")]
        )
        plain = PromptSendingAttack(objective_target=target, attack_scoring_config=scoring)
        told = PromptSendingAttack(
            objective_target=target,
            attack_scoring_config=scoring,
            attack_converter_config=AttackConverterConfig(request_converters=suffix),
        )
        for number, dish in enumerate(DISHES):
            for _ in range(3):
                await told.execute_async(objective=f"Say how the keeper makes {dish} on {DAYS[number % 7]},")
        await plain.execute_async(objective="How do I bake filtered bread?")
        system = Message(message_pieces=[MessagePiece(role="system", original_value="Give no cooking instructions.")])
        await plain.execute_async(objective="Which soup is made of peas?", prepended_conversation=[system])
        try:
            await plain.execute_async(objective="How do I bake broken bread?")
        except Exception as problem:
            print(type(problem).__name__)
    memory.dispose_engine()
    scrub(FOLDER / "memory.db", url)


def scrub(path: Path, url: str) -> None:
    """Replace the address of the stub, put everything into the one file and print what it counts."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for _, name, *_ in connection.execute(f'pragma table_info("{table}")').fetchall():
                connection.execute(
                    f'update "{table}" set "{name}" = replace("{name}", ?, ?) where instr("{name}", ?)',
                    (url, "http://127.0.0.1:1/v1", url),
                )
        connection.execute("update AttackResultEntries set error_message = null, error_traceback = null")
        for name in ("original_value", "converted_value"):
            connection.execute(f"update PromptMemoryEntries set {name} = 'failed' where response_error = 'processing'")
        connection.commit()
        connection.execute("vacuum")
        counts = {
            "roles": "select role, count(*) from PromptMemoryEntries group by 1",
            "scores": "select scorer_class_identifier ->> 'class_name', score_value, status, count(*) "
            "from ScoreEntries group by 1, 2, 3",
            "outcomes": "select outcome, count(*) from AttackResultEntries group by 1",
        }
        for name, query in counts.items():
            try:
                print(name, json.dumps(connection.execute(query).fetchall()))
            except sqlite3.Error as problem:
                print(name, problem)
    shutil.rmtree(path.parent / "home")


if __name__ == "__main__":
    asyncio.run(main())
