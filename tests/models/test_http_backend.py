import gzip
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import generation_cache, http_outcomes, http_retry
from seas_data.models.http_backend import HttpBackend
from seas_data.models.protocol import (
    ANSWER_SCHEMA,
    NO_LIMIT,
    PromptFormat,
    Sampling,
    VerdictTokens,
    greedy_sampling,
)
from seas_data.recipe import ModelHttp
from seas_data.retry import Backoff
from tests.conftest import quick
from tests.models.conftest import create_requests
from tests.models.servers import Reply, completion, server

SAMPLING = Sampling(max_new_tokens=9, seed=4)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_retry, "BACKOFF", Backoff(first=0.01, longest=0.05))
    monkeypatch.setattr(http_retry, "POLL", Backoff(first=0.02, longest=0.02))


def model(url: str, **changes: Any) -> HttpBackend:
    return HttpBackend(
        "T0", ModelHttp(**{"backend": "http", "model": "served", "url": url, "max_wait_seconds": 10} | changes), url
    )


def ask(url: str, folder: Path, samples: int = 1, count: int = 12, **changes: Any) -> pl.DataFrame:
    return model(url, **changes).generate(create_requests(count), SAMPLING, samples, folder, "answers")


def test_chat_requests_carry_the_settings_and_give_rows_of_the_schema(tmp_path: Path) -> None:
    with server(lambda body, _: completion(body)) as (url, seen):
        answers = ask(url, tmp_path, samples=3, extra_body={"top_k": -1, "top_p": None})

    assert answers.schema == ANSWER_SCHEMA
    assert answers.height == 36 and answers.equals(answers.sort("request_id", "sample"))
    assert set(answers["finish_reason"]) == {"stop"}
    assert answers["tokens"].null_count() == 36, "the server says the tokens of all three together"
    assert len(seen.bodies) == 12
    for body in seen.bodies:
        assert {"model": "served", "temperature": 0.8, "max_tokens": 9, "n": 3, "top_k": -1}.items() <= body.items()
        assert "top_p" not in body, "an option of null leaves the field out"
    assert len({body["seed"] for body in seen.bodies}) == 12
    texts = {row["request_id"]: row["messages"][0]["content"] for row in create_requests(12).iter_rows(named=True)}
    for request_id, text in answers.select("request_id", "text").iter_rows():
        assert text.startswith(texts[request_id] + " / ")


def test_missing_samples_are_requested_again_if_the_server_ignores_n(tmp_path: Path) -> None:
    with server(lambda body, _: completion(body, count=1)) as (url, seen):
        answers = ask(url, tmp_path, samples=4)
    assert answers.height == 48
    assert answers["sample"].to_list() == [0, 1, 2, 3] * 12
    assert answers["text"].n_unique() >= 4 * 7, "each time with a seed of its own"
    assert set(answers["tokens"]) == {7}
    assert len(seen.bodies) == 48


def test_null_leaves_a_field_out_of_requests(tmp_path: Path) -> None:
    with server(lambda body, _: completion(body)) as (url, seen):
        answers = ask(url, tmp_path, samples=3, extra_body={"seed": None, "n": None, "top_p": None})
    assert not any({"seed", "n", "top_p"} & body.keys() for body in seen.bodies)
    assert answers["text"].null_count() == 0 and len(seen.bodies) == answers.height


def test_a_seed_belongs_to_a_request_and_stored_answers_serve_another_number_of_samples(tmp_path: Path) -> None:
    def sent(bodies: list[dict[str, Any]]) -> set[tuple[str, int]]:
        return {(body["messages"][0]["content"], body["seed"]) for body in bodies}

    with server(lambda body, _: completion(body)) as (url, seen):
        whole = ask(url, tmp_path / "whole", samples=2, concurrency=5)
        everything = sent(seen.bodies)
        seen.bodies.clear()
        ask(url, tmp_path / "part", samples=2, count=3)
        assert sent(seen.bodies) < everything, "the seeds do not depend on the other requests"
        seen.bodies.clear()
        more = ask(url, tmp_path / "whole", samples=3)
        assert len(seen.bodies) == 12 and all("n" not in body for body in seen.bodies)
        assert not {seed for _, seed in sent(seen.bodies)} & {seed for _, seed in everything}
    assert more.filter(pl.col("sample") < 2).equals(whole)


