"""How the planner is to plan what the dashboard asks."""

from typing import Final

#: Each row is looked up by its key, and each scan follows an index up to its limit, also while the
#: tables have no statistics or are so small that reading them whole would be cheaper.
LOOK_UPS: Final = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
#: Many rows that lie together are found by an index.
RANGES: Final = {"enable_seqscan": "off"}
