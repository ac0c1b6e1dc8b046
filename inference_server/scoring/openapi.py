"""The text of the generated swagger documents: Swagger 2.0 and OpenAPI 3.0 and 3.1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Dict

from inference_server.scoring.config import ScoringConfig

Document = Dict[str, Any]

HEALTH = "Simple health check endpoint to ensure the service is up at any given point."
HEALTHY = "If service is up and running, this response will be returned with the content 'Healthy'"
SCORE = "Run web service's model and get the prediction output"
PAYLOAD = "The input payload for executing the real-time machine learning service."
SCORED = "The service processed the input correctly and provided a result prediction, if applicable."
SPEC = "Get the Swagger specification."
SPEC_GOT = "The Swagger specification."
FAILED = "The service failed to execute due to an error."

BEARER: Document = {
    "Bearer": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "For example: Bearer abc123",
    }
}
VERSION_NUMBERS: Document = {"type": "integer", "enum": [2, 3]}
VERSION_KEYS: Dict[str, Document] = {
    "2": {"swagger": "2.0"},
    "3": {"openapi": "3.0.3"},
    "3.1": {"openapi": "3.1.0"},
}


def document(version: str, config: ScoringConfig, input_schema: Any, output_schema: Any) -> Document:
    """The whole document of `version` ("2", "3" or "3.1") around the schemas of run()'s input and output."""
    dialect = _Swagger2() if version == "2" else _OpenApi3()
    name = config.service_name
    info = {
        "title": name,
        "description": f"API specification for the Azure Machine Learning service {name}",
        "version": config.service_version,
    }
    schemas = {
        "ServiceInput": input_schema,
        "ServiceOutput": output_schema,
        "ErrorResponse": {"type": "object", "properties": {"message": {"type": "string"}}},
    }
    return {**VERSION_KEYS[version], "info": info, **dialect.frame(_paths(dialect, config), schemas)}


def _paths(dialect: _Dialect, config: ScoringConfig) -> Document:
    prefix = config.service_path_prefix.strip("/")
    prefix = f"/{prefix}" if prefix else ""
    return {
        f"{prefix}/": {"get": _operation("ServiceHealthCheck", HEALTH, dialect, dialect.healthy())},
        f"{prefix}/score": {
            "post": {
                **_operation("RunMLService", SCORE, dialect, dialect.refers(SCORED, "ServiceOutput")),
                "security": [{"Bearer": []}],
                **dialect.payload(),
            }
        },
        f"{prefix}/swagger.json": {
            "get": {
                **_operation("GetSwaggerSpec", SPEC, dialect, dialect.text(SPEC_GOT)),
                "parameters": [
                    {"name": "version", "in": "query", "required": False, **dialect.version_type()}
                ],
            }
        },
    }


def _operation(name: str, description: str, dialect: _Dialect, success: Document) -> Document:
    return {
        "operationId": name,
        "description": description,
        "responses": {"200": success, "default": dialect.refers(FAILED, "ErrorResponse")},
    }


class _Dialect(ABC):
    """How one family of versions says what they all say."""

    @abstractmethod
    def frame(self, paths: Document, schemas: Document) -> Document:
        """The top level beside `info`."""

    @abstractmethod
    def refers(self, description: str, schema: str) -> Document:
        """A response whose body is one of the schemas."""

    @abstractmethod
    def text(self, description: str) -> Document:
        """A response whose body is text."""

    @abstractmethod
    def healthy(self) -> Document:
        """The health check's response."""

    @abstractmethod
    def payload(self) -> Document:
        """The body of a scoring request."""

    @abstractmethod
    def version_type(self) -> Document:
        """The type of the `version` query parameter."""


class _Swagger2(_Dialect):
    def frame(self, paths: Document, schemas: Document) -> Document:
        return {
            "schemes": ["https"],
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "securityDefinitions": BEARER,
            "paths": paths,
            "definitions": schemas,
        }

    def refers(self, description: str, schema: str) -> Document:
        return {"description": description, "schema": {"$ref": f"#/definitions/{schema}"}}

    def text(self, description: str) -> Document:
        return {"description": description, "schema": {"type": "string"}}

    def healthy(self) -> Document:
        return {**self.text(HEALTHY), "examples": {"application/json": "Healthy"}}

    def payload(self) -> Document:
        return {
            "parameters": [
                {"name": "serviceInputPayload", "in": "body", **self.refers(PAYLOAD, "ServiceInput")}
            ]
        }

    def version_type(self) -> Document:
        return VERSION_NUMBERS


class _OpenApi3(_Dialect):
    def frame(self, paths: Document, schemas: Document) -> Document:
        return {
            "security": [{"Bearer": []}],
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": BEARER},
        }

    def refers(self, description: str, schema: str) -> Document:
        reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
        return {"description": description, "content": {"application/json": reference}}

    def text(self, description: str) -> Document:
        return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}

    def healthy(self) -> Document:
        schema = {"type": "string", "example": "Healthy"}
        return {"description": HEALTHY, "content": {"text/plain": {"schema": schema}}}

    def payload(self) -> Document:
        return {"requestBody": self.refers(PAYLOAD, "ServiceInput")}

    def version_type(self) -> Document:
        return {"schema": VERSION_NUMBERS}
