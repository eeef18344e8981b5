"""Renders templates: one environment for each language and timezone, in which everything is escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator
from jinja2.compiler import Frame as CodeFrame
from jinja2.runtime import Context, Macro

from services.console import charts
from services.console.queries import Names
from services.console.texts import Texts, escaped, texts_of, write_markdown
from services.console.web.frame import Frame

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SHORT_SLOT = 60


class DirectContext(Context):
    """Calls functions of templates directly: none of ours wants the context, and checking that is slow."""

    def call(self, function: Callable[..., Any], /, *args: Any, **values: Any) -> Any:
        """Return what a function or macro returns; macros are told whether to escape."""
        if values:
            values.pop("_block_vars", None)  # of the template's own
            values.pop("_loop_vars", None)
        if type(function) is Macro:
            return function(self.eval_ctx, *args, **values)
        return function(*args, **values)


class DirectGenerator(CodeGenerator):
    """Writes markup into pages as it is, where ``escape`` would copy it: three of four values are markup already."""

    def _output_child_pre(
        self,
        node: nodes.Expr,  # noqa: ARG002  # as Jinja calls it
        frame: CodeFrame,  # noqa: ARG002  # likewise
        finalize: CodeGenerator._FinalizeInfo,
    ) -> None:
        self.write("environment.escaped(")
        if finalize.src is not None:
            self.write(finalize.src)


class DirectEnvironment(Environment):
    """An environment whose templates call and write directly."""

    context_class = DirectContext
    code_generator_class = DirectGenerator

    escaped = staticmethod(escaped)


class CompiledTemplates(BytecodeCache):
    """Keeps the code of templates in memory, for the environments of all languages."""

    def __init__(self) -> None:
        self._codes: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Put the code of a template into its bucket, if it was compiled before."""
        bucket.code = self._codes.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code that a bucket holds."""
        assert bucket.code is not None
        self._codes[bucket.key] = bucket.code


_COMPILED = CompiledTemplates()


def compile_templates() -> None:
    """Compile all templates, so that no reader waits for that: it takes as long as some fifty pages."""
    environment = _environment(texts_of("en"))
    for name in environment.list_templates():
        environment.get_template(name)


def render(frame: Frame, template: str, **values: Any) -> str:
    """Return a template rendered for the frame's reader."""
    environment = _environment(_texts(frame.language.code, frame.names))
    return environment.get_template(f"{template}.html").render(frame=frame, **values)


def _texts(language: str, names: Names | None) -> Texts:
    if names is None:
        return texts_of(language)
    return texts_of(language, names.zone, seconds=names.slot_seconds < _SHORT_SLOT)


@cache
def _environment(texts: Texts) -> Environment:
    environment = DirectEnvironment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_COMPILED,
    )
    environment.globals.update(
        texts=texts,
        t=texts.message,
        n=texts.count,
        word=texts.word,
        percent=texts.percent,
        points=texts.points,
        number=texts.number,
        bounds=texts.bounds,
        moment=texts.moment,
        charts=charts,
        markdown=write_markdown,
        software=version("peyvand"),
    )
    return environment
