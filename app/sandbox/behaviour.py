"""The only file that knows how ill the simulated Routee can be made to behave."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    How the simulated Routee posts its callbacks; the defaults are those of a good day.

    The seed decides the story of each campaign, the losses, the doubles and the order. It does not
    decide ids or the clock, so that two runs never collide in the database of one receiver.

    Raises:
        ValueError: a number is out of its bounds; the message names it.
    """

    #: Attempts per second over all campaigns, greater than 0; `math.inf` is as fast as possible.
    callbacks_per_second: float = 200.0
    #: 0 to 1: so many of the callbacks are posted a second time although they were acknowledged.
    duplicate_share: float = 0.0
    #: The callbacks of a campaign are posted in random order instead of the order of their times.
    shuffled: bool = False
    #: Seconds between the acceptance of a campaign and its first callback, 0 or more.
    delay_seconds: float = 0.0
    #: 0 to 1: so many of the status callbacks are never posted; tracking knows them all the same.
    lost_share: float = 0.0
    #: The first callbacks are posted before the request that created their campaign is answered.
    before_answer: bool = False
    #: No callback is posted until `SimulatedRoutee.release` is called; goes before `before_answer`.
    held: bool = False
    #: How many callbacks are under way at the same time, 1 or more.
    connections: int = 16
    #: Factor on the waits between repeats: 1.0 is Routee's own clock, 0.001 a thousandth of it.
    time_scale: float = 1.0
    #: Campaigns with the same seed, number and recipients have the same story.
    seed: int = 1

    def __post_init__(self) -> None:
        within_bounds = {
            "callbacks_per_second": self.callbacks_per_second > 0,
            "duplicate_share": 0 <= self.duplicate_share <= 1,
            "delay_seconds": 0 <= self.delay_seconds < math.inf,
            "lost_share": 0 <= self.lost_share <= 1,
            "connections": self.connections >= 1,
            "time_scale": 0 <= self.time_scale < math.inf,
        }
        wrong = [name for name, fits in within_bounds.items() if not fits]
        if wrong:
            raise ValueError(f"out of bounds: {', '.join(wrong)}")
