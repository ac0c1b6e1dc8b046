"""How many instances a deployment should have now: pure, with the time and all that was measured handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from math import ceil
from typing import NamedTuple, Protocol

from inference_server.endpoint.autoscale_rules import Condition, Rule
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.schedules import Dates, Schedule

MOST_INSTANCES = 50  # of a deployment, Azure's
IN_AFTER_POLLS = 20  # polls for which fewer instances must have been enough
MOST_PERCENT = 100


class Seen(NamedTuple):
    """What is known when the policy is asked."""

    now: float  # seconds since 1970
    instances: int
    changed: float | None  # when their number was changed last, as `now`; None: never
    reading: Callable[
        [Condition], float | None
    ]  # a metric over a condition's window; None: nothing was measured
    busy: float = 0.0  # instances' worth of work that is being done
    queued: int = 0  # requests that wait


class Decision(NamedTuple):
    """`instances` that there should be, and why, for a person. The same number: nothing is to be done."""

    instances: int
    reason: str


class Policy(Protocol):
    """Asked again and again; `target_utilization` every `polling` seconds, rules once a minute or so."""

    def decide(self, seen: Seen) -> Decision: ...


@dataclass(frozen=True)
class Capacity:
    """How many instances there may be, and how many there are when nothing is known."""

    minimum: int
    maximum: int
    default: int

    def __post_init__(self) -> None:
        """Raises BadArgument."""
        if not 0 < self.minimum <= self.default <= self.maximum <= MOST_INSTANCES:
            raise BadArgument(
                f"instances: minimum {self.minimum}, default {self.default} and maximum {self.maximum} must be "
                f"in this order, from 1 to {MOST_INSTANCES}"
            )

    def within(self, instances: int) -> int:
        return min(self.maximum, max(self.minimum, instances))


# ------------------------------------------------------------ rules


@dataclass(frozen=True)
class Profile:
    """Rules and bounds, always or when `schedule` says."""

    name: str
    capacity: Capacity
    rules: tuple[Rule, ...] = ()
    schedule: Schedule | None = None


class Rules:
    """Azure Monitor's way: any rule may scale out; all of those that scale in must agree."""

    def __init__(self, profiles: Iterable[Profile], enabled: bool = True) -> None:
        """Raises BadArgument unless exactly one profile has no schedule."""
        self.profiles = tuple(profiles)
        self.enabled = enabled
        always = [profile.name for profile in self.profiles if profile.schedule is None]
        if len(always) != 1:
            raise BadArgument(
                f"autoscale needs one profile without a schedule, for all other times: {len(always)} are given"
            )

    def profile(self, now: float) -> Profile:
        """The one that holds: dates before weeks, weeks before what always holds; else the first one given."""
        moment = datetime.fromtimestamp(now, timezone.utc)
        holding = [one for one in self.profiles if one.schedule is None or one.schedule.holds(moment)]
        return min(holding, key=lambda one: (one.schedule is None, not isinstance(one.schedule, Dates)))

    def decide(self, seen: Seen) -> Decision:
        """See `Policy`."""
        if not self.enabled:
            return Decision(seen.instances, "autoscale is switched off")
        profile = self.profile(seen.now)
        bounds = profile.capacity
        if (bounded := bounds.within(seen.instances)) != seen.instances:
            return Decision(
                bounded, f"profile {profile.name} has {bounds.minimum} to {bounds.maximum} instances"
            )
        read = [(rule, seen.reading(rule.condition)) for rule in profile.rules]
        if read and all(value is None for _, value in read):
            if seen.instances < bounds.default:
                return Decision(bounds.default, "nothing was measured: the default number")
            return Decision(seen.instances, "nothing was measured")
        return _out(bounds, seen, read) or _in(bounds, seen, read) or Decision(seen.instances, "no rule asks")


_Read = list[tuple[Rule, "float | None"]]


def _out(bounds: Capacity, seen: Seen, read: _Read) -> Decision | None:
    """Of the rules that ask for more, the one that asks for most; None: none does."""
    asking = [
        (rule.change.applied(seen.instances), rule)
        for rule, value in read
        if value is not None
        and rule.condition.holds(value)
        and rule.change.applied(seen.instances) > seen.instances
    ]
    if not asking:
        return None
    ready = [(count, rule) for count, rule in asking if not _cooling(seen, rule)]
    if not ready:
        return Decision(seen.instances, f"cools down: {asking[0][1].condition}")
    count, rule = max(ready, key=lambda one: one[0])
    count = bounds.within(count)
    if count == seen.instances:
        return Decision(count, f"the maximum is reached: {rule.condition}")
    return Decision(count, f"{rule.condition}: {rule.change}")


def _in(bounds: Capacity, seen: Seen, read: _Read) -> Decision | None:
    """As the most cautious of the rules that ask for fewer says, when all of those that could ask for it do."""
    rules = [(rule, value) for rule, value in read if rule.change.applied(seen.instances) < seen.instances]
    agreeing = [rule for rule, value in rules if value is not None and rule.condition.holds(value)]
    if not rules or len(agreeing) < len(rules):
        return None
    count = bounds.within(max(rule.change.applied(seen.instances) for rule in agreeing))
    if count == seen.instances:
        return Decision(count, "the minimum is reached")
    if any(_cooling(seen, rule) for rule in agreeing):
        return Decision(seen.instances, f"cools down: {agreeing[0].condition}")
    metrics = {rule.condition.metric for rule in agreeing}
    for rule, value in read:
        if rule.change.direction != "out" or rule.condition.metric not in metrics or value is None:
            continue
        if rule.condition.holds(value * seen.instances / count):  # the same work on fewer of them
            return Decision(seen.instances, f"with {count} it would scale out again: {rule.condition}")
    return Decision(count, f"{'; '.join(str(rule.condition) for rule in agreeing)}: to {count}")


def _cooling(seen: Seen, rule: Rule) -> bool:
    return seen.changed is not None and seen.now - seen.changed < rule.cooldown


# ------------------------------------------------------------ target_utilization


class TargetUtilization:
    """`scale_settings` of type target_utilization: busy and queued work over instances is kept at the target.

    More are there at once; fewer only when IN_AFTER_POLLS polls have all asked for fewer, and then as few as the busiest
    of them.
    """

    def __init__(self, capacity: Capacity, target: int = 70, polling: float = 1.0) -> None:
        """`target` in per cent, `polling` in seconds. Raises BadArgument."""
        if not 0 < target <= MOST_PERCENT:
            raise BadArgument(f"target_utilization_percentage: {target} is not between 1 and {MOST_PERCENT}")
        if polling <= 0:
            raise BadArgument(f"polling_interval: {polling:g} is not more than 0 seconds")
        self.polling = polling
        self._capacity = capacity
        self._target = target
        self._fewer_since: float | None = None
        self._peak = 0

    def decide(self, seen: Seen) -> Decision:
        """See `Policy`."""
        work = seen.busy + seen.queued
        needed = self._capacity.within(ceil(work * MOST_PERCENT / self._target))
        used = work * MOST_PERCENT / max(1, seen.instances)
        said = f"{used:.0f} % of {seen.instances} instance(s) used, {self._target} % wanted"
        if needed >= seen.instances or seen.instances > self._capacity.maximum:
            self._fewer_since = None
            return Decision(needed, said)
        if self._fewer_since is None:
            self._fewer_since, self._peak = seen.now, needed
        self._peak = max(self._peak, needed)
        if seen.now - self._fewer_since < IN_AFTER_POLLS * self.polling:
            return Decision(seen.instances, f"{said}; fewer when it stays so")
        self._fewer_since = None
        return Decision(self._peak, said)
