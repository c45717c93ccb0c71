"""Error responses. Only this module knows their format."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException


class ApiError(Exception):
    """Raised by a handler to return an error response."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def install(app: FastAPI) -> None:
    """Returns all errors, including those of the framework, in this service's error format."""

    @app.middleware("http")
    async def number_requests(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        request.state.request_id = str(uuid.uuid4())
        response = await call_next(request)
        response.headers["X-Request-Id"] = request.state.request_id
        return response

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return envelope(request, error.status, error.code, error.message, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        # `msg` contains the violated rule, not the rejected value.
        details = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'][1:]) or 'body'}: {problem['msg']}"
            for problem in error.errors()
        )
        return envelope(request, 400, "VALIDATION_ERROR", "The request is not valid", details)

    @app.exception_handler(HTTPException)
    async def framework_error(request: Request, error: HTTPException) -> Response:
        codes = {400: "BAD_REQUEST", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
        code = codes.get(error.status_code, "HTTP_ERROR")
        return envelope(request, error.status_code, code, error.detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, _error: Exception) -> Response:
        # The server logs the traceback. The caller only gets the request id.
        return envelope(request, 500, "INTERNAL_ERROR", "Something went wrong")


def envelope(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """`{"error": {code, message, details}, "meta": {timestamp, request_id}}`."""
    request_id = request.state.request_id
    timestamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return JSONResponse(
        {
            "error": {"code": code, "message": message, "details": details},
            "meta": {"timestamp": timestamp, "request_id": request_id},
        },
        status_code=status,
        headers={**(headers or {}), "X-Request-Id": request_id},
    )
