"""Every kind of finding: a network on which it must appear with the right numbers, and one on which it must
not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from context_nets import Skips, aspp, plain, ppm, report, residual
from torch import nn

from archlens.findings.claims import (
    COMPARED,
    EXPLAINED,
    advice,
    cost,
    counterfactual,
    find,
    geometry,
    literature,
    paths,
    use,
)
from archlens.findings.evidence.gather import gather
from archlens.findings.evidence.published import ABLATIONS, family_of
from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding
from archlens.findings.language import claim
from archlens.pipeline import analyze

MODELS: dict[str, nn.Module] = {
    "plain": plain(),
    "dilated": plain(4),
    "aspp": aspp((1, 3, 6)),
    "worn": aspp((1, 3, 12)),
    "pooled": aspp((1, 3, 6), pooled=True),
    "ppm": ppm(),
    "residual": residual(),
    "skips": Skips(),
}


@cache
def evidence(name: str, side: int = 65, extend: bool = False) -> Evidence:
    sized = tuple(report(MODELS[name], name, n).study for n in (33, 65, 129)) if extend else ()
    return gather(report(MODELS[name], name, side), name, sized=sized, extend=extend)


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, [f.key for f in found]
    assert claim(found[0])
    assert claim(found[0], "ko")
    return found[0]


# ------------------------------------------------------------------ geometry


def test_growth_stops() -> None:
    f = only(geometry.growth_stops([evidence("plain")]))
    assert f.evidence["layer"] == "head.0"
    assert f.evidence["field"] == 23
    assert (f.confidence, f.layers) == ("exact", ("head.0",))
    assert only(geometry.growth_stops([evidence("ppm")])).variant == "global"
    assert geometry.growth_stops([replace(evidence("plain"), growth=replace(
        evidence("plain").growth, stops_at=None))]) == []  # fmt: skip


def test_degenerate() -> None:
    f = only(geometry.degenerate([evidence("worn")]))
    assert f.evidence["branch"] == "head.rate12"
    assert (f.evidence["centre_taps"], f.evidence["map"], f.variant) == (1, 17, "point")
    assert f.evidence["mean_taps"] == pytest.approx((1 + 2 * 5 / 17) ** 2)
    assert geometry.degenerate([evidence("aspp"), evidence("plain"), evidence("ppm")]) == []


def test_by_position() -> None:
    f = only(geometry.by_position([evidence("plain"), evidence("ppm")]))
    assert f.evidence["whole"] == ["ppm"]
    assert f.evidence["items"][0]["corner"] == pytest.approx((12 / 65) ** 2)
    assert geometry.by_position([evidence("ppm")]) == []


def test_fixed_grid_and_sliding_windows() -> None:
    grid = only(geometry.fixed_grid([evidence("ppm")]))
    assert grid.variant == "grid"
    assert [i["name"] for i in grid.evidence["items"]] == ["head.bin2", "head.bin3", "head.bin6"]
    sliding = only(geometry.fixed_grid([evidence("aspp")]))
    assert sliding.variant == "sliding"
    assert [i["corner"] for i in sliding.evidence["items"]] == [4, 4, 4]
    assert geometry.fixed_grid([evidence("plain")]) == []


def test_by_size() -> None:
    found = geometry.by_size([evidence("aspp", extend=True)])
    never, worn = found
    assert never.variant == "never"
    assert (never.evidence["trunk"], never.evidence["short"]) == (15, 33)
    assert worn.variant == "rates"
    assert [(w["side"], w["branch"]) for w in worn.evidence["items"]] == [(33, "head.rate6")]
    assert geometry.by_size([evidence("aspp")]) == []  # one size is no comparison


def test_resolution() -> None:
    f = only(geometry.resolution([evidence("skips"), evidence("plain")]))
    assert [(i["deepest"], i["cell"]) for i in f.evidence["items"]] == [(8, 2), (4, 4)]
    assert geometry.resolution([evidence("plain"), evidence("aspp")]) == []


def test_unproductive() -> None:
    f = only(geometry.unproductive([evidence("residual", 33)]))
    assert (f.evidence["count"], f.evidence["before"], f.evidence["shortest"]) == (5, 39, 0)
    assert geometry.unproductive([evidence("plain")]) == []


def test_overlap() -> None:
    f = only(geometry.overlap([evidence("plain")]))
    assert f.variant == ""
    assert f.evidence["multiple"] == [4, 4]
    assert f.evidence["before"] == f.evidence["after"]
    assert only(geometry.overlap([evidence("ppm")])).variant == "never"


# ------------------------------------------------------------------ paths and use


def test_missing_path() -> None:
    f = only(paths.missing_path([evidence("plain"), evidence("ppm")]))
    assert (f.evidence["name"], f.evidence["lacking"], f.variant) == ("ppm", ["plain"], "global")
    assert only(paths.missing_path([evidence("plain"), evidence("aspp")])).variant == "rates"
    assert paths.missing_path([evidence("aspp"), evidence("ppm")]) == []
    assert paths.missing_path([evidence("plain"), evidence("residual")]) == []


def test_gap() -> None:
    f = only(paths.gap([evidence("plain"), evidence("pooled")]))
    assert f.evidence["low_coherent"] == 0
    assert f.evidence["high_coherent"] > 0.5
    assert f.evidence["cut_coherent"] == 0  # only the 3x3 is left
    assert paths.gap([evidence("plain"), evidence("residual")]) == []


def test_lenses() -> None:
    f = only(paths.lenses_differ([evidence("pooled")]))
    assert f.evidence["branch"] == "head.image"
    assert f.evidence["coherent"] > 2 * f.evidence["share"]
    assert paths.lenses_differ([evidence("aspp"), evidence("plain")]) == []
    assert paths.lenses_agree([evidence("plain")]) == []


def test_roles_add_up() -> None:
    f = only(paths.roles([evidence("aspp")]))
    for figure in ("share", "far", "coherent"):
        assert sum(i[figure] for i in f.evidence["items"]) == pytest.approx(1)
    assert [(i["read"], i["cells"]) for i in f.evidence["items"]] == [(9, 3), (9, 7), (9, 13)]
    assert paths.roles([evidence("plain")]) == []


def test_far_use() -> None:
    f = only(use.far_use([evidence("plain"), evidence("dilated")]))
    names = [i["name"] for i in f.evidence["items"]]
    assert names == ["dilated", "plain"]
    assert f.evidence["items"][0]["far"] >= f.evidence["items"][1]["far"]
    assert use.far_use([evidence("plain")]) == []


def test_theory_and_use() -> None:
    f = only(use.theory_and_use([evidence("plain")]))
    assert f.evidence["field"] == 23
    assert f.evidence["side95"] < 23
    silent = replace(evidence("plain"), use=replace(evidence("plain").use, sides=None))
    assert use.theory_and_use([silent]) == []


def test_skips_dilute() -> None:
    f = only(use.skips_dilute([evidence("skips")]))
    assert f.evidence["deep"] == "score3"
    assert f.evidence["deep_share"] < 0.5
    assert f.evidence["deep_side95"] > f.evidence["side95"]
    assert sum(s.share for s in evidence("skips").streams) == pytest.approx(1)
    assert use.skips_dilute([evidence("plain"), evidence("ppm")]) == []


def test_reach_is_not_it() -> None:
    p = evidence("plain")
    near = replace(p, reach=replace(p.reach, sizes=(17,), share=17 / 65))  # the pyramid's finite paths: 15 px
    f = only(use.reach_is_not_it([near, evidence("ppm")]))
    assert (f.evidence["low"], f.evidence["high"]) == ("plain", "ppm")
    assert (f.evidence["low_field"], f.evidence["high_field"], f.evidence["difference"]) == (17, 15, 2)
    assert use.reach_is_not_it([p, evidence("ppm")]) == []  # 23 px against 15 px: that is reach
    assert use.reach_is_not_it([evidence("plain"), evidence("residual")]) == []


# ------------------------------------------------------------------ counterfactuals, cost, advice


def test_module_cut() -> None:
    f = only(counterfactual.module_cut([evidence("aspp")]))
    assert f.evidence["left"] == "head.rate1"
    assert f.evidence["worst"] == "head.rate6"
    assert f.evidence["cut_far"] < f.evidence["far"]
    assert f.evidence["macs"] > 0
    assert counterfactual.module_cut([evidence("plain"), evidence("residual")]) == []


def test_one_bin() -> None:
    f = only(counterfactual.one_bin([evidence("ppm")]))
    assert f.variant in ("more", "less")
    assert counterfactual.one_bin([evidence("aspp"), evidence("plain")]) == []


def test_undilated() -> None:
    f = only(counterfactual.undilated([evidence("dilated")]))
    assert (f.evidence["field"], f.evidence["flat_field"]) == (47, 23)
    assert counterfactual.undilated([evidence("plain")]) == []


def test_cost() -> None:
    f = only(cost.context([evidence("aspp")]))
    assert f.evidence["macs"] == 3 * 9 * 8 * 8 * 17 * 17
    assert f.evidence["fusion"] == "score"
    assert f.evidence["fusion_macs"] == 24 * 5 * 17 * 17
    assert cost.context([evidence("plain")]) == []
    assert len(cost.totals([evidence("plain"), evidence("ppm")])) == 1
    assert cost.totals([evidence("plain")]) == []


def test_advice() -> None:
    found = {f.variant: f for f in advice.extensions([evidence("plain", extend=True)])}
    assert set(found) == {"image_pooling", "double_rate"}
    pooled = found["image_pooling"]
    assert (pooled.evidence["params"], pooled.evidence["macs"]) == (8 * 8 + 2 * 8, 8 * 8)
    assert pooled.evidence["new_coherent"] > pooled.evidence["coherent"]
    assert found["double_rate"].evidence["new_field"] == 31
    worn = {f.variant: f for f in advice.extensions([evidence("worn", extend=True)])}["fit_rates"]
    assert worn.evidence["rate"] == 8  # 8 + 8 = 16, the last row of 17
    assert advice.extensions([evidence("pooled", extend=True)]) == []
    assert advice.extensions([evidence("plain")]) == []  # not asked for


# ------------------------------------------------------------------ literature


def test_published_is_about_the_papers_own_networks() -> None:
    assert family_of(report(plain(), "fcn_like")) is None
    assert family_of(analyze("deeplabv3plus", "3x129x129")) == "deeplabv3plus"
    assert family_of(analyze("deeplabv3", "3x129x129")) == "deeplabv3"
    assert family_of(analyze("deeplabv2_vgg16", "3x129x129")) == "deeplabv2"
    assert literature.published([evidence("ppm")]) == []
    found = literature.published([replace(evidence("ppm"), family="pspnet")])
    assert [f.evidence["gain"] for f in found] == [2.84, 1.0]
    assert all(f.confidence == "published" and "PSPNet" in f.evidence["source"] for f in found)
    assert all(claim(Finding("published", literature._entry(a), (), "published")) for a in ABLATIONS)


def test_steps_follow_the_lineage() -> None:
    chain = [
        replace(evidence(name), family=family)
        for name, family in (("aspp", "deeplabv2"), ("plain", "fcn"), ("dilated", "deeplabv1"))
    ]
    found = literature.steps(chain)
    assert [(f.evidence["before"], f.evidence["after"]) for f in found] == [
        ("plain", "dilated"),
        ("dilated", "aspp"),
    ]
    assert found[0].evidence["measured"][0]["gain"] == 2.45
    assert all(claim(f, lang) for f in found for lang in ("en", "ko"))
    assert literature.steps([evidence("plain"), evidence("aspp")]) == []


def test_one_bin_beside_the_paper() -> None:
    f = only(counterfactual.one_bin([replace(evidence("ppm"), family="pspnet")]))
    assert f.variant.startswith("published_")
    assert "41.07" in claim(f)


# ------------------------------------------------------------------ all together


def test_findings_come_in_falling_weight() -> None:
    for finders in (COMPARED, EXPLAINED):
        found = find([evidence("skips"), evidence("worn")], finders)
        assert [f.weight for f in found] == sorted((f.weight for f in found), reverse=True)
        assert len(found) > 5


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_claim_without_a_number(lang: str) -> None:
    for finders in (COMPARED, EXPLAINED):
        for f in find([evidence(n, extend=n in ("plain", "worn")) for n in MODELS], finders):
            text = claim(f, lang)
            assert any(c.isdigit() for c in text), f.key
            assert "None" not in text, (f.key, text)
            assert "{" not in text, (f.key, text)


def plain_values(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain_values(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(plain_values(v) for v in value)
    return value is None or isinstance(value, (str, int, float, bool))


def test_evidence_is_plain() -> None:
    for f in find([evidence(n) for n in MODELS], COMPARED):
        assert plain_values(dict(f.evidence)), f.key
        assert all(isinstance(name, str) for name in f.layers)
