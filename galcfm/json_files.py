"""The JSON files of galcfm: each kind has a schema, and all share one reader and one writer.

A kind is a `JsonFile`, defined next to the code that writes its files; `KINDS` lists all imported
kinds. galcfm, the studies and the notebooks read and write JSON files only by this module.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from galcfm.paths import replacing

__all__ = ["KINDS", "Count", "JsonFile", "object_of"]

KINDS: dict[str, "JsonFile"] = {}
Count = Annotated[int, msgspec.Meta(ge=0)]


def object_of(**types) -> type:
    """Return the schema of an object with at least these fields."""
    return TypedDict("Object", types)


@dataclass(frozen=True)
class JsonFile:
    """A kind of JSON file.

    Arguments:
        name: Name of its files, or a pattern of their names.
        schema: Type of the content for `msgspec.convert`. Fields that it does not name are allowed.
        remedy: What to do about a damaged file, as a sentence.
    """

    name: str
    schema: Any
    remedy: str

    def __post_init__(self):
        KINDS[self.name] = self

    def read(self, path: Path | str, error: type[Exception] = ValueError) -> Any:
        """Return the content of a file if it fits the schema.

        Arguments:
            path: Path of the file.
            error: Type of the exception.

        Raises:
            Exception: The file is damaged; the message names the file, the field and the remedy.
                The type is `error`.
            OSError: The file does not exist, or cannot be read.
        """
        try:
            content = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
            msgspec.convert(content, self.schema)
            return content
        except UnicodeDecodeError as reason:
            found = f"byte {reason.start} is not UTF-8"
        except RecursionError:
            found = "its brackets are nested too deeply"
        except msgspec.ValidationError as reason:
            found = _in_words(str(reason))
        # This includes numbers with more digits than Python accepts.
        except ValueError as reason:
            found = f"it is not JSON ({reason})"
        raise error(f"{path} is damaged, or not of this galcfm: {found}. {self.remedy}")

    def write(self, path: Path | str, content: Any) -> None:
        """Write `content` as indented JSON, completely or not at all.

        Raises:
            ValueError: The content does not fit the schema, so `read` would refuse it.
            OSError: The file cannot be written.
        """
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        try:
            msgspec.convert(json.loads(text), self.schema)
        except msgspec.ValidationError as reason:
            raise ValueError(f"{path} is not written: {_in_words(str(reason))}") from reason
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _in_words(reason: str) -> str:
    """Return a sentence for an error of msgspec about a field."""
    what, _, place = reason.partition(" - at ")
    place = place.replace("key in ", "").strip("`$").removeprefix("$").removeprefix(".")
    what = what.replace("Object missing required field", "Without the field")
    return f"{place or 'the content'}: {what[0].lower()}{what[1:]}"
