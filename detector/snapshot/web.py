"""Permanent links: from a repository's address to a template for a place in a file at a commit."""

from __future__ import annotations

import re

_PLACE = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[^@/]*@)?(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[\w./~+-]+?)(?:\.git)?/*"
)


def link_template(url: str) -> str | None:
    """A format string with {commit}, {path}, {start} and {end}, or None for an unknown host.

    `path` is to be percent-encoded by whoever fills it in.
    """
    match = _PLACE.fullmatch(url)
    if match is None:
        return None
    host, path = match["host"].lower(), match["path"].strip("/")
    if host in ("github.com", "www.github.com", "ssh.github.com"):
        return f"https://github.com/{path}/blob/{{commit}}/{{path}}#L{{start}}-L{{end}}"
    if host in ("huggingface.co", "hf.co", "hf.com", "www.huggingface.co"):
        return f"https://huggingface.co/{path}/blob/{{commit}}/{{path}}#L{{start}}-L{{end}}"
    if host == "gitlab.com" or host.startswith("gitlab."):
        return f"https://{host}/{path}/-/blob/{{commit}}/{{path}}#L{{start}}-{{end}}"
    return None
