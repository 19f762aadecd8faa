"""A flask-smorest blueprint with the types, the strict parser and the errors of this API."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

import flask_smorest
from flask import Response
from marshmallow import Schema

from chronos_api.http import json_body, problems
from chronos_api.http.problems import ProblemType
from chronos_api.security.access import Access, Audience, access_of
from chronos_api.security.authentication import WORKSPACE_HEADER
from chronos_api.security.rate_limits import Rate

#: The header of an answer that names another resource.
LOCATION: Final = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}

View = Callable[..., Any]
Decorator = Callable[[View], View]


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc] # it has no types of its own
    """Routes with their documentation. A part of it follows from their access."""

    ARGUMENTS_PARSER = json_body.Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(_document_access)

    def route(self, rule: str, method: str, **options: Any) -> Decorator:
        """Serve ``method`` of ``rule`` with the decorated function.

        The name of the function is the id of the operation. Raises :class:`AccessMissing`.
        """
        serve: Decorator = super().route(rule, methods=[method], **options)

        def decorate(view: View) -> View:
            access_of(view)
            return serve(self.doc(operationId=view.__name__)(view))

        return decorate

    def body(self, schema: type[Schema], **options: Any) -> Decorator:
        """Pass the JSON body, loaded by ``schema``, as the first argument."""
        decorate: Decorator = self.arguments(json_body.made(schema), location="json", **options)
        return decorate

    def optional_body(self, schema: type[Schema], **options: Any) -> Decorator:
        """Pass the JSON body, or else an empty object, loaded by ``schema``.

        For routes that need no body. Clients may send none.
        """
        parameters = {"in": "json", "required": False, "schema": schema, **options}

        def decorate(view: View) -> View:
            @wraps(view)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return view(json_body.load(schema, json_body.read_optional()), *args, **kwargs)

            return _described(wrapper, view, parameters)

        return decorate

    def body_as(self, shown: type[Schema], schema: type[Schema], **options: Any) -> Decorator:
        """Pass the JSON body, loaded by ``schema``, as the first argument. Document ``shown``."""
        describe = self.raw_body(shown, **options)

        def decorate(view: View) -> View:
            @wraps(view)
            def wrapper(body: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
                return view(json_body.load(schema, body), *args, **kwargs)

            return describe(wrapper)

        return decorate

    def query(self, schema: type[Schema]) -> Decorator:
        """Pass the query parameters, loaded by ``schema``, as the first argument."""
        decorate: Decorator = self.arguments(json_body.made(schema), location="query")
        return decorate

    def raw_body(self, schema: type[Schema], **options: Any) -> Decorator:
        """Describe the body by ``schema`` but pass it as it came, as the first argument.

        For bodies that are checked together with stored values.
        """
        parameters = {"in": "json", "required": True, "schema": schema, **options}

        def decorate(view: View) -> View:
            @wraps(view)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return view(json_body.read_object(), *args, **kwargs)

            return _described(wrapper, view, parameters)

        return decorate

    def answers(
        self,
        status: int,
        schema: type[Schema] | Schema | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Decorator:
        """Document the answer, which the function returns as a Flask response.

        Its status is ``status``, unless the function sets another one.
        """
        describe: Decorator = self.response(
            status, schema, headers=dict(headers) if headers else None, **options
        )

        def decorate(view: View) -> View:
            @wraps(view)
            def wrapper(*args: Any, **kwargs: Any) -> Response:
                response: Response = view(*args, **kwargs)
                if response.status_code == HTTPStatus.OK:
                    response.status_code = status
                return response

            return describe(wrapper)

        return decorate

    def or_answers(
        self, status: int, schema: type[Schema] | None = None, **options: Any
    ) -> Decorator:
        """Document another answer, whose status the function sets."""
        decorate: Decorator = self.alt_response(status, schema=schema, **options)
        return decorate

    def parameters(self, *parameters: Mapping[str, Any]) -> Decorator:
        """Document parameters that no schema reads."""
        # As documentation of flask-smorest they would replace those of the query.
        return self._documented("more_parameters", [dict(each) for each in parameters])

    def unchanged(self, headers: Mapping[str, Any]) -> Decorator:
        """Document that a known ETag is answered with its ``headers`` alone."""
        decorate: Decorator = self.alt_response(
            HTTPStatus.NOT_MODIFIED, description="It is as it was", headers=dict(headers)
        )
        return decorate

    def also(self, *media_types: str) -> Decorator:
        """Document that the answer is a text of one of these types where the caller accepts it."""
        return self._documented("also", media_types)

    def _documented(self, name: str, value: Any) -> Decorator:
        """Keep ``value`` where flask-smorest hands it to the callbacks of the documentation."""

        def decorate(view: View) -> View:
            documentation = deepcopy(getattr(view, "_apidoc", {})) | {name: value}
            view._apidoc = documentation  # type: ignore[attr-defined]  # noqa: SLF001 - where flask-smorest looks
            return view

        return decorate

    def problems(self, *kinds: ProblemType) -> Decorator:
        """Document the errors that the decorated function may answer with."""

        def decorate(view: View) -> View:
            for kind in kinds:
                view = self.alt_response(int(kind.status), response=kind.status.name)(view)
            return view

        return decorate


def _described(wrapper: View, view: View, parameters: Mapping[str, Any]) -> View:
    """Return ``wrapper`` with the documentation of ``view`` and of its body."""
    documentation = deepcopy(getattr(view, "_apidoc", {}))
    documentation.setdefault("arguments", {}).setdefault("parameters", []).append(parameters)
    wrapper._apidoc = documentation  # type: ignore[attr-defined]  # noqa: SLF001 - where flask-smorest looks
    return wrapper


_WORKSPACE = {
    "in": "header",
    "name": WORKSPACE_HEADER,
    "description": "The id of the workspace to work in. By default the one that you joined first, "
    "or that of the API key",
    # Without the format uuid: generated Python clients cannot put such an object into a header.
    "schema": {"type": "string"},
}


_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Sent again within a day, with the same request, this has its effect once: the "
    "first answer comes again. For another request it is 422, while the first is under way 409",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def _security(access: Access) -> list[dict[str, list[str]]]:
    """Return the ways to authenticate: by an API key only where one may call."""
    if access.audience is Audience.EVERYBODY:
        return []
    if access.scope is None:
        return [{"bearer": []}]
    ways: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]
    if access.ticket:
        ways.append({"ticket": []})
    return [*ways, {"keyParameter": []}] if access.key_parameter else ways


def _document_access(
    operation: dict[str, Any], info: dict[str, Any], *, method: str, **_: Any
) -> dict[str, Any]:
    """Add the answers that follow from an operation's access, parameters and body."""
    access: Access = info["access"]
    kinds = [] if access.rate is Rate.NONE else [problems.RATE_LIMITED, problems.UNAVAILABLE]
    if "more_parameters" in info:
        operation.setdefault("parameters", []).extend(info["more_parameters"])
    if "requestBody" in operation:
        kinds += [problems.MALFORMED, problems.TOO_LARGE, problems.NOT_JSON, problems.INVALID]
    elif operation.get("parameters"):
        kinds += [problems.INVALID, problems.URI_TOO_LONG]
    operation["security"] = _security(access)
    operation |= {
        f"x-{name}": value
        for name, value in (("role", access.role), ("scope", access.scope))
        if value is not None
    }
    if access.audience is not Audience.EVERYBODY:
        kinds += [problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.NOT_FOUND]
        operation.setdefault("parameters", []).append(_WORKSPACE)
    if method == "post" and access.audience is not Audience.EVERYBODY:
        operation["parameters"].append(_IDEMPOTENCY_KEY)
        kinds += [problems.CONFLICT, problems.INVALID]
    for media_type in info.get("also", ()):
        content = operation["responses"][200].setdefault("content", {})
        content[media_type] = {"schema": {"type": "string"}}
    for kind in [*kinds, problems.MISDIRECTED, problems.INTERNAL]:
        # flask-smorest names a status that a parser may answer by itself.
        operation["responses"][int(kind.status)] = kind.status.name
    operation["responses"] = dict(sorted(operation["responses"].items()))
    return operation
