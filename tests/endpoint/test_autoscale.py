"""The policy on a clock of the test's own: what scales out and in, when, and by how much."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.endpoint.autoscale import Capacity, Decision, Profile, Rules, Seen, TargetUtilization
from inference_server.endpoint.autoscale_rules import Change, Condition, Rule, parse_change, parse_condition
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.schedules import Schedule, dates, weekly

T0 = 1_800_000_000.0
OUT = Rule.parse("CpuUtilizationPercentage > 70 avg 5m", "out 2", cooldown=300)
IN = Rule.parse("CpuUtilizationPercentage < 25 avg 5m", "in 1", cooldown=300)
SLOW = Rule.parse("RequestLatency > 70 avg 5m", "out 1", cooldown=300)
QUICK = Rule.parse("RequestLatency < 10 avg 5m", "in 1", cooldown=600)


class Deployment:
    """Does at once what the policy says, on a clock that the test moves."""

    def __init__(self, policy: Rules | TargetUtilization, instances: int) -> None:
        self.policy = policy
        self.instances = instances
        self.now = T0
        self.changed: float | None = None
        self.metrics: dict[str, float] = {}
        self.busy, self.queued = 0.0, 0

    def after(self, seconds: float, busy: float = 0.0, queued: int = 0, **metrics: float) -> Decision:
        """So much later, with metrics as last said."""
        self.now += seconds
        self.metrics.update(metrics)
        seen = Seen(
            self.now,
            self.instances,
            self.changed,
            lambda condition: self.metrics.get(condition.metric),
            busy,
            queued,
        )
        decision = self.policy.decide(seen)
        if decision.instances != self.instances:
            self.instances, self.changed = decision.instances, self.now
        return decision


def rules(*given: Rule, low: int = 2, high: int = 5, default: int = 2) -> Rules:
    return Rules([Profile("default", Capacity(low, high, default), given)])


def test_out_and_in_with_cooldown_and_bounds() -> None:
    deployment = Deployment(rules(OUT, IN), 2)
    decision = deployment.after(60, CpuUtilizationPercentage=90)
    assert decision == Decision(4, "CpuUtilizationPercentage > 70 avg 5m: out 2")
    assert deployment.after(299).reason == "cools down: CpuUtilizationPercentage > 70 avg 5m"
    assert deployment.after(1).instances == 5  # not 6
    assert deployment.after(300).reason.startswith("the maximum is reached")
    assert deployment.after(60, CpuUtilizationPercentage=50) == Decision(5, "no rule asks")
    assert deployment.after(60, CpuUtilizationPercentage=20).instances == 4
    assert deployment.after(60).reason == "cools down: CpuUtilizationPercentage < 25 avg 5m"
    assert [deployment.after(300).instances for _ in range(3)] == [3, 2, 2]
    assert deployment.after(300).reason == "the minimum is reached"


def test_any_out_all_in() -> None:
    deployment = Deployment(rules(OUT, IN, SLOW, QUICK, low=1, high=10, default=1), 3)
    assert deployment.after(60, CpuUtilizationPercentage=20, RequestLatency=80).instances == 4
    assert deployment.after(600, RequestLatency=50) == Decision(4, "no rule asks")  # only one of two agrees
    decision = deployment.after(60, RequestLatency=5)
    assert decision == Decision(3, "CpuUtilizationPercentage < 25 avg 5m; RequestLatency < 10 avg 5m: to 3")
    assert deployment.after(300).reason.startswith("cools down")  # the longer cooldown of the two
    assert deployment.after(300).instances == 2
    assert (
        deployment.after(600, CpuUtilizationPercentage=90, RequestLatency=90).instances == 4
    )  # the most, not the sum
    del deployment.metrics["RequestLatency"]
    assert deployment.after(6000, CpuUtilizationPercentage=1).instances == 4  # unknown does not agree


def test_an_out_that_cools_down_still_stops_an_in() -> None:
    deployment = Deployment(
        rules(Rule.parse("A > 1 avg 1m", "out 1", 900), Rule.parse("B < 1 avg 1m", "in 1", 0)), 2
    )
    assert deployment.after(60, A=2.0, B=0.0).instances == 3
    assert deployment.after(60).reason == "cools down: A > 1 avg 1m"
    assert deployment.instances == 3


def test_what_would_scale_out_again_is_not_scaled_in() -> None:
    near = Rule.parse("CpuUtilizationPercentage < 60 avg 5m", "in 1", 0)
    deployment = Deployment(rules(OUT, near, low=1), 2)
    decision = deployment.after(60, CpuUtilizationPercentage=50)
    assert decision == Decision(2, "with 1 it would scale out again: CpuUtilizationPercentage > 70 avg 5m")
    assert deployment.after(60, CpuUtilizationPercentage=30).instances == 1


def test_to_a_number_in_either_direction() -> None:
    to = Rule.parse("Requests >= 100 total 1m", "to 4", 0)
    few = Rule.parse("Requests < 10 total 1m", "to 2", 0)
    deployment = Deployment(rules(to, few), 3)
    assert deployment.after(60, Requests=100).instances == 4
    assert deployment.after(60).instances == 4
    assert deployment.after(60, Requests=9).instances == 2


def test_without_metrics_and_outside_the_bounds() -> None:
    deployment = Deployment(rules(OUT, IN, low=1, default=3), 1)
    assert deployment.after(60) == Decision(3, "nothing was measured: the default number")
    assert deployment.after(60) == Decision(3, "nothing was measured")
    deployment.instances = 9
    assert deployment.after(0) == Decision(5, "profile default has 1 to 5 instances")  # whatever cools down
    deployment.policy = Rules(rules(OUT).profiles, enabled=False)
    deployment.instances = 9
    assert deployment.after(60, CpuUtilizationPercentage=99) == Decision(9, "autoscale is switched off")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


BERLIN = "W. Europe Standard Time"


@pytest.mark.parametrize(
    ("schedule", "inside", "outside"),
    [
        (
            weekly(["sat", "Sunday"], BERLIN),
            ["2026-11-21T00:00", "2026-11-22T23:59"],
            ["2026-11-20T23:59", "2026-11-23T00:00"],
        ),
        (
            weekly(["mon"], BERLIN, "08:30", "18:00"),
            ["2026-11-23T08:30", "2026-11-23T17:59"],
            ["2026-11-23T08:29", "2026-11-23T18:00", "2026-11-24T09:00"],
        ),
        (
            weekly(["fri"], BERLIN, "22:00", "06:00"),
            ["2026-11-20T22:00", "2026-11-21T05:59"],
            ["2026-11-20T05:00", "2026-11-21T06:00", "2026-11-21T22:30"],
        ),
        (
            weekly(["sun"], BERLIN, "02:30", "04:00"),  # both days when clocks are changed
            ["2026-03-29T03:00", "2026-10-25T02:30"],
            ["2026-03-29T01:59", "2026-03-29T04:00", "2026-10-25T04:00"],
        ),
        (
            dates("2026-12-24", "2026-12-26T12:00", BERLIN),
            ["2026-12-24T00:00", "2026-12-26T11:59"],
            ["2026-12-23T23:59", "2026-12-26T12:00"],
        ),
        (
            dates("2026-12-24T00:00+01:00", "2026-12-24T23:00Z", "America/New_York"),
            ["2026-12-24T00:00"],
            ["2026-12-25T00:00"],
        ),
    ],
)
def test_schedules_go_by_the_clocks_of_their_zone(
    schedule: Schedule, inside: list[str], outside: list[str]
) -> None:
    for text in inside:
        assert schedule.holds(at(text, "Europe/Berlin").astimezone(timezone.utc)), text
    for text in outside:
        assert not schedule.holds(at(text, "Europe/Berlin").astimezone(timezone.utc)), text


def test_dates_go_before_weeks_and_weeks_before_always() -> None:
    policy = Rules(
        [
            Profile("default", Capacity(2, 5, 2), (OUT,)),
            Profile("weekend", Capacity(2, 2, 2), (), weekly(["sat", "sun"])),
            Profile("sale", Capacity(8, 9, 8), (), dates("2026-11-28", "2026-11-29")),
        ]
    )
    for text, name in [
        ("2026-11-27T12:00", "default"),
        ("2026-11-28T12:00", "sale"),
        ("2026-11-29T12:00", "weekend"),
    ]:
        assert policy.profile(at(text).timestamp()).name == name
    deployment = Deployment(policy, 4)
    deployment.now = at("2026-11-28T12:00").timestamp()
    assert deployment.after(0).instances == 8
    assert deployment.after(86_400) == Decision(2, "profile weekend has 2 to 2 instances")


@given(
    st.integers(1, 60),
    st.dictionaries(st.sampled_from(["CpuUtilizationPercentage", "RequestLatency"]), st.floats(0, 1e6)),
    st.lists(st.sampled_from([OUT, IN, SLOW, QUICK]), max_size=6),
    st.one_of(st.none(), st.floats(T0 - 1000, T0)),
)
def test_it_never_leaves_the_bounds(
    instances: int, metrics: dict[str, float], given_rules: list[Rule], changed: float | None
) -> None:
    policy = rules(*given_rules, low=2, high=7, default=3)
    seen = Seen(T0, instances, changed, lambda condition: metrics.get(condition.metric))
    decision = policy.decide(seen)
    assert 2 <= decision.instances <= 7
    assert decision.reason


def test_target_utilization_is_quick_to_add_and_slow_to_take_away() -> None:
    deployment = Deployment(TargetUtilization(Capacity(1, 10, 1), target=70, polling=10), 1)
    assert deployment.after(10, busy=0.7).instances == 1
    assert deployment.after(10, busy=1, queued=6).instances == 10
    assert deployment.after(10, busy=10, queued=50).instances == 10
    for _ in range(20):
        assert deployment.after(10, busy=2).instances == 10
    decision = deployment.after(10, busy=1)
    assert decision == Decision(3, "10 % of 10 instance(s) used, 70 % wanted")  # what 2 of work need
    assert deployment.after(10, busy=1).instances == 3
    assert deployment.after(100, busy=2.1).instances == 3  # needed again: it is counted from the beginning
    assert deployment.after(199, busy=0).instances == 3
    assert deployment.after(199, busy=0).instances == 3
    assert deployment.after(1, busy=0).instances == 1
    deployment.instances = 12
    assert deployment.after(10, busy=9).instances == 10


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 30)), max_size=60))
def test_what_the_load_needs_is_always_there(loads: list[tuple[float, float]]) -> None:
    deployment = Deployment(TargetUtilization(Capacity(1, 100 // 2, 1), 70, 1), 1)
    for busy, seconds in loads:
        deployment.after(seconds, busy=busy)
        assert 1 <= deployment.instances <= 50
        assert deployment.instances == 50 or busy * 100 <= 70 * deployment.instances + 1e-6


def test_the_text_forms() -> None:
    condition = parse_condition("  CpuUtilizationPercentage>70   avg 1h30m ")
    assert condition == Condition("CpuUtilizationPercentage", ">", 70.0, "avg", 5400.0)
    assert str(condition) == "CpuUtilizationPercentage > 70 avg 1h30m"
    assert parse_condition(str(condition)) == condition
    assert parse_condition("X <= -1.5 max 90s").threshold == -1.5
    assert parse_change(" to 3 ") == Change("to", 3)
    assert str(Change("out", 2)) == "out 2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is none: write METRIC OPERATOR NUMBER"),
        ("Cpu above 70 avg 5m", "'Cpu above 70 avg 5m' is none"),
        ("Cpu => 70 avg 5m", "=> is no operator: use one of == != >= <= > <"),
        ("Cpu > much avg 5m", "'much' is no number"),
        ("Cpu > nan avg 5m", "'nan' is no number"),
        ("Cpu > 70 mean 5m", "mean is none of avg, min, max, total, count"),
        ("Cpu > 70 avg 5", "'5' is no period: write 5m, 1h30m or 90s"),
        ("Cpu > 70 avg 59s", "59s is not between 1m and 12h"),
        ("Cpu > 70 avg 13h", "13h is not between 1m and 12h"),
        ("Cpu > 70 avg 5m where instanceId == a", "dimensions (where …) are not supported"),
    ],
)
def test_conditions_that_are_none(text: str, says: str) -> None:
    with pytest.raises(BadArgument) as error:
        parse_condition(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text())
def test_any_text_is_a_rule_or_a_sentence(text: str) -> None:
    for read in (parse_condition, parse_change):
        with suppress(BadArgument):
            read(text)


def test_what_else_cannot_be() -> None:
    for change in ("out", "out 0", "by 2", "out -1", "out 10%", "out two"):
        with pytest.raises(BadArgument, match="write out 2, in 1 or to 5"):
            parse_change(change)
    for low, default, high in [(0, 1, 2), (3, 2, 4), (1, 5, 4), (1, 1, 51)]:
        with pytest.raises(BadArgument, match="must be in this order, from 1 to 50"):
            Capacity(low, high, default)
    with pytest.raises(BadArgument, match="0 are given"):
        Rules([])
    with pytest.raises(BadArgument, match="--cooldown"):
        Rule.parse("A > 1 avg 1m", "out 1", -1)
    for target, polling in [(0, 1.0), (101, 1.0), (70, 0.0)]:
        with pytest.raises(BadArgument, match=r"target_utilization_percentage|polling_interval"):
            TargetUtilization(Capacity(1, 2, 1), target, polling)
    for days, zone, start, end, says in [
        ([], "UTC", "00:00", "00:00", "no day is given"),
        (["someday"], "UTC", "00:00", "00:00", "'someday' is no day"),
        (["s"], "UTC", "00:00", "00:00", "'s' is no day"),
        (["sat"], "Middle Earth", "00:00", "00:00", "--timezone: 'Middle Earth' is not known"),
        (["sat"], "../../etc/passwd", "00:00", "00:00", "is not known"),
        (["sat"], "", "00:00", "00:00", "is not known"),
        (["sat"], "UTC", "24:00", "00:00", "--start: '24:00' is no time of day"),
        (["sat"], "UTC", "00:00", "noon", "--end: 'noon' is no time of day"),
    ]:
        with pytest.raises(BadArgument, match=says):
            weekly(days, zone, start, end)
    with pytest.raises(BadArgument, match="is not after"):
        dates("2026-12-24", "2026-12-24")
    with pytest.raises(BadArgument, match="--start: 'Christmas' is no date"):
        dates("Christmas", "2026-12-24")
