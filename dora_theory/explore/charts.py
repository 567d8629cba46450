"""The page's charts, as Vega-Lite, which the browser draws."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from dora_theory.explore.scene import Scene
from dora_theory.explore.view import TEMPERATURES, PriceMap, Subject, View
from dora_theory.strategies.registry import DIRECTIONS, DORA, STRATEGIES

Spec = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_PAPER_T_S = 0.01
_NO_MENU = {"embedOptions": {"actions": False}}
_GRAY = "#666666"
# As wide as the panel that holds it, on any screen.
_FITTED = {"width": "container", "autosize": {"type": "fit", "contains": "padding"}}
# Stated, since Vega's own ticks of a logarithm crowd each other.
_TICKS = {"values": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]}
# Lines, not dots, since two of them differ in their dashes only.
_LINES = {"orient": "bottom", "symbolType": "stroke", "symbolSize": 400}
_LOG = {"type": "log", "nice": False}
_T_S = {
    "type": "quantitative",
    "title": "similarity temperature T_s",
    "scale": _LOG,
    "axis": _TICKS,
}


@dataclass(frozen=True)
class VegaLite:
    """A chart that marimo shows."""

    spec: Spec

    def _mime_(self) -> tuple[str, str]:
        spec = {"$schema": _SCHEMA, "usermeta": _NO_MENU, **self.spec}
        return "application/vnd.vegalite.v5+json", json.dumps(spec, allow_nan=False)


def allocation_chart(problem: Subject, view: View) -> VegaLite:
    """A bar a strategy: rollouts of every candidate, in the color of its direction."""
    k, g = problem.labels.size, problem.quality.size
    names = [STRATEGIES[name].label for name in view.strategies]
    rows = [
        {
            "strategy": name,
            "candidate": i + 1,
            "direction": int(j) + 1,
            "order": int(j) * k + i,
            "rollouts": int(b),
        }
        for name, given in zip(names, view.allocation, strict=True)
        for i, (j, b) in enumerate(zip(problem.labels, given, strict=True))
        if b
    ]
    colors = [DIRECTIONS[j % len(DIRECTIONS)] for j in range(g)]
    return VegaLite(
        {
            "data": {"values": rows},
            **_FITTED,
            "height": 22 * len(names) + 50,
            "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.7, "tooltip": True},
            "encoding": {
                "x": {
                    "field": "rollouts",
                    "type": "quantitative",
                    "title": "rollouts B",
                    "axis": {"tickMinStep": 1, "format": "d"},
                },
                # Named, so that a strategy that spends nothing keeps its place.
                "y": {
                    "field": "strategy",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": names},
                },
                "color": {
                    "field": "direction",
                    "type": "nominal",
                    "scale": {"domain": list(range(1, g + 1)), "range": colors},
                },
                "order": {"field": "order"},
            },
        }
    )


def similarity_chart(problem: Subject, view: View) -> VegaLite:
    """The similarity matrix, candidates sorted by direction, and beside it γ of each."""
    k, side = problem.labels.size, 200
    order = np.argsort(problem.labels, kind="stable")
    names = [f"{problem.labels[i] + 1}.{i + 1}" for i in order]
    cells = [
        {"i": names[a], "j": names[b], "cosine": round(float(problem.similarity[i, j]), 6)}
        for a, i in enumerate(order)
        for b, j in enumerate(order)
    ]
    axis = {"labels": k <= 16, "ticks": False}
    place = {"type": "ordinal", "title": "direction.candidate", "axis": axis, "sort": None}
    matrix = {
        "data": {"values": cells},
        "width": side,
        "height": side,
        "mark": {"type": "rect", "tooltip": True},
        "encoding": {
            "x": {"field": "j", **place},
            "y": {"field": "i", **place},
            "color": {
                "field": "cosine",
                "type": "quantitative",
                "scale": {"scheme": "cividis", "domain": [0, 1]},
                "legend": {"orient": "bottom"},
            },
        },
    }
    gamma = {
        "data": {
            "values": [
                {"i": name, "γ": float(view.uniqueness[i])}
                for name, i in zip(names, order, strict=True)
            ]
        },
        "width": 60,
        "height": side,
        "mark": {"type": "bar", "color": STRATEGIES[DORA].color, "tooltip": True},
        "encoding": {
            "x": {
                "field": "γ",
                "type": "quantitative",
                "title": "γ",
                "scale": {"domain": [0, 1]},
            },
            "y": {"field": "i", "type": "ordinal", "axis": None, "sort": None},
        },
    }
    return VegaLite({"hconcat": [matrix, gamma], "spacing": 8})


def bias_chart(view: View, temperature: float) -> VegaLite:
    """KL(Q‖mass) against T_s, the chosen T_s marked: the U of DORA."""
    names = list(view.divergence)
    looks = [STRATEGIES[name] for name in names]
    labels = [look.label for look in looks]
    colors = [look.color for look in looks]
    dashes = [[6, 3] if look.line == "--" else [1, 0] for look in looks]
    rows = [
        {"T": float(t), "bias": float(x), "weights": label}
        for label, curve in zip(labels, view.divergence.values(), strict=True)
        for t, x in zip(TEMPERATURES, curve[:-1], strict=True)
    ]
    chosen = [
        {"T": temperature, "bias": float(curve[-1]), "weights": label}
        for label, curve in zip(labels, view.divergence.values(), strict=True)
    ]
    top = max(0.02, 1.05 * max(float(curve.max()) for curve in view.divergence.values()))
    weights = {"field": "weights", "type": "nominal", "title": None, "legend": _LINES}
    encoding = {
        "x": {"field": "T", **_T_S},
        "y": {
            "field": "bias",
            "type": "quantitative",
            "title": "bias KL(Q‖mass), nats",
            "scale": {"domain": [0, top]},
        },
        "color": {**weights, "scale": {"domain": labels, "range": colors}},
    }
    dash = {"strokeDash": {**weights, "scale": {"domain": labels, "range": dashes}}}
    paper = {"values": [{"T": _PAPER_T_S}]}
    return VegaLite(
        {
            **_FITTED,
            "height": 250,
            "layer": [
                {
                    "data": paper,
                    "mark": {"type": "rule", "strokeDash": [4, 4], "color": _GRAY},
                    "encoding": {"x": {"field": "T", **_T_S}},
                },
                {"data": {"values": rows}, "mark": "line", "encoding": {**encoding, **dash}},
                {
                    "data": {"values": chosen},
                    "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
                    "encoding": encoding,
                },
            ],
        }
    )


def price_chart(prices: PriceMap, scene: Scene) -> VegaLite:
    """The price of DORA's weights over T_s and s_in, with the chosen point."""
    t, gap = _edges(prices.temperature), _edges(1 - prices.inside)
    cells = [
        # A little into the next cell, so that no seam shows.
        {
            "t": _short(t[i]),
            "t2": _short(1.01 * t[i + 1]),
            "s": _short(gap[j]),
            "s2": _short(1.01 * gap[j + 1]),
            "price": _short(price),
        }
        for j, row in enumerate(prices.price)
        for i, price in enumerate(row.tolist())
    ]
    here = {
        "t": min(max(scene.similarity_temperature, t[0]), t[-1]),
        "s": min(max(1 - scene.similarity_within, gap[0]), gap[-1]),
    }
    place = {
        "x": {"field": "t", **_T_S},
        "y": {
            "field": "s",
            "type": "quantitative",
            "title": "1 − s_in",
            "scale": _LOG,
            "axis": _TICKS,
        },
    }
    color = {
        "field": "price",
        "type": "quantitative",
        "title": "rollouts ×",
        "scale": {"scheme": "cividis", "domain": [1, max(1.05, float(prices.price.max()))]},
    }
    cross = {"shape": "cross", "size": 160, "filled": True, "color": "white", "stroke": "black"}
    ends = {"x2": {"field": "t2"}, "y2": {"field": "s2"}}
    return VegaLite(
        {
            **_FITTED,
            "height": 250,
            "layer": [
                {
                    "data": {"values": cells},
                    "mark": {"type": "rect", "tooltip": True},
                    "encoding": {**place, **ends, "color": color},
                },
                {
                    "data": {"values": [here]},
                    "mark": {"type": "point", **cross},
                    "encoding": place,
                },
            ],
        }
    )


def _short(value: float) -> float:
    """To four digits: more are not seen, and are sent with every change."""
    return float(f"{value:.4g}")


def _edges(centers: np.ndarray) -> list[float]:
    """Edges of cells around the centers of a rising geometric grid."""
    step = (centers[-1] / centers[0]) ** (0.5 / (centers.size - 1))
    return [*(centers / step).tolist(), float(centers[-1] * step)]
