"""Who may talk to the server of the review page: the browser that was opened with its address, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import seas_data as sd
from seas_data.review.page.guard import HEADERS
from tests.review.pages import prompt_session, served, visit


@pytest.fixture
def address(made: Path, tmp_path: Path) -> Iterator[str]:
    version = sd.open(made).version("v0")
    with served(version, prompt_session(version, tmp_path / "ada.csv", 5)) as given:
        yield given


def base(address: str) -> str:
    return address.split("/open")[0]


def test_the_token_is_good_for_one_visit_and_leaves_the_address(address: str) -> None:
    first = httpx.get(address)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert address.split("token=")[1] not in first.text + str(first.headers)
    assert httpx.get(address).status_code == 403
    assert httpx.get(base(address) + "/open?token=wrong").status_code == 403


def test_without_the_cookie_or_with_a_wrong_one_everything_is_refused(address: str) -> None:
    client = visit(address)
    [(name, value)] = client.cookies.items()
    wrong = [{}, {"cookie": f"{name}=wrong"}, {"cookie": f"other={value}"}, {"cookie": f"{name}={value}x"}]
    for headers in wrong:
        for path in ("/", "/page.js", "/nothing"):
            refused = httpx.get(base(address) + path, headers=headers)
            assert refused.status_code == 403
            assert "castle" not in refused.text
        posted = httpx.post(base(address) + "/decide", headers=headers | {"origin": base(address)}, data={"row": "x"})
        assert posted.status_code == 403
    assert client.get("/").status_code == 200


def test_another_host_name_or_origin_is_refused_even_with_the_cookie(address: str) -> None:
    client = visit(address)
    port = base(address).rsplit(":", 1)[1]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{port}",
        f"0.0.0.0:{port}",
    ):
        assert client.get("/", headers={"host": host}).status_code == 403
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://localhost:{port}", ""):
        assert client.get("/", headers={"origin": origin}).status_code == 403
        assert client.post("/decide", headers={"origin": origin}, data={}).status_code == 403
    for site in ("cross-site", "same-site"):
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == 403
    del client.headers["origin"]
    assert client.post("/undo", data={}).status_code == 403
    assert client.get("/").status_code == 200


def test_every_answer_has_the_strict_headers(address: str) -> None:
    client = visit(address)
    for path in ("/", "/page.css", "/nothing", "/?at=9999999999", "/decide"):
        answer = client.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "server" not in client.get("/").headers


def test_what_is_no_form_of_the_page_is_refused_and_decides_nothing(address: str) -> None:
    client = visit(address)
    row = client.get("/").text.split('name="row" value="')[1][:24]
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers, content in (
        ({"content-type": "application/json"}, b'{"row": "x"}'),
        ({"content-type": "text/plain"}, f"row={row}&choice=1".encode()),
        (form, b"\xff\xfe"),
        (form, b"row=%ff&choice=1"),
        (form, b"a=1&" * 30),
        (form, b"row=" + b"x" * 200_000),
        (form, f"row={'f' * 24}&choice=1&read=yes".encode()),
        (form, f"row={row}&choice=9&read=yes".encode()),
        (form, f"row={row}&choice=1&read=yes&detail=Nonsense".encode()),
    ):
        answer = client.post("/decide", headers=headers, content=content)
        assert answer.status_code == 400, content
        assert "0 of 5 decided" in answer.text
    assert client.post("/decide", data={"row": row, "choice": "1", "read": "yes"}).status_code == 200
    assert "1 of 5 decided" in client.get("/").text


def test_nothing_is_logged(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    client = visit(address)
    client.get("/?search=castle")
    client.post("/decide", content=b"\xff")
    httpx.get(address)
    said = capfd.readouterr()
    assert said.out + said.err == ""
