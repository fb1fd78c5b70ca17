"""The Korean catalogue. Field terms that Korean papers keep in English stay in English."""

# ruff: noqa: E501 - a sentence is broken where it reads well

AND = ", "
TO = "–"
TIMES = "{}배"
UNKNOWN = "알 수 없음"
CELLS = ("한 변 {} cell", "{} cell")

WORDS: dict[str, str] = {
    "none": "없음",
    "yes": "예",
    "no": "아니요",
    "exact": "exact: 구조만으로 결정됨",
    "assumed": "random weight에서의 기댓값",
    "measured": "이 장치에서 측정",
    "published": "논문의 실측값",
    "side": "변",
    "first_side": "첫 변",
    "top": "위",
    "bottom": "아래",
    "left": "왼쪽",
    "right": "오른쪽",
    **{f"axis{i}_first": f"축 {i} 앞" for i in range(3)},
    **{f"axis{i}_last": f"축 {i} 뒤" for i in range(3)},
    "skips": "FCN의 pool4, pool3 skip",
    "field_of_view": "rate 4의 4x4 대신 rate 12의 3x3 fc6",
    "serial_context": "직렬 context module(Large)",
    "aspp": "하나의 rate(LargeFOV) 대신 ASPP",
    "global_pooling": "global average pooling만(bin 1)",
    "pyramid": "bin 1 대신 bin 1, 2, 3, 6",
    "multi_grid": "multi-grid(1, 2, 4)",
    "image_pooling": "ASPP의 image pooling",
    "fourth_rate": "output stride 16에서 네 번째 rate 24",
    "small_crop": "513 대신 321 px crop으로 학습",
    "output_stride": "평가 시 output stride 16 대신 8",
    "decoder": "decoder",
    "image_pooling_removed": "image-level branch를 *제거*",
}

TITLES: dict[str, str] = {
    "reach_is_not_it": "차이는 도달 범위가 아니다",
    "far_use": "영상에서 쓰는 부분",
    "theory_and_use": "볼 수 있는 범위와 쓰는 범위",
    "skips_dilute": "skip이 깊은 score보다 크다",
    "growth_stops": "field의 성장이 멈추는 곳",
    "missing_path": "다른 쪽에 없는 경로",
    "gap": "차이 가운데 module의 몫",
    "lenses_differ": "두 관점에서 본 branch",
    "lenses_agree": "영상에서는 두 관점이 일치",
    "roles": "branch마다 가져오는 것",
    "module_cut": "context module이 없으면",
    "one_bin": "모든 bin이 map 전체를 평균하면",
    "undilated": "dilation이 없으면",
    "degenerate": "map에 비해 큰 rate",
    "by_position": "경계의 비용",
    "by_window": "고정 grid와 움직이는 window",
    "by_size": "다른 입력 크기에서",
    "resolution": "해상도",
    "cost": "context module의 비용",
    "time": "이 장치에서 걸리는 시간",
    "totals": "전체 비용",
    "unproductive": "context를 더할 수 없는 layer",
    "overlap": "전체와 같은 tile",
    "field_of_view": "DeepLab의 field of view",
    "advice": "넓히는 방법",
    "published": "논문의 실측",
    "step": "계보의 한 단계",
}

