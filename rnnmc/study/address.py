"""Where else the results of a study are to lie, as a study says it: an address of an Arrow file system."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from rnnmc.common.refusals import refuse

FORM = re.compile(r"(?:s3|gs|file)://(?P<server>[^/?\s]*)/?[^?\s]*(?:\?\S*)?")
FORMS = "s3://bucket/prefix, gs://bucket/prefix or file:///folder"


def _read_address(value: Any) -> Any:
    form = FORM.fullmatch(value) if isinstance(value, str) else None
    if form is None or (not form["server"] and not value.startswith("file:///")):
        raise refuse("", value, f"is not an address; give {FORMS}")
    if "@" in form["server"]:  # it would be written to study.yaml, for all to see
        raise refuse("", "...", "has a key in it; give that by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
    return value


ResultsAddress = Annotated[str, BeforeValidator(_read_address)]