def test_surplus_samples_are_dropped(tmp_path: Path) -> None:
    with server(lambda body, _: completion(body, count=5)) as (url, _):
        assert ask(url, tmp_path, samples=2).height == 24


@pytest.mark.slow
def test_samples_are_requested_one_at_a_time_if_the_server_refuses_n(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        return (422, {}, {"error": "n is not supported"}) if "n" in body else completion(body)

    with server(answer) as (url, seen):
        answers = ask(url, tmp_path, samples=2, count=150, concurrency=4)
    assert answers.height == 300 and answers["error"].null_count() == 300
    assert sum("n" in body for body in seen.bodies) < 150, "those not yet under way ask for one"


def test_busy_lost_and_dropped_requests_are_retried(tmp_path: Path) -> None:
    replies: list[Reply] = [
        (429, {"retry-after": "0.02"}, {}),
        (503, {}, {}),
        None,
        (500, {}, {"error": "oops"}),
        (200, {}, b"not JSON"),
    ]

    def answer(body: dict[str, Any], before: int) -> Reply:
        return replies[before] if before < len(replies) else completion(body)

    with server(answer) as (url, seen):
        answers = ask(url, tmp_path, count=3)
    assert answers["error"].null_count() == 3
    assert len(seen.bodies) == 18


def test_a_refused_request_is_a_failed_row_that_the_next_run_sends_again(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        long = len(body["messages"][0]["content"]) > 20
        return (400, {}, {"error": "too long\x1b[2J for this model, key sesame"}) if long else completion(body)

    with pytest.MonkeyPatch.context() as environment, server(answer) as (url, seen):
        environment.setenv("A_KEY", "sesame")
        answers = ask(url, tmp_path, samples=2, api_key_env="A_KEY")
        asked = len(seen.bodies)
        again = ask(url, tmp_path, samples=2, api_key_env="A_KEY")
        ids = answers.filter(finish_reason="error")["request_id"].n_unique()
        assert ids <= len(seen.bodies) - asked <= 2 * ids, "several samples, then one; no answer is asked again"
        assert {headers["Authorization"] for headers in seen.headers} == {"Bearer sesame"}
    failed = answers.filter(finish_reason="error")
    assert 0 < failed.height < answers.height == 24
    assert failed["text"].null_count() == failed.height
    assert failed["error"].str.contains("status 400.*too long").all()
    assert not failed["error"].str.contains("sesame|\x1b").any(), "neither the key nor control characters are stored"
    assert again.equals(answers)
    for path in tmp_path.rglob("*"):
        assert b"sesame" not in path.read_bytes()


def test_a_lost_request_is_a_failed_row_that_the_next_run_sends_again(tmp_path: Path) -> None:
    healthy = False

    def answer(body: dict[str, Any], _: int) -> Reply:
        poison = body["messages"][0]["content"] == "what"
        return None if poison and not healthy else completion(body)

    with server(answer) as (url, seen):
        first = ask(url, tmp_path)
        lost = first.filter(finish_reason="error")
        assert 0 < lost.height < 12
        healthy = True
        second = ask(url, tmp_path)
        assert second["error"].null_count() == 12
        asked = len(seen.bodies)
        assert ask(url, tmp_path).equals(second) and len(seen.bodies) == asked


def test_losing_every_request_ends_the_run(tmp_path: Path) -> None:
    with server(lambda *_: (500, {}, {})) as (url, _), pytest.raises(SeasDataError, match="none of the last 20"):
        ask(url, tmp_path, count=21)


@pytest.mark.parametrize(("status", "says"), [(401, "api_key_env"), (402, "credit"), (404, "url and model")])
def test_a_wrong_key_or_address_ends_the_run_at_once(tmp_path: Path, status: int, says: str) -> None:
    with server(lambda *_: (status, {}, {"error": "no"})) as (url, seen), pytest.raises(SeasDataError, match=says):
        ask(url, tmp_path, concurrency=1)
    assert len(seen.bodies) <= 2


def test_a_missing_key_is_reported_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(SeasDataError, match="A_KEY"):
        model("http://127.0.0.1:9/v1", api_key_env="A_KEY")


@pytest.mark.slow
def test_a_server_that_goes_down_during_a_run_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda body, _: completion(body)) as (url, _):
        port = int(url.split(":")[2].split("/")[0])
        undisturbed = ask(url, tmp_path / "undisturbed", count=30)
    served = threading.Event()

    def slow(body: dict[str, Any], _: int) -> Reply:
        time.sleep(0.02)
        served.set()
        return completion(body)

    answers: list[pl.DataFrame] = []
    down = False

    def falls_over(body: dict[str, Any], before: int) -> Reply:
        return None if down else slow(body, before)

    run = threading.Thread(target=lambda: answers.append(ask(url, tmp_path / "run", count=30, concurrency=2)))
    with server(falls_over, port):
        run.start()
        assert served.wait(10)
        down = True
    time.sleep(0.5)
    assert run.is_alive(), "it waits"
    with server(slow, port):
        run.join(20)
    assert not run.is_alive()
    assert answers[0].equals(undisturbed)
    output = capsys.readouterr().err
    assert output.count("is unavailable") == 1 and output.count("is available again") == 1


def test_an_unavailable_server_ends_the_run_after_max_wait_seconds(tmp_path: Path) -> None:
    with server(lambda *_: (503, {}, {})) as (url, _), pytest.raises(SeasDataError, match="has been unavailable for"):
        ask(url, tmp_path, max_wait_seconds=0.3)
    with pytest.raises(SeasDataError, match="no server answers"):
        ask("http://127.0.0.1:9/v1", tmp_path, max_wait_seconds=0.1)


def test_a_resumed_run_requests_only_missing_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = generation_cache.write_batch, []
    calls, stored = itertools.count(), threading.Event()  # the two batches are written on two threads

    def killed_after_one(folder: Path, settings: str, row_keys: list[str], rows: pl.DataFrame) -> pl.DataFrame:
        call = next(calls)
        if call == 0:
            written.extend(row_keys)
            whole = write(folder, settings, row_keys, rows)
            stored.set()
            return whole
        assert stored.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(generation_cache, "write_batch", killed_after_one)
    with server(lambda body, _: completion(body)) as (url, _), pytest.raises(KeyboardInterrupt):
        ask(url, tmp_path, count=128, concurrency=4)
    monkeypatch.setattr(generation_cache, "write_batch", write)
    with server(lambda body, _: completion(body)) as (url, seen):  # requests that were under way reach the first one
        answers = ask(url, tmp_path, count=128, concurrency=4)
        assert len(seen.bodies) == 128 - len(written) < 128
        assert answers.height == 128 and answers["error"].null_count() == 128


@pytest.mark.slow
def test_a_server_that_does_not_sample_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda body, _: completion(body | {"seed": 0}, count=1)) as (url, _):
        ask(url, tmp_path, samples=2)
        assert "it does not sample" in capsys.readouterr().err
        model(url).generate(create_requests(12), SAMPLING.model_copy(update={"temperature": 0}), 2, tmp_path, "answers")
    with server(lambda body, _: completion(body, count=1)) as (url, _):
        ask(url, tmp_path / "drawing", samples=2)
    assert "sample" not in capsys.readouterr().err


