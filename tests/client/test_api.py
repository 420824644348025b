"""The API client: typed answers, refusals as `Refused`, a browser's proofs."""

import httpx
import msgspec
import pytest

from livecommerce.client import Api
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import error_body


class Answer(msgspec.Struct):
    value: int


def api(answer: httpx.Response, seen: list[httpx.Request], token: str = "") -> Api:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    return Api("https://shop.example/", token, transport=httpx.MockTransport(handle))


async def test_a_body_and_its_answer_are_typed() -> None:
    seen: list[httpx.Request] = []
    async with api(httpx.Response(200, json={"value": 3}), seen, "jwt") as caller:
        assert await caller.post("/api/x", Answer(2), Answer) == Answer(3)
    request = seen[0]
    assert request.content == b'{"value":2}'
    assert request.headers["authorization"] == "Bearer jwt"
    assert request.headers["origin"] == "https://shop.example"


@pytest.mark.parametrize("why", list(R))
async def test_every_refusal_comes_back_as_itself(why: R) -> None:
    body = msgspec.json.encode(error_body(Refused(why, after_ms=7, facts={"a": 1})))
    async with api(httpx.Response(why.value.status if why.value.status >= 400 else 400, content=body), []) as caller:
        with pytest.raises(Refused) as refused:
            await caller.get("/api/x")
    assert (refused.value.why, refused.value.after_ms, refused.value.facts) == (why, 7, {"a": 1})
    assert str(refused.value).endswith(refused.value.text)


async def test_no_answer_means_unavailable() -> None:
    async with Api("http://127.0.0.1:9") as caller:
        with pytest.raises(Refused) as refused:
            await caller.get("/api/x")
    assert refused.value.why is R.UNAVAILABLE


async def test_the_csrf_word_of_a_session_is_sent_back() -> None:
    seen: list[httpx.Request] = []
    async with api(httpx.Response(200, json=1), seen) as caller:
        caller.cookies.set("lc_csrf", "word")
        await caller.post("/api/x", {})
    assert seen[0].headers["x-csrf-token"] == "word"
