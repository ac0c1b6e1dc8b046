"""How an endpoint is: a reading of its deployments."""

from __future__ import annotations

from collections.abc import Mapping

from inference_server.endpoint.deployment import Deployment
from inference_server.endpoint.mirror import Mirror
from inference_server.lifecycle import ServerState
from inference_server.messages import DeploymentReport, HealthReport

# Of several, the state that says most about what a request may hope for.
_BEST_FIRST = (ServerState.READY, ServerState.STARTING, ServerState.UNAVAILABLE, ServerState.DRAINING)
NO_DEPLOYMENTS = "no deployments"


def endpoint_health(
    deployments: Mapping[str, Deployment], shares: Mapping[str, int], mirror: Mirror | None
) -> HealthReport:
    """An endpoint is as its best deployment with traffic is: while one of those serves, so does the endpoint.

    Where none has traffic, all count. Without any deployment it answers as it should: it is ready.
    """
    reports = tuple(
        DeploymentReport(
            deployment.name,
            shares.get(name, 0),
            mirror.percent if mirror is not None and mirror.deployment == name else 0,
            deployment.health(),
        )
        for name, deployment in deployments.items()
    )
    counted = [report for report in reports if report.traffic] or reports
    states = {report.health.state for report in counted}
    state = next((state for state in _BEST_FIRST if state in states), ServerState.READY)
    return HealthReport(
        state,
        "; ".join(map(_told, reports)) or NO_DEPLOYMENTS,
        not reports or any(report.health.started for report in reports),
        sum(report.health.queued for report in reports),
        tuple(worker for report in reports for worker in report.health.workers),
        deployments=reports,
    )


def _told(report: DeploymentReport) -> str:
    share = f"mirrored {report.mirrored} %" if report.mirrored else f"traffic {report.traffic} %"
    return f"{report.name} ({share}): {report.health.reason}"