def test_concurrency_limits_the_requests_under_way(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        time.sleep(0.01)
        return completion(body)

    with server(answer) as (url, seen):
        ask(url, tmp_path, count=40, concurrency=5)
    assert 2 <= seen.most_at_once <= 5


@pytest.mark.parametrize(
    ("choice", "reason", "error"),
    quick(
        4,
        [
            ({"finish_reason": "length"}, "length", None),
            ({"finish_reason": "eos_token"}, "stop", None),
            ({"finish_reason": "content_filter"}, "filter", "content_filter"),
            ({"message": {"content": None, "refusal": "I cannot"}}, "filter", "refusal"),
            ({"message": {"content": [{"type": "text", "text": "bl"}, {"type": "text", "text": "ue"}]}}, "stop", None),
            ({"finish_reason": "brand_new"}, "other", None),
            ({"finish_reason": ["stop"]}, "other", None),
            ({"finish_reason": "error"}, "error", "finish reason error"),
            ({"message": {"role": "assistant", "content": None}}, "error", "no text"),
            ({"message": None}, "error", "no text"),
        ],
    ),
)
def test_finish_reasons(tmp_path: Path, choice: dict[str, Any], reason: str, error: str | None) -> None:
    with server(lambda body, _: completion(body, **choice)) as (url, _):
        answers = ask(url, tmp_path, count=2)
    assert set(answers["finish_reason"]) == {reason}
    assert answers["error"].null_count() == 2 if error is None else answers["error"].str.contains(error).all()


def test_a_reply_without_choices_is_a_failed_row(tmp_path: Path) -> None:
    for reply in ({}, {"choices": []}, {"choices": "none"}, {"choices": [3]}):
        with server(lambda *_, reply=reply: (200, {}, reply)) as (url, _):  # type: ignore[misc]
            assert set(ask(url, tmp_path / str(len(str(reply))), count=2)["finish_reason"]) == {"error"}


def test_completions_send_the_rendered_or_bare_text(tiny: Path, tmp_path: Path) -> None:
    with server(lambda body, _: completion(body)) as (url, seen):
        ask(url, tmp_path, count=2, endpoint="completions", tokenizer=str(tiny))
        bare = pl.DataFrame({"request_id": ["a"], "text": ["[INST] as it is"]})
        model(url, endpoint="completions").generate(bare, SAMPLING, 1, tmp_path, "answers")
    assert set(seen.paths) == {"/v1/completions", "/v1/models"}
    assert sorted(body["prompt"] for body in seen.bodies) == [
        "<begin> <user> what <end> <assistant> ",
        "<begin> <user> what colour is the door of <end> <assistant> ",
        "[INST] as it is",
    ]


def test_a_bare_text_is_rejected_for_chat(tmp_path: Path) -> None:
    with (
        server(lambda body, _: completion(body)) as (url, _),
        pytest.raises(SeasDataError, match="endpoint: completions"),
    ):
        model(url).generate(pl.DataFrame({"request_id": ["a"], "text": ["x"]}), SAMPLING, 1, tmp_path, "answers")


def test_template_keywords_typed_content_and_probabilities(tmp_path: Path) -> None:
    logprobs = {
        "content": [
            {"token": "\n\n", "logprob": -0.1, "top_logprobs": []},
            {
                "token": "unsafe",
                "logprob": -0.2,
                "top_logprobs": [{"token": "unsafe", "logprob": -0.2}, {"token": "safe", "logprob": -1.8}],
            },
        ]
    }
    asked = PromptFormat(
        template_kwargs={"guideline": "be kind"},
        typed_content=True,
        verdict_tokens=VerdictTokens(unsafe=("unsafe",), safe=("safe",)),
    )
    with server(lambda body, _: completion(body, logprobs=logprobs)) as (url, seen):
        answers = model(url).generate(create_requests(3), SAMPLING, 1, tmp_path, "answers", asked)
    assert answers["score"].to_list() == pytest.approx([0.8320183851339245] * 3)
    for body in seen.bodies:
        assert body["chat_template_kwargs"] == {"guideline": "be kind"}
        assert body["logprobs"] is True
        assert body["messages"][0]["content"][0]["type"] == "text"


def test_the_description_of_the_model_is_retried_until_the_server_is_ready() -> None:
    with server(lambda body, _: completion(body), unready=[(503, {"error": "loading"}), (429, b"")]) as (url, _):
        assert model(url).digest == model(url).digest
    away = pytest.raises(SeasDataError, match=r"no server answers at .* \(status 503\)")
    with server(lambda body, _: completion(body), unready=[(503, b"")]) as (url, _), away:
        assert model(url, max_wait_seconds=0).digest


def test_a_list_of_models_that_is_not_text_is_ignored(tmp_path: Path) -> None:
    with server(lambda *_: (200, {}, b"\xff\xfa"), unready=[(200, b"\xff\xfa")]) as (url, _):
        assert model(url).digest
        assert set(ask(url, tmp_path, count=2)["error"]) == {"a reply that is not a JSON object"}


def test_the_digest_covers_the_name_and_the_constant_fields_of_the_description() -> None:
    with server(lambda body, _: completion(body)) as (url, _):
        one, two, other = model(url).digest, model(url).digest, model(url, model="another").digest
    assert one == two != other
    assert (
        HttpBackend("T1", ModelHttp(backend="http", model="m", serve=["x"]), url, checkpoint_digest="abc").digest
        == "abc"
    )


@pytest.mark.slow
def test_a_part_in_which_all_failed_is_not_kept(tmp_path: Path) -> None:
    """The judge of S3: a server that answers nothing is repaired, and the same command goes on."""
    broken: list[Reply] = [
        completion({"messages": [{"content": ""}]}, message={"content": None}),
        (200, {}, {"choices": []}),
        completion({"messages": [{"content": ""}]}, finish_reason="content_filter", message={"content": ""}),
        (400, {}, {"error": "bad"}),
        (200, {}, {"error": {"message": "broken"}}),
    ]
    for number, reply in enumerate(broken):
        with server(lambda *_, reply=reply: reply) as (url, _):  # type: ignore[misc]
            failed = ask(url, tmp_path / str(number), count=5)
            assert failed["text"].null_count() == 5 and failed["error"].null_count() == 0
            port = int(url.split(":")[2].split("/")[0])
        with server(lambda body, _: completion(body), port) as (url, _):
            assert ask(url, tmp_path / str(number), count=5)["text"].null_count() == 0


@pytest.mark.parametrize("concurrency", quick(1, [8, 1]))
@pytest.mark.parametrize("repetition", quick(1, range(3)))
def test_credit_that_runs_out_ends_the_run_and_keeps_the_answers_so_far(
    tmp_path: Path, concurrency: int, repetition: int
) -> None:
    credit, lock = [20], threading.Lock()

    def answer(body: dict[str, Any], _: int) -> Reply:
        with lock:
            credit[0] -= 1
            affordable = credit[0] >= 0
        return completion(body) if affordable else (402, {}, {"error": {"message": "no credit"}})

    with server(answer) as (url, seen):
        with pytest.raises(SeasDataError, match="no credit"):
            ask(url, tmp_path, count=30, concurrency=concurrency)
        asked, credit[0] = len(seen.bodies), 99
        assert 21 <= asked <= 20 + concurrency, "no more than those under way learn that no credit is left"
        assert ask(url, tmp_path, count=30, concurrency=concurrency)["error"].null_count() == 30
        again = len(seen.bodies) - asked
        assert 10 <= again <= 10 + 2 * (concurrency - 1), "all answers that had come are kept"


def test_one_forbidden_prompt_is_a_failed_row(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        flagged = body["messages"][0]["content"] == "what"
        return (403, {}, {"error": {"message": "flagged as violence"}}) if flagged else completion(body)

    with server(answer) as (url, _):
        for _run in range(2):
            answers = ask(url, tmp_path)
            failed = answers.filter(finish_reason="error")
            assert 0 < failed.height < 12
            assert set(failed["error"]) == {"status 403: flagged as violence"}


def test_a_server_that_forbids_all_requests_ends_the_run(tmp_path: Path) -> None:
    for count in (1, 40):
        with (
            server(lambda *_: (403, {}, {"error": {"message": "no entry"}})) as (url, _),
            pytest.raises(SeasDataError, match=r"no entry.*permissions"),
        ):
            ask(url, tmp_path, count=count)


def test_odd_replies_are_failed_rows_or_repaired_texts(tmp_path: Path) -> None:
    surrogate = b'{"choices": [{"message": {"content": "blue \\ud83d"}, "finish_reason": ["stop"]}]}'
    deep = b'{"choices": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    for number, (headers, body, texts) in enumerate(
        [
            ({}, surrogate, {"blue \ufffd"}),
            ({}, deep, {None}),
            ({"content-encoding": "gzip"}, b"this is no gzip", {None}),
            ({"content-encoding": "gzip, gzip"}, b"{}", {None}),
        ]
    ):
        with server(lambda *_, headers=headers, body=body: (200, headers, body)) as (url, _):  # type: ignore[misc]
            answers = ask(url, tmp_path / str(number), count=2)
        assert set(answers["text"]) == texts
        assert answers["error"].null_count() == (2 if texts != {None} else 0)


def test_a_reply_that_takes_or_holds_too_much_is_a_failed_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_outcomes, "MAX_REPLY_BYTES", 10_000)
    bomb = gzip.compress(b" " * 5_000_000)
    with server(lambda *_: (200, {"content-encoding": "gzip"}, bomb)) as (url, _):
        assert ask(url, tmp_path / "bomb", count=2)["error"].str.contains("a reply of more than").all()
    monkeypatch.setattr(http_retry, "MAX_ATTEMPTS", 1)

    def drip(body: dict[str, Any], _: int) -> Reply:
        time.sleep(0.6)
        return completion(body)

    with server(drip) as (url, _):
        answers = ask(url, tmp_path / "slow", count=2, timeout_seconds=0.2)
    assert answers["error"].str.contains("timeout_seconds").all()


