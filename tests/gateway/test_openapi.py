"""The OpenAPI document: every endpoint stands in it, every reference leads somewhere, every refusal is explained."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from livecommerce.errors import R
from livecommerce.gateway.openapi import document, operation_id
from livecommerce.gateway.web import endpoints_of_the_house
from livecommerce.settings import Settings


@pytest.fixture
def doc(settings: Settings) -> dict[str, Any]:
    # Through JSON and back: what programs read, not what Python holds.
    decoded: dict[str, Any] = json.loads(json.dumps(document(endpoints_of_the_house(), settings)))
    return decoded


def operations(doc: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in doc["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        yield from (node.get("discriminator") or {}).get("mapping", {}).values()
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_endpoint_of_every_table_is_listed_once(doc: dict[str, Any]) -> None:
    rows = endpoints_of_the_house()
    listed = {(method.upper(), path) for path, method, _ in operations(doc)}
    assert listed == {(row.method, re.sub(r":\w+}", "}", row.path)) for row in rows}
    assert len(listed) == len(rows)
    assert ("POST", "/api/login") in listed


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_success(doc: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(doc)]
    assert len(set(names)) == len(names) == len({operation_id(row) for row in endpoints_of_the_house()})
    for path, method, operation in operations(doc):
        assert len(operation["summary"]) > 10, (method, path)
        assert "200" in operation["responses"]
        assert "500" in operation["responses"]


def test_every_reference_leads_to_a_schema(doc: dict[str, Any]) -> None:
    found = set(references(doc))
    assert found
    for reference in found:
        start, _, name = reference.rpartition("/")
        assert start == "#/components/schemas"
        assert name in doc["components"]["schemas"], reference


def test_every_schema_is_reached_and_says_what_it_is(doc: dict[str, Any]) -> None:
    reached = {reference.rpartition("/")[2] for reference in references(doc)}
    assert reached == set(doc["components"]["schemas"])
    for schema in doc["components"]["schemas"].values():
        assert schema.keys() & {"type", "enum", "anyOf", "oneOf", "const", "$ref"}, schema


def test_the_places_of_a_path_are_its_parameters(doc: dict[str, Any]) -> None:
    for path, _, operation in operations(doc):
        named = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path)


def test_every_refusal_named_is_explained_by_the_closed_list(doc: dict[str, Any]) -> None:
    listed = {row["number"]: row for row in doc["x-refusals"]}
    assert set(listed) == {refusal.value.number for refusal in R}
    for path, method, operation in operations(doc):
        for status, answer in operation["responses"].items():
            for number in answer.get("x-refusals", []):
                assert str(listed[number]["status"]) == status, (method, path, number)
                assert listed[number]["text"] in answer["description"]


def test_what_needs_a_session_says_csrf_and_what_needs_nobody_says_nothing(doc: dict[str, Any]) -> None:
    link = doc["paths"]["/api/staff/links"]["post"]
    assert {"sessionCookie": [], "csrfHeader": []} in link["security"]
    assert 206 in link["responses"]["403"]["x-refusals"]
    assert doc["paths"]["/healthz"]["get"]["security"] == []
    schemes = set(doc["components"]["securitySchemes"])
    for _, _, operation in operations(doc):
        assert {name for one in operation["security"] for name in one} <= schemes


def test_bounds_of_fields_are_in_the_document(doc: dict[str, Any]) -> None:
    schemas = doc["components"]["schemas"]
    assert schemas["EnterRequest"]["properties"]["code"]["maxLength"] == 200
    assert schemas["LoginRequest"]["required"] == ["email", "password"]
