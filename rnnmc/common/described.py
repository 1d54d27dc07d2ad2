"""A law, drive or observable as a study file writes it, and written back."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rnnmc.common.refusals import explain, refuse


class Described(BaseModel):
    """A law or drive as a study file writes it: `name`, `{name: main value}` or `{name: {parameter: value}}`.

    main: the parameter that may stand alone, and example, a value for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    main: ClassVar[str | None] = None
    example: ClassVar[str] = "1"
    formula: ClassVar[str]
    source: ClassVar[str]

    @classmethod
    def read(cls, value: Any, path: str, **extra: Any) -> Described:
        """Validate `value` (None, the main parameter, or a mapping of parameters)."""
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            if cls.main is None:
                raise refuse(path, value, f"takes no value; write {cls.name}")
            value = {cls.main: value}
        for key in value:
            if not isinstance(key, str):
                raise refuse(f"{path}.{key}", value[key], "is under a key that is not a text; give a parameter's name")
            if key in extra:
                raise refuse(f"{path}.{key}", value[key], f"is {key} a second time; give it once")
        try:
            return cls(**value, **extra)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "missing" and first["loc"] == (cls.main,):
                remedy = f"is given for its {cls.main}; write for example {cls.name}: {cls.example}"
                raise refuse(path, "nothing", remedy) from None
            place = ".".join(str(part) for part in first["loc"] if str(part) != cls.main)
            raise refuse(f"{path}.{place}" if place else path, *explain(first)) from None

    def said(self) -> dict[str, Any]:
        """Every parameter that has a value, defaults too, as JSON has it: what is read back is then equal."""
        return self.model_dump(mode="json", exclude_none=True)

    def written(self) -> Any:
        """What a study file would say, with every default: the inverse of `read`."""
        if self.main is None:
            return self.name
        said = self.said()
        return {self.name: said[self.main] if list(said) == [self.main] else said}

    def __str__(self) -> str:
        return self.words()

    def words(self, without: tuple[str, ...] = ()) -> str:
        """Its name and what is not as by default, for people; but for these parameters."""
        given = self.model_dump(exclude_defaults=True, exclude=set(without))
        words = [self.name] + [f"{v:g}" if isinstance(v, float) else str(v) for k, v in given.items() if k == self.main]
        return " ".join(words + [f"{k} {v}" for k, v in given.items() if k != self.main])