LABELS: dict[str, str] = {
    "name": "네트워크", "low": "작은 쪽", "high": "큰 쪽", "image": "영상 변", "share": "비율",
    "field": "field", "far": "far energy", "side50": "energy 50 %의 변", "side95": "energy 95 %의 변",
    "coherent": "coherent far", "coherent_far": "coherent far", "far_share": "자체 far energy",
    "low_field": "앞의 field", "high_field": "뒤의 field", "difference": "차이",
    "low_share": "변 대비, 앞", "high_share": "변 대비, 뒤",
    "low_coherent": "coherent far, 앞", "high_coherent": "coherent far, 뒤",
    "low_far": "far energy, 앞", "high_far": "far energy, 뒤", "items": "항목",
    "deep": "가장 깊은 stream만 계산", "skips_dilute.deep": "가장 깊은 stream", "border": "경계의 energy",
    "global_from": "global 시작", "finer": "촘촘한 stream", "finer_share": "그 비율", "deep_share": "가장 깊은 stream의 비율",
    "deep_side95": "가장 깊은 stream: energy 95 %의 변", "deep_far": "가장 깊은 stream: far energy",
    "theory_and_use.share": "변 대비", "growth_stops.share": "변 대비", "by_size.share": "변 대비",
    "layer": "layer", "resampling": "resampling이 더한 것", "stage": "가장 많이 더하는 stage", "added": "더한 것",
    "macs_per_pixel": "1 px당 MACs", "lacking": "없는 네트워크", "module": "context module",
    "fork": "읽는 map", "map": "한 변 cell", "shape": "map 크기", "window": "window, cell", "count": "개수", "branches": "branch", "cells": "한 변 cell",
    "global": "전체를 읽는 branch", "left": "남은 branch", "cut_far": "far energy, 자른 뒤",
    "cut_coherent": "coherent far, 자른 뒤", "trunk": "trunk의 몫, energy",
    "trunk_coherent": "trunk의 몫, coherent", "branch": "branch", "gathering": "응답 / energy",
    "top": "far energy가 가장 많은 branch", "read": "읽는 cell", "density": "window 중 읽는 비율",
    "cut_side95": "energy 95 %의 변, 자른 뒤", "worst": "가장 아쉬운 branch", "worst_far": "없을 때 far energy",
    "macs": "MACs", "macs_share": "MACs 비율", "params": "parameter", "one_far": "far energy, bin 1",
    "one_coherent": "coherent far, bin 1", "target": "위치", "flat_field": "field, rate 1",
    "flat_far": "far energy, rate 1", "flat_side95": "energy 95 %의 변, rate 1", "rate": "rate",
    "taps": "tap", "mean_taps": "평균 tap", "centre_taps": "중앙 tap",
    "corner_taps": "구석 tap", "corner": "구석", "edge": "변", "centre": "중앙", "mean": "평균",
    "whole": "모든 cell이 전체를 보는 네트워크", "rows": "cell 행", "windows": "window", "lost": "잃은 tap 비율",
    "by_size.trunk": "head가 읽는 map의 field", "short": "넘어서는 첫 변", "largest": "가장 큰 변",
    "largest_share": "그 변의 비율", "covered": "덮는 변", "side": "변", "sides": "시험한 변",
    "deepest": "가장 깊은 stride", "cell": "score stride", "skips": "촘촘한 map", "stride": "stride",
    "fusion": "합치는 convolution", "fusion_macs": "그 MACs", "fusion_share": "그 MACs 비율",
    "fusion_params": "그 parameter", "total": "전체 MACs", "device": "장치", "dtype": "정밀도", "batch": "batch",
    "latency": "latency", "module_seconds": "context module", "module_share": "시간 비율",
    "fusion_seconds": "합치는 convolution의 시간", "time.fusion_share": "시간 비율",
    "fusion_macs_share": "그 MACs 비율", "first": "첫 layer", "before": "이전", "after": "이후",
    "unproductive.before": "입력의 field", "everywhere": "모든 위치에서 전체를 봄",
    "shortest": "가장 짧은 경로로도 전체를 봄", "overlap.before": "앞 여백", "overlap.after": "뒤 여백",
    "pixels": "pixel", "multiple": "grid", "source": "출처", "overlap.source": "입력 전체를 읽음",
    "published": "논문", "plain": "원래 pool", "released": "공개된 네트워크", "padding": "pool5의 padding",
    "new_field": "그때의 field", "field_kind": "그때의 field 종류", "new_far": "그때의 far energy",
    "new_side95": "그때 energy 95 %의 변", "new_coherent": "그때의 coherent far", "family": "네트워크",
    "what": "측정 대상", "gain": "point", "setting": "조건", "new_cells": "그때 한 변 cell", "new_map": "그때의 map",
    "new_stride": "그때의 score stride", "new_deepest": "그때 가장 깊은 stride", "new_macs": "그때의 MACs",
    "new_params": "그때의 parameter", "measured": "논문 실측", "step.stride": "score stride",
    "step.cells": "head가 읽는 한 변 cell",
}  # fmt: skip

