"""The JSON files that galcfm writes: each kind with its schema, one reader, one writer.

A kind is a `JsonFile`, defined where its files are written; `KINDS` lists those that are imported.
Nothing else in galcfm, the studies and the notebooks reads or writes JSON files.
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
    """Return the schema of an object with these fields at least."""
    return TypedDict("Object", types)


@dataclass(frozen=True)
class JsonFile:
    """A kind of JSON file.

    Arguments:
        name: Name of its files, or a pattern of their names.
        schema: Type of the content, as `msgspec.convert` takes it. Fields that it does not name
            are allowed.
        remedy: What to do about a damaged file, as a sentence.
    """

    name: str
    schema: Any
    remedy: str

    def __post_init__(self):
        KINDS[self.name] = self

    def read(self, path: Path | str, error: type[Exception] = ValueError) -> Any:
        """Return the content of a file, which fits the schema.

        Arguments:
            path: Path of the file.
            error: Type of the exception.

        Raises:
            Exception: `error`, if the file is damaged; the message names the file, the field and
                the remedy.
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
        # Also a number of more digits than Python takes.
        except ValueError as reason:
            found = f"it is not JSON ({reason})"
        raise error(f"{path} is damaged, or not of this galcfm: {found}. {self.remedy}")

    def write(self, path: Path | str, content: Any) -> None:
        """Write `content` as indented JSON, whole or not at all.

        Raises:
            ValueError: The content does not fit the schema, so that `read` would refuse it.
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
    """Return a sentence for what msgspec says of a field."""
    what, _, place = reason.partition(" - at ")
    place = place.replace("key in ", "").strip("`$").removeprefix("$").removeprefix(".")
    what = what.replace("Object missing required field", "Without the field")
    return f"{place or 'the content'}: {what[0].lower()}{what[1:]}"
