"""What an endpoint's caller sees of a model's own answer: 200, or 424 with the model's status beside it."""

from __future__ import annotations

from http import HTTPStatus

from inference_server.messages import Answer

MODEL_ERROR = 424
STATUS_HEADER = "ms-azureml-model-error-statuscode"
REASON_HEADER = "ms-azureml-model-error-reason"
# Of the front, in the model's place: no permission, no deployment, too late, too many, nobody serves.
PLATFORM_STATUSES = frozenset({401, 404, 408, 429, 503})


def endpoint_answer(answer: Answer) -> Answer:
    """The answer to a request that was submitted, as an endpoint gives it.

    A model that answered anything but 200, crashed or hung is a model error. What the front itself says stays, and
    is told from a model's answer by its lack of a run time: run() did not run.
    """
    if answer.status == HTTPStatus.OK or (answer.exec_ms is None and answer.status in PLATFORM_STATUSES):
        return answer
    lines = f"{STATUS_HEADER}: {answer.status}\r\n{REASON_HEADER}: {_reason(answer.status)}\r\n"
    return Answer(
        MODEL_ERROR,
        answer.body,
        answer.content_type,
        answer.failed,
        answer.exec_ms,
        answer.headers + lines.encode(),
        answer.stream,
        answer.decode_us,
        answer.encode_us,
    )


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"