TEXT: dict[str, str] = {
    # ---- reach and use
    "reach_is_not_it": (
        "차이는 도달 범위가 아니다. {image:px} 영상에서 유한 경로의 receptive field는 {low} {low_field:px}, {high} "
        "{high_field:px}이다({image:side}의 {low_share:pct}, {high_share:pct}; 차이 {difference:px}). 그러나 head가 읽는 feature map의 "
        "먼 영역 전체가 함께 변할 때, 그 영역이 응답에서 차지하는 비율은 {low} {low_coherent:pct}, {high} "
        "{high_coherent:pct}이다(random weight)."
    ),
    "far_use": (
        "볼 수 있는 범위가 아니라 쓰는 범위: {image:px} 영상의 절반 크기 중앙 정사각형 밖의 pixel energy 비율, energy의 95 %를 담는 "
        "정사각형의 한 변, 이론적 크기(random weight): {items:each:_far}."
    ),
    "far_use.deep": (
        "볼 수 있는 범위가 아니라 쓰는 범위: {image:px} 영상의 절반 크기 중앙 정사각형 밖의 pixel energy 비율, energy의 95 %를 담는 "
        "정사각형의 한 변, 이론적 크기(random weight; {deep:layers}은(는) 가장 깊은 stream만 계산하므로 유리한 값이다): "
        "{items:each:_far}."
    ),
    "_far": "{name} far {far:pct}, {field:px} 중 {side95:px}",
    "theory_and_use": (
        "{name}의 이론적 receptive field는 {field:px}로 {image:px} 영상 {image:side}의 {share:pct}이다. 중앙 cell의 energy 절반은 "
        "{side50:px}, 95 %는 {side95:px} 정사각형 안에 있고, {far:pct}가 멀리 있다(random weight)."
    ),
    "theory_and_use.global": (
        "{name}은(는) {global_from}부터 영상 전체를 볼 수 있다. 유한 경로는 {field:px}로 {image:px} 영상 {image:side}의 {share:pct}이다. 중앙 "
        "cell의 energy 절반은 {side50:px}, 95 %는 {side95:px} 정사각형 안에 있고, {far:pct}가 멀리 있다(random weight)."
    ),
    "theory_and_use.whole": (
        "{name}은(는) {global_from}부터 어떤 영상이든 전체를 보며, global이 아닌 경로가 없다. 중앙 cell의 energy 절반은 {side50:px}, "
        "95 %는 {image:px} 중 {side95:px} 정사각형 안에 있고, {far:pct}가 멀리 있다(random weight)."
    ),
    "skips_dilute": (
        "{name}은(는) 깊은 score에 더 촘촘한 score를 더한다. random weight에서 cell energy의 {finer_share:pct}는 {finer}, "
        "{deep_share:pct}는 {deep}을(를) 거친다. 95 %가 {side95:px} 안에 있지만, 깊은 stream만 보면 {deep_side95:px}이다(far "
        "{deep_far:pct}). stream의 비중은 학습이 정하므로 두 값은 학습된 네트워크의 범위일 뿐 그 자체는 아니다."
    ),
    # ---- growth
    "growth_stops": (
        "{name}의 receptive field는 {layer}에서 {field:px}({image:px} 영상 {image:side}의 {share:pct})로 성장을 멈춘다. 가장 큰 증가 "
        "{added:px}은 {stage:span}에서 오며, 1 px당 {macs_per_pixel:si} MACs이다."
    ),
    "growth_stops.resampled": (
        "{name}의 receptive field는 {layer}에서 {field:px}({image:px} 영상 {image:side}의 {share:pct})로 성장을 멈춘다. upsampling이 더하는 "
        "{resampling:px}은 이웃 cell을 읽은 것일 뿐 새 context가 아니다. 가장 큰 증가 {added:px}은 {stage:span}에서 "
        "오며, 1 px당 {macs_per_pixel:si} MACs이다."
    ),
    "growth_stops.global": (
        "{name}의 유한 경로는 {layer}에서 {field:px}({image:px} 영상 {image:side}의 {share:pct})로 성장을 멈추고, 그 옆에서 {global_from}이(가) "
        "map 전체를 읽는다. 유한 field의 가장 큰 증가 {added:px}은 {stage:span}에서 오며, 1 px당 "
        "{macs_per_pixel:si} MACs이다."
    ),
    # ---- paths
    "missing_path.global": (
        "{lacking:layers}에 없는 것이 {name}에 있다: {module}은(는) {fork}에서 독립적인 branch {count}개를 내며, {map:cells} 중 "
        "{branches:each:_cells}을(를) 읽고, {global:layers}은(는) 전체를 한 번에 읽는다."
    ),
    "missing_path.rates": (
        "{lacking:layers}에 없는 것이 {name}에 있다: {module}은(는) {fork}에서 독립적인 branch {count}개를 내며, {map:cells} 중 "
        "{branches:each:_cells}을(를) 읽는다. 여러 scale을 함께 보지만 map 전체를 읽는 경로는 없다."
    ),
    "_cells": "{cells:axes}({name})",
    "gap": (
        "{low} 대 {high}: 먼 pixel energy는 {low_far:pct} 대 {high_far:pct}, head의 coherent response 중 먼 영역의 비율은 "
        "{low_coherent:pct} 대 {high_coherent:pct}이다. {module}에서 {left}만 남기면 {high}은(는) {cut_far:pct}와 "
        "{cut_coherent:pct}를 유지한다. 차이 가운데 energy로는 {trunk:pct}, coherent response로는 {trunk_coherent:pct}가 trunk의 몫이고 나머지가 "
        "module의 몫이다(random weight)."
    ),
    "gap.energy_less": (
        "pixel energy로는 교과서의 설명이 맞지 않는다: {low}의 가장 깊은 stream은 {low_far:pct}가 멀리 있어 {high}의 "
        "{high_far:pct}보다 작지 않다. coherent response로는 맞다: 먼 영역의 비율이 {low}의 head는 {low_coherent:pct}, {high}은(는) "
        "{high_coherent:pct}이고, {module}에서 {left}만 남기면 {cut_coherent:pct}(energy {cut_far:pct})이다. {module}이(가) 더하는 "
        "것은 먼 증거의 수집이다(random weight)."
    ),
    "lenses_differ": (
        "{name}에서 두 관점이 갈린다: {branch}은(는) {fork}에서 pixel energy의 {share:pct}뿐이지만, 먼 영역 전체의 변화에 대한 응답의 "
        "{coherent:pct}를 낸다. 모든 cell에 같은 작은 gradient를 주므로 pixel 하나는 거의 보이지 않고 영역은 energy의 "
        "{gathering:times}로 보인다. 먼 영역의 비율은 energy로 {far:pct}, coherent response로 {coherent_far:pct}이다(random weight)."
    ),
    "lenses_agree": (
        "영상에서부터 재면 두 관점이 일치한다({items:each:_agree}): random weight의 trunk는 이웃 gradient의 상관을 없애므로, "
        "영상에서 coherent한 것이 feature에서는 거의 그렇지 않다. 학습된 weight가 이를 유지하는지는 "
        "`archlens erf --method occlusion`으로 잰다."
    ),
    "_agree": "{name} energy {far:pct}, coherent {coherent:pct}",
    "roles": (
        "{name}의 {module} branch(random weight; 먼 energy는 {top}이(가) {far:pct}로 가장 많다): {items:each:_role}."
    ),
    "_role": (
        "{name} {window:by} cell 중 {read}개를 읽음, energy {share:pct}, far energy {far:pct}, coherent far response "
        "{coherent:pct}"
    ),
    # ---- counterfactuals
    "module_cut": (
        "{name}에서 {left}만 남기고 branch를 모두 자르면 far energy는 {far:pct}에서 {cut_far:pct}로, 95 % 정사각형은 {side95:px}에서 "
        "{cut_side95:px}로, head의 coherent far 비율은 {coherent:pct}에서 {cut_coherent:pct}로 바뀌고, {macs:si} "
        "MACs({macs_share:pct})와 parameter {params:si}개가 준다. 가장 아쉬운 branch는 {worst}(으)로, 없으면 far가 "
        "{worst_far:pct}이다(random weight)."
    ),
    "one_bin.more": (
        "{name}의 bin을 모두 1로 바꾸어 모든 level이 map 전체를 평균하게 하면 far energy는 {far:pct}에서 {one_far:pct}로, coherent response의 far 비율은 {coherent:pct}에서 "
        "{one_coherent:pct}로 늘어난다: 촘촘한 bin은 먼 context를 더하지 않는다(random weight)."
    ),
    "one_bin.less": (
        "{name}의 bin을 모두 1로 바꾸어 모든 level이 map 전체를 평균하게 하면 far energy는 {far:pct}에서 {one_far:pct}로, coherent response의 far 비율은 {coherent:pct}에서 "
        "{one_coherent:pct}로 바뀐다(random weight)."
    ),
    "one_bin.published_more": (
        "{name}의 bin을 모두 1로 바꾸어 모든 level이 map 전체를 평균하게 하면 far energy는 {far:pct}에서 {one_far:pct}로, coherent response의 far 비율은 {coherent:pct}에서 "
        "{one_coherent:pct}로 늘어난다: 촘촘한 bin이 더하는 것은 먼 context가 아니다(random weight). 그런데도 논문은 40.07에서 "
        "41.07 % mIoU로 향상을 보고했다(PSPNet, Table 1, ADE20K val). 두 관점 모두 이 향상을 설명하지 못한다."
    ),
    "one_bin.published_less": (
        "{name}의 bin을 모두 1로 바꾸어 모든 level이 map 전체를 평균하게 하면 far energy는 {far:pct}에서 {one_far:pct}로(coherent {coherent:pct}에서 "
        "{one_coherent:pct}로; random weight) 바뀐다. 논문의 방향도 같다: bin 1, 2, 3, 6은 41.07 % mIoU, bin 1은 40.07 %(PSPNet, "
        "Table 1, ADE20K val)."
    ),
    "undilated": (
        "{name}의 {target} rate를 1로 하면 유한 field는 {field:px}에서 {flat_field:px}로, far energy는 {far:pct}에서 "
        "{flat_far:pct}로, 95 % 정사각형은 {side95:px}에서 {flat_side95:px}로 준다(random weight)."
    ),
    # ---- degeneration, position, size
    "degenerate": (
        "{name}의 {branch}(rate {rate})은(는) {shape:by} map에서 평균 {taps}개 tap 중 {mean_taps:num}개만 남고 나머지는 padding을 "
        "읽는다."
    ),
    "degenerate.point": (
        "{name}의 {branch}은(는) 가장 많이 보아야 할 중앙에서 1x1이 된다: rate {rate}, {shape:by} map에서 중앙 cell은 {taps}개 tap 중 "
        "{centre_taps}개만 남고(평균 {mean_taps:num}, 구석 {corner_taps}) 나머지는 padding을 읽는다. 비용은 {macs:si} MACs, "
        "parameter {params:si}개이다."
    ),
    "by_position": (
        "경계의 비용: cell이 볼 수 있는 영상 면적의 비율(구석, 변, 중앙): {items:each:_position}."
    ),
    "by_position.whole": (
        "경계의 비용: cell이 볼 수 있는 영상 면적의 비율(구석, 변, 중앙): {items:each:_position}. {whole:layers}의 모든 cell은 전체를 "
        "볼 수 있다."
    ),
    "_position": "{name} {corner:pct}, {edge:pct}, {centre:pct}(평균 {mean:pct})",
    "by_window.grid": (
        "{name}의 bin은 고정 grid이다: {rows}행의 cell이 {items:each:_grid}을(를) 나누어 쓴다. bin 가장자리의 cell은 자기 주변이 아니라 "
        "bin만큼 보며, 경계에서 잃는 것이 없다."
    ),
    "_grid": "window {windows}개({name}, 최대 {cells} cell)",
    "by_window.sliding": (
        "{name}의 dilated window는 cell을 따라 움직이며 경계에서 tap을 잃는다: {items:each:_sliding}."
    ),
    "_sliding": "{name} {taps}개 중 평균 {mean:num}개(중앙 {centre}, 구석 {corner})",
    "by_size.never": (
        "{name}의 head가 읽는 map의 field는 {trunk:px}이다: {short:px}에서 변의 {share:pct}, {largest:px}에서 "
        "{largest_share:pct}로, 이 가운데 어느 영상도 덮지 못한다."
    ),
    "by_size.part": (
        "{name}의 head가 읽는 map의 field는 {trunk:px}이다: 그 크기까지의 영상을 덮고, {short:px}에서는 변의 {share:pct}, "
        "{largest:px}에서는 {largest_share:pct}만 덮는다."
    ),
    "by_size.rates": (
        "tap의 절반도 남지 않는 {name}의 rate: {items:each:_worn}. {sides:layers} px 중 나머지 크기에서는 없다."
    ),
    "_worn": "{side:px}에서 {branch} {taps}개 중 {mean:num}개(중앙 {centre})",
    "resolution": "해상도: {items:each:_resolution}.",
    "_resolution": "{name} 가장 깊은 stride {deepest:num}, score stride {cell:num}({shape:by})",
    # ---- cost
    "cost": (
        "{name}의 {module}은(는) {macs:si} MACs(전체의 {macs_share:pct})와 parameter {params:si}개가 든다. branch를 합치는 convolution은 "
        "없다."
    ),
    "cost.fusion": (
        "{name}의 {module}은(는) {macs:si} MACs(전체의 {macs_share:pct})와 parameter {params:si}개, branch를 합치는 {fusion}은(는) 따로 "
        "{fusion_macs:si}({fusion_share:pct})와 {fusion_params:si}개가 든다. context의 비용이라 할 때 어느 쪽인지 밝혀야 한다."
    ),
    "time": "{name}은(는) {device}에서 {latency:ms}가 걸린다({dtype}, batch {batch}).",
    "time.module": (
        "{name}은(는) {device}에서 {latency:ms}가 걸린다({dtype}, batch {batch}). {module}은(는) {module_seconds:ms}로, layer 시간의 "
        "{module_share:pct}, MACs의 {macs_share:pct}이다."
    ),
    "time.fusion": (
        "{name}은(는) {device}에서 {latency:ms}가 걸린다({dtype}, batch {batch}). {module}은(는) {module_seconds:ms}로, layer 시간의 "
        "{module_share:pct}, MACs의 {macs_share:pct}이다. branch를 합치는 {fusion}은(는) {fusion_seconds:ms}로, {fusion_share:pct}와 "
        "{fusion_macs_share:pct}이다."
    ),
    "totals": "비용과 head의 coherent response 중 far 비율: {items:each:_total}.",
    "_total": "{name} {macs:si} MACs, parameter {params:si}, {coherent:pct}",
    # ---- one network
    "unproductive": (
        "{image:px}에서 {name}의 layer {count}개는 Richter et al.(2021)의 기준으로 context를 더할 수 없다: 입력의 field가 "
        "{first}에서 {before:px}로 이미 영상을 덮는다. {macs:si} MACs({macs_share:pct})이다. 이 기준은 classifier에 대한 것이다: "
        "여기서는 {everywhere}개가 모든 위치에서 영상 전체를 보고, {shortest}개는 가장 짧은 경로로도 그러하며, 쓰는 범위는 덮는 범위보다 "
        "작다."
    ),
    "unproductive.global": (
        "{image:px}에서 {name}의 layer {count}개는 Richter et al.(2021)의 기준으로 context를 더할 수 없다: {first}은(는) 이미 영상 전체를 "
        "보는 map을 읽는다. {macs:si} MACs({macs_share:pct})이다. 이 기준은 classifier에 대한 것이다: {everywhere}개가 모든 "
        "위치에서 영상 전체를 보고, {shortest}개는 가장 짧은 경로로도 그러하며, 쓰는 범위는 덮는 범위보다 작다."
    ),
    "overlap": (
        "{name}의 tile 추론이 전체 영상의 결과와 같으려면 여백이 {items:each:_margin} 필요하고, tile은 {multiple:px}의 배수에서 "
        "시작해야 한다."
    ),
    "overlap.never": (
        "{name}은(는) 어떤 overlap으로도 tile과 전체 영상의 결과가 같아지지 않는다: {source}이(가) 입력 전체를 읽는다. 유한 경로의 여백은 "
        "{items:each:_margin}이고, tile은 {multiple:px}의 배수에서 시작한다."
    ),
    "_margin": "{side:word} {pixels:px}",
    "field_of_view": (
        "DeepLab의 표기로 {name}의 field of view는 {published:px}이다: VGG-16 원래 pool에서의 이론적 {plain:px}에서 VGG-16이 "
        "pool5까지 쌓은 padding {padding:px}의 두 배를 뺀 값이다. 공개된 네트워크(3x3 padded pool)의 이론적 field는 "
        "{released:px}이다."
    ),
    "advice.image_pooling": (
        "{name}을(를) 넓히려면: {target}에 image-level branch(mean, 1x1, add)를 두면 field가 global이 된다. head의 coherent far 비율은 "
        "{coherent:pct}에서 {new_coherent:pct}로, far energy는 {far:pct}에서 {new_far:pct}로 바뀌고, {macs:si} "
        "MACs({macs_share:pct})와 parameter {params:si}개가 든다(random weight)."
    ),
    "advice.double_rate": (
        "{name}을(를) 넓히려면: {target}의 rate를 두 배로 하면 field는 {field:px}에서 {new_field:px}로, 95 % 정사각형은 {side95:px}에서 "
        "{new_side95:px}로, far energy는 {far:pct}에서 {new_far:pct}로 바뀌며 MACs와 parameter는 그대로이다(random weight)."
    ),
    "advice.fit_rates": (
        "이 입력 크기에서 {name}의 branch를 모두 쓰려면: rate {rate}에서 {target:layers}은(는) 중앙에서 tap을 모두 유지한다. far energy는 "
        "{far:pct}에서 {new_far:pct}로, 95 % 정사각형은 {side95:px}에서 {new_side95:px}로 바뀌며 MACs와 parameter는 "
        "그대로이다(random weight; 학습된 weight는 그 rate에 묶여 있다)."
    ),
    # ---- literature
    "published": "논문: {what:word}: mIoU {before:num}에서 {after:num} %로, {gain:signed} point({setting}; {source}).",
    "published.removed": (
        "논문: {what:word}: mIoU {before:num}에서 {after:num} %로, {gain:signed} point({setting}; {source}). "
        "global context가 늘 이로운 것은 아니다."
    ),
    "step": (
        "{before}에서 {after}(으)로: head가 {map:cells} 중 {cells:layers}을(를) 읽다가 {new_map:cells} 중 {new_cells:layers}을(를) 읽는다. 가장 깊은 "
        "stride {deepest:num}에서 {new_deepest:num}, score stride {stride:num}에서 {new_stride:num}; 유한 field {field:px}에서 "
        "{new_field:px}, 95 % 정사각형 {side95:px}에서 {new_side95:px}, far energy {far:pct}에서 {new_far:pct}(random weight); "
        "{macs:si}에서 {new_macs:si} MACs, parameter {params:si}에서 {new_params:si}. 이 단계의 한 부분만에 대한 논문 실측, "
        "{measured:each:_measured}"
    ),
    "_measured": "{what:word}: {before:num}에서 {after:num} % mIoU({setting}; {source}).",
    # ---- headings
    "_none": "발견 없음: 여기서 계산할 수 있는 수치로는 말할 것이 없다. 수치는 --full과 --json에 있다.",
    "_assumptions": "가정: {items}",
    "_more": "나머지 {count}개와 모든 증거: --full 또는 --json.",
    "_confidence": "[{confidence:word}]",
}
