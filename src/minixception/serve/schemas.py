"""Requests and answers, as the OpenAPI document describes them."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from minixception.serve.analysis import NO_MODEL, Analysis

EXAMPLE_FACE: dict[str, Any] = {
    "box": [62, 62, 160, 160],
    "emotion": "happy",
    "emotion_scores": {"angry": 0.01, "happy": 0.93, "neutral": 0.06},
    "gender": "woman",
    "gender_scores": {"woman": 0.98, "man": 0.02},
}

_FILE = {"type": "string", "format": "binary"}
REQUEST_BODY = {
    "required": True,
    "description": "One picture as it is, or several as files of a form; options are query "
    "parameters. JPEG, PNG, BMP, GIF, PPM, TIFF, WebP or AVIF.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"pictures": {"type": "array", "items": _FILE, "minItems": 1}},
                "required": ["pictures"],
                "additionalProperties": False,
            },
            "encoding": {"pictures": {"contentType": "image/*"}},
        },
        "image/*": {"schema": _FILE},
        "application/octet-stream": {"schema": _FILE},
    },
}


class Explanation(BaseModel):
    """Which parts of a face support its label."""

    model_config = ConfigDict(populate_by_name=True)

    class_name: str = Field(alias="class", description="the label that is explained")
    box: tuple[int, int, int, int] = Field(description="of the picture's part that the map covers")
    map: str = Field(description="data URL of a grey PNG; bright areas support the label")


class Face(BaseModel):
    """One face; every task of the models has a label and scores."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EXAMPLE_FACE})

    box: tuple[int, int, int, int] = Field(
        description="x, y, width and height in pixels of the upright picture"
    )
    emotion: str | None = Field(description="the most probable emotion, null without a model")
    emotion_scores: dict[str, float] = Field(description="emotion -> probability")
    gender: str | None = Field(description="as annotators saw faces, null without a model")
    gender_scores: dict[str, float] = Field(description="gender -> probability")
    explanation: Explanation | None = Field(None, description="if one was requested")


class Model(BaseModel):
    """A model or detector that a request may name."""

    name: str
    task: str
    default: bool = Field(description="whether it is used unless a request names another")
    card: dict[str, Any] | None = Field(description="null for detectors of OpenCV")


class Models(BaseModel):
    """The models and detectors that a request may name."""

    models: list[Model]


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok"] = "ok"
    version: str


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


REASONS = {
    401: "the token is missing or wrong",
    408: "the request was sent too slowly",
    413: "too many bytes, pixels or pictures",
    415: "no picture, or one of an unknown format",
    422: "a damaged picture, or an option that does not exist",
    501: "explanations take an extra, or the file of a model, that this service lacks",
    503: "too many requests are in progress, the machine or a model fails, or the service is "
    "shutting down: try again later",
}


def describe(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """Return the entries of the OpenAPI document for refusals."""
    return {
        status: {
            "model": Problem,
            "description": REASONS[status],
            "content": {"application/json": {"example": {"detail": REASONS[status]}}},
        }
        for status in statuses
    }


def options_for(analysis: Analysis, detector: str) -> type[BaseModel]:
    """Return the options that a service offers: its models by task, its detectors."""
    fields: dict[str, Any] = {
        "detector": (Literal[analysis.detectors], Field(detector, description="finds the faces")),
        "explain": (
            Literal[tuple(analysis.folders)] | None,
            Field(None, description="also explain the label of each face in this task"),
        ),
    }
    for task, folders in analysis.folders.items():
        fields[f"{task}_model"] = (
            Literal[(*folders, NO_MODEL)],
            Field(analysis.defaults[task], description=f"model of {task}; `none` leaves it out"),
        )
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
