"""What a task has to know of itself."""

import asyncio


def is_cancelled() -> bool:
    """Whether the current task itself is being cancelled, not just what it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
