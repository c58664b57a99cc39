"""The figures of all workers as one page, each sample labelled with its worker."""

from __future__ import annotations

__all__ = ["merged", "metrics_of_all_workers"]

import re
from collections.abc import Mapping

from aiohttp import web

from ..server_state import STATE
from .place import is_private
from .siblings import answers_of_siblings

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_DESCRIPTION = re.compile(r"# (?:HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*)")
_END = "# EOF"
"""The last line of the OpenMetrics format, which may stand only once."""


async def metrics_of_all_workers(request: web.Request, own: bytes) -> bytes:
    """This worker's figures and its siblings'; `own` as it stands where there are none, and for a sibling.

    One that does not answer within 1 s is left out, and counted.
    """
    place = request.config_dict[STATE].place
    if place is None or is_private(request):
        return own
    texts = {str(place.index): own, **await answers_of_siblings(request)}
    return merged({name: texts[name] for name in sorted(texts)})


def merged(texts: Mapping[str, bytes]) -> bytes:
    """Join pages of Prometheus text, by worker, into one.

    All samples of a metric stand together behind one description (Prometheus documentation: "Exposition
    formats", text format); each gets a label `worker`.
    """
    families: dict[str, tuple[dict[str, None], list[str]]] = {}
    ended = False
    for worker, text in texts.items():
        metric = ""
        for line in text.decode().splitlines():
            ended = ended or line == _END
            if described := _DESCRIPTION.match(line):
                metric = described[1]
                families.setdefault(metric, ({}, []))[0][line] = None
            elif name := _NAME.match(line):
                # One that is no part of what was described last, like its _bucket or _sum, stands for itself.
                if not metric or not name[0].startswith(metric):
                    metric = name[0]
                families.setdefault(metric, ({}, []))[1].append(_labelled(line, name.end(), worker))
    lines = [line for described, samples in families.values() for line in (*described, *samples)]
    return "".join(f"{line}\n" for line in (*lines, *([_END] if ended else []))).encode()


def _labelled(line: str, after_name: int, worker: str) -> str:
    name, rest = line[:after_name], line[after_name:]
    if rest.startswith("{"):
        comma = "" if rest.startswith("{}") else ","
        return f'{name}{{worker="{worker}"{comma}{rest[1:]}'
    return f'{name}{{worker="{worker}"}}{rest}'