def test_waiting_for_a_server_that_is_not_there_is_announced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SeasDataError, match="no server answers"):
        ask("http://127.0.0.1:9/v1", tmp_path, max_wait_seconds=0.1)
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9/v1/models is unavailable" in said and "Waiting for it until" in said
    assert "max_wait_seconds" in said


@pytest.mark.parametrize("key", ["sesame\nopen", "ses ame", "sésame", "\n"])
def test_a_key_that_cannot_be_sent_is_reported_without_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("A_KEY", key)
    with pytest.raises(SeasDataError, match="A_KEY") as raised:
        model("http://127.0.0.1:9/v1", api_key_env="A_KEY")
    assert not [part for part in (*key.split(), "\n") if part in str(raised.value)]


def test_a_key_is_stripped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY", " sesame\n")
    with server(lambda body, _: completion(body)) as (url, seen):
        ask(url, tmp_path, count=1, api_key_env="A_KEY")
    assert seen.headers[0]["Authorization"] == "Bearer sesame"


def test_an_unknown_host_and_another_protocol_end_the_run_at_once(tmp_path: Path) -> None:
    for url in ("http://no-such-host.invalid/v1", "http://a..b/v1"):
        started = time.monotonic()
        with pytest.raises(SeasDataError, match="correct"):
            ask(url, tmp_path, max_wait_seconds=60)
        assert time.monotonic() - started < 30
    with server(lambda body, _: completion(body)) as (url, _), pytest.raises(SeasDataError, match="TLS"):
        ask(url.replace("http://", "https://"), tmp_path, max_wait_seconds=60)


