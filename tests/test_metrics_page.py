"""Dashboard, alerts, scrape config and `docs/metrics.md` name what the server tells, and all that the hub tells."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import livecommerce.background.duties  # noqa: F401  every process has every measure: these bring the worker's
from livecommerce.gateway.web import endpoints_of_the_house
from livecommerce.host_measures import merged

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "livecommerce.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SCRAPE = ROOT / "deploy" / "prometheus" / "scrape.yml"
PAGE = ROOT / "docs" / "metrics.md"
# Words of PromQL and of Prometheus itself that look like names.
_NAME = re.compile(r"\b(?:livecommerce|process|python)_[a-z_]+\b")


def told() -> set[str]:
    """Every name that a sample of /metrics may have. A counter with labels has no sample before it first counts, so
    the families say."""
    endpoints_of_the_house()
    text = generate_latest().decode()
    families = list(text_string_to_metric_families(merged({"web-1": text}, text)))
    names = {family.name for family in families if family.type == "gauge"}
    names |= {f"{family.name}_total" for family in families if family.type == "counter"}
    for family in families:
        if family.type == "histogram":
            names |= {f"{family.name}{ending}" for ending in ("_bucket", "_count", "_sum")}
    return names


def expressions() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def names_in(text: str) -> set[str]:
    return set(_NAME.findall(re.sub(r'"[^"]*"', "", text)))


def families(prefix: str) -> set[str]:
    return {family.name for family in REGISTRY.collect() if family.name.startswith(prefix)}


def test_the_dashboard_asks_only_for_what_is_told() -> None:
    asked = set().union(*map(names_in, expressions()))
    assert len(asked) > 30
    assert asked <= told()


def test_the_alerts_ask_only_for_what_is_told() -> None:
    asked = set().union(*(names_in(rule["expr"]) for rule in rules()))
    assert asked - {"up"} <= told()


def test_every_measure_of_the_hub_is_on_the_dashboard() -> None:
    asked = set().union(*map(names_in, expressions()))
    for family in families("livecommerce_hub_"):
        assert any(name.startswith(family) for name in asked), f"no panel shows {family}"


def test_every_measure_of_ours_is_on_the_page_and_the_page_names_no_other() -> None:
    named = set(re.findall(r"`(livecommerce_\w+)`", PAGE.read_text()))
    ours = {name.removesuffix("_bucket") for name in told() if name.startswith("livecommerce_")}
    assert named == {name for name in ours if not name.endswith(("_sum", "_count"))}


def test_every_alert_says_what_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 5
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warn")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        for page in re.findall(r"docs/\w+\.md", str(rule["annotations"])):
            assert (ROOT / page).exists()


def test_the_scrape_config_asks_where_we_answer() -> None:
    (job,) = yaml.safe_load(SCRAPE.read_text())["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("livecommerce", "/metrics")
    assert any(endpoint.path == job["metrics_path"] for endpoint in endpoints_of_the_house())


@pytest.mark.parametrize("expression", [*expressions(), *(rule["expr"] for rule in rules())])
def test_every_expression_closes_what_it_opens(expression: str) -> None:
    """No Prometheus is at hand here to parse it; what a slip of the pen leaves is found."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)
    assert bare.count('"') % 2 == 0


def test_panels_have_a_place_of_their_own_and_a_title() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
