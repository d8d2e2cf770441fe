"""What reports in HTML have in common."""

from __future__ import annotations

import jinja2


def environment(package: str) -> jinja2.Environment:
    """The environment in which the templates of a package become HTML."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
