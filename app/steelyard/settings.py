"""One way to configure: environment variables and one TOML file.

A section of the TOML file is a room's settings; the variable `STEELYARD_<SECTION>_<NAME>` says the
same and wins. `STEELYARD_CONFIG` (or `--config`) names the file. Secrets are never values: a
setting names the file (a systemd credential) that holds one.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from steelyard.errors import ConfigurationError

CONFIG_VARIABLE = "STEELYARD_CONFIG"


class Part(BaseModel):
    """A table within a section, whose members are declared as a section's fields are."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Section(BaseSettings):
    """The settings of one room. Subclasses set `section` and declare fields with a description."""

    section: ClassVar[str]
    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=False)

    @classmethod
    def environment_name(cls, field: str) -> str:
        """The environment variable of a field."""
        return f"STEELYARD_{cls.section}_{field}".upper()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment under the section's prefix; the TOML values come through init."""
        del env_settings, dotenv_settings, file_secret_settings
        environment = EnvSettingsSource(settings_cls, env_prefix=cls.environment_name(""))
        return environment, init_settings

    @classmethod
    def load(cls, config_file: Path | None = None) -> Self:
        """Read this section from the environment and the TOML file.

        Raises ConfigurationError: the setting's name, what is wrong, and where it came from.
        """
        origin = config_file or _configured_file()
        values = _read_section(origin, cls.section) if origin else {}
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigurationError(cls._explain(error, values, origin)) from None
        except SettingsError as error:
            # The environment source names the field itself, but wraps the JSON error's text.
            raise ConfigurationError(f"[{cls.section}] {error}; it must be valid JSON") from None

    @classmethod
    def _explain(cls, error: ValidationError, values: dict[str, Any], origin: Path | None) -> str:
        sentences = []
        for item in error.errors(include_url=False, include_input=False):
            path = [str(part) for part in item["loc"]]
            name = ".".join([cls.section, *path]) if path else cls.section
            source = cls._source_of(path[0], values, origin) if path else "the settings together"
            sentences.append(f"{name}: {_sentence(item['msg'])} (from {source})")
        return "; ".join(sentences)

    @classmethod
    def _source_of(cls, field: str, values: dict[str, Any], origin: Path | None) -> str:
        variable = cls.environment_name(field)
        if variable in {name.upper() for name in os.environ}:
            return f"the environment variable {variable}"
        if field in values:
            return str(origin)
        return f"nowhere: set {variable} or [{cls.section}] {field} in the configuration file"


def as_toml(section: str, values: Mapping[str, Any]) -> str:
    """A section as the TOML file has it: plain values; tables and lists of tables, in one another.

    Texts must be printable; what a program writes for `load` to read.
    """
    plain = {name: value for name, value in values.items() if not _has_tables(value)}
    lines = [f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in plain.items())]
    for name, value in values.items():
        if name in plain:
            continue
        for table in value if isinstance(value, list) else [value]:
            header, _, rest = as_toml(f"{section}.{name}", table).partition("\n")
            lines += ["", f"[{header}]" if isinstance(value, list) else header, rest.rstrip("\n")]
    return "\n".join(lines) + "\n"


def _has_tables(value: object) -> bool:
    """Whether it is a table, or a list of them."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict)


def _toml(value: object) -> str:
    # A JSON text of printable characters is a basic string of TOML; numbers and booleans agree.
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("a text must be printable")
    return json.dumps(value, ensure_ascii=False)


def _configured_file() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else None


def _read_section(path: Path, section: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from None
    values = document.get(section, {})
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: [{section}] must be a table")
    return values


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
