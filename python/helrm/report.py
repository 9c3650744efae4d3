"""Reports of the library: mappings that print and draw themselves."""
from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any, Iterator


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Report(Mapping[str, Any]):
    """What the library says of a call: a mapping."""

    def __init__(self, text: "str | bytes") -> None:
        self._said: dict[str, Any] = json.loads(text)

    def __getitem__(self, name: str) -> Any:
        return self._said[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)

    def __str__(self) -> str:
        width = max((len(n) for n in self._said), default=0)
        return "\n".join(f"{n:{width}}  {_number(v)}" for n, v in self._said.items()
                         if not isinstance(v, (list, dict)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}\n{self}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th style='text-align:left'>{html.escape(n)}</th>"
                       f"<td>{html.escape(_number(v))}</td></tr>"
                       for n, v in self._said.items() if not isinstance(v, (list, dict)))
        return f"<table>{rows}</table>"


class CompileReport(Report):
    """What a model was compiled to: ring, sizes, time and bits as predicted, layer by layer."""

    def __str__(self) -> str:
        s = self._said
        lines = [
            f"{s['model']}: ring N = 2^{s['log_n']}, {s['levels']} levels, 128-bit security",
            f"  about {s['estimated_ms']:.1f} ms a query on one thread, "
            f"{s['predicted_bits']:.1f} bits, {s['memory_bytes'] / 1e6:.0f} MB of memory",
            f"  query {s['query_bytes'] / 1e3:.0f} kB; {s['keys']} evaluation keys, "
            f"{s['evaluation_keys_bytes'] / 1e6:.1f} MB, sent once",
            f"  bounds {s['bounds']}, errors for {s['records']} records",
        ]
        if s["batch"] > 1:
            lines.insert(2, f"  up to {s['batch']} records in a query")
        if "activation" in s:
            a = s["activation"]
            lines.append(f"  {a['kind']} by polynomials of degree {a['degree']}: the largest change "
                         f"of a logit is {a['largest_change']:.3g} of a spread of {a['spread']:.3g}")
        lines += [f"  {layer['ms']:9.2f} ms  {layer['layer']}" for layer in s["layers"]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        s = self._said
        layers = s["layers"]
        most = max((layer["ms"] for layer in layers), default=0) or 1
        bars = "".join(
            f"<tr><td style='text-align:right'>{layer['ms']:.2f} ms</td><td>"
            f"<svg width='204' height='12'><rect width='{200 * layer['ms'] / most + 1:.0f}' height='12' "
            f"fill='#4878a8'/></svg></td><td style='text-align:left'>"
            f"{html.escape(layer['layer'])}</td></tr>" for layer in layers)
        head = html.escape(str(self).split(chr(10) + " " * 4)[0]).replace("\n", "<br>")
        return f"<div><p>{head}</p><table>{bars}</table></div>"
