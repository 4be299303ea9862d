"""The settings of the simulated Routee's callbacks."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    How the simulated Routee posts its callbacks; with the defaults nothing goes wrong.

    The seed decides the scenarios of each campaign, the losses, the duplicates and the order. It
    does not decide ids or times, so two runs never collide in the database of one receiver.

    Raises:
        ValueError: a number is out of its range; the message names it.
    """

    #: Attempts per second over all campaigns, greater than 0; `math.inf` is as fast as possible.
    callbacks_per_second: float = 200.0
    #: 0 to 1: the share of callbacks that are posted again although they were acknowledged.
    duplicate_share: float = 0.0
    #: Post the callbacks of a campaign in random order instead of the order of their times.
    shuffled: bool = False
    #: Seconds between the acceptance of a campaign and its first callback, 0 or more.
    delay_seconds: float = 0.0
    #: 0 to 1: the share of status callbacks that are never posted, though tracking has them.
    lost_share: float = 0.0
    #: Post the first callbacks before answering the request that created their campaign.
    before_answer: bool = False
    #: Post no callback until `SimulatedRoutee.release` is called. It overrides `before_answer`.
    held: bool = False
    #: The number of concurrent callbacks, 1 or more.
    connections: int = 16
    #: Factor on the waits between attempts: 1.0 is Routee's schedule, 0.001 a thousandth of it.
    time_scale: float = 1.0
    #: Tracking reads per second, greater than 0: those above it are answered 429.
    tracking_per_second: float = math.inf
    #: Campaigns with the same seed, number and recipients have the same scenarios.
    seed: int = 1

    def __post_init__(self) -> None:
        in_range = {
            "callbacks_per_second": self.callbacks_per_second > 0,
            "duplicate_share": 0 <= self.duplicate_share <= 1,
            "delay_seconds": 0 <= self.delay_seconds < math.inf,
            "lost_share": 0 <= self.lost_share <= 1,
            "tracking_per_second": self.tracking_per_second > 0,
            "connections": self.connections >= 1,
            "time_scale": 0 <= self.time_scale < math.inf,
        }
        wrong = [name for name, fits in in_range.items() if not fits]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