def test_another_model_in_the_replies_is_recorded_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        reply = completion(body)
        assert reply is not None
        return reply[0], {}, reply[2] | {"model": "something-else"}

    with server(answer) as (url, _):
        answers = ask(url, tmp_path, count=4)
        assert set(answers["note"]) == {"answered as something-else"}
        assert capsys.readouterr().err.count("answers as the model something-else, not served") == 1
        ask(url, tmp_path / "other", count=1, model="another")
    assert "does not list the model another (served)" in capsys.readouterr().err


def test_thinking_is_a_column_of_its_own(tmp_path: Path) -> None:
    thinking = {"message": {"content": "<think>velorin</think>blue"}}
    with server(lambda body, _: completion(body, **thinking)) as (url, _):
        split = ask(url, tmp_path, count=2)
        kept = ask(url, tmp_path, count=2, thinking="keep")
    assert set(split["text"]) == {"blue"} and set(split["thinking"]) == {"velorin"}
    assert set(kept["text"]) == {"<think>velorin</think>blue"} and kept["thinking"].null_count() == 2


def test_an_answer_of_all_tokens_without_a_finish_reason_was_cut_off(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Reply:
        choice = {"message": {"content": "blue"}, "finish_reason": None}
        return 200, {}, {"choices": [choice], "usage": {"completion_tokens": body["max_tokens"]}}

    with server(answer) as (url, _):
        assert set(ask(url, tmp_path, count=2)["finish_reason"]) == {"length"}


def test_a_reply_too_many_is_not_the_answer_to_the_next_request(tmp_path: Path) -> None:
    """A connection that is used again can still hold what the server sent before it was asked."""

    def twice(body: dict[str, Any], _: int) -> Reply:
        status, headers, content = cast(tuple[int, dict[str, str], Any], completion(body))
        stray = json.loads(json.dumps(content).replace(" / ", " another "))
        return status, headers, (content, stray)

    with server(twice) as (url, _):
        answers = ask(url, tmp_path, count=6, concurrency=1)
    assert answers["finish_reason"].to_list() == ["stop"] * answers.height
    assert not answers["text"].str.contains("another").any()


def test_choices_are_samples_by_their_index(tmp_path: Path) -> None:
    def reversed_choices(body: dict[str, Any], _: int) -> Reply:
        status, headers, content = cast(tuple[int, dict[str, str], Any], completion(body, 3))
        return status, headers, content | {"choices": content["choices"][::-1]}

    with server(lambda body, _: completion(body, 3)) as (url, _):
        ordered = ask(url, tmp_path / "ordered", count=4, samples=3)
    with server(reversed_choices) as (url, _):
        answers = ask(url, tmp_path / "reversed", count=4, samples=3)
    assert answers["text"].to_list() == ordered["text"].to_list()


@pytest.mark.parametrize("index", [0, None, "1", 2.5, True, [], {}])
def test_choices_without_an_index_of_their_own_keep_their_order(index: Any) -> None:
    content = {"choices": [{"text": "a", "index": index}, {"text": "b", "index": 0}, 7][: 2 if index == 0 else 3]}
    assert http_outcomes.sort_choices(content) == content


def test_a_reply_that_gives_a_key_two_values_is_a_failed_row(tmp_path: Path) -> None:
    choice = '{"message": {"content": "one", "content": "two"}, "finish_reason": "stop"}'
    with server(lambda *_: (200, {}, f'{{"choices": [{choice}]}}'.encode())) as (url, _):
        answers = ask(url, tmp_path, count=2)
    assert set(answers["error"]) == {"a reply that gives a key two values"}
    same = choice.replace("one", "two")
    with server(lambda *_: (200, {}, f'{{"choices": [{same}]}}'.encode())) as (url, _):
        assert set(ask(url, tmp_path, count=2)["text"]) == {"two"}


def test_a_moderation_endpoint_that_adds_choices_and_usage_is_read_all_the_same(tmp_path: Path) -> None:
    body = {"results": [{"flagged": False}], "choices": ["x"], "usage": {"completion_tokens": NO_LIMIT}}
    texts = pl.DataFrame({"request_id": ["a"], "text": ["hello"]})
    with server(lambda *_: (200, {}, body)) as (url, _):
        asked = model(url, endpoint="moderations")
        answers = asked.generate(texts, greedy_sampling(None), 1, tmp_path, "verdicts")
    assert answers.select("text", "finish_reason", "tokens").rows() == [('{"flagged": false}', "stop", None)]
