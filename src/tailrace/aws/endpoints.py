"""Regions and endpoints from the environment, in the order that the SDKs follow."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_DNS_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eusc-", "amazonaws.eu"),
)


def configured_region(environ: Mapping[str, str]) -> tuple[str, str]:
    """The region of the environment and the variable that says so; empty without one. Lambda sets both variables
    (lambda-platform.md 1.1)."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        value = environ.get(variable, "").strip()
        if value:
            return value, variable
    return "", ""


def configured_endpoint(environ: Mapping[str, str], service: str) -> tuple[str, str]:
    """The endpoint that replaces AWS's own for `service` (``S3``) and the variable that says so; empty without one."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").strip().lower() == "true":
        return "", ""
    for variable in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
        value = environ.get(variable, "").strip()
        if value:
            return value, variable
    return "", ""


def dns_suffix(region: str) -> str:
    """The domain under which the region's services live."""
    for prefix, suffix in _DNS_SUFFIXES:
        if region.startswith(prefix):
            return suffix
    return "amazonaws.com"
